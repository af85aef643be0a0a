"""Arrays of the emulated device, as strict as CuPy's: they do not mix with NumPy arrays in any operation."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from gpuzarr.dtypes.on_gpu import fits_gpu
from tests.emulator import sanitizer

CUDA = 2  # kDLCUDA of DLPack


def address_of(memory: np.ndarray) -> int:
    """As `memory.ctypes.data`, which makes an object first."""
    address: int = memory.__array_interface__["data"][0]
    return address


def is_full(memory: np.ndarray, byte: int) -> bool:
    """Whether contiguous memory has this byte and nothing else."""
    return memory.tobytes().count(byte) == len(memory)


class Tensor:
    """An array of another library, with DLPack, in host memory or as if on a GPU."""

    def __init__(self, memory: np.ndarray, where: int) -> None:
        self.memory, self.where = memory, where

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.where, 0

    def __dlpack__(self, **options: Any) -> Any:
        return self.memory.__dlpack__(**options)


class OnHost:
    """What lies "on the GPU", for NumPy."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __dlpack__(self, stream: Any = None, **options: Any) -> Any:
        return self.value.__dlpack__(**options)


class DeviceArray(np.ndarray):
    """NumPy memory that stands for memory of a device."""

    def __array_finalize__(self, made_from):
        """Raise ValueError for what CuPy has no arrays of: dates, strings, objects, other byte orders.

        Dtypes of other packages are for tests to hand to PyTorch and JAX, which have more of them.
        """
        if self.dtype.isbuiltin != 2 and not fits_gpu(self.dtype):
            raise ValueError(f"Unsupported dtype {self.dtype}")

    def __index__(self):
        raise TypeError("CuPy's arrays are no integers")

    @property
    def __cuda_array_interface__(self):
        return {**self.__array_interface__, "version": 3, "stream": 1}

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return run(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        return run(function, args, kwargs)

    def set(self, data, stream=None):
        """Copy from host memory of the same dtype, as CuPy does."""
        assert not isinstance(data, DeviceArray) and data.dtype == self.dtype and data.flags.c_contiguous
        self.view(np.ndarray)[...] = data

    def get(self, stream=None, out=None, blocking=True):
        """Copy to host memory, as CuPy does: to an array of the same shape."""
        out = np.empty(self.shape, self.dtype) if out is None else out
        assert (out.shape, out.dtype) == (self.shape, self.dtype)
        out[...] = self.view(np.ndarray)
        return out

    def __dlpack_device__(self):
        return CUDA, 0

    def __dlpack__(self, **options):
        """A capsule of host memory, which only `Xp.from_dlpack` and `OnHost` can take."""
        stream = options.pop("stream", None)
        assert stream in (None, -1, 1, 2), f"no stream is numbered {stream}"
        return self.view(np.ndarray).__dlpack__(**options)

    def __setitem__(self, where, value):
        super().__setitem__(where, plain(value))


def plain(value: Any) -> Any:
    """Convert device arrays to NumPy arrays, for NumPy's functions. TypeError for an array of the host."""
    if isinstance(value, DeviceArray):
        return value.view(np.ndarray)
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("an array of the host meets an array of the device")
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return value


def device_array(value: Any) -> Any:
    """Convert NumPy arrays, also in lists and tuples, to device arrays."""
    if isinstance(value, np.ndarray):
        return value.view(DeviceArray)
    return type(value)(map(device_array, value)) if isinstance(value, list | tuple) else value


def run(function: Any, args: Any, kwargs: Any) -> Any:
    """Call a function of NumPy with device arrays. What it returns has whole words, as all memory of a GPU."""
    made = function(*plain(tuple(args)), **{name: plain(value) for name, value in kwargs.items()})
    return device_array(sanitizer.in_words(made) if sanitizer.ON and isinstance(made, np.ndarray) else made)


class _Module:
    """A module of NumPy whose functions take and return device arrays."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if isinstance(found, ModuleType):
            return _Module(found)
        if isinstance(found, type) or not callable(found):
            return found
        return lambda *args, **kwargs: run(found, args, kwargs)


class Xp(_Module):
    """The array module of the device."""

    ndarray = DeviceArray
    __name__ = "emulated"

    def __init__(self) -> None:
        super().__init__(np)

    def asarray(self, value: Any, dtype: Any = None) -> DeviceArray:
        return value if isinstance(value, DeviceArray) and dtype in (None, value.dtype) else self.array(value, dtype)

    def array(self, value: Any, dtype: Any = None) -> DeviceArray:
        """Make a device array. Like CuPy's, it is the only function that takes an array of the host."""
        return np.array(value, dtype).view(DeviceArray)

    def from_dlpack(self, value: Any) -> DeviceArray:
        """Make a device array of a tensor on a GPU. TypeError for one in host memory, as CuPy raises."""
        if value.__dlpack_device__()[0] != CUDA:
            raise TypeError("CPU arrays cannot be directly imported to CuPy")
        return np.from_dlpack(OnHost(value)).view(DeviceArray)

    def asnumpy(self, value: DeviceArray) -> np.ndarray:
        return np.array(value.view(np.ndarray))
