"""Write batch by batch: load what must stay, gather, encode, complete and store the chunks of a batch together.

A GPU needs thousands of streams at once, and a million small chunks must not cost Python work each. On a GPU a batch is
launched, and stored when it completes: see `devices.pipeline`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import EncodedBatch
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.pipeline import Complete, TwoPhase
from gpuzarr.empty_chunk import element, is_empty
from gpuzarr.indexing.blocks import ChunkBlock
from gpuzarr.read.fetch import Memory, fetch
from gpuzarr.read.fetched import Fetched
from gpuzarr.stores.contract import concurrency
from gpuzarr.write.assignment import Assignment
from gpuzarr.write.batch_plan import Batch
from gpuzarr.write.destinations import Destination

NO_CHUNKS = EncodedBatch(np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Loaded:
    """A batch with its codecs. Where it covers chunks in part, `old` has the old ones that are `present`, encoded."""

    batch: Batch
    chain: Chain
    old: EncodedBatch | None = None
    present: np.ndarray | None = None


@dataclass(frozen=True)
class Gathered:
    """The new chunks of a batch. On a GPU only launched: `is_empty()` waits, and tells which hold only the fill value.

    `check()`, if any, waits, and raises CodecError for the first old chunk that could not be decoded.
    """

    loaded: Loaded
    chunks: Any
    is_empty: Callable[[], np.ndarray]
    check: Complete | None


@dataclass(frozen=True)
class Batches:
    """Write these batches, gathered from the value of an assignment."""

    assignment: Assignment
    batches: Sequence[Batch]
    destination: Destination

    def run(self) -> None:
        """Write all of them. ChunkError for the first chunk that cannot be encoded."""
        trace = self.assignment.trace
        trace.share = max((batch.budget.scratch for batch in self.batches if batch.budget), default=None)
        self.assignment.device.run(self.load, TwoPhase(self.gather, self.encode), self.batches, trace)

    def load(self, batch: Batch) -> Loaded:
        """Fetch the old chunks of a batch that covers them in part, into host memory."""
        chain, begin = self.assignment.target.layout.chain(batch.chunk_shape), time.perf_counter()
        if batch.is_covered:
            return Loaded(batch, chain)
        before = self.assignment.before
        memory = Memory(self.assignment.device, chain=chain, trace=before.trace_of(batch.coords))
        fetched = cast(Fetched, fetch(before.source, batch.coords, memory))
        self.assignment.trace.count(old=int(fetched.encoded.sizes.sum()))
        self.assignment.trace.add_time("load", begin, time.perf_counter())
        return Loaded(batch, chain, fetched.encoded, fetched.present)

    def gather(self, loaded: Loaded) -> Gathered:
        """Gather the new chunks of a batch, and find the empty ones; on a GPU that is only launched."""
        device = self.assignment.device
        begin = device.timestamp()
        chunks = gathered(loaded, self.assignment)
        check = device.checked() if loaded.old is not None else None
        is_empty = emptiness(chunks, self.assignment)
        self.assignment.trace.add_time("gather", begin, device.timestamp())
        return Gathered(loaded, chunks, is_empty, check)

    def encode(self, gathered: Gathered) -> Complete | None:
        """Encode the chunks of a batch that are not empty, and store them.

        On a GPU encoding is only launched: what is returned waits for it, and stores.
        """
        loaded, device = gathered.loaded, self.assignment.device
        stored = ~gathered.is_empty()
        if (stays := self.destination.must_stay(loaded.batch)) is not None:
            stored |= stays
        begin = device.timestamp()
        chunks = selected(gathered.chunks, stored, device.xp)
        with self.assignment.target.blamed(loaded.batch.coords[stored]):
            encoding = loaded.chain.encoding(chunks, device) if len(chunks) else lambda: NO_CHUNKS
        self.assignment.trace.add_time("encode", begin, device.timestamp())
        complete = partial(self.complete, loaded, gathered.check, encoding, stored)
        return complete if device.gpu else complete()

    def complete(self, loaded: Loaded, check: Complete | None, encoding: Callable[[], Any], stored: np.ndarray) -> None:
        """Wait for a batch and store it; `check` raises for the first old chunk that could not be decoded."""
        batch, target, trace = loaded.batch, self.assignment.target, self.assignment.trace
        if check:
            with target.blamed(batch.coords[loaded.present]):
                check()
        with target.blamed(batch.coords[stored]):
            encoded = self._encoded(loaded, encoding(), stored)
        begin = time.perf_counter()
        self.store(batch, encoded, stored)
        trace.add_time("store", begin, time.perf_counter())
        trace.count(chunks=len(stored), empty=len(stored) - len(encoded), stored=int(np.add.reduce(encoded.sizes)))

    def store(self, batch: Batch, encoded: EncodedBatch, stored: np.ndarray) -> None:
        """Store a batch: on a CPU by its own thread, a GPU's batch by all threads of the host.

        Where each object takes long, the store itself writes many chunks at once, or a thread each shard.
        """
        target = self.assignment.target
        in_flight, is_sharded = concurrency(target.store), bool(target.layout.levels)
        if not self.assignment.device.gpu or (in_flight > 1 and not is_sharded):
            return self.destination.store(batch, encoded, stored)
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(stored)])

        def store(piece: tuple[Batch, slice]) -> None:
            some, rows = piece
            self.destination.store(some, encoded.take(slice(ends[rows.start], ends[rows.stop])), stored[rows])

        if in_flight > 1:
            return CPU.each(store, batch.pieces(len(stored)), in_flight, waits=True)
        return CPU.each(store, batch.pieces(-(-len(stored) // (4 * CPU.threads))))

    def _encoded(self, loaded: Loaded, chunks: Any, stored: np.ndarray) -> EncodedBatch:
        """The chunks that the device has made, after the steps of the host. `chunks` is None where it refused some."""
        chain, device, begin = loaded.chain, self.assignment.device, time.perf_counter()
        if chunks is None:
            return self._encode_on_host(loaded, stored)
        encoded = chain.encode_rest(chunks, device) if len(chunks) else NO_CHUNKS
        if device.gpu and chain.host_steps_to_encode[1]:
            self.assignment.trace.add_time("encode", begin, time.perf_counter())
        return encoded

    def _encode_on_host(self, loaded: Loaded, stored: np.ndarray) -> EncodedBatch:
        """Gather a batch once more that nvCOMP refused, which hardly ever happens, and encode it on the host."""
        device = self.assignment.device
        with device.on():
            chunks = selected(gathered(loaded, self.assignment), stored, device.xp)
            if check := device.checked():
                check()
            return loaded.chain.encode_on_host(chunks, device)


def gathered(loaded: Loaded, assignment: Assignment) -> Any:
    """The new chunks of a batch, an array (n, *chunk_shape) of the device. ChunkError for a damaged old chunk.

    On a CPU they may be a view of the value.
    """
    if (view := _view(loaded, assignment)) is not None:
        return view
    with assignment.target.blamed(loaded.batch.coords):
        chunks = _memory(loaded, assignment)
        for part, rows in loaded.batch.rows():
            part.gather(assignment.value, chunks[rows], assignment.device.xp)
    return chunks


def _view(loaded: Loaded, assignment: Assignment) -> Any:
    """The chunks of a batch as they lie in the value; None where they must be gathered."""
    part, value = loaded.batch.parts[0], assignment.value
    if assignment.device.gpu or len(loaded.batch.parts) > 1 or value.dtype != loaded.chain.spec.dtype:
        return None
    return part.as_batch(value) if isinstance(part, ChunkBlock) else None


def _memory(loaded: Loaded, assignment: Assignment) -> Any:
    """Memory for the chunks of a batch, with what the value will not fill."""
    batch, spec, device = loaded.batch, loaded.chain.spec, assignment.device
    shape = (len(batch), *spec.shape)
    if spec.nbytes is None:
        chunks = device.xp.empty(shape, spec.dtype)
    else:
        chunks = device.empty(shape[0] * spec.nbytes).view(spec.dtype).reshape(shape)
    if loaded.present is None:
        for part, rows in batch.rows():
            if not part.whole:
                chunks[rows] = element(spec.fill_value, chunks.dtype)
    else:
        _put_old(loaded, loaded.present, chunks, assignment)
    return chunks


def _put_old(loaded: Loaded, present: np.ndarray, chunks: Any, assignment: Assignment) -> None:
    chain, device, old = loaded.chain, assignment.device, loaded.old
    if not present.all():
        chunks[...] = element(chain.spec.fill_value, chunks.dtype)
    if old is None or not len(old):
        return
    which, into = np.flatnonzero(present), None
    if chain.decodes_in_place(device) and chain.spec.nbytes:
        sizes = np.full(len(which), chain.spec.nbytes)
        into = EncodedBatch(chunks.reshape(-1).view(np.uint8), which * chain.spec.nbytes, sizes)
    with assignment.target.blamed(loaded.batch.coords[present]):
        decoded = chain.decode(old, device, into)
    if into is None:
        chunks[device.xp.asarray(which)] = decoded


def emptiness(chunks: Any, assignment: Assignment) -> Callable[[], np.ndarray]:
    """Tell which chunks are not to be stored, bool (n,); on a GPU the function that is returned waits for that."""
    target, fill_value = assignment.target, assignment.target.layout.spec.fill_value
    if assignment.device.gpu and fill_value is not None and not target.write_empty_chunks:
        return gpu.empty.is_empty_on_gpu(chunks, fill_value, assignment.device)
    found = np.zeros(len(chunks), bool) if target.write_empty_chunks else is_empty(chunks, fill_value)
    return lambda: found


def selected(chunks: Any, which: np.ndarray, xp: Any) -> Any:
    """Some of the chunks; no byte moves where these are all."""
    return chunks if which.all() else chunks[xp.asarray(np.flatnonzero(which))]
