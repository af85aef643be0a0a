"""Chunks of HDF5's filters bitshuffle and lz4, block by block, by one call of the C library (native/blocks.c)."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from gpuzarr import native
from gpuzarr.cpu import lz4_library, zstd_library
from gpuzarr.cpu.functions import BLOCKS_DECODE, BLOCKS_ENCODE, Call, Function, One

ZSTD_LEVEL = 3  # of blocks that are encoded, hdf5plugin's default
_CHUNK_HEADER, _BLOCK_BYTES = 12, 68  # the second is more than ZSTD_COMPRESSBOUND adds to a small block, and its header


class _Compressor(NamedTuple):
    """Addresses of a function and, of libzstd, its context; `keeper` keeps that in memory."""

    function: int | None
    context: int | None = None
    keeper: Any = None


def decoder(cname: str, elementsize: int, block: int, otherwise: One) -> Function | None:
    """The decoder, for the calling thread, of a chunk to exactly as many bytes as there is room for.

    `cname`: the compressor, "none", "lz4" or "zstd"; None where C cannot call it. `elementsize`: 0 where bits are not
    shuffled. `block`: bytes of a block, where no header says them. `otherwise`: what decodes without the C library, and
    raises CodecError for what is damaged.
    """
    inner = _compressor(cname, zstd_library.decoder, lz4_library.decoder_of_blocks)
    return None if inner is None else _function(inner, BLOCKS_DECODE, elementsize, block, otherwise)


def encoder(cname: str, elementsize: int, block: int, otherwise: One) -> Function | None:
    """The encoder, for the calling thread, of a chunk to at most `bound` bytes; arguments are those of `decoder`."""
    inner = _compressor(cname, lambda: zstd_library.encoder(ZSTD_LEVEL, False), lz4_library.encoder_of_blocks)
    return None if inner is None else _function(inner, BLOCKS_ENCODE, elementsize, block, otherwise)


def bound(nbytes: Any, block: int) -> Any:
    """The most that chunks of these sizes can become, in blocks of `block` bytes."""
    return nbytes + (nbytes >> 7) + _CHUNK_HEADER + (nbytes // block + 2) * _BLOCK_BYTES


def _compressor(cname: str, zstd: Any, lz4: Any) -> _Compressor | None:
    if cname == "none":
        return _Compressor(None)
    found = zstd() if cname == "zstd" else lz4()
    if found is None:
        return None
    return _Compressor(found.call.function, found.call.context, found) if cname == "zstd" else _Compressor(found)


def _function(inner: _Compressor, kind: int, elementsize: int, block: int, otherwise: One) -> Function:
    call = Call(kind=kind, function=inner.function, context=inner.context, element=elementsize, block=block)
    call.exact = int(kind == BLOCKS_DECODE)

    def one(target: int, capacity: int, source: int, size: int, keeper: Any = inner.keeper) -> int:
        if (library := native.library()) is not None:
            made: int = library.gpuzarr_call_one(ctypes.addressof(call), target, capacity, source, size)
            if made > 0:
                return made
        return otherwise(target, capacity, source, size)

    return Function(one, call)
