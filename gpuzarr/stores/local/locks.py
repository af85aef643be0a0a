"""Locks on objects of a folder, between threads and processes, by `flock` on a file beside the object."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from errno import ELOOP, ENOENT
from io import FileIO

from gpuzarr.stores.local.folders import FOLDER_FLAGS, LOCK_SUFFIX, unlink


class Locked:
    """Context that holds the locks of all `paths`, which it takes in sorted order, so that no two callers deadlock.

    Locks are taken inside the context `errors`, which translates OSError. The kernel frees the locks of a process that
    dies. An interrupt leaves no lock held, even if the traceback is kept: this is a class because a generator, which a
    traceback refers to, would stay open.
    """

    def __init__(self, paths: Sequence[str], errors: AbstractContextManager[None]) -> None:
        self._locks, self._errors, self._held = sorted(set(map(_lock, paths))), errors, ExitStack()

    def __enter__(self) -> None:
        try:
            with self._errors:
                for lock in self._locks:
                    self._take(lock)
        except BaseException:
            self._held.close()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._held.close()
        finally:
            self._held.close()  # in case an interrupt came before the first call did anything

    def _take(self, lock: str) -> None:
        file = _acquired(lock)
        try:
            self._held.callback(_free, lock, file)
        except BaseException:
            _free(lock, file)
            raise


def _lock(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name[:200]}{LOCK_SUFFIX}"


def _free(lock: str, file: FileIO) -> None:
    """Unlock, and remove the file."""
    try:
        os.unlink(lock)  # while locked: a caller that waits for it then sees that it is another file
    except FileNotFoundError:
        pass
    finally:
        try:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing would not do: a child forked meanwhile has the file open too
        finally:
            file.close()


def _acquired(lock: str) -> FileIO:
    """Take a lock: wait for it, and again if its file was removed meanwhile."""
    while True:
        file = _opened(lock)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _same(file, lock):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _opened(lock: str) -> FileIO:
    """The file of a lock, made where it is missing; a symbolic link in its place is removed."""
    for make_way in (_make_folder, _remove_link, _make_folder):
        try:
            return FileIO(lock, "ab", opener=_unlinked)
        except OSError as error:
            if error.errno not in (ENOENT, ELOOP):
                raise
            make_way(lock)
    return FileIO(lock, "ab", opener=_unlinked)


def _unlinked(path: str, flags: int) -> int:
    """Open a file, and not what a link leads to. A named pipe does not block, but is an error."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


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


def _same(file: FileIO, path: str) -> bool:
    """Return True if the open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
