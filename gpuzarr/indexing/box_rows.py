"""Rows of the table of `indexing.boxes`: the boxes of elements that each selection wants of each chunk, as arrays.

Along one axis a selection is a few segments, ranges of equal steps; segments are cut where chunks begin, into pieces;
the boxes of a selection are the product of the pieces of all axes. Each step is done for all selections at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr.indexing.axis import chunk_of, starts_of
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis, RegularAxis

MIN_SCATTERED_CHUNKS = 16  # along axes with index arrays,
MAX_ELEMENTS_A_CHUNK = 64  # and elements of them in each, in the mean


@dataclass(frozen=True)
class Rows:
    """Boxes: `coords` of the chunk, then as in `indexing.boxes.ChunkBoxes`. int64 (m, ndim), `target` (m,)."""

    coords: np.ndarray
    inside: np.ndarray
    step: np.ndarray
    each: np.ndarray
    target: np.ndarray
    outside: np.ndarray

    def take(self, which: np.ndarray) -> Rows:
        """Select some of the boxes."""
        columns = (self.coords, self.inside, self.step, self.each, self.target, self.outside)
        return Rows(*(column[which] for column in columns))


@dataclass(frozen=True)
class _Pieces:
    """Pieces of segments of one axis, of all selections in order; `of`: the selection of each. int64 (m,) each."""

    of: np.ndarray
    chunk: np.ndarray
    inside: np.ndarray
    step: np.ndarray
    each: np.ndarray
    outside: np.ndarray


def rows_of(selections: Sequence[Outer | Points], axes: tuple[Axis, ...]) -> Rows:
    """The boxes of all selections; those of selection i have `target` i."""
    outer = [i for i, one in enumerate(selections) if isinstance(one, Outer) and 0 not in one.full_shape]
    found = [_products([selections[i] for i in outer], np.array(outer, np.int64), axes)] if outer else []
    found += [_points(one, i, axes) for i, one in enumerate(selections) if isinstance(one, Points)]
    if len(found) == 1:
        return found[0]
    wide, flat = np.zeros((0, len(axes)), np.int64), np.zeros(0, np.int64)
    found.append(Rows(wide, wide, wide, wide, flat, wide))
    columns = zip(*((r.coords, r.inside, r.step, r.each, r.target, r.outside) for r in found), strict=True)
    return Rows(*map(np.concatenate, columns))


def count(selection: Outer | Points, axes: tuple[Axis, ...]) -> int:
    """The most boxes that a selection can have."""
    if isinstance(selection, Points):
        return len(selection.indices[0])
    total = 1
    for axis, index in zip(axes, selection.axes, strict=True):
        total *= _count(axis, index)
    return total


def is_scattered(selection: Outer | Points, axes: tuple[Axis, ...]) -> bool:
    """Whether index arrays want few elements of each of many chunks: then boxes are fewer than parts are."""
    if isinstance(selection, Points):
        return False
    lists = [pair for pair in zip(axes, selection.axes, strict=True) if not isinstance(pair[1], range)]
    elements = prod([len(index) for _, index in lists])
    if elements < MIN_SCATTERED_CHUNKS or elements > MAX_ELEMENTS_A_CHUNK * prod([axis.count for axis, _ in lists]):
        return False
    chunks = prod([len(np.unique(chunk_of(axis, np.asarray(index)))) for axis, index in lists])
    return chunks >= MIN_SCATTERED_CHUNKS and elements <= MAX_ELEMENTS_A_CHUNK * chunks


def _count(axis: Axis, index: range | np.ndarray) -> int:
    if not len(index) or not isinstance(index, range):
        return len(index)
    if isinstance(axis, RegularAxis):
        return min(len(index), index[-1] // axis.size - index[0] // axis.size + 1)
    return min(len(index), axis.count)


def _points(points: Points, target: int, axes: tuple[Axis, ...]) -> Rows:
    """A box of one element for each point."""
    chunks = [chunk_of(axis, index) for axis, index in zip(axes, points.indices, strict=True)]
    starts = [starts_of(axis, chunk)[0] for axis, chunk in zip(axes, chunks, strict=True)]
    coords = np.stack(chunks, axis=1)
    ones = np.ones_like(coords)
    outside = np.zeros_like(coords)
    outside[:, 0] = np.arange(len(coords))
    inside = np.stack(points.indices, axis=1) - np.stack(starts, axis=1)
    return Rows(coords, inside, ones, ones, np.full(len(coords), target), outside)


def _products(selections: Sequence[Any], targets: np.ndarray, axes: tuple[Axis, ...]) -> Rows:
    """The products of the pieces of all axes, for outer products without an empty axis."""
    n, ndim = len(selections), len(axes)
    pieces = [_pieces(axis, [one.axes[i] for one in selections]) for i, axis in enumerate(axes)]
    counts = [np.bincount(each.of, minlength=n) for each in pieces]
    totals = np.prod(counts, axis=0, dtype=np.int64) if ndim else np.ones(n, np.int64)
    of = np.repeat(np.arange(n), totals)
    number = np.arange(len(of)) - np.repeat(np.cumsum(totals) - totals, totals)  # of the box in its selection
    columns = np.empty((5, len(of), ndim), np.int64)
    for axis in reversed(range(ndim)):
        count, some = counts[axis], pieces[axis]
        number, at = np.divmod(number, count[of])
        at += (np.cumsum(count) - count)[of]
        for column, values in zip(columns, (some.chunk, some.inside, some.step, some.each, some.outside), strict=True):
            column[:, axis] = values[at]
    coords, inside, step, each, outside = columns
    return Rows(coords, inside, step, each, targets[of], outside)


def _pieces(axis: Axis, indices: Sequence[range | np.ndarray]) -> _Pieces:
    """The pieces of each selection's index of one axis, in order."""
    of, start, step, length, outside = _segments(indices)
    end = start + (length - 1) * step
    first, last = chunk_of(axis, start), chunk_of(axis, end)
    sparse = step >= axis.size if isinstance(axis, RegularAxis) else np.zeros(len(step), bool)  # an element a chunk
    counts = np.where(sparse, length, last - first + 1)
    seg = np.repeat(np.arange(len(of)), counts)
    number = np.arange(len(seg)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin, by = start[seg], step[seg]
    chunk = first[seg] + number
    if sparse.any():
        chunk = np.where(sparse[seg], chunk_of(axis, begin + number * by), chunk)
    at, size = starts_of(axis, chunk)
    skipped = np.maximum(-((begin - at) // by), 0)  # elements of the segment before the chunk
    each = np.minimum(-((begin - at - size) // by), length[seg]) - skipped
    found = _Pieces(of[seg], chunk, begin + skipped * by - at, by, each, outside[seg] + skipped)
    if (each > 0).all():
        return found
    some = np.flatnonzero(each > 0)  # steps longer than a chunk skip some
    columns = (found.of, found.chunk, found.inside, found.step, found.each, found.outside)
    return _Pieces(*(column[some] for column in columns))


def _segments(indices: Sequence[range | np.ndarray]) -> tuple[np.ndarray, ...]:
    """Segments of each index, in order: number of the index, start, step, elements, and the first one's place."""
    if all(isinstance(index, range) for index in indices):
        rows = [(i, index.start, index.step, len(index), 0) for i, index in enumerate(indices)]  # type: ignore[union-attr]
        return tuple(np.array(rows, np.int64).T)
    return tuple(np.concatenate([_runs(i, index) for i, index in enumerate(indices)]).T)


def _runs(number: int, index: range | np.ndarray) -> np.ndarray:
    """A range, or the runs of ascending neighbours of an index array, as rows of `_segments`."""
    if isinstance(index, range):
        return np.array([[number, index.start, index.step, len(index), 0]], np.int64)
    heads = np.concatenate([[0], np.flatnonzero(np.diff(index) != 1) + 1])
    length = np.diff(np.concatenate([heads, [len(index)]]))
    one = np.ones_like(heads)
    return np.stack([one * number, index[heads], one, length, heads], axis=1)
