"""dask reads and writes arrays as those of zarr-python."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr

da = pytest.importorskip("dask.array")
WANT = np.arange(96.0).reshape(12, 8)
LAYOUTS: list[dict[str, Any]] = [
    {"chunks": (3, 4)},
    {"chunks": (3, 2), "shards": (6, 4)},
    {"chunks": (3, 4), "zarr_format": 2, "order": "F"},
]


@pytest.mark.parametrize("kind", ["mapping", "folder"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=["v3", "shards", "v2"])
def test_arrays_are_read_and_written(layout: dict[str, Any], kind: str, tmp_path: Path) -> None:
    store: Any = {} if kind == "mapping" else tmp_path
    a = gpuzarr.create_array(store, name="a", data=WANT, device="cpu", **layout)
    x = da.from_zarr(a)
    np.testing.assert_array_equal(x.compute(scheduler="threads"), WANT)
    b = gpuzarr.create_array(store, name="b", shape=(12, 8), dtype="f8", device="cpu", **layout)
    (x + 1).to_zarr(b)
    np.testing.assert_array_equal(b[...], WANT + 1)
    (x[:6] * 0).to_zarr(b, region=(slice(6), slice(None)))
    np.testing.assert_array_equal(b[...], np.where(np.arange(12)[:, None] < 6, 0, WANT + 1))
    da.store(x, b)
    np.testing.assert_array_equal(da.from_array(b, chunks=b.read_chunk_sizes).compute(), WANT)


def test_sizes_of_chunks_are_those_of_dask() -> None:
    a = gpuzarr.create_array({}, data=WANT, chunks=[[3, 9], [4, 4]], device="cpu")
    x = da.from_zarr(a)
    assert x.chunks == a.read_chunk_sizes
    np.testing.assert_array_equal(x.compute(scheduler="sync"), WANT)


def test_only_dask_is_told_so() -> None:
    a = gpuzarr.array(WANT, device="cpu")
    assert a.__class__ is gpuzarr.Array and not isinstance(a, zarr.Array) and isinstance(a, gpuzarr.Array)
    assert type(pickle.loads(pickle.dumps(a))) is gpuzarr.Array


def test_graphs_hold_no_data_and_tell_arrays_apart() -> None:
    store: dict[str, bytes] = {}
    a, b = (gpuzarr.array(WANT, store=store, path=path) for path in "ab")
    assert da.from_zarr(a).name == da.from_zarr(gpuzarr.open(store, "a")).name != da.from_zarr(b).name
    assert len(repr(a.__dask_tokenize__())) < 2000


def test_folders_are_given_to_dask(tmp_path: Path) -> None:
    group = gpuzarr.open_group(tmp_path / "store", mode="w", device="cpu")
    group["a"] = WANT
    for place in (group.store, group.store.root):
        np.testing.assert_array_equal(da.from_zarr(place, component="a").compute(), WANT)
    da.to_zarr(da.from_array(WANT, chunks=(6, 4)), group.store.root, component="b/c")
    np.testing.assert_array_equal(group["b/c"][...], WANT)
