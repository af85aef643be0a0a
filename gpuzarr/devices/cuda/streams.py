"""CUDA streams that the library owns, lanes of a read among them, and a lock that orders launches of several streams.

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


class Lanes:
    """Streams on which batches of one read are decoded at once: behind what `caller`, a stream, has to do by now.

    `count`: as many; with one, batches are launched on the caller's stream itself.
    """

    def __init__(self, streams: Streams, caller: Any, count: int) -> None:
        self._streams, self._caller, self._count = streams, caller, count
        self._begin = caller.record() if count > 1 else None
        self._ends: dict[int, Any] = {}

    @contextmanager
    def lane(self, number: int) -> Iterator[None]:
        """Launch batch `number`, which decides on the stream. It comes after the batches before in its lane."""
        if self._begin is None:
            yield
            return
        stream = self._streams[f"decoding {number % self._count}"]
        if number < self._count:
            stream.wait_event(self._begin)
        with stream:
            yield
        self._ends[number % self._count] = stream.record()

    def join(self) -> None:
        """Order what the caller launches from now on behind all batches."""
        for end in self._ends.values():
            self._caller.wait_event(end)


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
