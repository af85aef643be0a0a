"""Limit the files that all reads of the process hold open at once."""

from __future__ import annotations

import os
import threading

MAX_OPEN_FILES = 256


class Permits:
    """A count of open files that never waits, and starts anew in a forked child."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.free, self.lock = self.number, threading.Lock()

    def take(self, n: int) -> bool:
        """Take `n` permits, or none where so many are not free; tell which."""
        with self.lock:
            enough = n <= self.free
            self.free -= n if enough else 0
        return enough

    def give(self, n: int) -> None:
        with self.lock:
            self.free += n


PERMITS = Permits(MAX_OPEN_FILES)
