"""Write files under another name beside their place, then rename them, so that no reader sees half a file.

The other name is `.NAME.HOST-PID-NUMBER.partial`. No key of Zarr begins with a dot and ends so. Files that a killed
process left are removed by the next process that writes to the folder. Numbers begin at the start time of the process
in microseconds, so that a later process with the same id, as in a restarted container, uses other names.
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

PARTIAL_SUFFIX = ".partial"
LOCK_SUFFIX = ".lock"
MAX_PARTIAL_AGE_SECONDS = 24 * 3600  # older partial files of other machines are leftovers
MAX_SEEN_FOLDERS = 1 << 16  # remembered as free of leftovers
_seen: set[str] = set()


class _Process:
    """Numbers for this process's partial files, and a lock for the search for leftovers."""

    def __init__(self) -> None:
        self.first = time.time_ns() // 1000
        self.numbers, self.cleaning = count(self.first), threading.Lock()


PROCESS = PerProcess(_Process)


def hidden(name: str) -> bool:
    """Return True if a file is a partial one or a lock, which stores do not list."""
    return name[:1] == "." and name.endswith((PARTIAL_SUFFIX, LOCK_SUFFIX))


class PartialFile:
    """A new file for `path`, which is not visible there before `commit`. OSError where it cannot be written."""

    def __init__(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        own = f"{_host()}-{os.getpid()}-{next(PROCESS.value.numbers)}"
        self.path, self._partial = path, f"{folder}/.{name[:180]}.{own}{PARTIAL_SUFFIX}"
        if folder not in _seen:
            prepare(folder)
        try:
            self._file = self._opened(folder)
        except OSError:
            raise
        except BaseException:  # an interrupt, perhaps when the file existed already
            remove([self._partial])
            raise

    def _opened(self, folder: str) -> FileIO:
        """The new file, as an object and not a number, so that it is closed even if an interrupt loses it."""
        try:
            return FileIO(self._partial, "xb")
        except FileNotFoundError:  # the folder was removed meanwhile
            _make(folder)
            return FileIO(self._partial, "xb")

    def write(self, data: Any, offset: int) -> None:
        """Write bytes at `offset`."""
        data, file = memoryview(data), self._file.fileno()
        while len(data):
            done = os.pwrite(file, data, offset)
            data, offset = data[done:], offset + done

    def commit(self, fsync: bool) -> None:
        """Rename the file to its place. With `fsync` its bytes are on the disk before that, and its name after it."""
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
        """Remove the file."""
        try:
            self._file.close()
        finally:
            remove([self._partial])


def write(path: str, data: Any, fsync: bool = False) -> None:
    """Write a file of these bytes to `path`."""
    file = PartialFile(path)
    try:
        file.write(data, 0)
    except BaseException:
        file.abort()
        raise
    file.commit(fsync)


def remove(paths: Sequence[str]) -> None:
    """Remove files. A missing one is no error."""
    for path in paths:
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            continue


def remove_tree(path: str) -> None:
    """Remove a folder and everything in it, however deep, or a file. Locks stay, because they are in use."""
    waiting, folders = [path], []
    while waiting:
        try:
            with os.scandir(folder := waiting.pop()) as entries:
                found = list(entries)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            remove([folder])
            continue
        folders.append(folder)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif not (entry.name[:1] == "." and entry.name.endswith(LOCK_SUFFIX)):
                remove([entry.path])
    for folder in reversed(folders):  # those within before those around them
        _remove_empty(folder)


def _remove_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:
        if os.path.isdir(folder) and not os.listdir(folder):
            raise
    _seen.discard(folder)


def sync_folder(folder: str) -> None:
    """Flush the names in a folder to the disk."""
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def prepare(folder: str) -> None:
    """Make a folder, or remove leftovers of dead processes from it. Each process searches a folder once."""
    with PROCESS.value.cleaning:
        if len(_seen) > MAX_SEEN_FOLDERS:
            _seen.clear()
        _seen.add(folder)
    try:
        with os.scandir(folder) as entries:
            left = [entry.path for entry in entries if entry.name.endswith(PARTIAL_SUFFIX) and _dead(entry)]
    except FileNotFoundError:
        return _make(folder)
    except (NotADirectoryError, PermissionError):  # a folder that cannot be listed may still be writable
        return
    for path in left:
        with suppress(OSError):  # a file of another user, in a folder where only the owner removes it
            os.unlink(path)


def _make(folder: str) -> None:
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)


def _dead(entry: os.DirEntry[str]) -> bool:
    """Return True if the process that made a partial file has ended; for another machine, if the file is old."""
    if entry.name[:1] != ".":
        return False
    host, _, rest = entry.name[: -len(PARTIAL_SUFFIX)].rpartition(".")[2].partition("-")
    pid, _, number = rest.partition("-")
    if host == _host() and pid == str(os.getpid()) and number.isdecimal():
        return int(number) < PROCESS.value.first
    try:
        if host != _host() or not pid.isdecimal():
            return time.time() - entry.stat().st_mtime > MAX_PARTIAL_AGE_SECONDS
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@cache
def _host() -> str:
    """Short name of this machine and its namespace of process ids."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{crc32((os.uname().nodename + space).encode()):08x}"
