"""Headers of blocks of N5, parsed all of a batch at once.

Source: https://github.com/saalfeldlab/n5, "File-system specification" 4.0. A block is its mode (uint16), the number of
its axes (uint16) and their sizes (uint32 each), all big-endian, and then the bytes of its elements, maybe compressed.
The first axis is the one whose elements are neighbours. A block may be smaller than the chunk that it is.
"""

from __future__ import annotations

import struct

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import CodecError

MAX_SIDE, MAX_AXES = 2**32 - 1, 2**16 - 1
_MODES = {1: "varlength, of elements of variable length,", 2: "object, of a serialised Java object,"}


def header(shape: tuple[int, ...]) -> bytes:
    """That of a block of this shape."""
    return struct.pack(f">HH{len(shape)}I", 0, len(shape), *shape)


def are_whole(chunks: EncodedBatch, whole: bytes) -> bool:
    """Whether all blocks begin with the header of a whole one."""
    if len(chunks) == 1:  # in a tenth of the time
        return memoryview(chunks.on_host(0))[: len(whole)] == whole
    is_long = bool((chunks.sizes >= len(whole)).all())
    return is_long and bool((_heads(chunks, len(whole)) == np.frombuffer(whole, np.uint8)).all())


def shapes(chunks: EncodedBatch, whole: tuple[int, ...], codec: str) -> np.ndarray:
    """The shape of each block, int64 (n, axes), which is not larger than that of a `whole` one.

    CodecError, naming `codec`, for the first block with a wrong header.
    """
    ndim = len(whole)
    length = 4 + 4 * ndim
    heads = _heads(chunks, length)
    kinds = np.ascontiguousarray(heads[:, :4]).view(">u2")
    found = np.ascontiguousarray(heads[:, 4:]).view(">u4").astype(np.int64).reshape(len(chunks), ndim)
    bad = (chunks.sizes < length) | (kinds != (0, ndim)).any(axis=1) | (found > whole).any(axis=1)
    if np.count_nonzero(bad):
        i = int(np.argmax(bad))
        mode, axes = kinds[i].tolist() if chunks.sizes[i] >= 4 else (0, ndim)
        raise CodecError(f"{codec}: {_problem(int(chunks.sizes[i]), mode, axes, found[i].tolist(), whole)}", i)
    return found


def _heads(chunks: EncodedBatch, length: int) -> np.ndarray:
    """The first bytes of each block, (n, length); any bytes where a block is shorter."""
    data = chunks.data if chunks.host is None else chunks.host
    at = chunks.starts[:, None] + np.arange(length)
    return data[np.minimum(at, len(data) - 1)] if len(data) else np.zeros(at.shape, np.uint8)


def _problem(size: int, mode: int, axes: int, shape: list[int], whole: tuple[int, ...]) -> str:
    """What is wrong with a header."""
    if mode != 0:
        return f"a block in mode {mode}, {_MODES.get(mode, 'unknown,')} is not supported, only mode 0, of numbers"
    if axes != len(whole):
        return f"a block with {axes} axes, expected {len(whole)}"
    if size < 4 + 4 * len(whole):
        return f"a block of {size} bytes is shorter than its header"
    return f"a block of shape {tuple(shape)} is larger than a chunk, which has {whole}"
