"""Chunks that many regions of one array touch, each once, and the boxes that are wanted of them. Pure arithmetic.

One selection becomes blocks of chunks (`indexing.grid`). Of many selections several may want parts of the same chunk,
which is to be decoded once; and thousands of small ones must not cost Python work for each. So they become one table:
a row is a box of elements of a chunk, and its place in the result of one of the selections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import Boxes, address
from gpuzarr.cpu.boxes import Placement, placement
from gpuzarr.dtypes.cast import Cast, put
from gpuzarr.empty_chunk import element
from gpuzarr.indexing.box_rows import rows_of
from gpuzarr.indexing.grid import Part, distinct, of_one_shape
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis


@dataclass(frozen=True)
class Targets:
    """The results of several selections, `arrays`, each with every axis of the array (a flat one for points has its
    length first, and other axes of length 1). `stacked`: they are its parts along a first axis; None where not."""

    arrays: Sequence[Any]
    stacked: Any = None

    @property
    def results(self) -> Sequence[Any]:
        """The fewest arrays that are the results: see `ChunkBoxes.boxes`."""
        return self.arrays if self.stacked is None else (self.stacked,)


@dataclass(frozen=True)
class ChunkBoxes:
    """Boxes of elements of chunks: one or several of each chunk. All arrays are int64.

    `coords`: of the chunks, (n, ndim), each once. Box i, of m, is in chunk `chunk[i]`, in ascending order. It begins
    at element `inside[i]` of the chunk and has `each[i]` elements at distances of `step[i]`, each (m, ndim); in result
    `target[i]` it begins at `outside[i]`, and has no steps.
    """

    coords: np.ndarray
    chunk_shape: tuple[int, ...]
    chunk: np.ndarray
    inside: np.ndarray
    step: np.ndarray
    each: np.ndarray
    target: np.ndarray
    outside: np.ndarray

    def __len__(self) -> int:
        return len(self.coords)

    def split(self, most: int) -> Iterator[ChunkBoxes]:
        """Boxes of at most `most` chunks each."""
        if len(self) <= most:
            yield self
            return
        for first in range(0, len(self), most):
            end = min(first + most, len(self))
            a, b = self.heads[[first, end]].tolist()
            yield self._some(slice(a, b), slice(first, end), self.chunk[a:b] - first)

    def each_of(self, chunks: slice) -> Iterator[BoxesOfChunk]:
        """The boxes of some of the chunks, chunk by chunk."""
        heads = self.heads[chunks.start : chunks.stop + 1].tolist()
        return (BoxesOfChunk(self, number, a, b) for number, (a, b) in enumerate(pairwise(heads), chunks.start))

    def _some(self, which: Any, coords: Any, chunk: np.ndarray) -> ChunkBoxes:
        columns = (self.inside, self.step, self.each, self.target, self.outside)
        inside, step, each, target, outside = (column[which] for column in columns)
        return ChunkBoxes(self.coords[coords], self.chunk_shape, chunk, inside, step, each, target, outside)

    def some(self, numbers: np.ndarray) -> np.ndarray:
        """Coordinates of the chunks with these numbers, int64 (n, ndim)."""
        return self.coords[numbers]

    def present(self, present: np.ndarray) -> list[ChunkBoxes]:
        """Boxes of the chunks where `present` is True."""
        number = np.cumsum(present) - 1
        which = np.flatnonzero(present[self.chunk])
        return [self._some(which, present, number[self.chunk[which]])] if len(which) else []

    def destination(self, out: Targets) -> None:
        """None: the results are not one array."""
        return None

    def in_one_piece(self, shape: tuple[int, ...]) -> bool:
        return False

    @cached_property
    def heads(self) -> np.ndarray:
        """Number of the first box of each chunk, and the number of boxes, int64 (n + 1,)."""
        return np.searchsorted(self.chunk, np.arange(len(self) + 1))

    @cached_property
    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last wanted element of each chunk, numbered in C order, int64 (n,) each."""
        strides = strides_of(self.chunk_shape)
        last = (self.inside + (self.each - 1) * self.step) @ strides
        heads = self.heads[:-1]
        return np.minimum.reduceat(self.inside @ strides, heads), np.maximum.reduceat(last, heads)

    sliced = True

    def boxes(self, strides: tuple[int, ...], results: Sequence[tuple[int, ...]]) -> Boxes:
        """The boxes in bytes. `strides`: from element to element along each axis of a chunk; and, in `results`, of each
        of the results, or of the array in which they are stacked."""
        sources, steps = np.array(strides, np.int64), np.array(results, np.int64)
        target, result = np.zeros(len(self.chunk), np.int64), self.target
        if steps.shape[1] > len(strides):
            target, result, steps = result * steps[0, 0], target, steps[:, 1:]
        steps, number = steps[result], np.arange(len(self.chunk))
        target = target + (self.outside * steps).sum(axis=1)
        lists = np.full_like(self.each, -1)
        none = np.zeros((0, 2), np.int64)
        begin, moves = self.inside @ sources, self.step * sources
        return Boxes(self.chunk, begin, result, target, number, self.each, moves, steps, lists, none)

    def place(self, batch: Any, out: Targets, xp: Any, cast: Cast | None = None) -> None:
        """Copy the boxes of the chunks, a batch (n, *chunk_shape), to their places in the results; cast, on a CPU."""
        if xp is np and cast is None and (found := self.placement(batch, out)) is not None:
            found.place(address(batch) + batch.strides[0] * np.arange(len(batch)))
        else:
            self.put(slice(None), batch, out, cast)

    def placement(self, batch: np.ndarray, out: Targets) -> Placement | None:
        """How the C library places a batch of chunks; None where it cannot."""
        return self.placement_of(out, batch.dtype, batch.strides[1:])

    def placement_of(self, out: Targets, dtype: np.dtype[Any], strides: tuple[int, ...]) -> Placement | None:
        """How the C library places chunks of this dtype and these strides; None where it cannot."""
        kept = self._placements.get(name := (id(out), strides, dtype))
        if kept is None:  # with `out`, so that its id is of no other one
            kept = self._placements[name] = placement(self, out.results, dtype, strides), out
        return kept[0]

    @cached_property
    def _placements(self) -> dict[Any, tuple[Placement | None, Targets]]:
        return {}

    def put(self, which: slice, batch: Any, out: Targets, cast: Cast | None, first: int = 0) -> None:
        """Assign some of the boxes, one by one, as `place`. `first`: number of the first chunk of the batch."""
        for chunk, inside, target, outside in self._columns(which):
            put(out.arrays[target][outside], batch[(chunk - first, *inside, ...)], cast)

    def fill(self, out: Targets, value: Any, xp: Any, which: slice = slice(None)) -> None:
        """Set the places of the boxes to one value."""
        for _, _, target, outside in self._columns(which):
            out.arrays[target][outside] = element(value, out.arrays[target].dtype)

    def _columns(self, which: slice) -> Iterator[tuple[int, tuple[slice, ...], int, tuple[Any, ...]]]:
        """The chunk, the index in it, the result and the index in that of some of the boxes."""
        chunk, inside, step, each, target, outside = (
            column[which] for column in (self.chunk, self.inside, self.step, self.each, self.target, self.outside)
        )
        columns = (chunk, inside, inside + (each - 1) * step + 1, step, target, outside, outside + each)
        for number, begin, end, by, of, at, until in zip(*[column.tolist() for column in columns], strict=True):
            yield number, tuple(map(slice, begin, end, by)), of, (*map(slice, at, until), ...)

    @cached_property
    def is_whole(self) -> np.ndarray:
        """Whether all of each chunk is wanted, in one place alone, bool (n,)."""
        heads = self.heads
        alone = np.diff(heads) == 1
        whole: np.ndarray = alone & (self.each[heads[:-1]] == self.chunk_shape).all(axis=1)
        return whole


