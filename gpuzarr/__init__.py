"""Read and write Zarr arrays with the GPU, or on the CPU with the same API and the same values."""

from __future__ import annotations

from gpuzarr.array import Array
from gpuzarr.devices.choose import release
from gpuzarr.errors import (
    ChunkError,
    DeviceError,
    GpuZarrError,
    MetadataError,
    NotFoundError,
    SelectionError,
    StoreError,
    UnsupportedError,
)
from gpuzarr.group import Group
from gpuzarr.open import load, open, open_array, open_group
from gpuzarr.warmup import warmup

__version__ = "0.1.0"
__all__ = [
    "Array",
    "ChunkError",
    "DeviceError",
    "GpuZarrError",
    "Group",
    "MetadataError",
    "NotFoundError",
    "SelectionError",
    "StoreError",
    "UnsupportedError",
    "load",
    "open",
    "open_array",
    "open_group",
    "release",
    "warmup",
]
