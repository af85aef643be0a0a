"""Blocks of a copy: boxes of whole objects (shards; chunks, where there are none), as large as memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from gpuzarr.indexing.layout import Layout
from gpuzarr.metadata import Axis, RegularAxis
from gpuzarr.write.objects import bounds_of_object

ENOUGH_BYTES = 64 << 20  # of a block that reads no chunk of the source twice; a larger one is not faster
Coords = tuple[int, ...]
Region = tuple[slice, ...]


@dataclass(frozen=True)
class Block:
    """Objects of the copy, by their places in the grid: from `first` up to `end`, along each axis."""

    first: Coords
    end: Coords

    def objects(self) -> Iterator[Coords]:
        """The places of all its objects."""
        return product(*(range(a, b) for a, b in zip(self.first, self.end, strict=True)))

    def region(self, layout: Layout) -> Region:
        """The elements of the copy that are in it."""
        starts = bounds_of_object(layout, self.first)
        stops = bounds_of_object(layout, tuple(end - 1 for end in self.end))
        return tuple(slice(a, b) for (a, _), (_, b) in zip(starts, stops, strict=True))


def blocks(layout: Layout, span: Sequence[int]) -> Iterator[Block]:
    """The blocks of an array, of at most `span` objects along each axis."""
    grid = layout.outer.grid(0)
    for first in product(*(range(0, count, n) for count, n in zip(grid, span, strict=True))):
        yield Block(first, tuple(min(a + n, count) for a, n, count in zip(first, span, grid, strict=True)))


def span_of(axes: Sequence[Axis], sources: Sequence[int], itemsize: int, most: int) -> tuple[int, ...]:
    """How many objects a block has along each axis.

    It grows, up to `most` bytes, first along the axes on which it is shorter than a chunk of the source (`sources`: as
    long, for each axis of the copy), as such a chunk is decoded for each block that has a part of it. It has one object
    at least.
    """
    sizes = [axis.size if isinstance(axis, RegularAxis) else max(axis.sizes, default=1) for axis in axes]
    span = [1] * len(axes)

    def length(i: int, n: int) -> int:
        return min(sizes[i] * n, max(axes[i].length, 1))

    def fits(i: int, n: int, limit: int) -> bool:
        return itemsize * prod(length(j, n if j == i else span[j]) for j in range(len(axes))) <= limit

    def grown(i: int) -> int:
        return min(span[i] * 2, max(axes[i].count, 1))

    open_axes = set(range(len(axes)))
    while short := [i for i in open_axes if length(i, span[i]) < min(sources[i], axes[i].length)]:
        i = max(short, key=lambda i: sources[i] / length(i, span[i]))
        if fits(i, grown(i), most):
            span[i] = grown(i)
        else:
            open_axes.discard(i)
    for i in reversed(range(len(axes))):
        while span[i] < axes[i].count and fits(i, grown(i), min(most, ENOUGH_BYTES)):
            span[i] = grown(i)
    return tuple(span)


def pieces(layout: Layout, region: Region, itemsize: int, most: int) -> Iterator[Region]:
    """A region of whole shards in boxes of whole chunks inside them, of at most `most` bytes if not one chunk."""
    chunk = layout.spec.shape
    axes = [RegularAxis(each.stop - each.start, n) for each, n in zip(region, chunk, strict=True)]
    span = span_of(axes, chunk, itemsize, most)
    lengths = [n * count for n, count in zip(chunk, span, strict=True)]
    starts = (range(each.start, each.stop, n) for each, n in zip(region, lengths, strict=True))
    for first in product(*starts):
        yield tuple(slice(a, min(a + n, each.stop)) for a, n, each in zip(first, lengths, region, strict=True))
