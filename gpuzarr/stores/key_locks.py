"""Locks for names, between the threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Sequence
from itertools import compress
from operator import call
from typing import Any
from weakref import WeakValueDictionary

from gpuzarr.interrupts import BOTTOM, release_all
from gpuzarr.per_process import PerProcess


class KeyLocks:
    """A lock for each name, between threads. Locks that nobody refers to go."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
        self._lock = threading.Lock()

    def of(self, names: Iterable[Hashable]) -> list[Any]:
        """The locks of these names, which are given in an order that is the same for all callers."""
        with self._lock:
            return [self._locks.setdefault(name, threading.RLock()) for name in names]


class Locked:
    """Context that holds these locks; `__exit__` may be called twice."""

    def __init__(self, locks: Sequence[Any]) -> None:
        self._locks, self._held = locks, [BOTTOM]

    def __enter__(self) -> None:
        try:
            releases = [lock.release for lock in self._locks]
            self._held.extend(compress(releases, map(call, [lock.acquire for lock in self._locks])))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        release_all(self._held)


LOCKS = PerProcess(KeyLocks)  # names are of one process
