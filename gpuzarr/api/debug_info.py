"""Versions and devices, for reports of faults."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from gpuzarr.devices.cuda.available import why_not_cuda

PACKAGES = ("numcodecs", "ml_dtypes", "google-crc32c", "isal", "cramjam", "zarr", "fsspec", "xarray", "dask")
GPU_PACKAGES = ("cupy-cuda13x", "cupy-cuda12x", "nvidia-libnvcomp-cu13", "nvidia-libnvcomp-cu12", "kvikio-cu13")


def print_debug_info() -> None:
    """Print what a report of a fault should hold: versions of packages, and whether there is a GPU.

    Examples
    --------
    >>> gpuzarr.print_debug_info()  # doctest: +ELLIPSIS
    platform: ...
    """
    print("platform:", platform.platform())
    print("python:", platform.python_version())
    print("gpuzarr:", sys.modules["gpuzarr"].__version__)
    print("numpy:", np.__version__)
    for name in (*PACKAGES, *GPU_PACKAGES):
        print(f"{name}:", _version(name))
    print("GPU:", why_not_cuda(0) or "yes")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
