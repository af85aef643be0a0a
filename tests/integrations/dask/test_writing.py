"""Stored arrays of dask arrays: the values of the dask array, each object of the store written by one task."""

from __future__ import annotations

import pickle
import threading
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.errors import GpuZarrWarning
from gpuzarr.integrations.dask.layouts import fitting
from gpuzarr.integrations.dask.target import Target
from tests.conftest import examples
from tests.hardware import host_array, on
from tests.integrations.dask import blocks

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")
SLOWLY = settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def dask_array(values: np.ndarray, chunks: Any, device: Device) -> Any:
    """A dask array whose blocks are arrays of the device."""
    x = da.from_array(values, chunks=chunks)
    return x.map_blocks(device.upload, meta=device.array((0,) * values.ndim, values.dtype)) if device.gpu else x


def stored(place: Any, name: str = "") -> Any:
    """What zarr-python reads."""
    return zarr.open_array(place, path=name, mode="r")[...]


class Counted(dict):  # type: ignore[type-arg]
    """A store that counts how often each object was written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: Counter[str] = Counter()

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self.writes[key] += 1


@given(layout=blocks.layouts(), data=st.data())
@SLOWLY
def test_zarr_python_reads_the_same_values(
    layout: Any, device: Device, data: st.DataObject, tmp_path_factory: Any
) -> None:
    shape, parameters = layout
    if any(isinstance(n, list) for n in parameters["chunks"]):
        parameters = {}
    chunks, values = data.draw(st.tuples(*map(blocks.sizes, shape))), blocks.values(shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GpuZarrWarning)
        folder = tmp_path_factory.mktemp("store")
        a = gpuzarr.from_dask(dask_array(values, chunks, device), folder, "a/b", device=device, **parameters)
    assert isinstance(a, gpuzarr.Array) and a.dtype == values.dtype
    np.testing.assert_array_equal(host_array(a[...]), values)
    np.testing.assert_array_equal(stored(folder, "a/b"), values)


@given(layout=blocks.layouts(ndim=2), data=st.data())
@SLOWLY
def test_a_region_alone_is_written_and_each_object_once(layout: Any, device: Device, data: st.DataObject) -> None:
    shape, parameters = layout
    store = Counted()
    want = blocks.values(shape)
    a = gpuzarr.create_array(store, data=on(device, want), device=device, **parameters)
    ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    region = tuple(slice(*each) for each in ends)
    part = -blocks.values(want[region].shape)
    x = dask_array(part, data.draw(st.tuples(*map(blocks.sizes, part.shape))), device)
    store.writes.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GpuZarrWarning)
        gpuzarr.from_dask(x, a, region=region)
    want[region] = part
    np.testing.assert_array_equal(host_array(a[...]), want)
    assert set(store.writes.values()) <= {1}


def test_blocks_within_shards_are_joined_with_a_warning() -> None:
    store = Counted()
    x = da.arange(24.0, chunks=3).reshape(1, 24).rechunk((1, 3))
    with pytest.warns(
        GpuZarrWarning, match=r"end within shards of .*axis 1 .* become \(8, 8, 8\) for shards of 8"
    ) as told:
        a = gpuzarr.from_dask(x, store, chunks=(1, 2), shards=(1, 8), device="cpu")
    assert told[0].filename == __file__ and len(told) == 1
    np.testing.assert_array_equal(a[0], np.arange(24))
    assert {key: count for key, count in store.writes.items() if key.startswith("c/")} == dict.fromkeys(
        ["c/0/0", "c/0/1", "c/0/2"], 1
    )


@pytest.mark.parametrize("chunks", [(16, 5), (8, 10), (24, 10)])
def test_blocks_of_whole_shards_stay(chunks: tuple[int, ...]) -> None:
    x = da.ones((24, 10), chunks=chunks)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write = gpuzarr.from_dask(x, {}, chunks=(2, 5), shards=(8, 5), device="cpu", compute=False)
    assert write.compute(scheduler="sync") == x.npartitions


@given(
    shape=st.lists(st.integers(1, 3000), min_size=1, max_size=3), shards=st.sampled_from([None, "auto"]), data=st.data()
)
def test_chosen_chunks_fit_regular_blocks(shape: list[int], shards: Any, data: st.DataObject) -> None:
    block = tuple(data.draw(st.integers(1, n)) for n in shape)
    sizes = [(b,) * (n // b) + ((n % b,) if n % b else ()) for n, b in zip(shape, block, strict=True)]
    found = fitting(sizes, np.dtype("f4"), "auto", shards)
    assert all(b % n == 0 for b, n in zip(block, found["chunks"], strict=True))
    if shards:
        assert all(b % s == 0 and s % n == 0 for b, s, n in zip(block, found["shards"], found["chunks"], strict=True))


def test_a_delayed_write_makes_the_array_at_once(tmp_path: Path) -> None:
    x = da.arange(10.0, chunks=5)
    write = gpuzarr.from_dask(x, tmp_path, "a", compute=False, device="cpu")
    a = gpuzarr.open_array(tmp_path, path="a", mode="r+", device="cpu")
    assert a.shape == (10,) and a.nchunks_initialized == 0
    assert dask.is_dask_collection(write) and write.compute() == 2
    np.testing.assert_array_equal(a[...], np.arange(10))
    a[...] = 0
    write.compute(scheduler="sync")  # it may be computed again
    np.testing.assert_array_equal(a[...], np.arange(10))


def test_several_writes_share_what_they_are_computed_from() -> None:
    count, lock = Counter[int](), threading.Lock()

    def counted(block: np.ndarray, block_id: tuple[int, ...] = ()) -> np.ndarray:
        with lock:
            count[block_id[0]] += 1
        return block

    x = da.arange(8.0, chunks=2).map_blocks(counted, dtype="f8", meta=np.empty(0))
    a, b = {}, {}  # type: ignore[var-annotated]
    dask.compute(*(gpuzarr.from_dask(x + i, store, compute=False) for i, store in enumerate((a, b))))
    assert set(count.values()) == {1} and len(count) == 4
    assert float(gpuzarr.open(b)[...].sum()) == 28 + 8


def test_parameters_of_new_arrays(tmp_path: Path) -> None:
    x = da.ones((4, 6), chunks=2)
    more: dict[str, Any] = {"attributes": {"unit": "K"}, "dimension_names": ("y", "x"), "fill_value": 9, "dtype": "f4"}
    gpuzarr.from_dask(x, tmp_path, compressors=gpuzarr.codecs.GzipCodec(level=1), **more)
    z = zarr.open_array(tmp_path)
    assert z.dtype == "f4" and dict(z.attrs) == {"unit": "K"} and z.fill_value == 9
    assert z.metadata.dimension_names == ("y", "x") and type(z.compressors[0]).__name__ == "GzipCodec"
    with pytest.raises(gpuzarr.ExistsError):
        gpuzarr.from_dask(x[:2], tmp_path)
    gpuzarr.from_dask(x[:2] + 1, tmp_path, overwrite=True, zarr_format=2)
    assert stored(tmp_path).tolist() == [[2.0] * 6] * 2


def test_texts_and_structs(tmp_path: Path) -> None:
    texts = np.array([["a", "bcd"], ["", "ef"]])
    np.testing.assert_array_equal(gpuzarr.from_dask(da.from_array(texts, chunks=1), {})[...], texts)
    strings = gpuzarr.from_dask(da.from_array(texts, chunks=1), tmp_path, dtype=str)
    assert strings[...].tolist() == texts.tolist() == stored(tmp_path).tolist()
    struct = np.array([(1, 2.5), (3, 4.5)], [("a", "i4"), ("b", "f8")])
    np.testing.assert_array_equal(gpuzarr.from_dask(da.from_array(struct, chunks=1), {})[...], struct)


def test_bad_arguments_are_refused() -> None:
    x, a = da.ones((4, 4), chunks=2), gpuzarr.zeros((4, 4))
    unknown = x[x[:, 0] > 0]
    bad: list[tuple[type[Exception], str, Any, tuple[Any, ...], dict[str, Any]]] = [
        (gpuzarr.ArgumentError, "from_array takes", np.ones(3), ({},), {}),
        (gpuzarr.ArgumentError, "compute_chunk_sizes", unknown, ({},), {}),
        (gpuzarr.ArgumentError, "did you mean 'chunks'", x, ({},), {"chunk": 2}),
        (gpuzarr.ArgumentError, "it is that of x", x, ({},), {"shape": (4, 4)}),
        (gpuzarr.ArgumentError, "give an Array", x, ({},), {"region": slice(2)}),
        (gpuzarr.ArgumentError, "for new arrays", x, (a, "path"), {}),
        (gpuzarr.ArgumentError, "for new arrays", x, (a,), {"chunks": 2}),
        (gpuzarr.ArgumentError, "compute", x, ({},), {"compute": np.ones(2)}),
        (gpuzarr.SelectionError, "does not fit", x, (a,), {"region": slice(2)}),
        (gpuzarr.SelectionError, "without a step", x[:2], (a,), {"region": slice(0, 4, 2)}),
        (gpuzarr.SelectionError, "without a step", x[:2], (a,), {"region": [0, 2]}),
        (gpuzarr.ReadOnlyError, "opened for reading", x, (gpuzarr.open_array(a.store, mode="r"),), {}),
    ]
    for kind, text, values, place, options in bad:
        with pytest.raises(kind, match=text):
            gpuzarr.from_dask(values, *place, **options)


def test_nothing_is_overwritten_that_is_still_to_be_read(tmp_path: Path) -> None:
    a = gpuzarr.from_dask(da.arange(6.0, chunks=2), tmp_path, "g/a")
    for x in (gpuzarr.to_dask(a), da.from_zarr(a), da.from_array(a, chunks=3)):
        for path in ("g", "g/a"):
            with pytest.raises(gpuzarr.ArgumentError, match="would be lost"):
                gpuzarr.from_dask(x + 1, tmp_path, path, overwrite=True)
    gpuzarr.from_dask(gpuzarr.to_dask(a) + 1, a)
    assert stored(tmp_path, "g/a").tolist() == [1, 2, 3, 4, 5, 6]


def test_a_block_of_another_shape_than_dask_thinks_is_refused() -> None:
    x = da.ones((4, 4), chunks=2).map_blocks(lambda block: block[:1], dtype="f8", meta=np.empty((0, 0)))
    with pytest.raises(gpuzarr.ValueKindError, match=r"block \(\d, \d\).*shape \(1, 2\), not \(2, 2\)"):
        gpuzarr.from_dask(x, {})


def test_a_graph_has_the_target_once() -> None:
    """Its size grows by little for each block."""
    sent = {}
    for count in (10, 1000):
        write = gpuzarr.from_dask(da.zeros(count * 10, chunks=10), {}, chunks=10, compute=False)
        targets = [task for task in dict(write.dask).values() if isinstance(getattr(task, "value", task), Target)]
        assert len(targets) == 1
        sent[count] = len(
            pickle.dumps(gpuzarr.from_dask(da.zeros(count * 10, chunks=10), {}, chunks=10, compute=False))
        )
    assert sent[1000] < sent[10] + 300 * 1000


def test_what_exists_is_not_written_unless_that_is_said(tmp_path: Path) -> None:
    """Not even an array that means the same."""
    first, other = da.zeros(3, chunks=3), da.ones(3, chunks=3)
    a = gpuzarr.from_dask(first, tmp_path, "a", device="cpu")
    with pytest.raises(gpuzarr.ExistsError, match="overwrite=True"):
        gpuzarr.from_dask(other, tmp_path, "a")
    np.testing.assert_array_equal(a[...], 0)
    gpuzarr.from_dask(other, tmp_path, "a", overwrite=True)
    np.testing.assert_array_equal(a[...], 1)
