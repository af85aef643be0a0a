"""Files that are open together, each for a few small reads, on which little else than system calls is spent."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from stat import S_ISREG

from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import MISSING

FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a named pipe must not make us wait
NO_FILE = (FileNotFoundError, NotADirectoryError)  # "a/b" where "a" is a file is missing too
Version = tuple[int, int, int]


class Permits:
    """A count of open files that never waits, and survives a fork."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.free, self.lock = self.number, threading.Lock()

    def take(self, n: int) -> bool:
        with self.lock:
            enough = n <= self.free
            self.free -= n if enough else 0
        return enough

    def give(self, n: int) -> None:
        with self.lock:
            self.free += n


def version_of(status: os.stat_result) -> Version:
    """Which file it is, how long, and when it was written."""
    return status.st_ino, status.st_size, status.st_mtime_ns


class Opened:
    """`with Opened(paths, permits) as files`: file i has `lengths[i]` bytes, MISSING where there is none.

    OSError where one cannot be opened or is no file, or too many are open already; it does not say which.
    """

    __slots__ = ("_files", "_paths", "_permits", "lengths", "versions")

    def __init__(self, paths: Sequence[str], permits: Permits) -> None:
        self._paths, self._permits = paths, permits
        self._files: list[int] = []
        self.lengths: list[int] = []
        self.versions: list[Version | None] = []

    def __enter__(self) -> Opened:
        if not self._permits.take(len(self._paths)):
            raise StoreError("too many files are open")
        try:
            for path in self._paths:
                self._open(path)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            if file != MISSING:
                os.close(file)
        self._permits.give(len(self._paths))

    def _open(self, path: str) -> None:
        file, length, version = MISSING, MISSING, None
        with suppress(*NO_FILE):
            file = os.open(path, FLAGS)
        self._files.append(file)
        if file != MISSING:
            status = os.fstat(file)
            if not S_ISREG(status.st_mode):
                raise StoreError(f"{path!r} is no file")
            length, version = status.st_size, version_of(status)
        self.lengths.append(length)
        self.versions.append(version)

    def fill(self, i: int, offset: int, into: memoryview) -> None:
        """Read from file i at `offset`. StoreError where it ends before."""
        if os.preadv(self._files[i], (into,), offset) != len(into):
            raise StoreError("the file became shorter while it was read")

    def changed(self) -> bool:
        """Whether somebody wrote into one of the files since they were opened."""
        pairs = zip(self._files, self.versions, strict=True)
        return any(file != MISSING and version_of(os.fstat(file)) != version for file, version in pairs)
