"""Which device a name means. Nothing here imports CuPy unless a driver is there and a GPU may be meant."""

from __future__ import annotations

from typing import cast

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.cuda.available import why_not_cuda
from gpuzarr.dtypes.on_gpu import fits_gpu
from gpuzarr.errors import DeviceError
from gpuzarr.stores.local import gds

_HOST = cast(Device, CPU)  # which has no kernels, as the contract allows
opened: list[Device] = [_HOST]  # all that were asked for


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
    return _cuda(ordinal)


def holds(device: Device, dtype: np.dtype) -> bool:
    """Whether arrays of this dtype can lie on the device."""
    return not device.gpu or (fits_gpu(dtype) and (dtype.isbuiltin == 1 or device.holds(dtype)))


def _current() -> int:
    import cupy

    return int(cupy.cuda.runtime.getDevice())


def _cuda(ordinal: int) -> Device:
    from gpuzarr.devices.cuda.device import cuda

    made = cuda(ordinal)
    if made not in opened:
        opened.append(made)
    return made


def release() -> None:
    """Free what the devices keep for the next read: pinned buffers, scratch, threads and streams.

    Reads in progress keep what they use. The next read makes everything again.

    Examples
    --------
    >>> gpuzarr.release()
    """
    for each in opened:
        each.release()
    gds.FILES.clear()
