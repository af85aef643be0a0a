"""Choose how a selection is read: chunk by chunk, or batch by batch.

The choice depends on the layout, the selection and the kind of device alone: so the same read always decodes and checks
the same bytes, and gives the same values or the same error. Options and caches only change how much is done at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any, Literal, cast

from gpuzarr.checks import one_of
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.overlap import Overlap
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import DeviceError
from gpuzarr.indexing import region
from gpuzarr.indexing.boxes import ReadPart
from gpuzarr.indexing.region import Chunk, Run
from gpuzarr.read import estimate, kept_chunks
from gpuzarr.read.batch_plan import BatchPlan, BatchPlanner
from gpuzarr.read.cache import ChunkCache
from gpuzarr.read.chunks import Chunks
from gpuzarr.read.faults import Fault
from gpuzarr.read.memory import parse_bytes
from gpuzarr.read.pieces import ChunkWork
from gpuzarr.read.requests import Share
from gpuzarr.read.thresholds import (
    FETCHES,
    MAX_COMING_BYTES,
    MAX_FETCHED_BYTES,
    MAX_FEW_CHUNKS,
    MAX_REGION_BYTES,
    MAX_REGION_CHUNKS,
    MIN_FETCHED_BYTES,
    MIN_LONE_CHUNK_BYTES,
    MIN_REGION_CHUNK_BYTES,
    MIN_THREAD_BYTES,
)
from gpuzarr.stores.contract import Store, concurrency


@dataclass(frozen=True)
class Options:
    """How arrays are read.

    `memory_limit`: bytes that a read may hold beyond its result (None: what the device thinks right), and that a chunk
    of elements of variable length may be decoded to, if that is more than its limit (`gpuzarr.batch`). `validate`:
    "host" decodes on the CPU, whatever the device, so that no damaged stream ever reaches the GPU's decoders. `io`: how
    bytes come from files to a GPU (`gpuzarr.read.transport`). `cache`: where decoded chunks stay for later reads; what
    is read does not depend on it, so arrays that differ in nothing else are read together.
    """

    memory_limit: int | None = None
    validate: Literal["auto", "host"] = "auto"
    io: Literal["auto", "gds", "posix"] = "auto"
    cache: ChunkCache | None = field(default=None, compare=False)

    @property
    def values(self) -> tuple[Any, ...]:
        """What is equal for arrays that are read together."""
        return self.memory_limit, self.validate, self.io

    def changed(self, **options: Any) -> Options:
        """With those of `options` that are not None. ArgumentError for a value that means nothing."""
        if not (given := {name: value for name, value in options.items() if value is not None}):
            return self
        if "memory_limit" in given:
            given["memory_limit"] = parse_bytes(given["memory_limit"])
        if "cache" in given:
            given["cache"] = ChunkCache.of(given["cache"])
        one_of(given.get("validate", "auto"), "validate", "auto", "host")
        one_of(given.get("io", "auto"), "io", "auto", "gds", "posix")
        return replace(self, **given)


@dataclass(frozen=True)
class ChunkList:
    """The chunks of a share, read one by one on a CPU: those of a region, or of the parts of other selections."""

    share: Share
    chain: Chain
    found: Sequence[Run] | Sequence[ReadPart]
    is_region: bool
    count: int
    chunk_bytes: int  # decoded

    def chunks(self, device: Device, trace: Trace, threads: int) -> Chunks:
        """The chunks that the cache has not; the others are placed."""
        source, make = self.share.source, region.of_region if self.is_region else region.of_parts
        shelf = None if source.cache is None else source.cache.shelf(source, device)
        every: Iterator[Chunk] = cast(Any, make)(self.found, source.layout.per_object)
        chunks = Chunks(source, every, self.chain, self.share.out, device, trace, self.share.cast, shelf)
        if shelf is None:
            return chunks
        if self.is_region:
            return replace(chunks, chunks=kept_chunks.placed(chunks, shelf, threads))
        parts = kept_chunks.parts_placed(chunks, shelf, cast(Sequence[ReadPart], self.found), threads)
        return replace(chunks, chunks=region.of_parts(list(parts), source.layout.per_object))


@dataclass(frozen=True)
class ChunkPlan:
    """The chunks of a read on a CPU, of one or several arrays, read one by one."""

    lists: Sequence[ChunkList]
    limit: int
    threads: int
    io: str
    piece_bytes: int = 0  # of a store whose requests take long: decoded bytes of chunks that are fetched together

    kind, overlap = "chunk by chunk", Overlap()

    @property
    def chunks(self) -> int:
        return sum([each.count for each in self.lists])

    @property
    def chain(self) -> Chain:
        return self.lists[0].chain

    @property
    def count(self) -> int:
        """Batches: each is one chunk."""
        return self.chunks

    @property
    def decoded_elements(self) -> int:
        return sum([each.count * prod(each.chain.spec.shape) for each in self.lists])

    def planned_bytes(self, device: Device) -> int:
        """Bytes beyond the result, about: each thread holds a chunk (or what it fetches), stored and decoded."""
        largest = max(each.chunk_bytes for each in self.lists)
        return 2 * self.threads * max(min(self.piece_bytes, max(map(_nbytes, self.lists))), largest)

    def work(self, device: Device, trace: Trace, faults: list[Fault] | None = None) -> ChunkWork:
        arrays = [each.chunks(device, trace, self.threads) for each in self.lists]
        return ChunkWork(arrays, self.chunks, self.threads, device, faults, self.piece_bytes)


Plan = ChunkPlan | BatchPlan


def choose(shares: Sequence[Share], device: Device, options: Options, trace: Trace | None = None) -> list[Plan]:
    """Plan the read of shares, in one plan of each kind of work. What that reads of stores is counted in `trace`.

    DeviceError where GPUDirect Storage was asked for and cannot be; NoMemoryError where the plan itself is too large.
    """
    limit = device.memory_limit if options.memory_limit is None else options.memory_limit
    plans: list[Plan] = []
    others: list[tuple[Share, list[ReadPart]]] = []
    lists: list[ChunkList] = []
    for share in shares:
        found = share.parts(device) if device.gpu else _chunks_or_parts(share, device)
        if isinstance(found, ChunkList):
            lists.append(found)
        else:
            others.append((share, found))
    if lists:
        in_flight = max(concurrency(each.share.source.store) for each in lists)
        threads, piece_bytes = _threads(lists, device, limit), 0
        if in_flight > 1:
            threads, piece_bytes = _coming(lists, limit, in_flight)
        plans.append(planned := ChunkPlan(lists, limit, threads, "POSIX: into host memory", piece_bytes))
        if options.io == "gds":
            _posix(planned.io, options, device)
    if others:
        plans.append(_in_batches(others, device, limit, options, trace))
    return plans


def _in_batches(
    shares: Sequence[tuple[Share, list[ReadPart]]], device: Device, limit: int, options: Options, trace: Trace | None
) -> BatchPlan:
    planner = BatchPlanner(device, limit, allowed=options.memory_limit or 0)
    if device.gpu:
        why = "validate='host' was asked for" if options.validate == "host" else None
        planner = replace(planner, all_on_host=why, sizes=partial(estimate.sizes, trace=trace))
    batches = planner.plan(shares)
    chains = [budget.chain for budget in batches.budgets]
    gds, io = _transport([share.source.store for share, _ in shares], device, chains, options)
    return replace(batches, gds=gds, io=io)


def _chunks_or_parts(share: Share, device: Device) -> ChunkList | list[ReadPart]:
    """The chunks, if they are large, or of a small region; the parts where batches are faster."""
    layout, selection = share.source.layout, share.selection
    nbytes = layout.spec.nbytes or 0
    if not nbytes or len(layout.levels) > 1 or not layout.is_regular:
        return share.parts(device)
    runs = None if selection is None else region.runs(selection, layout.axes)
    parts = share.parts(device) if runs is None else []
    chunks = sum(map(len, parts)) if runs is None else region.count(runs)
    few = MAX_FEW_CHUNKS if runs is not None else 0
    most = MAX_REGION_CHUNKS if nbytes >= MIN_REGION_CHUNK_BYTES else few
    is_small = chunks <= most and chunks * nbytes <= MAX_REGION_BYTES
    if chunks and (is_small or nbytes >= MIN_LONE_CHUNK_BYTES):
        chain, found = layout.chain(layout.first_chunk_shape), parts if runs is None else runs
        return ChunkList(share, chain, found, runs is not None, chunks, nbytes)
    return parts if runs is None else share.parts(device)


def _nbytes(one: ChunkList) -> int:
    return one.count * one.chunk_bytes


def _threads(lists: Sequence[ChunkList], device: Device, limit: int) -> int:
    """Threads that read chunks one by one, so many as there is work and memory for."""
    if sum(map(_nbytes, lists)) <= MIN_THREAD_BYTES:
        return 1
    largest = max([each.chunk_bytes for each in lists])
    return min(device.threads, sum([each.count for each in lists]), max(1, limit // (2 * largest)))


def _coming(lists: Sequence[ChunkList], limit: int, in_flight: int) -> tuple[int, int]:
    """Threads that each fetch some chunks and decode them, and decoded bytes of these, as memory allows."""
    total, room = sum(map(_nbytes, lists)), max(1, min(MAX_COMING_BYTES, limit // 2))
    piece = min(max(MIN_FETCHED_BYTES, min(MAX_FETCHED_BYTES, total // FETCHES)), room)
    pieces = sum([-(-_nbytes(each) // max(piece, each.chunk_bytes)) for each in lists])
    return max(1, min(in_flight, pieces, room * pieces // total)), piece


def _transport(stores: Sequence[Store], device: Device, chains: Sequence[Chain], options: Options) -> tuple[bool, str]:
    """Whether by GDS, and that in words. DeviceError where it was asked for and cannot be."""
    if not device.gpu or options.io == "posix":
        return _posix("posix was asked for" if device.gpu else "into host memory", options, device)
    for chain in chains:
        crossing, why = chain.host_steps
        if crossing < len(chain.steps):
            return _posix(f"the host decodes some of it ({why})", options, device)
        if options.io == "auto" and (headers := [s.name for s in chain.steps if s.reads_headers]):
            return _posix(f"the host looks at the frames of {headers[-1]}", options, device)
    for store in stores:
        if why_not_gds := store.why_not_to_device():
            return _posix(why_not_gds, options, device)
    return True, "GDS"


def _posix(why: str, options: Options, device: Device) -> tuple[bool, str]:
    if options.io == "gds":
        raise DeviceError(f"no GDS on {device.name}: {why}")
    return False, f"POSIX: {why}"


def places(chain: Chain, device: Device) -> tuple[tuple[str, str], ...]:
    """Each codec's name and where it decodes, in that order."""
    return tuple((name, device.name if device.gpu and on_gpu else "cpu") for name, on_gpu in reversed(chain.where()))
