"""Select a device by name. CuPy is imported only where a driver exists and the name may mean a GPU."""

from __future__ import annotations

from typing import cast

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.cuda.available import why_not_cuda
from gpuzarr.dtypes.on_gpu import fits_gpu
from gpuzarr.errors import DeviceError
from gpuzarr.stores import kept
from gpuzarr.stores.local import gds

_CPU = cast(Device, CPU)  # without the members that only a GPU must have
_NAMES = "'auto', 'cpu', 'cuda', 'cuda:1' and so on"
opened: list[Device] = [_CPU]  # every device that was selected so far


def device(name: str | Device = "auto") -> Device:
    """Device with the name "cpu", "cuda:1", "cuda" (CuPy's current GPU), or "auto" ("cuda", or "cpu" without a GPU).

    A device that is given is returned. There is one object for each device. DeviceError for another name, and for a GPU
    that cannot be used; the message says what is missing.
    """
    if not isinstance(name, str):
        if isinstance(name, type) or not all(hasattr(name, member) for member in ("gpu", "xp", "run")):
            raise DeviceError(f"no device {shown(name)}: the names are {_NAMES}")
        return name
    if name == "auto":
        return _CPU if why_not_cuda(0) else _cuda(_current())
    if name == "cpu":
        return _CPU
    kind, colon, number = name.partition(":")
    if kind != "cuda" or (colon and not (number.isdecimal() and len(number) < 5)):
        raise DeviceError(f"no device {shown(name)}: the names are {_NAMES}")
    ordinal = int(number) if number else 0 if why_not_cuda(0) else _current()
    return _cuda(ordinal)


def holds(device: Device, dtype: np.dtype) -> bool:
    """Return True if the device can hold arrays of this dtype."""
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
    """Free what is kept for the next read: pinned buffers, scratch, threads, open files and cached chunks.

    Reads in progress keep what they use. The next read makes everything again.

    Examples
    --------
    >>> gpuzarr.release()
    """
    kept.clear()
    for each in opened:
        each.release()
    gds.FILES.clear()
