"""The write path: selection -> parts -> units -> waves; and of each wave: gather, encode, store.

A unit is an object of the store: a chunk, or a shard. Units that the selection covers (up to the end of the array)
are written without a look at what was there. Those that it covers in part are read, changed and written, under
their locks: the single place where writing reads, and there, of a shard, only what must change is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import Slab
from gpuzarr.blank import blank
from gpuzarr.devices import Device
from gpuzarr.devices.host import HOST
from gpuzarr.errors import ChunkError, CodecError, RangeError
from gpuzarr.gpu.empty import only_fill
from gpuzarr.grid import Part, distinct, parts
from gpuzarr.layout import Layout
from gpuzarr.locate import Locator
from gpuzarr.plan import facing, forward
from gpuzarr.selection import Outer, Points
from gpuzarr.shards import Shard
from gpuzarr.stores import MISSING, Store

BUNDLE = 64  # partly covered chunks whose locks are held at once
SHARDS = 8  # the same of shards
CACHED = 8 << 20  # bytes of a wave on a CPU: smaller ones take more Python, larger ones leave threads without work
NOTHING = Slab(np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Target:
    """Where is written. `safe`: lock what is covered in part. `empty`: also store chunks of nothing but fill value."""

    store: Store
    path: str
    layout: Layout
    safe: bool = True
    empty: bool = False


@dataclass(frozen=True)
class Wave:
    """Chunks of one shape that are gathered, encoded and stored together. `shards`: of each part, if there are any."""

    parts: tuple[Part, ...]
    shards: tuple[Shard | None, ...]
    covered: bool

    @cached_property
    def coords(self) -> np.ndarray:
        """Coordinates of the innermost chunks, int64 (n, ndim)."""
        return np.concatenate([part.coords for part in self.parts])

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.parts[0].chunk_shape

    def rows(self) -> Iterator[tuple[Part, Shard | None, slice]]:
        """Each part, its shard, and its chunks' place in the wave."""
        first = 0
        for part, shard in zip(self.parts, self.shards, strict=True):
            yield part, shard, slice(first, first + len(part))
            first += len(part)


def write(target: Target, selection: Outer | Points, value: Any, device: Device) -> None:
    """Write `value`, an array of the device that broadcasts to `selection.shape`, to the elements selected."""
    layout = target.layout if len(target.layout.levels) < 2 else target.layout.outer
    value = facing(selection, device.xp.broadcast_to(value, selection.shape))
    selection = forward(selection)
    together = layout.per_object if layout.levels else (0,) * len(layout.axes)
    found = list(parts(selection, layout.axes, together))
    writing = Writing(target, layout, value, device)
    if layout.levels:
        writing.shards(found)
    else:
        writing.chunks(found)


@dataclass(frozen=True)
class Loaded:
    """A wave; where chunks are covered in part, with the old ones, encoded: `slab` has those that are there."""

    wave: Wave
    slab: Slab | None = None
    there: np.ndarray | None = None

    def pieces(self, n: int) -> list[Loaded]:
        """Whole: a write has its waves for all threads made before."""
        return [self]


