"""Shards that are being written: inner chunks come in any order and from any thread, the last one closes it.

What is there goes to the store at once, so a shard may be larger than memory. Only its index is kept.
"""

from __future__ import annotations

import threading
from math import prod

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.codecs.sharding_indexed import EMPTY
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Located
from gpuzarr.stores.contract import MISSING, Objects, Sink, Store

SMALL = 1 << 16  # bytes; smaller inner chunks are joined before they are written
COPY = 8 << 20  # bytes of untouched inner chunks that are copied at once


class Shard:
    """One shard of an array with one level of shards, of which the chunk at `coords` is one.

    `left`: inner chunks that are still to come; then it is closed. `touched`: which are written, or will be.
    """

    def __init__(self, store: Store, layout: Layout, coords: np.ndarray, left: int) -> None:
        self.key, self.left = layout.key(coords.tolist()), left
        self._store, self._level = store, layout.levels[0]
        self._first = coords - coords % np.asarray(self._level.counts, np.int64)
        self.touched = np.zeros(prod(self._level.counts), bool)
        self._table = np.full((prod(self._level.counts), 2), EMPTY, np.uint64)
        self._end = self._level.index_bytes if self._level.codec.index_location == "start" else 0
        self._sink: Sink | None = None
        self._lock = threading.Lock()

    def numbers(self, coords: np.ndarray) -> np.ndarray:
        """Which of its inner chunks these are; `coords` (n, ndim) are those of the array."""
        counts = self._level.counts
        within = coords % np.asarray(counts, np.int64)
        return np.ravel_multi_index(tuple(within.T), counts) if counts else np.zeros(len(coords), np.int64)

    def untouched(self) -> np.ndarray:
        """Coordinates of the inner chunks that are not, (n, ndim)."""
        return self._first + np.argwhere(~self.touched.reshape(self._level.counts))

    def keep(self, objects: Objects, located: Located, numbers: np.ndarray) -> None:
        """Take over inner chunks of the old shard as they are stored."""
        ends = np.cumsum(located.ranges.sizes)
        for piece in np.split(np.arange(len(ends)), np.flatnonzero(np.diff(ends // COPY)) + 1):
            if len(piece):
                requests = objects.requests(located.take(piece).ranges)
                encoded = objects.read(requests, _room(requests.sizes))
                self._add(numbers[piece][encoded.sizes != MISSING], encoded.take(encoded.sizes != MISSING))

    def add(self, numbers: np.ndarray, encoded: EncodedBatch, count: int) -> None:
        """Write inner chunks; `count` are done by that, with those that are empty."""
        self._add(numbers, encoded)
        with self._lock:
            self.left -= count
            last = self.left == 0
        if last:
            self.close()

    def abort(self) -> None:
        """Leave nothing of a shard that was not closed."""
        if self._sink is not None:
            self._sink.abort()
            self._sink = None

    def _add(self, numbers: np.ndarray, encoded: EncodedBatch) -> None:
        if not len(encoded):
            return
        total = int(encoded.sizes.sum())
        with self._lock:
            sink = self._sink = self._sink or self._store.create(self.key)
            start, self._end = self._end, self._end + total
        offsets = start + np.cumsum(encoded.sizes) - encoded.sizes
        if total <= len(encoded) * SMALL or (np.diff(encoded.starts) == encoded.sizes[:-1]).all():
            sink.write(_joined(encoded), start)
        else:
            for i, offset in enumerate(offsets.tolist()):
                sink.write(encoded.on_host(i), offset)
        self._table[numbers, 0], self._table[numbers, 1] = offsets, encoded.sizes

    def close(self) -> None:
        """Put the index to its place, and the shard to its own; a shard of nothing is no object."""
        sink, self._sink = self._sink, None
        if sink is None:
            self._store.delete([self.key])
            return
        try:
            at_start = self._level.codec.index_location == "start"
            sink.write(self._level.codec.index(self._table, self._level.spec), 0 if at_start else self._end)
        except BaseException:
            sink.abort()
            raise
        sink.commit()


def _room(sizes: np.ndarray) -> EncodedBatch:
    return EncodedBatch(np.empty(int(sizes.sum()), np.uint8), np.cumsum(sizes) - sizes, sizes)


def _joined(encoded: EncodedBatch) -> np.ndarray:
    """The chunks one after another; a view where they lie so."""
    if (np.diff(encoded.starts) == encoded.sizes[:-1]).all():
        data = encoded.data if encoded.host is None else encoded.host
        first = int(encoded.starts[0])
        return data[first : first + int(encoded.sizes.sum())]
    return np.concatenate([encoded.on_host(i) for i in range(len(encoded))])
