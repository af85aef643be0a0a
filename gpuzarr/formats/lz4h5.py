"""The chunk format of HDF5's filter 32004, lz4: a header, and blocks of LZ4. A small chunk is one block.

Source: https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md, lz4; `H5Zlz4.c` there. The
header holds the decoded size of the chunk (uint64) and of a block (uint32); before each block is its stored size
(uint32). All are big-endian. A block whose stored size is its decoded size is not compressed. The last block may be
shorter. An empty chunk is a header of zeros.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from gpuzarr.formats.blocks import Blocks
from gpuzarr.formats.hdf5_bitshuffle import HEADER, compressed_blocks

NAME = "imagecodecs_lz4h5"
DEFAULT_BLOCK_BYTES = 1 << 30


def blocks_of(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: int) -> Blocks:
    """The blocks of chunks that decode to `nbytes` bytes each."""
    found = compressed_blocks(data, starts, sizes, nbytes, 1)
    if not nbytes:
        found.good[...] = [chunk.tobytes() == bytes(HEADER) for chunk in _chunks(data, starts, sizes)]
    return found


def _chunks(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    return [data[start : start + size] for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]


def encoded(data: Any, block: int | None) -> bytes:
    """Encode a chunk as the filter does, in blocks of `block` bytes; of DEFAULT_BLOCK_BYTES if that is 0 or None."""
    from numcodecs import lz4

    chunk, block = np.frombuffer(data, np.uint8), block or DEFAULT_BLOCK_BYTES
    each, made = min(block, len(chunk)), []
    for at in range(0, len(chunk), block):
        plain = chunk[at : at + block].tobytes()
        packed = bytes(lz4.compress(plain)[4:])  # without the size that numcodecs puts before it
        body = packed if len(packed) < len(plain) else plain
        made += [struct.pack(">I", len(body)), body]
    return b"".join([struct.pack(">QI", len(chunk), each), *made])
