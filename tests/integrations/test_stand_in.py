"""Arrays and dask arrays of a GPU (of CuPy, or its stand-in) are read and written without arrays of NumPy between."""

import pickle

import numpy as np
import pytest

import gpuzarr
from tests.hardware import host_array

da = pytest.importorskip("dask.array")
VALUES = np.arange(60, dtype="float32").reshape(6, 10)


@pytest.fixture
def array(cupy_device):
    """A stored array, read and written on the GPU."""
    return gpuzarr.array(VALUES, chunks=(2, 5), shards=(4, 5), device=cupy_device)


def assert_on_gpu(result, expected, cp):
    assert isinstance(result, cp.ndarray) and result.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(host_array(result), expected)


READS = {
    "all": lambda a: a[...],
    "slices": lambda a: a[1:5, ::-3],
    "an element": lambda a: a[2, 3],
    "no element": lambda a: a[:0],
    "outer": lambda a: a.oindex[[0, 5], slice(3)],
    "points": lambda a: a.vindex[[0, 5], [9, 1]],
    "a mask": lambda a: a.oindex[np.array([True, False] * 3)],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reads(array, cp, host_copies, read):
    result = read(array)
    assert host_copies == []
    assert_on_gpu(result, read(gpuzarr.array(VALUES, device="cpu")), cp)


def test_reads_into_memory_of_the_user(array, cp, host_copies):
    memory = cp.empty((2, 10), "float32")
    assert array.get(slice(1, 3), out=memory).shape == (2, 10)
    assert host_copies == []
    assert_on_gpu(memory, VALUES[1:3], cp)


def test_writes(array, cp, host_copies):
    array[1:3] = cp.asarray(VALUES[4:6])
    array[0, 0] = cp.asarray(np.float32(7))
    array.oindex[[5], [2, 9]] = cp.asarray(VALUES[:1, :2])
    assert host_copies == []
    expected = VALUES.copy()
    expected[1:3], expected[0, 0], expected[5, [2, 9]] = VALUES[4:6], 7, VALUES[0, :2]
    assert_on_gpu(array[...], expected, cp)


def test_to_dask(array, cp, host_copies):
    x = gpuzarr.to_dask(array)
    assert isinstance(x._meta, cp.ndarray) and x.chunksize == (4, 5)
    assert isinstance(x.blocks[0, 1].compute(scheduler="synchronous"), cp.ndarray)
    results = {
        "all": (x, VALUES),
        "part": (x[[4, 1], ::3], VALUES[[4, 1], ::3]),
        "sum": (x.sum(), VALUES.sum()),
        "max": (x.max(axis=0), VALUES.max(0)),
        "arithmetic": ((x * 2 - 1).T, (VALUES * 2 - 1).T),
        "other blocks": (gpuzarr.to_dask(array, chunks=(5, 3)), VALUES),
        "pickled": (pickle.loads(pickle.dumps(x)), VALUES),
    }
    done = {name: ours.compute(scheduler="threads") for name, (ours, _) in results.items()}
    assert host_copies == []
    for name, (_, expected) in results.items():
        assert_on_gpu(done[name], expected, cp)


def test_an_array_without_axes(cupy_device, cp, host_copies):
    x = gpuzarr.to_dask(gpuzarr.array(np.float64(3.5), device=cupy_device))
    assert isinstance(x._meta, cp.ndarray)
    result = (x + 1).compute()
    assert host_copies == []
    assert_on_gpu(result, np.array(4.5), cp)


def test_from_dask(array, tmp_path, cupy_device, cp, host_copies):
    made = gpuzarr.from_dask(
        gpuzarr.to_dask(array) + 1, tmp_path / "a.zarr", device=cupy_device, chunks=(2, 5), shards=(4, 5)
    )
    gpuzarr.from_dask(gpuzarr.to_dask(array)[:4] * 2, made, region=slice(4))
    da.store(gpuzarr.to_dask(array)[4:], made, regions=(slice(4, 6),), lock=False)
    assert host_copies == []
    assert_on_gpu(made[...], np.concatenate([VALUES[:4] * 2, VALUES[4:]]), cp)


def test_from_dask_arrays_of_others(tmp_path, cupy_device, cp, host_copies):
    x = da.from_array(VALUES, chunks=(2, 10)).map_blocks(cp.asarray, meta=cp.empty((0, 0), "float32"))
    made = gpuzarr.from_dask(x**2, tmp_path / "a.zarr", chunks=(2, 5), device=cupy_device)
    assert host_copies == []
    assert_on_gpu(made[...], VALUES**2, cp)


def test_new_arrays(tmp_path, cupy_device, cp, host_copies):
    made = gpuzarr.create_array(tmp_path / "a.zarr", data=cp.asarray(VALUES), chunks=(3, 5), device=cupy_device)
    assert host_copies == []
    assert_on_gpu(made[...], VALUES, cp)
