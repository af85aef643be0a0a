"""Find out if a GPU can be used, and if not, what is missing. Makes no CUDA context."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec

from gpuzarr.errors import DeviceError

_INSTALL = "pip install gpuzarr[cuda13] (or gpuzarr[cuda12] for CUDA 12)"


@cache
def why_not_cuda(ordinal: int) -> str | None:
    """Say what is missing to use GPU `ordinal`, and how to get it; None if nothing is. Makes no CUDA context."""
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
    except Exception as error:  # ImportError, CUDA errors, and others that depend on CuPy's version
        return f"CuPy finds no GPU ({error}): is the driver new enough? {_INSTALL}"
    return None if ordinal < count else f"this machine has {count} GPUs, the first is cuda:0"


def _why_not_nvcomp() -> str | None:
    from gpuzarr.devices.nvcomp import decompress as nvcomp

    try:
        nvcomp.load()
    except DeviceError as error:
        return str(error)
    return None
