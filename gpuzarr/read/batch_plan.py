"""Plan the batches of a read, sized by the memory limit and the device's preferred batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby
from math import prod
from operator import attrgetter
from typing import Any

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.overlap import Overlap
from gpuzarr.devices.trace import Trace
from gpuzarr.indexing.grid import Part
from gpuzarr.indexing.layout import Layout
from gpuzarr.read.batches import Batch, Batches, batches_of
from gpuzarr.read.estimate import Sizes, estimated, nothing
from gpuzarr.read.fetch import Source
from gpuzarr.read.memory import BatchBudget, Limits, batch_budget

MIN_BATCHES = 8  # of a read on a GPU, so that storage, bus and GPU are busy at once,
MIN_BATCH_PART = 4  # but no batch is smaller than this part of what the device prefers
Shape = tuple[int, ...]


@dataclass(frozen=True)
class BatchPlan:
    """The batches of a read. `budgets`: by chunk shape; `gds`: whether bytes come by GPUDirect Storage, `io` why."""

    batches: list[Batch]
    limits: Limits
    budgets: dict[Shape, BatchBudget]
    gds: bool = False
    io: str = ""

    kind = "batch by batch"

    @property
    def chunks(self) -> int:
        return sum(map(len, self.batches))

    @property
    def count(self) -> int:
        return len(self.batches)

    @property
    def decoded_elements(self) -> int:
        return sum(len(batch) * prod(batch.chunk_shape) for batch in self.batches)

    @property
    def limit(self) -> int:
        """Bytes that the read may hold beyond its result."""
        return self.limits.total

    @cached_property
    def overlap(self) -> Overlap:
        """The batches that are at work at once: no more than any of them allows."""
        found = [budget.overlap for budget in self.budgets.values()] or [Overlap()]
        depth, early = min(each.prefetch_depth for each in found), all(each.early for each in found)
        return Overlap(depth, min(found[0].concurrent, len(self.batches) or found[0].concurrent), early)

    @property
    def chain(self) -> Chain | None:
        """The codecs of the first chunks; None where there are none."""
        return next((budget.chain for budget in self.budgets.values()), None)

    @property
    def at_once(self) -> int:
        """Bytes beyond the result, at most, while batches of all kinds follow each other."""
        decoding = (budget.decoding(self.overlap) for budget in self.budgets.values())
        return self._staging + max(decoding, default=0)

    @property
    def room(self) -> int:
        """Bytes of the limit that a batch has while it is decoded; of a chunk that is read alone, what it needs."""
        alone = max((budget.cost.decoding(1, Overlap()) for budget in self.budgets.values()), default=0)
        return max((self.limit - self._staging) // self.overlap.decoded, alone)

    @property
    def pinned_room(self) -> int:
        """Bytes of pinned memory that a batch has while it is decoded, besides what is stored."""
        rooms = [
            budget.cost.pinned_room(budget.chunks, self.limits.pinned, self.overlap) for budget in self.budgets.values()
        ]
        return min(rooms, default=0)

    @property
    def pinned_bytes(self) -> int:
        """Bytes of encoded chunks that batches have, about, if there are several (else 0): all take as much pinned
        memory, so that each can use what another gave back. Within the limits, whatever a damaged index says."""
        if len(self.batches) < 2:
            return 0
        stored = max(len(batch) * self.budgets[batch.chunk_shape].cost.stored for batch in self.batches)
        return min(stored, self.limits.pinned)

    def planned_bytes(self, device: Device) -> int:
        """Bytes beyond the result, at most, while the largest batches follow each other."""
        return max((self._held(batch, device) for batch in self.batches), default=0)

    def work(self, source: Source, out: Any, device: Device, trace: Trace) -> Batches:
        if device.gpu:
            trace.pinned_limit, trace.pinned_bytes = self.limits.pinned, self.pinned_bytes
            trace.share, trace.pinned_share = self.room, self.pinned_room
        return Batches(source, self.batches, self.budgets, out, device, self.gds, self.overlap.early, trace)

    @property
    def _staging(self) -> int:
        return max((budget.cost.staging(budget.chunks, self.overlap) for budget in self.budgets.values()), default=0)

    def _held(self, batch: Batch, device: Device) -> int:
        budget, overlap = self.budgets[batch.chunk_shape], self.overlap
        if device.gpu:
            staging, decoding = budget.cost.staging(budget.chunks, overlap), budget.cost.decoding(len(batch), overlap)
            on_host = min(budget.cost.decoding_on_host(len(batch), overlap), self.limit - staging)
            return staging + max(decoding, on_host)
        return budget.cost.batch(len(batch), overlap) * min(device.threads, len(self.batches))


@dataclass(frozen=True)
class BatchPlanner:
    """Plans batches of an array. `all_on_host`: why the CPU shall decode everything, if it shall.

    `sizes` tells how large chunks are as they are stored; without it a GPU's batches expect the worst. `extents`: the
    shape of the result, if it is contiguous, so that chunks may be decoded straight to their place; else None.
    """

    layout: Layout
    device: Device
    limit: int
    all_on_host: str | None = None
    sizes: Sizes | None = None
    extents: Shape | None = None

    def plan(self, parts: Sequence[Part]) -> BatchPlan:
        """Batches of the parts of a selection. On a CPU a batch is the few chunks that stay in its cache, on a GPU it
        is many; within the memory limit on both."""
        of_shape: dict[Shape, list[Part]] = {}
        for part in parts:
            of_shape.setdefault(part.chunk_shape, []).append(part)
        limits = Limits.of(self.device, self.limit)
        planned = BatchPlan([], limits, self._budgets(of_shape, limits))
        if self.device.gpu and len(of_shape) > 1 and planned.at_once > self.limit:
            # chunks of one shape are loaded while those of another are decoded
            half = Limits(limits.total // 2, limits.pinned // 2)
            planned = BatchPlan([], limits, self._budgets(of_shape, half))
        for shape, some in groupby(parts, key=attrgetter("chunk_shape")):
            planned.batches.extend(batches_of(some, planned.budgets[shape].chunks))
        return planned

    def _budgets(self, of_shape: dict[Shape, list[Part]], limits: Limits) -> dict[Shape, BatchBudget]:
        counts = {shape: sum(map(len, alike)) for shape, alike in of_shape.items()}
        total = sum(counts.values())
        return {shape: self._budget(shape, alike, limits, counts[shape], total) for shape, alike in of_shape.items()}

    def _budget(self, shape: Shape, alike: Sequence[Part], limits: Limits, count: int, total: int) -> BatchBudget:
        chain, preferred = self._chain(shape), max(1, self.device.batch_bytes // max(self._nbytes(shape), 1))
        if not self.device.gpu:
            wanted = min(preferred, count if total <= preferred else max(1, -(-total // self.device.threads)))
            return batch_budget(chain, self.device, limits, wanted, False, False, nothing)
        wanted = self._wanted(chain, preferred, count)
        in_place = self.extents is not None and all(part.in_one_piece(self.extents) for part in alike)
        seen = partial(estimated, alike, self.sizes) if self.sizes else nothing
        return batch_budget(chain, self.device, limits, wanted, total > wanted, in_place, seen)

    def _wanted(self, chain: Chain, preferred: int, count: int) -> int:
        """Chunks of each batch of a GPU, of `count` in all: MIN_BATCHES, if these have streams enough.

        A stream is slow, and a GPU that decodes too few of them takes as long as for many: so a batch has at least as
        many as keep all of it busy, together with the other batches that are decoded at once.
        """
        least = max(1, preferred // MIN_BATCH_PART)
        by_bytes = min(preferred, max(least, -(-count // MIN_BATCHES)))
        most = max(by_bytes, int(chain.chunks_to_fill(self.device, count) / self.device.concurrent_batches))
        return max(1, -(-count // max(1, round(count / most))))

    def _nbytes(self, shape: Shape) -> int:
        return prod(shape) * max(self.layout.spec.dtype.itemsize, 1)

    def _chain(self, shape: Shape) -> Chain:
        chain = self.layout.chain(shape)
        return replace(chain, all_on_host=self.all_on_host) if self.all_on_host and self.device.gpu else chain
