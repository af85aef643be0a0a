"""What `to=` makes of arrays of batches: the same values, in the same memory where that can be, or a clear error."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.results import MIN_RESULT_BYTES
from gpuzarr.loader import output
from gpuzarr.loader.output import checked, converted, stream_of
from tests.emulator.arrays import DeviceArray
from tests.hardware import host_array, on
from tests.loader.packages import package

BUILTIN = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]
SMALL = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]
NONE = ["M8[s]", "m8[ns]", "S3", "U2", "V4", "O", "g", [("a", "i4")]]


@pytest.fixture(autouse=True)
def host_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch and JAX without CUDA take what is on the emulated device, which is memory of the host."""
    monkeypatch.setattr(DeviceArray, "__dlpack_device__", lambda self: (1, 0))


def dtype_of(name: Any) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name)) if name in SMALL else np.dtype(name)


def values(dtype: np.dtype) -> np.ndarray:
    return np.array([[0, 1, 2], [1, 3, 4]]).astype(dtype)


def view(dtype: Any, device: Device = CPU, name: str = "x") -> Any:
    array = SimpleNamespace(device=device, dtype=np.dtype(dtype))
    return SimpleNamespace(name=name, arrays=[array], cast=[None], dtype=array.dtype, shape=(3,))


def bits(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


@pytest.mark.parametrize("name", [*BUILTIN, *SMALL])
def test_torch_shares_the_memory(name: str, device: Device) -> None:
    torch = package("torch")
    host = values(dtype_of(name))
    array = on(device, host)
    tensor = converted(array, "torch", device)
    assert str(tensor.dtype) == f"torch.{host.dtype.name}" and tuple(tensor.shape) == host.shape
    unsigned = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.int64}[host.dtype.itemsize]
    assert tensor.cpu().view(unsigned).numpy().tobytes() == bits(host)
    tensor[0, 0] = 1
    assert bits(host_array(array)) == bits(np.array([[1, 1, 2], [1, 3, 4]]).astype(host.dtype))
    checked("torch", [view(host.dtype)])


def test_a_dtype_that_came_from_another_byte_order() -> None:
    package("torch")
    array = np.arange(3).astype(np.dtype(">f4").newbyteorder("="))
    assert converted(array, "torch", CPU).tolist() == [0, 1, 2]
    checked("torch", [view(array.dtype)])


@pytest.mark.parametrize("to", ["torch", "jax"])
@pytest.mark.parametrize("name", [*NONE, "string", "int4"])
def test_what_has_no_tensor_is_named(to: str, name: Any) -> None:
    package(to)
    dtype = np.dtypes.StringDType() if name == "string" else ml_dtypes.int4 if name == "int4" else name
    if (to, name) == ("jax", "int4"):
        checked(to, [view(dtype)])
        return
    with pytest.raises(gpuzarr.ArgumentError, match="'labels' has: give to='numpy'"):
        checked(to, [view("u1"), view(dtype, name="labels")])


@pytest.mark.parametrize("name", [*BUILTIN, *SMALL])
def test_jax(name: str, device: Device) -> None:
    jax = package("jax")
    host = values(dtype_of(name))
    with jax.enable_x64(True):
        made = converted(on(device, host), "jax", device)
        assert made.dtype == host.dtype and bits(np.asarray(made)) == bits(host)
        checked("jax", [view(host.dtype)])


@pytest.mark.parametrize("name", ["i8", "u8", "f8", "c16"])
def test_jax_narrows_with_a_warning(name: str, device: Device) -> None:
    package("jax")
    narrow = np.dtype(f"{name[0]}{int(name[1:]) // 2}")
    made = converted(on(device, values(np.dtype(name))), "jax", device)
    assert made.dtype == narrow and np.array_equal(made, values(narrow))
    with pytest.warns(UserWarning, match=f"'x' has {np.dtype(name)}, of which JAX makes {narrow}: set jax_enable_x64"):
        checked("jax", [view(name)])


