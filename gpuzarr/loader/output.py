"""Batches as `to=` asks for them: arrays of NumPy, CuPy, PyTorch or JAX, in the same memory where that can be.

Memory of a batch is freed, or used again, when the last array on it is gone, whichever library's that is. On a GPU it
is allocated on the stream of PyTorch that is current, as PyTorch's own is: whoever uses a tensor on another stream says
so by `tensor.record_stream`, or waits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from gpuzarr.checks import one_of
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import is_float
from gpuzarr.errors import ArgumentError, DeviceError, GpuZarrWarning, warn
from gpuzarr.loader.contract import View
from gpuzarr.nodes.casting import result

Array = Any
Dtype = np.dtype[Any]
ALIGNMENT = 64  # of memory that JAX takes as it is, in bytes; other memory it copies
_NAMES = {"torch": "PyTorch", "jax": "JAX"}
_INSTEAD = "give to='numpy', or leave the array out"


def checked(to: str | None, views: Sequence[View]) -> str | None:
    """The `to` of a loader, after a look at all that can be wrong with it; what JAX will narrow is warned of.

    ArgumentError where the package is missing, or has no such dtype as an array's; DeviceError where it cannot use the
    GPU, or CuPy is to have what a CPU reads. The message names the array.
    """
    one_of(to, "to", None, "numpy", "cupy", "torch", "jax")
    if to in _NAMES and not (to in sys.modules or find_spec(to)):
        raise ArgumentError(f"to={to!r} needs {_NAMES[to]}: pip install 'gpuzarr[{to}]'")
    for view in views if to in _CHECKS else ():
        _CHECKS[to](view, device_of(view))
    return to


def device_of(view: View) -> Device:
    """Where the array of a batch is: a CPU if the array's own device lacks the dtype."""
    return result(view.arrays[0], view.cast[0])[1]


def converted(array: Array, to: str | None, device: Device) -> Array:
    """An array of a batch, of the device or of the host, as `to` asks for it; to be called on `stream_of`'s stream.

    "torch" and "jax" share the memory; JAX copies what lies in host memory, unless that is aligned to 64 bytes and JAX
    has the dtype. "numpy" copies what lies on a GPU, and waits for that.
    """
    return array if to is None else _CONVERSIONS[to](array, device)


def stream_of(to: str | None, device: Device) -> Any:
    """The stream for `Device.on` on which batches are allocated and handed over; None: the current one of CuPy.

    PyTorch has streams of its own, and its allocator, like CuPy's, orders the next use of memory on them alone. JAX
    says by DLPack which stream has to wait.
    """
    if to != "torch" or not _is_cuda(device):
        return None
    import torch

    return device.stream_at(torch.cuda.current_stream(device.name).cuda_stream)


def _is_cuda(device: Device) -> bool:
    return device.name.startswith("cuda")


def _is_on_host(array: Array) -> bool:
    return type(array) is np.ndarray


# NumPy, CuPy


def _as_numpy(array: Array, device: Device) -> np.ndarray:
    return array if _is_on_host(array) else device.download(array)


def _as_cupy(array: Array, device: Device) -> Array:
    return array


def _check_cupy(view: View, device: Device) -> None:
    if device.gpu:
        return
    if view.arrays[0].device.gpu:
        raise DeviceError(f"{view.name!r}: CuPy has no arrays of {view.dtype}, which a CPU reads; {_INSTEAD}")
    raise DeviceError(f"to='cupy' needs arrays that were opened for a GPU, but {view.name!r} is on the CPU")


# PyTorch


def _as_torch(array: Array, device: Device) -> Any:
    import torch
    from torch.utils.dlpack import from_dlpack

    bits = array.view(_bits_of(array.dtype))
    tensor = torch.from_numpy(bits) if _is_on_host(bits) else from_dlpack(bits)
    return tensor if bits.dtype == array.dtype else tensor.view(_torch_dtype(array.dtype))


@cache
def _torch_dtype(dtype: Dtype) -> Any:
    """The dtype of PyTorch with the same elements; None if there is none."""
    import torch

    is_number = dtype.kind in "biufc" if dtype.isbuiltin != 2 else is_float(dtype)
    return getattr(torch, dtype.name, None) if is_number else None


def _check_torch(view: View, device: Device) -> None:
    import torch

    if _torch_dtype(view.dtype) is None:
        raise ArgumentError(f"PyTorch has no tensors of {view.dtype}, which {view.name!r} has: {_INSTEAD}")
    if _is_cuda(device) and not torch.cuda.is_available():
        raise _cannot_use(view, device, f"PyTorch ({torch.__version__})")


# JAX


def _as_jax(array: Array, device: Device) -> Any:
    import jax

    if not _is_on_host(array):
        bits = array.view(_bits_of(array.dtype))
        made = jax.dlpack.from_dlpack(bits)
        return made if bits.dtype == array.dtype else made.view(array.dtype)
    if _is_shared_by_jax(array):
        return jax.dlpack.from_dlpack(array)
    return jax.numpy.asarray(array)


def _is_shared_by_jax(array: np.ndarray) -> bool:
    import jax

    # DLPack has dtypes that are not NumPy's own as bits
    is_same = array.dtype.isbuiltin == 1 and jax.dtypes.canonicalize_dtype(array.dtype) == array.dtype
    return is_same and array.ctypes.data % ALIGNMENT == 0 and jax.default_backend() == "cpu"


def _jax_dtype(dtype: Dtype) -> Dtype | None:
    """The dtype of what JAX makes of elements, found by trial: 64 bits become 32 unless `jax_enable_x64` is set. None
    if it refuses them."""
    import jax

    try:
        return np.dtype(jax.numpy.asarray(np.zeros(1, dtype)).dtype)
    except (TypeError, RuntimeError):
        return None


def _check_jax(view: View, device: Device) -> None:
    import jax

    if (made := _jax_dtype(view.dtype)) is None:
        raise ArgumentError(f"JAX has no arrays of {view.dtype}, which {view.name!r} has: {_INSTEAD}")
    if made != view.dtype:
        text = f"{view.name!r} has {view.dtype}, of which JAX makes {made}: set jax_enable_x64, or give another dtype"
        warn(text, GpuZarrWarning)
    if _is_cuda(device) and jax.default_backend() != "gpu":
        raise _cannot_use(view, device, f"JAX ({jax.__version__})")


# bits of what DLPack, or a version of it, does not know


def _bits_of(dtype: Dtype) -> Dtype:
    """The dtype as which elements are handed over: integers in the place of bools and of small floats of ml_dtypes."""
    return np.dtype(f"u{dtype.itemsize}") if dtype.isbuiltin == 2 or dtype.kind == "b" else dtype


def _cannot_use(view: View, device: Device, what: str) -> DeviceError:
    where = f"{view.name!r} is on {device.name}, which this {what} cannot use"
    return DeviceError(f"{where}: install one for CUDA, or open the arrays with device='cpu'")


_CONVERSIONS: dict[str, Callable[[Array, Device], Any]] = {
    "numpy": _as_numpy,
    "cupy": _as_cupy,
    "torch": _as_torch,
    "jax": _as_jax,
}
_CHECKS: dict[str | None, Callable[[View, Device], None]] = {
    "cupy": _check_cupy,
    "torch": _check_torch,
    "jax": _check_jax,
}
