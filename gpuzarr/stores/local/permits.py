"""Permits of this process to hold files open, and waiting where no more can be opened."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from errno import EMFILE, ENFILE
from typing import Any, TypeVar

from gpuzarr.per_process import PerProcess

T = TypeVar("T")
# Held by all reads and open shards of the process together: a quarter of what it may open. A file that is not held
# costs twice the time of its system calls, but for the copy of its bytes.
MAX_OPEN_FILES = 4096
FEW_FILES = (EMFILE, ENFILE)  # the process, or the machine, can open no more
MAX_WAIT_SECONDS = 10.0  # for others to close files; each is open for a short time
MAX_PAUSE_SECONDS = 0.02


def allowed() -> int:
    """Files that may be held now: the limit of a process can be changed while it runs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_OPEN_FILES if soft == resource.RLIM_INFINITY else min(soft // 4, MAX_OPEN_FILES)


class Permits:
    """Permits to hold files open. Taking them never waits."""

    def __init__(self) -> None:
        self._held, self._lock = dict[Any, int](), threading.RLock()  # finalizers give permits at any time

    @property
    def free(self) -> int:
        """Permits that nobody holds; fewer than none, where the process may open fewer files than before."""
        return allowed() - sum(list(self._held.values()))

    def take(self, holder: Any, n: int) -> bool:
        """Give `n` permits to a holder, which has none, if so many are free. Return True if they were."""
        with self._lock:
            if enough := n <= self.free:
                self._held[holder] = n
        return enough

    def give(self, holder: Any) -> None:
        """Give all permits of a holder back. It may have none."""
        if holder in self._held:
            with self._lock:  # or they change while another thread counts them
                self._held.pop(holder, None)


PERMITS = PerProcess(Permits)


def patiently(work: Callable[[], T]) -> T:
    """Return work(). As long as no more files can be opened, try again: others of this process are closed soon."""
    try:
        return work()
    except OSError as error:
        if error.errno not in FEW_FILES:
            raise
    end, pause = time.monotonic() + MAX_WAIT_SECONDS, 0.0005
    while True:
        time.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)
        try:
            return work()
        except OSError as error:
            if error.errno not in FEW_FILES or time.monotonic() > end:
                raise
