"""Stores with the names of `zarr.storage`. Those that have no meaning here say what to use instead.

Examples
--------
>>> from gpuzarr.storage import LocalStore, MemoryStore
>>> gpuzarr.save(LocalStore("a.zarr"), np.arange(3))
>>> gpuzarr.open(LocalStore("a.zarr", read_only=True))[1]
np.int64(1)
"""

from __future__ import annotations

import os
from typing import Any

from gpuzarr.errors import UnsupportedError
from gpuzarr.stores import memory
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.path import StorePath

MemoryStore = MappingStore
StoreLike = LocalStore | MappingStore | StorePath | str | os.PathLike[str] | dict[str, Any] | None
_MAPPER = "give gpuzarr.open(fsspec.get_mapper(url, **options)); a LocalStore for folders"


def _without(name: str, advice: str) -> Any:
    """Make a class that only says what to use instead of it."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise UnsupportedError(f"there is no {name} here: {advice}")

    members = {"__new__": refuse, "__module__": __name__, "__doc__": f"No store: {advice}."}
    others = ("open", "from_url", "from_mapper", "from_upath", "from_dict")
    return type(name, (), members | dict.fromkeys(others, staticmethod(refuse)))


FsspecStore = _without("FsspecStore", _MAPPER)
ObjectStore = _without("ObjectStore", _MAPPER)
ZipStore = _without("ZipStore", "unzip it, or give {name: z.read(name) for name in z.namelist()} of zipfile.ZipFile")
GpuMemoryStore = _without("GpuMemoryStore", "arrays of a MemoryStore are decoded on a GPU; CuPy's arrays need no store")
LoggingStore = _without("LoggingStore", "a.last_read and a.last_write tell what was read and written of an array")
WrapperStore = _without("WrapperStore", "give a mapping that does more; gpuzarr/stores/contract.py says what stores do")


def ManagedMemoryStore(  # as a class of zarr-python
    name: str | None = None, *, path: str = "", read_only: bool = False
) -> MappingStore:
    """Make the store of the memory that `memory://name` names; a new one without a name."""
    held = memory.below({}, path) if name is None else memory.of_url(f"memory://{name}/{path}")
    return MappingStore(held, read_only)


__all__ = [
    "FsspecStore",
    "GpuMemoryStore",
    "LocalStore",
    "LoggingStore",
    "ManagedMemoryStore",
    "MemoryStore",
    "ObjectStore",
    "StoreLike",
    "StorePath",
    "WrapperStore",
    "ZipStore",
]
