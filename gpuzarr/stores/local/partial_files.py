"""How files are written: first under another name beside their place, then renamed, so that nobody sees a half.

The other name is `.NAME.HOST-PID-NUMBER.partial`. No key of Zarr begins with a dot and ends so. What a killed
process left is removed by the next one that writes to the folder. Numbers begin at the time at which a process does
(microseconds), so that one with the same id, as a container has that is started again, takes none that was taken.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from io import FileIO
from itertools import count
from typing import Any
from zlib import crc32

from gpuzarr.per_process import PerProcess

SUFFIX = ".partial"
LOCK = ".lock"
OLD = 24 * 3600  # seconds after which a partial file of another machine is nobody's any more
SEEN_MOST = 1 << 16  # folders remembered
_seen: set[str] = set()


class _Process:
    """The numbers of this process's partial files, and a lock for those who look for leftovers."""

    def __init__(self) -> None:
        self.first = time.time_ns() // 1000
        self.numbers, self.cleaning = count(self.first), threading.Lock()


PROCESS = PerProcess(_Process)


def hidden(name: str) -> bool:
    """Whether a file is a partial one or a lock."""
    return name[:1] == "." and name.endswith((SUFFIX, LOCK))


class PartialFile:
    """A new file for `path` that nobody sees until `commit`. OSError where it cannot be."""

    def __init__(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        own = f"{_host()}-{os.getpid()}-{next(PROCESS.value.numbers)}"
        self.path, self._partial = path, f"{folder}/.{name[:180]}.{own}{SUFFIX}"
        if folder not in _seen:
            prepare(folder)
        try:
            self._file = self._opened(folder)
        except OSError:
            raise
        except BaseException:  # this thread was interrupted, maybe when the file was there
            remove([self._partial])
            raise

    def _opened(self, folder: str) -> FileIO:
        """An object, no number: it is closed even where an interrupt loses it."""
        try:
            return FileIO(self._partial, "xb")
        except FileNotFoundError:  # somebody removed the folder since
            _make(folder)
            return FileIO(self._partial, "xb")

    def write(self, data: Any, offset: int) -> None:
        """Put bytes at `offset`."""
        data, file = memoryview(data), self._file.fileno()
        while len(data):
            done = os.pwrite(file, data, offset)
            data, offset = data[done:], offset + done

    def commit(self, fsync: bool) -> None:
        """Let the file take its place; with `fsync` it is on the disk before that, and the new name after it."""
        try:
            if fsync:
                os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._partial, self.path)
        except BaseException:
            self.abort()
            raise
        if fsync:
            sync_folder(self.path.rpartition("/")[0])

    def abort(self) -> None:
        """Leave nothing behind."""
        try:
            self._file.close()
        finally:
            remove([self._partial])


def write(path: str, data: Any, fsync: bool = False) -> None:
    """The new file at `path`, of these bytes."""
    file = PartialFile(path)
    try:
        file.write(data, 0)
    except BaseException:
        file.abort()
        raise
    file.commit(fsync)


def remove(paths: Sequence[str]) -> None:
    """Remove files; one that is not there is no error."""
    for path in paths:
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            continue


def remove_tree(path: str) -> None:
    """Remove a folder and all in it, or a file. Locks stay: somebody holds them, or will take them next."""
    try:
        with os.scandir(path) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        return remove([path])
    for entry in found:
        if entry.name[:1] == "." and entry.name.endswith(LOCK):
            continue
        if entry.is_dir(follow_symlinks=False):
            remove_tree(entry.path)
        else:
            remove([entry.path])
    try:
        os.rmdir(path)
    except OSError:
        if os.path.isdir(path) and not os.listdir(path):
            raise
    _seen.discard(path)


def sync_folder(folder: str) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def prepare(folder: str) -> None:
    """Make a folder, or remove what dead processes left in it; it is looked through once a process."""
    with PROCESS.value.cleaning:
        if len(_seen) > SEEN_MOST:
            _seen.clear()
        _seen.add(folder)
    try:
        with os.scandir(folder) as entries:
            left = [entry.path for entry in entries if entry.name.endswith(SUFFIX) and _dead(entry)]
    except FileNotFoundError:
        return _make(folder)
    except (NotADirectoryError, PermissionError):  # who may not look may still be allowed to write
        return
    for path in left:
        with suppress(OSError):  # another user's, in a folder where these stay
            os.unlink(path)


def _make(folder: str) -> None:
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)


def _dead(entry: os.DirEntry[str]) -> bool:
    """Whether the process that made a partial file is gone: known of this machine, else by the file's age."""
    if entry.name[:1] != ".":
        return False
    host, _, rest = entry.name[: -len(SUFFIX)].rpartition(".")[2].partition("-")
    pid, _, number = rest.partition("-")
    if host == _host() and pid == str(os.getpid()) and number.isdecimal():
        return int(number) < PROCESS.value.first
    try:
        if host != _host() or not pid.isdecimal():
            return time.time() - entry.stat().st_mtime > OLD
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@cache
def _host() -> str:
    """A short name of this machine (and of its namespace of processes)."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{crc32((os.uname().nodename + space).encode()):08x}"
