"""Where nodes really lie: the same folder has many names, and a mapping may be a part of another, or of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from gpuzarr.stores.contract import Store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.memory import Below, place

Node = tuple[Store, str]  # a store, and a path in it
LOCAL_PROTOCOLS = {"file", "local"}  # of fsspec


def contains(outer: Node, inner: Node) -> bool:
    """True if a place is another one, or lies below it."""
    (where, path), (place, below) = _place(*outer), _place(*inner)
    return where == place and f"{below}/".startswith(f"{path}/" if path else "")


def around(store: Store) -> Iterator[Node]:
    """The places around a store, in which nodes may lie, that are known to lie in a larger one."""
    if (folder := _folder(store)) is not None:
        folder = os.path.realpath(folder)
        while (outer := os.path.dirname(folder)) != folder:
            folder = outer
            if any(os.path.lexists(f"{folder}/{name}") for name in ("zarr.json", ".zarray")):
                yield LocalStore(folder), ""
    elif isinstance(store, MappingStore) and isinstance(store.mapping, Below):
        parts = store.mapping.prefix.strip("/").split("/")
        for i in range(len(parts)):
            yield MappingStore(store.mapping.inner), "/".join(parts[:i])


def _place(store: Store, path: str) -> tuple[Any, str]:
    if (folder := _folder(store)) is not None:
        return "folder", os.path.realpath(f"{folder}/{path}")
    if not isinstance(store, MappingStore):
        return id(store), path
    where, key = place(store.mapping, path)
    return where, key.strip("/")


def _folder(store: Store) -> str | None:
    """The folder of a store, also of a mapper of fsspec over local files."""
    if isinstance(store, LocalStore):
        return store.folder
    fs, root = (getattr(getattr(store, "mapping", None), name, None) for name in ("fs", "root"))
    protocol = getattr(type(fs), "protocol", ())
    is_local = LOCAL_PROTOCOLS & {*([protocol] if isinstance(protocol, str) else protocol)}
    return root if is_local and isinstance(root, str) else None
