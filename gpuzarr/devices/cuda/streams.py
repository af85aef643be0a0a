"""The streams of one GPU that are nobody's, and whose turn it is among all.

Streams are made when they are first asked for, and kept as long as the process. To make them anew would not do: what
one thread has ordered on a stream, another would wait for on its successor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Streams:
    """Streams by name; `make()` makes one. Used by many threads, which all get the same."""

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
        with self._lock:
            return list(self._made.values())


class LaunchLock:
    """What runs once at a time on a device, whatever streams it is launched on."""

    def __init__(self) -> None:
        self._lock, self._last = threading.Lock(), None

    @contextmanager
    def of(self, stream: Any) -> Iterator[Any]:
        """`stream`, behind what had its turn before; what fails half way was launched in part, so it had its turn."""
        with self._lock:
            if self._last is not None:
                stream.wait_event(self._last)
            try:
                yield stream
            finally:
                self._last = stream.record()
