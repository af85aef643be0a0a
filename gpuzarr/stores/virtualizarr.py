"""Stores of VirtualiZarr: documents in memory, and manifests that say where the chunks lie in other files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from gpuzarr.interrupts import within
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding.recognise import libraries
from gpuzarr.stores.key_locks import LOCKS, Locked
from gpuzarr.stores.keys import joined, start_of
from gpuzarr.stores.parts import INLINE, PartsStore, Places
from gpuzarr.stores.parts.manifests import Holders, Manifest, nowhere
from gpuzarr.stores.parts.table import Made
from gpuzarr.stores.remote import obstore_stores
from gpuzarr.stores.remote.store import RemoteStore
from gpuzarr.stores.remote.zarr_client import ZarrClient

DOCUMENT = "zarr.json"


def store_of(store: Any) -> Store:
    """Store for a ManifestStore. What its registry reaches by obstore is read without it."""
    return PartsStore(ManifestTable(store))


@dataclass(frozen=True)
class _Array:
    """Where the objects of an array lie: `start` and `separator` are those of the keys of its chunks."""

    manifest: Manifest
    start: str
    separator: str


@dataclass(frozen=True, eq=False)
class _Known:
    """What was made of a ManifestStore until now. It is not pickled."""

    holders: Holders = field(default_factory=Holders)
    arrays: dict[str, _Array] = field(default_factory=dict)
    stores: dict[int, Store] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Known, ()


@dataclass(frozen=True, eq=False)
class ManifestTable:
    """Where the objects of a ManifestStore lie. See `Table`."""

    store: Any
    known: _Known = field(default_factory=_Known, repr=False)

    knows_sizes = True

    def __repr__(self) -> str:
        return f"{type(self.store).__name__} at {id(self.store):#x}"

    def holders(self) -> Holders:
        return self.known.holders

    def stores(self) -> list[Store]:
        """See `HasManyHolders`."""
        return self.known.holders.stores()

    def places(self, keys: Sequence[str]) -> Places:
        return within(Locked(LOCKS.value.of([("manifests", id(self.known))])), lambda _: self._places(keys))

    def _places(self, keys: Sequence[str]) -> Places:
        found, inline = nowhere(len(keys)), dict[int, bytes | Made]()
        rows: dict[str, list[int]] = {}
        for i, key in enumerate(keys):
            path, rest = self._split(key)
            if rest == DOCUMENT:
                inline[i] = self._document(path)
            elif rest and self._is_array(path):
                rows.setdefault(path, []).append(i)
        found.holders[list(inline)] = INLINE
        for path, which in rows.items():
            array = self._array(path)
            some = array.manifest.places([keys[i] for i in which], array.start, array.separator)
            found.holders[which], found.offsets[which], found.sizes[which] = some.holders, some.offsets, some.sizes
            inline |= {which[i]: data for i, data in some.inline.items()}
        return Places(found.holders, found.offsets, found.sizes, inline)

    def _split(self, key: str) -> tuple[str, str]:
        """The path of the deepest node that a key is below, and the rest of the key."""
        node, parts = self.store._group, key.split("/")
        for depth, name in enumerate(parts):
            if name in node.arrays:
                return "/".join(parts[: depth + 1]), "/".join(parts[depth + 1 :])
            if name not in node.groups:
                return "/".join(parts[:depth]), "/".join(parts[depth:])
            node = node.groups[name]
        return key, ""

    def _node(self, path: str) -> Any:
        """The group or the array at a path; None where there is none."""
        node = self.store._group
        for name in path.split("/") if path else ():
            members = {} if _is_array(node) else {**node.arrays, **node.groups}
            if (node := members.get(name)) is None:
                return None
        return node

    def _is_array(self, path: str) -> bool:
        return _is_array(self._node(path))

    def _document(self, path: str) -> bytes:
        from zarr.core.buffer import cpu

        data: bytes = self._node(path).metadata.to_buffer_dict(prototype=cpu.buffer_prototype)[DOCUMENT].to_bytes()
        return data

    def _array(self, path: str) -> _Array:
        if (known := self.known.arrays.get(path)) is None:
            known = self.known.arrays[path] = self._listed(path)
        return known

    def _listed(self, path: str) -> _Array:
        node = self._node(path)
        encoding, chunks = node.metadata.chunk_key_encoding, node.manifest
        grid, separator = tuple(chunks._paths.shape), getattr(encoding, "separator", "/")
        start = f"{path}/{_start(encoding.name, separator, bool(grid))}".lstrip("/")
        inlined = {_flat(index, grid): data for index, data in getattr(chunks, "_inlined", {}).items()}
        urls = chunks._paths.reshape(-1).tolist()
        numbers = [i for i, url in enumerate(urls) if url or i in inlined]
        rows = {row: inlined[number] for row, number in enumerate(numbers) if number in inlined}
        offsets, sizes = (column.reshape(-1)[numbers].astype(np.int64) for column in (chunks._offsets, chunks._lengths))
        holders = np.full(len(numbers), INLINE)
        others = [row for row in range(len(numbers)) if row not in rows]
        holders[others], is_through = self._held([urls[numbers[row]] for row in others])
        through = [others[i] for i in np.flatnonzero(is_through).tolist()]
        keys = [f"{start}{separator.join(map(str, np.unravel_index(numbers[row], grid)))}" for row in through]
        first = self.known.holders.add(RemoteStore(ZarrClient(self.store)), keys)
        holders[through], offsets[through] = np.arange(first, first + len(through)), 0
        return _Array(Manifest(grid, np.array(numbers, np.int64), holders, offsets, sizes, rows), start, separator)

    def _held(self, urls: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The holders of the objects with such URLs, and which of them the ManifestStore itself must be asked for."""
        places = {url: place for url in dict.fromkeys(urls) if (place := self._place(url)) is not None}
        numbers = self.known.holders.add_files(places)
        holders = np.array([numbers.get(url, -1) for url in urls], np.int64)
        return holders, holders == -1

    def _place(self, url: str) -> tuple[Store, str] | None:
        """The store and the key of what a URL names, as the ManifestStore finds them; None where obstore has none."""
        try:
            store, _ = self.store._registry.resolve(url)
        except ValueError:  # the ManifestStore will say so, too
            return None
        if "obstore" not in libraries(store):
            return None
        if (known := self.known.stores.get(id(store))) is None:
            known = self.known.stores[id(store)] = obstore_stores.store_of(store)
        prefix = str(getattr(store, "prefix", None) or urlsplit(getattr(store, "url", "")).path).lstrip("/")
        return known, urlsplit(url).path.lstrip("/").removeprefix(prefix).lstrip("/")

    def names(self, prefix: str) -> list[str]:
        node = self._node(prefix)
        if node is not None and not _is_array(node):
            return [DOCUMENT, *node.arrays, *node.groups]
        start = start_of(prefix)
        return list({key[len(start) :].partition("/")[0] for key, _ in self.objects(prefix)})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = start_of(prefix)
        for path, node in _nodes("", self.store._group):
            if not (f"{path}/".startswith(start) or prefix.startswith(start_of(path))):
                continue
            found = [(f"{path}/{DOCUMENT}".lstrip("/"), len(self._document(path)))]
            if _is_array(node):
                found += self._chunks(path)
            yield from ((key, size) for key, size in found if key.startswith(start))

    def _chunks(self, path: str) -> list[tuple[str, int]]:
        """Key and bytes of each chunk of an array."""
        array = within(Locked(LOCKS.value.of([("manifests", id(self.known))])), lambda _: self._array(path))
        grid, numbers = array.manifest.grid, array.manifest.numbers
        indexes = np.stack(np.unravel_index(numbers, grid), axis=1).tolist() if grid else [[]] * len(numbers)
        keys = [array.start + array.separator.join(map(str, index)) for index in indexes]
        return list(zip(keys, array.manifest.sizes.tolist(), strict=True))


def _start(encoding: str, separator: str, has_axes: bool) -> str:
    """What the keys of chunks begin with, below their array."""
    if encoding == "v2":
        return "" if has_axes else "0"
    return f"c{separator}" if has_axes else "c"


def _flat(index: Sequence[int], grid: Sequence[int]) -> int:
    return int(np.ravel_multi_index(tuple(index), tuple(grid))) if grid else 0


def _is_array(node: Any) -> bool:
    return hasattr(node, "manifest")


def _nodes(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    """All nodes of a group and their paths, itself first."""
    yield path, node
    if not _is_array(node):
        for name, member in {**node.arrays, **node.groups}.items():
            yield from _nodes(joined(path, name), member)
