"""Where the encoded chunks of a group go: to objects of their own, or into shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.trace import Trace
from gpuzarr.indexing.grid import Part
from gpuzarr.write.batch_plan import Batch
from gpuzarr.write.puts import Puts
from gpuzarr.write.shards import Shard
from gpuzarr.write.target import Target


class Destination(Protocol):
    """Used by many threads. StoreError where the store cannot be written."""

    def slots(self, part: Part) -> Sequence[Any]:
        """The places of the chunks of a part, in order, for `put`."""
        ...

    def put(self, slot: Any, data: Any) -> None:
        """Store one chunk: bytes of the host, which may change after the call. None: it is empty, and not stored."""
        ...

    def store(self, batch: Batch, encoded: EncodedBatch, stored: np.ndarray) -> None:
        """Store a batch: `encoded` has the chunks that are `stored` (bool, n), the others are empty."""
        ...

    def must_stay(self, batch: Batch) -> np.ndarray | None:
        """Which chunks of a batch must be stored even if they are empty, bool (n,); None: none of them."""
        ...


@dataclass(frozen=True)
class ChunkObjects:
    """Each chunk is an object of its own, written by `puts`. An empty one is deleted."""

    target: Target
    puts: Puts
    trace: Trace

    def slots(self, part: Part) -> Sequence[str]:
        return self.target.layout.keys(part.coords)

    def put(self, slot: str, data: Any) -> None:
        if data is None:
            self.puts.delete([slot])
        else:
            self.puts(slot, data)
            self.trace.count(puts=1, put=len(data))

    def store(self, batch: Batch, encoded: EncodedBatch, stored: np.ndarray) -> None:
        keys = np.array(self.target.layout.keys(batch.coords), object)
        self.puts.many(keys[stored].tolist(), encoded)
        self.trace.count(puts=len(encoded), put=int(encoded.sizes.sum()))
        if len(empty := keys[~stored].tolist()):
            self.puts.delete(empty)

    def must_stay(self, batch: Batch) -> np.ndarray | None:
        return self.puts.must_stay(lambda: self.target.layout.keys(batch.coords))


@dataclass(frozen=True)
class ShardObjects:
    """Chunks go into shards, by their coordinates in the grid of shards; each part lies in one of them."""

    target: Target
    shards: Mapping[tuple[int, ...], Shard]

    def slots(self, part: Part) -> Sequence[tuple[Shard, int]]:
        shard = self._shard(part)
        return [(shard, number) for number in shard.numbers(part.coords).tolist()]

    def put(self, slot: tuple[Shard, int], data: Any) -> None:
        shard, number = slot
        shard.put(number, data)

    def store(self, batch: Batch, encoded: EncodedBatch, stored: np.ndarray) -> None:
        place = np.cumsum(stored) - stored
        for part, rows in batch.rows():
            shard, which = self._shard(part), np.flatnonzero(stored[rows])
            shard.add(shard.numbers(part.coords[which]), encoded.take(place[rows][which]), len(part))

    def must_stay(self, batch: Batch) -> None:
        return None

    def _shard(self, part: Part) -> Shard:
        sides = zip(part.coords[0].tolist(), self.target.layout.per_object, strict=True)
        return self.shards[tuple(at // n for at, n in sides)]
