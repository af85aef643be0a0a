"""Placing the chunks of a selection's parts gives what NumPy's indexing gives."""

from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.indexing.axis import axis_runs
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.grid import ChunkBlock, parts
from gpuzarr.indexing.selection import orthogonal, pointwise
from gpuzarr.metadata import Axis, RegularAxis
from tests.grids import axes, chunk_at


def index(length: int) -> st.SearchStrategy:
    lists = st.lists(st.integers(-length, length - 1), max_size=6).map(lambda x: np.array(x, np.int64))
    return st.one_of(st.integers(-length, length - 1), st.slices(length), lists)


def place_all(array: np.ndarray, grid: list[Axis], selection, together: tuple[int, ...], most: int) -> np.ndarray:
    out = np.full(selection.shape, -7)
    target = flipped(selection, out)
    seen = 0
    for part in parts(ascending(selection), tuple(grid), together):
        for piece in part.split(most):
            assert len(piece) <= most
            batch = np.stack([chunk_at(array, grid, row) for row in piece.coords.tolist()])
            starts = piece.destination(target)
            if starts is None:
                piece.place(batch, target, np)
            else:
                for start, chunk in zip(starts, batch, strict=True):
                    target.reshape(-1).view("u1")[start : start + chunk.nbytes] = chunk.reshape(-1).view("u1")
            if isinstance(piece, ChunkBlock) and prod(together) > 1:
                assert len(np.unique(piece.coords // np.array(together), axis=0)) == 1
            seen += len(piece)
    return out


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_outer(data: st.DataObject) -> None:
    grid = data.draw(st.lists(axes(), min_size=0, max_size=3))
    array = np.arange(prod(a.length for a in grid)).reshape([a.length for a in grid])
    chosen = tuple(data.draw(index(a.length)) for a in grid)
    together = tuple(data.draw(st.integers(1, 3)) for _ in grid)
    selection = orthogonal(chosen, array.shape)
    want = array[np.ix_(*(np.atleast_1d(np.arange(a.length)[i]) for a, i in zip(grid, chosen, strict=True)))]
    want = want.reshape(selection.shape)
    got = place_all(array, grid, selection, together, data.draw(st.integers(1, 9)))
    np.testing.assert_array_equal(got, want)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_points(data: st.DataObject) -> None:
    grid = data.draw(st.lists(axes(), min_size=1, max_size=3))
    array = np.arange(prod(a.length for a in grid)).reshape([a.length for a in grid])
    n = data.draw(st.integers(0, 9))
    lists = [st.lists(st.integers(-a.length, a.length - 1), min_size=n, max_size=n) for a in grid]
    chosen = tuple(np.array(data.draw(some), np.int64) for some in lists)
    selection = pointwise(chosen, array.shape)
    got = place_all(array, grid, selection, (1,) * len(grid), data.draw(st.integers(1, 4)))
    np.testing.assert_array_equal(got, array[chosen])


def test_a_few_elements_of_a_huge_axis_are_found_at_once() -> None:
    axis = RegularAxis(2**62, 1000)
    (first, second) = axis_runs(axis, range(5, 2**62, 2**61), 0)
    assert (first.first, first.count, first.inside) == (0, 1, slice(5, 6, 2**61))
    assert second.first == (5 + 2**61) // 1000 and second.outside == slice(1, 2)


def test_a_step_that_covers_only_the_cut_off_chunk_at_the_end() -> None:
    """One element of each chunk: all that the last one has, but not all of the first."""
    axis = RegularAxis(4, 3)
    (segment,) = axis_runs(axis, range(0, 4, 3), 0)
    assert segment.count == 2 and not segment.covers(axis)
    assert all(s.covers(axis) for s in axis_runs(axis, range(4), 0))
