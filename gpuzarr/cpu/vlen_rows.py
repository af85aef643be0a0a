"""Decode elements of variable length by way of rows of one width: in far fewer calls than one by one.

The C library writes rows of bytes or of characters, and NumPy casts them to strings or objects. Elements that rows
cannot hold (strings that end with a zero), and those of very uneven lengths, are left to numcodecs.
"""

from __future__ import annotations

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address

_NUMBER = 4  # bytes of the count, with which a chunk begins, and of each length
_BYTES, _UTF8 = range(2)  # kinds of gpuzarr/native/vlen.c
_BLOCK_BYTES = 1 << 16  # of rows that are written at once
_MAX_EXPANSION = 8  # bytes of rows for each stored byte
NOT_WHOLE, WHOLE, DECODED = range(3)


def decode(chunk: np.ndarray, target: np.ndarray, is_text: bool) -> int:
    """Decode a chunk to `target`, an array of one axis, of as many objects or strings as the chunk declares.

    Returns DECODED; WHOLE, if the elements take exactly the bytes of the chunk, but the caller has to decode them; or
    NOT_WHOLE, if they do not, or that was not checked.
    """
    library, count = native.library(), len(target)
    if library is None or not count:
        return NOT_WHOLE
    found = np.empty(2, np.int64)
    at, kind = address(chunk) + _NUMBER, _UTF8 if is_text else _BYTES
    seen: int = library.gpuzarr_vlen_measure(at, len(chunk) - _NUMBER, count, kind, address(found))
    nbytes, characters = found.tolist()
    wide = is_text and target.dtype.kind != "T"
    width = max(characters if wide else nbytes, 1)
    row = width * (4 if wide else 1)
    if seen != DECODED or row > _BLOCK_BYTES or count * row > _MAX_EXPANSION * len(chunk):
        return min(seen, WHOLE)
    write = library.gpuzarr_vlen_characters if wide else library.gpuzarr_vlen_bytes
    rows = np.empty(min(count, _BLOCK_BYTES // row), f"{'U' if wide else 'S'}{width}")
    for first in range(0, count, len(rows)):
        some = target[first : first + len(rows)]
        at = write(at, len(some), width, address(rows))
        some[...] = rows[: len(some)]
    return DECODED
