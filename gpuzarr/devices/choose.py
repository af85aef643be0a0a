"""Which device a name means. Nothing here imports CuPy unless a driver is there and a GPU may be meant."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec
from typing import cast

import numpy as np

from gpuzarr.devices import Device
from gpuzarr.devices.host import HOST
from gpuzarr.errors import DeviceError
from gpuzarr.stores import gds

_HOST = cast(Device, HOST)  # which has no kernels, as the contract allows
opened: list[Device] = [_HOST]  # all that were asked for
_CUPY_DTYPES = "?bBhHiIlLqQefdFD"  # by NumPy's characters
_INSTALL = "pip install gpuzarr[cuda13] (or gpuzarr[cuda12] for CUDA 12)"


def device(name: str | Device = "auto") -> Device:
    """The device of that name: "cpu", "cuda:1", "cuda" (CuPy's current GPU), or "auto" (that, or the CPU).

    A device is returned as it is. There is one object for each device. DeviceError if it is not there
    (the message says what is missing), or the name is none of these.
    """
    if not isinstance(name, str):
        return name
    if name == "auto":
        return _HOST if why_not_cuda(0) else _cuda(_current())
    if name == "cpu":
        return _HOST
    kind, colon, number = name.partition(":")
    if kind != "cuda" or (colon and not number.isdecimal()):
        raise DeviceError(f"no device {name!r}: the names are 'auto', 'cpu', 'cuda', 'cuda:1' and so on")
    ordinal = int(number) if number else 0 if why_not_cuda(0) else _current()
    if missing := why_not_cuda(ordinal):
        raise DeviceError(f"device {name!r} is not there: {missing}")
    return _cuda(ordinal)


def fits_gpu(dtype: np.dtype) -> bool:
    """Whether CuPy has this dtype; bfloat16 only newer ones, see `holds`.

    (`isbuiltin`: 2 for other packages' ones, 0 for copies.)
    """
    return dtype.name == "bfloat16" or (dtype.isbuiltin != 2 and dtype.isnative and dtype.char in _CUPY_DTYPES)


def holds(device: Device, dtype: np.dtype) -> bool:
    """Whether arrays of this dtype can lie on the device."""
    return not device.gpu or (fits_gpu(dtype) and (dtype.isbuiltin == 1 or device.holds(dtype)))


@cache
def why_not_cuda(ordinal: int) -> str | None:
    """None if GPU `ordinal` can be used; else what is missing, and how to get it. Makes no CUDA context."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1) was found"
    if not find_spec("cupy"):
        return f"CuPy is not installed: {_INSTALL}"
    return _why_not_cupy(ordinal) or _why_not_nvcomp()


def _why_not_cupy(ordinal: int) -> str | None:
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy raises ImportError, its own CUDA errors, and others by version
        return f"CuPy finds no GPU ({error}): is the driver new enough? {_INSTALL}"
    return None if ordinal < count else f"this machine has {count} GPUs, the first is cuda:0"


def _why_not_nvcomp() -> str | None:
    from gpuzarr.devices import nvcomp

    try:
        nvcomp.load()
    except DeviceError as error:
        return str(error)
    return None


def _current() -> int:
    import cupy

    return int(cupy.cuda.runtime.getDevice())


@cache
def _cuda(ordinal: int) -> Device:
    from gpuzarr.devices.cuda import Cuda

    made = Cuda(ordinal)
    opened.append(made)
    return made


def release() -> None:
    """Let go of what the devices keep for the next read: pinned buffers, scratch, threads and streams.

    Reads that are at work keep what they have.
    """
    for each in opened:
        each.release()
    gds.FILES.clear()
