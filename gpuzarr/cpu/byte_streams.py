"""Decompress streams by decompressor objects like those of Python: all of the input, and no more than expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.errors import CodecError

Data = np.ndarray | memoryview  # of bytes
_FIRST_PIECE_BYTES = 512  # of a stream behind another one; each further piece is twice as long


class TooLongError(CodecError):
    """Streams hold more bytes than they may."""


def decompressed(decompressor: Callable[[], Any], data: Data, nbytes: int, several: bool = True) -> bytes:
    """Decompress all streams in `data` (`several`), or the only one, to at most `nbytes` bytes.

    `decompressor()` makes an object of `bz2`, `lzma`, `zlib` or ISA-L. CodecError for a stream that is cut short, for
    more bytes, and for trailing bytes; the library's error for a damaged stream.
    """
    stream = decompressor()
    made: bytes = stream.decompress(data, nbytes + 1)
    if len(made) > nbytes:
        raise _too_long(nbytes)
    if not stream.eof:
        raise CodecError("the stream is cut short")
    rest = len(stream.unused_data)
    if rest and not several:
        raise CodecError(f"{rest} bytes follow the stream")
    return _all(made, decompressor, data, len(data) - rest, nbytes) if rest else made


def _all(first: bytes, decompressor: Callable[[], Any], data: Data, at: int, nbytes: int) -> bytes:
    """Decompress the streams from byte `at` on; all bytes, at most `nbytes`, with those of the `first` stream.

    They get their input in pieces, because a decompressor copies what follows its stream: of many streams that were
    given all of it, the time would be quadratic.
    """
    parts, left = [first], nbytes - len(first)
    while at < len(data):
        stream, length = decompressor(), _FIRST_PIECE_BYTES
        while not stream.eof:
            if at >= len(data):
                raise CodecError("the stream is cut short")
            piece = data[at : at + length]
            parts.append(stream.decompress(piece, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise _too_long(nbytes)
            at, length = at + len(piece), 2 * length
        at -= len(stream.unused_data)
    return b"".join(parts)


def _too_long(nbytes: int) -> TooLongError:
    return TooLongError(f"decodes to more than {nbytes} bytes")
