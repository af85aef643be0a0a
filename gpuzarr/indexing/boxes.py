"""Chunks that many regions of one array touch, each once, and the boxes that are wanted of them. Pure arithmetic.

One selection becomes blocks of chunks (`indexing.grid`). Of many selections several may want parts of the same chunk,
which is to be decoded once; and thousands of small ones must not cost Python work for each. So they become one table:
a row is a box of elements of a chunk, and its place in the result of one of the selections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, pairwise
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import Boxes
from gpuzarr.dtypes.cast import Cast, made, put
from gpuzarr.empty_chunk import element
from gpuzarr.indexing.box_rows import rows_of
from gpuzarr.indexing.grid import Part, distinct, of_one_shape
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis

MIN_GATHERED_BOXES = 32  # of equal form, which are copied together; fewer are sooner copied one by one,
MAX_GATHERED_BYTES = 1 << 13  # and larger ones


@dataclass(frozen=True)
class Targets:
    """The results of several selections, `arrays`, each with every axis of the array (a flat one for points has its
    length first, and other axes of length 1). `stacked`: they are its parts along a first axis; None where not."""

    arrays: Sequence[Any]
    stacked: Any = None


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

    def each_of(self, chunks: slice) -> Iterator[ChunkBoxes | BoxesOfChunk]:
        """The boxes of some of the chunks, chunk by chunk; in Python ints where they are few."""
        heads = self.heads[chunks.start : chunks.stop + 1].tolist()
        columns = self._columns(slice(heads[0], heads[-1]))
        for number, (a, b) in enumerate(pairwise(heads), chunks.start):
            if b - a < MIN_GATHERED_BOXES:
                yield BoxesOfChunk(self.chunk_shape, list(islice(columns, b - a)))
            else:
                deque(islice(columns, b - a), 0)
                yield self._some(slice(a, b), slice(number, number + 1), np.zeros(b - a, np.int64))

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
        alone, forms = self._forms(out)
        for chunk, inside, target, outside in self._columns(alone):
            put(out.arrays[target][outside], batch[(chunk, *inside, ...)], cast)
        for which in forms:
            form, windows = which[0], _windows(batch, self.each[which[0]], self.step[which[0]], xp)
            found = windows[tuple(map(xp.asarray, (self.chunk[which], *self.inside[which].T)))]
            self._windows_of(form, out, xp)[self._index(which, out, xp)] = made(found, cast)

    def fill(self, out: Targets, value: Any, xp: Any) -> None:
        """Set the places of all boxes to one value."""
        for _, _, target, outside in self._columns(slice(None)):
            out.arrays[target][outside] = element(value, out.arrays[target].dtype)

    def _columns(self, which: Any) -> Iterator[tuple[int, tuple[slice, ...], int, tuple[Any, ...]]]:
        """The chunk, the index in it, the result and the index in that of some of the boxes."""
        last = self.inside + (self.each - 1) * self.step + 1
        columns = (self.chunk, self.inside, last, self.step, self.target, self.outside, self.outside + self.each)
        rows = [column[which].tolist() for column in columns]
        for chunk, begin, end, step, target, at, until in zip(*rows, strict=True):
            yield chunk, tuple(map(slice, begin, end, step)), target, (*map(slice, at, until), ...)

    def _forms(self, out: Targets) -> tuple[Any, list[np.ndarray]]:
        """Numbers of the boxes that are copied one by one, and of small ones of one form: elements, steps and array of
        the result."""
        small = np.zeros(0, np.int64)
        if (m := len(self.chunk)) >= MIN_GATHERED_BOXES and out.arrays[0].dtype.kind != "T":  # has no `_windows`
            small = np.flatnonzero(self.each.prod(axis=1) <= MAX_GATHERED_BYTES // out.arrays[0].itemsize)
        if len(small) < MIN_GATHERED_BOXES:
            return slice(None), []
        columns = [self.each, self.step] if out.stacked is not None else [self.each, self.step, self.target[:, None]]
        _, form = distinct(np.concatenate(columns, axis=1)[small], (1 << 62,) * 2)
        is_common = np.bincount(form) >= MIN_GATHERED_BOXES
        if not is_common.any():
            return slice(None), []
        small, form = small[is_common[form]], form[is_common[form]]
        order = np.argsort(form, kind="stable")
        alone = np.ones(m, bool)
        alone[small] = False
        return np.flatnonzero(alone), np.split(small[order], np.flatnonzero(np.diff(form[order])) + 1)

    def _windows_of(self, form: int, out: Targets, xp: Any) -> Any:
        """View of the results by the beginning of a box, and the elements in it."""
        result = out.arrays[self.target[form]][None] if out.stacked is None else out.stacked
        return _windows(result, self.each[form], np.ones_like(self.each[form]), xp)

    def _index(self, which: np.ndarray, out: Targets, xp: Any) -> tuple[Any, ...]:
        target = np.zeros(len(which), np.int64) if out.stacked is None else self.target[which]
        return tuple(map(xp.asarray, (target, *self.outside[which].T)))


@dataclass(frozen=True)
class BoxesOfChunk:
    """The boxes of one chunk, as `ChunkBoxes`, in Python ints. `rows`: any number, the index in the chunk, the number
    of the result, and the index in that."""

    chunk_shape: tuple[int, ...]
    rows: list[tuple[int, tuple[slice, ...], int, tuple[Any, ...]]]

    def place(self, batch: Any, out: Targets, xp: Any, cast: Cast | None = None) -> None:
        """Copy the boxes of the chunk, a batch of one, to their places in the results; cast, on a CPU."""
        chunk = batch[0]
        for _, inside, target, outside in self.rows:
            put(out.arrays[target][outside], chunk[(*inside, ...)], cast)

    def fill(self, out: Targets, value: Any, xp: Any) -> None:
        """Set the places of all boxes to one value."""
        for _, _, target, outside in self.rows:
            out.arrays[target][outside] = element(value, out.arrays[target].dtype)

    def whole(self, out: Targets) -> Any:
        """The place of the chunk, if all of it is wanted in one place alone; else None."""
        if len(self.rows) > 1:
            return None
        _, _, target, outside = self.rows[0]
        place = out.arrays[target][outside]
        return place if place.shape == self.chunk_shape else None


ReadPart = Part | ChunkBoxes


def strides_of(shape: Sequence[int]) -> np.ndarray:
    """What numbers the elements of an array of this shape in C order, int64 (ndim,)."""
    return np.array([prod(shape[axis + 1 :]) for axis in range(len(shape))], np.int64)


def _windows(array: Any, each: np.ndarray, step: np.ndarray, xp: Any) -> Any:
    """View of `array`, (n, *shape), as (n, *begins, *each): the elements of every box of this form that is in it."""
    sizes, steps = each.tolist(), step.tolist()
    reach = [(size - 1) * by + 1 for size, by in zip(sizes, steps, strict=True)]
    begins = [length - n + 1 for length, n in zip(array.shape[1:], reach, strict=True)]
    strides = array.strides[1:]
    inner = [stride * by for stride, by in zip(strides, steps, strict=True)]
    return xp.lib.stride_tricks.as_strided(array, (len(array), *begins, *sizes), (array.strides[0], *strides, *inner))


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
