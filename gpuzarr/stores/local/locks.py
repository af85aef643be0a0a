"""Locks on objects of a folder, between threads and processes, by `flock` on a file beside the object."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from errno import ELOOP, ENOENT
from functools import partial
from io import FileIO

from gpuzarr.errors import StoreError
from gpuzarr.per_process import PROCESS, forks_outside, in_child
from gpuzarr.stores.hidden import LOCK_SUFFIX, shortened
from gpuzarr.stores.local.folders import in_folder, make, unlink
from gpuzarr.stores.local.permits import allowed, patiently

FILES_PER_LOCK = 16  # that reads may hold, for one that the locks of a call may
MAX_FORK_WAIT_SECONDS = 1.0  # for files that are being opened
# never what a link leads to; opening a named pipe does not block, but is an error
OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OPEN: set[Locked] = set()
_OPENING = threading.RLock()


class Locked:
    """Context that holds the locks of all `paths`, which it takes in sorted order, so that no two callers deadlock.

    Locks are taken inside the context `errors`, which translates OSError. The kernel frees the locks of a process that
    dies. An interrupt leaves no lock held, even if the traceback is kept; `__exit__` may be called twice.

    Of many locks only the first have files of their own: the others are names (hard links) of the first file, which is
    locked, and take no descriptors.
    """

    def __init__(self, paths: Sequence[str], errors: AbstractContextManager[None]) -> None:
        self._locks, self._errors = sorted(set(map(lock_of, paths))), errors
        self._files: list[tuple[str, FileIO]] = []
        self._names: list[str] = []  # more names of the first file
        self._process = PROCESS.value

    def __enter__(self) -> None:
        try:
            _OPEN.add(self)
            with self._errors:
                for lock in self._locks:
                    self._take(lock)
                if self._process is not PROCESS.value:
                    raise StoreError("this process was forked while it waited for a lock: only its parent goes on")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        while self._names:
            with suppress(OSError, ValueError):  # what is left of a lock holds nobody up; a fork has closed the file
                if _is_at(self._files[0][1], self._names[-1]):
                    os.unlink(self._names[-1])
            self._names.pop()
        while self._files:
            _free(*self._files[-1])
            self._files.pop()
        _OPEN.discard(self)

    def _take(self, lock: str) -> None:
        """Take a lock: wait for it, and again if its file was removed meanwhile."""
        while not self._named(lock):
            self._open(lock)
            file = self._files[-1][1]
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(file, lock):
                if os.fstat(file.fileno()).st_nlink == 1:
                    return
                os.unlink(lock)  # left by a process that died: its other names would be locked with this one
            file.close()
            self._files.pop()

    def _named(self, lock: str) -> bool:
        """Take a lock that nobody has as one more name of the first file. Return False if that cannot be."""
        if not self._files or len(self._files) < max(1, allowed() // FILES_PER_LOCK):
            return False
        first, file = self._files[0]
        self._names.append(lock)
        for _ in range(2):
            try:
                os.link(first, lock)
                return _is_at(file, lock)
            except FileNotFoundError:
                _make_folder(lock)
            except OSError:  # it is there, or the file system has no such links
                break
        self._names.pop()
        return False

    def _open(self, lock: str) -> None:
        """Open the file of a lock, made where it is missing; a symbolic link in its place is removed."""
        for make_way in (_make_folder, _remove_link, _make_folder):
            try:
                return patiently(partial(self._note, lock))
            except OSError as error:
                if error.errno not in (ENOENT, ELOOP):
                    raise
                make_way(lock)
        self._note(lock)

    def _note(self, lock: str) -> None:
        """Open a file by calls of C, so that an interrupt finds it noted, and a fork by `_OPENING`."""
        with _OPENING:
            opened = map(FileIO, map(os.open, (lock,), (OPEN_FLAGS,), (0o666,)), ("ab",))
            self._files.extend(zip((lock,), opened, strict=True))

    def give_up(self) -> None:
        """Close the files in a forked child: the locks are its parent's, and not freed by that."""
        for _, file in self._files:
            file.close()


def _give_up() -> None:
    while _OPEN:
        _OPEN.pop().give_up()


in_child(_give_up)
forks_outside(_OPENING, MAX_FORK_WAIT_SECONDS)


def lock_of(path: str) -> str:
    """Path of the lock of a file."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{shortened(name)}{LOCK_SUFFIX}"


def _free(lock: str, file: FileIO) -> None:
    """Remove the file of a lock that is held, and unlock.

    It may be called for one that is not held, and again after an interrupt.
    """
    if file.closed:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # does nothing where it is held
        if _is_at(file, lock):
            os.unlink(lock)  # while locked: a caller that waits for it then sees that it is another file
    except (BlockingIOError, ValueError):  # somebody else holds it; or a fork closed it just now
        pass
    except OSError:
        _unlock(file)
        raise
    _unlock(file)


def _unlock(file: FileIO) -> None:
    with suppress(ValueError):  # a fork closed it just now
        fcntl.flock(file, fcntl.LOCK_UN)  # closing would not do: a child forked meanwhile has the file open too
    file.close()


def _make_folder(lock: str) -> None:
    make(lock.rpartition("/")[0])


def _remove_link(lock: str) -> None:
    """Remove a link, under the lock of its folder: it may be removed, and the lock made, by another process."""

    def remove(folder: int) -> None:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if os.path.islink(lock):
            unlink(lock.rpartition("/")[2], folder)

    in_folder(lock.rpartition("/")[0], (), remove)


def _is_at(file: FileIO, path: str) -> bool:
    """Return True if the open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False
