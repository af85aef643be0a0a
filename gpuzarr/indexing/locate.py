"""Where the bytes of chunks lie: chunk -> range of an object, through any depth of shards.

Shard indexes are kept from read to read, as long as the store says that their object is the same: a
training loader that reads here and there decodes no index twice. A shard that is replaced while it is
read is noticed (`moved`), and located again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import FEW
from gpuzarr.codecs.sharding_indexed import ShardingIndexed
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import CodecError, RangeError
from gpuzarr.indexing.grid import distinct
from gpuzarr.indexing.layout import Layout, Level
from gpuzarr.stores.contract import MISSING, Ranges, Store

KEPT = 1 << 20  # entries of shard indexes that an array keeps, 16 bytes each
UNBOUNDED = 1 << 62  # bytes: more than any object has
_NAME = ShardingIndexed.names[0]

Indexes = dict[tuple[int, ...], tuple[Any, np.ndarray]]  # depth and shard -> version of its object, entries


@dataclass(frozen=True)
class Located:
    """Where chunks lie: range i is that of chunk i where `present[i]`, else meaningless.

    `versions`: of the objects in `ranges.keys`, when their indexes were read; empty where no index was.
    """

    ranges: Ranges
    present: np.ndarray
    versions: tuple[Any, ...] = ()

    @property
    def room(self) -> np.ndarray:
        """The bytes of each range; of a whole object more than any has."""
        sizes = self.ranges.sizes
        return np.where(sizes < 0, UNBOUNDED, sizes)

    def take(self, which: np.ndarray) -> Located:
        r = self.ranges
        ranges = Ranges(r.keys, r.objects[which], r.offsets[which], r.sizes[which])
        return Located(ranges, self.present[which], self.versions)


class Locator:
    """Finds the chunks of one array."""

    def __init__(self, layout: Layout, store: Store) -> None:
        self.layout, self.store = layout, store
        self._kept: Indexes = {}  # oldest first
        self._lock = threading.Lock()

    def locate(self, coords: np.ndarray, memo: Indexes) -> Located:
        """Where the innermost chunks at `coords`, (n, ndim), lie. CodecError (with index) for a bad shard index.

        `memo`, of one read, has the indexes of objects whose version the store cannot tell.
        """
        return self._locate(coords, len(self.layout.levels), memo)

    def known(self, shards: Sequence[tuple[int, ...]], versions: Sequence[Any]) -> list[np.ndarray | None] | None:
        """The indexes of outermost shards whose objects have these versions (None: it is not there, and has none).

        None where one is not kept.
        """
        found: list[np.ndarray | None] = []
        for shard, version in zip(shards, versions, strict=True):
            kept = self._kept.get((0, *shard)) if version is not None else (None, None)
            if kept is None or kept[0] != version:
                return None
            found.append(kept[1])
        return found

    def forget(self) -> None:
        """Keep no index: objects were written. (A new file may have number, size and time of an old one.)"""
        with self._lock:
            self._kept.clear()

    def moved(self, located: Located) -> bool:
        """Whether an object is another one since its index was read: then what was read from it means nothing."""
        versions = located.versions
        return bool(versions) and tuple(map(self.store.version, located.ranges.keys)) != versions

    def _locate(self, coords: np.ndarray, depth: int, memo: Indexes) -> Located:
        """`locate` for the units of one depth: 0 is whole objects, 1 the inner chunks of the outermost shards."""
        if depth == 0:
            keys = self.layout.keys(coords)
            versions = tuple(map(self.store.version, keys)) if self.layout.levels else ()
            return Located(Ranges.whole(keys), np.ones(len(coords), bool), versions)
        shards, which, number = self._shards(coords, depth)
        try:
            shard = self._locate(shards, depth - 1, memo)
            entries = self._entries(shards, shard, depth - 1, memo)
        except CodecError as error:
            error.index = None if error.index is None else int(np.argmax(which == error.index))
            error.codec = _NAME
            raise
        found = _chosen(entries, which, number)
        begins, sizes = found[:, 0], found[:, 1]
        outer, present = shard.ranges, begins >= 0
        if depth == 1:  # shards that are whole objects: the store knows their lengths
            return Located(Ranges(outer.keys, which, begins, sizes), present, shard.versions)
        if np.count_nonzero(beyond := begins + sizes > shard.room[which]):
            raise CodecError("the shard index names bytes beyond the shard", int(np.argmax(beyond)), _NAME)
        ranges = Ranges(outer.keys, outer.objects[which], outer.offsets[which] + begins, sizes)
        return Located(ranges, present, shard.versions)

    def _shards(self, coords: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The shards that hold the units at `coords`; which of them holds each, and the number that each has there."""
        level = self.layout.levels[depth - 1]
        if len(coords) > FEW:
            counts, strides = level.steps
            of, within = np.divmod(coords, counts)
            return *distinct(of, self.layout.grids[depth - 1]), within @ strides
        seen: dict[tuple[int, ...], int] = {}
        which, numbers = [], []
        for row in coords.tolist():
            number, shard = 0, []
            for at, count in zip(row, level.counts, strict=True):
                of, within = divmod(at, count)
                shard.append(of)
                number = number * count + within
            which.append(seen.setdefault(tuple(shard), len(seen)))
            numbers.append(number)
        return np.array(list(seen), np.int64), np.array(which), np.array(numbers)

    def _entries(self, coords: np.ndarray, shard: Located, depth: int, memo: Indexes) -> list[np.ndarray]:
        """The index of each shard, int64 (inner chunks, 2): offset in the shard and size; -1 for what is not there."""
        names = [(depth, *row) for row in coords.tolist()]
        versions = [shard.versions[i] for i in shard.ranges.objects.tolist()] if depth else shard.versions
        found: list[np.ndarray | None] = []
        for name, version in zip(names, versions, strict=True):
            kept = (memo if version is None else self._kept).get(name)
            found.append(kept[1] if kept is not None and kept[0] == version else None)
        if missing := [i for i, index in enumerate(found) if index is None]:
            for i, index in zip(missing, self._read(shard, np.array(missing), depth), strict=True):
                found[i] = index
                self._keep(memo if versions[i] is None else self._kept, names[i], (versions[i], index))
        return [index for index in found if index is not None]

    def _keep(self, where: Indexes, name: tuple[int, ...], index: tuple[Any, np.ndarray]) -> None:
        with self._lock:
            where.pop(name, None)
            where[name] = index
            entries = sum(len(entries) for _, entries in where.values()) if len(index[1]) * len(where) > KEPT else 0
            while entries > KEPT and len(where) > 1:
                entries -= len(where.pop(next(iter(where)))[1])

    def _read(self, shards: Located, which: np.ndarray, depth: int) -> list[np.ndarray]:
        level = self.layout.levels[depth]
        found: dict[int, np.ndarray] = {}
        some = np.flatnonzero(shards.present[which])
        try:
            if len(some):
                encoded = self.store.read(_index_ranges(shards.take(which[some]).ranges, level), CPU.encoded_batch)
                some, encoded = some[encoded.sizes != MISSING], encoded.take(encoded.sizes != MISSING)
            if len(some):
                found = dict(zip(some.tolist(), level.codec.entries(encoded, level.spec), strict=True))
        except (CodecError, RangeError) as error:
            index = None if error.index is None else int(which[some[error.index]])
            raise CodecError(str(error), index) from error
        if len(found) == len(which):
            return list(found.values())
        nothing = np.full((prod(level.counts), 2), MISSING, np.int64)
        return [found.get(i, nothing) for i in range(len(which))]


def _chosen(entries: list[np.ndarray], which: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Row `number` of entry `which`, of each."""
    if len(entries) == 1:
        return entries[0][number]
    if len(which) > FEW:
        return np.stack(entries)[which, number]
    return np.concatenate([entries[i][n : n + 1] for i, n in zip(which.tolist(), number.tolist(), strict=True)])


def _index_ranges(shards: Ranges, level: Level) -> Ranges:
    """Where the indexes of these shards lie."""
    place = level.index_bytes
    if (short := (shards.sizes >= 0) & (shards.sizes < place)).any():
        raise CodecError("the shard is too short to hold its index", int(np.argmax(short)))
    end = np.where(shards.sizes < 0, -place, shards.offsets + shards.sizes - place)
    offsets = end if level.codec.index_location == "end" else shards.offsets
    return Ranges(shards.keys, shards.objects, offsets, np.full(len(shards), place, np.int64))
