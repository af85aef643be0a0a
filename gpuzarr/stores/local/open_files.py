"""Files that are open to be read together: opened, read and closed by loops of the C library, where there is one."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from errno import EINTR
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address
from gpuzarr.errors import StoreError, as_store_error
from gpuzarr.interrupts import BOTTOM, release_all
from gpuzarr.stores.local.folders import MISSING_ERRORS
from gpuzarr.stores.ranges import MISSING

if TYPE_CHECKING:
    from gpuzarr.stores.local.store import LocalStore

# opening a named pipe must not block, and a terminal not become ours
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
MAX_SEEK_BYTES = 2**31 - 1  # some file systems say that a folder ends here, or farther
MIN_TOGETHER = 8  # files, or ranges, for which the library is called; fewer are sooner done one by one
NO_VERSION = "missing"  # version of a missing file
_NO_FILE, _SHORTER = -1, -2  # errors of gpuzarr/native/files.c that have no errno
Version = tuple[int, int, int]
Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class _Progress(ctypes.Structure):
    """`Progress` of gpuzarr/native/files.c."""

    _fields_ = (("name", ctypes.c_char_p), ("error", ctypes.c_int64), ("done", ctypes.c_int64))


class OpenFiles:
    """Files of some keys of a LocalStore. Any thread may call the methods; `close` when no other one is called.

    `lengths`: bytes of each file, int64; MISSING where there is none, and before it is opened.
    """

    __slots__ = ("_files", "_library", "_opened", "_store", "keys", "lengths")

    def __init__(self, store: LocalStore, keys: Sequence[str]) -> None:
        self.keys, self._store = keys, store
        self._library = native.library() if len(keys) >= MIN_TOGETHER and store.follow_symlinks else None
        self._files, self.lengths = np.full((2, len(keys)), MISSING)
        self._opened: list[list[int]] = []  # what is to be closed without the library: it notes that in `_files`

    def open(self, some: range) -> None:
        """Open files, and find their lengths. Missing ones are left out. StoreError for what is no file."""
        if self._library is None:
            self._opened.append(opened := [BOTTOM])
            for i in some:
                self._open_one(i, opened)
            return
        names = self._names(self.keys[some.start : some.stop])
        folder, at, progress = os.fsencode(self._store.folder), some.start, _Progress(names)
        while at < some.stop:
            rows = (address(column) + 8 * at for column in (self._files, self.lengths))
            at += self._library.gpuzarr_open_files(some.stop - at, folder, OPEN_FLAGS, *rows, ctypes.byref(progress))
            if progress.error == _NO_FILE:
                raise self._no_file(at)
            self._check(progress.error, at)

    @property
    def numbers(self) -> np.ndarray:
        """What the system calls each file, int64; MISSING where there is none."""
        return self._files

    def close(self) -> None:
        """Close them. It may be called again."""
        if self._library is not None:
            self._library.gpuzarr_close_files(len(self._files), address(self._files))
        for opened in self._opened:
            release_all(opened, os.close)

    def read(self, columns: Columns, some: range, into: np.ndarray) -> None:
        """Read some of the ranges into `into`, bytes in host memory.

        `columns`, int64 arrays: the number of the file of each, the place in `into`, the offset in the file, the bytes.
        """
        if len(some) < len(columns[0]):
            columns = cast(Columns, tuple(column[some.start : some.stop] for column in columns))
        if len(some) >= MIN_TOGETHER and (library := native.library()) is not None:
            self._read_together(library, columns, into)
            return
        target = memoryview(into)
        for number, start, offset, size in zip(*[column.tolist() for column in columns], strict=True):
            if size:
                self.read_one(number, target[start : start + size], offset)

    def _read_together(self, library: Any, columns: Columns, into: np.ndarray) -> None:
        objects, starts, offsets, sizes = columns
        if int((starts + sizes).max()) > len(into):
            raise ValueError("the ranges are larger than their memory")
        arrays = [np.ascontiguousarray(each, np.int64) for each in (objects, address(into) + starts, offsets, sizes)]
        at, files, progress = 0, address(self._files), _Progress()
        while at < len(sizes):
            rows = [address(each) + 8 * at for each in arrays]
            at += library.gpuzarr_read_ranges(len(sizes) - at, files, *rows, ctypes.byref(progress))
            if progress.error == _SHORTER:
                raise self._shorter(int(objects[at]), int(offsets[at]) + progress.done)
            if progress.error:
                self._check(progress.error, int(objects[at]))

    def read_one(self, number: int, into: memoryview, offset: int) -> None:
        """Read from a file to the end of `into`: one system call reads less than 2 GiB."""
        file, done = int(self._files[number]), 0
        while done < len(into):
            try:
                more = os.preadv(file, (into[done:] if done else into,), offset + done)
            except OSError as error:
                raise as_store_error(error, "read", self.keys[number], self._store) from error
            if not more:
                raise self._shorter(number, offset + done)
            done += more

    def versions(self) -> list[Version | str]:
        """The version of each file, as of `version_of`."""
        if self._library is None:
            return [version_of(file) for file in self._files.tolist()]
        found = np.empty((len(self._files), 3), np.int64)
        self._library.gpuzarr_versions(len(found), address(self._files), address(found))
        inodes = found[:, 0].astype(np.uint64).tolist()
        rows = zip(inodes, found[:, 1].tolist(), found[:, 2].tolist(), strict=True)
        return [row if row[1] != MISSING else NO_VERSION for row in rows]

    def _open_one(self, i: int, opened: list[int]) -> None:
        """Open a file and find its length. An interrupt finds it noted in `opened`."""
        try:
            opened.extend(map(os.open, (self._store.path(self.keys[i]),), (OPEN_FLAGS,)))
            self._files[i] = file = opened[-1]
            self.lengths[i] = length = _length(file)
            is_file = length < MAX_SEEK_BYTES or S_ISREG(os.fstat(file).st_mode)
        except MISSING_ERRORS:
            return
        except (OSError, ValueError) as error:
            raise as_store_error(error, "read", self.keys[i], self._store) from error
        self._store.check_inside(file, self.keys[i])
        if not is_file:
            raise self._no_file(i)

    def _names(self, keys: Sequence[str]) -> bytes:
        """The keys as the system knows them, one behind the other, with zeros between them."""
        try:
            names = os.fsencode("\0".join(keys))
            if names.count(0) == max(len(keys) - 1, 0) and "\0" not in self._store.folder:
                return names
        except UnicodeEncodeError:
            pass
        for key in keys:  # one has no name
            try:
                if b"\0" in os.fsencode(self._store.path(key)):
                    raise ValueError("embedded null byte")
            except ValueError as error:
                raise as_store_error(error, "read", key, self._store) from error
        return b""

    def _check(self, errno: int, number: int) -> None:
        """Raise the error of the file with this number. There is none, or Python has looked for signals since."""
        if errno not in (0, EINTR):
            error = OSError(errno, os.strerror(errno))
            raise as_store_error(error, "read", self.keys[number], self._store) from error

    def _no_file(self, number: int) -> StoreError:
        return StoreError(f"{self.keys[number]!r} of {self._store!r} is not a file")

    def _shorter(self, number: int, end: int) -> StoreError:
        problem = f"became shorter while it was read: it ends at byte {end}"
        return StoreError(f"{self.keys[number]!r} of {self._store!r} {problem}")


def version_of(file: int | str) -> Version | str:
    """Version of a file that is open, or at a path: its inode, size and time of modification (ns).

    NO_VERSION if there is none.
    """
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return NO_VERSION
    return status.st_ino, status.st_size, status.st_mtime_ns


def _length(file: int) -> int:
    """Bytes of an open file; MAX_SEEK_BYTES of a folder, also in file systems such as tmpfs, where it has none."""
    try:
        return os.lseek(file, 0, os.SEEK_END)
    except OSError:
        if not S_ISDIR(os.fstat(file).st_mode):
            raise
        return MAX_SEEK_BYTES
