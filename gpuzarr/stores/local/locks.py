"""Locks on objects of a folder, between threads and processes, by `flock` on a file beside the object."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from errno import ELOOP, ENOENT
from io import FileIO

from gpuzarr.errors import StoreError
from gpuzarr.per_process import PROCESS, forks_outside, in_child
from gpuzarr.stores.local.folders import FOLDER_FLAGS, LOCK_SUFFIX, unlink

MAX_FORK_WAIT_SECONDS = 1.0  # for files that are being opened
# never what a link leads to; opening a named pipe does not block, but is an error
OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OPEN: set[Locked] = set()
_OPENING = threading.RLock()


class Locked:
    """Context that holds the locks of all `paths`, which it takes in sorted order, so that no two callers deadlock.

    Locks are taken inside the context `errors`, which translates OSError. The kernel frees the locks of a process that
    dies. An interrupt leaves no lock held, even if the traceback is kept; `__exit__` may be called twice.
    """

    def __init__(self, paths: Sequence[str], errors: AbstractContextManager[None]) -> None:
        self._locks, self._errors = sorted(set(map(lock_of, paths))), errors
        self._files: list[tuple[str, FileIO]] = []
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
        while self._files:
            _free(*self._files[-1])
            self._files.pop()
        _OPEN.discard(self)

    def _take(self, lock: str) -> None:
        """Take a lock: wait for it, and again if its file was removed meanwhile."""
        while True:
            self._open(lock)
            file = self._files[-1][1]
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(file, lock):
                return
            self._files.pop()[1].close()

    def _open(self, lock: str) -> None:
        """Open the file of a lock, made where it is missing; a symbolic link in its place is removed."""
        for make_way in (_make_folder, _remove_link, _make_folder):
            try:
                return self._note(lock)
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
    return f"{folder}/.{name[:200]}{LOCK_SUFFIX}"


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
    os.makedirs(lock.rpartition("/")[0], exist_ok=True)


def _remove_link(lock: str) -> None:
    """Remove a link, under the lock of its folder: it may be removed, and the lock made, by another process."""
    folder = os.open(lock.rpartition("/")[0], FOLDER_FLAGS)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if os.path.islink(lock):
            unlink(lock.rpartition("/")[2], folder)
    finally:
        os.close(folder)


def _is_at(file: FileIO, path: str) -> bool:
    """Return True if the open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
