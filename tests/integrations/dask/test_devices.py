"""Which GPU the tasks of a worker use, and what they hold of it: nothing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.integrations.dask.stored import Stored
from gpuzarr.integrations.dask.target import Target
from gpuzarr.nodes.array import Array
from tests.emulator.arrays import DeviceArray

da = pytest.importorskip("dask.array")


def on_other_gpu(tmp_path: Path) -> Array:
    """An array of GPU 1, while GPU 0 is the current one."""
    gpuzarr.save_array(tmp_path, np.arange(8.0), chunks=2)
    return gpuzarr.open_array(tmp_path, mode="r+", device="cuda:1")


def copied(thing: Any) -> Any:
    """What comes out of a pickle; the stub of a GPU has functions that cannot be pickled."""
    make, members = thing.__reduce__()
    return make(*members)


def test_a_worker_uses_its_current_gpu(cuda: Any, tmp_path: Path) -> None:
    """The graph comes from a client whose GPU has another number. An Array by itself keeps the GPU that was named."""
    a = on_other_gpu(tmp_path)
    assert a.device.name == "cuda:1" == copied(a).device.name
    for held in (Stored(a), Target(a, ((0, 8),))):
        assert copied(held).array.device.name == "cuda:0"


def test_other_devices_stay(device: Device, tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=8, dtype="f8", device=device)
    copy = pickle.loads(pickle.dumps(Stored(a))).array
    assert copy.device.name == device.name and copy.path == a.path and copy.metadata.shape == a.shape


def test_graphs_hold_nothing_of_a_gpu(gpu: Device, tmp_path: Path) -> None:
    """Arrays of CuPy in a graph would be copied to every worker. There is one for `meta`, without elements."""
    a = gpuzarr.create_array(tmp_path / "a", data=gpu.upload(np.arange(8.0)), chunks=2, device=gpu)
    x = gpuzarr.to_dask(a)
    write = gpuzarr.from_dask(x + 1, tmp_path / "b", device=gpu, compute=False)
    assert isinstance(x._meta, gpu.xp.ndarray) and x._meta.size == 0
    for graph in (x.dask, write.dask):
        text = pickle.dumps(dict(graph))
        assert DeviceArray.__name__.encode() not in text and b"cupy" not in text


def test_a_worker_of_dask_cuda_for_each_gpu(tmp_path: Path) -> None:
    dask_cuda = pytest.importorskip("dask_cuda")
    from distributed import Client

    gpuzarr.save_array(tmp_path / "a", np.arange(64.0), chunks=8)
    with dask_cuda.LocalCUDACluster(threads_per_worker=1) as cluster, Client(cluster) as client:
        x = gpuzarr.to_dask(gpuzarr.open_array(tmp_path / "a", device="cuda"))
        gpuzarr.from_dask(x * 2, tmp_path / "b", chunks=8)
        assert client.compute(x.sum()).result() == 2016
    np.testing.assert_array_equal(gpuzarr.open_array(tmp_path / "b", device="cpu")[...], np.arange(64.0) * 2)
