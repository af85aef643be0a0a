"""HDF5's filters bitshuffle and lz4, which store a chunk in blocks, on the CPU (native/blocks.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.cpu import lz4_library, zstd_library
from gpuzarr.cpu.chunkwise import Fill
from gpuzarr.cpu.functions import BLOCKS_DECODE, BLOCKS_ENCODE, Call
from gpuzarr.cpu.native_codec import NativeCodec, OwnedCall

ZSTD_LEVEL = 3  # of encoding: hdf5plugin's default
_DECLARED = 8  # bytes of the decoded size, with which a chunk begins if there is a compressor
_HEADER, _BLOCK_OVERHEAD = 12, 68  # bytes; the latter: a block's header, and more than ZSTD_COMPRESSBOUND adds to it


def block_codec(
    name: str, cname: str, elementsize: int, block: int, fill: Fill, encoded: Callable[[np.ndarray], bytes]
) -> NativeCodec:
    """Make the codec of chunks in blocks.

    `cname`: the compressor, "none", "lz4" or "zstd". `elementsize`: 0 if bits are not shuffled. `block`: decoded bytes
    of a block, for encoding and where chunks have no header. `fill` and `encoded`: see NativeCodec.
    """

    def call(compressor: OwnedCall | None, kind: int) -> OwnedCall | None:
        if compressor is None:
            return None
        function, context = compressor.call.function, compressor.call.context
        made = Call(kind=kind, function=function, context=context, element=elementsize, block=block)
        made.exact = int(kind == BLOCKS_DECODE)
        return OwnedCall(made, compressor)

    return NativeCodec(
        name,
        lambda: call(_decompressor(cname), BLOCKS_DECODE),
        lambda: call(_compressor(cname), BLOCKS_ENCODE),
        lambda nbytes: nbytes + (nbytes >> 7) + _HEADER + (nbytes // block + 2) * _BLOCK_OVERHEAD,
        lambda chunk: len(chunk) if cname == "none" else int.from_bytes(chunk[:_DECLARED].tobytes(), "big"),
        fill,
        encoded,
    )


def _decompressor(cname: str) -> OwnedCall | None:
    if cname == "zstd":
        return _kept(zstd_library.decoder())
    return OwnedCall(Call()) if cname == "none" else _lz4(lz4_library.decompress_address())


def _compressor(cname: str) -> OwnedCall | None:
    if cname == "zstd":
        return _kept(zstd_library.encoder(ZSTD_LEVEL, False))
    return OwnedCall(Call()) if cname == "none" else _lz4(lz4_library.compress_address())


def _kept(function: Any) -> OwnedCall | None:
    return None if function is None else OwnedCall(function.call, function)


def _lz4(function: int | None) -> OwnedCall | None:
    return None if function is None else OwnedCall(Call(function=function))
