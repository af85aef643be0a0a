"""Memory of large results, kept when nobody uses them any more, for those of later reads.

malloc keeps what is freed of up to 32 MiB, but asks the kernel for each larger array, which fills every page with
zeros when it is first written: a fifth of the time in which blosc-lz4 is read, and 40 % of that of uncompressed files.
What is kept here is marked as free (MADV_FREE): the kernel takes it where memory is short.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import prod
from operator import call
from typing import Any

import numpy as np

from gpuzarr.per_process import PerProcess

MIN_RESULT_BYTES = 1 << 25  # smaller ones are malloc's
MAX_RESULT_BYTES = 1 << 30  # larger ones are not kept, nor those of more than this part of the machine's memory
MEMORY_PART = 32
MAX_KEPT_BLOCKS = 4
_UNIT_BYTES = 2 << 20  # of a huge page
_FREE = getattr(mmap, "MADV_FREE", 8)


class ResultMemory:
    """Blocks of memory that no array uses. Any thread may use it, also while another one, or an interrupt, does."""

    def __init__(self) -> None:
        self._blocks: deque[mmap.mmap] = deque(maxlen=MAX_KEPT_BLOCKS)
        self._most = min(MAX_RESULT_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEMORY_PART)

    @property
    def kept_bytes(self) -> int:
        """Bytes of all blocks."""
        return sum(map(len, list(self._blocks)))

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
        """An array in a block of its own, with any values; None where NumPy's memory is as good, or there is no other.

        When it and all views of it are gone, the block is kept; then the oldest one goes, if there are too many.
        """
        nbytes = prod(map(int, shape)) * dtype.itemsize
        if not MIN_RESULT_BYTES <= nbytes <= self._most or dtype.hasobject:
            return None
        size = -(-nbytes // _UNIT_BYTES) * _UNIT_BYTES
        if (block := self._taken(size) or _new(size)) is None:
            self._blocks.clear()
            return None
        return np.ndarray(shape, dtype, np.asarray(_Block(block, self._blocks.append)))

    def _taken(self, size: int) -> mmap.mmap | None:
        """Take the smallest block that has `size` bytes, and not many more."""
        for block in sorted(self._blocks.copy(), key=len):
            if size <= len(block) <= size + size // 4:
                with suppress(ValueError):  # another thread was faster
                    self._blocks.remove(block)
                    return block
        return None


class _Block:
    """A block of memory as NumPy takes it. It is kept when the last array on it is gone.

    An interrupt that comes in a `__del__` of Python is lost: hence it is a function of C, in a slot.
    """

    __slots__ = ("__array_interface__", "__del__")

    def __init__(self, block: mmap.mmap, keep: Callable[[mmap.mmap], None]) -> None:
        address = ctypes.addressof(ctypes.c_char.from_buffer(block))
        interface = {"data": (address, False), "typestr": "|u1", "shape": (len(block),), "version": 3}
        steps = (partial(block.madvise, _FREE), partial(keep, block))
        notes: dict[str, Any] = {"__array_interface__": interface, "__del__": partial(deque, map(call, steps), 0)}
        for name, note in notes.items():
            setattr(self, name, note)


def _new(size: int) -> mmap.mmap | None:
    """A block of so many bytes, in huge pages where there are; None where the system gives none, or cannot take it."""
    try:
        block = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        block.madvise(_FREE)
    except (OSError, ValueError, OverflowError):
        return None
    with suppress(OSError):
        block.madvise(mmap.MADV_HUGEPAGE)
    return block


RESULTS = PerProcess(ResultMemory)
