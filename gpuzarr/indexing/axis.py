"""Chunks that a selection touches along one axis, and the part that is wanted of each. Pure arithmetic.

A selection of an axis becomes a few `AxisRun`s: consecutive chunks of which the same part is wanted (the first chunk,
all full ones, the last).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np

from gpuzarr.batch import MAX_PYTHON_ROWS
from gpuzarr.metadata import Axis, RectilinearAxis, RegularAxis


@dataclass(frozen=True)
class AxisRun:
    """Chunks `first` to `first + count - 1` of one axis, which decode to `size` elements each.

    `inside` selects the wanted elements of each chunk: a slice, or an index array where `count` is 1. `outside` selects
    where they are in the result: `each` elements per chunk, chunk after chunk. `of_list`: an index array selected them.
    """

    first: int
    count: int
    size: int
    inside: Any
    outside: Any
    each: int
    of_list: bool = False

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

    def covers(self, axis: Axis) -> bool:
        """Return True if all elements that the axis uses of the chunks are wanted; of a range, those inside the array.

        The last chunk may reach beyond it. An index array never covers that one, as in zarr-python.
        """
        last = int(self.first) + self.count - 1
        if isinstance(axis, RectilinearAxis):
            start, end = axis.edges[last], axis.edges[last + 1]
        else:
            start, end = last * axis.size, (last + 1) * axis.size
        if self.of_list:
            return (self.each if isinstance(self.inside, slice) else len(np.unique(self.inside))) == end - start
        within = min(end, axis.length) - start
        return self.each == within and (self.count == 1 or self.each == end - start)


def listed(index: slice | np.ndarray) -> np.ndarray:
    """Index array of the elements that a slice with bounds, or an index array, selects."""
    return np.arange(index.start, index.stop, index.step) if isinstance(index, slice) else index


def starts_of(axis: Axis, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First elements and sizes of chunks along an axis, int64 (n,) each. They may decode to more: `decoded_of`."""
    if isinstance(axis, RectilinearAxis):
        edges = np.asarray(axis.edges, np.int64)
        return edges[chunks], edges[chunks + 1] - edges[chunks]
    return chunks * axis.size, np.full(len(chunks), axis.size, np.int64)


def decoded_of(axis: Axis, chunks: np.ndarray) -> np.ndarray:
    """Elements that chunks decode to along an axis, int64 (n,)."""
    if isinstance(axis, RectilinearAxis):
        return np.asarray(axis.decoded_sizes, np.int64)[chunks]
    return np.full(len(chunks), axis.size, np.int64)


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
        return _of_array(axis, index, shard_chunks)
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
    decoded, steps = decoded_of(axis, chunks), np.full(len(chunks), step)
    return _Slices(chunks, sizes, decoded, inside, outside, each, steps).runs(shard_chunks)


@dataclass(frozen=True)
class _Slices:
    """Chunks, ascending, of which slices are wanted: `each` elements, of which the first is `inside` in the chunk and
    `outside` in the result. `sizes`, `decoded`: see `starts_of`. All int64 (n,)."""

    chunks: np.ndarray
    sizes: np.ndarray
    decoded: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    each: np.ndarray
    steps: np.ndarray

    def take(self, which: np.ndarray) -> _Slices:
        """Some of the chunks."""
        columns = (self.chunks, self.sizes, self.decoded, self.inside, self.outside, self.each, self.steps)
        return _Slices(*(column[which] for column in columns))

    def runs(self, shard_chunks: int, of_list: bool = False) -> list[AxisRun]:
        """Runs of those that are alike and follow each other."""
        ends = (np.diff(self.chunks) != 1) | (np.diff(self.outside) != self.each[:-1])
        for column in (self.sizes, self.decoded, self.inside, self.each, self.steps):
            ends |= np.diff(column) != 0
        if shard_chunks:
            ends |= self.chunks[1:] % shard_chunks == 0
        firsts = np.concatenate([[0], np.flatnonzero(ends) + 1])
        counts = np.diff(firsts, append=len(self.chunks)).tolist()
        columns = (self.chunks, self.decoded, self.inside, self.outside, self.each, self.steps)
        rows = zip(counts, *(column[firsts].tolist() for column in columns), strict=True)
        return [
            AxisRun(chunk, count, size, slice(a, a + (n - 1) * step + 1, step), slice(o, o + n * count), n, of_list)
            for count, chunk, size, a, o, n, step in rows
        ]


def _of_array(axis: Axis, index: np.ndarray, shard_chunks: int) -> list[AxisRun]:
    """Runs for an index array in any order. Runs of lists are of one chunk each."""
    chunks, outside, n = chunk_of(axis, index), np.arange(len(index)), len(index)
    if is_sorted := not np.count_nonzero(chunks[1:] < chunks[:-1]):
        inside = index
    else:
        few = chunks.max() < 1 << 16
        outside = np.argsort(chunks.astype(np.uint16) if few else chunks, kind="stable")  # of so few bits a radix sort
        chunks, inside = chunks[outside], index[outside]
    heads = np.concatenate([[0], np.flatnonzero(chunks[1:] != chunks[:-1]) + 1, [n]])
    firsts, each = heads[:-1], heads[1:] - heads[:-1]
    number = np.repeat(np.arange(len(firsts)), each)
    steps = inside[np.minimum(firsts + 1, n - 1)] - inside[firsts]
    steps[each == 1] = 1
    even = _keeps(inside, steps, number) & (steps > 0)
    together = np.ones_like(even) if is_sorted else _keeps(outside, np.ones_like(steps), number)
    starts, sizes = starts_of(axis, chunks[firsts])
    decoded = decoded_of(axis, chunks[firsts])
    inside = inside - starts[number]
    is_sliced = even & together
    found: list[AxisRun] = []
    if len(firsts) > MAX_PYTHON_ROWS and is_sliced.any():
        slices = _Slices(chunks[firsts], sizes, decoded, inside[firsts], outside[firsts], each, steps)
        found = slices.take(is_sliced).runs(shard_chunks, of_list=True)
        firsts, each, decoded, even, together = (x[~is_sliced] for x in (firsts, each, decoded, even, together))
    rows = zip(*(x.tolist() for x in (chunks[firsts], firsts, each, decoded, even, together)), strict=True)
    for chunk, first, m, size, is_even, is_one in rows:
        part = slice(first, first + m)
        places = _as_slice(inside[part], is_even), _as_slice(outside[part], is_one)
        found.append(AxisRun(chunk, 1, size, *places, m, True))
    return sorted(found, key=attrgetter("first"))


def _keeps(index: np.ndarray, steps: np.ndarray, number: np.ndarray) -> np.ndarray:
    """For each part of an index array, whether its own step leads from each of its elements to the next. `number`: of
    the part of each element."""
    found = np.ones(len(steps), bool)
    inner = number[1:]
    found[inner[(index[1:] - index[:-1] != steps[inner]) & (inner == number[:-1])]] = False
    return found


def _as_slice(index: np.ndarray, is_one: bool) -> slice | np.ndarray:
    """The slice of the same elements, if `is_one` says that there is one."""
    if not is_one:
        return index
    step = int(index[1] - index[0]) if len(index) > 1 else 1
    return slice(int(index[0]), int(index[-1]) + 1, step)
