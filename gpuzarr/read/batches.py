"""Read batch by batch: the chunks of a batch are loaded, decoded and placed together.

A GPU needs thousands of streams at once, and a million small chunks must not cost Python work each. On a GPU a batch
is launched, and what went wrong is known only when it completes: see `devices.pipeline`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, cast

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import EncodedBatch
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.pipeline import Complete
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import CHUNK_FAULTS
from gpuzarr.indexing.grid import Part, coords_of
from gpuzarr.indexing.shard_indexes import Indexes
from gpuzarr.read.fetch import Fetched, Memory, Source, blamed, fetch
from gpuzarr.read.memory import BatchBudget
from gpuzarr.read.place import assign, bytes_of, decoded, destinations, fill_missing, placeable
from gpuzarr.read.thresholds import MIN_THREAD_BYTES


@dataclass(frozen=True)
class Batch:
    """Chunks that are read, decoded and placed together; all of one shape."""

    parts: tuple[Part, ...]

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.parts[0].chunk_shape

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @cached_property
    def coords(self) -> np.ndarray:
        """Coordinates of the innermost chunks, int64 (n, ndim)."""
        return coords_of(self.parts)

    def halves(self) -> Iterator[Batch]:
        """The same chunks in two batches or a few."""
        most = -(-len(self) // 2)
        for part in self.parts:
            for piece in part.split(most):
                yield Batch((piece,))


@dataclass(frozen=True)
class Loaded:
    """A batch with its encoded chunks; `fetched` is None where they are too large to be loaded at once."""

    batch: Batch
    chain: Chain
    fetched: Fetched | None

    def split(self, n: int) -> list[Loaded]:
        """The same in about `n` pieces; in one, if it is too little for more than one thread."""
        fetched, count = self.fetched, len(self.batch)
        if (
            fetched is None
            or n < 2
            or count < 2
            or count * (self.chain.spec.nbytes or MIN_THREAD_BYTES) <= MIN_THREAD_BYTES
        ):
            return [self]
        pieces, first, read = [], 0, 0
        for batch in batches_of(self.batch.parts, -(-count // n)):
            present = fetched.present[first : first + len(batch)]
            end = read + int(np.count_nonzero(present))
            pieces.append(replace(self, batch=batch, fetched=Fetched(fetched.encoded.take(slice(read, end)), present)))
            first, read = first + len(batch), end
        return pieces


@dataclass(frozen=True)
class Batches:
    """Read these batches into `out`, an array of the device. `budgets`: by chunk shape.

    `gds`: bytes come by GPUDirect Storage. `early`: else they are copied to the GPU while a batch is loaded.
    """

    source: Source
    batches: list[Batch]
    budgets: dict[tuple[int, ...], BatchBudget]
    out: Any
    device: Any
    gds: bool
    early: bool
    trace: Trace

    def run(self) -> None:
        """Read all of them. ChunkError for the first chunk that is damaged."""
        if not self.device.gpu and len(self.batches) == 1:
            self._run_one(self.batches[0])
        else:
            self.device.run(self.load, self.launch, self.batches, self.trace)

    def _run_one(self, batch: Batch) -> None:
        """Load a batch by this thread, and decode it by all threads of the CPU.

        Loading a little is many short system calls: two threads at it wait more for each other than for storage.
        """
        self.trace.count(batches=1)
        with self.device.scratch_scope():
            self.device.each(self._launch_piece, self.load(batch).split(self.device.threads))

    def _launch_piece(self, loaded: Loaded) -> None:
        with self.device.scratch_scope():
            self.launch(loaded)

    def load(self, batch: Batch) -> Loaded:
        """Fetch the chunks of a batch into host memory (by GDS: onto the device)."""
        begin, budget = time.perf_counter(), self.budgets[batch.chunk_shape]
        early = self.early and not self.gds and budget.chain.is_all_on_gpu
        most = budget.stored if self.device.gpu else budget.limits.total
        memory = Memory(self.device, self.gds, early, max_bytes=most, chain=budget.chain)
        if budget.chain.is_uncompressed and not self.device.gpu:
            memory = replace(memory, into=self._in_place(batch, budget.chain))
        try:
            fetched = fetch(self.source, batch.coords, memory, self._indexes)
            return self._verified(Loaded(batch, budget.chain, fetched))
        finally:
            self.trace.add_time("storage", begin, time.perf_counter())

    def launch(self, loaded: Loaded) -> Complete | None:
        """Decode a batch and place it; on a GPU that is only launched, and what is returned tells if it went well."""
        if loaded.fetched is None:
            self._launch_halves(loaded.batch)
            return None
        if self.early:
            self.device.await_uploads()
        try:
            if placeable(loaded.chain, self.out, self.device):
                self._place_by_kernel(loaded, loaded.fetched)
            else:
                self._place_by_assignment(loaded, loaded.fetched)
        except CHUNK_FAULTS as error:
            raise self._blamed(error, loaded) from error
        complete = self.device.checked()
        return partial(self._complete, loaded, complete) if complete else None

    def _verified(self, loaded: Loaded) -> Loaded:
        """Compare a checksum nearest the store on the host, before a GPU sees the chunks; count them."""
        if loaded.fetched is None:
            return loaded
        encoded = loaded.fetched.encoded
        self.trace.count(chunks=len(encoded), stored=int(np.add.reduce(encoded.sizes)))
        if not self.device.gpu or self.gds:
            return loaded
        try:
            chain, encoded = loaded.chain.verified(encoded)
        except CHUNK_FAULTS as error:
            raise self._blamed(error, loaded) from error
        return replace(loaded, chain=chain, fetched=replace(loaded.fetched, encoded=encoded))

    def _launch_halves(self, batch: Batch) -> None:
        """Read a batch whose chunks are too large to be loaded at once: its halves, one after the other."""
        for half in batch.halves():
            if complete := self.launch(self.load(half)):
                complete()
            self.device.completed()

    def _place_by_kernel(self, loaded: Loaded, fetched: Fetched) -> None:
        """Place and fill in one launch; where chunks are decoded straight to their place, it only fills."""
        batch, chain, encoded, present = loaded.batch, loaded.chain, fetched.encoded, fetched.present
        device, begin, chunks = self.device, self.device.timestamp(), None
        into = self._in_place(batch, chain) if len(encoded) and chain.decodes_in_place(device) else None
        if into is not None:
            chain.decode(encoded, device, into.take(present))
        elif len(encoded):
            chunks = decoded(encoded, chain, device, batch.parts, present, self.out)
        self.trace.add_time("decode", begin, done := device.timestamp())
        if into is None or not present.all():
            gpu.place.place(device, batch.parts, present, chunks, (self.out,), chain.spec.fill_value)
            self.trace.add_time("place", done, device.timestamp())

    def _place_by_assignment(self, loaded: Loaded, fetched: Fetched) -> None:
        parts, chain, encoded = loaded.batch.parts, loaded.chain, fetched.encoded
        device, xp = self.device, self.device.xp
        is_in_place = self._is_in_place(encoded, chain)
        if np.count_nonzero(fetched.present) < len(fetched.present):
            fill_value = self.source.layout.spec.fill_value
            parts = fill_missing(parts, fetched.present, self.out, fill_value, xp, is_in_place)
        if is_in_place or not len(encoded):
            return
        begin, batch = device.timestamp(), Batch(parts)
        into = self._in_place(batch, chain) if chain.decodes_in_place(device) else None
        chunks = chain.decode(encoded, device, into)
        self.trace.add_time("decode", begin, done := device.timestamp())
        if into is None:
            assign(parts, chunks, self.out, xp)
            self.trace.add_time("place", done, device.timestamp())

    def _complete(self, loaded: Loaded, complete: Complete) -> None:
        """Wait for a launched batch. `loaded` is held until now: the device may still read it."""
        try:
            complete()
        except CHUNK_FAULTS as error:
            raise self._blamed(error, loaded) from error

    def _in_place(self, batch: Batch, chain: Chain) -> EncodedBatch | None:
        """The memory in `out` that is each chunk's, if it lies there in one piece."""
        nbytes = chain.spec.nbytes
        if self._bytes is None or nbytes is None or (starts := destinations(batch.parts, self.out)) is None:
            return None
        return EncodedBatch(self._bytes, starts, np.full(len(starts), nbytes))

    def _is_in_place(self, encoded: EncodedBatch, chain: Chain) -> bool:
        """Tell if the chunks were read straight to where they belong, and are whole."""
        sizes = encoded.sizes
        return (
            self._bytes is not None
            and encoded.data is self._bytes
            and np.count_nonzero(sizes == chain.spec.nbytes) == len(sizes)
        )

    @cached_property
    def _bytes(self) -> Any:
        return bytes_of(self.out, self.source.layout.spec)

    @cached_property
    def _indexes(self) -> Indexes:
        return {}

    def _blamed(self, error: Any, loaded: Loaded) -> Exception:
        present = cast(Fetched, loaded.fetched).present
        return blamed(error, self.source, loaded.batch.coords[present])


def batches_of(parts: Iterable[Part], most: int) -> Iterator[Batch]:
    """Batches of at most `most` chunks, in order; parts with more are split."""
    batch: list[Part] = []
    chunks = 0
    for part in parts:
        for piece in (part,) if len(part) <= most else part.split(most):
            size = len(piece)
            if batch and chunks + size > most:
                yield Batch(tuple(batch))
                batch, chunks = [], 0
            batch.append(piece)
            chunks += size
    if batch:
        yield Batch(tuple(batch))
