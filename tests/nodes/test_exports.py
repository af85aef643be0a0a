"""Arrays as those of other libraries: NumPy's and CuPy's conversions, DLPack, and the libraries that take it."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from tests.hardware import host_array

DTYPES = ["?", "i1", "u2", "i4", "u8", "f2", "f4", "f8", "c8", "c16"]
SHAPES = [(5, 7), (4,), (), (0, 3), (2, 1, 3)]


def stored(device: Device, values: np.ndarray, **options: Any) -> gpuzarr.Array:
    return gpuzarr.create_array({}, data=values, chunks=tuple(max(n // 2, 1) for n in values.shape), device=device)


def some(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def taken(a: gpuzarr.Array, **options: Any) -> Any:
    """What the library of the array's device makes of it by DLPack."""
    return (a.device.xp if a.device.gpu else np).from_dlpack(a, **options)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_takes_any_array(dtype: str, shape: tuple[int, ...], device: Device) -> None:
    values = some(dtype, shape)
    a = stored(device, values)
    for made in (np.asarray(a), np.array(a), np.array(a, copy=True), np.array(a, copy=None), np.ascontiguousarray(a)):
        assert type(made) is np.ndarray and made.dtype == values.dtype
        np.testing.assert_array_equal(made, values.reshape(made.shape))
    assert np.asarray(a, "c16").dtype == "c16"
    for refused in (lambda: np.array(a, copy=False), lambda: np.asarray(a, copy=False)):
        with pytest.raises(ValueError, match="copy"):
            refused()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_gives_what_brackets_give(dtype: str, shape: tuple[int, ...], device: Device) -> None:
    values = some(dtype, shape)
    a = stored(device, values)
    made = taken(a)
    assert isinstance(made, device.xp.ndarray) and made.dtype == values.dtype and made.shape == shape
    np.testing.assert_array_equal(host_array(made), values)
    assert a.__dlpack_device__() == ((2, 0) if device.gpu else (1, 0))


def test_each_export_is_memory_of_its_own(device: Device) -> None:
    a = stored(device, some("i4", (6,)))
    one, two = taken(a), taken(a)
    one[:] = 7
    np.testing.assert_array_equal(host_array(two), some("i4", (6,)))
    np.testing.assert_array_equal(np.asarray(a), some("i4", (6,)))


def test_a_copy_to_the_host_is_made_on_request(device: Device) -> None:
    a = stored(device, some("f4", (6, 2)))
    made = np.from_dlpack(a, device="cpu")
    assert type(made) is np.ndarray
    np.testing.assert_array_equal(made, some("f4", (6, 2)))
    np.testing.assert_array_equal(host_array(taken(a, copy=True) if not device.gpu else taken(a)), some("f4", (6, 2)))


class Counted(dict):
    def __init__(self) -> None:
        self.reads = 0

    def __getitem__(self, key: str) -> Any:
        self.reads += "c/" in key
        return super().__getitem__(key)


def test_what_cannot_be_exported_is_refused_before_anything_is_read(device: Device) -> None:
    store = Counted()
    a = gpuzarr.create_array(store, data=some("i4", (6,)), chunks=2, device=device)
    store.reads = 0
    for options, said in [
        ({"copy": False}, "copy"),
        ({"dl_device": (8, 3)}, r"\(8, 3\)"),
        ({"dl_device": (1, 0), "stream": 5}, "stream=5"),
    ]:
        with pytest.raises(BufferError, match=said) as found:
            a.__dlpack__(**options)
        assert isinstance(found.value, gpuzarr.ExportError)
    assert not store.reads
    a.__dlpack__(max_version=(1, 0), copy=True)
    assert store.reads == 3


@pytest.mark.parametrize("dtype", ["U3", "M8[s]", "i4,f4", "float8_e5m2", "S4"])
def test_dtypes_that_dlpack_has_not(dtype: str, device: Device) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    a = gpuzarr.create_array({}, shape=(3,), dtype=kind, chunks=2, device=device)
    if device.name.startswith("cuda") and dtype == "float8_e5m2":
        pytest.skip("CuPy may have it")
    with pytest.raises(BufferError, match="has no dtype"):
        a.__dlpack__()


def test_a_stored_array_is_written_to_another(device: Device) -> None:
    a = stored(device, some("f4", (6, 4)))
    for dtype in ("f4", "f8", "bfloat16"):
        b = gpuzarr.create_array({}, shape=(6, 4), chunks=(4, 3), dtype=dtype, device=device)
        b[...] = a
        np.testing.assert_array_equal(np.asarray(b).astype("f4"), some("f4", (6, 4)))
        there = gpuzarr.create_array({}, shape=(6, 4), dtype=dtype, device="cpu")
        there[...] = b
        np.testing.assert_array_equal(np.asarray(there).astype("f4"), some("f4", (6, 4)))


def test_cupy(gpu: Device) -> None:
    a = stored(gpu, some("f4", (6, 4)))
    made = a.__cupy_get_ndarray__()
    assert isinstance(made, gpu.xp.ndarray)
    np.testing.assert_array_equal(host_array(made), some("f4", (6, 4)))
    if gpu.name.startswith("cuda"):
        for way in (gpu.xp.asarray, gpu.xp.array, gpu.xp.from_dlpack):
            np.testing.assert_array_equal(host_array(way(a)), some("f4", (6, 4)))


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    a = stored(CPU, some("f4", (6, 4)))
    for tensor in (torch.from_dlpack(a), torch.as_tensor(a[...]), torch.from_dlpack(a[...]), torch.asarray(a)):
        assert tensor.dtype == torch.float32 and tensor.tolist() == some("f4", (6, 4)).tolist()


def test_jax() -> None:
    jax = pytest.importorskip("jax")
    a = stored(CPU, some("f4", (6, 4)))
    for made in (jax.dlpack.from_dlpack(a), jax.numpy.from_dlpack(a), jax.numpy.asarray(a)):
        assert isinstance(made, jax.Array) and made.tolist() == some("f4", (6, 4)).tolist()
