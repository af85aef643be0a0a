"""Plan the batches of a write, sized by the memory limit and the device's preferred batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.indexing.grid import Part, coords_of
from gpuzarr.indexing.layout import Layout
from gpuzarr.write.memory import WriteBudget, chunks_per_batch, write_budget
from gpuzarr.write.thresholds import MAX_CPU_BATCH_BYTES, WAITING_THREADS


@dataclass(frozen=True)
class Batch:
    """Chunks of one shape that are gathered, encoded and stored together.

    `is_covered`: whether the selection covers them whole. `budget`: what a GPU's memory allows for such chunks.
    """

    parts: tuple[Part, ...]
    is_covered: bool
    budget: WriteBudget | None = None

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @cached_property
    def coords(self) -> np.ndarray:
        """Coordinates of the innermost chunks, int64 (n, ndim)."""
        return coords_of(self.parts)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.parts[0].chunk_shape

    def rows(self) -> Iterator[tuple[Part, slice]]:
        """Each part, and its chunks' place in the batch."""
        first = 0
        for part in self.parts:
            yield part, slice(first, first + len(part))
            first += len(part)

    def pieces(self, most: int) -> Iterator[tuple[Batch, slice]]:
        """Batches of at most `most` chunks, all of one part each, and their place in this one."""
        first = 0
        for part in self.parts:
            for piece in part.split(most):
                yield Batch((piece,), self.is_covered), slice(first, first + len(piece))
                first += len(piece)


@dataclass(frozen=True)
class BatchPlanner:
    """Plans batches within a GPU's `limit` of bytes; on a CPU what is gathered is written while it is in a cache.

    `in_flight`: objects that the store writes at once, which its threads share where each takes long.
    """

    layout: Layout
    device: Device
    limit: int
    in_flight: int = 1
    _budgets: dict[tuple[tuple[int, ...], bool], WriteBudget] = field(default_factory=dict)

    def plan(self, parts: Sequence[Part], is_covered: bool) -> tuple[Batch, ...]:
        """Batches of these parts, in order: enough of them to keep the device's threads busy."""
        total = sum(map(len, parts))
        batches: list[Batch] = []
        small: list[Part] = []
        chunks = 0
        for part in parts:
            budget = self._budget(part.chunk_shape, is_covered) if self.device.gpu else None
            most = self._most(part.chunk_shape, budget, total)
            for piece in part.split(most):
                is_other = small and (small[0].chunk_shape != piece.chunk_shape or self._is_apart(small[-1], piece))
                if small and (is_other or chunks + len(piece) > most):
                    batches.append(self._batch(small, is_covered))
                    small, chunks = [], 0
                small.append(piece)
                chunks += len(piece)
        return (*batches, self._batch(small, is_covered)) if small else ()

    def _is_apart(self, one: Part, other: Part) -> bool:
        """Whether chunks are not stored together, as they lie in two shards, each of which is on its way for long."""
        if self.device.gpu or self.in_flight < 2 or not self.layout.levels:
            return False
        counts = np.asarray(self.layout.per_object, np.int64)
        return bool((one.coords[0] // counts != other.coords[0] // counts).any())

    def _batch(self, parts: Sequence[Part], is_covered: bool) -> Batch:
        budget = self._budget(parts[0].chunk_shape, is_covered) if self.device.gpu else None
        return Batch(tuple(parts), is_covered, budget)

    def _budget(self, chunk_shape: tuple[int, ...], is_covered: bool) -> WriteBudget:
        key = chunk_shape, is_covered
        if key not in self._budgets:
            self._budgets[key] = write_budget(self.layout.chain(chunk_shape), is_covered, self.device, self.limit)
        return self._budgets[key]

    def _most(self, chunk_shape: tuple[int, ...], budget: WriteBudget | None, total: int) -> int:
        """Chunks of a batch."""
        if budget is not None:
            return chunks_per_batch(budget, self.layout.chain(chunk_shape), total, self.device)
        chunk = prod(chunk_shape) * max(self.layout.spec.dtype.itemsize, 1)
        preferred = min(self.device.batch_bytes, MAX_CPU_BATCH_BYTES) // max(chunk, 1)
        most = min(preferred, -(-total // self.device.threads))
        if self.in_flight > 1:
            own = prod(self.layout.per_object) if self.layout.levels else 1  # chunks of an object
            most = min(most, own * -(-self.in_flight // (own * (self.device.threads + WAITING_THREADS))))
        return max(1, most)
