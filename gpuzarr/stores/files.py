"""How files are written: first under another name beside their place, then renamed, so that nobody sees a half.

The other name is `.NAME.HOST-PID-COUNT.partial`. No key of Zarr begins with a dot and ends so. What a killed
process left is removed by the next one that writes to the folder.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any
from zlib import crc32

SUFFIX = ".partial"
LOCK = ".lock"
OLD = 24 * 3600  # seconds after which a partial file of another machine is nobody's any more
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
SEEN_MOST = 1 << 16  # folders remembered
_counter = count()
_seen: set[str] = set()
_cleaning = threading.Lock()


def hidden(name: str) -> bool:
    """Whether a file is a partial one or a lock."""
    return name[:1] == "." and name.endswith((SUFFIX, LOCK))


class PartialFile:
    """A new file for `path` that nobody sees until `commit`. OSError where it cannot be."""

    def __init__(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        self.path, self._partial = path, f"{folder}/.{name[:180]}.{_host()}-{os.getpid()}-{next(_counter)}{SUFFIX}"
        if folder not in _seen:
            prepare(folder)
        try:
            self._file = os.open(self._partial, FLAGS, 0o666)
        except FileNotFoundError:  # somebody removed the folder since
            _make(folder)
            self._file = os.open(self._partial, FLAGS, 0o666)

    def write(self, data: Any, offset: int) -> None:
        """Put bytes at `offset`."""
        data = memoryview(data)
        while len(data):
            done = os.pwrite(self._file, data, offset)
            data, offset = data[done:], offset + done

    def commit(self, fsync: bool) -> None:
        """Let the file take its place; with `fsync` it is on the disk before that, and the new name after it."""
        try:
            if fsync:
                os.fsync(self._file)
            file, self._file = self._file, -1
            os.close(file)
            os.replace(self._partial, self.path)
        except BaseException:
            self.abort()
            raise
        if fsync:
            sync_folder(self.path.rpartition("/")[0])

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
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
    with _cleaning:
        if len(_seen) > SEEN_MOST:
            _seen.clear()
        _seen.add(folder)
    try:
        with os.scandir(folder) as entries:
            left = [entry.path for entry in entries if entry.name.endswith(SUFFIX) and _dead(entry)]
    except FileNotFoundError:
        _make(folder)
    except NotADirectoryError:
        return
    else:
        remove(left)


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
    pid = rest.partition("-")[0]
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
