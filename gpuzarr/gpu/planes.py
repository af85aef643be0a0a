"""Chunks whose byte shuffle is left for placement to undo (kernels/place_planes.cu).

Bit shuffles have a pass of their own: 16 bytes need 8 words of every byte's bit planes, where the transposition of a
tile in shared memory uses each word whole; and next to it the second pass costs little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import Slab
from gpuzarr.devices import Device
from gpuzarr.gpu.tables import addresses

WIDTHS = (2, 4, 8, 16)  # bytes of an element
_FEWEST = 32  # elements of a block: pieces of 16 bytes fit in, and the table of planes stays small


@dataclass(frozen=True)
class Planes:
    """Chunks on the device of which at most a byte shuffle of elements is to be undone. One item a chunk.

    Where `blocks[i]` is 0, chunk i lies as it is, at `addresses[i]`. Else it consists of blocks of so many bytes, the
    last of which may be shorter, and byte j of the elements of its block b is at `planes[first[i] + width * b + j]`.
    `held`: what owns the memory.
    """

    width: int  # bytes of an element
    addresses: np.ndarray
    blocks: np.ndarray
    first: np.ndarray
    planes: np.ndarray
    held: Any

    def cuts(self) -> tuple[np.ndarray, np.ndarray]:
        """The ways in which chunks are cut, as the kernel knows them (uint32, 4 a row), and the one of each chunk.

        A row is the bytes of a block, and how to divide by them as in `place`; that of no blocks is always there.
        """
        sizes, which = np.unique(np.concatenate([[0], self.blocks]), return_inverse=True)
        rows = [(size, *divisor(size), 0) if size else (0,) * 4 for size in sizes.tolist()]
        return np.array(rows, np.uint32), which.reshape(-1)[1:]


def divisor(extent: int) -> tuple[int, int]:
    """Multiplier and shift by which kernels divide numbers below 2**31 by `extent` > 1; source as in place.cuh."""
    power = 31 + (extent - 1).bit_length()
    return -(-(1 << power) // extent), power - 32


def placeable(width: int, block: np.ndarray, nbytes: np.ndarray) -> np.ndarray:
    """Whether the kernel can read chunks of `nbytes` bytes shuffled in blocks of `block` bytes."""
    even = (block % width == 0) & (nbytes % width == 0)
    return np.asarray(even & (block >= _FEWEST * width) & (nbytes >= _FEWEST * width) & (width in WIDTHS))


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


def whole(chunks: Slab, width: int, device: Device) -> Planes:
    """Chunks each of which was shuffled as one block. They must be `placeable`."""
    sizes, count = chunks.sizes, len(chunks)
    first, planes = table(addresses(chunks, device), sizes, sizes, np.arange(count), count, width)
    return Planes(width, np.zeros(count, np.uint64), sizes, first, planes, chunks.data)
