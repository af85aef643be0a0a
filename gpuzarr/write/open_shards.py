"""Shards that a writer fills region by region: inner chunks go to the store as they come, and nothing is read back.

As long as a shard is open nobody sees what is in it. It is closed when all its inner chunks have come. When it must be
closed before, what is still missing is taken over, under its lock, from the shard that is in the store then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gpuzarr.devices.trace import Trace
from gpuzarr.indexing.grid import Part
from gpuzarr.indexing.layout import Layout
from gpuzarr.write.shards import Shard
from gpuzarr.write.strategy import SHARDS

MOST = 64  # shards that are open at once
Units = Mapping[tuple[int, ...], Sequence[Part]]  # the parts of each shard


class Work(Protocol):
    """One write: what `write.Writing` is."""

    @property
    def layout(self) -> Layout: ...
    @property
    def trace(self) -> Trace: ...
    def covered(self, coords: tuple[int, ...], some: Sequence[Part]) -> bool: ...
    def shard(self, some: Sequence[Part], left: int) -> Shard: ...
    def within(self, coords: tuple[int, ...]) -> int: ...
    def batches(self, pairs: Sequence[tuple[Part, Shard | None]], covered: bool) -> Sequence[Any]: ...
    def run(self, batches: Sequence[Any]) -> None: ...
    def complete(self, shards: Sequence[Shard]) -> None: ...


class OpenShards:
    """The open shards of one writer, by their key; the one that was opened first comes first."""

    def __init__(self) -> None:
        self._open: dict[str, Shard] = {}

    def __len__(self) -> int:
        return len(self._open)

    def fill(self, work: Work, units: Units) -> Units:
        """Write the units that cover whole inner chunks, but not all of a shard; the others are given back.

        None of these is open then. An open shard of which an inner chunk comes again is closed before that.
        """
        mine = {coords: some for coords, some in units.items() if _suits(work, coords, some)}
        if len(mine) > MOST:
            mine = {}
        rest = {coords: some for coords, some in units.items() if coords not in mine}
        shards = [(work.shard(some, work.within(coords)), some) for coords, some in mine.items()]
        again = [shard.key for shard, _ in shards if self._has_some_of(shard)]
        others = [work.layout.key(some[0].coords[0].tolist()) for some in rest.values()] if self._open else []
        self._close(work, [key for key in again + others if key in self._open])
        pairs = [(part, self._joined(shard)) for shard, some in shards for part in some]
        try:
            work.run(work.batches(pairs, True))
        except BaseException:
            self.abort()
            raise
        work.trace.count(partly=len(mine))
        self._open = {key: shard for key, shard in self._open.items() if shard.left}
        self._close(work, list(self._open)[: max(len(self._open) - MOST, 0)])
        return rest

    def close(self, work: Work) -> None:
        """Close all of them."""
        self._close(work, list(self._open))

    def abort(self) -> None:
        """Leave nothing of them."""
        for shard in self._open.values():
            shard.abort()
        self._open.clear()

    def _has_some_of(self, shard: Shard) -> bool:
        return shard.key in self._open and bool((self._open[shard.key].touched & shard.touched).any())

    def _joined(self, shard: Shard) -> Shard:
        """The open one, that this one is a part of."""
        found = self._open.setdefault(shard.key, shard)
        found.touched |= shard.touched
        return found

    def _close(self, work: Work, keys: Sequence[str]) -> None:
        for first in range(0, len(keys), SHARDS):
            work.complete([self._open.pop(key) for key in keys[first : first + SHARDS]])


def _suits(work: Work, coords: tuple[int, ...], some: Sequence[Part]) -> bool:
    return all(part.covers(work.layout.axes) for part in some) and not work.covered(coords, some)
