"""CUDA streams that the library owns, and a lock that orders launches of several streams.

Streams are made at first use and kept for the life of the process. A new stream in the place of an old one would not
do: another thread would wait on the new one for work that was ordered on the old one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Streams:
    """Streams by name, the same for all threads. `make()` makes one."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make()
            return self._made[name]

    @property
    def made(self) -> list[Any]:
        """All streams that exist."""
        with self._lock:
            return list(self._made.values())


class LaunchLock:
    """Orders launches on any streams of a device, so that they run there one after another."""

    def __init__(self) -> None:
        self._lock, self._last = threading.Lock(), None

    @contextmanager
    def ordered(self, stream: Any) -> Iterator[Any]:
        """Launch on `stream`, after everything that was launched here before, also where that failed half-way."""
        with self._lock:
            if self._last is not None:
                stream.wait_event(self._last)
            try:
                yield stream
            finally:
                self._last = stream.record()
