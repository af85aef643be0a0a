"""Plan the batches of a read, sized by the memory limit and the device's preferred batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby, islice
from math import prod
from operator import attrgetter, itemgetter
from typing import Any, cast

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.overlap import Overlap
from gpuzarr.devices.trace import Trace
from gpuzarr.indexing.boxes import ReadPart
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Locator
from gpuzarr.read.batches import Batches
from gpuzarr.read.estimate import Sizes, estimated, nothing
from gpuzarr.read.faults import Fault
from gpuzarr.read.memory import BatchBudget, Limits, batch_budget
from gpuzarr.read.portions import Batch, Portion, batched
from gpuzarr.read.requests import Share
from gpuzarr.stores.contract import Store, concurrency

MIN_BATCHES = 8  # of a read on a GPU, so that storage, bus and GPU are busy at once,
MIN_BATCH_PART = 4  # but no batch is smaller than this part of what the device prefers
MAX_ESTIMATED_ARRAYS = 8  # of a read of many, whose files are looked at
Shape = tuple[int, ...]


@dataclass(frozen=True)
class BatchPlan:
    """The batches of a read. `budgets`: of its kinds of chunks; `gds`: whether bytes come by GPUDirect Storage, `io`
    why."""

    batches: list[Batch]
    limits: Limits
    budgets: Sequence[BatchBudget]
    gds: bool = False
    io: str = ""
    waiting: int = 0  # batches of a CPU that wait for a store, beside one for each core

    kind = "batch by batch"

    @property
    def chunks(self) -> int:
        return sum(map(len, self.batches))

    @property
    def count(self) -> int:
        return len(self.batches)

    @property
    def decoded_elements(self) -> int:
        return sum(len(batch) * prod(batch.budget.chain.spec.shape) for batch in self.batches)

    @property
    def limit(self) -> int:
        """Bytes that the read may hold beyond its result."""
        return self.limits.total

    @cached_property
    def overlap(self) -> Overlap:
        """The batches that are at work at once: no more than any of them allows."""
        found = [budget.overlap for budget in self.budgets] or [Overlap()]
        depth, early = min(each.prefetch_depth for each in found), all(each.early for each in found)
        return Overlap(depth, min(found[0].concurrent, len(self.batches) or found[0].concurrent), early)

    @property
    def chain(self) -> Chain | None:
        """The codecs of the first chunks; None where there are none."""
        return next((budget.chain for budget in self.budgets), None)

    @property
    def at_once(self) -> int:
        """Bytes beyond the result, at most, while batches of all kinds follow each other."""
        decoding = (budget.decoding(self.overlap) for budget in self.budgets)
        return self._staging + max(decoding, default=0)

    @property
    def room(self) -> int:
        """Bytes of the limit that a batch has while it is decoded; of a chunk that is read alone, what it needs."""
        alone = max((budget.cost.decoding(1, Overlap()) for budget in self.budgets), default=0)
        return max((self.limit - self._staging) // self.overlap.decoded, alone)

    @property
    def pinned_room(self) -> int:
        """Bytes of pinned memory that a batch has while it is decoded, besides what is stored."""
        rooms = [budget.cost.pinned_room(budget.chunks, self.limits.pinned, self.overlap) for budget in self.budgets]
        return min(rooms, default=0)

    @property
    def pinned_bytes(self) -> int:
        """Bytes of encoded chunks that batches have, about, if there are several (else 0): all take as much pinned
        memory, so that each can use what another gave back. Within the limits, whatever a damaged index says."""
        if len(self.batches) < 2:
            return 0
        stored = max(len(batch) * batch.budget.cost.stored for batch in self.batches)
        return min(stored, self.limits.pinned)

    def planned_bytes(self, device: Device) -> int:
        """Bytes beyond the result, at most, while the largest batches follow each other."""
        return max((self._held(batch, device) for batch in self.batches), default=0)

    def work(self, device: Device, trace: Trace, faults: list[Fault] | None = None) -> Batches:
        if device.gpu:
            trace.pinned_limit, trace.pinned_bytes = self.limits.pinned, self.pinned_bytes
            trace.share, trace.pinned_share = self.room, self.pinned_room
        trace.waiting = self.waiting
        return Batches(self.batches, device, self.gds, self.overlap.early, trace, faults)

    @property
    def _staging(self) -> int:
        return max((budget.cost.staging(budget.chunks, self.overlap) for budget in self.budgets), default=0)

    def _held(self, batch: Batch, device: Device) -> int:
        budget, overlap = batch.budget, self.overlap
        if device.gpu:
            staging, decoding = budget.cost.staging(budget.chunks, overlap), budget.cost.decoding(len(batch), overlap)
            on_host = min(budget.cost.decoding_on_host(len(batch), overlap), self.limit - staging)
            return staging + max(decoding, on_host)
        return budget.cost.batch(len(batch), overlap) * min(device.threads + self.waiting, len(self.batches))


@dataclass(eq=False)
class _Kind:
    """Chunks of one shape and of equal codecs, of one array or several, that are cast alike."""

    chain: Chain
    portions: list[Portion]
    is_in_place: bool  # each chunk is in one piece in the result

    @cached_property
    def count(self) -> int:
        return sum(map(len, self.portions))


@dataclass(frozen=True)
class BatchPlanner:
    """Plans batches of one array or several. `all_on_host`: why the CPU shall decode everything, if it shall.

    `sizes(locator, store)` makes what tells how large chunks are as they are stored; without it a GPU's batches expect
    the worst. `allowed`: bytes that the caller allows chunks of elements of variable length, see
    `gpuzarr.batch.BytesSpec`.
    """

    device: Device
    limit: int
    all_on_host: str | None = None
    sizes: Callable[[Locator, Store], Sizes] | None = None
    allowed: int = 0

    def plan(self, shares: Sequence[tuple[Share, Sequence[ReadPart]]]) -> BatchPlan:
        """Batches of the parts of each share. On a CPU a batch is the few chunks that stay in its cache, on a GPU it
        is many; within the memory limit on both."""
        kinds: dict[Any, _Kind] = {}
        order = [run for share, parts in shares for run in self._runs(kinds, share, parts)]
        limits = Limits.of(self.device, self.limit)
        planned = BatchPlan([], limits, self._budgets(kinds, limits))
        if self.device.gpu and len(kinds) > 1 and planned.at_once > self.limit:
            # chunks of one kind are loaded while those of another are decoded
            half = Limits(limits.total // 2, limits.pinned // 2)
            planned = BatchPlan([], limits, self._budgets(kinds, half))
        budgets = dict(zip(map(id, kinds.values()), planned.budgets, strict=True))
        for kind, runs in groupby(order, key=itemgetter(0)):
            budget = budgets[id(kind)]
            some = batched((portion for _, portion in runs), budget.chunks)
            planned.batches.extend(Batch(portions, budget) for portions in some)
        return planned if self.device.gpu else replace(planned, waiting=_waiting(planned, shares))

    def _runs(
        self, kinds: dict[Any, _Kind], share: Share, parts: Sequence[ReadPart]
    ) -> Iterator[tuple[_Kind, Portion]]:
        """The parts of a share in order, those of one kind that follow each other together; they are added to it."""
        source, extents = share.source, share.extents
        for shape, some in groupby(parts, key=attrgetter("chunk_shape")):
            portion = Portion(source, share.out, tuple(some), share.cast)
            name = source.layout.kind(shape) if self.device.gpu else (id(source), shape), share.cast
            if (kind := kinds.get(name)) is None:
                kind = kinds[name] = _Kind(self._chain(source.layout, shape), [], True)
            kind.portions.append(portion)
            kind.is_in_place &= extents is not None and all(part.in_one_piece(extents) for part in portion.parts)
            yield kind, portion

    def _budgets(self, kinds: dict[Any, _Kind], limits: Limits) -> list[BatchBudget]:
        total = sum(kind.count for kind in kinds.values())
        return [self._budget(kind, limits, total) for kind in kinds.values()]

    def _budget(self, kind: _Kind, limits: Limits, total: int) -> BatchBudget:
        chain, count = kind.chain, kind.count
        preferred = max(1, self.device.batch_bytes // max(_nbytes(chain), 1))
        if not self.device.gpu:
            threads = 1 if total <= preferred else self.device.threads
            rounds = -(-total // (preferred * threads))  # in each, every thread has a batch
            wanted = min(count, -(-total // (rounds * threads)))
            return batch_budget(chain, self.device, limits, wanted, False, False, nothing)
        wanted = self._wanted(chain, preferred, count)
        seen = partial(self._estimated, kind) if self.sizes else nothing
        return batch_budget(chain, self.device, limits, wanted, total > wanted, kind.is_in_place, seen)

    def _estimated(self, kind: _Kind) -> int | None:
        """Bytes of a stored chunk: of the array whose chunks are largest, of those that are looked at."""
        of: dict[int, list[Portion]] = {}
        for portion in kind.portions:
            of.setdefault(id(portion.source), []).append(portion)
        found = []
        for some in islice(of.values(), MAX_ESTIMATED_ARRAYS):
            source = some[0].source
            parts = [part for portion in some for part in portion.parts]
            found.append(estimated(parts, cast(Any, self.sizes)(source.locator, source.store)))
        return max((size for size in found if size is not None), default=None)

    def _wanted(self, chain: Chain, preferred: int, count: int) -> int:
        """Chunks of each batch of a GPU, of `count` in all: MIN_BATCHES, if these have streams enough.

        A stream is slow, and a GPU that decodes too few of them takes as long as for many: so a batch has at least as
        many as keep all of it busy, together with the other batches that are decoded at once.
        """
        least = max(1, preferred // MIN_BATCH_PART)
        by_bytes = min(preferred, max(least, -(-count // MIN_BATCHES)))
        most = max(by_bytes, int(chain.chunks_to_fill(self.device, count) / self.device.concurrent_batches))
        return max(1, -(-count // max(1, round(count / most))))

    def _chain(self, layout: Layout, shape: Shape) -> Chain:
        chain = layout.chain(shape)
        if self.allowed and chain.stored.allowed is not None:
            chain = chain.allowing(self.allowed)
        return replace(chain, all_on_host=self.all_on_host) if self.all_on_host and self.device.gpu else chain


def _waiting(planned: BatchPlan, shares: Sequence[tuple[Share, Any]]) -> int:
    """Batches of a CPU that wait for a store, so that as many requests are on their way as pay, where memory allows.

    Chunks of a shard are neighbours, so that a batch of them may be a single request.
    """
    in_flight = max([concurrency(share.source.store) for share, _ in shares])
    if in_flight == 1 or not planned.batches:
        return 0
    has_shards = any(share.source.layout.levels for share, _ in shares)
    fewest = 1 if has_shards else min(map(len, planned.batches))
    held = max(batch.budget.cost.batch(len(batch), planned.overlap) for batch in planned.batches)
    return max(0, min(-(-in_flight // fewest), len(planned.batches) - 1, planned.limit // max(held, 1) - 1))


def _nbytes(chain: Chain) -> int:
    return prod(chain.spec.shape) * max(chain.spec.dtype.itemsize, 1)
