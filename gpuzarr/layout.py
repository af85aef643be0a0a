"""Where the bytes of a chunk lie: chunk -> range of an object, through any depth of shards.

Where `sharding_indexed` is alone in its chain, its inner chunks are the chunks of the array and the
shards only say where they lie; so the inner chunks of all shards join one batch. Any other chain with
a shard in it treats it as a codec.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.chain import Chain
from gpuzarr.codecs.sharding_indexed import ShardingIndexed
from gpuzarr.devices.host import HOST
from gpuzarr.errors import CodecError, RangeError
from gpuzarr.grid import distinct
from gpuzarr.metadata import ArrayMetadata, Axis, RegularAxis
from gpuzarr.stores import MISSING, Ranges, Store

KEPT = 1 << 20  # entries of shard indexes that one read keeps, 16 bytes each


@dataclass(frozen=True)
class Level:
    """One level of shards."""

    codec: ShardingIndexed
    spec: ChunkSpec  # of the shard

    @cached_property
    def counts(self) -> tuple[int, ...]:
        return self.codec.counts(self.spec)

    @cached_property
    def index_bytes(self) -> int:
        return self.codec.index_bytes(self.spec)


@dataclass(frozen=True)
class Layout:
    """How one array is stored. `axes` is the grid of its innermost chunks."""

    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]  # outermost first
    keys: Callable[[np.ndarray], list[str]]  # of outermost chunks at (n, ndim) coordinates
    codecs: tuple[Any, ...]
    spec: ChunkSpec  # of an innermost chunk; its shape counts only where the grid is regular

    @cached_property
    def per_object(self) -> tuple[int, ...]:
        """Innermost chunks per object of the store, per axis."""
        counts = [level.counts for level in self.levels]
        return tuple(prod(c) for c in zip(*counts, strict=True)) if counts else (1,) * len(self.axes)

    def grid(self, depth: int) -> tuple[int, ...]:
        """How many units of one depth (0: objects) the array has, per axis."""
        inner = [1] * len(self.axes)
        for level in self.levels[depth:]:
            inner = [i * n for i, n in zip(inner, level.counts, strict=True)]
        return tuple(-(-axis.count // n) for axis, n in zip(self.axes, inner, strict=True))

    @cached_property
    def _chains(self) -> dict[tuple[int, ...], Chain]:
        return {}

    def chain(self, chunk_shape: tuple[int, ...]) -> Chain:
        """The codecs for innermost chunks of that shape."""
        found = self._chains.get(chunk_shape)
        if found is None:
            found = self._chains[chunk_shape] = Chain.build(self.codecs, replace(self.spec, shape=chunk_shape))
        return found

    def key(self, coords: Sequence[int]) -> str:
        """The object in which one innermost chunk lies."""
        return self.keys(np.asarray([coords], np.int64).reshape(1, -1) // np.asarray(self.per_object, np.int64))[0]


def layout(metadata: ArrayMetadata, path: str) -> Layout:
    """The layout of an array at `path` of its store."""
    prefix = f"{path}/" if path else ""

    def keys(coords: np.ndarray) -> list[str]:
        names = metadata.chunk_keys.encode(coords)
        return [prefix + name for name in names] if prefix else names

    spec = ChunkSpec(metadata.chunk_shape, metadata.data_type.dtype, metadata.fill_value)
    axes, codecs = metadata.axes, metadata.codecs
    levels: list[Level] = []
    while metadata.regular and len(codecs) == 1 and isinstance(codecs[0], ShardingIndexed):
        levels.append(Level(codecs[0], spec))
        codecs[0].encoded(spec)
        axes = tuple(RegularAxis(a.length, n) for a, n in zip(axes, codecs[0].chunk_shape, strict=True))
        spec, codecs = replace(spec, shape=codecs[0].chunk_shape), codecs[0].codecs
    return Layout(axes, tuple(levels), keys, codecs, spec)


@dataclass(frozen=True)
class Located:
    """Where chunks lie: range i is that of chunk i where `there[i]`, else meaningless."""

    ranges: Ranges
    there: np.ndarray

    def take(self, which: np.ndarray) -> Located:
        r = self.ranges
        return Located(Ranges(r.keys, r.objects[which], r.offsets[which], r.sizes[which]), self.there[which])


class Locator:
    """Finds chunks for one read; the shard indexes that it meets are kept while it lives."""

    def __init__(self, layout: Layout, store: Store) -> None:
        self.layout, self._store = layout, store
        self._indexes: dict[tuple[int, ...], np.ndarray] = {}  # oldest first
        self._lock = threading.Lock()

    def locate(self, coords: np.ndarray) -> Located:
        """Where the innermost chunks at `coords`, (n, ndim), lie. CodecError (with index) for a bad shard index."""
        return self._locate(coords, len(self.layout.levels))

    def _locate(self, coords: np.ndarray, depth: int) -> Located:
        """The same for the units of one depth: 0 is whole objects, 1 the inner chunks of the outermost shards."""
        if depth == 0:
            return Located(Ranges.whole(self.layout.keys(coords)), np.ones(len(coords), bool))
        level = self.layout.levels[depth - 1]
        counts = np.asarray(level.counts, np.int64)
        shards, which = distinct(coords // counts, self.layout.grid(depth - 1))
        try:
            shard = self._locate(shards, depth - 1)
            entries = self._entries(shards, shard, depth - 1)
        except CodecError as error:
            error.index = None if error.index is None else int(np.argmax(which == error.index))
            error.codec = ShardingIndexed.names[0]
            raise
        number = np.ravel_multi_index(tuple((coords % counts).T), level.counts) if len(counts) else which
        found = entries[0][number] if len(entries) == 1 else np.stack(entries)[which, number]
        base = shard.take(which)
        size = np.where(base.ranges.sizes < 0, 1 << 62, base.ranges.sizes)
        if (beyond := found.sum(axis=1) > size).any():
            index = int(np.argmax(beyond))
            raise CodecError("the shard index names bytes beyond the shard", index, ShardingIndexed.names[0])
        ranges = Ranges(base.ranges.keys, base.ranges.objects, base.ranges.offsets + found[:, 0], found[:, 1])
        return Located(ranges, found[:, 0] >= 0)

    def _entries(self, coords: np.ndarray, shard: Located, depth: int) -> list[np.ndarray]:
        """The index of each shard, int64 (inner chunks, 2): offset in the shard and size; -1 for what is not there."""
        names = [(depth, *row) for row in coords.tolist()]
        found = {name: index for name in names if (index := self._indexes.get(name)) is not None}
        if missing := [i for i, name in enumerate(names) if name not in found]:
            new = dict(zip([names[i] for i in missing], self._read(shard, np.array(missing), depth), strict=True))
            found |= new
            self._keep(new)
        return [found[name] for name in names]

    def _keep(self, new: dict[tuple[int, ...], np.ndarray]) -> None:
        with self._lock:
            self._indexes |= new
            entries = sum(map(len, self._indexes.values()))
            while entries > KEPT and len(self._indexes) > 1:
                entries -= len(self._indexes.pop(next(iter(self._indexes))))

    def _read(self, shards: Located, which: np.ndarray, depth: int) -> list[np.ndarray]:
        level = self.layout.levels[depth]
        nothing = np.full((prod(level.counts), 2), MISSING, np.int64)
        found = [nothing] * len(which)
        some = np.flatnonzero(shards.there[which])
        if not len(some):
            return found
        try:
            slab = self._store.read(self._index_ranges(shards.take(which[some]).ranges, level), HOST.slab)
            some = some[slab.sizes != MISSING]
            slab = slab.take(slab.sizes != MISSING)
            for i, entries in zip(some, level.codec.entries(slab, level.spec) if len(slab) else [], strict=True):
                found[i] = entries
        except (CodecError, RangeError) as error:
            index = None if error.index is None else int(which[some[error.index]])
            raise CodecError(str(error), index) from error
        return found

    @staticmethod
    def _index_ranges(shards: Ranges, level: Level) -> Ranges:
        place = level.index_bytes
        if (short := (shards.sizes >= 0) & (shards.sizes < place)).any():
            raise CodecError("the shard is too short to hold its index", int(np.argmax(short)))
        end = np.where(shards.sizes < 0, -place, shards.offsets + shards.sizes - place)
        offsets = end if level.codec.index_location == "end" else shards.offsets
        return Ranges(shards.keys, shards.objects, offsets, np.full(len(shards), place, np.int64))
