"""Read and write Zarr arrays with the GPU, or on the CPU with the same API and the same values."""

from __future__ import annotations

from gpuzarr.api.creating import array, create, empty, from_array, full, group, ones, zeros
from gpuzarr.api.opening import load, open, open_array, open_consolidated, open_group
from gpuzarr.api.saving import consolidate_metadata, create_group, save, save_array, save_group
from gpuzarr.api.warm_up import warmup
from gpuzarr.devices.select import release
from gpuzarr.errors import (
    ChunkError,
    ClosedError,
    DeviceError,
    ExistsError,
    GpuZarrError,
    MetadataError,
    NoMemoryError,
    NotFoundError,
    ReadOnlyError,
    SelectionError,
    StoreError,
    UnsupportedError,
    ValueKindError,
)
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import create_array
from gpuzarr.nodes.group import Group

__version__ = "0.1.0"
__all__ = [
    "Array",
    "ChunkError",
    "ClosedError",
    "DeviceError",
    "ExistsError",
    "GpuZarrError",
    "Group",
    "MetadataError",
    "NoMemoryError",
    "NotFoundError",
    "ReadOnlyError",
    "SelectionError",
    "StoreError",
    "UnsupportedError",
    "ValueKindError",
    "array",
    "consolidate_metadata",
    "create",
    "create_array",
    "create_group",
    "empty",
    "from_array",
    "full",
    "group",
    "load",
    "ones",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "release",
    "save",
    "save_array",
    "save_group",
    "warmup",
    "zeros",
]
