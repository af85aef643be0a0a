"""Read and write Zarr arrays with a GPU, or on the CPU with the same API and the same values.

`gpuzarr.open` opens an array or a group, `gpuzarr.create_array` makes an array. Importing the package loads
none of its parts: each is loaded when a name of it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuzarr import codecs as codecs
    from gpuzarr import config as config
    from gpuzarr import dtype as dtype
    from gpuzarr import earth2studio as earth2studio
    from gpuzarr import errors as errors
    from gpuzarr import ome as ome
    from gpuzarr import storage as storage
    from gpuzarr import tools as tools
    from gpuzarr import xarray as xarray
    from gpuzarr import zarr as zarr
    from gpuzarr.api.copying import copy, copy_all, copy_store
    from gpuzarr.api.creating import array, empty, from_array, full, ones, zeros
    from gpuzarr.api.groups import create_hierarchy, group, tree
    from gpuzarr.api.like import empty_like, full_like, ones_like, open_like, zeros_like
    from gpuzarr.api.opening import load, open, open_array, open_consolidated, open_group
    from gpuzarr.api.saving import consolidate_metadata, create_group, save, save_array, save_group
    from gpuzarr.api.warm_up import warmup
    from gpuzarr.devices.select import release
    from gpuzarr.errors import (
        ArgumentError,
        ChunkError,
        ClosedError,
        ConfigError,
        DeviceError,
        ExistsError,
        ExportError,
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
    from gpuzarr.integrations.dask.reading import to_dask
    from gpuzarr.integrations.dask.writing import from_dask
    from gpuzarr.integrations.xarray.writing import to_zarr
    from gpuzarr.loader.loader import Loader
    from gpuzarr.loader.order.shuffle import BlockShuffle
    from gpuzarr.loader.space.samples import Part, Patch, Rows
    from gpuzarr.nodes.array import Array
    from gpuzarr.nodes.create import create_array
    from gpuzarr.nodes.group import Group
    from gpuzarr.nodes.many import ReadFailure, read_many
    from gpuzarr.nodes.new_arrays import create
    from gpuzarr.nodes.stats import Stats, stats
    from gpuzarr.read.cache import ChunkCache
    from gpuzarr.stores.local.store import LocalStore
    from gpuzarr.tools.debug_info import print_debug_info

_MODULES = {  # where the public names are; loaded by the first use of one of them (PEP 562)
    "api.copying": ("copy", "copy_all", "copy_store"),
    "api.creating": ("array", "empty", "from_array", "full", "ones", "zeros"),
    "api.groups": ("create_hierarchy", "group", "tree"),
    "api.like": ("empty_like", "full_like", "ones_like", "open_like", "zeros_like"),
    "api.opening": ("load", "open", "open_array", "open_consolidated", "open_group"),
    "api.saving": ("consolidate_metadata", "create_group", "save", "save_array", "save_group"),
    "api.warm_up": ("warmup",),
    "devices.select": ("release",),
    "errors": (
        *("ArgumentError", "ChunkError", "ClosedError", "ConfigError", "DeviceError", "ExistsError"),
        "ExportError",
        *(
            "GpuZarrError",
            "MetadataError",
            "NoMemoryError",
            "NotFoundError",
            "ReadOnlyError",
            "SelectionError",
            "StoreError",
        ),
        *("UnsupportedError", "ValueKindError"),
    ),
    "integrations.dask.reading": ("to_dask",),
    "integrations.dask.writing": ("from_dask",),
    "integrations.xarray.writing": ("to_zarr",),
    "loader.loader": ("Loader",),
    "loader.space.samples": ("Part", "Patch", "Rows"),
    "loader.order.shuffle": ("BlockShuffle",),
    "nodes.array": ("Array",),
    "nodes.create": ("create_array",),
    "nodes.many": ("ReadFailure", "read_many"),
    "nodes.new_arrays": ("create",),
    "nodes.stats": ("Stats", "stats"),
    "nodes.group": ("Group",),
    "read.cache": ("ChunkCache",),
    "stores.local.store": ("LocalStore",),
    "tools.debug_info": ("print_debug_info",),
}
_SUBMODULES = (
    "codecs",
    "config",
    "dtype",
    "earth2studio",
    "errors",
    "ome",
    "storage",
    "tools",
    "xarray",
    "zarr",
)  # the last two need these packages
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
_INSTEAD = {  # names of zarr-python that are not here, and what to use
    **dict.fromkeys(("DirectoryStore", "NestedDirectoryStore", "TempStore"), "give the path, or a gpuzarr.LocalStore"),
    **dict.fromkeys(("MemoryStore", "KVStore"), "give a dict, or a gpuzarr.storage.MemoryStore"),
    **dict.fromkeys(("FSStore", "ABSStore"), "give fsspec.get_mapper(url, **options), or any other mapping"),
    **dict.fromkeys(("ZipStore", "LMDBStore", "SQLiteStore", "DBMStore"), "give a mapping from keys to bytes"),
    **dict.fromkeys(("Blosc", "Zstd", "LZ4", "Zlib", "GZip", "Delta"), "take it from gpuzarr.codecs or numcodecs"),
    **dict.fromkeys(("ThreadSynchronizer", "ProcessSynchronizer"), "chunks that are written in part are locked anyway"),
    **dict.fromkeys(("AsyncArray", "AsyncGroup"), "use threads"),
    **dict.fromkeys(("hierarchy", "convenience", "creation", "core", "abc"), "public names are in gpuzarr itself"),
}

__version__ = "0.1.0"
__all__ = [
    "ArgumentError",
    "Array",
    "BlockShuffle",
    "ChunkCache",
    "ChunkError",
    "ClosedError",
    "ConfigError",
    "DeviceError",
    "ExistsError",
    "ExportError",
    "GpuZarrError",
    "Group",
    "Loader",
    "LocalStore",
    "MetadataError",
    "NoMemoryError",
    "NotFoundError",
    "Part",
    "Patch",
    "ReadFailure",
    "ReadOnlyError",
    "Rows",
    "SelectionError",
    "Stats",
    "StoreError",
    "UnsupportedError",
    "ValueKindError",
    "array",
    "consolidate_metadata",
    "copy",
    "copy_all",
    "copy_store",
    "create",
    "create_array",
    "create_group",
    "create_hierarchy",
    "empty",
    "empty_like",
    "from_array",
    "from_dask",
    "full",
    "full_like",
    "group",
    "load",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "open_like",
    "print_debug_info",
    "read_many",
    "release",
    "save",
    "save_array",
    "save_group",
    "stats",
    "to_dask",
    "to_zarr",
    "tree",
    "warmup",
    "zeros",
    "zeros_like",
]


def _loaded(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"gpuzarr.{name}")
    if name not in _MODULE_OF:
        instead = f": {_INSTEAD[name]}" if name in _INSTEAD else ""
        raise AttributeError(f"module 'gpuzarr' has no attribute {name!r}{instead}")
    value = globals()[name] = getattr(import_module(f"gpuzarr.{_MODULE_OF[name]}"), name)
    return value


if not TYPE_CHECKING:  # type checkers know the names, and tell of others
    __getattr__ = _loaded


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__, *_SUBMODULES})
