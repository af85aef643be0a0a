"""Stores with the names of `zarr.storage`. Those that have no meaning here say what to use instead.

`gpuzarr.open` makes a store of a path or a URL by itself; these are for programs that have one in hand.

Examples
--------
>>> from gpuzarr.storage import LocalStore, MemoryStore
>>> gpuzarr.save(LocalStore("a.zarr"), np.arange(3))
>>> gpuzarr.open(LocalStore("a.zarr", read_only=True))[1]
np.int64(1)
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Any

from gpuzarr.checks import flag, shown
from gpuzarr.errors import ArgumentError, StoreKindError, UnsupportedError
from gpuzarr.stores import memory
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding import locations, recognise, resolve
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.logged import LoggedStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.path import StorePath
from gpuzarr.stores.remote.store import RemoteStore
from gpuzarr.stores.zip import ZipStore

MemoryStore = MappingStore
_Stores = LocalStore | MappingStore | RemoteStore | ZipStore | StorePath
StoreLike = _Stores | str | os.PathLike[str] | dict[str, Any] | None


def _without(name: str, advice: str) -> Any:
    """Make a class that only says what to use instead of it."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise UnsupportedError(f"there is no {name} here: {advice}")

    members = {"__new__": refuse, "__module__": __name__, "__doc__": f"No store: {advice}."}
    others = ("open", "from_url", "from_mapper", "from_upath", "from_dict")
    return type(name, (), members | dict.fromkeys(others, staticmethod(refuse)))


GpuMemoryStore = _without("GpuMemoryStore", "arrays of a MemoryStore are decoded on a GPU; CuPy's arrays need no store")
WrapperStore = _without("WrapperStore", "give a mapping that does more; gpuzarr/stores/contract.py says what stores do")


class FsspecStore:
    """Makes stores of file systems of fsspec, as the class of this name in zarr-python: `RemoteStore`s.

    Parameters
    ----------
    fs
        A file system of fsspec.
    read_only
        True: nothing is written to it.
    path
        The path in the file system at which the store is.
    allowed_exceptions
        Errors that mean that an object is not there, beside the usual ones.

    Raises
    ------
    StoreKindError
        `fs` is no file system of fsspec.

    Examples
    --------
    >>> from fsspec.implementations.memory import MemoryFileSystem
    >>> store = gpuzarr.storage.FsspecStore(MemoryFileSystem(), path="/a.zarr")
    >>> gpuzarr.save(store, np.arange(3))
    >>> gpuzarr.open(store)[1]
    np.int64(1)
    """

    def __new__(  # type: ignore[misc]  # as zarr-python's class is called
        cls, fs: Any, read_only: bool = False, path: str = "/", allowed_exceptions: tuple[type[Exception], ...] = ()
    ) -> Store:
        from gpuzarr.stores.remote.fsspec_client import is_file_system

        if not is_file_system(fs):
            raise StoreKindError(f"FsspecStore takes a file system of fsspec, not {shown(fs)}")
        found = locations.of_file_system(fs, "" if path == "/" else path, missing=allowed_exceptions)
        return _only_read(found, read_only)

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: dict[str, Any] | None = None,
        read_only: bool = False,
        allowed_exceptions: tuple[type[Exception], ...] = (),
    ) -> Store:
        """Store for a URL, by fsspec even where `gpuzarr.open` would not need it.

        Examples
        --------
        >>> gpuzarr.storage.FsspecStore.from_url("memory://b.zarr")
        RemoteStore('memory://b.zarr')
        """
        found = locations.by_fsspec(url, dict(storage_options or {}), allowed_exceptions)
        return _only_read(found, read_only)

    @classmethod
    def from_mapper(
        cls, fs_map: Any, read_only: bool = False, allowed_exceptions: tuple[type[Exception], ...] = ()
    ) -> Store:
        """Store for a mapper of fsspec, as `gpuzarr.open` takes it, too.

        Examples
        --------
        >>> import fsspec
        >>> gpuzarr.storage.FsspecStore.from_mapper(fsspec.get_mapper("memory://c.zarr"))
        RemoteStore('memory:///c.zarr')
        """
        return cls(fs_map.fs, read_only, fs_map.root, (*fs_map.missing_exceptions, *allowed_exceptions))

    @classmethod
    def from_upath(
        cls, upath: Any, read_only: bool = False, allowed_exceptions: tuple[type[Exception], ...] = ()
    ) -> Store:
        """Store for a path of universal_pathlib, as `gpuzarr.open` takes it, too."""
        return cls(upath.fs, read_only, upath.path, allowed_exceptions)


def ObjectStore(store: Any, *, read_only: bool = False) -> Store:  # as a class of zarr-python
    """Make a store of one of obstore (`obstore.store.S3Store(...)`), as `gpuzarr.open` does, too.

    Examples
    --------
    >>> import obstore
    >>> store = gpuzarr.storage.ObjectStore(obstore.store.MemoryStore())
    >>> gpuzarr.save(store, np.arange(3))
    >>> gpuzarr.open(store)[1]
    np.int64(1)
    """
    from gpuzarr.stores.remote.obstore_stores import store_of

    if "obstore" not in recognise.libraries(store):
        raise StoreKindError(f"ObjectStore takes a store of obstore, not {shown(store)}")
    return _only_read(store_of(store), read_only)


def LoggingStore(  # as a class of zarr-python
    store: Any, log_level: str = "DEBUG", log_handler: logging.Handler | None = None
) -> Store:
    """Make a store that logs each call to another one. (`a.last_read` tells in short what was read of an array.)

    Examples
    --------
    >>> logged = gpuzarr.storage.LoggingStore("store.zarr", log_level="INFO")
    >>> gpuzarr.save(logged, np.arange(3))  # with logging.basicConfig(level="INFO") it tells what it does
    >>> gpuzarr.open(logged)[1]
    np.int64(1)
    """
    if not isinstance(logging.getLevelName(str(log_level).upper()), int):
        raise ArgumentError(f"log_level is the name of a level, such as 'DEBUG', not {shown(log_level)}")
    return LoggedStore(resolve.store(store, access="a"), log_level, log_handler)


def ManagedMemoryStore(  # as a class of zarr-python
    name: str | None = None, *, path: str = "", read_only: bool = False
) -> MappingStore:
    """Make the store of the memory that `memory://name` names; a new one without a name."""
    held = memory.below({}, path) if name is None else memory.of_url(f"memory://{name}/{path}")
    return MappingStore(held, read_only)


def _only_read(store: Any, read_only: bool) -> Store:
    """The store, to which nothing is written if `read_only` is True."""
    only_read: Store = replace(store, read_only=True) if flag(read_only, "read_only") else store
    return only_read


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
