"""Which factors levels have, how many there are, and where their samples lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.axes import axes_for
from gpuzarr.pyramids.chunking import fitted
from gpuzarr.pyramids.levels import found_factors, placements, plan, shapes
from tests.conftest import examples

ZYX, CZYX = axes_for("zyx", None, 3), axes_for("czyx", None, 4)


@pytest.mark.parametrize(
    "scale, steps",
    [
        ((1, 1, 1), [(2, 2, 2), (2, 2, 2)]),
        ((4, 1, 1), [(1, 2, 2), (1, 2, 2), (2, 2, 2)]),
        ((3, 1, 1), [(1, 2, 2), (2, 2, 2)]),
        ((1.5, 1, 1), [(2, 2, 2), (2, 2, 2)]),
        ((0.2, 1, 1), [(2, 1, 1), (2, 1, 1), (2, 2, 2)]),
    ],
)
def test_only_axes_less_than_twice_the_finest_are_halved(scale: Any, steps: Any) -> None:
    assert plan((512, 512, 512), scale, ZYX, (64, 64, 64), len(steps) + 1) == tuple(steps)


def test_levels_end_when_space_fits_into_a_chunk() -> None:
    assert len(plan((9, 512, 512, 512), (1,) * 4, CZYX, (1, 64, 64, 64))) == 3
    assert plan((9, 64, 64, 64), (1,) * 4, CZYX, (1, 64, 64, 64)) == ()
    assert plan((1, 200), (1, 1), axes_for("yx", None, 2), (1, 64)) == ((1, 2), (1, 2))
    with pytest.raises(ArgumentError, match="nothing is to reduce"):
        plan((4, 4, 4), (1, 1, 1), ZYX, (64, 64, 64), 9)


def test_given_factors() -> None:
    shape, scale, chunks = (100, 100, 100), (1, 1, 1), (32, 32, 32)
    assert plan(shape, scale, ZYX, chunks, factors=3) == ((3, 3, 3), (3, 3, 3))
    assert plan(shape, scale, ZYX, chunks, 2, {"x": 4}) == ((1, 1, 4),)
    assert plan(shape, scale, ZYX, chunks, 3, (1, 2, 2)) == ((1, 2, 2), (1, 2, 2))
    assert plan(shape, scale, ZYX, chunks, factors=[(1, 2, 2), (5, 1, 1)]) == ((1, 2, 2), (5, 1, 1))
    for wrong in (0, "2", (2, 2), [(2, 2, 2.5)], {"t": 2}):
        with pytest.raises(ArgumentError, match="factor"):
            plan(shape, scale, ZYX, chunks, factors=wrong)
    with pytest.raises(ArgumentError, match="3 levels"):
        plan(shape, scale, ZYX, chunks, 2, [(1, 2, 2), (5, 1, 1)])


@settings(max_examples=examples(100), deadline=None)
@given(n=st.integers(1, 40), steps=st.lists(st.integers(1, 3), max_size=3), scale=st.floats(0.01, 100))
def test_a_translation_is_the_mean_place_of_what_a_sample_is_made_of(n: int, steps: list[int], scale: float) -> None:
    """The first window, where it is whole: the mean of the places of its voxels, found by averaging itself."""
    places = np.arange(n * np.prod(steps, dtype=int)) * scale + 5
    first = placements((scale,), (5.0,), tuple((f,) for f in steps), "nearest")
    for (size, moved), f in zip(
        placements((scale,), (5.0,), tuple((f,) for f in steps), "mean"), [1, *steps], strict=True
    ):
        places = places.reshape(-1, f).mean(axis=1)
        assert moved[0] == pytest.approx(places[0])
        assert len(places) < 2 or size[0] == pytest.approx(places[1] - places[0])
    assert all(moved == (5.0,) for _, moved in first)


@settings(max_examples=examples(100), deadline=None)
@given(shape=st.tuples(*[st.integers(1, 300)] * 3), steps=st.lists(st.tuples(*[st.integers(1, 4)] * 3), max_size=4))
def test_factors_are_found_again(shape: Any, steps: Any) -> None:
    scales = [scale for scale, _ in placements((0.1, 0.3, 7.0), (0.0,) * 3, tuple(steps), "mean")]
    assert found_factors(shapes(shape, tuple(steps)), scales) == tuple(steps)


def test_levels_of_other_libraries_may_have_no_factors() -> None:
    assert found_factors([(5, 5), (2, 2)], [(1, 1), (2.5, 2.5)]) is None  # the last element is left out
    assert found_factors([(5, 5), (3, 3)], [None, None]) == ((2, 2),)


@settings(max_examples=examples(100), deadline=None)
@given(chunk=st.integers(1, 20), count=st.integers(1, 5), length=st.integers(0, 200))
def test_chunks_and_shards_fit_a_level(chunk: int, count: int, length: int) -> None:
    inner, outer = fitted((chunk,), (chunk * count,), (length,))
    assert outer is not None and outer[0] % inner[0] == 0
    assert 1 <= inner[0] <= max(length, 1) and outer[0] < length + inner[0] + 1 - (length > 0)
