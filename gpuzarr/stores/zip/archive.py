"""A file that becomes an archive: bytes are appended to it, and a directory makes it complete.

What was in an archive before stays where it is, its directory, too, until there is a new one behind what was added. So
a process that is killed loses what it added since the last `complete`, and nothing else. A new archive is written
beside its place, and takes it when it is complete for the first time.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from errno import EEXIST
from io import FileIO
from typing import Any

from gpuzarr.errors import ClosedError, ExistsError, StoreError
from gpuzarr.per_process import PROCESS
from gpuzarr.stores.hidden import beside, owner
from gpuzarr.stores.local import folders

MAX_PIECES = 512  # of one system call, which takes 1024


class ArchiveFile:
    """A file at `path`, of which this process alone appends to the end. Many threads may do so at once.

    `is_new`: it takes its place when it is complete for the first time. Methods raise OSError where they fail.
    """

    def __init__(self, path: str, mode: str) -> None:
        self.path, self._mode = path, mode
        self.is_new = mode != "a" or not os.path.exists(path)
        if mode == "x" and os.path.lexists(path):
            raise ExistsError(f"there is an archive {path!r} already")
        folders.make(os.path.dirname(path))
        self.current = beside(path, owner()) if self.is_new else path
        self._file = FileIO(self.current, "x+b" if self.is_new else "r+b")
        self._process, self._lock = PROCESS.value, threading.Lock()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise StoreError(f"{path!r} is being written by another process, or by another store of this one") from None
        self.end = self.complete_end = os.fstat(self._file.fileno()).st_size

    @property
    def is_open(self) -> bool:
        return not self._file.closed

    @property
    def is_ours(self) -> bool:
        """False in a forked child."""
        return self._process is PROCESS.value

    def reserve(self, nbytes: int) -> int:
        """Take bytes at the end for the caller, who writes them. Returns where they begin."""
        self._check()  # a forked child may find the lock held
        with self._lock:
            self._check()
            at, self.end = self.end, self.end + nbytes
        return at

    def write(self, pieces: Sequence[Any], at: int) -> None:
        """Write pieces of bytes one behind the other."""
        for i in range(0, len(pieces), MAX_PIECES):
            left = [memoryview(piece).cast("B") for piece in pieces[i : i + MAX_PIECES]]
            while left:
                done = os.pwritev(self._number(), left, at)
                at += done
                while left and done >= len(left[0]):
                    done -= len(left.pop(0))
                if left:
                    left[0] = left[0][done:]

    def read(self, nbytes: int, at: int) -> bytes:
        """Read bytes."""
        return os.pread(self._number(), nbytes, at)

    def copy(self, source: int, nbytes: int, at: int) -> None:
        """Write bytes of another open file, from its beginning."""
        done = 0
        while done < nbytes:
            try:
                more = os.copy_file_range(source, self._number(), nbytes - done, done, at + done)
            except OSError:  # between file systems that cannot
                data = os.pread(source, min(nbytes - done, 1 << 23), done)
                self.write([data], at + done)
                more = len(data)
            if not more:
                raise OSError(f"the file to copy has only {done} bytes")
            done += more

    def complete(self, directory: Callable[[int], Sequence[bytes]]) -> None:
        """Write the directory that `directory(offset)` makes; then the archive is complete, and in its place."""
        self._check()
        if not self.is_new and not self._is_in_place():
            raise StoreError(f"{self.path!r} was replaced or deleted by somebody else while it was written")
        with self._lock:
            self._check()
            pieces = directory(self.end)
            at, self.end = self.end, self.end + sum(map(len, pieces))
            self.write(pieces, at)
            self.complete_end = self.end
        if self.is_new:
            self._take_place()

    def _take_place(self) -> None:
        if self._mode == "x":
            try:
                os.link(self.current, self.path)
            except FileExistsError:
                error = ExistsError(f"somebody else has made an archive {self.path!r} meanwhile")
                error.errno = EEXIST
                raise error from None
            os.unlink(self.current)
        else:
            os.replace(self.current, self.path)
        self.current, self.is_new = self.path, False

    def close(self) -> None:
        """Close the file. What is behind the last directory goes; so does an archive that never was complete.

        A forked child only closes it.
        """
        if self._file.closed:
            return
        try:
            if self.is_ours:
                with suppress(OSError):
                    if self.is_new:
                        os.unlink(self.current)
                    elif self.complete_end < self.end:
                        os.ftruncate(self._file.fileno(), self.complete_end)
        finally:
            self._file.close()

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._number()), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _number(self) -> int:
        self._check()
        return self._file.fileno()

    def _check(self) -> None:
        if not self.is_ours:
            raise StoreError(f"{self.path!r} was opened before this process was forked: only its parent can write it")
        if self._file.closed:
            raise ClosedError(f"the store of {self.path!r} is closed")
