"""Shard indexes of one array: read once, then kept from read to read.

An index is used again while the version of its object stays the same, so a training loader that reads at random decodes
no index twice. Where a store knows no versions, an index is kept for one read, in the caller's `memo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr.codecs.sharding_indexed import ShardingIndexed
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import CodecError, RangeError
from gpuzarr.indexing.layout import Layout, Level
from gpuzarr.stores.contract import Objects
from gpuzarr.stores.ranges import MISSING, Ranges

MAX_KEPT_ENTRIES = 1 << 20  # of all indexes of an array together, 16 bytes each
CODEC_NAME = ShardingIndexed.names[0]

Indexes = dict[tuple[int, ...], tuple[Any, np.ndarray]]  # (depth, *coordinates) -> version of the object, entries


@dataclass(frozen=True)
class Shards:
    """Shards of one depth (0: the outermost) at `coords`, each a range of an object. `present`: None if all are."""

    depth: int
    coords: Sequence[Sequence[int]]
    ranges: Ranges
    present: np.ndarray | None = None


class ShardIndexes:
    """Cache of shard indexes: int64 (inner chunks, 2) of offset in the shard and size, -1 for a missing chunk."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._kept: Indexes = {}  # oldest first; without a lock, which a fork might find held: each change is atomic

    def forget(self) -> None:
        """Drop all indexes, after a write: a new file may have the inode, size and time of an old one."""
        self._kept.clear()

    def entries(self, shards: Shards, objects: Objects, memo: Indexes) -> list[np.ndarray]:
        """Index of each shard. CodecError, with the number of the shard, for a damaged index."""
        names = [(shards.depth, *coords) for coords in shards.coords]
        numbers = shards.ranges.objects.tolist()
        known: list[Any] = [None] * len(objects.keys)
        kept = [self._kept.get(name) for name in names]
        for number, each in zip(numbers, kept, strict=True):
            known[number] = each[0] if each else None
        versions = objects.versions(known)
        found: list[np.ndarray | None] = []
        for name, number, each in zip(names, numbers, kept, strict=True):
            each = memo.get(name) if versions[number] is None else each
            found.append(each[1] if each and each[0] == versions[number] else None)
        if unknown := [i for i, index in enumerate(found) if index is None]:
            read = self._read(shards, np.array(unknown), objects)
            versions = objects.versions(known)  # a remote store may know them only now
            for i, index in zip(unknown, read, strict=True):
                found[i], version = index, versions[numbers[i]]
                self._keep(memo if version is None else self._kept, names[i], (version, index))
        return [index for index in found if index is not None]

    def _keep(self, where: Indexes, name: tuple[int, ...], index: tuple[Any, np.ndarray]) -> None:
        where.pop(name, None)
        where[name] = index
        if len(index[1]) * len(where) > MAX_KEPT_ENTRIES:
            oldest_first = list(where.items())
            entries = sum(len(entries) for _, (_, entries) in oldest_first)
            for other, (_, found) in oldest_first[:-1]:
                if entries <= MAX_KEPT_ENTRIES:
                    break
                where.pop(other, None)
                entries -= len(found)

    def _read(self, shards: Shards, which: np.ndarray, objects: Objects) -> list[np.ndarray]:
        level = self._layout.levels[shards.depth]
        some = which if shards.present is None else which[shards.present[which]]
        found: dict[int, np.ndarray] = {}
        try:
            if len(some):
                requests = objects.requests(_index_ranges(shards.ranges.take(some), level))
                encoded = objects.read(requests, CPU.encoded_batch(requests.sizes))
                some, encoded = some[encoded.sizes != MISSING], encoded.take(encoded.sizes != MISSING)
            if len(some):
                found = dict(zip(some.tolist(), level.codec.entries(encoded, level.spec), strict=True))
        except (CodecError, RangeError) as error:
            raise CodecError(str(error), None if error.index is None else int(some[error.index]), CODEC_NAME) from error
        if len(found) == len(which):
            return list(found.values())
        nothing = np.broadcast_to(np.int64(MISSING), (prod(level.counts), 2))  # takes no memory, however large
        return [found.get(i, nothing) for i in which.tolist()]


def _index_ranges(shards: Ranges, level: Level) -> Ranges:
    """Ranges of the indexes of these shards. CodecError, with the number of the shard, for one that is too short."""
    nbytes = level.index_bytes
    if (short := (shards.sizes >= 0) & (shards.sizes < nbytes)).any():
        raise CodecError("the shard is too short to hold its index", int(np.argmax(short)))
    end = np.where(shards.sizes < 0, -nbytes, shards.offsets + shards.sizes - nbytes)
    offsets = end if level.codec.index_location == "end" else shards.offsets
    return Ranges(shards.keys, shards.objects, offsets, np.full(len(shards), nbytes, np.int64))
