"""The read path: selection -> parts -> waves; and of each wave: locate, read, decode, place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from math import prod
from typing import Any, Protocol

import numpy as np

from gpuzarr.batch import Slab
from gpuzarr.chain import Chain
from gpuzarr.devices import Device
from gpuzarr.devices.waves import Settle
from gpuzarr.errors import ChunkError, CodecError, RangeError, StoreError
from gpuzarr.grid import Part, parts
from gpuzarr.layout import Layout
from gpuzarr.locate import Indexes, Located, Locator
from gpuzarr.selection import Outer, Points
from gpuzarr.stores import MISSING, Store

TRIES = 5  # to read shards that somebody replaces meanwhile
ALONE = 1 << 18  # decoded bytes that are not worth a second thread


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
    @property
    def fill_value(self) -> Any: ...


@dataclass(frozen=True)
class Wave:
    """Chunks that are read, decoded and placed together; all of one shape."""

    parts: tuple[Part, ...]

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.parts[0].chunk_shape

    @cached_property
    def coords(self) -> np.ndarray:
        """Coordinates of the innermost chunks, int64 (n, ndim)."""
        return self.parts[0].coords if len(self.parts) == 1 else np.concatenate([part.coords for part in self.parts])

    def split(self, there: np.ndarray) -> Iterator[tuple[Part, np.ndarray]]:
        """Each part, with its share of an array that has an entry a chunk."""
        first = 0
        for part in self.parts:
            yield part, there[first : first + len(part)]
            first += len(part)


def read(source: Source, selection: Outer | Points, out: Any, device: Device) -> None:
    """Fill `out`, an array of the device of shape `selection.shape`, with the elements selected."""
    if isinstance(selection, Points) and not out.flags.c_contiguous:  # its elements have no flat view
        flat = device.xp.empty(selection.shape, out.dtype)
        read(source, selection, flat, device)
        out[...] = flat
        return
    target = _target(selection, out)
    selection = _forward(selection)
    reader = Reader(source, target, device)
    device.run(reader.load, reader.finish, waves(source.layout, selection, device))


def waves(layout: Layout, selection: Outer | Points, device: Device) -> list[Wave]:
    """The waves of a selection whose ranges run forward.

    On a CPU a wave is the few chunks that stay in its cache, on a GPU it is many.
    """
    found = list(parts(selection, layout.axes, layout.per_object if layout.levels else (0,) * len(layout.axes)))
    total = sum(map(len, found))
    packed: list[Wave] = []
    for shape, alike in groupby(found, key=lambda part: part.chunk_shape):
        most = _most(layout, shape, total, device)
        packed += together((piece for part in alike for piece in part.split(most)), most)
    return packed


def together(pieces: Iterable[Part], most: int) -> Iterator[Wave]:
    """Waves of at most `most` chunks, in order. No piece has more."""
    wave: list[Part] = []
    chunks = 0
    for piece in pieces:
        if wave and chunks + len(piece) > most:
            yield Wave(tuple(wave))
            wave, chunks = [], 0
        wave.append(piece)
        chunks += len(piece)
    if wave:
        yield Wave(tuple(wave))


def _most(layout: Layout, chunk_shape: tuple[int, ...], total: int, device: Device) -> int:
    """Chunks a wave: within the device's budget, and for a longer read enough waves to keep its threads busy."""
    chunk = prod(chunk_shape) * max(layout.spec.dtype.itemsize, 1)
    most = max(1, device.wave_bytes // max(chunk, 1))
    return most if total <= most else max(1, min(most, -(-total // device.threads)))


def _target(selection: Outer | Points, out: Any) -> Any:
    """`out` with an axis for each axis of the array, seen so that every range runs forward; points: flat."""
    if isinstance(selection, Points):
        return out.reshape(-1)
    out = out[(*(None if axis in selection.squeeze else slice(None) for axis in range(len(selection.axes))), ...)]
    return out[(*(slice(None, None, -1) if _backward(index) else slice(None) for index in selection.axes), ...)]


def _forward(selection: Outer | Points) -> Outer | Points:
    if isinstance(selection, Points):
        return selection
    return Outer(tuple(index[::-1] if _backward(index) else index for index in selection.axes), selection.squeeze)


def _backward(index: range | np.ndarray) -> bool:
    return isinstance(index, range) and index.step < 0


@dataclass(frozen=True)
class Loaded:
    """A wave with its encoded bytes. `slab` has the chunks that are there."""

    wave: Wave
    chain: Chain
    slab: Slab
    there: np.ndarray

    def split(self, n: int) -> list[Loaded]:
        """The same in about `n` pieces; whole, if it is too little for more than one thread."""
        count = len(self.there)
        if n < 2 or count < 2 or count * (self.chain.spec.nbytes or ALONE) <= ALONE:
            return [self]
        most = -(-count // n)
        pieces, first, read = [], 0, 0
        for wave in together((piece for part in self.wave.parts for piece in part.split(most)), most):
            there = self.there[first : first + len(wave.coords)]
            present = int(there.sum())
            pieces.append(Loaded(wave, self.chain, self.slab.take(slice(read, read + present)), there))
            first, read = first + len(there), read + present
        return pieces


@dataclass(frozen=True)
class Reader:
    """Reads the waves of one selection into `out`."""

    source: Source
    out: Any
    device: Device

    @cached_property
    def _memo(self) -> Indexes:
        return {}

    @cached_property
    def _bytes(self) -> Any:
        """The bytes of `out`, if chunks may be decoded straight to where they belong."""
        spec = self.source.layout.spec
        fits = self.out.flags.c_contiguous and self.out.dtype == spec.dtype and spec.nbytes is not None
        return self.out.reshape(-1).view(np.uint8) if fits else None

    def load(self, wave: Wave) -> Loaded:
        """The encoded chunks of a wave, in host memory."""
        for _ in range(TRIES):
            with self._blame(wave.coords):
                located = self.source.locator.locate(wave.coords, self._memo)
            loaded = self._load(wave, located)
            if not self.source.locator.moved(located):
                return loaded
        raise StoreError(f"{located.ranges.keys[0]!r} of {self.source.store!r} is replaced faster than it can be read")

    def _load(self, wave: Wave, located: Located) -> Loaded:
        chain = self.source.layout.chain(wave.chunk_shape)
        there = located.there
        starts = self._destinations(wave) if chain.raw and not self.device.gpu else None
        if not there.all():
            located, starts = located.take(np.flatnonzero(there)), None

        def place(sizes: np.ndarray) -> Slab:
            fits = ((sizes == chain.spec.nbytes) | (sizes == 0)).all()
            if starts is not None and fits and len(sizes) == len(starts):
                return Slab(self._bytes, starts, sizes)  # raw chunks, straight to where they belong
            return self.device.stage(sizes)

        with self._blame(wave.coords[there]):
            slab = self.source.store.read(located.ranges, place, self.device.readers)
        if (gone := slab.sizes == MISSING).any():
            there = there.copy()
            there[np.flatnonzero(there)[gone]] = False
            slab = slab.take(~gone)
        return Loaded(wave, chain, slab, there)

    def finish(self, loaded: Loaded) -> Settle | None:
        """Put the chunks of a wave, decoded, to their place in `out`; what is returned tells whether that went well."""
        wave, slab = loaded.wave, loaded.slab
        if not loaded.there.all():
            wave = self._fill(wave, loaded.there)
        if not len(slab):
            return None
        with self._blame(wave.coords):
            self._decode(wave, slab, loaded.chain)
        settle = self.device.checked()
        return partial(self._settle, loaded, wave.coords, settle) if settle else None

    def _settle(self, loaded: Loaded, coords: np.ndarray, settle: Settle) -> None:
        """`loaded` is only held: the device may still read it."""
        with self._blame(coords):
            settle()

    def _decode(self, wave: Wave, slab: Slab, chain: Chain) -> None:
        """Decode what was loaded and put it to its place; straight there, where that can be."""
        if slab.data is self._bytes and (slab.sizes == chain.spec.nbytes).all():
            return
        starts = self._destinations(wave) if chain.direct(self.device) else None
        if starts is not None:
            chain.decode(slab, self.device, Slab(self._bytes, starts, np.full(len(slab), chain.spec.nbytes)))
        else:
            self._place(wave, chain.decode(slab, self.device))

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

    def _place(self, wave: Wave, batch: Any) -> None:
        first = 0
        for part in wave.parts:
            part.place(batch[first : first + len(part)], self.out, self.device.xp)
            first += len(part)

    @contextmanager
    def _blame(self, coords: np.ndarray) -> Iterator[None]:
        """What goes wrong inside, with an index into `coords`, is the fault of the chunk there."""
        try:
            yield
        except (CodecError, RangeError) as error:
            source, index = self.source, error.index
            chunk = tuple(coords[0 if index is None else index].tolist())
            codec = getattr(error, "codec", "") or "none"
            key, store = source.layout.key(chunk), repr(source.store)
            raise ChunkError(str(error), store=store, array=source.path, chunk=chunk, key=key, codec=codec) from error
