"""The streams of one GPU that are nobody's: made when they are first asked for, and kept as long as the process.

To make them anew would not do: what one thread has ordered on a stream, another would wait for on its successor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
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
