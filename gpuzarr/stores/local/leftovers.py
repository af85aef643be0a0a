"""Find and remove what killed processes have left in a folder; what they had put aside to replace it is put back.

Files of users, whatever their names end with, are left alone: only names that `beside` makes are looked at.

A process that replaces something (`creation/replacing.py`) renames the old one to a hidden name with the end
OUT, and the new one, which has the same name without that end, to its place. Of a root, whose names are renamed one by
one, the end of the old one becomes GONE when all are out: from there on the new one takes its place. What is deleted is
renamed so at once, with nothing that would take its place.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from gpuzarr.stores.hidden import GONE, MAX_NAME_BYTES, OUT, PARTIAL_SUFFIX, PROCESS, host, is_owned
from gpuzarr.stores.local.folders import remove_tree

MAX_PARTIAL_AGE_SECONDS = 24 * 3600  # what other machines have not changed for so long is left over


def clean(folder: str) -> None:
    """Remove what dead processes have left in a folder. OSError if it cannot be listed."""
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if is_left(entry)]
    for entry in sorted(found, key=lambda entry: not _end(entry.name)):  # what was put aside first
        with suppress(OSError):  # a file of another user, in a folder where only the owner removes it
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
            elif not _end(entry.name) or _put_back(folder, entry.name):
                remove_tree(folder, (entry.name,), keeps_locks=False)


def is_left(entry: os.DirEntry[str]) -> bool:
    """True for what a dead process of this library has left in a folder."""
    return is_owned(entry.name) and _dead(entry)


def will_be_put_back(name: str) -> bool:
    """True for the name of what a process had put aside to replace it, so that `clean` may put it back."""
    return bool(_end(name))


def _put_back(folder: str, hidden: str) -> bool:
    """Put back what a dead process had put aside, or complete what it began. True if the rest is to be removed."""
    name, _, own = hidden[1 : -len(PARTIAL_SUFFIX)].rpartition(".")
    aside = f"{folder}/{hidden}"
    if own.endswith(GONE):
        _into(folder, f"{folder}/.{name}.{own.removesuffix(GONE)}{PARTIAL_SUFFIX}")
    elif not name:
        _into(folder, aside)
    elif not os.path.lexists(f"{folder}/{name}"):
        if len(name.encode(errors="replace")) >= MAX_NAME_BYTES:
            return False  # it may be a part of the name
        os.rename(aside, f"{folder}/{name}")
    return True


def _into(folder: str, source: str) -> None:
    """Move what is in a folder to another, unless there is something of that name."""
    with suppress(FileNotFoundError):
        names = os.listdir(source)
        for name in sorted(names, key=lambda name: name in ("zarr.json", ".zarray", ".zgroup")):
            if not os.path.lexists(f"{folder}/{name}"):
                os.rename(f"{source}/{name}", f"{folder}/{name}")


def _end(name: str) -> str:
    own = name[: -len(PARTIAL_SUFFIX)]
    return next((end for end in (OUT, GONE) if own.endswith(end)), "")


def _dead(entry: os.DirEntry[str]) -> bool:
    """Return True if the process that made something partial has ended; for another machine, if it is old."""
    where, _, rest = entry.name[: -len(PARTIAL_SUFFIX)].rpartition(".")[2].partition("-")
    pid, _, number = rest.partition("-")
    number = number.partition("-")[0]
    if where == host() and pid == str(os.getpid()) and number.isdecimal():
        return int(number) < PROCESS.value.first
    try:
        if where != host() or not pid.isdecimal():
            return time.time() - _changed(entry) > MAX_PARTIAL_AGE_SECONDS
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _changed(entry: os.DirEntry[str]) -> float:
    """When a file, or the last of all in a folder, was changed."""
    times = [entry.stat(follow_symlinks=False).st_mtime]
    if entry.is_dir(follow_symlinks=False):
        for path, _, names in os.walk(entry.path):
            times += [os.lstat(f"{path}/{name}").st_mtime for name in (".", *names)]
    return max(times)
