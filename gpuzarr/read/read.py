"""The read path: selection -> parts -> waves; and of each wave: locate, read, decode, place."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol, cast

import numpy as np

from gpuzarr.batch import Slab, packed
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.pipeline import Settle
from gpuzarr.devices.trace import Record
from gpuzarr.errors import BAD, ChunkError, CodecError, RangeError, StoreError
from gpuzarr.gpu.place import place
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.grid import Part
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Indexes, Located, Locator
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read import estimate as stored
from gpuzarr.read.chunks import read_region
from gpuzarr.read.memory import Share
from gpuzarr.read.place import decoded, placeable
from gpuzarr.read.strategy import ALONE, Options, Wave, places, plan, together
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


def read(source: Source, selection: Outer | Points, out: Any, device: Device, options: Options, record: Record) -> None:
    """Fill `out`, an array of the device of shape `selection.shape`, with the elements selected."""
    if isinstance(selection, Points) and not out.flags.c_contiguous:  # its elements have no flat view
        flat = device.array(selection.shape, out.dtype)
        read(source, selection, flat, device, options, record)
        out[...] = flat
        return
    target = flipped(selection, out)
    if (
        not device.gpu
        and options.memory_limit is None
        and read_region(source.locator, ascending(selection), target, device, record)
    ):
        return
    sizes = stored.sizes(source.locator, source.store) if device.gpu else None
    planned = plan(source.layout, ascending(selection), device, options, sizes, target.flags.c_contiguous)
    record.limit, record.ahead = planned.limit, planned.ahead
    if device.gpu:
        record.share, record.stage = planned.room, planned.stage
    gds, record.io = choose(source.store, device, planned, options)
    if planned.waves:  # the record is kept longer than the waves
        record.codecs = partial(places, planned.shares[planned.waves[0].chunk_shape].chain, device)
    reader = Reader(source, target, device, gds, planned.shares, record)
    device.run(reader.load, reader.finish, planned.waves, record)


@dataclass(frozen=True)
class Loaded:
    """A wave with its encoded bytes. `slab` has the chunks that are there."""

    wave: Wave
    chain: Chain
    slab: Slab
    there: np.ndarray

    @property
    def complete(self) -> bool:
        """Whether no chunk is missing."""
        return np.count_nonzero(self.there) == len(self.there)

    @property
    def coords(self) -> np.ndarray:
        """Of the chunks that are there."""
        return self.wave.coords[self.there]

    def pieces(self, n: int) -> list[Loaded]:
        """The same in about `n` pieces; whole, if it is too little for more than one thread."""
        count = len(self.there)
        if n < 2 or count < 2 or count * (self.chain.spec.nbytes or ALONE) <= ALONE:
            return [self]
        most = -(-count // n)
        pieces, first, read = [], 0, 0
        for wave in together(self.wave.parts, most):
            there = self.there[first : first + len(wave)]
            present = int(np.count_nonzero(there))
            pieces.append(Loaded(wave, self.chain, self.slab.take(slice(read, read + present)), there))
            first, read = first + len(there), read + present
        return pieces


class TooLargeError(Exception):
    """The chunks of a wave are stored in more bytes than it may load; it has several, so it can be read in parts."""


@dataclass(frozen=True)
class Reader:
    """Reads the waves of one selection into `out`."""

    source: Source
    out: Any
    device: Device
    gds: bool
    shares: dict[tuple[int, ...], Share]
    record: Record

    @cached_property
    def _memo(self) -> Indexes:
        return {}

    @cached_property
    def _bytes(self) -> Any:
        """The bytes of `out`, if chunks may be decoded straight to where they belong."""
        spec = self.source.layout.spec
        fits = self.out.flags.c_contiguous and self.out.dtype == spec.dtype and spec.nbytes is not None
        return self.out.reshape(-1).view(np.uint8) if fits else None

    def load(self, wave: Wave) -> Loaded | Wave:
        """The encoded chunks of a wave, in host memory; the wave itself, where they are too large to come at once."""
        begin = time.perf_counter()
        try:
            return self._read(wave)
        except TooLargeError:
            return wave
        finally:
            self.record.mark("storage", begin, time.perf_counter())

    def _read(self, wave: Wave) -> Loaded:
        for _ in range(TRIES):
            try:
                located = self.source.locator.locate(wave.coords, self._memo)
            except BAD as error:
                raise self._blamed(error, wave.coords) from error
            loaded = self._load(wave, located)
            if not self.source.locator.moved(located):
                return loaded
        raise StoreError(f"{located.ranges.keys[0]!r} of {self.source.store!r} is replaced faster than it can be read")

    def _load(self, wave: Wave, located: Located) -> Loaded:
        chain = self.shares[wave.chunk_shape].chain
        there = located.there
        starts = self._destinations(wave) if chain.raw and not self.device.gpu else None
        if np.count_nonzero(there) < len(there):
            located, starts = located.take(np.flatnonzero(there)), None

        def place(sizes: np.ndarray) -> Slab:
            if starts is not None and len(sizes) == len(starts):
                fits = (sizes == chain.spec.nbytes) | (sizes == 0)
                if np.count_nonzero(fits) == len(sizes):
                    return Slab(self._bytes, starts, sizes)  # raw chunks, straight to where they belong
            self._check_size(wave, sizes)
            return self.device.stage(sizes)

        try:
            if self.gds:
                slab = gds_read(cast(LocalStore, self.source.store), located.ranges, partial(self._land, wave))
            else:
                slab = self.source.store.read(located.ranges, place, self.device.readers)
        except BAD as error:
            raise self._blamed(error, wave.coords[there]) from error
        if np.count_nonzero(gone := slab.sizes == MISSING):
            there = there.copy()
            there[np.flatnonzero(there)[gone]] = False
            slab = slab.take(~gone)
        self.record.count(chunks=len(slab), stored=int(np.add.reduce(slab.sizes)))
        if self.device.gpu and not self.gds:
            try:
                chain, slab = chain.verified(slab)
            except BAD as error:
                raise self._blamed(error, wave.coords[there]) from error
        return Loaded(wave, chain, slab, there)

    def _check_size(self, wave: Wave, sizes: np.ndarray) -> None:
        if self.device.gpu and len(wave.coords) > 1 and packed(sizes)[2] > self.shares[wave.chunk_shape].stored:
            raise TooLargeError

    def _land(self, wave: Wave, sizes: np.ndarray) -> Slab:
        self._check_size(wave, sizes)
        return self.device.land(sizes)

    def _in_parts(self, wave: Wave) -> None:
        """A wave whose chunks are too large to come at once: half of it after the other, by this thread alone."""
        for half in wave.halves():
            again = self.load(half)
            settle = self.finish(again)
            if settle:
                settle()
            self.device.settled()

    def finish(self, loaded: Loaded | Wave) -> Settle | None:
        """Put the chunks of a wave, decoded, to their place in `out`; what is returned tells whether that went well."""
        if isinstance(loaded, Wave):
            self._in_parts(loaded)
            return None
        try:
            if placeable(loaded.wave.parts, loaded.chain, self.out, self.device):
                self._finish_on_gpu(loaded)
            else:
                self._finish_by_assignment(loaded)
        except BAD as error:
            raise self._blamed(error, loaded.coords) from error
        settle = self.device.checked()
        return partial(self._settle, loaded, settle) if settle else None

    def _finish_on_gpu(self, loaded: Loaded) -> None:
        """One launch places and fills; where chunks are decoded straight to their place, it only fills."""
        parts, there, slab, chain = loaded.wave.parts, loaded.there, loaded.slab, loaded.chain
        device, begin = self.device, self.device.mark()
        starts = self._destinations(loaded.wave) if len(slab) and chain.direct(device) else None
        if starts is None:
            chunks = decoded(slab, chain, device, parts, there, self.out) if len(slab) else None
        else:
            chunks = None
            chain.decode(slab, device, Slab(self._bytes, starts[there], np.full(len(slab), chain.spec.nbytes)))
        self.record.mark("decode", begin, done := device.mark())
        if starts is None or not loaded.complete:
            place(device, cast(Any, parts), there, chunks, self.out, chain.spec.fill_value)
            self.record.mark("place", done, device.mark())

    def _finish_by_assignment(self, loaded: Loaded) -> None:
        if self._read_to_place(loaded.slab, loaded.chain) and not loaded.complete:
            return self._fill_missing(loaded)
        wave = loaded.wave if loaded.complete else self._fill(loaded.wave, loaded.there)
        if len(loaded.slab):
            self._decode(wave, loaded.slab, loaded.chain)

    def _settle(self, loaded: Loaded, settle: Settle) -> None:
        """`loaded` is held until now: the device may still read it."""
        try:
            settle()
        except BAD as error:
            raise self._blamed(error, loaded.coords) from error

    def _decode(self, wave: Wave, slab: Slab, chain: Chain) -> None:
        """Decode what was loaded and put it to its place; straight there, where that can be."""
        if self._read_to_place(slab, chain):
            return
        device, begin = self.device, self.device.mark()
        starts = self._destinations(wave) if chain.direct(device) else None
        if starts is not None:
            chain.decode(slab, device, Slab(self._bytes, starts, np.full(len(slab), chain.spec.nbytes)))
            self.record.mark("decode", begin, device.mark())
            return
        if not device.gpu and len(wave.parts) == len(slab) > 1 and _large(chain, device):
            self._decode_one_by_one(wave, slab, chain)
            return
        batch = chain.decode(slab, device)
        self.record.mark("decode", begin, decoded := device.mark())
        self._place(wave, batch)
        self.record.mark("place", decoded, device.mark())

    def _decode_one_by_one(self, wave: Wave, slab: Slab, chain: Chain) -> None:
        """Large chunks of which each goes elsewhere, all through the same memory. "place" is not told from "decode"."""
        nbytes, begin, i = chain.spec.nbytes or 0, time.perf_counter(), 0
        memory = self.device.empty(nbytes)
        into = Slab(memory, np.zeros(1, np.int64), np.array([nbytes]))
        batch = memory.view(chain.spec.dtype).reshape(1, *chain.spec.shape)
        try:
            for i, part in enumerate(wave.parts):
                chain.decode(slab.take(slice(i, i + 1)), self.device, into)
                part.place(batch, self.out, np)
        except BAD as error:
            error.index = i
            raise
        self.record.mark("decode", begin, time.perf_counter())

    def _destinations(self, wave: Wave) -> np.ndarray | None:
        """Where in the bytes of `out` each chunk of the wave begins, if each lies there in one piece."""
        if self._bytes is None:
            return None
        starts: list[np.ndarray] = []
        for part in wave.parts:
            if (begins := part.destination(self.out)) is None:
                return None
            starts.append(begins)
        return starts[0] if len(starts) == 1 else np.concatenate(starts)

    def _fill(self, wave: Wave, there: np.ndarray) -> Wave:
        """Put the fill value where chunks are missing; the wave of the others."""
        found: list[Part] = []
        for part, is_there in wave.split(there):
            if is_there.all():
                found.append(part)
            else:
                part.fill(self.out, self.source.layout.spec.fill_value, self.device.xp)
                found += part.present(is_there)
        return Wave(tuple(found))

    def _read_to_place(self, slab: Slab, chain: Chain) -> bool:
        """Whether the chunks were read straight to where they belong, and are whole."""
        return slab.data is self._bytes and _each(slab.sizes, chain.spec.nbytes)

    def _fill_missing(self, loaded: Loaded) -> None:
        """Put the fill value where chunks are missing, and nowhere else: the others are there already."""
        for part, there in loaded.wave.split(loaded.there):
            for missing in part.present(~there):
                missing.fill(self.out, self.source.layout.spec.fill_value, self.device.xp)

    def _place(self, wave: Wave, batch: Any) -> None:
        first = 0
        for part in wave.parts:
            part.place(batch[first : first + len(part)], self.out, self.device.xp)
            first += len(part)

    def _blamed(self, error: CodecError | RangeError, coords: np.ndarray) -> ChunkError:
        """What to raise for an error with an index into `coords`: it is the fault of the chunk there."""
        source = self.source
        return source.layout.chunk_error(error, coords, source.store, source.path)


def _large(chain: Chain, device: Device) -> bool:
    return chain.direct(device) and (chain.spec.nbytes or 0) >= LARGE


def _each(sizes: np.ndarray, nbytes: int | None) -> bool:
    """Whether all chunks have so many bytes."""
    return np.count_nonzero(sizes == nbytes) == len(sizes)
