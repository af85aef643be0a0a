"""Locks on objects of a folder, between threads and between processes, by `flock` on a file beside the object."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from io import FileIO

from gpuzarr.stores.local.partial_files import LOCK


class Locked:
    """`with`: hold the locks of all `paths`. They are taken in order, so that two who want the same never wait for
    each other. What goes wrong while they are taken does so within `errors`.

    The kernel frees the locks of a process that dies. No interrupt of this thread leaves one held: an open lock is an
    object, and no generator, which would keep it open as long as somebody keeps the traceback.
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
            self._held.close()  # if an interrupt came before anything was done

    def _take(self, lock: str) -> None:
        file = _acquired(lock)
        try:
            self._held.callback(_free, lock, file)
        except BaseException:
            _free(lock, file)
            raise


def _lock(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name[:200]}{LOCK}"


def _free(lock: str, file: FileIO) -> None:
    try:
        os.unlink(lock)  # while it is held: who waits for it sees that it is another file now
    except FileNotFoundError:
        pass
    finally:
        try:
            fcntl.flock(file, fcntl.LOCK_UN)  # a child forked meanwhile has the file open too
        finally:
            file.close()


def _acquired(lock: str) -> FileIO:
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
    try:
        return FileIO(lock, "ab")
    except FileNotFoundError:
        os.makedirs(lock.rpartition("/")[0], exist_ok=True)
        return FileIO(lock, "ab")


def _same(file: FileIO, path: str) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
