"""Shards that a writer fills region by region: nothing is read back, nothing is lost, nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.stores.local.store import LocalStore
from tests.data import Counting, partial_files
from tests.hardware import host_array, on

SHAPE, CHUNKS, SHARDS = (22, 12), (2, 4), (8, 8)  # the last shards are cut off, and so is a chunk's row of them


def create(store: Any, device: Any = "cpu", **more: Any) -> gpuzarr.Array:
    options = {"dtype": "i4", "chunks": CHUNKS, "shards": SHARDS, "fill_value": 0} | more
    gpuzarr.create_array(store, shape=SHAPE, device="cpu", **options)
    return gpuzarr.open_array(store, mode="r+", device=device)


def field() -> np.ndarray:
    return np.arange(SHAPE[0] * SHAPE[1], dtype="i4").reshape(SHAPE) + 1


def reads(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The keys of what is opened to be read from folders."""
    found, right = list[list[str]](), LocalStore.open

    def opened(store: LocalStore, keys: Any, *rest: Any) -> Any:
        found.append(list(keys))
        return right(store, keys, *rest)

    monkeypatch.setattr(LocalStore, "open", opened)
    return found


@pytest.mark.parametrize("index_location", ["start", "end"])
@pytest.mark.parametrize("order", [1, -1])
def test_layers_of_chunks_are_written_once_and_not_read_within_the_array(
    index_location: str, order: int, tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little may wait in memory. Shards that reach beyond the array are looked at: that stays as it is."""
    a = create(tmp_path, device, shards={"shape": SHARDS, "index_location": index_location}, compressors="zstd")
    found, values = reads(monkeypatch), field()
    with a.writer(max_inflight=1) as w:
        for i in range(0, 22, 2)[::order]:
            w[i : i + 2] = on(device, values[i : i + 2])
    assert not {"c/0/0", "c/1/0"} & {key for keys in found for key in keys} and not partial_files(tmp_path)
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], values)
    np.testing.assert_array_equal(host_array(a[...]), values)


def test_each_file_takes_its_place_once() -> None:
    store, values = Counting(), field()
    a = create(store)
    with a.writer(max_inflight=1) as w:
        for i in range(0, 22, 2):
            w[i : i + 2] = values[i : i + 2]
    assert {key: n for key, n in store.writes.items() if key.startswith("c/")} == {
        f"c/{i}/{j}": 1 for i in range(3) for j in range(2)
    }


STEPS = st.lists(
    st.tuples(
        st.integers(0, 11),
        st.integers(0, 11),
        st.sampled_from([0, 4, 8]),
        st.sampled_from([4, 8, 12, 3]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, most=st.sampled_from([1, 300, 1 << 20]), opened=st.sampled_from([1, 2, 64]), old=st.booleans())
def test_any_regions_are_as_in_numpy(steps: Any, most: int, opened: int, old: bool, thresholds: Any) -> None:
    """Regions that come again, overlap, cover parts of chunks; flushes; more shards than may be open; old chunks."""
    thresholds("gpuzarr.write", MAX_OPEN_SHARDS=opened)
    a, want = create({}), np.zeros(SHAPE, "i4")
    if old:
        a[...] = want = field()
    with a.writer(most) as w:
        for number, (first, last, left, right, flush) in enumerate(steps):
            region = slice(2 * min(first, last), 2 * max(first, last)), slice(left, right)
            w[region] = want[region] = -number
            if flush:
                w.flush()
                np.testing.assert_array_equal(a[...], want)
    np.testing.assert_array_equal(a[...], want)


def test_what_others_wrote_meanwhile_stays(tmp_path: Path) -> None:
    """A shard that is closed before all has come takes the rest from what is in the store then."""
    a, values = create(tmp_path), field()
    with a.writer() as w:
        w[0:2] = values[0:2]
        other = gpuzarr.open_array(tmp_path, mode="r+", device="cpu")
        other[4:8] = values[4:8]
        assert (other[0:2] == 0).all()
        w.flush()
        np.testing.assert_array_equal(other[0:2], values[0:2])
        w[2:4] = values[2:4]
    np.testing.assert_array_equal(a[0:8], values[0:8])


def test_chunks_of_nothing_replace_old_ones(tmp_path: Path) -> None:
    a, values = create(tmp_path), field()
    a[...] = values
    with a.writer(max_inflight=1) as w:
        w[0:2] = 0
        w[4:6, 0:4] = 0
    values[0:2] = values[4:6, 0:4] = 0
    np.testing.assert_array_equal(a[...], values)
    with a.writer(max_inflight=1) as w:
        for i in range(0, 8, 2):
            w[i : i + 2] = 0
    assert not list((tmp_path / "c" / "0").glob("*"))


def test_an_error_leaves_the_old_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, values, right = create(tmp_path), field(), os.pwrite
    a[...] = values

    def full(file: int, data: Any, offset: int) -> int:
        if offset > 60:
            raise OSError(28, "No space left on device")
        return right(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(gpuzarr.StoreError), a.writer(max_inflight=1) as w:
        for i in range(0, 22, 2):
            w[i : i + 2] = -values[i : i + 2]
    monkeypatch.undo()
    assert not partial_files(tmp_path)
    now = a[...]
    for row in range(0, 22, 8):
        for column in (slice(0, 8), slice(8, 12)):
            cell = slice(row, row + 8), column
            assert np.array_equal(now[cell], values[cell]) or np.array_equal(now[cell], -values[cell])
    np.testing.assert_array_equal(now[0:8, 0:8], values[0:8, 0:8])


def test_no_more_shards_are_open_than_may_be(tmp_path: Path, thresholds: Any) -> None:
    """One region that touches more is written as ever; of several the first ones are closed."""
    thresholds("gpuzarr.write", MAX_OPEN_SHARDS=2)
    a, values = create(tmp_path), field()
    with a.writer(max_inflight=1) as w:
        w[:, 0:4] = values[:, 0:4]  # three shards
        w._wait()
        assert not partial_files(tmp_path)
        for i in (0, 8, 16):
            w[i : i + 2, 4:8] = values[i : i + 2, 4:8]
            w._wait()
            assert len(partial_files(tmp_path)) <= 2
    values[2:8, 4:8] = values[10:16, 4:8] = values[18:, 4:8] = values[:, 8:] = 0
    np.testing.assert_array_equal(a[...], values)
