"""Inflate raw DEFLATE streams (RFC 1951) of known sizes, by ISA-L; what it refuses is tried once more by zlib."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

MAX_RATIO, RATIO_BYTES = 1032, 64  # no DEFLATE stream has more bytes, inflated, for each of its own


def is_absurd(stored: int, nbytes: int) -> bool:
    """Return True if no stream of `stored` bytes can have so many bytes when it is inflated."""
    return nbytes > MAX_RATIO * stored + RATIO_BYTES


def inflated(data: Any, nbytes: int, checksum: int | None) -> bytes:
    """The `nbytes` bytes of a stream. ValueError where it has another number, or another CRC-32, or is damaged."""
    fast = _fast()
    try:
        made, is_whole = _inflated(fast, data, nbytes)
    except fast.error:
        try:
            made, is_whole = _inflated(zlib, data, nbytes)
        except zlib.error as problem:
            raise ValueError(f"its DEFLATE stream is damaged: {problem}") from problem
    if len(made) != nbytes or not is_whole:
        found = "more" if len(made) > nbytes else f"only {len(made)}"
        raise ValueError(f"its DEFLATE stream has {found} bytes, or is cut short; it should have {nbytes}")
    if checksum is not None and (crc := fast.crc32(made)) != checksum:
        raise ValueError(f"its CRC-32 is {crc:08x}, not {checksum:08x}")
    return made


def _inflated(library: Any, data: Any, nbytes: int) -> tuple[bytes, bool]:
    """At most nbytes + 1 bytes, and whether the stream ended there."""
    stream = library.decompressobj(-zlib.MAX_WBITS)
    return stream.decompress(data, nbytes + 1), stream.eof


@cache
def _fast() -> Any:
    from isal import isal_zlib

    return isal_zlib
