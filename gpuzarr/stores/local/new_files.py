"""Many new files that the C library writes, each beside its place, and renames: as `partial_files` does with one."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import EncodedBatch, address
from gpuzarr.stores.hidden import LOCK_SUFFIX, MAX_NAME_BYTES, PARTIAL_SUFFIX, owner
from gpuzarr.stores.local.partial_files import is_searched

MAX_FILES = 256  # of a call, which no interrupt stops


class _Ends(ctypes.Structure):
    """`Ends` of gpuzarr/native/write.c."""

    _fields_ = (("partial", ctypes.c_char_p), ("lock", ctypes.c_char_p), ("most", ctypes.c_int64))


def write(
    paths: Sequence[str], encoded: EncodedBatch, one: Callable[[int], None], fsync: bool, looks_for_locks: bool
) -> None:
    """Write chunk i of an encoded batch to paths[i].

    `one(i)` does the same for one file: where the C library could not, or where it `looks_for_locks` and somebody has
    the lock of this file. So it makes folders, waits for descriptors, and raises what is to be raised.
    """
    library, i = native.library(), 0
    while i < len(paths):
        some = slice(i, min(i + MAX_FILES, len(paths)))
        if library is not None and not fsync and len(paths) > 1:
            i += _write_some(library, paths[some], encoded.take(some), looks_for_locks)
        if i < some.stop:
            one(i)
            i += 1


def write_one(path: str, data: Any, fsync: bool, looks_for_locks: bool) -> bool:
    """Write one file. False where `write` would have to call `one`.

    It makes no EncodedBatch of it, which would take a third more time for a file of 8 KiB.
    """
    library = None if fsync or not is_searched(path) else native.library()
    if library is None:
        return False
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        return False
    if b"\0" in name:
        return False
    chunk = np.frombuffer(data, np.uint8)
    given = (_ends(looks_for_locks), ctypes.c_int64(address(chunk)), ctypes.c_int64(len(chunk)))
    return bool(library.gpuzarr_write_files(1, name, *map(ctypes.byref, given)))


def _ends(looks_for_locks: bool) -> _Ends:
    lock = LOCK_SUFFIX.encode() if looks_for_locks else None
    return _Ends(f".{owner()}{PARTIAL_SUFFIX}".encode(), lock, MAX_NAME_BYTES // 4)


def _write_some(library: Any, paths: Sequence[str], encoded: EncodedBatch, looks_for_locks: bool) -> int:
    """Write files up to the first that cannot be, or whose folder was not searched for leftovers; how many."""
    try:
        names = b"".join([os.fsencode(f"{path}\0") for path in takewhile(is_searched, paths)])
    except UnicodeEncodeError:
        return 0
    if not names or (n := names.count(b"\0")) > len(paths):
        return 0
    data = encoded.data if encoded.host is None else encoded.host
    places, sizes = address(data) + encoded.starts, np.ascontiguousarray(encoded.sizes)
    ends = ctypes.byref(_ends(looks_for_locks))
    done: int = library.gpuzarr_write_files(n, names, ends, address(places), address(sizes))
    return done
