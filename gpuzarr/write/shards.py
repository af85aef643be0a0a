"""Shards that are being written: inner chunks come in any order and from any thread, the last one closes the shard.

What is there goes to the store at once, so a shard may be larger than memory. Only its index is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any, cast

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.codecs.sharding_indexed import EMPTY
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import CHUNK_FAULTS, CodecError, RangeError
from gpuzarr.indexing.grid import coords_of
from gpuzarr.indexing.locate import Located, Route
from gpuzarr.indexing.shard_indexes import CODEC_NAME
from gpuzarr.interrupts import ensured, within
from gpuzarr.read.fetch import blamed
from gpuzarr.read.source import Source
from gpuzarr.read.unchanged import unchanged
from gpuzarr.stores.contract import Objects, Sink, concurrency
from gpuzarr.stores.guards import CommitsIfUnchanged
from gpuzarr.stores.ranges import MISSING, Ranges
from gpuzarr.stores.tries import tries
from gpuzarr.write.before import Before, may_fetch
from gpuzarr.write.plan import Group
from gpuzarr.write.strategy import chunks_within, planned_axes
from gpuzarr.write.target import Target
from gpuzarr.write.thresholds import MAX_COPIED_BYTES, MAX_FETCHED_BYTES, MAX_PACKED_CHUNK_BYTES, MAX_SPARED_BYTES
from gpuzarr.write.unguarded import warn_once


class Shard:
    """One shard of an array with one level of shards, at `coords` in the grid of shards.

    `left`: inner chunks that are still to come; then it is closed. `touched`: which are written, or will be.
    `is_locked`: who writes it holds its lock; else it is taken to put the shard to its place. `is_refused`: it was not
    put there, as somebody else has replaced the shard that was read before.
    """

    def __init__(self, target: Target, coords: Sequence[int], left: int, trace: Trace, is_locked: bool = False) -> None:
        layout = target.layout
        self.target, self.left, self.is_locked, self._trace = target, left, is_locked, trace
        self._store, self._level = target.store, layout.levels[0]
        self._first = np.array(coords, np.int64) * np.asarray(self._level.counts, np.int64)
        self.key = layout.key(self._first.tolist())
        self.touched = np.zeros(prod(self._level.counts), bool)
        self._table = np.full((prod(self._level.counts), 2), EMPTY, np.uint64)
        self._end = self._level.index_bytes if self._level.codec.index_location == "start" else 0
        self._sink: Sink | None = None
        self._before: Before | None = None
        self._kept_from = self._end
        self.is_refused = False
        self._lock = threading.Lock()

    def numbers(self, coords: np.ndarray) -> np.ndarray:
        """Numbers of its inner chunks at `coords` (n, ndim), which are those of the array."""
        counts, strides = self._level.steps
        return np.asarray((coords % counts) @ strides, np.int64)

    def add(self, numbers: np.ndarray, encoded: EncodedBatch, count: int) -> None:
        """Write inner chunks; `count` are done by that, with those that are empty."""
        self._add(numbers, encoded)
        self._done(count)

    def put(self, number: int, data: Any) -> None:
        """Write one inner chunk; None: it is empty."""
        if data is not None:
            sink, offset = self._reserved(len(data))
            sink.write(data, offset)
            self._table[number] = offset, len(data)
        self._done(1)

    @property
    def is_fetched_whole(self) -> bool:
        """Whether reading all that is in the store is better than its index first, and then what is not touched."""
        touched, nbytes = int(np.count_nonzero(self.touched)), self.target.layout.spec.nbytes or 0
        return 0 < touched < len(self.touched) and (
            touched * nbytes <= MAX_SPARED_BYTES or touched <= len(self.touched) // 4
        )

    def keep(self, before: Before) -> None:
        """Take over the inner chunks that are not touched, as they are stored, from the shard in the store.

        The caller holds its lock. ChunkError where they cannot be found, StoreError where they cannot be copied.
        """
        self._before, self._kept_from = before, self._end
        coords = self._first + np.argwhere(~self.touched.reshape(self._level.counts))
        if not len(coords):
            return
        source = before.source
        route = source.locator.route(coords)

        def copy(objects: Objects) -> None:
            try:
                self._copy(coords, route, objects, source)
            except CHUNK_FAULTS as error:
                raise blamed(error, source, coords) from error

        unchanged(source, route.keys, copy, trace=before.trace_of(coords))

    def close(self) -> None:
        """Put the index to its place, and the shard to its own; a shard without chunks is no object.

        Where nobody is kept from replacing it meanwhile, it is put there only if that has not happened; one that is
        there stays an object, as no store deletes it only then.
        """
        if self._sink is None and self._version not in (None, MISSING):
            self._sink = self._store.create(self.key)
        if (sink := self._sink) is not None:
            at_start = self._level.codec.index_location == "start"
            sink.write(self._level.codec.index(self._table, self._level.spec), 0 if at_start else self._end)
            self._trace.count(puts=1, put=self._end + (0 if at_start else self._level.index_bytes))
        if self.is_locked:
            self._replace()
        else:
            within(self.target.locked([self.key]), self._replace)

    def take_back(self) -> None:
        """Prepare a shard that was refused for `keep` once more."""
        if self._sink is not None:
            cast(CommitsIfUnchanged, self._sink).cut(self._kept_from)
        self._end, self.is_refused = self._kept_from, False

    def abort(self) -> None:
        """Leave nothing of a shard that was not closed."""
        if self._sink is not None:
            self._sink.abort()

    @property
    def _version(self) -> Any:
        """The version that was read of the shard in the store; None if it may be replaced whatever it is."""
        return None if self._before is None else self._before.version(self.key)

    def _replace(self, _: object = None) -> None:
        version = self._version
        if self._sink is None:
            if version is None:
                self._store.delete([self.key])
        elif version is None:
            self._sink.commit()
            self._sink = None
        elif cast(CommitsIfUnchanged, self._sink).commit_if_unchanged(version):
            self._sink = None
        else:
            self.is_refused = True

    def _copy(self, coords: np.ndarray, route: Route, objects: Objects, source: Source) -> None:
        """Copy the inner chunks at `coords` from open objects. What an earlier try has copied is not used."""
        numbers = self.numbers(coords)
        self._table[numbers] = EMPTY
        located = source.locator.locate(route, objects, {})
        present = np.flatnonzero(located.present)
        shape = self._level.codec.chunk_shape
        _check_disjoint(located.ranges, present, self.target.layout.chain(shape).stored_size.most)
        ends = np.cumsum(located.ranges.sizes[present])
        for piece in np.split(present, np.flatnonzero(np.diff(ends // MAX_COPIED_BYTES)) + 1):
            if len(piece):
                self._copy_some(numbers, piece, located, objects)

    def _copy_some(self, numbers: np.ndarray, piece: np.ndarray, located: Located, objects: Objects) -> None:
        try:
            requests = objects.requests(located.take(piece).ranges)
        except RangeError as error:
            error.index = int(piece[error.index])
            raise
        sizes = requests.sizes
        into = EncodedBatch(np.empty(int(sizes.sum()), np.uint8), np.cumsum(sizes) - sizes, sizes)
        encoded = objects.read(requests, into)
        there = encoded.sizes != MISSING
        self._add(numbers[piece][there], encoded.take(there))

    def _add(self, numbers: np.ndarray, encoded: EncodedBatch) -> None:
        if not len(encoded):
            return
        total = int(encoded.sizes.sum())
        sink, start = self._reserved(total)
        offsets = start + np.cumsum(encoded.sizes) - encoded.sizes
        if total <= len(encoded) * MAX_PACKED_CHUNK_BYTES or _in_a_row(encoded):
            sink.write(_packed(encoded), start)
        else:
            for i, offset in enumerate(offsets.tolist()):
                sink.write(encoded.on_host(i), offset)
        self._table[numbers, 0], self._table[numbers, 1] = offsets, encoded.sizes

    def _reserved(self, nbytes: int) -> tuple[Sink, int]:
        """The shard as it is being written, and where so many bytes go."""
        with self._lock:
            if self._sink is None:
                self._sink = self._store.create(self.key)
            start, self._end = self._end, self._end + nbytes
            return self._sink, start

    def _done(self, count: int) -> None:
        with self._lock:
            self.left -= count
            is_last = self.left == 0
        if is_last:
            self.close()


def new_shards(target: Target, group: Group, trace: Trace, is_open: bool = False) -> dict[tuple[int, ...], Shard]:
    """Make the shards of a group, to be written. Each is closed when the chunks that are written now are there;
    `is_open`: when all are there that it may have."""
    made = {}
    for at, parts in (group.shards or {}).items():
        coords = coords_of(tuple(parts))
        layout = target.layout
        left = chunks_within(planned_axes(layout, target), layout.per_object, at) if is_open else len(coords)
        made[at] = shard = Shard(target, at, left, trace, is_locked=group.coverage == "partial")
        shard.touched[shard.numbers(coords)] = True
    return made


def keep(shards: Sequence[Shard], before: Before) -> None:
    """Take over, from shards in the store, the inner chunks that are not touched."""
    target = shards[0].target
    level, most = target.layout.levels[0], target.layout.chain(target.layout.levels[0].codec.chunk_shape)
    nbytes = len(shards) * prod(level.counts) * (most.spec.nbytes or 0)
    if may_fetch(target.store, nbytes):
        bound = min(prod(level.counts) * most.stored_size.most + level.index_bytes, MAX_FETCHED_BYTES)
        before.fetch([shard.key for shard in shards if shard.is_fetched_whole], bound)
    _each(lambda shard: shard.keep(before), shards)


def complete(shards: Sequence[Shard]) -> None:
    """Close shards of which some inner chunks did not come: these stay what they are in the store."""

    target = shards[0].target
    warn_once(target, shards[0].key)

    def close(_: object) -> None:
        left = shards
        for _ in tries(lambda: f"{shards[0].key!r} of {target.store!r}"):
            keep(left, Before(target))
            for shard in left:
                shard.is_locked = True
            _each(Shard.close, left)
            if not (left := [shard for shard in left if shard.is_refused]):
                return
            for shard in left:
                shard.take_back()

    locks = target.locked([shard.key for shard in shards])
    ensured(lambda: within(locks, close), lambda: abort(shards))


def _each(work: Callable[[Shard], None], shards: Sequence[Shard]) -> None:
    """Call work(shard) for each: on all cores, or all at once where that waits for the store."""
    waits = concurrency(shards[0].target.store) > 1
    CPU.each(work, shards, len(shards) if waits else None, waits)


def abort(shards: Iterable[Shard]) -> None:
    """Leave nothing of those that were not closed."""
    for shard in shards:
        shard.abort()


def _check_disjoint(ranges: Ranges, which: np.ndarray, most: int) -> None:
    """Raise CodecError for an inner chunk of more than `most` bytes, and if some of these ranges of a shard overlap:
    then the copies of all could be larger than the shard."""
    if (large := ranges.sizes[which] > most).any():
        index = int(which[np.argmax(large)])
        raise CodecError(f"an inner chunk of {ranges.sizes[index]} bytes, expected at most {most}", index, CODEC_NAME)
    begins, ends = ranges.offsets[which], ranges.offsets[which] + ranges.sizes[which]
    order = np.lexsort((ends, begins))
    overlaps = begins[order][1:] < np.maximum.accumulate(ends[order])[:-1]
    if overlaps.any():
        index = int(which[order[1:][np.argmax(overlaps)]])
        raise CodecError("the shard index puts two inner chunks at the same bytes", index, CODEC_NAME)


def _in_a_row(encoded: EncodedBatch) -> bool:
    return bool((np.diff(encoded.starts) == encoded.sizes[:-1]).all())


def _packed(encoded: EncodedBatch) -> np.ndarray:
    """The chunks one after another; a view where they lie so."""
    if _in_a_row(encoded):
        data = encoded.data if encoded.host is None else encoded.host
        first = int(encoded.starts[0])
        return data[first : first + int(encoded.sizes.sum())]
    return np.concatenate([encoded.on_host(i) for i in range(len(encoded))])
