"""Read batch by batch: the chunks of a batch are loaded, decoded and placed together.

A GPU needs thousands of streams at once, and a million small chunks must not cost Python work each. On a GPU a batch
is launched, and what went wrong is known only when it completes: see `devices.pipeline`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, cast

import numpy as np

from gpuzarr import gpu
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.pipeline import Complete
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import CHUNK_FAULTS, GpuZarrError
from gpuzarr.indexing.shard_indexes import Indexes
from gpuzarr.read import kept_chunks
from gpuzarr.read.batch_in_files import InFiles
from gpuzarr.read.faults import Fault, halved
from gpuzarr.read.fetch import Memory, fetch_all
from gpuzarr.read.fetched import Fetched
from gpuzarr.read.known import Known, keeping
from gpuzarr.read.place import assign, decoded, fill_missing, placeable
from gpuzarr.read.portions import Batch
from gpuzarr.read.thresholds import MIN_THREAD_BYTES


@dataclass(frozen=True)
class Loaded:
    """A batch with its encoded chunks; `fetched` is None where they are too large to be loaded at once.

    `is_placed`: it is in the results already.
    """

    batch: Batch
    chain: Chain
    fetched: Fetched | None
    is_placed: bool = False

    def split(self, n: int) -> list[Loaded]:
        """The same in about `n` pieces; in one, if it is too little for more than one thread."""
        fetched, batches = self.fetched, pieces_of(self.batch, self.chain, n)
        if fetched is None or len(batches) < 2:
            return [self]
        pieces, first, there, read = [], 0, 0, 0
        for batch in batches:
            some = slice(first, first := first + len(batch))
            present = slice(there, there := there + int(np.count_nonzero(fetched.present[some])))
            stored = slice(read, read := read + int(np.count_nonzero(fetched.stored[some])))
            pieces.append(replace(self, batch=batch, fetched=fetched.part(some, present, stored)))
        return pieces


def pieces_of(batch: Batch, chain: Chain, n: int) -> list[Batch]:
    """The same chunks in about `n` batches; in one, if it is too little for more than one thread."""
    count = len(batch)
    if n < 2 or count < 2 or count * (chain.spec.nbytes or MIN_THREAD_BYTES) <= MIN_THREAD_BYTES:
        return [batch]
    return list(batch.split(-(-count // n)))


@dataclass(frozen=True)
class Batches:
    """Read these batches. `gds`: bytes come by GPUDirect Storage. `early`: else they are copied to the GPU while a
    batch is loaded. `faults`: if given, what is damaged is noted there and has the fill value."""

    batches: list[Batch]
    device: Any
    gds: bool
    early: bool
    trace: Trace
    faults: list[Fault] | None = None

    def run(self) -> None:
        """Read all of them. ChunkError for the first chunk that is damaged."""
        batches = self.batches if self.device.gpu else self._without_kept()
        if self.faults is not None:
            self.device.each(self._run_tolerant, batches)
        elif not self.device.gpu and len(batches) == 1:
            self._run_one(batches[0])
        elif batches:
            self.device.run(self.load, self.launch, batches, self.trace)

    def _without_kept(self) -> list[Batch]:
        """Place the chunks that caches have, on a CPU; the batches of the others."""
        if all(one.source.cache is None for batch in self.batches for one in batch.portions):
            return self.batches
        left: list[Batch | None] = list(self.batches)

        def place(number: int) -> None:
            batch = self.batches[number]
            portions = kept_chunks.portions_left(batch.portions, batch.budget.chain, self.device, self.trace)
            left[number] = replace(batch, portions=portions) if portions else None

        self.device.each(place, range(len(left)))
        return [batch for batch in left if batch is not None]

    def _run_one(self, batch: Batch) -> None:
        """Load a batch by this thread, and decode it by all threads of the CPU, or have the C library do both.

        Loading a little is many short system calls: two threads at it wait more for each other than for storage.
        """
        self.trace.count(batches=1)
        if self._in_files.can_read(batch):
            pieces = pieces_of(batch, batch.budget.chain, self.device.threads)
            self.device.each(lambda piece: self._launch_piece(self.load(piece)), pieces)
            return
        with self.device.scratch_scope():
            self.device.each(self._launch_piece, self.load(batch).split(self.device.threads))

    def _run_tolerant(self, batch: Batch) -> None:
        """Read a batch; after an error its halves, down to the chunks that are damaged."""
        self.trace.count(batches=1)
        halved(batch, self._read, self._note)

    def _read(self, batch: Batch) -> None:
        with self.device.scratch_scope():
            self.launch(self.load(batch))

    def _note(self, batch: Batch, error: GpuZarrError) -> None:
        for portion in batch.portions:
            cast(list[Fault], self.faults).append(Fault(portion.source, tuple(portion.coords[0].tolist()), error))
            for part in portion.parts:
                part.fill(portion.out, batch.fill_value, self.device.xp)

    def _launch_piece(self, loaded: Loaded) -> None:
        with self.device.scratch_scope():
            self.launch(loaded)

    def load(self, batch: Batch) -> Loaded:
        """Fetch the chunks of a batch into host memory (by GDS: onto the device); or do all of the work, on a CPU."""
        if self._in_files.read(batch):
            return Loaded(batch, batch.budget.chain, None, is_placed=True)
        begin, budget = time.perf_counter(), batch.budget
        early = self.early and not self.gds and budget.chain.is_all_on_gpu
        most = budget.stored if self.device.gpu else budget.limits.total
        memory = Memory(self.device, self.gds, early, max_bytes=most, chain=budget.chain, knows=True, trace=self.trace)
        if budget.chain.is_uncompressed and not self.device.gpu:
            memory = replace(memory, into=batch.in_place)
        try:
            fetched = fetch_all([(one.source, one.coords) for one in batch.portions], memory, self._indexes)
            return self._verified(Loaded(batch, budget.chain, fetched))
        finally:
            self.trace.add_time("storage", begin, time.perf_counter())

    def launch(self, loaded: Loaded) -> Complete | None:
        """Decode a batch and place it; on a GPU that is only launched, and what is returned tells if it went well."""
        if loaded.is_placed:
            return None
        if loaded.fetched is None:
            self._launch_halves(loaded.batch)
            return None
        if self.early:
            self.device.await_uploads()
        keep: Sequence[Callable[[], None]] = ()
        try:
            if loaded.fetched.known is not None:
                keep = self._place_known(loaded, loaded.fetched, loaded.fetched.known)
            elif placeable(loaded.batch.results, loaded.chain, self.device, loaded.batch.cast):
                self._place_by_kernel(loaded, loaded.fetched)
            else:
                self._place_by_assignment(loaded, loaded.fetched)
        except CHUNK_FAULTS as error:
            raise self._blamed(error, loaded) from error
        if (complete := self.device.checked()) is not None:
            return partial(self._complete, loaded, complete, keep)
        for each in keep:
            each()
        return None

    def _verified(self, loaded: Loaded) -> Loaded:
        """Compare a checksum nearest the store on the host, before a GPU sees the chunks; count them."""
        if loaded.fetched is None:
            return loaded
        encoded, known = loaded.fetched.encoded, loaded.fetched.known
        self.trace.count(chunks=len(encoded), stored=int(np.add.reduce(encoded.sizes)))
        if known is not None:
            self._count(loaded.batch, loaded.fetched, known)
        if not self.device.gpu or self.gds:
            return loaded
        try:
            chain, encoded = loaded.chain.verified(encoded)
        except CHUNK_FAULTS as error:
            raise self._blamed(error, loaded) from error
        return replace(loaded, chain=chain, fetched=replace(loaded.fetched, encoded=encoded))

    def _count(self, batch: Batch, fetched: Fetched, known: Known) -> None:
        """Count the chunks that caches had, and those that they had not."""
        first, hits = 0, int(np.count_nonzero(known.hit))
        self.trace.count(chunks=hits, cache_hits=hits)
        for portion in batch.portions:
            some = slice(first, first := first + len(portion))
            if portion.source.cache is not None:
                present, stored = (int(np.count_nonzero(mask[some])) for mask in (fetched.present, fetched.stored))
                portion.source.cache.count(present - stored, stored)
                self.trace.count(cache_misses=stored)

    def _launch_halves(self, batch: Batch) -> None:
        """Read a batch whose chunks are too large to be loaded at once: its halves, one after the other."""
        for half in batch.split(-(-len(batch) // 2)):
            if complete := self.launch(self.load(half)):
                complete()
            self.device.completed()

    def _place_by_kernel(self, loaded: Loaded, fetched: Fetched) -> None:
        """Place and fill in one launch; where chunks are decoded straight to their place, it only fills."""
        batch, chain, encoded, present = loaded.batch, loaded.chain, fetched.encoded, fetched.present
        device, begin, chunks = self.device, self.device.timestamp(), None
        into = batch.in_place if len(encoded) and chain.decodes_in_place(device) else None
        if into is not None:
            chain.decode(encoded, device, into.take(present))
        elif len(encoded):
            chunks = decoded(encoded, chain, device, batch, present)
        self.trace.add_time("decode", begin, done := device.timestamp())
        if into is None or not present.all():
            gpu.place.place(device, batch.placements, present, chunks, batch.fill_value)
            self.trace.add_time("place", done, device.timestamp())

    def _place_known(self, loaded: Loaded, fetched: Fetched, known: Known) -> list[Callable[[], None]]:
        """Place chunks of which caches have some; what keeps the others when they are known to be right."""
        batch, chain, device = loaded.batch, loaded.chain, self.device
        begin, spec = device.timestamp(), chain.spec
        decoded: Any = ()
        if len(fetched.encoded):
            decoded = device.xp.ascontiguousarray(chain.decode(fetched.encoded, device), dtype=spec.dtype)
        keep = keeping(batch.portions, fetched.stored, known, decoded, device) if len(decoded) else []
        self.trace.add_time("decode", begin, done := device.timestamp())
        if placeable(batch.results, chain, device, batch.cast):
            addresses = known.addresses(decoded, device, spec.nbytes or 0)
            program = None if batch.cast is None else gpu.programs.program_of(batch.cast)
            chunks = gpu.place.Chunks(addresses, spec.strides, 1, decoded, program=program)
            gpu.place.place(device, batch.placements, fetched.present, chunks, batch.fill_value)
        else:
            rest = fill_missing(batch, fetched.present, device.xp)
            if len(known.entries):  # on a CPU without those that were kept before: see `_without_kept`
                assign(rest, known.together(decoded, spec, device), device)
        self.trace.add_time("place", done, device.timestamp())
        return keep

    def _place_by_assignment(self, loaded: Loaded, fetched: Fetched) -> None:
        batch, chain, encoded, present = loaded.batch, loaded.chain, fetched.encoded, fetched.present
        device, xp = self.device, self.device.xp
        is_in_place = fetched.is_in_place and np.count_nonzero(encoded.sizes == chain.spec.nbytes) == len(encoded)
        if np.count_nonzero(present) < len(present):
            batch = fill_missing(batch, present, xp, is_in_place)
        if is_in_place or not len(encoded):
            return
        begin = device.timestamp()
        into = batch.in_place if chain.decodes_in_place(device) else None
        chunks = chain.decode(encoded, device, into)
        self.trace.add_time("decode", begin, done := device.timestamp())
        if into is None:
            assign(batch, chunks, device)
            self.trace.add_time("place", done, device.timestamp())

    def _complete(self, loaded: Loaded, complete: Complete, keep: Iterable[Callable[[], None]]) -> None:
        """Wait for a launched batch. `loaded` is held until now: the device may still read it, as it may read chunks
        that a cache drops meanwhile. What is kept now is there for every stream."""
        try:
            complete()
        except CHUNK_FAULTS as error:
            raise self._blamed(error, loaded) from error
        for each in keep:
            each()

    @cached_property
    def _indexes(self) -> dict[int, Indexes]:
        return {}

    @cached_property
    def _in_files(self) -> InFiles:
        return InFiles(self.device, self.trace, self._indexes)

    def _blamed(self, error: Any, loaded: Loaded) -> Exception:
        return loaded.batch.blamed(error, cast(Fetched, loaded.fetched).stored)
