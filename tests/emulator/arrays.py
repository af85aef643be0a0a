"""Arrays of the emulated device, as strict as CuPy's: a NumPy array never meets one in an expression or an assignment."""

from __future__ import annotations

from typing import Any

import numpy as np


class DeviceArray(np.ndarray):
    """NumPy memory that plays the memory of a device."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return run(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        return run(function, args, kwargs)

    def __setitem__(self, where, value):
        super().__setitem__(where, plain(value))


def plain(value: Any) -> Any:
    """What NumPy shall see. TypeError for an array of the host."""
    if isinstance(value, DeviceArray):
        return value.view(np.ndarray)
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("an array of the host meets an array of the device")
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return value


def device_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.view(DeviceArray)
    return type(value)(map(device_array, value)) if isinstance(value, list | tuple) else value


def run(function: Any, args: Any, kwargs: Any) -> Any:
    return device_array(function(*plain(tuple(args)), **{name: plain(value) for name, value in kwargs.items()}))


class _StrideTricks:
    @staticmethod
    def as_strided(array: DeviceArray, shape: Any, strides: Any) -> DeviceArray:
        return np.lib.stride_tricks.as_strided(array, shape, strides, subok=True)


class _Lib:
    stride_tricks = _StrideTricks


class Xp:
    """The array module of the device: NumPy's functions over arrays of the device."""

    ndarray, lib = DeviceArray, _Lib

    def asarray(self, value: Any, dtype: Any = None) -> DeviceArray:
        return value if isinstance(value, DeviceArray) and dtype in (None, value.dtype) else self.array(value, dtype)

    def array(self, value: Any, dtype: Any = None) -> DeviceArray:
        """CuPy copies an array of the host to the device here, and nowhere else."""
        return np.array(value, dtype).view(DeviceArray)

    def asnumpy(self, value: DeviceArray) -> np.ndarray:
        return np.array(value.view(np.ndarray))

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found
        return lambda *args, **kwargs: run(found, args, kwargs)
