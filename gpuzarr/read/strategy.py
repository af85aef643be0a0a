"""Choose how a selection is read: chunk by chunk, or batch by batch.

The choice depends on the layout, the selection and the kind of device alone: so the same read always decodes and checks
the same bytes, and gives the same values or the same error. Options and caches only change how much is done at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gpuzarr.checks import one_of
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.overlap import Overlap
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import DeviceError
from gpuzarr.indexing import region
from gpuzarr.indexing.counts import check_plannable
from gpuzarr.indexing.grid import Part, parts
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.region import Chunk, Run
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read import estimate
from gpuzarr.read.batch_plan import BatchPlan, BatchPlanner
from gpuzarr.read.cache import ChunkCache
from gpuzarr.read.chunks import Chunks
from gpuzarr.read.fetch import Source
from gpuzarr.read.memory import parse_bytes
from gpuzarr.read.thresholds import (
    MAX_REGION_BYTES,
    MAX_REGION_CHUNKS,
    MIN_LONE_CHUNK_BYTES,
    MIN_REGION_CHUNK_BYTES,
    MIN_THREAD_BYTES,
)
from gpuzarr.stores.contract import Store


@dataclass(frozen=True)
class Options:
    """How arrays are read.

    `memory_limit`: bytes that a read may hold beyond its result (None: what the device thinks right), and that a chunk
    of elements of variable length may be decoded to, if that is more than its limit (`gpuzarr.batch`). `validate`:
    "host" decodes on the CPU, whatever the device, so that no damaged stream ever reaches the GPU's decoders. `io`: how
    bytes come from files to a GPU (`gpuzarr.read.transport`). `cache`: where decoded chunks stay for later reads.
    """

    memory_limit: int | None = None
    validate: Literal["auto", "host"] = "auto"
    io: Literal["auto", "gds", "posix"] = "auto"
    cache: ChunkCache | None = None

    def changed(self, **options: Any) -> Options:
        """With those of `options` that are not None. ArgumentError for a value that means nothing."""
        given = {name: value for name, value in options.items() if value is not None}
        if "memory_limit" in given:
            given["memory_limit"] = parse_bytes(given["memory_limit"])
        if "cache" in given:
            given["cache"] = ChunkCache.of(given["cache"])
        one_of(given.get("validate", "auto"), "validate", "auto", "host")
        one_of(given.get("io", "auto"), "io", "auto", "gds", "posix")
        return replace(self, **given)


@dataclass(frozen=True)
class ChunkPlan:
    """The chunks of a read on a CPU, read one by one: those of a region, or of the parts of another selection."""

    layout: Layout
    limit: int
    found: Sequence[Run] | Sequence[Part]
    is_region: bool
    chunks: int
    threads: int
    io: str

    kind, overlap = "chunk by chunk", Overlap()

    @property
    def chain(self) -> Chain:
        return self.layout.chain(self.layout.first_chunk_shape)

    @property
    def count(self) -> int:
        """Batches: each is one chunk."""
        return self.chunks

    @property
    def decoded_elements(self) -> int:
        return self.chunks * (self.layout.spec.nbytes or 0) // max(self.layout.spec.dtype.itemsize, 1)

    def planned_bytes(self, device: Device) -> int:
        """Bytes beyond the result, about: each thread holds a chunk as it is stored, and decoded."""
        return self.threads * 2 * (self.layout.spec.nbytes or 0)

    def work(self, source: Source, out: Any, device: Device, trace: Trace) -> Chunks:
        return Chunks(source, self._each(), self.chain, out, device, self.threads, trace)

    def _each(self) -> Iterator[Chunk]:
        make: Any = region.of_region if self.is_region else region.of_parts
        found: Iterator[Chunk] = make(self.found, self.layout.per_object)
        return found


Plan = ChunkPlan | BatchPlan


def choose(source: Source, selection: Outer | Points, contiguous: bool, device: Device, options: Options) -> Plan:
    """Plan the read of a selection with ascending ranges. `contiguous`: whether the result is.

    DeviceError where GPUDirect Storage was asked for and cannot be; NoMemoryError where the plan itself is too large.
    """
    limit = device.memory_limit if options.memory_limit is None else options.memory_limit
    if not device.gpu and (planned := _chunk_by_chunk(source.layout, selection, device, limit)):
        if options.io == "gds":
            _posix(planned.io, options, device)
        return planned
    extents = None if not contiguous else () if isinstance(selection, Points) else selection.full_shape
    planner = BatchPlanner(source.layout, device, limit, allowed=options.memory_limit or 0)
    if device.gpu:
        why = "validate='host' was asked for" if options.validate == "host" else None
        sizes = estimate.sizes(source.locator, source.store)
        planner = replace(planner, all_on_host=why, sizes=sizes, extents=extents)
    layout, shard_chunks = source.layout, source.layout.shard_chunks(device)
    check_plannable(selection, layout.axes, shard_chunks)
    batches = planner.plan(list(parts(selection, layout.axes, shard_chunks)))
    chains = [budget.chain for budget in batches.budgets.values()]
    gds, io = _transport(source.store, device, chains, options)
    return replace(batches, gds=gds, io=io)


def _chunk_by_chunk(layout: Layout, selection: Outer | Points, device: Device, limit: int) -> ChunkPlan | None:
    """The plan, if the chunks are large, or of a small region; None where batches are faster."""
    nbytes = layout.spec.nbytes or 0
    if nbytes < MIN_REGION_CHUNK_BYTES or len(layout.levels) > 1 or not layout.is_regular:
        return None
    found: Any = region.runs(selection, layout.axes)
    if is_region := found is not None:
        chunks = region.count(found)
    else:
        check_plannable(selection, layout.axes, shard_chunks := (0,) * len(layout.axes))
        found = list(parts(selection, layout.axes, shard_chunks))
        chunks = sum(map(len, found))
    is_small = chunks <= MAX_REGION_CHUNKS and chunks * nbytes <= MAX_REGION_BYTES
    if not chunks or not (is_small or nbytes >= MIN_LONE_CHUNK_BYTES):
        return None
    threads = min(device.threads, chunks, max(1, limit // (2 * nbytes))) if chunks * nbytes > MIN_THREAD_BYTES else 1
    return ChunkPlan(layout, limit, found, is_region, chunks, threads, "POSIX: into host memory")


def _transport(store: Store, device: Device, chains: Sequence[Chain], options: Options) -> tuple[bool, str]:
    """Whether by GDS, and that in words. DeviceError where it was asked for and cannot be."""
    if not device.gpu or options.io == "posix":
        return _posix("posix was asked for" if device.gpu else "into host memory", options, device)
    for chain in chains:
        crossing, why = chain.host_steps
        if crossing < len(chain.steps):
            return _posix(f"the host decodes some of it ({why})", options, device)
        if options.io == "auto" and (headers := [s.name for s in chain.steps if s.reads_headers]):
            return _posix(f"the host looks at the frames of {headers[-1]}", options, device)
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