@pytest.mark.parametrize("to", ["torch", "jax"])
def test_memory_is_used_again_when_the_last_array_on_it_is_gone(to: str) -> None:
    """Blocks of large results are kept for later ones: whoever shares one holds it."""
    package(to)
    CPU.release()
    shape, dtype = (MIN_RESULT_BYTES // 4,), np.dtype("f4")
    array = CPU.array(shape, dtype)
    array[:] = 1
    address = array.ctypes.data
    shared = converted(array, to, CPU)
    there = shared.data_ptr() if to == "torch" else shared.unsafe_buffer_pointer()
    assert there == address
    del array
    other = CPU.array(shape, dtype)
    other[:] = 2
    assert other.ctypes.data != address and float(shared[0]) == float(shared[-1]) == 1
    del shared
    assert CPU.array(shape, dtype).ctypes.data == address


def test_numpy_is_on_the_host(device: Device) -> None:
    host = np.arange(6, dtype="i4")
    array = on(device, host)
    made = converted(array, "numpy", device)
    assert type(made) is np.ndarray and np.array_equal(made, host)
    assert (made is array) == (not device.gpu) and converted(array, None, device) is array
    texts = np.array(["a"], object)
    assert converted(texts, "numpy", device) is texts


def test_cupy_is_on_a_gpu(device: Device) -> None:
    if device.gpu:
        array = on(device, np.arange(3))
        checked("cupy", [view("f4", device)])
        assert converted(array, "cupy", device) is array
        with pytest.raises(gpuzarr.DeviceError, match="'x': CuPy has no arrays of datetime64"):
            checked("cupy", [cast_away(view("M8[s]", device))])
    else:
        with pytest.raises(gpuzarr.DeviceError, match="'x' is on the CPU"):
            checked("cupy", [view("f4", device)])


def cast_away(one: Any) -> Any:
    """A view whose elements the GPU of its array cannot hold."""
    one.cast = [SimpleNamespace(dtype=one.dtype)]
    return one


def test_what_is_asked_for_is_known() -> None:
    with pytest.raises(gpuzarr.ArgumentError, match=r"to is one of None, 'numpy', 'cupy', 'torch', 'jax', not 'tf'"):
        checked("tf", [])


@pytest.mark.parametrize(("to", "name"), [("torch", "PyTorch"), ("jax", "JAX")])
def test_a_missing_package_is_named(to: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, to, raising=False)
    with pytest.raises(gpuzarr.ArgumentError, match=rf"needs {name}: pip install 'gpuzarr\[{to}\]'"):
        checked(to, [])


@pytest.mark.parametrize("to", ["torch", "jax"])
def test_a_package_without_cuda_is_told(to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = package(to)
    if to == "torch":
        monkeypatch.setattr(module.cuda, "is_available", lambda: False)
    else:
        monkeypatch.setattr(module, "default_backend", lambda: "cpu")
    with pytest.raises(gpuzarr.DeviceError, match=r"'x' is on cuda:1, which this (PyTorch|JAX) \([\d.+a-z]+\) cannot"):
        checked(to, [view("f4", SimpleNamespace(name="cuda:1", gpu=True))])


def test_streams_are_those_of_torch(cuda: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory of batches is ordered on the stream on which PyTorch works."""
    made, asked, current = [], [], SimpleNamespace(cuda_stream=77)
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    sys.modules["torch"].cuda = SimpleNamespace(current_stream=lambda where: (asked.append(where), current)[1])
    monkeypatch.setattr(
        cuda.xp.cuda, "ExternalStream", lambda *given: (made.append(given), "a stream")[1], raising=False
    )
    monkeypatch.setattr(cuda.xp.cuda.Stream, "null", "the null stream", raising=False)
    assert stream_of("torch", cuda) == "a stream" and made == [(77, 0)] and asked == ["cuda:0"]
    current.cuda_stream = 0
    assert stream_of("torch", cuda) == "the null stream" and len(made) == 1
    assert [stream_of(to, cuda) for to in (None, "numpy", "cupy", "jax")] == [None] * 4
    assert stream_of("torch", CPU) is None
