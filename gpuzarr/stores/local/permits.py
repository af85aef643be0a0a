"""Limit the files that all reads of the process hold open at once."""

from __future__ import annotations

import threading

from gpuzarr.per_process import PerProcess

MAX_OPEN_FILES = 256


class Permits:
    """A count of open files that never waits."""

    def __init__(self, number: int = MAX_OPEN_FILES) -> None:
        self.free, self._lock = number, threading.Lock()

    def take(self, n: int) -> bool:
        """Take `n` permits, or none where so many are not free; tell which."""
        with self._lock:
            enough = n <= self.free
            self.free -= n if enough else 0
        return enough

    def give(self, n: int) -> None:
        with self._lock:
            self.free += n


PERMITS = PerProcess(Permits)
