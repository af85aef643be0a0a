"""Threads, processes and a cluster do the same, and a worker that dies loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array
from tests.integrations.dask import cluster

da = pytest.importorskip("dask.array")
pytest.importorskip("distributed")
LAYOUT: dict[str, Any] = {"chunks": (4, 10), "shards": (8, 20)}
VALUES = np.arange(40 * 40.0).reshape(40, 40)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster.client() as found, found.cluster:
        yield found


@pytest.fixture(scope="module")
def pool() -> Iterator[Any]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as found:
        yield found


@pytest.fixture(params=["sync", "threads", "processes", "cluster"])
def computed(request: pytest.FixtureRequest) -> Any:
    """What computes something of dask: computed(x)."""
    if request.param == "cluster":
        found = request.getfixturevalue("client")
        return lambda x: found.compute(x).result()
    more = {"pool": request.getfixturevalue("pool")} if request.param == "processes" else {}
    return lambda x: x.compute(scheduler=request.param, **more)


def test_all_do_the_same(computed: Any, tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path / "a", data=VALUES, device="cpu", **LAYOUT)
    x = gpuzarr.to_dask(a)
    np.testing.assert_array_equal(computed(x), VALUES)
    assert computed(x.sum()) == VALUES.sum()
    write = gpuzarr.from_dask(x.T.rechunk((16, 20)) * 2, tmp_path / "b", compute=False, device="cpu", **LAYOUT)
    assert computed(write) == 6
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "b")[...], VALUES.T * 2)
    b = gpuzarr.open_array(tmp_path / "b", mode="r+", device="cpu")
    region = (slice(3, 29), 7)
    computed(gpuzarr.from_dask(-x[:26, 0].rechunk(((5, 8, 8, 5),)), b, region=region, compute=False))
    want = VALUES.T * 2
    want[region] = -VALUES[:26, 0]
    np.testing.assert_array_equal(b[...], want)


def test_an_emulated_gpu_of_other_processes(client: Any, gpu: Device, tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path / "a", data=gpu.upload(VALUES), device=gpu, **LAYOUT)
    b = gpuzarr.create_array(tmp_path / "b", shape=VALUES.shape, dtype="f8", device=gpu, **LAYOUT)
    client.compute(gpuzarr.from_dask(gpuzarr.to_dask(a) + 1, b, compute=False)).result()
    np.testing.assert_array_equal(host_array(b[...]), VALUES + 1)


@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_loses_nothing(client: Any, tmp_path: Path) -> None:
    values = np.arange(320.0).reshape(32, 10)
    x = da.from_array(values, chunks=(2, 10)).map_blocks(
        cluster.die_once, str(tmp_path), 9, dtype="f8", meta=np.empty((0, 0))
    )
    write = gpuzarr.from_dask(x, tmp_path / "a", chunks=(1, 10), shards=(2, 10), compute=False)
    assert client.compute(write).result(timeout=120) == 16
    assert (tmp_path / "died").exists()
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[...], values)


def test_what_is_in_memory_is_not_written_by_other_processes(client: Any, pool: Any) -> None:
    store: dict[str, bytes] = {}
    client.wait_for_workers(2)
    workers = set(client.scheduler_info()["workers"])
    x = da.arange(8.0, chunks=2)
    write = gpuzarr.from_dask(x, store, "a", compute=False)
    text = r"MappingStore\(dict.*in the memory of process \d+, and cannot be written by process \d+: give"
    for compute in (lambda: client.compute(write).result(), lambda: write.compute(scheduler="processes", pool=pool)):
        with pytest.raises(gpuzarr.StoreError, match=text):
            compute()
    assert set(client.scheduler_info()["workers"]) == workers  # they live
    b = gpuzarr.create_array(store, name="b", shape=8, chunks=2, dtype="f8", device="cpu")
    with pytest.raises(gpuzarr.ReadOnlyError, match="a copy, by pickle, of what is in the memory of process"):
        client.compute(da.store(x, b, lock=False, compute=False)).result()
    assert write.compute(scheduler="threads") == 4
    np.testing.assert_array_equal(gpuzarr.open(store, "a")[...], np.arange(8))


def test_threads_of_a_cluster_in_this_process_write_to_memory() -> None:
    from distributed import Client

    store: dict[str, bytes] = {}
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0", set_as_default=False) as c:
        assert c.compute(gpuzarr.from_dask(da.arange(8.0, chunks=2), store, compute=False)).result() == 4
    np.testing.assert_array_equal(gpuzarr.open(store)[...], np.arange(8))


def test_dasks_own_functions_write_from_all_workers(client: Any, tmp_path: Path) -> None:
    """`to_zarr`, `store`, `from_zarr` and `from_array` take arrays of gpuzarr."""
    x = da.from_array(VALUES, chunks=(8, 20))
    with client.as_current():
        a = gpuzarr.create_array(tmp_path / "a", shape=VALUES.shape, dtype="f8", device="cpu", **LAYOUT)
        da.to_zarr(x, a)
        np.testing.assert_array_equal(da.from_zarr(a).compute(), VALUES)
        da.store(x + 1, a, lock=False)
        np.testing.assert_array_equal(da.from_array(a, chunks=(8, 20)).compute(), VALUES + 1)
