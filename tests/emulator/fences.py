"""Memory between protected pages: a kernel that reads or writes beside it ends the process, with a traceback."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Sequence

import numpy as np

from tests.emulator.arrays import DeviceArray

_LIBC = ctypes.CDLL(None, use_errno=True)
_PAGE = mmap.PAGESIZE


def fenced(pieces: Sequence[np.ndarray], at_end: Sequence[bool], offset: int = 0) -> tuple[np.ndarray, DeviceArray]:
    """Copy each piece into pages of its own, between protected ones: the addresses, and the array that owns the memory.

    A piece begins `offset` (0 to 3) bytes after a protected page, or (`at_end`) ends so many bytes before one: kernels
    may read the 4 aligned bytes around each byte.
    """
    pages = [-(-(len(piece) + offset) // _PAGE) + 1 for piece in pieces]
    memory = mmap.mmap(-1, (sum(pages) + 1) * _PAGE)
    whole = np.frombuffer(memory, np.uint8)
    base, places, first = whole.ctypes.data, [], 1
    for piece, count, ends in zip(pieces, pages, at_end, strict=True):
        end = (first + count - 1) * _PAGE - offset
        start = end - len(piece) if ends else first * _PAGE + offset
        whole[start : start + len(piece)] = piece
        places.append(base + start)
        first += count
    for fence in np.cumsum([0, *pages]).tolist():
        assert _LIBC.mprotect(ctypes.c_void_p(base + fence * _PAGE), ctypes.c_size_t(_PAGE), 0) == 0
    return np.array(places, np.uint64), whole.view(DeviceArray)
