"""Where nodes really lie: the same folder has many names, and a mapping may be a part of another, or of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gpuzarr.stores.contract import Store
from gpuzarr.stores.keys import joined, start_of
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.memory import Below, place
from gpuzarr.stores.part import PartStore

Node = tuple[Store, str]  # a store, and a path in it
Identity = tuple[Any, str]
GROUP_DOCUMENTS = {"zarr.json": 3, ".zgroup": 2}  # and the version of Zarr of each


def contains(outer: Node, inner: Node) -> bool:
    """True if a place is another one, or lies below it."""
    return lies_in(identity(*inner), identity(*outer))


def lies_in(inner: Identity, outer: Identity) -> bool:
    """True if a place is another one, or lies below it."""
    (where, path), (place, below) = outer, inner
    return bool(where == place) and f"{below}/".startswith(start_of(path))


def around(store: Store) -> Iterator[tuple[Node, str]]:
    """The places around a store at which nodes may be, in larger stores; and the path of this one from there."""
    if (folder := _folder(store)) is not None:
        root = folder = _real(folder)
        while (outer := os.path.dirname(folder)) != folder:
            folder = outer
            if any(os.path.lexists(f"{folder}/{name}") for name in ("zarr.json", ".zarray")):
                yield (LocalStore(folder), ""), os.path.relpath(root, folder)
    elif isinstance(store, PartStore):
        parts = store.path.split("/")
        for i in range(len(parts)):
            yield (store.store, "/".join(parts[:i])), "/".join(parts[i:])
    elif isinstance(store, MappingStore) and isinstance(store.mapping, Below):
        parts = store.mapping.prefix.strip("/").split("/")
        for i in range(len(parts)):
            yield (MappingStore(store.mapping.inner), "/".join(parts[:i])), "/".join(parts[i:])


def widest(store: Store, path: str) -> Node:
    """The same place in the largest store that has it: one of which a part was given; the folder of the top group."""
    if isinstance(store, LocalStore):
        if not os.path.islink(store.folder) and not _is_group(os.path.dirname(store.folder)):
            return store, path
        root = folder = _real(store.folder)
        while (outer := os.path.dirname(folder)) != folder and _is_group(outer):
            folder = outer
        inner = os.path.relpath(root, folder)
        return (store, path) if folder == root else (replace(store, root=folder), joined(inner, path))
    if isinstance(store, PartStore):
        return store.store, joined(store.path, path)
    if not isinstance(store, MappingStore):
        return store, path
    mapping = store.mapping
    while isinstance(mapping, Below):
        mapping, path = mapping.inner, mapping.prefix + path
    return (store, path) if mapping is store.mapping else (replace(store, mapping=mapping), path.strip("/"))


def identity(store: Store, path: str) -> Identity:
    """A value that is the same for all stores and paths that mean the same place."""
    if (folder := _folder(store)) is not None:
        return "folder", _real(f"{folder}/{path}")
    if isinstance(store, PartStore):
        return identity(store.store, joined(store.path, path))
    if (client := getattr(store, "client", None)) is not None:
        where, root = reached(client)
        return where, joined(root, path)
    if not isinstance(store, MappingStore):
        return hashable(store), path
    where, key = place(store.mapping, path)
    return where, key.strip("/")


def reached(client: Any) -> Identity:
    """What a client of a RemoteStore reaches, and the path in it: a bucket and what lies in it have several clients."""
    from gpuzarr.stores.remote.fsspec_client import FsspecClient
    from gpuzarr.stores.remote.obstore_client import ObstoreClient
    from gpuzarr.stores.remote.zarr_client import ZarrClient

    if isinstance(client, ZarrClient):
        return replace(client, path=""), client.path
    if isinstance(client, FsspecClient):
        return client.fs, client.root.strip("/")
    if isinstance(client, ObstoreClient):
        scheme, _, rest = client.url.partition("://")
        host, _, path = rest.partition("/")
        endpoint = getattr(client.store, "config", None) or {}
        return (scheme, host, endpoint.get("endpoint")), f"{path}/{client.prefix}".strip("/")
    return client, ""


def hashable(store: Store) -> Any:
    """A store, or what stands for it if it has no hash: equal for equal stores."""
    try:
        hash(store)
    except TypeError:  # of what it holds, that may also take long to compare
        return Only(store)
    return store


class Only:
    """A store that is equal to itself alone."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Only) and other.store is self.store

    def __hash__(self) -> int:
        return id(self.store)


def _real(path: str) -> str:
    """A path without links; one that no file can have, as it has a NUL or half a surrogate pair, as it is."""
    try:
        return os.path.realpath(path)
    except ValueError:
        return path


def _is_group(folder: str) -> bool:
    return any(os.path.lexists(f"{folder}/{name}") for name in GROUP_DOCUMENTS)


def _folder(store: Store) -> str | None:
    """The folder of a store, also of a mapper of fsspec over local files."""
    if isinstance(store, LocalStore):
        return store.folder
    fs, root = (getattr(getattr(store, "mapping", None), name, None) for name in ("fs", "root"))
    if fs is None or not isinstance(root, str):
        return None
    from gpuzarr.stores.remote.fsspec_client import is_file_system, local_folder

    return local_folder(fs, root) if is_file_system(fs) else None
