"""Convert values to write, by the rules of assignment in NumPy, and check the arrays that results go to."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes import DataType, parse_v3
from gpuzarr.dtypes.elements import check_bytes, check_numbers, check_range, converted, of_tuples, real
from gpuzarr.errors import ArgumentError, DeviceError, SelectionError, ValueKindError

_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged. Source: dlpack.h


def as_value(
    value: Any, dtype: np.dtype, shape: tuple[int, ...], device: Device, data_type: DataType | None = None
) -> Any:
    """Convert a value to an array of the device that broadcasts to `shape`.

    `value` is an array of NumPy or CuPy, anything with DLPack, a list or a scalar. The result may still have another
    dtype, whose elements `dtype` can hold. `data_type`: that of the array, which says more of objects. DeviceError if
    the value is on another GPU; ValueKindError if its shape does not broadcast, for elements that the array cannot hold
    (`dtypes.elements`), and for masked ones.
    """
    try:
        array = _array(value, dtype, device)
        if data_type is not None and data_type.family == "bytes":
            check_bytes(array)
        check_numbers(array, dtype, device.xp)
        array = real(array, dtype)
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


def on_device(value: Any, device: Device) -> Any:
    """Take a value as an array of the device, with the dtype that it has: floats of a list."""
    try:
        return _array(value, np.dtype("float64"), device)
    except (TypeError, ValueError, OverflowError, RuntimeError, BufferError, MemoryError) as error:
        raise ValueKindError(f"{_brief(value)} is no array of numbers: {error}") from error


def as_array(value: Any, dtype: np.dtype) -> np.ndarray:
    """Convert what has no shape, such as a list, to an array of NumPy, from which `as_value` makes one of this dtype.

    ValueKindError if it is none.
    """
    try:
        return _host_array(value, dtype)
    except (TypeError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
        raise ValueKindError(f"{_brief(value)} is no array of {dtype}: {error}") from error


def as_out(out: Any, shape: tuple[int, ...], dtype: np.dtype, device: Device) -> Any:
    """Check an array that a result shall go to, or take it out of a buffer of zarr-python.

    DeviceError or SelectionError if it does not fit, ArgumentError if it is read-only or its elements share memory.
    """
    out = out.as_ndarray_like() if hasattr(out, "as_ndarray_like") else out
    if not isinstance(out, device.xp.ndarray):
        kind = f"{device.xp.__name__}.ndarray"
        raise DeviceError(f"`out` must be a {kind} for an array on {device.name}, not a {type(out).__name__}")
    if not getattr(out.flags, "writeable", True):  # arrays of CuPy always are
        raise ArgumentError("`out` is read-only")
    if any(step == 0 and n > 1 for n, step in zip(out.shape, out.strides, strict=True)) and out.size:
        raise ArgumentError(f"elements of `out` share memory: its shape is {out.shape}, its strides are {out.strides}")
    native = out.dtype if out.dtype.isnative else out.dtype.newbyteorder("=")  # which that of strings does not have
    if out.shape != shape or native != dtype:
        found = f"{out.shape} and {out.dtype}"
        raise SelectionError(f"`out` must have shape {shape} and dtype {dtype}, not {found}")
    return out


def _array(value: Any, dtype: np.dtype, device: Device) -> Any:
    if hasattr(value, "read_elements"):  # a stored array, whose values stay on the GPU if it is the same
        value = value[...] if value.device.name == device.name else np.asarray(value)
    if device.gpu and (isinstance(value, device.xp.ndarray) or cuda_ordinal(value) is not None):
        there = value if isinstance(value, device.xp.ndarray) else device.xp.from_dlpack(value)
        device.address(there)  # an error for an array of another GPU, for whose streams nothing here waits
        return there
    array = converted(_host_array(value, dtype), dtype)
    return device.upload(array) if device.gpu else array


def cuda_ordinal(value: Any) -> int | None:
    """The number of the GPU on which a value lies by DLPack, from which CuPy takes nothing else; None if on none."""
    if not hasattr(value, "__dlpack__"):
        return None
    kind, ordinal = (int(each) for each in value.__dlpack_device__())
    return ordinal if kind in _CUDA else None


def _host_array(value: Any, dtype: np.dtype) -> np.ndarray:
    if hasattr(value, "__cuda_array_interface__"):
        if not hasattr(value, "get") and not hasattr(value, "cpu"):
            raise ValueKindError(f"{type(value).__name__} lies on a GPU, and cannot be copied from there")
        value = value.get() if hasattr(value, "get") else value.cpu()
    if hasattr(value, "filled") and np.any(value.mask):
        raise ValueKindError("a masked array has no values where it is masked: write value.filled(...)")
    if dtype.kind == "O":
        return _objects(value)
    if type(getattr(value, "dtype", None)).__module__ == "torch":
        return _of_torch(value)
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "dtype"):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    if dtype.names is not None:
        return of_tuples(value, dtype)
    if isinstance(value, str | bytes | bytearray | memoryview) and dtype.kind in "SUTV":
        return _objects(bytes(value) if isinstance(value, bytearray | memoryview) else value)
    made = np.asarray(value)  # of texts NumPy leaves out what ends with NUL; others it makes of one kind first
    if made.size and made.dtype.kind in "iu" and dtype.kind in "iu":
        check_range(made, dtype)  # integers of Python do not wrap around
    return np.array(value, object) if made.dtype.kind in "USV" or dtype.kind in "SUT" else made


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


def _brief(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} of shape {shape}" if isinstance(shape, tuple) else type(value).__name__
