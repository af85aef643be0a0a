"""dask arrays of stored arrays: the values of the array, in blocks of whole chunks, on the device."""

from __future__ import annotations

import pickle
from itertools import accumulate
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.integrations.dask.blocks import snapped
from gpuzarr.integrations.dask.stored import Stored
from tests.conftest import examples
from tests.hardware import host_array, on
from tests.integrations.dask import blocks

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")
SLOWLY = settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def cuts(sizes: tuple[int, ...]) -> set[int]:
    """Where blocks end within an axis."""
    return set(accumulate(sizes[:-1]))


@given(layout=blocks.layouts(), data=st.data())
@SLOWLY
def test_the_values_are_those_of_the_array(layout: Any, device: Device, data: st.DataObject) -> None:
    shape, parameters = layout
    want = blocks.values(shape)
    a = gpuzarr.create_array({}, data=on(device, want), device=device, **parameters)
    kinds = [st.none(), st.just("auto"), st.integers(1, 6), st.tuples(*map(blocks.sizes, shape)), st.just(-1)]
    chunks = data.draw(st.one_of(*kinds) if shape else st.none())
    x = gpuzarr.to_dask(a, chunks)
    got = x.compute(scheduler="threads")
    assert isinstance(got, device.xp.ndarray) and x.shape == shape and x.dtype == want.dtype
    np.testing.assert_array_equal(host_array(got), want)
    assert type(x._meta) is type(got) or not shape
    if chunks is None:
        assert x.chunks == tuple(sizes or (0,) for sizes in a.write_chunk_sizes)


@given(layout=blocks.layouts(), limit=st.integers(1, 4000), data=st.data())
@SLOWLY
def test_blocks_that_dask_chooses_are_whole_chunks(layout: Any, limit: int, data: st.DataObject) -> None:
    shape, parameters = layout
    a = gpuzarr.create_array({}, shape=shape, dtype="f8", device="cpu", **parameters)
    asked = [data.draw(st.sampled_from(["auto", 3])) for _ in shape]
    with dask.config.set({"array.chunk-size": limit}):
        found = gpuzarr.to_dask(a, tuple(asked)).chunks if shape else ()
    for sizes, chunks, each in zip(found, a.read_chunk_sizes, asked, strict=True):
        assert each == 3 or cuts(sizes) <= cuts(chunks)
    if "auto" in asked and a.size * 8 <= limit and asked.count(3) == 0:
        assert all(len(sizes) == 1 for sizes in found)


