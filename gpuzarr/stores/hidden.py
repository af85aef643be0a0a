"""Names that stores do not list: of what is still being written, of locks, and of journals.

What is written under another name than its own is called `.NAME.HOST-PID-NUMBER.partial`, beside its place. No key of
Zarr begins with a dot and ends so. Numbers begin at the start time of the process in microseconds, so that a later
process with the same id, as in a restarted container, uses other names.
"""

from __future__ import annotations

import os
import re
import threading
import time
from functools import cache
from itertools import count
from zlib import crc32

from gpuzarr.per_process import PerProcess
from gpuzarr.stores.keys import joined

PARTIAL_SUFFIX, LOCK_SUFFIX = ".partial", ".lock"
JOURNAL = ".done.journal"  # says which chunks of an array are done: `write/journal.py`
COPY_JOURNAL = ".copy.journal"  # says what is being copied: `tools/copying/destination.py`
_OWNED_NAME = re.compile(r"\..*\.[0-9a-f]{8}-\d+-\d+(-out|-gone)?\.partial", re.DOTALL)
OUT, GONE = "-out", "-gone"  # ends of an owner: of what is being replaced, and of what was
MAX_NAME_BYTES = 180  # that are kept of a name; a file system has 255 for all of it


@cache
def host() -> str:
    """Short name of this machine and its namespace of process ids."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{crc32((os.uname().nodename + space).encode()):08x}"


class _Process:
    """What this process's names begin with, numbers for them, and a lock for the search for leftovers."""

    def __init__(self) -> None:
        self.name = f"{host()}-{os.getpid()}"
        self.first = time.time_ns() // 1000
        self.numbers, self.cleaning = count(self.first), threading.Lock()


PROCESS = PerProcess(_Process)


def hidden(name: str) -> bool:
    """Return True if a name is that of something partial, of a lock or of a journal, which stores do not list."""
    return name[:1] == "." and (name.endswith((PARTIAL_SUFFIX, LOCK_SUFFIX)) or name in (JOURNAL, COPY_JOURNAL))


def is_hidden(key: str) -> bool:
    """Return True if one of the names in a key is hidden."""
    return (key[:1] == "." or "/." in key) and any(map(hidden, key.split("/")))


def is_owned(name: str) -> bool:
    """Return True if a name is one that `beside` makes."""
    return hidden(name) and _OWNED_NAME.fullmatch(name) is not None


def owner() -> str:
    """Make the middle part of names, another one for each call: the machine, the process, a number."""
    process = PROCESS.value
    return f"{process.name}-{next(process.numbers)}"


def beside(path: str, own: str) -> str:
    """The hidden key beside a key; of the root, "", directly in it. `own`: from `owner`."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{shortened(name)}.{own}{PARTIAL_SUFFIX}"


def rebased(key: str, source: str, target: str) -> str:
    """The key below `target` for one below `source`."""
    return joined(target, key[len(source) :].strip("/"))


def shortened(name: str) -> str:
    """As much of a name as a hidden name has room for."""
    if len(name) <= MAX_NAME_BYTES // 4:
        return name
    return name.encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore")
