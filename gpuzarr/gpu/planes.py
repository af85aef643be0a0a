"""Chunks whose byte or bit shuffle is left for placement to undo (kernels/place_planes.cu).

Bit shuffles are left only for rows of `STRIP` elements or more: single elements would need a load of every plane, so
for these a separate pass (kernels/bitshuffle.cu) costs less. `place.in_rows` finds the chunks of which rows are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices import kernels
from gpuzarr.devices.contract import Device
from gpuzarr.gpu.tables import addresses

FILE = "place_planes.cu"
WIDTHS = kernels.WIDTHS[FILE]  # bytes of an element
STRIP = 32  # elements of a row that neighbouring lanes take from bit planes
_MIN_BLOCK_ELEMENTS = 32  # so that pieces of 16 bytes fit in, and the table of planes stays small


@dataclass(frozen=True)
class Planes:
    """Chunks on the device that are decoded but for, at most, a shuffle of elements. Arrays have one item a chunk.

    Where `blocks[i]` is 0, chunk i is complete, at `addresses[i]`. Else it consists of blocks of this many bytes, of
    which the last may be shorter, and byte j of the elements of its block b is at `planes[first[i] + width * b + j]`:
    as a plane of bytes; or, where `bits[i]` is the bytes of the chunk instead of 0, as 8 planes of bits one after
    another. `held`: what owns the memory.
    """

    width: int  # bytes of an element
    addresses: np.ndarray
    blocks: np.ndarray
    first: np.ndarray
    planes: np.ndarray
    bits: np.ndarray
    held: Any

    def cuts(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct cuts into blocks, for the kernel (uint32, 4 a row), and the number of each chunk's cut.

        A row has the bytes of a block, the multiplier and shift that divide by them, and `bits`. Row 0 is that of
        chunks without blocks.
        """
        keys, which = np.unique(np.concatenate([[0], self.bits << 32 | self.blocks]), return_inverse=True)
        blocks = keys & 0xFFFFFFFF
        return np.stack([blocks, *divisors(blocks), keys >> 32], axis=1).astype(np.uint32), which.reshape(-1)[1:]


def divisors(extents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers and shifts by which kernels divide numbers below 2**31 by int64 `extents` of as much; source: see
    place.cuh. Both are 0 for an extent of 0 or 1, by which nothing is divided."""
    several = np.maximum(extents, 2)
    power = 31 + np.frexp((several - 1).astype(np.float64))[1].astype(np.int64)  # and the length in bits
    found = -(-(np.int64(1) << power) // several), power - 32
    return np.where(extents > 1, found[0], 0), np.where(extents > 1, found[1], 0)


def placeable(width: int, block: np.ndarray, nbytes: np.ndarray, bits: bool = False) -> np.ndarray:
    """Mask of the chunks of `nbytes` bytes whose bytes, or `bits`, shuffled in blocks of `block` bytes, can be left.

    c-blosc does not shuffle the bits of blocks whose elements are no multiple of 8, so every block must have one.
    """
    unit = 8 * width if bits else width
    even = (block % unit == 0) & (nbytes % unit == 0)
    known = width in WIDTHS and (bits or width > 1)
    return np.asarray(even & (block >= _MIN_BLOCK_ELEMENTS * width) & (nbytes >= _MIN_BLOCK_ELEMENTS * width) & known)


def table(
    starts: np.ndarray, sizes: np.ndarray, blocks: np.ndarray, chunk: np.ndarray, count: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The columns `first` and `planes` of `count` chunks, from all streams of their blocks, in order.

    `starts`, `sizes`, `blocks`, `chunk`: for each stream its address, its bytes, the bytes of its block, its chunk. A
    stream is one plane, or a whole block, in which planes follow each other.
    """
    each = np.where(sizes == blocks, width, 1)
    number = np.arange(int(each.sum())) - np.repeat(np.cumsum(each) - each, each)
    planes = np.repeat(starts, each) + (number * np.repeat(blocks // width, each)).astype(np.uint64)
    of_chunk = np.bincount(chunk, each, count).astype(np.int64)
    return np.cumsum(of_chunk) - of_chunk, planes


def whole(chunks: EncodedBatch, width: int, device: Device) -> Planes:
    """Planes of chunks that were each shuffled as one block. They must be `placeable`."""
    sizes, count = chunks.sizes, len(chunks)
    first, planes = table(addresses(chunks, device), sizes, sizes, np.arange(count), count, width)
    return Planes(width, np.zeros(count, np.uint64), sizes, first, planes, np.zeros(count, np.int64), chunks.data)
