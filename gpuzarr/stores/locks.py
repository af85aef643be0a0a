"""Locks on objects of a folder, between threads and between processes, by `flock` on a file beside the object."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from gpuzarr.stores.files import LOCK


@contextmanager
def locked(paths: Sequence[str]) -> Iterator[None]:
    """Hold the locks of all `paths`. They are taken in order, so that two who want the same never wait for each other.

    The kernel frees the locks of a process that dies.
    """
    with ExitStack() as stack:
        for path in sorted(set(paths)):
            stack.enter_context(_one(path))
        yield


@contextmanager
def _one(path: str) -> Iterator[None]:
    folder, _, name = path.rpartition("/")
    lock = f"{folder}/.{name[:200]}{LOCK}"
    file = _acquired(lock, folder)
    try:
        yield
    finally:
        try:
            os.unlink(lock)  # while it is held: who waits for it sees that it is another file now
        except FileNotFoundError:
            pass
        finally:
            os.close(file)


def _acquired(lock: str, folder: str) -> int:
    while True:
        file = _opened(lock, folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _same(file, lock):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _opened(lock: str, folder: str) -> int:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _same(file: int, path: str) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
