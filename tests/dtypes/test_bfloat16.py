"""bfloat16 on devices with kernels: arrays of ml_dtypes' dtype lie there, where the array module can hold them."""

from __future__ import annotations

from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices import select as choose
from gpuzarr.devices.cuda import probe
from tests.hardware import host_array

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
SHAPE = (37, 50)
ZSTD = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
BLOSC = {
    "name": "blosc",
    "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 2, "blocksize": 0},
}
CHAINS = {
    "raw": {"compressors": None},
    "zstd": {"compressors": [ZSTD]},
    "blosc": {"compressors": [BLOSC]},
    "big": {"compressors": [ZSTD], "serializer": {"name": "bytes", "configuration": {"endian": "big"}}},
    "shards": {"compressors": [ZSTD], "shards": (32, 32)},
    "turned": {"compressors": [BLOSC], "filters": [{"name": "transpose", "configuration": {"order": [1, 0]}}]},
}


@pytest.fixture
def values():
    return (np.random.default_rng(0).normal(size=SHAPE) * 100).astype(BFLOAT16)


def bits(array):
    return host_array(array).view(np.uint16)


@pytest.mark.parametrize("chain", CHAINS)
def test_it_is_written_and_read_where_it_lies(gpu, chain, values, tmp_path):
    if not choose.holds(gpu, BFLOAT16):
        pytest.skip("this CuPy has no bfloat16")
    options = {"shape": SHAPE, "dtype": "bfloat16", "chunks": (16, 16), "fill_value": 3.5}
    a = gpuzarr.create_array(tmp_path, device=gpu, **options, **CHAINS[chain])
    assert a.device is gpu and a.explain().asdict()["gpu_decode"] == "yes"
    want = np.full(SHAPE, 3.5, BFLOAT16)
    want[:32], want[33, 3:40] = values[:32], values[33, 3:40]
    a[:32] = gpu.upload(values[:32])
    a[33, 3:40] = values[33, 3:40].astype("f4")  # another dtype, from the host
    for selection in (..., (slice(3, 35), slice(7, 41)), (slice(None, None, -2), slice(4, None, 3))):
        found = a[selection]
        assert isinstance(found, gpu.xp.ndarray) and found.dtype == BFLOAT16
        assert np.array_equal(bits(found), want[selection].view(np.uint16))
    assert np.array_equal(bits(a.oindex[[1, 36, 5], 2:9]), want[[1, 36, 5], 2:9].view(np.uint16))
    assert np.array_equal(bits(a.vindex[[1, 36, 5], [0, 49, 7]]), want[[1, 36, 5], [0, 49, 7]].view(np.uint16))
    tensorstore = pytest.importorskip("tensorstore")
    kvstore = {"driver": "file", "path": f"{tmp_path}/"}
    theirs = tensorstore.open({"driver": "zarr3", "kvstore": kvstore}, read=True).result().read().result()
    assert np.array_equal(np.asarray(theirs).view(np.uint16), want.view(np.uint16))


def test_a_module_without_it_gives_arrays_of_numpy(gpu, values, tmp_path, monkeypatch):
    def refuse(dtype):
        raise ValueError(f"Unsupported dtype {dtype}")

    with_it = SimpleNamespace(empty=lambda shape, dtype: refuse(dtype))
    assert not probe.holds.__wrapped__(with_it, BFLOAT16)
    a = gpuzarr.create_array(tmp_path, data=values, chunks=(16, 16), device="cpu")
    monkeypatch.setattr(gpu, "holds", lambda dtype: False)
    b = gpuzarr.open_array(a.store, device=gpu)
    assert b.device.name == "cpu" and type(b[...]) is np.ndarray
    assert np.array_equal(bits(b[...]), bits(values))


def test_wrong_values_are_noticed(gpu, monkeypatch):
    """A module whose copies of the dtype are not exact cannot hold it."""
    monkeypatch.setattr(gpu.xp.ndarray, "get", lambda self: np.zeros(self.shape, self.dtype), raising=False)
    assert not probe.holds.__wrapped__(gpu.xp, BFLOAT16)
