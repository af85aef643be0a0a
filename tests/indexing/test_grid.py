"""Placing the chunks of a selection's parts gives what NumPy's indexing gives."""

from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.indexing.axis import axis_runs, starts_of
from gpuzarr.indexing.blocks import ChunkBlock
from gpuzarr.indexing.flip import ascending, flipped, with_ranges
from gpuzarr.indexing.grid import parts
from gpuzarr.indexing.region import of_parts
from gpuzarr.indexing.selection import orthogonal, pointwise
from gpuzarr.metadata import Axis, RegularAxis
from tests.grids import axes, chunk_at, put_chunk


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


@settings(max_examples=180, deadline=None)
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


@settings(max_examples=75, deadline=None)
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


@settings(max_examples=180, deadline=None)
@given(st.data())
def test_chunk_by_chunk(data: st.DataObject) -> None:
    """One by one, with the span of what is wanted: all else of a chunk may be anything."""
    grid = data.draw(st.lists(axes(), min_size=0, max_size=3))
    array = np.arange(prod(a.length for a in grid)).reshape([a.length for a in grid])
    chosen = tuple(data.draw(index(a.length)) for a in grid)
    counts = tuple(data.draw(st.integers(1, 3)) for _ in grid)
    selection = with_ranges(orthogonal(chosen, array.shape))
    out = np.full(selection.shape, -7)
    target = flipped(selection, out)
    for part in parts(ascending(selection), tuple(grid), (0,) * len(grid)):
        for of, number, inside, place, first, last in of_parts([part], counts):
            within = np.unravel_index(number, counts) if counts else ()
            coords = [o * n + int(w) for o, n, w in zip(of, counts, within, strict=True)]
            chunk = chunk_at(array, grid, coords)
            flat = np.full(chunk.size, -1)
            flat[first : last + 1] = chunk.reshape(-1)[first : last + 1]
            if inside is None:
                place.place(flat.reshape(1, *chunk.shape), target, np)
            else:
                target[place] = flat.reshape(chunk.shape)[inside]
    want = array[np.ix_(*(np.atleast_1d(np.arange(a.length)[i]) for a, i in zip(grid, chosen, strict=True)))]
    np.testing.assert_array_equal(out, want.reshape(selection.shape))


@settings(max_examples=180, deadline=None)
@given(st.data())
def test_writes_gather_what_is_placed(data: st.DataObject) -> None:
    """And the last of a repeated element wins, as in NumPy."""
    grid = data.draw(st.lists(axes(), min_size=1, max_size=3))
    want = np.full([a.length for a in grid], -7)
    chosen = tuple(data.draw(index(a.length)) for a in grid)
    selection = orthogonal(chosen, want.shape)
    value = np.arange(prod(selection.shape)).reshape(selection.shape)
    got, whole = want.copy(), tuple(grid)
    for part in parts(ascending(selection), whole, (0,) * len(grid)):
        for some in part.split(data.draw(st.integers(1, 9))):
            batch = np.stack([chunk_at(got, grid, row) for row in some.coords.tolist()])
            some.gather(flipped(selection, value), batch, np)
            for row, chunk in zip(some.coords.tolist(), batch, strict=True):
                put_chunk(got, grid, row, chunk)
    full = np.ix_(*(np.atleast_1d(np.arange(a.length)[i]) for a, i in zip(grid, chosen, strict=True)))
    want[full] = value.reshape(selection.full_shape)
    np.testing.assert_array_equal(got, want)


@settings(max_examples=180, deadline=None)
@given(st.data())
def test_index_arrays_cover_what_they_always_did(data: st.DataObject) -> None:
    """All of a chunk, that beyond the end of the array, too; whether or not they are slices of it."""
    axis = data.draw(axes())
    some = np.array(
        data.draw(st.lists(st.integers(0, axis.length - 1), min_size=1, max_size=3 * axis.length)), np.int64
    )
    runs = data.draw(st.booleans())
    chosen = np.arange(some.min(), some.max() + 1) if runs else some
    for run in axis_runs(axis, chosen, 0):
        for i in range(run.count):
            start, size = (int(x[0]) for x in starts_of(axis, np.array([run.first + i])))
            wanted = set(chosen.tolist()) & set(range(start, start + size))
            assert run.part(i, i + 1).covers(axis) == (len(wanted) == size)


def test_equal_steps_are_a_range() -> None:
    def ask(*some: int) -> object:
        (found,) = with_ranges(orthogonal((np.array(some, np.int64),), (100,))).axes
        return found if isinstance(found, range) else found.tolist()

    assert ask(5) == range(5, 6) and ask(5, 6, 7) == range(5, 8) and ask(7, 4, 1) == range(7, 0, -3)
    assert ask(2, 1, 0) == range(2, -1, -1) and ask(1, 50) == range(1, 99, 49)
    assert ask(5, 5) == [5, 5] and ask(1, 2, 4) == [1, 2, 4] and ask(1, 2, 1) == [1, 2, 1] and ask() == []
    points = pointwise((np.array([1, 2]),), (9,))
    assert with_ranges(points) is points and with_ranges(selection := orthogonal((slice(3),), (9,))) is selection


def test_lists_in_parts_of_chunks_are_slices_where_they_can_be() -> None:
    axis = RegularAxis(100, 10)

    def ask(*some: int) -> list[object]:
        return [(s.first, s.count, s.inside, s.outside) for s in axis_runs(axis, np.array(some, np.int64), 0)]

    assert ask(3, 5, 7, 21) == [(0, 1, slice(3, 8, 2), slice(0, 3, 1)), (2, 1, slice(1, 2, 1), slice(3, 4, 1))]
    assert ask(21, 3) == [(0, 1, slice(3, 4, 1), slice(1, 2, 1)), (2, 1, slice(1, 2, 1), slice(0, 1, 1))]
    ((_, _, inside, outside),) = ask(7, 5, 3)
    assert inside.tolist() == [7, 5, 3] and outside == slice(0, 3, 1)
    (_, (_, _, inside, outside)) = ask(10, 0, 11)
    assert inside == slice(0, 2, 1) and outside.tolist() == [0, 2]
    many = axis_runs(RegularAxis(10_000, 10), np.concatenate([np.arange(5, 1000), np.arange(2000, 2500)]), 7)
    assert {type(s.inside) for s in many} == {slice} and len(many) < 40
    assert all(s.first // 7 == (s.first + s.count - 1) // 7 for s in many)


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
