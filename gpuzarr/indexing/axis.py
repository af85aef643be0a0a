"""Which chunks along one axis a selection touches, and which part of each goes where. Pure arithmetic.

A selection of an axis becomes a few `AxisRun`s: runs of chunks of which the same part is wanted (the first chunk, all
the full ones, the last).
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

    Of each, `inside` is wanted: a slice, or an index array where count is 1. They go to `outside`
    of the result: `each` elements a chunk, one after another.
    """

    first: int
    count: int
    size: int
    inside: Any
    outside: Any
    each: int

    def part(self, start: int, stop: int) -> AxisRun:
        if start == 0 and stop == self.count:
            return self
        begin = self.outside.start
        outside = slice(begin + start * self.each, begin + stop * self.each)
        return replace(self, first=self.first + start, count=stop - start, outside=outside)

    def covers(self, axis: Axis) -> bool:
        """Whether all that the chunks have within the array, where only the last may be cut off, is wanted."""
        starts, sizes = starts_of(axis, np.array([self.first + self.count - 1]))
        within = min(int(sizes[0]), axis.length - int(starts[0]))
        wanted = self.each if isinstance(self.inside, slice) else len(np.unique(self.inside))
        return wanted == within and (self.count == 1 or wanted == self.size)


def starts_of(axis: Axis, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First element and size of these chunks."""
    if isinstance(axis, RectilinearAxis):
        edges = np.asarray(axis.edges, np.int64)
        return edges[chunks], edges[chunks + 1] - edges[chunks]
    return chunks * axis.size, np.full(len(chunks), axis.size, np.int64)


def chunk_of(axis: Axis, index: np.ndarray) -> np.ndarray:
    """The chunks in which these elements lie."""
    if isinstance(axis, RectilinearAxis):
        return np.searchsorted(np.asarray(axis.edges, np.int64), index, side="right") - 1
    return index // axis.size


def segments(axis: Axis, index: range | np.ndarray, together: int) -> list[AxisRun]:
    """The segments of one axis. `index`: a range of positive step, or an int64 array; a segment never
    crosses a multiple of `together` chunks (those of one shard; 0: there are no shards)."""
    if len(index) == 0:
        return []
    if not isinstance(index, range):
        return _of_array(axis, index)
    if index.step == 1 and isinstance(axis, RegularAxis):
        return _of_run(axis.size, index.start, index.stop, together)
    return _of_range(axis, index, together)


def _of_run(size: int, start: int, stop: int, together: int) -> list[AxisRun]:
    """Elements `start` to `stop` of equal chunks, which is what is asked for most: no array is made."""
    (first, head), (last, tail) = divmod(start, size), divmod(stop - 1, size)
    if first == last:
        return [AxisRun(first, 1, size, slice(head, tail + 1, 1), slice(0, stop - start), stop - start)]
    found = []
    if head:
        found.append(AxisRun(first, 1, size, slice(head, size, 1), slice(0, size - head), size - head))
        first += 1
    full = last + (tail == size - 1)  # the first chunk that is not wanted whole
    while first < full:
        end = min(full, (first // together + 1) * together) if together else full
        outside = slice(first * size - start, end * size - start)
        found.append(AxisRun(first, end - first, size, slice(0, size, 1), outside, size))
        first = end
    if full == last:
        found.append(AxisRun(last, 1, size, slice(0, tail + 1, 1), slice(last * size - start, stop - start), tail + 1))
    return found


def _of_range(axis: Axis, index: range, together: int) -> list[AxisRun]:
    step = index.step
    if isinstance(axis, RegularAxis) and step >= axis.size:  # one element a chunk, at most
        chunks = chunk_of(axis, np.arange(index.start, index.stop, step))
    else:
        first, last = chunk_of(axis, np.array([index[0], index[-1]])).tolist()
        chunks = np.arange(first, last + 1)
    starts, sizes = starts_of(axis, chunks)
    outside = np.maximum(-((index.start - starts) // step), 0)  # the first element of the range in each chunk
    ends = np.minimum(-((index.start - starts - sizes) // step), len(index))
    inside, each = index.start + outside * step - starts, ends - outside
    wanted = each > 0
    if not wanted.all():  # a step longer than a chunk leaves some out
        chunks, sizes, outside, inside, each = (a[wanted] for a in (chunks, sizes, outside, inside, each))
    alike = (np.diff(chunks) == 1) & (np.diff(sizes) == 0) & (np.diff(inside) == 0) & (np.diff(each) == 0)
    if together:
        alike &= chunks[1:] % together != 0
    cuts = np.concatenate([[0], np.flatnonzero(~alike) + 1, [len(chunks)]]).tolist()
    found = []
    for a, b in pairwise(cuts):
        n, size, begin, out = int(each[a]), int(sizes[a]), int(inside[a]), int(outside[a])
        part = slice(begin, begin + (n - 1) * step + 1, step)
        found.append(AxisRun(int(chunks[a]), b - a, size, part, slice(out, out + n * (b - a)), n))
    return found


def _of_array(axis: Axis, index: np.ndarray) -> list[AxisRun]:
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
