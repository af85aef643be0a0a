"""Decompress streams by decompressor objects like those of Python: all of the input, and no more than expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.errors import CodecError


def decompressed(decompressor: Callable[[], Any], data: np.ndarray, nbytes: int, several: bool = True) -> bytes:
    """Decompress all streams in `data` (`several`), or the only one, to at most `nbytes` bytes.

    `decompressor()` makes an object of `bz2`, `lzma`, `zlib` or ISA-L. CodecError for a stream that is cut short, for
    more bytes, and for trailing bytes; the library's error for a damaged stream.
    """
    parts, size, rest = [], 0, data
    while True:
        stream = decompressor()
        parts.append(stream.decompress(rest, nbytes - size + 1))
        size += len(parts[-1])
        if size > nbytes:
            raise CodecError(f"decodes to more than {nbytes} bytes")
        if not stream.eof:
            raise CodecError("the stream is cut short")
        rest = stream.unused_data
        if not rest:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        if not several:
            raise CodecError(f"{len(rest)} bytes follow the stream")
