"""Blocks are those of a plain loop over all of the grid, and are found without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.blocks import Blocks
from tests.pyramids.blending import all_bounds, all_cores, as_slices, divisions, grids, marked


@given(data=st.data(), grid=grids(), is_cut=st.booleans())
def test_blocks_are_those_of_a_plain_loop(data: st.DataObject, grid: dict[str, Any], is_cut: bool) -> None:
    shape = grid["shape"]
    regions = data.draw(divisions(shape))[0]
    blocks = Blocks(**grid, region=regions, is_cut=is_cut)
    mask = marked(shape, regions)
    everything = list(zip(all_bounds(**grid), all_cores(shape, grid["block"]), strict=True))
    expected = [each for each in everything if mask[as_slices(each[is_cut])].any()]
    assert len(blocks) == len(expected)
    assert list(blocks) == [as_slices(bounds) for bounds, _ in expected] == blocks[:]
    for i, (bounds, core) in enumerate(expected):
        assert blocks.bounds(i) == bounds and blocks.core(i) == core and blocks.number(bounds) == i
        assert blocks[i] == blocks[i - len(blocks)] == as_slices(bounds)
    for bounds, _ in set(everything) - set(expected):
        assert blocks.number(bounds) is None
    box = tuple(tuple(sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n))))) for n in shape)
    inside = marked(shape, [as_slices(box)])
    touching = [i for i, each in enumerate(expected) if inside[as_slices(each[is_cut])].any()]
    assert blocks.touching(box).tolist() == touching and blocks.count(box) == len(touching)


@given(data=st.data(), grid=grids(max_ndim=2))
def test_no_other_bounds_are_those_of_a_block(data: st.DataObject, grid: dict[str, Any]) -> None:
    blocks, known = Blocks(**grid), list(all_bounds(**grid))
    box = tuple((data.draw(st.integers(-3, n + 3)), data.draw(st.integers(-3, n + 3))) for n in grid["shape"])
    assert blocks.number(box) == (known.index(box) if box in known else None)


@given(length=st.integers(1, 15), size=st.integers(1, 6), halo=st.integers(0, 15))
def test_blocks_that_cannot_be_told_apart_are_refused(length: int, size: int, halo: int) -> None:
    known = list(all_bounds([length], [size], [halo]))
    if len(known) == len(set(known)):
        assert len(Blocks((length,), size, halo)) == len(known)
    else:
        with pytest.raises(ArgumentError, match=f"would both be all of it, {length} elements"):
            Blocks((length,), size, halo)


def test_all_regions_of_workers_have_all_blocks() -> None:
    regions = [(slice(0, 4), slice(i, i + 2)) for i in range(0, 10, 2)]
    assert Blocks((4, 10), 3, 1, regions).region == (((0, 4), (0, 10)),)
    assert len(Blocks((4, 10), 3, 1, [])) == len(Blocks((0, 10), 3, 1)) == 0
    assert list(Blocks((), ())) == [()]
    assert len(Blocks((4, 10), 3, 1, (slice(None), slice(4, 4)))) == 0


def test_millions_of_blocks() -> None:
    blocks = Blocks((100_000, 100_000, 20), (100, 100, 20), (16, 16, 0), (slice(64, None), slice(None), slice(None)))
    assert len(blocks) == 1_000_000 and len(list(zip(blocks, range(100), strict=False))) == 100
    assert blocks.number(blocks.bounds(999_999)) == 999_999
    assert blocks.touching(((99_000, 100_000), (0, 1), (0, 1))).tolist() == list(range(989_000, 1_000_000, 1000))
    rows = [(slice(i, i + 50), slice(0, 100_000, None), slice(0, 20)) for i in range(0, 100_000, 100)]
    assert len(Blocks((100_000, 100_000, 20), (100, 100, 20), (16, 16, 0), rows)) == 1_000_000


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"block": 0}, "block must be an integer from 1"),
        ({"block": (4, 4, 4)}, "block must be one integer for each of 2 axes"),
        ({"block": "ab"}, "block must be one integer"),
        ({"halo": -1}, "halo must be an integer from 0"),
        ({"halo": (1, 0.5)}, "halo must be an integer"),
        ({"region": 3}, "region must be a tuple of slices or a list"),
        ({"region": [3]}, "a region must be 2 slices"),
        ({"region": (slice(3),)}, "a region must be 2 slices"),
        ({"region": (slice(3), slice(None, None, 2))}, "without steps"),
        ({"region": (slice(3), slice("a"))}, "slices of integers"),
        (
            {"region": [(slice(0, 4), slice(0, 4)), (slice(8, 9), slice(0, 9)), (slice(3, 5), slice(3, 9))]},
            r"the regions \[0:4, 0:4\] and \[3:5, 3:9\] overlap",
        ),
    ],
)
def test_what_makes_no_blocks_is_refused(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem):
        Blocks((20, 20), **({"block": 5, "halo": 1} | arguments))
    with pytest.raises(ArgumentError, match="too many"):
        Blocks((1 << 40, 1 << 40), 4)


@given(data=st.data())
def test_regions_overlap_where_elements_say_so(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    boxes = []
    for _ in range(data.draw(st.integers(0, 5))):
        ends = [sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n)))) for n in shape]
        boxes.append(tuple(slice(a, b) for a, b in ends))
    counts = np.zeros(shape, int)
    for box in boxes:
        counts[box] += 1
    if counts.max() > 1:
        with pytest.raises(ArgumentError, match="overlap"):
            Blocks(shape, 3, 0, boxes)
    else:
        assert (marked(shape, list(map(as_slices, Blocks(shape, 3, 0, boxes).region))) == (counts > 0)).all()
