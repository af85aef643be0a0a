"""Streams that Python's own decompressor objects read: one or more, to the last byte, and no more than was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.errors import CodecError


def decompressed(decompressor: Callable[[], Any], data: np.ndarray, nbytes: int, several: bool = True) -> bytes:
    """The decoded bytes of all streams in `data`, or of the only one. `decompressor()` is one of `bz2`,
    `lzma`, `zlib` or ISA-L.

    CodecError for a stream that is cut, for more than `nbytes` bytes, and (by the library's error) for junk.
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
