"""The read path: selection -> parts -> batches; and of each batch: locate, read, decode, place."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol, cast

import numpy as np

from gpuzarr.batch import EncodedBatch, packed
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.pipeline import Complete
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import CHUNK_FAULTS, ChunkError, CodecError, RangeError, StoreError
from gpuzarr.gpu.place import place
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.grid import Part
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Indexes, Located, Locator
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read import estimate as stored
from gpuzarr.read.chunks import read_region
from gpuzarr.read.memory import BatchBudget
from gpuzarr.read.place import decoded, placeable
from gpuzarr.read.strategy import ALONE, Batch, Options, places, plan, together
from gpuzarr.read.transport import choose
from gpuzarr.stores.contract import MISSING, Store
from gpuzarr.stores.local.gds import read as gds_read
from gpuzarr.stores.local.store import LocalStore

LARGE = 1 << 18  # decoded bytes of chunks that are better placed one by one, while each is in its core's cache
TRIES = 64  # to read shards that somebody replaces meanwhile; 5 were too few beside one who writes small ones


class Source(Protocol):
    """What the read path needs to know of an array."""

    @property
    def store(self) -> Store: ...
    @property
    def path(self) -> str: ...
    @property
    def layout(self) -> Layout: ...
    @property
    def locator(self) -> Locator: ...


def read(source: Source, selection: Outer | Points, out: Any, device: Device, options: Options, trace: Trace) -> None:
    """Fill `out`, an array of the device of shape `selection.shape`, with the elements selected."""
    if isinstance(selection, Points) and not out.flags.c_contiguous:  # its elements have no flat view
        flat = device.array(selection.shape, out.dtype)
        read(source, selection, flat, device, options, trace)
        out[...] = flat
        return
    target = flipped(selection, out)
    if (
        not device.gpu
        and options.memory_limit is None
        and read_region(source.locator, ascending(selection), target, device, trace)
    ):
        return
    sizes = stored.sizes(source.locator, source.store) if device.gpu else None
    planned = plan(source.layout, ascending(selection), device, options, sizes, target.flags.c_contiguous)
    trace.limit, trace.prefetch_depth = planned.limit, planned.prefetch_depth
    if device.gpu:
        trace.share, trace.pinned_bytes = planned.room, planned.pinned_bytes
    gds, trace.io = choose(source.store, device, planned, options)
    if planned.batches:  # the record is kept longer than the batches
        trace.codecs = partial(places, planned.shares[planned.batches[0].chunk_shape].chain, device)
    reader = Reader(source, target, device, gds, planned.shares, trace)
    device.run(reader.load, reader.finish, planned.batches, trace)


@dataclass(frozen=True)
class Loaded:
    """A batch with its encoded bytes. `encoded` has the chunks that are there."""

    batch: Batch
    chain: Chain
    encoded: EncodedBatch
    present: np.ndarray

    @property
    def all_present(self) -> bool:
        """Whether no chunk is missing."""
        return np.count_nonzero(self.present) == len(self.present)

    @property
    def coords(self) -> np.ndarray:
        """Of the chunks that are there."""
        return self.batch.coords[self.present]

    def pieces(self, n: int) -> list[Loaded]:
        """The same in about `n` pieces; whole, if it is too little for more than one thread."""
        count = len(self.present)
        if n < 2 or count < 2 or count * (self.chain.spec.nbytes or ALONE) <= ALONE:
            return [self]
        most = -(-count // n)
        pieces, first, read = [], 0, 0
        for batch in together(self.batch.parts, most):
            present = self.present[first : first + len(batch)]
            n_present = int(np.count_nonzero(present))
            pieces.append(Loaded(batch, self.chain, self.encoded.take(slice(read, read + n_present)), present))
            first, read = first + len(present), read + n_present
        return pieces


class TooLargeError(Exception):
    """The chunks of a batch are stored in more bytes than it may load; it has several, so it can be read in parts."""


@dataclass(frozen=True)
class Reader:
    """Reads the batches of one selection into `out`."""

    source: Source
    out: Any
    device: Device
    gds: bool
    shares: dict[tuple[int, ...], BatchBudget]
    trace: Trace

    @cached_property
    def _memo(self) -> Indexes:
        return {}

    @cached_property
    def _bytes(self) -> Any:
        """The bytes of `out`, if chunks may be decoded straight to where they belong."""
        spec = self.source.layout.spec
        fits = self.out.flags.c_contiguous and self.out.dtype == spec.dtype and spec.nbytes is not None
        return self.out.reshape(-1).view(np.uint8) if fits else None

    def load(self, batch: Batch) -> Loaded | Batch:
        """The encoded chunks of a batch, in host memory; the batch itself, where they are too large to come at once."""
        begin = time.perf_counter()
        try:
            return self._read(batch)
        except TooLargeError:
            return batch
        finally:
            self.trace.add_time("storage", begin, time.perf_counter())

    def _read(self, batch: Batch) -> Loaded:
        for _ in range(TRIES):
            try:
                located = self.source.locator.locate(batch.coords, self._memo)
            except CHUNK_FAULTS as error:
                raise self._blamed(error, batch.coords) from error
            loaded = self._load(batch, located)
            if not self.source.locator.moved(located):
                return loaded
        raise StoreError(f"{located.ranges.keys[0]!r} of {self.source.store!r} is replaced faster than it can be read")

    def _load(self, batch: Batch, located: Located) -> Loaded:
        chain = self.shares[batch.chunk_shape].chain
        present = located.present
        starts = self._destinations(batch) if chain.is_uncompressed and not self.device.gpu else None
        if np.count_nonzero(present) < len(present):
            located, starts = located.take(np.flatnonzero(present)), None

        def place(sizes: np.ndarray) -> EncodedBatch:
            if starts is not None and len(sizes) == len(starts):
                fits = (sizes == chain.spec.nbytes) | (sizes == 0)
                if np.count_nonzero(fits) == len(sizes):
                    return EncodedBatch(self._bytes, starts, sizes)  # raw chunks, straight to where they belong
            self._check_size(batch, sizes)
            return self.device.pinned_buffer(sizes)

        try:
            if self.gds:
                encoded = gds_read(cast(LocalStore, self.source.store), located.ranges, partial(self._land, batch))
            else:
                encoded = self.source.store.read(located.ranges, place, self.device.readers)
        except CHUNK_FAULTS as error:
            raise self._blamed(error, batch.coords[present]) from error
        if np.count_nonzero(missing := encoded.sizes == MISSING):
            present = present.copy()
            present[np.flatnonzero(present)[missing]] = False
            encoded = encoded.take(~missing)
        self.trace.count(chunks=len(encoded), stored=int(np.add.reduce(encoded.sizes)))
        if self.device.gpu and not self.gds:
            try:
                chain, encoded = chain.verified(encoded)
            except CHUNK_FAULTS as error:
                raise self._blamed(error, batch.coords[present]) from error
        return Loaded(batch, chain, encoded, present)

    def _check_size(self, batch: Batch, sizes: np.ndarray) -> None:
        if self.device.gpu and len(batch.coords) > 1 and packed(sizes)[2] > self.shares[batch.chunk_shape].stored:
            raise TooLargeError

    def _land(self, batch: Batch, sizes: np.ndarray) -> EncodedBatch:
        self._check_size(batch, sizes)
        return self.device.device_buffer(sizes)

    def _in_parts(self, batch: Batch) -> None:
        """A batch whose chunks are too large to come at once: half of it after the other, by this thread alone."""
        for half in batch.two_phase():
            again = self.load(half)
            complete = self.finish(again)
            if complete:
                complete()
            self.device.completed()

    def finish(self, loaded: Loaded | Batch) -> Complete | None:
        """Put the chunks of a batch, decoded, to their place in `out`; what is returned tells whether that went
        well."""
        if isinstance(loaded, Batch):
            self._in_parts(loaded)
            return None
        try:
            if placeable(loaded.batch.parts, loaded.chain, self.out, self.device):
                self._finish_on_gpu(loaded)
            else:
                self._finish_by_assignment(loaded)
        except CHUNK_FAULTS as error:
            raise self._blamed(error, loaded.coords) from error
        complete = self.device.checked()
        return partial(self._complete, loaded, complete) if complete else None

    def _finish_on_gpu(self, loaded: Loaded) -> None:
        """One launch places and fills; where chunks are decoded straight to their place, it only fills."""
        parts, present, encoded, chain = loaded.batch.parts, loaded.present, loaded.encoded, loaded.chain
        device, begin = self.device, self.device.timestamp()
        starts = self._destinations(loaded.batch) if len(encoded) and chain.decodes_in_place(device) else None
        if starts is None:
            chunks = decoded(encoded, chain, device, parts, present, self.out) if len(encoded) else None
        else:
            chunks = None
            chain.decode(
                encoded, device, EncodedBatch(self._bytes, starts[present], np.full(len(encoded), chain.spec.nbytes))
            )
        self.trace.add_time("decode", begin, done := device.timestamp())
        if starts is None or not loaded.all_present:
            place(device, cast(Any, parts), present, chunks, self.out, chain.spec.fill_value)
            self.trace.add_time("place", done, device.timestamp())

    def _finish_by_assignment(self, loaded: Loaded) -> None:
        if self._read_to_place(loaded.encoded, loaded.chain) and not loaded.all_present:
            return self._fill_missing(loaded)
        batch = loaded.batch if loaded.all_present else self._fill(loaded.batch, loaded.present)
        if len(loaded.encoded):
            self._decode(batch, loaded.encoded, loaded.chain)

    def _complete(self, loaded: Loaded, complete: Complete) -> None:
        """`loaded` is held until now: the device may still read it."""
        try:
            complete()
        except CHUNK_FAULTS as error:
            raise self._blamed(error, loaded.coords) from error

    def _decode(self, batch: Batch, encoded: EncodedBatch, chain: Chain) -> None:
        """Decode what was loaded and put it to its place; straight there, where that can be."""
        if self._read_to_place(encoded, chain):
            return
        device, begin = self.device, self.device.timestamp()
        starts = self._destinations(batch) if chain.decodes_in_place(device) else None
        if starts is not None:
            chain.decode(encoded, device, EncodedBatch(self._bytes, starts, np.full(len(encoded), chain.spec.nbytes)))
            self.trace.add_time("decode", begin, device.timestamp())
            return
        if not device.gpu and len(batch.parts) == len(encoded) > 1 and _large(chain, device):
            self._decode_one_by_one(batch, encoded, chain)
            return
        decoded_batch = chain.decode(encoded, device)
        self.trace.add_time("decode", begin, decoded := device.timestamp())
        self._place(batch, decoded_batch)
        self.trace.add_time("place", decoded, device.timestamp())

    def _decode_one_by_one(self, batch: Batch, encoded: EncodedBatch, chain: Chain) -> None:
        """Large chunks of which each goes elsewhere, all through the same memory. "place" is not told from "decode"."""
        nbytes, begin, i = chain.spec.nbytes or 0, time.perf_counter(), 0
        memory = self.device.empty(nbytes)
        into = EncodedBatch(memory, np.zeros(1, np.int64), np.array([nbytes]))
        decoded_batch = memory.view(chain.spec.dtype).reshape(1, *chain.spec.shape)
        try:
            for i, part in enumerate(batch.parts):
                chain.decode(encoded.take(slice(i, i + 1)), self.device, into)
                part.place(decoded_batch, self.out, np)
        except CHUNK_FAULTS as error:
            error.index = i
            raise
        self.trace.add_time("decode", begin, time.perf_counter())

    def _destinations(self, batch: Batch) -> np.ndarray | None:
        """Where in the bytes of `out` each chunk of the batch begins, if each lies there in one piece."""
        if self._bytes is None:
            return None
        starts: list[np.ndarray] = []
        for part in batch.parts:
            if (begins := part.destination(self.out)) is None:
                return None
            starts.append(begins)
        return starts[0] if len(starts) == 1 else np.concatenate(starts)

    def _fill(self, batch: Batch, present: np.ndarray) -> Batch:
        """Put the fill value where chunks are missing; the batch of the others."""
        found: list[Part] = []
        for part, is_present in batch.split(present):
            if is_present.all():
                found.append(part)
            else:
                part.fill(self.out, self.source.layout.spec.fill_value, self.device.xp)
                found += part.present(is_present)
        return Batch(tuple(found))

    def _read_to_place(self, encoded: EncodedBatch, chain: Chain) -> bool:
        """Whether the chunks were read straight to where they belong, and are whole."""
        return encoded.data is self._bytes and _each(encoded.sizes, chain.spec.nbytes)

    def _fill_missing(self, loaded: Loaded) -> None:
        """Put the fill value where chunks are missing, and nowhere else: the others are there already."""
        for part, present in loaded.batch.split(loaded.present):
            for absent in part.present(~present):
                absent.fill(self.out, self.source.layout.spec.fill_value, self.device.xp)

    def _place(self, batch: Batch, decoded_batch: Any) -> None:
        first = 0
        for part in batch.parts:
            part.place(decoded_batch[first : first + len(part)], self.out, self.device.xp)
            first += len(part)

    def _blamed(self, error: CodecError | RangeError, coords: np.ndarray) -> ChunkError:
        """What to raise for an error with an index into `coords`: it is the fault of the chunk there."""
        source = self.source
        return source.layout.chunk_error(error, coords, source.store, source.path)


def _large(chain: Chain, device: Device) -> bool:
    return chain.decodes_in_place(device) and (chain.spec.nbytes or 0) >= LARGE


def _each(sizes: np.ndarray, nbytes: int | None) -> bool:
    """Whether all chunks have so many bytes."""
    return np.count_nonzero(sizes == nbytes) == len(sizes)
