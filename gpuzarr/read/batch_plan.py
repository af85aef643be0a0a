"""Plan the batches of a read, sized by the memory limit and the device's preferred batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from math import prod
from operator import attrgetter
from typing import Any

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.indexing.grid import Part
from gpuzarr.indexing.layout import Layout
from gpuzarr.read.batches import Batch, Batches, batches_of
from gpuzarr.read.estimate import Sizes, estimated, nothing
from gpuzarr.read.fetch import Source
from gpuzarr.read.memory import BatchBudget, batch_budget

FULL_GPU_STREAMS = 4096  # a stream of zstd has some 30 MB/s, a full GPU some 60 GB/s
MIN_BATCHES = 8  # of a read, that storage, bus and GPU be busy at once
Shape = tuple[int, ...]


@dataclass(frozen=True)
class BatchPlan:
    """The batches of a read. `budgets`: by chunk shape; `gds`: whether bytes come by GPUDirect Storage, `io` why."""

    batches: list[Batch]
    limit: int
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
    def prefetch_depth(self) -> int:
        """How many batches may be loaded beside the one that is decoded."""
        return min((budget.prefetch_depth for budget in self.budgets.values()), default=0)

    @property
    def chain(self) -> Chain | None:
        """The codecs of the first chunks; None where there are none."""
        return next((budget.chain for budget in self.budgets.values()), None)

    @property
    def at_once(self) -> int:
        """Bytes beyond the result, at most, while batches of all kinds follow each other."""
        decoding = (budget.decoding(self.prefetch_depth) for budget in self.budgets.values())
        return self._staging + max(decoding, default=0)

    @property
    def room(self) -> int:
        """Bytes of the limit that a batch has while it is decoded; of a chunk that is read alone, what it needs."""
        alone = max((budget.cost.decoding(1, 0) for budget in self.budgets.values()), default=0)
        return max(self.limit - self._staging, alone)

    @property
    def pinned_bytes(self) -> int:
        """Bytes of encoded chunks that batches have, about, if there are several (else 0): all take as much pinned
        memory, so that each can use what another gave back. Within the limit, whatever a damaged index says."""
        if len(self.batches) < 2:
            return 0
        return min(max(len(batch) * self.budgets[batch.chunk_shape].cost.stored for batch in self.batches), self.limit)

    def planned_bytes(self, device: Device) -> int:
        """Bytes beyond the result, at most, while the largest batches follow each other."""
        return max((self._held(batch, device) for batch in self.batches), default=0)

    def work(self, source: Source, out: Any, device: Device, trace: Trace) -> Batches:
        if device.gpu:
            trace.share, trace.pinned_bytes = self.room, self.pinned_bytes
        return Batches(source, self.batches, self.budgets, out, device, self.gds, trace)

    @property
    def _staging(self) -> int:
        depth = self.prefetch_depth
        return max((budget.cost.staging(budget.chunks, depth) for budget in self.budgets.values()), default=0)

    def _held(self, batch: Batch, device: Device) -> int:
        budget, depth = self.budgets[batch.chunk_shape], self.prefetch_depth
        if device.gpu:
            return budget.cost.staging(budget.chunks, depth) + budget.cost.decoding(len(batch), depth)
        return budget.cost.batch(len(batch), 0) * min(device.threads, len(self.batches))


@dataclass(frozen=True)
class BatchPlanner:
    """Plans batches of an array. `all_on_host`: why the CPU shall decode everything, if it shall.

    `sizes` tells how large chunks are as they are stored; without it a GPU's batches expect the worst. `extents`: the
    shape of the result, if it is contiguous, so that chunks may be decoded straight to their place; else None.
    `allowed`: bytes that the caller allows chunks of elements of variable length, see `gpuzarr.batch.BytesSpec`.
    """

    layout: Layout
    device: Device
    limit: int
    all_on_host: str | None = None
    sizes: Sizes | None = None
    extents: Shape | None = None
    allowed: int = 0

    def plan(self, parts: Sequence[Part]) -> BatchPlan:
        """Batches of the parts of a selection. On a CPU a batch is the few chunks that stay in its cache, on a GPU it
        is many; within the memory limit on both."""
        of_shape: dict[Shape, list[Part]] = {}
        for part in parts:
            of_shape.setdefault(part.chunk_shape, []).append(part)
        planned = BatchPlan([], self.limit, self._budgets(of_shape, self.limit))
        if self.device.gpu and len(of_shape) > 1 and planned.at_once > self.limit:
            # chunks of one shape are loaded while those of another are decoded
            planned = replace(planned, budgets=self._budgets(of_shape, self.limit // 2))
        for shape, some in groupby(parts, key=attrgetter("chunk_shape")):
            planned.batches.extend(batches_of(some, planned.budgets[shape].chunks))
        return planned

    def _budgets(self, of_shape: dict[Shape, list[Part]], limit: int) -> dict[Shape, BatchBudget]:
        counts = {shape: sum(map(len, alike)) for shape, alike in of_shape.items()}
        total = sum(counts.values())
        return {shape: self._budget(shape, alike, limit, counts[shape], total) for shape, alike in of_shape.items()}

    def _budget(self, shape: Shape, alike: Sequence[Part], limit: int, count: int, total: int) -> BatchBudget:
        chain, wanted = self._chain(shape), min(self._most(shape, total), count)
        if not self.device.gpu:
            return batch_budget(chain, self.device, limit, wanted, False, False, nothing)
        in_place = self.extents is not None and all(part.in_one_piece(self.extents) for part in alike)
        seen = partial(estimated, alike, self.sizes) if self.sizes else nothing
        return batch_budget(chain, self.device, limit, wanted, total > wanted, in_place, seen)

    def _most(self, shape: Shape, total: int) -> int:
        """Chunks a batch: as the device prefers, and for a longer read enough batches to keep its threads busy.

        A GPU needs many streams at once: of large chunks a batch has more bytes, if there are MIN_BATCHES of them.
        """
        device, chunk = self.device, prod(shape) * max(self.layout.spec.dtype.itemsize, 1)
        most = max(1, device.batch_bytes // max(chunk, 1))
        if device.gpu:
            return max(most, min(FULL_GPU_STREAMS, total // MIN_BATCHES))
        return most if total <= most else max(1, min(most, -(-total // device.threads)))

    def _chain(self, shape: Shape) -> Chain:
        chain = self.layout.chain(shape)
        if self.allowed and chain.stored.allowed is not None:
            chain = chain.allowing(self.allowed)
        return replace(chain, all_on_host=self.all_on_host) if self.all_on_host and self.device.gpu else chain
