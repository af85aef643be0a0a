"""Chunks that a selection touches along one axis, and the part that is wanted of each. Pure arithmetic.

A selection of an axis becomes a few `AxisRun`s: consecutive chunks of which the same part is wanted (the first chunk,
all full ones, the last).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gpuzarr.metadata import Axis, RectilinearAxis, RegularAxis


@dataclass(frozen=True)
class AxisRun:
    """Chunks `first` to `first + count - 1` of one axis, `size` elements each.

    `inside` selects the wanted elements of each chunk: a slice, or an index array where `count` is 1. `outside` selects
    where they are in the result: `each` elements per chunk, chunk after chunk.
    """

    first: int
    count: int
    size: int
    inside: Any
    outside: Any
    each: int

    def part(self, start: int, stop: int) -> AxisRun:
        """Chunks `start` to `stop - 1` of the run, counted from its first."""
        if start == 0 and stop == self.count:
            return self
        begin = self.outside.start
        outside = slice(begin + start * self.each, begin + stop * self.each)
        return replace(self, first=self.first + start, count=stop - start, outside=outside)

    @property
    def sliced(self) -> bool:
        """Whether slices say which elements are wanted and where they are in the result."""
        return isinstance(self.inside, slice) and isinstance(self.outside, slice)

    def entries(self, source: int, target: int) -> np.ndarray:
        """Bytes of each element in a chunk and in the result, int64 (each, 2), of steps of so many bytes."""
        return np.stack([listed(self.inside) * source, listed(self.outside) * target], axis=1)

    def covers(self, axis: Axis) -> bool:
        """Return True if all elements of the chunks are wanted; of a slice, those inside the array.

        The last chunk may reach beyond it. An index array never covers that one, as in zarr-python.
        """
        if not isinstance(self.inside, slice):
            return len(np.unique(self.inside)) == self.size
        starts, sizes = starts_of(axis, np.array([self.first + self.count - 1]))
        within = min(int(sizes[0]), axis.length - int(starts[0]))
        return self.each == within and (self.count == 1 or self.each == self.size)


def listed(index: slice | np.ndarray) -> np.ndarray:
    """Index array of the elements that a slice with bounds, or an index array, selects."""
    return np.arange(index.start, index.stop, index.step) if isinstance(index, slice) else index


def starts_of(axis: Axis, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First elements and sizes of chunks, int64 (n,) each."""
    if isinstance(axis, RectilinearAxis):
        edges = np.asarray(axis.edges, np.int64)
        return edges[chunks], edges[chunks + 1] - edges[chunks]
    return chunks * axis.size, np.full(len(chunks), axis.size, np.int64)


def chunk_of(axis: Axis, index: np.ndarray) -> np.ndarray:
    """Numbers of the chunks that hold the elements at `index`."""
    if isinstance(axis, RectilinearAxis):
        return np.searchsorted(np.asarray(axis.edges, np.int64), index, side="right") - 1
    return index // axis.size


def axis_runs(axis: Axis, index: range | np.ndarray, shard_chunks: int) -> list[AxisRun]:
    """Split the selection of one axis into runs of chunks.

    `index`: a range of positive step, or an int64 array. No run crosses a multiple of `shard_chunks`, the chunks of a
    shard along this axis; 0: runs may be of any length.
    """
    if len(index) == 0:
        return []
    if not isinstance(index, range):
        return _of_array(axis, index)
    if index.step == 1 and isinstance(axis, RegularAxis):
        return _of_run(axis.size, index.start, index.stop, shard_chunks)
    return _of_range(axis, index, shard_chunks)


def _of_run(size: int, start: int, stop: int, shard_chunks: int) -> list[AxisRun]:
    """Runs for elements `start` to `stop - 1` of equal chunks: the most frequent case, so it makes no arrays."""
    (first, head), (last, tail) = divmod(start, size), divmod(stop - 1, size)
    if first == last:
        return [AxisRun(first, 1, size, slice(head, tail + 1, 1), slice(0, stop - start), stop - start)]
    found = []
    if head:
        found.append(AxisRun(first, 1, size, slice(head, size, 1), slice(0, size - head), size - head))
        first += 1
    full = last + (tail == size - 1)  # one past the last chunk that is wanted whole
    while first < full:
        end = min(full, (first // shard_chunks + 1) * shard_chunks) if shard_chunks else full
        outside = slice(first * size - start, end * size - start)
        found.append(AxisRun(first, end - first, size, slice(0, size, 1), outside, size))
        first = end
    if full == last:
        found.append(AxisRun(last, 1, size, slice(0, tail + 1, 1), slice(last * size - start, stop - start), tail + 1))
    return found


def _of_range(axis: Axis, index: range, shard_chunks: int) -> list[AxisRun]:
    """Runs for a range of any positive step."""
    step = index.step
    if isinstance(axis, RegularAxis) and step >= axis.size:  # at most one element per chunk
        chunks = chunk_of(axis, np.arange(index.start, index.stop, step))
    else:
        first, last = chunk_of(axis, np.array([index[0], index[-1]])).tolist()
        chunks = np.arange(first, last + 1)
    starts, sizes = starts_of(axis, chunks)
    outside = np.maximum(-((index.start - starts) // step), 0)  # the first element of the range in each chunk
    ends = np.minimum(-((index.start - starts - sizes) // step), len(index))
    inside, each = index.start + outside * step - starts, ends - outside
    wanted = each > 0
    if not wanted.all():  # a step longer than a chunk skips some
        chunks, sizes, outside, inside, each = (a[wanted] for a in (chunks, sizes, outside, inside, each))
    alike = (np.diff(chunks) == 1) & (np.diff(sizes) == 0) & (np.diff(inside) == 0) & (np.diff(each) == 0)
    if shard_chunks:
        alike &= chunks[1:] % shard_chunks != 0
    cuts = np.concatenate([[0], np.flatnonzero(~alike) + 1, [len(chunks)]]).tolist()
    found = []
    for a, b in pairwise(cuts):
        n, size, begin, out = int(each[a]), int(sizes[a]), int(inside[a]), int(outside[a])
        part = slice(begin, begin + (n - 1) * step + 1, step)
        found.append(AxisRun(int(chunks[a]), b - a, size, part, slice(out, out + n * (b - a)), n))
    return found


def _of_array(axis: Axis, index: np.ndarray) -> list[AxisRun]:
    """Runs of one chunk each, for an index array in any order."""
    chunks = chunk_of(axis, index)
    order = np.argsort(chunks, kind="stable")
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(chunks[order])) + 1, [len(order)]]).tolist()
    found = []
    for a, b in pairwise(cuts):
        outside = order[a:b]
        chunk = chunks[outside[:1]]
        start, size = (int(x[0]) for x in starts_of(axis, chunk))
        found.append(AxisRun(int(chunk[0]), 1, size, index[outside] - start, outside, b - a))
    return found
