"""Chunks whose byte or bit shuffle is left for placement to undo (kernels/place_planes.cu).

Bits are for rows only, of `STRIP` elements or more: element by element each would need a load of every plane, so there
a pass of its own (kernels/bitshuffle.cu) costs less. Of which chunks rows are wanted, `place.in_rows` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device
from gpuzarr.gpu.tables import addresses

WIDTHS = (1, 2, 4, 8, 16)  # bytes of an element
STRIP = 32  # elements of a row that lanes side by side take from bit planes
_FEWEST = 32  # elements of a block: pieces of 16 bytes fit in, and the table of planes stays small


@dataclass(frozen=True)
class Planes:
    """Chunks on the device of which at most a shuffle of elements is to be undone. One item a chunk.

    Where `blocks[i]` is 0, chunk i lies as it is, at `addresses[i]`. Else it consists of blocks of so many bytes, the
    last of which may be shorter, and byte j of the elements of its block b is at `planes[first[i] + width * b + j]`:
    as it is, or as 8 bit planes one after another. Where that is so, `bits[i]` is the bytes of the chunk; else 0.
    `held`: what owns the memory.
    """

    width: int  # bytes of an element
    addresses: np.ndarray
    blocks: np.ndarray
    first: np.ndarray
    planes: np.ndarray
    bits: np.ndarray
    held: Any

    def cuts(self) -> tuple[np.ndarray, np.ndarray]:
        """The ways in which chunks are cut, as the kernel knows them (uint32, 4 a row), and the one of each chunk.

        A row is the bytes of a block, how to divide by them as in `place`, and `bits`; that of no blocks is always
        there.
        """
        keys, which = np.unique(np.concatenate([[0], self.bits << 32 | self.blocks]), return_inverse=True)
        sizes = [(key & 0xFFFFFFFF, key >> 32) for key in keys.tolist()]
        rows = [(size, *divisor(size), bits) if size else (0,) * 4 for size, bits in sizes]
        return np.array(rows, np.uint32), which.reshape(-1)[1:]


def divisor(extent: int) -> tuple[int, int]:
    """Multiplier and shift by which kernels divide numbers below 2**31 by `extent` > 1; source as in place.cuh."""
    power = 31 + (extent - 1).bit_length()
    return -(-(1 << power) // extent), power - 32


def placeable(width: int, block: np.ndarray, nbytes: np.ndarray, bits: bool = False) -> np.ndarray:
    """Whether the kernel can read chunks of `nbytes` bytes whose bytes, or `bits`, are shuffled in blocks of `block`.

    A block of bits whose elements are no multiple of 8 is not shuffled at all, so these must be in every one.
    """
    unit = 8 * width if bits else width
    even = (block % unit == 0) & (nbytes % unit == 0)
    known = width in WIDTHS and (bits or width > 1)
    return np.asarray(even & (block >= _FEWEST * width) & (nbytes >= _FEWEST * width) & known)


def table(
    starts: np.ndarray, sizes: np.ndarray, blocks: np.ndarray, chunk: np.ndarray, count: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """`first` and `planes` of `count` chunks, from all streams of their blocks, in order.

    Of each stream: its address, its bytes, the bytes of its block, and its chunk. It is a plane, or a whole block, in
    which plane lies behind plane.
    """
    each = np.where(sizes == blocks, width, 1)
    number = np.arange(int(each.sum())) - np.repeat(np.cumsum(each) - each, each)
    planes = np.repeat(starts, each) + (number * np.repeat(blocks // width, each)).astype(np.uint64)
    of_chunk = np.bincount(chunk, each, count).astype(np.int64)
    return np.cumsum(of_chunk) - of_chunk, planes


def whole(chunks: EncodedBatch, width: int, device: Device) -> Planes:
    """Chunks each of which was shuffled as one block. They must be `placeable`."""
    sizes, count = chunks.sizes, len(chunks)
    first, planes = table(addresses(chunks, device), sizes, sizes, np.arange(count), count, width)
    return Planes(width, np.zeros(count, np.uint64), sizes, first, planes, np.zeros(count, np.int64), chunks.data)