def test_blocks_are_whole_shards_where_these_are_not_larger() -> None:
    a = gpuzarr.create_array({}, shape=(64, 64), dtype="u1", chunks=(4, 4), shards=(16, 16), device="cpu")
    assert set(gpuzarr.to_dask(a, "1 KiB").chunks[0]) == {32}
    assert cuts(gpuzarr.to_dask(a, "100 B").chunks[0]) == set(range(8, 64, 8))


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6), unit=st.integers(1, 7), start=st.integers(0, 20))
def test_moved_blocks_end_where_units_do(sizes: list[int], unit: int, start: int) -> None:
    moved = snapped(tuple(sizes), unit, start)
    assert sum(moved) == sum(sizes)
    assert all((start + cut) % unit == 0 for cut in cuts(moved))
    assert snapped(moved, unit, start) == moved
    length = start + sum(sizes)
    listed = (unit,) * (length // unit) + ((length % unit,) if length % unit else ())
    if length > start:
        assert snapped(tuple(sizes), listed, start) == moved


DTYPES = {
    "texts": np.array(["a", "", "long" * 9]),
    "any texts": np.array(["a", "", "long" * 9], np.dtypes.StringDType()),
    "struct": np.array([(1, 2.5), (3, 4.5), (5, 6.5)], [("a", "i4"), ("b", "f8")]),
    "dates": np.array([1, 2, 3], "M8[s]"),
    "complex": np.array([1j, 2, 3]),
}


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("chunks", [None, "auto", 1])
def test_other_dtypes(name: str, chunks: Any) -> None:
    a = gpuzarr.array(DTYPES[name], chunks=2, device="cpu")
    x = gpuzarr.to_dask(a, chunks)
    got = x.compute(scheduler="sync")
    assert got.dtype == a.dtype == x.dtype
    np.testing.assert_array_equal(got, DTYPES[name])
    assert x[1].compute(scheduler="sync") == DTYPES[name][1]


def test_slices_read_no_more_than_they_need() -> None:
    """dask makes one selection of a block and a slice of it, and the array gets that."""
    a = gpuzarr.array(np.arange(100), chunks=10, device="cpu")
    for key in (slice(25, 27), slice(30, 40, 3), 99):
        got = gpuzarr.to_dask(a, -1)[key].compute(scheduler="sync")
        np.testing.assert_array_equal(got, np.arange(100)[key])
        assert a.last_read is not None and a.last_read.asdict()["chunks"] == 1


@given(data=st.data())
@SLOWLY
def test_selections_are_those_of_other_dask_arrays(data: st.DataObject) -> None:
    want = blocks.values((7, 8, 9))
    a = gpuzarr.create_array({}, data=want, chunks=(2, 3, 4), device="cpu")
    x, y = gpuzarr.to_dask(a, data.draw(st.sampled_from([None, -1]))), da.from_array(want, chunks=(3, 4, 5))
    for _ in range(data.draw(st.integers(1, 3))):
        key = [data.draw(st.one_of(st.slices(n), st.just(slice(None)))) for n in y.shape]
        if y.ndim and data.draw(st.booleans()):
            axis = data.draw(st.integers(0, y.ndim - 1))
            if y.shape[axis]:
                index = st.integers(0, y.shape[axis] - 1)
                key[axis] = data.draw(st.one_of(index, st.lists(index, max_size=4)))
        x, y = x[tuple(key)], y[tuple(key)]
    np.testing.assert_array_equal(x.compute(scheduler="sync"), y.compute(scheduler="sync"))


def test_a_graph_has_the_array_once_and_no_values(tmp_path: Path) -> None:
    """Its size does not depend on the number of blocks before it is sent, and then a block has a few bytes."""
    sent = {}
    for count in (10, 1000):
        a = gpuzarr.create_array(tmp_path / str(count), shape=(count * 100,), dtype="f8", chunks=100, device="cpu")
        x = gpuzarr.to_dask(a)
        sent[count] = len(pickle.dumps(x))
        graph = dict(x.dask)
        assert sum(isinstance(getattr(task, "value", task), Stored) for task in graph.values()) == 1
        assert len(graph) == count + 1
    assert sent[1000] < sent[10] + 20 * 1000


def test_names_tell_arrays_apart(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, name="a", data=np.arange(9), chunks=3, device="cpu")
    b = gpuzarr.create_array(tmp_path, name="b", data=np.arange(9), chunks=3, device="cpu")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    places = (tmp_path / "a", ""), (tmp_path, "a"), (tmp_path / "link", "")
    again = [gpuzarr.open(store, path, device="cpu") for store, path in places]
    names = [gpuzarr.to_dask(each).name for each in (a, b, *again)]
    names += [gpuzarr.to_dask(a, 9).name]
    assert names[0] == names[2] == names[3] == names[4] and len(set(names)) == 3
    overwritten = gpuzarr.create_array(tmp_path, name="a", data=np.arange(8), overwrite=True, device="cpu")
    assert gpuzarr.to_dask(overwritten).name not in names


def test_another_device_gives_other_names(gpu: Device) -> None:
    store: dict[str, bytes] = {}
    gpuzarr.save_array(store, np.arange(9.0))
    names = {gpuzarr.to_dask(gpuzarr.open_array(store, device=device)).name for device in ("cpu", gpu)}
    assert len(names) == 2


@pytest.mark.parametrize("chunks", [{2: 1}, {"time": 1}, (1, 2, 3), ((1,), (4,)), "many", 2.5])
def test_bad_chunks_are_refused(chunks: Any) -> None:
    a = gpuzarr.zeros((4, 4), device="cpu")
    with pytest.raises(gpuzarr.ArgumentError, match=r"chunks.*gpuzarr\.Array"):
        gpuzarr.to_dask(a, chunks)


@pytest.mark.parametrize("thing", [np.zeros(3), "store.zarr", None])
def test_other_things_are_refused(thing: Any) -> None:
    with pytest.raises(gpuzarr.ArgumentError, match="an array of gpuzarr"):
        gpuzarr.to_dask(thing)
