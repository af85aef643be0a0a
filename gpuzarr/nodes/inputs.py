"""Convert values to write, by the rules of assignment in NumPy, and check the arrays that results go to."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes import parse_v3
from gpuzarr.errors import DeviceError, SelectionError, ValueKindError

_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged. Source: dlpack.h


def as_value(value: Any, dtype: np.dtype, shape: tuple[int, ...], device: Device) -> Any:
    """Convert a value to an array of the device that broadcasts to `shape`.

    `value` is an array of NumPy or CuPy, anything with DLPack, a list or a scalar. The result may still have another
    dtype, whose elements `dtype` can hold. DeviceError if the value is on another GPU; ValueKindError if its shape does
    not broadcast, if an integer would have to be NaN, infinite or out of range, and for masked elements.
    """
    try:
        array = _array(value, dtype, device)
        _check_elements(array, dtype)
        while array.ndim > len(shape) and array.shape[0] == 1:
            array = array.reshape(array.shape[1:])  # indexing would take a text out of its array
        device.xp.broadcast_to(array, shape)
        return array
    except (ValueKindError, DeviceError):
        raise
    except (
        TypeError,
        ValueError,
        OverflowError,
        RuntimeError,
        BufferError,
        MemoryError,
    ) as error:  # torch: requires grad
        raise ValueKindError(f"cannot write {_brief(value)} as {dtype} of shape {shape}: {error}") from error


def as_array(value: Any, dtype: np.dtype) -> np.ndarray:
    """Convert what has no shape, such as a list, to an array of NumPy. ValueKindError if it is none of this dtype."""
    try:
        return np.asarray(value, dtype)
    except (TypeError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
        raise ValueKindError(f"{_brief(value)} is no array of {dtype}: {error}") from error


def as_out(out: Any, shape: tuple[int, ...], dtype: np.dtype, device: Device) -> Any:
    """Check an array that a result shall go to, or take it out of a buffer of zarr-python.

    DeviceError or SelectionError if it does not fit.
    """
    out = out.as_ndarray_like() if hasattr(out, "as_ndarray_like") else out
    if not isinstance(out, device.xp.ndarray):
        kind = f"{device.xp.__name__}.ndarray"
        raise DeviceError(f"`out` must be a {kind} for an array on {device.name}, not a {type(out).__name__}")
    if out.shape != shape or out.dtype.newbyteorder("=") != dtype:
        found = f"{out.shape} and {out.dtype}"
        raise SelectionError(f"`out` must have shape {shape} and dtype {dtype}, not {found}")
    return out


def _array(value: Any, dtype: np.dtype, device: Device) -> Any:
    if device.gpu and (isinstance(value, device.xp.ndarray) or _is_cuda(value)):
        there = value if isinstance(value, device.xp.ndarray) else device.xp.from_dlpack(value)
        device.address(there)  # an error for an array of another GPU, for whose streams nothing here waits
        return there
    array = _converted(_host_array(value, dtype), dtype)
    return device.upload(array) if device.gpu else array


def _is_cuda(value: Any) -> bool:
    """True if a value lies on a GPU by DLPack, from which CuPy takes nothing else."""
    return hasattr(value, "__dlpack__") and int(value.__dlpack_device__()[0]) in _CUDA


def _host_array(value: Any, dtype: np.dtype) -> np.ndarray:
    if hasattr(value, "__cuda_array_interface__"):
        if not hasattr(value, "get") and not hasattr(value, "cpu"):
            raise ValueKindError(f"{type(value).__name__} lies on a GPU, and cannot be copied from there")
        value = value.get() if hasattr(value, "get") else value.cpu()
    if dtype.kind == "O":
        return _objects(value)
    if type(getattr(value, "dtype", None)).__module__ == "torch":
        return _of_torch(value)
    if hasattr(value, "filled") and np.any(value.mask):
        raise ValueKindError("a masked array has no values where it is masked: write value.filled(...)")
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "dtype"):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    if dtype.names is None and isinstance(value, list):
        made = np.asarray(value)
        return np.asarray(value, dtype) if made.dtype.kind in "OUSiu" else made
    return np.asarray(value, dtype)


def _converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert elements that may be none of `dtype`, such as texts for numbers: before anything is written."""
    is_odd = any(kind.kind in "OSUTMm" or kind.names is not None for kind in (array.dtype, dtype))
    return array.astype(dtype) if is_odd and dtype.kind != "O" and array.dtype != dtype else array


def _of_torch(tensor: Any) -> np.ndarray:
    """Convert a tensor of torch in host memory; a dtype that NumPy lacks (bfloat16, small floats) by its bits."""
    dtype = parse_v3(str(tensor.dtype).removeprefix("torch.")).dtype
    if dtype.isbuiltin == 1:
        return np.asarray(tensor)
    return np.asarray(tensor.view(getattr(sys.modules["torch"], f"int{8 * dtype.itemsize}"))).view(dtype)


def _objects(value: Any) -> np.ndarray:
    """Convert to an array of Python objects; a single text or bytes is one object."""
    if isinstance(value, np.ndarray):
        return value.astype(object)
    if isinstance(value, list):
        return np.array(value, object)
    made = np.empty((), object)
    made[()] = value
    return made


def _check_elements(array: Any, dtype: np.dtype) -> None:
    """Refuse to write NaN, infinity and floats out of range as integers: NumPy would store arbitrary values; and
    bytes of no type as elements of one."""
    if array.dtype.kind == "V" and array.dtype.names is None and array.dtype.isbuiltin == 0 and dtype.kind not in "VO":
        raise ValueKindError(f"elements of {array.dtype} cannot be written as {dtype}")
    if dtype.kind not in "iu" or array.dtype.kind not in "fc" or not array.size:
        return
    if array.dtype.kind == "c":
        raise ValueKindError(f"complex numbers cannot be written as {dtype}")
    limits, low, high = np.iinfo(dtype), float(array.min()), float(array.max())
    if not (limits.min - 1 < low and high < limits.max + 1):
        raise ValueKindError(f"floats from {low} to {high} cannot be written as {dtype} ({limits.min} to {limits.max})")


def _brief(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} of shape {shape}" if isinstance(shape, tuple) else type(value).__name__
