"""Write files under another name beside their place, then rename them, so that no reader sees half a file.

The other name is one that stores do not list (`stores/hidden.py`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from io import FileIO
from typing import Any, TypeVar

from gpuzarr.errors import StoreError
from gpuzarr.interrupts import BOTTOM, ensured, release_all
from gpuzarr.per_process import PROCESS as THIS_PROCESS
from gpuzarr.per_process import in_child
from gpuzarr.stores.hidden import PROCESS, beside, owner
from gpuzarr.stores.local import folders, leftovers
from gpuzarr.stores.local.permits import PERMITS, patiently

AGAIN_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
MAX_SEEN_FOLDERS = 1 << 16  # remembered as free of leftovers
T = TypeVar("T")
_seen: set[str] = set()
_OPEN: set[PartialFile] = set()


class PartialFile:
    """A new file for `path`, which is not visible there before `commit`. OSError where it cannot be written.

    It is opened by the process that made this object, and by `open`. `abort` may be called at any time. If it
    `is_lasting`, it is held open only with a permit; where none is free, it is opened for each piece again.
    """

    __slots__ = ("_file", "_folder", "_is_apart", "_is_committed", "_is_lasting", "_partial", "_process", "path")

    def __init__(self, path: str, is_lasting: bool = False) -> None:
        self.path, self._folder, self._partial = path, path.rpartition("/")[0], beside(path, owner())
        self._file: FileIO | None = None
        self._is_committed, self._process = False, THIS_PROCESS.value
        self._is_lasting, self._is_apart = is_lasting, False

    def open(self) -> None:
        """Make the file, once. It is an object and not a number, so that it is closed if an interrupt loses it."""
        if self._file is not None:
            return
        _OPEN.add(self)
        patiently(self._begin)
        if self._is_lasting and not PERMITS.value.take(self, 1):
            self._is_apart = True
            self._opened().close()

    def _begin(self) -> None:
        if self._folder not in _seen:
            prepare(self._folder)
        try:
            self._check_process()  # just before, so that no fork comes between
            self._file = FileIO(self._partial, "xb")
        except FileNotFoundError:  # the folder was removed meanwhile
            folders.make(self._folder)
            self._check_process()
            self._file = FileIO(self._partial, "xb")

    def write(self, data: Any, offset: int) -> None:
        """Write bytes at `offset`."""
        data, file = memoryview(data), self._opened()
        try:
            number = file.fileno()
            while len(data):
                done = os.pwrite(number, data, offset)
                data, offset = data[done:], offset + done
        finally:
            if self._is_apart:
                file.close()

    def commit(self, fsync: bool, stays_open: bool = False) -> None:
        """Rename the file to its place. With `fsync` its bytes are on the disk before that, and its name after it.

        `stays_open`: until `abort`, for `is_in_place`.
        """
        file = self._opened()
        if fsync:
            os.fsync(file.fileno())
        if stays_open:  # a call of C; some file systems tell of a full disk only where a file is closed
            patiently(lambda: deque(map(os.close, map(os.dup, (file.fileno(),))), 0))
        else:
            file.close()
        os.replace(self._partial, self.path)
        self._is_committed = True
        if fsync:
            sync_folder(self._folder)

    def is_in_place(self) -> bool:
        """Return True if this file is still the one at its path, after `commit`."""
        try:
            return os.path.samestat(os.fstat(self._opened().fileno()), os.stat(self.path))
        except FileNotFoundError:
            return False

    def abort(self) -> None:
        """Close the file, and remove it unless it is committed. A forked child only closes it."""
        if self not in _OPEN:  # it was never opened, or this has ended
            return
        try:
            if self._file is not None:
                self._file.close()
        finally:
            if not self._is_committed and self._process is THIS_PROCESS.value:
                remove([self._partial])
            PERMITS.value.give(self)
            _OPEN.discard(self)

    def give_up(self) -> None:
        """Close the file in a forked child: its parent goes on with it."""
        if self._file is not None:
            self._file.close()

    @property
    def is_pending(self) -> bool:
        """True from `open` to `commit` or `abort`."""
        return self in _OPEN

    def _opened(self) -> FileIO:
        """The open file; one for this call, if it is not held open. StoreError in a forked child."""
        self._check_process()
        assert self._file is not None
        return patiently(self._again) if self._is_apart and self._file.closed else self._file

    def _again(self) -> FileIO:
        return next(map(FileIO, map(os.open, (self._partial,), (AGAIN_FLAGS,)), ("r+b",)))  # by calls of C: no leak

    def _check_process(self) -> None:
        if self._process is not THIS_PROCESS.value:
            raise StoreError(f"{self.path!r} was begun before this process was forked: only its parent can write it")


def _give_up() -> None:
    _seen.clear()  # this process has searched no folder
    while _OPEN:
        _OPEN.pop().give_up()


in_child(_give_up)


def write(path: str, data: Any, fsync: bool = False) -> None:
    """Write a file of these bytes to `path`."""
    put(PartialFile(path), data, lambda file: file.commit(fsync))


def put(file: PartialFile, data: Any, end: Callable[[PartialFile], T]) -> T:
    """Write these bytes to a new file, and return what `end`, which commits it, returns."""

    def work() -> T:
        file.open()
        file.write(data, 0)
        return end(file)

    return ensured(work, file.abort)


def remove(paths: Sequence[str]) -> None:
    """Remove files. A missing one is no error."""
    for path in paths:
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            continue


def sync_folder(folder: str) -> None:
    """Flush the names in a folder to the disk."""
    opened: list[Any] = [BOTTOM]

    def sync() -> None:
        opened.extend(map(os.open, (folder,), (os.O_RDONLY | os.O_CLOEXEC,)))
        os.fsync(opened[1])

    ensured(lambda: patiently(sync), lambda: release_all(opened, os.close))


def is_searched(path: str) -> bool:
    """Return True if nothing is left over in the folder of a file: see `prepare`."""
    return path.rpartition("/")[0] in _seen


def prepare(folder: str, makes: bool = True) -> None:
    """Make a folder, or remove leftovers of dead processes from it. Each process searches a folder once.

    Unless it `makes` a folder, one that is missing stays so.
    """
    if not makes and (folder in _seen or not os.path.isdir(folder)):
        return
    with PROCESS.value.cleaning:
        if len(_seen) > MAX_SEEN_FOLDERS:
            _seen.clear()
        _seen.add(folder)
    try:
        leftovers.clean(folder)
    except FileNotFoundError:
        return folders.make(folder)
    except (NotADirectoryError, PermissionError):  # a folder that cannot be listed may still be writable
        return
