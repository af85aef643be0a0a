"""Where the chunks of one snapshot of an Icechunk repository lie, as its manifests say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpuzarr.errors import StoreError
from gpuzarr.interrupts import within
from gpuzarr.stores.contract import Store
from gpuzarr.stores.icechunk.virtual import Containers, versions_of
from gpuzarr.stores.key_locks import LOCKS, Locked
from gpuzarr.stores.parts.manifests import Holders, Manifest, flat, nowhere
from gpuzarr.stores.parts.table import INLINE, Made, Places
from gpuzarr.stores.remote import zarr_loop
from gpuzarr.stores.remote.client import Asked
from gpuzarr.stores.remote.store import RemoteStore

NATIVE, VIRTUAL, IN_MANIFEST = 1, 2, 3  # icechunk.ChunkType
THROUGH = -3  # holder, in manifests, of a chunk that the session is asked for
LISTED_AT_ONCE = 100_000  # chunks
MAX_NUMBER = 1 << 62
_CHUNK = re.compile(r"((?:.*/)?c)(?:/\d+)*", re.DOTALL)


class SnapshotTable:
    """Where the objects of a snapshot lie. See `Table`.

    Native chunks are objects of `chunks`. Virtual ones are read in their files, where these can be read without the
    credentials that the session has, and once the session has been seen to read the file: it may refuse it, as not
    authorised, or as changed after the reference was made. What is remembered of that holds for one version of the
    file. `through`, the session itself as a store, is asked for all others.
    """

    knows_sizes = True

    def __init__(self, through: RemoteStore, chunks: Store | None, snapshot: str) -> None:
        self.snapshot, self.is_forgotten = snapshot, False
        self._through, self._chunks = through, chunks
        self._holders = Holders()
        self._manifests: dict[str, Manifest] = {}
        client: Any = through.client
        self._containers = Containers(client.store.session.config.virtual_chunk_containers or {})
        self._files = set[int]()  # holders that are files of virtual chunks
        self._versions: dict[int, Any] = {}  # of files, as they were when the session read them; None: it refused
        self._asked: dict[str, int] = {}  # the holders of objects that the session is asked for

    def __repr__(self) -> str:
        return f"snapshot {self.snapshot} of {self._through!r}"

    def holders(self) -> Holders:
        return self._holders

    def forget(self) -> None:
        """Have the table made anew: a file was replaced."""
        self.is_forgotten = True

    def places(self, keys: Sequence[str]) -> Places:
        return within(Locked(LOCKS.value.of([("icechunk", id(self))])), lambda _: self._places(keys))

    def _places(self, keys: Sequence[str]) -> Places:
        groups: dict[str, list[int]] = {}
        for i, key in enumerate(keys):
            found = _CHUNK.fullmatch(key)
            groups.setdefault(found[1] if found else "", []).append(i)
        if len(groups) == 1 and "" not in groups:
            return self._checked(keys, self._chunks_of(next(iter(groups)), keys))
        all_of_them = nowhere(len(keys))
        inline: dict[int, bytes | Made] = {**self._documents(keys, groups.pop("", ()))}
        all_of_them.holders[list(inline)] = INLINE
        for start, rows in groups.items():
            some = self._chunks_of(start, [keys[i] for i in rows])
            for column in ("holders", "offsets", "sizes"):
                getattr(all_of_them, column)[rows] = getattr(some, column)
            inline |= {rows[i]: data for i, data in some.inline.items()}
        return self._checked(keys, replace(all_of_them, inline=inline))

    def _chunks_of(self, start: str, keys: Sequence[str]) -> Places:
        """Where chunks of an array lie, as its manifest says; `start`: of their keys, without a slash at its end."""
        manifest = self._manifest(start[:-1].rstrip("/"))
        return manifest.places(keys, f"{start}/" if manifest.grid else start)

    def _checked(self, keys: Sequence[str], places: Places) -> Places:
        """The places, of which the session is asked for what only it can read, and what it refuses."""
        holders, through = places.holders, places.holders == THROUGH
        versions: dict[int, Any] = {}
        if self._files:
            self._check(keys, holders)
            versions = {number: self._versions[number] for number in set(holders.tolist()) & self._files}
            through |= np.isin(holders, [number for number, version in versions.items() if version is None])
        if through.any():
            which = np.flatnonzero(through)
            places.offsets[which], holders[which] = 0, self._asked_for([keys[i] for i in which.tolist()])
        return replace(places, versions=versions) if versions else places

    def _documents(self, keys: Sequence[str], rows: Sequence[int]) -> dict[int, bytes]:
        """The bytes of objects that are no chunks: the session makes the documents of v3, and knows no others."""
        found: dict[int, bytes] = {}
        which = [i for i in rows if keys[i].rpartition("/")[2] == "zarr.json"]

        def note(j: int, answer: Any) -> None:
            if answer is not None:
                found[which[j]] = bytes(answer.data)

        if which:
            self._through.client.fetch([Asked(keys[i]) for i in which], note)
        return found

    def _asked_for(self, keys: Sequence[str]) -> list[int]:
        """The holders of objects that the session is asked for."""
        new = [key for key in dict.fromkeys(keys) if key not in self._asked]
        first = self._holders.add(self._through, new)
        self._asked |= {key: first + i for i, key in enumerate(new)}
        return [self._asked[key] for key in keys]

    def _manifest(self, path: str) -> Manifest:
        if (known := self._manifests.get(path)) is None:
            known = self._manifests[path] = self._listed(path)
        return known

    def _listed(self, path: str) -> Manifest:
        """List the chunks of an array; of what is no array there are none."""
        client: Any = self._through.client
        batches = zarr_loop.run(_collected(client.store.array_chunk_iterator(f"/{path}", LISTED_AT_ONCE)), client.store)
        if not batches:
            return Manifest((), *np.zeros((4, 0), np.int64))
        chunks, kinds, offsets, sizes = (np.concatenate([batch[i] for batch in batches]) for i in (0, 1, 3, 4))
        paths = [place for batch in batches for place in batch[2]]
        grid = tuple((chunks.max(axis=0).astype(int) + 1).tolist())
        if np.prod(np.array(grid, float)) > MAX_NUMBER:
            raise StoreError(f"chunks of array {'/' + path!r} in {self!r} have absurd coordinates, up to {grid}")
        numbers = flat(chunks, grid)
        order = numbers.argsort()
        holders = self._held(kinds, paths)[order]
        inline = _inline(batches)
        at = {row: place for place, row in enumerate(order.tolist()) if row in inline} if inline else {}
        columns = holders, offsets[order].astype(np.int64), sizes[order].astype(np.int64)
        return Manifest(grid, numbers[order], *columns, {at[row]: data for row, data in inline.items()})

    def _held(self, kinds: np.ndarray, paths: Sequence[str]) -> np.ndarray:
        """The holder of each chunk."""
        holders = np.full(len(kinds), THROUGH)
        holders[kinds == IN_MANIFEST] = INLINE
        native = np.flatnonzero(kinds == NATIVE)
        if self._chunks is not None and len(native):
            first = self._holders.add(self._chunks, np.array([paths[i] for i in native.tolist()], bytes))
            holders[native] = first + np.arange(len(native))
        virtual = np.flatnonzero(kinds == VIRTUAL).tolist()
        if virtual:
            urls = [paths[i] for i in virtual]
            places = {url: place for url in dict.fromkeys(urls) if (place := self._containers.place(url)) is not None}
            numbers = self._holders.add_files(places)
            self._files.update(numbers.values())
            holders[virtual] = [numbers.get(url, THROUGH) for url in urls]
        return holders

    def _check(self, keys: Sequence[str], holders: np.ndarray) -> None:
        """See if the session reads the files that it was not yet seen to read, by a byte of a chunk in each."""
        numbers, rows = np.unique(holders, return_index=True)
        new = [(n, int(i)) for n, i in zip(numbers.tolist(), rows, strict=True) if n in self._files]
        new = [(number, i) for number, i in new if number not in self._versions]
        if not new:
            return
        versions = versions_of([self._holders[number] for number, _ in new])
        client: Any = self._through.client
        answers = client.tried([Asked(keys[i], 0, 1) for _, i in new])
        for (number, _), version, answer in zip(new, versions, answers, strict=True):
            self._versions[number] = None if isinstance(answer, StoreError) else version

    def names(self, prefix: str) -> list[str]:
        return self._through.names(prefix)

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        client: Any = self._through.client
        keys = client.keys(prefix)
        places = self.places(keys)
        for i, (key, size) in enumerate(zip(keys, places.sizes.tolist(), strict=True)):
            yield key, len(places.inline[i]) if i in places.inline else size


def _inline(batches: Sequence[Any]) -> dict[int, bytes]:
    """The bytes of chunks that manifests have, by their rows in all batches together."""
    found: dict[int, bytes] = {}
    first = 0
    for batch in batches:
        found |= {first + row: data for row, data in batch[5].items()}
        first += len(batch[1])
    return found


async def _collected(batches: Any) -> list[Any]:
    return [batch async for batch in batches]
