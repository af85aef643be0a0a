"""Chunks of HDF5's filter 32008, bitshuffle: blocks whose bits are shuffled, and maybe compressed.

Source: https://github.com/kiyo-masui/bitshuffle, `bshuf_h5filter.c` and README. Without a compressor there are only the
blocks. With lz4 or zstd the decoded bytes (uint64) and the bytes of a block (uint32) come first, and before each block
its compressed bytes (uint32), all big-endian. The last block has what is left of elements, a multiple of 8; fewer than
8 elements more are stored as they are. In a block, bit k of byte j of all elements is plane 8 * j + k: element e is bit
e % 8 of byte e / 8.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from gpuzarr.formats.blocks import Blocks

NAME = "gpuzarr.hdf5_bitshuffle"
HEADER, SIZE = 12, 4  # bytes of the header of a chunk, and of a block
_TARGET_BLOCK_BYTES, _LEAST_ELEMENTS = 8192, 128
_FEW_CHUNKS = 8  # that are walked one by one, in Python's numbers
_RUN_BYTES = 1 << 18  # of blocks that are unshuffled together, in a core's cache
_UINT32 = struct.Struct(">I")
_SWAPS = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))


def default_elements(elementsize: int) -> int:
    """Elements of a block where none are asked for."""
    return max(_TARGET_BLOCK_BYTES // elementsize // 8 * 8, _LEAST_ELEMENTS)


def plain_blocks(starts: np.ndarray, sizes: np.ndarray, nbytes: int, block: int, unit: int) -> Blocks:
    """The blocks of chunks without a compressor. `unit`: bytes of 8 elements."""
    good, whole = sizes == nbytes, nbytes // unit * unit
    target = np.arange(0, whole, block)
    each = np.minimum(block, whole - target)
    which = np.flatnonzero(good)
    nbytes_of = np.tile(each, len(which))
    source = (starts[which][:, None] + target).reshape(-1)
    chunk, place = np.repeat(which, len(target)), np.tile(target, len(which))
    return Blocks(chunk, source, nbytes_of, place, nbytes_of, good, starts + whole)


def compressed_blocks(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: int, unit: int) -> Blocks:
    """The blocks of chunks with a compressor that become `nbytes` bytes, by walking from one to the next.

    Few chunks are walked one by one, many at once.
    """
    whole = nbytes // unit * unit
    high, low, block = (_word(data, starts + at) for at in (0, 4, 8))
    good = (sizes >= HEADER) & (high == nbytes >> 32) & (low == nbytes & 0xFFFFFFFF) & (block > 0) & (block % unit == 0)
    at, ends, done = starts + HEADER, starts + sizes, np.zeros(len(starts), np.int64)
    found: list[Any] = []
    live = np.flatnonzero(good & (done < whole))
    if len(live) <= _FEW_CHUNKS:
        for i in live.tolist():
            blocks, at[i], good[i] = _walked(memoryview(data), int(at[i]), int(ends[i]), int(block[i]), whole)
            found.append((np.full(len(blocks[0]), i), *blocks))
        live = live[:0]
    while len(live):
        size = _word(data, at[live])
        begin = at[live] + SIZE
        fits = (begin <= ends[live]) & (size > 0) & (size <= ends[live] - begin)
        good[live[~fits]] = False
        live, begin, size = live[fits], begin[fits], size[fits]
        each = np.minimum(block[live], whole - done[live])
        found.append((live, begin, size, done[live].copy(), each))
        at[live], done[live] = begin + size, done[live] + each
        live = live[done[live] < whole]
    good &= at + (nbytes - whole) == ends
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] if found else [np.zeros(0, np.int64)] * 5
    some = np.flatnonzero(good[columns[0]])
    some = some[np.lexsort((columns[3][some], columns[0][some]))]
    chunk, source, size, target, of_block = (column[some] for column in columns)
    return Blocks(chunk, source, size, target, of_block, good, at)


def _walked(data: memoryview, at: int, end: int, block: int, whole: int) -> tuple[tuple[np.ndarray, ...], int, bool]:
    """The blocks of one chunk: where each begins, its bytes, its place in the decoded chunk, its decoded bytes.

    And where the last one ends, and whether all are there.
    """
    begins, sizes = [], []
    places = np.arange(0, whole, block)
    for _ in range(len(places)):
        if at + SIZE > end:
            break
        (size,) = _UINT32.unpack_from(data, at)
        at += SIZE
        if not 0 < size <= end - at:
            break
        begins.append(at)
        sizes.append(size)
        at += size
    n = len(begins)
    columns = np.array(begins, np.int64), np.array(sizes, np.int64), places[:n], np.minimum(block, whole - places[:n])
    return columns, at, n == len(places)


def _word(data: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The big-endian uint32 at each offset, as int64; any number beyond the end."""
    if not len(data):
        return np.zeros(len(at), np.int64)
    found = data[np.minimum(at[:, None] + np.arange(4), len(data) - 1)]
    return np.ascontiguousarray(found).view(">u4").astype(np.int64).reshape(-1)


