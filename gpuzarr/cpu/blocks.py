"""Chunks in blocks, as HDF5's filters bitshuffle and lz4 make them, on the CPU (native/blocks.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.cpu import lz4_library, zstd_library
from gpuzarr.cpu.chunk_format import Called, ChunkFormat
from gpuzarr.cpu.chunkwise import Fill
from gpuzarr.cpu.functions import BLOCKS_DECODE, BLOCKS_ENCODE, Call

ZSTD_LEVEL = 3  # of blocks that are encoded, hdf5plugin's default
_DECLARED = 8  # bytes of the decoded size, at the beginning of a chunk with a compressor
_CHUNK_HEADER, _BLOCK_BYTES = 12, 68  # the second is more than ZSTD_COMPRESSBOUND adds to a small block, and its header


def block_format(
    name: str, cname: str, elementsize: int, block: int, fill: Fill, encoded: Callable[[np.ndarray], bytes]
) -> ChunkFormat:
    """The format of chunks in blocks.

    `cname`: the compressor, "none", "lz4" or "zstd". `elementsize`: 0 where bits are not shuffled. `block`: bytes of a
    block, where no header says them.
    """

    def call(compressor: Called | None, kind: int) -> Called | None:
        if compressor is None:
            return None
        function, context = compressor.call.function, compressor.call.context
        made = Call(kind=kind, function=function, context=context, element=elementsize, block=block)
        made.exact = int(kind == BLOCKS_DECODE)
        return Called(made, compressor)

    return ChunkFormat(
        name,
        lambda: call(_decompressor(cname), BLOCKS_DECODE),
        lambda: call(_compressor(cname), BLOCKS_ENCODE),
        lambda nbytes: nbytes + (nbytes >> 7) + _CHUNK_HEADER + (nbytes // block + 2) * _BLOCK_BYTES,
        lambda chunk: len(chunk) if cname == "none" else int.from_bytes(chunk[:_DECLARED].tobytes(), "big"),
        fill,
        encoded,
    )


def _decompressor(cname: str) -> Called | None:
    if cname == "zstd":
        return _kept(zstd_library.decoder())
    return Called(Call()) if cname == "none" else _lz4(lz4_library.decoder_of_blocks())


def _compressor(cname: str) -> Called | None:
    if cname == "zstd":
        return _kept(zstd_library.encoder(ZSTD_LEVEL, False))
    return Called(Call()) if cname == "none" else _lz4(lz4_library.encoder_of_blocks())


def _kept(function: Any) -> Called | None:
    return None if function is None else Called(function.call, function)


def _lz4(function: int | None) -> Called | None:
    return None if function is None else Called(Call(function=function))
