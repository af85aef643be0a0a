"""Make a store of what users pass: a path, a URL, a Mapping."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from gpuzarr.errors import StoreKindError
from gpuzarr.stores import memory, zarr_python
from gpuzarr.stores.contract import Store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.path import StorePath, below
from gpuzarr.stores.zarr_python import is_of_zarr

ACCEPTED = "a path (str or pathlib.Path), a file:// or memory:// URL, or a Mapping from keys to bytes"
REMOTE = "fsspec.get_mapper(url, **storage_options) makes a Mapping that is taken"


def store(thing: Any, storage_options: Any = None) -> Store:
    """Store for a path, a URL, a Mapping, a store, or what zarr-python has in a folder or in memory. None: a new dict.

    StoreKindError for anything else, and for `storage_options`, which only remote stores have.
    """
    if storage_options is not None and not (isinstance(storage_options, dict) and not storage_options):
        raise StoreKindError(f"no store with storage_options: {REMOTE}")
    if is_of_zarr(thing):
        return zarr_python.store_of(thing)
    if thing is None or isinstance(thing, Mapping):
        return MappingStore({} if thing is None else thing)
    if isinstance(thing, StorePath):
        return below(store(thing.store), thing.path)
    if hasattr(thing, "store_path"):  # it has names of methods of a store, too
        raise StoreKindError(f"{thing!r} is a node, not a store: give its store_path")
    if all(hasattr(thing, name) for name in ("get", "open", "names")):
        known: Store = thing
        return known
    if isinstance(thing, str) and thing.lower().startswith("memory://"):
        return MappingStore(memory.of_url(thing))
    path = os.fspath(thing) if isinstance(thing, str | os.PathLike) else None
    if not isinstance(path, str):
        raise StoreKindError(f"a store is {ACCEPTED}; not {type(thing).__name__}")
    path = _from_url(path) if isinstance(thing, str) else path
    if path.lower().endswith(".zip") and not os.path.isdir(path):
        small = "{name: z.read(name) for name in z.namelist()} of zipfile.ZipFile is one"
        raise StoreKindError(
            f"zip stores are not supported yet ({path!r}): unzip it, or if it is small, {small}; a store is {ACCEPTED}"
        )
    if os.path.isfile(path):
        raise StoreKindError(f"{path!r} is a file, where a Zarr store is a folder; a store is {ACCEPTED}")
    return LocalStore(path)


def _from_url(text: str) -> str:
    """Path of a str: that of a file:// URL, or the str itself. StoreKindError for URLs of other schemes."""
    scheme, found, rest = text.partition("://")
    if not found or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.:-]+", scheme):
        return text
    if scheme.lower() != "file":
        raise StoreKindError(f"no store for {scheme}:// URLs yet ({text!r}): {REMOTE}; a store is {ACCEPTED}")
    from urllib.parse import unquote  # slow to import

    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise StoreKindError(f"{text!r} names another host or no absolute path; write file:///path")
    return "/" + unquote(path)
