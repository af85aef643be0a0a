"""Stores of zarr-python, and paths, arrays and groups in them, as stores of this library.

Folders, memory, archives, file systems and object stores are read by this library itself. Any other store, also one of
a user's own, is asked through its coroutines. zarr-python is not imported here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gpuzarr.stores import memory
from gpuzarr.stores.contract import Store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.path import below

WRAPPERS = ("WrapperStore", "LoggingStore")  # whose objects are those of the store inside
LIBRARIES = ("zarr", "icechunk", "virtualizarr")
# of a store, by which its class says what its objects are
METHODS = {
    *("get", "get_sync", "get_partial_values", "get_ranges", "getsize", "exists", "list", "list_dir", "list_prefix"),
    *("set", "set_sync", "set_if_not_exists", "delete", "delete_sync", "delete_dir", "supports_writes", "_open"),
}


def store_of(thing: Any) -> Store:
    """Store for a store of zarr-python, a path in one, an array or a group.

    It is read-only if the thing, or a store inside of it, is.
    """
    place = getattr(thing, "store_path", thing)  # arrays and groups have one
    is_path = any(kind.__name__ == "StorePath" for kind in type(place).__mro__)
    inner, path = (place.store, place.path) if is_path else (place, "")
    read_only = getattr(thing, "read_only", False) or inner.read_only
    while (name := _kind(inner)) in WRAPPERS:
        inner = inner._store
        read_only = read_only or inner.read_only
    found: Any = MAKERS[name](inner) if name in MAKERS else None
    found = _by_coroutines(inner) if found is None else found
    return below(found.with_read_only(True) if read_only else found, memory.path(path))


def _kind(store: Any) -> str:
    """Name of the class of a library that says what the objects of a store are; "" where a user's own class does."""
    for kind in type(store).__mro__:
        if kind.__module__.partition(".")[0] in LIBRARIES:
            return kind.__name__
        if METHODS & vars(kind).keys():
            return ""
    return ""


def _by_coroutines(store: Any) -> Store:
    from gpuzarr.stores.remote.store import RemoteStore
    from gpuzarr.stores.remote.zarr_client import ZarrClient

    return RemoteStore(ZarrClient(store))


def _of_folder(store: Any) -> Store:
    return LocalStore(str(store.root))


def _of_memory(store: Any) -> Store:
    return MappingStore(memory.below(memory.Buffers(store._store_dict), getattr(store, "path", "")))


def _of_file_system(store: Any) -> Store | None:
    """Store for a file system of fsspec; None where errors that only the store knows mean that an object is missing."""
    from gpuzarr.stores.finding.locations import of_file_system

    if store.allowed_exceptions != inspect.signature(type(store)).parameters["allowed_exceptions"].default:
        return None
    return of_file_system(getattr(store.fs, "sync_fs", store.fs), "" if store.path == "/" else store.path)


def _of_obstore(store: Any) -> Store:
    from gpuzarr.stores.remote.obstore_stores import store_of

    return store_of(store.store)


def _of_archive(store: Any) -> Store | None:
    """Store for an archive that is only read; None where it is written, and so has no table of contents yet."""
    from gpuzarr.stores.zip.store import ZipStore

    return ZipStore(store.path) if store._zmode == "r" and store.path is not None else None


def _of_icechunk(store: Any) -> Store:
    from gpuzarr.stores import icechunk

    return icechunk.store_of(store)


def _of_manifests(store: Any) -> Store | None:
    from gpuzarr.stores import virtualizarr

    return virtualizarr.store_of(store)


MAKERS: dict[str, Callable[[Any], Store | None]] = {
    "LocalStore": _of_folder,
    "MemoryStore": _of_memory,
    "ManagedMemoryStore": _of_memory,
    "FsspecStore": _of_file_system,
    "ObjectStore": _of_obstore,
    "ZipStore": _of_archive,
    "IcechunkStore": _of_icechunk,
    "ManifestStore": _of_manifests,
}