@dataclass(frozen=True)
class BoxesOfChunk:
    """The boxes `first` to `end - 1` of a table: those of the chunk with this number."""

    of: ChunkBoxes
    number: int
    first: int
    end: int

    def place(self, batch: Any, out: Targets, xp: Any, cast: Cast | None = None) -> None:
        """Copy the boxes of the chunk, a batch of one, to their places in the results; cast, on a CPU."""
        if xp is np and cast is None and (found := self.of.placement(batch, out)) is not None:
            found.place_one(batch, self.number, self.first, self.end)
        else:
            self.of.put(slice(self.first, self.end), batch, out, cast, self.number)

    def fill(self, out: Targets, value: Any, xp: Any) -> None:
        """Set the places of all boxes to one value."""
        self.of.fill(out, value, xp, slice(self.first, self.end))

    def whole(self, out: Targets) -> Any:
        """The place of the chunk, if all of it is wanted in one place alone; else None."""
        if not self.of.is_whole[self.number]:
            return None
        begin = self.of.outside[self.first].tolist()
        place = tuple(slice(at, at + n) for at, n in zip(begin, self.of.chunk_shape, strict=True))
        return out.arrays[int(self.of.target[self.first])][(*place, ...)]


ReadPart = Part | ChunkBoxes


def strides_of(shape: Sequence[int]) -> np.ndarray:
    """What numbers the elements of an array of this shape in C order, int64 (ndim,)."""
    return np.array([prod(shape[axis + 1 :]) for axis in range(len(shape))], np.int64)


def boxes(
    selections: Sequence[Outer | Points], axes: tuple[Axis, ...], numbers: Sequence[int] | None = None
) -> list[ChunkBoxes]:
    """The boxes of selections whose ranges ascend, one `ChunkBoxes` for each shape of chunk that is touched.

    `numbers`: of their results (default: 0, 1, 2, ...).
    """
    rows = rows_of(selections, axes)
    target = rows.target if numbers is None else np.asarray(numbers, np.int64)[rows.target]
    rows = replace(rows, target=target)
    if not len(rows.target):
        return []
    coords, which = distinct(rows.coords, tuple(axis.count for axis in axes))
    if np.count_nonzero(which[1:] < which[:-1]):
        order = np.argsort(which, kind="stable")
        which, rows = which[order], rows.take(order)
    everything = ChunkBoxes(coords, (), which, rows.inside, rows.step, rows.each, rows.target, rows.outside)
    return list(of_one_shape(everything, axes))
