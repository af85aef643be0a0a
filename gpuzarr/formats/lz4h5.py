"""Chunks of HDF5's filter 32004, lz4: blocks of LZ4, one of which is the whole chunk if it is not larger than a block.

Source: https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md, lz4; `H5Zlz4.c` there. The
decoded bytes (uint64) and the bytes of a block (uint32) come first, and before each block its stored bytes (uint32),
all big-endian. A block whose stored bytes are as many as its decoded ones is stored as it is. The last block has what
is left. Chunks of no bytes have blocks of none.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from gpuzarr.formats.hdf5_bitshuffle import HEADER, Blocks, compressed_blocks

NAME = "imagecodecs_lz4h5"
USUAL_BLOCK_BYTES = 1 << 30


def blocks_of(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: int) -> Blocks:
    """The blocks of chunks that become `nbytes` bytes."""
    found = compressed_blocks(data, starts, sizes, nbytes, 1)
    if not nbytes:
        found.good[...] = [chunk.tobytes() == bytes(HEADER) for chunk in _chunks(data, starts, sizes)]
    return found


def _chunks(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    return [data[start : start + size] for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]


def encoded(data: Any, block: int | None) -> bytes:
    """A chunk as the filter makes it, in blocks of at most `block` bytes; USUAL_BLOCK_BYTES where that is 0 or None."""
    from numcodecs import lz4

    chunk, block = np.frombuffer(data, np.uint8), block or USUAL_BLOCK_BYTES
    each, made = min(block, len(chunk)), []
    for at in range(0, len(chunk), block):
        plain = chunk[at : at + block].tobytes()
        packed = bytes(lz4.compress(plain)[4:])  # behind the size of numcodecs
        body = packed if len(packed) < len(plain) else plain
        made += [struct.pack(">I", len(body)), body]
    return b"".join([struct.pack(">QI", len(chunk), each), *made])