@dataclass(frozen=True)
class Writing:
    """Writes one value to one selection."""

    target: Target
    layout: Layout
    value: Any
    device: Device

    # the units

    def chunks(self, found: Sequence[Part]) -> None:
        """Every chunk is an object."""
        covered = [(part, None) for part in found if part.covers(self.layout.axes)]
        self._run(self._waves(covered, True))
        partly = [part for part in found if not part.covers(self.layout.axes)]
        for bundle in _bundles(partly):
            keys = self.layout.keys(np.concatenate([part.coords for part in bundle]))
            with self._locked(keys):
                self._run(self._waves([(part, None) for part in bundle], False))

    def shards(self, found: Sequence[Part]) -> None:
        """Every shard is an object; its inner chunks go into it as they are encoded."""
        units = self._units(found)
        covered = [self._covered(coords, some) for coords, some in units.items()]
        whole = [self._open(some, False) for some, is_whole in zip(units.values(), covered, strict=True) if is_whole]
        try:
            self._run(self._waves([(part, shard) for some, shard in whole for part in some], True))
        finally:
            for _, shard in whole:
                shard.abort()  # does nothing where it is closed
        partly = [some for some, is_whole in zip(units.values(), covered, strict=True) if not is_whole]
        for first in range(0, len(partly), SHARDS):
            self._change(partly[first : first + SHARDS])

    def _units(self, found: Iterable[Part]) -> dict[tuple[int, ...], list[Part]]:
        """The parts of each shard."""
        units: dict[tuple[int, ...], list[Part]] = {}
        per_object = np.asarray(self.layout.per_object, np.int64)
        for part in found:
            shards, which = distinct(part.coords // per_object, self.layout.grid(0))
            for i, shard in enumerate(shards.tolist()):
                units.setdefault(tuple(shard), []).extend([part] if len(shards) == 1 else part.present(which == i))
        return units

    def _covered(self, coords: tuple[int, ...], some: Sequence[Part]) -> bool:
        """Whether all that a shard has within the array is covered."""
        sides = zip(self.layout.axes, self.layout.per_object, coords, strict=True)
        within = prod(min(n, axis.count - i * n) for axis, n, i in sides)
        return sum(map(len, some)) == within and all(part.covers(self.layout.axes) for part in some)

    def _open(self, some: Sequence[Part], changed: bool) -> tuple[Sequence[Part], Shard]:
        key = self.layout.key(some[0].coords[0].tolist())
        return some, Shard(self.target.store, self.layout, key, sum(map(len, some)), changed)

    def _change(self, units: Sequence[Sequence[Part]]) -> None:
        """Shards that are covered in part: what is not touched is copied as it is stored."""
        opened = [self._open(some, True) for some in units]
        with self._locked([shard.key for _, shard in opened]):
            try:
                HOST.each(self._keep, opened)
                for is_covered in (True, False):
                    pairs = [(part, shard) for some, shard in opened for part in some]
                    right = [pair for pair in pairs if pair[0].covers(self.layout.axes) == is_covered]
                    self._run(self._waves(right, is_covered))
            finally:
                for _, shard in opened:
                    shard.abort()

    def _keep(self, opened: tuple[Sequence[Part], Shard]) -> None:
        """Take over the chunks of a shard that its parts do not touch."""
        some, shard = opened
        touched = np.concatenate([part.coords for part in some])
        per_object = np.asarray(self.layout.per_object, np.int64)
        inside = np.stack(np.unravel_index(np.arange(prod(per_object.tolist())), self.layout.per_object), axis=1)
        coords = touched[0] // per_object * per_object + np.delete(inside, shard.numbers(touched), axis=0)
        with self._blame(coords if len(coords) else touched):
            located = Locator(self.layout, self.target.store).locate(coords, {}) if len(coords) else None
            if located is not None and located.there.any():
                there = np.flatnonzero(located.there)
                shard.keep(located.take(there), shard.numbers(coords[there]))

    def _locked(self, keys: Sequence[str]) -> Any:
        return self.target.store.locked(keys) if self.target.safe else nullcontext()

    # the waves

    def _waves(self, pairs: Sequence[tuple[Part, Shard | None]], covered: bool) -> list[Wave]:
        """Waves within the device's budget, and enough of them to keep its threads busy."""
        total = sum(len(part) for part, _ in pairs)
        packed: list[Wave] = []
        small: list[tuple[Part, Shard | None]] = []
        for part, shard in pairs:
            chunk = prod(part.chunk_shape) * max(self.layout.spec.dtype.itemsize, 1)
            most = max(1, min(self._budget // max(chunk, 1), -(-total // self.device.threads)))
            for piece in part.split(most):
                if small and (small[0][0].chunk_shape != piece.chunk_shape or _count(small) + len(piece) > most):
                    packed.append(_wave(small, covered))
                    small = []
                small.append((piece, shard))
        return [*packed, _wave(small, covered)] if small else packed

    @property
    def _budget(self) -> int:
        """Bytes of a wave. On a CPU what is gathered is encoded and written while it is in a cache."""
        return self.device.wave_bytes if self.device.gpu else min(self.device.wave_bytes, CACHED)

    def _run(self, waves: Sequence[Wave]) -> None:
        self.device.run(self.load, self.finish, waves)

    def load(self, wave: Wave) -> Loaded:
        """The old chunks of a wave that covers them in part, in host memory."""
        if wave.covered:
            return Loaded(wave)
        with self._blame(wave.coords):
            located = Locator(self.layout, self.target.store).locate(wave.coords, {})
            there = located.there.copy()
            slab = self.target.store.read(located.take(np.flatnonzero(there)).ranges, self.device.stage)
        there[np.flatnonzero(there)[slab.sizes == MISSING]] = False
        return Loaded(wave, slab.take(slab.sizes != MISSING), there)

    def finish(self, loaded: Loaded) -> None:
        """Put the new elements into the chunks of a wave, encode and store them."""
        wave, chain = loaded.wave, self.layout.chain(loaded.wave.chunk_shape)
        with self._blame(wave.coords):
            batch = self._batch(loaded)
            for part, _, rows in wave.rows():
                part.gather(self.value, batch[rows], self.device.xp)
        stored = ~self._blank(batch)
        kept = batch if stored.all() else batch[self.device.xp.asarray(np.flatnonzero(stored))]
        with self._blame(wave.coords[stored]):
            slab = chain.encode(kept, self.device) if len(kept) else NOTHING
        self._store(wave, slab, stored)

    def _batch(self, loaded: Loaded) -> Any:
        """Memory for the chunks of a wave, with what the value will not fill."""
        wave, spec, xp = loaded.wave, self.layout.chain(loaded.wave.chunk_shape).spec, self.device.xp
        shape = (len(wave.coords), *spec.shape)
        if spec.nbytes is None:
            batch = xp.empty(shape, spec.dtype)
        else:
            batch = self.device.empty(shape[0] * spec.nbytes).view(spec.dtype).reshape(shape)
        if loaded.there is None:
            for part, _, rows in wave.rows():
                if not part.whole:
                    batch[rows] = spec.fill_value
            return batch
        if not loaded.there.all():
            batch[...] = spec.fill_value
        if loaded.slab is not None and len(loaded.slab):
            old = self.layout.chain(wave.chunk_shape).decode(loaded.slab, self.device)
            if settle := self.device.checked():
                settle()
            batch[xp.asarray(np.flatnonzero(loaded.there))] = old
        return batch

    def _blank(self, batch: Any) -> np.ndarray:
        if self.target.empty:
            return np.zeros(len(batch), bool)
        fill = self.layout.spec.fill_value
        if self.device.gpu and fill is not None:
            return only_fill(batch, fill, self.device)
        return blank(batch, fill)

    def _store(self, wave: Wave, slab: Slab, stored: np.ndarray) -> None:
        """`slab` has the chunks of the wave that are `stored`; the others are deleted."""
        if wave.shards[0] is None:
            keys = np.array(self.layout.keys(wave.coords), object)
            self.target.store.write(keys[stored].tolist(), slab, not wave.covered)
            self.target.store.delete(keys[~stored].tolist())
            return
        place = np.cumsum(stored) - stored
        for part, shard, rows in wave.rows():
            if shard is not None:
                which = np.flatnonzero(stored[rows])
                some = slab.take(place[rows][which])
                shard.add(shard.numbers(part.coords[which]), some, len(part))

    @contextmanager
    def _blame(self, coords: np.ndarray) -> Iterator[None]:
        """What goes wrong inside, with an index into `coords`, is the fault of the chunk there."""
        try:
            yield
        except (CodecError, RangeError) as error:
            chunk = tuple(coords[0 if error.index is None else error.index].tolist())
            codec, store = getattr(error, "codec", "") or "none", repr(self.target.store)
            array, key = self.target.path, self.layout.key(chunk)
            raise ChunkError(str(error), store=store, array=array, chunk=chunk, key=key, codec=codec) from error


def _bundles(partly: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts with few chunks together."""
    bundle: list[Part] = []
    for part in partly:
        for piece in part.split(BUNDLE):
            if bundle and sum(map(len, bundle)) + len(piece) > BUNDLE:
                yield bundle
                bundle = []
            bundle.append(piece)
    if bundle:
        yield bundle


def _wave(pairs: Sequence[tuple[Part, Shard | None]], covered: bool) -> Wave:
    return Wave(tuple(part for part, _ in pairs), tuple(shard for _, shard in pairs), covered)


def _count(pairs: Sequence[tuple[Part, Shard | None]]) -> int:
    return sum(len(part) for part, _ in pairs)
