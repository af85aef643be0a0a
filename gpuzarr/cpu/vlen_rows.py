"""Elements of variable length, made by NumPy of rows of one width: by far fewer calls than one by one.

The C library writes rows of bytes, or of characters, which NumPy casts to strings or to objects. What rows do not
hold, as strings with a zero at their end, and very uneven lengths, are left to numcodecs.
"""

from __future__ import annotations

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address

_NUMBER = 4  # bytes of the count in front, and of each length
_BYTES, _UTF8 = range(2)  # kinds of gpuzarr/native/vlen.c
_BLOCK_BYTES = 1 << 16  # of rows that are made at once
_MOST = 8  # bytes of rows for each stored byte, at most
NOT_WHOLE, WHOLE, DECODED = range(3)


def decode(chunk: np.ndarray, target: np.ndarray, is_text: bool) -> int:
    """Decode a chunk to `target`, one axis of as many objects or strings as the chunk says in front.

    Returns DECODED; or WHOLE, if the elements are exactly the chunk, but something else has to decode them; or
    NOT_WHOLE, if they are not, or nobody has looked.
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
    if seen != DECODED or row > _BLOCK_BYTES or count * row > _MOST * len(chunk):
        return min(seen, WHOLE)
    write = library.gpuzarr_vlen_characters if wide else library.gpuzarr_vlen_bytes
    rows = np.empty(min(count, _BLOCK_BYTES // row), f"{'U' if wide else 'S'}{width}")
    for first in range(0, count, len(rows)):
        some = target[first : first + len(rows)]
        at = write(at, len(some), width, address(rows))
        some[...] = rows[: len(some)]
    return DECODED
