"""How large blocks of samples are, and where they begin: along chunks, and as large as it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from operator import itemgetter

import numpy as np

from gpuzarr.errors import ArgumentError
from gpuzarr.loader.order.shuffle import BlockShuffle
from gpuzarr.loader.space.alignment import Scale
from gpuzarr.loader.space.columns import Arrays, Box, Column
from gpuzarr.loader.space.samples import Patch, Rows
from gpuzarr.metadata import Axis, RectilinearAxis

WINDOW_BYTES = 1 << 30  # of decoded chunks, up to which blocks become larger than the largest chunk
BLOCKS_PER_WINDOW = 4  # of all blocks there are at least so many times as many as are mixed, or they do not
OVERHANG = 1 / 4  # of a block: more than that is read beyond it, and again for its neighbours, if it is not larger


@dataclass(frozen=True)
class Cuts:
    """Where blocks begin along an axis of a store: at multiples of `size`; or at some of `edges`, those of chunks that
    differ, with at least about `size` elements between."""

    size: int
    edges: tuple[int, ...] = ()

    def between(self, first: int, last: int) -> np.ndarray:
        """Those behind a place, up to another one, int64."""
        if not self.edges:
            return np.arange((first // self.size + 1) * self.size, last + 1, self.size, dtype=np.int64)
        edges = np.array(self.edges, np.int64)
        edges = edges[np.concatenate([[True], np.diff(edges // self.size) > 0])]
        return edges[(edges > first) & (edges <= last)]

    def count(self, first: int, last: int) -> int:
        """The number of blocks between two places, at most."""
        cells = (last - first) // self.size + 2
        return min(cells, len(self.edges) + 1) if self.edges else cells

    def times(self, factor: int) -> Cuts:
        """Larger blocks."""
        return Cuts(self.size * factor, self.edges)


def cuts_of(
    arrays: Arrays,
    columns: Sequence[Column],
    sample: Patch | Rows,
    found: Sequence[Sequence[Box]],
    shuffle: BlockShuffle | None,
) -> list[tuple[Cuts, ...]]:
    """Where blocks begin along each axis of each store, of which samples lie in the boxes `found`."""
    stores = range(len(found))
    if shuffle is not None and shuffle.block is not None:
        sizes = shuffle.block if isinstance(shuffle.block, tuple) else (shuffle.block,) * len(columns)
        if len(sizes) != len(columns):
            raise ArgumentError(f"BlockShuffle(block={sizes}) needs {len(columns)} sizes, one for each axis of samples")
        return [tuple(map(Cuts, sizes)) for _ in stores]
    least = [tuple([_by_chunks(arrays, column, store) for column in columns]) for store in stores]
    if not any(reach := [_overhang(column, sample) for column in columns]):
        return least
    factors = _Growth(arrays, columns, reach, found, least, 1 if shuffle is None else shuffle.blocks).factors()
    return [tuple(map(Cuts.times, of, factors)) for of in least]


def _by_chunks(arrays: Arrays, column: Column, store: int) -> Cuts:
    """Blocks as large as the largest chunks of all arrays, and at least as large as a patch."""
    size, axis, scale = _largest_chunk(arrays, column, store)
    if isinstance(axis, RectilinearAxis):
        return Cuts(max(column.size, 1), tuple([ceil(scale.shift + edge * scale.size) for edge in axis.edges]))
    return Cuts(-(-column.size // size) * size)


def _largest_chunk(arrays: Arrays, column: Column, store: int) -> tuple[int, Axis, Scale]:
    """Elements of the first array that the largest chunks of any array have along an axis, and which axis that is."""
    found = []
    for name, each in arrays.items():
        axis, scale = each[store].layout.axes[column.axes[name]], column.scales[name]
        found.append((max(ceil(_chunk_length(axis) * scale.size), 1), axis, scale))
    return max(found, key=itemgetter(0))


def _chunk_length(axis: Axis) -> int:
    """Elements of a chunk, or of chunks of several lengths the mean."""
    return -(-axis.edges[-1] // max(axis.count, 1)) if isinstance(axis, RectilinearAxis) else axis.size


def _overhang(column: Column, sample: Patch | Rows) -> int:
    """Elements that samples of a block may have beyond it."""
    if not column.is_patch:
        return column.before + column.after
    is_random = isinstance(sample, Patch) and sample.is_random
    return max(column.size - (1 if is_random else column.stride), 0)


@dataclass(frozen=True)
class _Growth:
    """Blocks of chunks that neighbours share become larger, so that less is decoded twice.

    `reach`: what samples may have beyond a block, along each axis. `found`, `least`: the boxes of samples, and the
    smallest blocks, of each store. `mixed`: the number of blocks that are decoded at a time.
    """

    arrays: Arrays
    columns: Sequence[Column]
    reach: Sequence[int]
    found: Sequence[Sequence[Box]]
    least: Sequence[tuple[Cuts, ...]]
    mixed: int

    def factors(self) -> list[int]:
        """By how many times larger, along each axis: of the largest store, and so of all."""
        first = next(iter(self.arrays.values()))
        store = max(range(len(first)), key=lambda number: first[number].size)
        found = [1] * len(self.columns)
        while max(shares := self._shares(found, store)) > OVERHANG:
            axis = shares.index(max(shares))
            larger = [n + max(1, n // 4) if i == axis else n for i, n in enumerate(found)]
            if self._nbytes(larger, store) * self.mixed > WINDOW_BYTES:
                break
            if self._blocks(larger) < self.mixed * BLOCKS_PER_WINDOW:
                break
            found = larger
        return found

    def _sizes(self, factors: Sequence[int], store: int) -> list[int]:
        return [_mean(cuts) * factor for cuts, factor in zip(self.least[store], factors, strict=True)]

    def _shares(self, factors: Sequence[int], store: int) -> list[float]:
        """What is read beyond a block, in whole chunks, as part of it."""
        first, found = next(iter(self.arrays)), []
        for size, reach, column in zip(self._sizes(factors, store), self.reach, self.columns, strict=True):
            chunk = _largest_chunk(self.arrays, column, store)[0]
            is_all = size >= self.arrays[first][store].shape[column.axes[first]]
            found.append(0.0 if is_all else -(-reach // chunk) * chunk / size)
        return found

    def _nbytes(self, factors: Sequence[int], store: int) -> int:
        """Bytes of the chunks that samples of a block have, about."""
        sizes, total = self._sizes(factors, store), 0
        for name, each in self.arrays.items():
            shape = [axis.length for axis in each[store].layout.axes]
            for size, column in zip(sizes, self.columns, strict=True):
                place, scale = column.axes[name], column.scales[name]
                chunk = max(_chunk_length(each[store].layout.axes[place]), 1)
                wanted = ceil((size + column.size - 1 + column.before + column.after) / scale.size)
                shape[place] = min(-(-wanted // chunk) * chunk, max(shape[place], 1))
            total += prod(shape) * each[store].dtype.itemsize
        return total

    def _blocks(self, factors: Sequence[int]) -> int:
        total = 0
        for store, of_store in enumerate(self.found):
            sizes = self._sizes(factors, store) if of_store else []
            for box in of_store:
                total += prod([-(-(stop - start) // size) for (start, stop), size in zip(box, sizes, strict=True)])
        return total


def _mean(cuts: Cuts) -> int:
    """Elements of a block."""
    return max(cuts.size, cuts.edges[-1] // max(len(cuts.edges) - 1, 1)) if cuts.edges else cuts.size
