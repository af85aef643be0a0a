"""liblz4, by the functions that numcodecs' extension module exports; where it exports none, numcodecs decodes."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from gpuzarr.cpu.functions import LZ4_DECODE, Call, Function, address_of
from gpuzarr.errors import CodecError

HEADER = 4  # bytes before the block: the decoded size
MAX_BLOCK_BYTES = 2**31 - 1
_INVALID = "LZ4 decompression error: invalid input data"  # as numcodecs says it


def declared(header: bytes, size: int) -> int:
    """The decoded size that the header of a chunk of `size` bytes declares. CodecError where there is no block."""
    if size <= HEADER:
        raise CodecError(f"a chunk of {size} bytes is too short for a size and a block")
    return int.from_bytes(header, "little", signed=True)


def _decompress() -> Any:
    """LZ4_decompress_safe; None where it cannot be called."""
    return _function("LZ4_decompress_safe")


@cache
def _function(name: str) -> Any:
    """A function of liblz4 of source, target, source size and target capacity; None where it cannot be called."""
    import numcodecs.lz4

    try:
        function = getattr(ctypes.CDLL(numcodecs.lz4.__file__), name)
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_int
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    return function


def decompress_address() -> int | None:
    """The address of LZ4_decompress_safe; None where it cannot be called."""
    return None if (found := _decompress()) is None else address_of(found)


def compress_address() -> int | None:
    """The address of LZ4_compress_default; None where it cannot be called."""
    return None if (found := _function("LZ4_compress_default")) is None else address_of(found)


def bound(sizes: Any) -> Any:
    """The most that inputs of these sizes can become, as LZ4_COMPRESSBOUND."""
    return sizes + sizes // 255 + 16


def decode_block(target: int, nbytes: int, source: int, size: int) -> None:
    """Decode a block of `size` bytes to exactly `nbytes` bytes. CodecError for damage."""
    if max(nbytes, size) > MAX_BLOCK_BYTES:
        raise CodecError(f"a block of {size} bytes that becomes {nbytes} is too large for LZ4")
    if (decompress := _decompress()) is not None:
        if decompress(source, target, size, nbytes) != nbytes:
            raise CodecError(_INVALID)
        return
    from numcodecs.lz4 import decompress as decompress_sized

    try:
        made = decompress_sized(nbytes.to_bytes(HEADER, "little") + ctypes.string_at(source, size))
    except RuntimeError as error:
        raise CodecError(_INVALID) from error
    ctypes.memmove(target, made, nbytes)


@cache
def decoder() -> Function | None:
    """The decoder of a chunk to exactly as many bytes as there is room for; None where liblz4 cannot be called."""
    if (decompress := _decompress()) is None:
        return None

    def decode(target: int, nbytes: int, source: int, size: int) -> int:
        if (said := declared(ctypes.string_at(source, min(size, HEADER)), size)) != nbytes:
            raise CodecError(f"the header declares {said} bytes, expected {nbytes}")
        block = size - HEADER
        if block > MAX_BLOCK_BYTES or decompress(source + HEADER, target, block, nbytes) != nbytes:
            raise CodecError(_INVALID)
        return nbytes

    return Function(decode, Call(kind=LZ4_DECODE, function=address_of(decompress), exact=1))
