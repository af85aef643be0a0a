"""Regions of a writer that wait for their neighbours: the same values as NumPy, and each shard written once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.indexing.selection import Outer, basic
from gpuzarr.metadata import RectilinearAxis, RegularAxis
from gpuzarr.write.merge import bounds_of, covers_chunks
from tests.data import Counting

SHAPE = (12, 10)


def side(length: int) -> Any:
    edge = st.integers(0, length)
    spans = st.tuples(edge, edge, st.sampled_from([1, 1, 1, 2])).map(lambda s: slice(min(s[:2]), max(s[:2]), s[2]))
    backward = st.just(slice(None, None, -1))
    return st.one_of(spans, spans, st.integers(0, length - 1), backward)


REGION = st.tuples(side(SHAPE[0]), side(SHAPE[1]))
STEPS = st.lists(st.one_of(REGION, REGION, REGION, st.just("flush"), st.just("points")), max_size=14)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.sampled_from([None, (6, 4)]), st.sampled_from([16, 700, 1 << 20]), st.booleans())
def test_any_regions_are_as_in_numpy(steps: list[Any], shards: Any, most: int, scalar: bool) -> None:
    a = gpuzarr.create_array({}, shape=SHAPE, dtype="i4", chunks=(3, 2), shards=shards, device="cpu")
    want = np.zeros(SHAPE, "i4")
    with a.writer(most) as w:
        for i, step in enumerate(steps, 1):
            if step == "flush":
                w.flush()
                np.testing.assert_array_equal(a[...], want)
                continue
            where: Any = ([1, 7, 1], [0, 3, 9]) if step == "points" else step
            value = i if scalar else np.arange(want[where].size).reshape(want[where].shape) + 1000 * i
            if step == "points" and not scalar:
                value[2] = value[0]
            w[where] = value
            want[where] = value
    np.testing.assert_array_equal(a[...], want)


@pytest.mark.parametrize("order", ["forward", "backward", "tiles"])
def test_each_shard_is_written_once(order: str, device: Any) -> None:
    store, truth = Counting(), np.arange(16 * 8).reshape(16, 8).astype("i4")
    a = gpuzarr.create_array(
        store, shape=(16, 8), dtype="i4", chunks=(2, 4), shards=(8, 8), fill_value=-1, device="cpu"
    )
    a = gpuzarr.open_array(store, mode="r+", device=device)
    regions: list[Any] = [slice(i, i + 1) for i in range(16)]
    if order == "tiles":
        regions = [(slice(i, i + 4), slice(j, j + 4)) for i in range(0, 16, 4) for j in (0, 4)]
    with a.writer() as w:
        for region in regions[::-1] if order == "backward" else regions:
            w[region] = a.device.xp.asarray(truth[region])
    assert store.writes["c/0/0"] == store.writes["c/1/0"] == 1
    np.testing.assert_array_equal(gpuzarr.open_array(store, device="cpu")[...], truth)


def test_what_waits_is_bounded() -> None:
    store = Counting()
    a = gpuzarr.create_array(store, shape=(64, 64), dtype="u1", chunks=(64, 64), device="cpu")
    with a.writer(max_inflight=64 * 32) as w:  # a quarter are 8 rows: these are written when one more comes
        for i in range(64):
            w[i] = np.full(64, i, "u1")
            assert w._merging.nbytes <= 64 * 8
        assert 3 <= store.writes["c/0/0"] <= 8
        w[:1] = 0
        w[1:] = 5  # a scalar for more than may wait is never spread out in memory
    assert (a[1:] == 5).all() and (a[0] == 0).all()


def test_strings_do_not_wait() -> None:
    a = gpuzarr.create_array({}, shape=(4,), dtype="str", chunks=(4,), device="cpu")
    with a.writer() as w:
        for i in range(4):
            w[i] = "x" * i
    assert a[...].tolist() == ["", "x", "xx", "xxx"]


def test_bounds() -> None:
    assert bounds_of(basic((slice(3, 0, -1), 2), (5, 5))) == ((1, 4), (2, 3))
    assert bounds_of(basic((slice(0, 5, 2), 2), (5, 5))) is None
    assert bounds_of(basic((slice(2, 2), 2), (5, 5))) is None
    assert bounds_of(Outer((np.array([1, 2]),))) is None
    axes = (RegularAxis(10, 4), RectilinearAxis(10, (0, 3, 10)))
    assert covers_chunks(((4, 10), (3, 10)), axes) and covers_chunks(((0, 4), (0, 3)), axes)
    assert not covers_chunks(((0, 6), (0, 3)), axes) and not covers_chunks(((0, 4), (1, 3)), axes)
