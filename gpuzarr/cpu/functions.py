"""Functions of installed libraries that decode or encode a chunk by addresses: called for one, or for many at once."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address

ZSTD, BLOSC_DECODE, BLOSC_ENCODE, LZ4_DECODE = range(4)  # kinds of gpuzarr/native/call.h
BLOCKS_DECODE, BLOCKS_ENCODE, LZF_DECODE, LZF_ENCODE = range(4, 8)
One = Callable[[int, int, int, int], int]
_NUMBER, _ADDRESS = ctypes.c_int64, ctypes.c_void_p


class Call(ctypes.Structure):
    """`Call` of gpuzarr/native/call.h: what the C library needs to call a function itself."""

    _fields_ = (
        *(("kind", _NUMBER), ("function", _ADDRESS), ("context", _ADDRESS), ("exact", _NUMBER)),
        *((name, _NUMBER) for name in ("level", "shuffle", "element", "block")),
        ("name", ctypes.c_char_p),
    )


@dataclass(frozen=True)
class Function:
    """A function of a library, for the calling thread.

    `one(target, capacity, source, size)`: the bytes that a chunk of `size` bytes becomes, at most `capacity` (of a
    decoder: exactly so many). CodecError for bad bytes. `call`: the same for the C library. `min_skipped`: of a chunk
    of which more bytes at its end are not wanted, something else decodes the beginning sooner.
    """

    one: One
    call: Call
    min_skipped: int = 1 << 62

    def decode_chunk(self, target: int, nbytes: int, stored: memoryview, source: int, first: int, last: int) -> None:
        """Decode a chunk, whatever part of it is wanted: a `codecs.contract.AddressDecoder`."""
        self.one(target, nbytes, source, len(stored))

    def many(self, targets: np.ndarray, capacities: np.ndarray, sources: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """The bytes that each chunk becomes. All arrays are int64 (n,). CodecError, with the index, for a bad one."""
        library, made, i = native.library(), np.zeros(len(sizes), np.int64), 0
        columns = [np.ascontiguousarray(column, np.int64) for column in (targets, capacities, sources, sizes)]
        rows = [address(column) for column in (*columns, made)]
        while i < len(sizes):
            if library is not None:
                i += library.gpuzarr_call(ctypes.addressof(self.call), len(sizes) - i, *(row + 8 * i for row in rows))
            if i < len(sizes):  # which failed, and says how when it is called from here
                made[i] = self._one(i, columns)
                i += 1
        return made

    def _one(self, i: int, columns: list[np.ndarray]) -> int:
        try:
            return self.one(*[int(column[i]) for column in columns])
        except Exception as error:
            error.index = i  # type: ignore[attr-defined]
            raise


def address_of(function: Any) -> int:
    """The address of a function that ctypes has found."""
    return ctypes.cast(function, _ADDRESS).value or 0