def unshuffle(planes: np.ndarray, target: np.ndarray, block: int, elementsize: int) -> None:
    """Unshuffle blocks of `block` bytes; the last may be shorter. Both arrays are uint8 and equally long."""
    full = len(target) // block * block
    run = max(1, _RUN_BYTES // block) * block
    for at in range(0, full, run):
        end = min(at + run, full)
        target[at:end] = unshuffled(planes[at:end].reshape(-1, block), elementsize).reshape(-1)
    if full < len(target):
        target[full:] = unshuffled(planes[full:].reshape(1, -1), elementsize)[0]


def unshuffled(blocks: np.ndarray, elementsize: int) -> np.ndarray:
    """The elements of blocks, uint8 (blocks, bytes), in the same shape. A block has a multiple of 8 elements."""
    count, nbytes = blocks.shape
    planes = blocks.reshape(count, elementsize, 8, nbytes // (8 * elementsize)).transpose(0, 1, 3, 2)
    return _turned(planes).reshape(count, elementsize, -1).transpose(0, 2, 1).reshape(count, nbytes)


def shuffled(block: np.ndarray, elementsize: int) -> np.ndarray:
    """A block of the bits of elements, of which there must be a multiple of 8."""
    groups = len(block) // (8 * elementsize)
    elements = block.reshape(groups, 8, elementsize).transpose(2, 0, 1)
    return _turned(elements).transpose(0, 2, 1).reshape(-1)


def _turned(matrices: np.ndarray) -> np.ndarray:
    """Matrices of 8 x 8 bits, uint8 (..., 8), transposed. Source: Hacker's Delight, 7-3."""
    words = np.ascontiguousarray(matrices).view("<u8")
    for shift, mask in _SWAPS:
        swapped = (words ^ (words >> np.uint64(shift))) & np.uint64(mask)
        words = words ^ swapped ^ (swapped << np.uint64(shift))
    return np.asarray(words).view(np.uint8)


def encoded(data: Any, elementsize: int, block_elements: int, cname: str) -> bytes:
    """A chunk as the filter makes it. `cname`: "none", "lz4" or "zstd"."""
    chunk = np.frombuffer(data, np.uint8)
    block = (block_elements or default_elements(elementsize)) * elementsize
    whole = len(chunk) // (8 * elementsize) * 8 * elementsize
    blocks = [shuffled(chunk[at : min(at + block, whole)], elementsize).tobytes() for at in range(0, whole, block)]
    rest = chunk[whole:].tobytes()
    if cname == "none":
        return b"".join([*blocks, rest])
    made = [_compressed(each, cname) for each in blocks]
    sized = [struct.pack(">I", len(each)) + each for each in made]
    return b"".join([struct.pack(">QI", len(chunk), block), *sized, rest])


def _compressed(block: bytes, cname: str) -> bytes:
    if cname == "lz4":
        from numcodecs import lz4

        return bytes(lz4.compress(block)[4:])  # behind the size of numcodecs
    from numcodecs import zstd

    return bytes(zstd.compress(block, 3))
