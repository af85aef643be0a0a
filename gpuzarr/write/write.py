"""The write path: selection -> parts -> units -> waves; and of each wave: load, gather, encode, settle, store.

A unit is an object of the store: a chunk, or a shard. Units that the selection covers (up to the end of the array)
are written without a look at what was there. Those that it covers in part are read, changed and written, under
their locks: the single place where writing reads, and there, of a shard, only what must change is decoded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import Slab
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import HOST
from gpuzarr.devices.pipeline import Halves, Settle
from gpuzarr.devices.trace import Record
from gpuzarr.empty_chunk import blank
from gpuzarr.errors import BAD
from gpuzarr.gpu.empty import only_fill
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.grid import Part, parts
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Locator
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.stores.contract import MISSING
from gpuzarr.write import strategy
from gpuzarr.write.chunks import fits, write_cached
from gpuzarr.write.memory import WriteShare, chunks_a_wave, write_share
from gpuzarr.write.open_shards import OpenShards, Units
from gpuzarr.write.shards import Shard
from gpuzarr.write.strategy import NOTHING, Gathered, Loaded, Target, Wave, count, wave_of

WAVE = 4 << 20  # bytes of a wave on a CPU: smaller ones take more Python, larger ones leave threads without work


def write(
    target: Target,
    selection: Outer | Points,
    value: Any,
    device: Device,
    limit: int | None = None,
    record: Record | None = None,
    opened: OpenShards | None = None,
) -> None:
    """Write `value`, an array of the device that broadcasts to `selection.shape`, to the elements selected.

    `limit`: bytes that may be held beyond the value, of a GPU; None: as many as the device thinks right. `opened`:
    shards that are filled by several writes.
    """
    value = flipped(selection, device.xp.broadcast_to(value, selection.shape))
    writing = replace(Writing.of(target, value, device, limit, record), opened=opened)
    found = writing.parts(selection)
    if found:
        writing.record.codecs = partial(strategy.places, writing.layout.chain(found[0].chunk_shape), device)
    if writing.layout.levels:
        writing.shards(strategy.units(found, writing.layout))
    else:
        writing.chunks(found)


def settle(target: Target, opened: OpenShards) -> None:
    """Close all open shards."""
    opened.close(Writing.of(target, None, HOST, None))


@dataclass(frozen=True)
class Writing:
    """Writes one value to one selection. `limit` and `opened`: see `write`."""

    target: Target
    layout: Layout
    value: Any
    device: Device
    limit: int
    record: Record = field(default_factory=Record)
    opened: OpenShards | None = None

    @classmethod
    def of(cls, target: Target, value: Any, device: Device, limit: int | None, record: Record | None = None) -> Writing:
        if limit is None:
            limit = device.write_limit if device.gpu else device.memory_limit
        return cls(target, target.written, value, device, limit, record or Record())

    def parts(self, selection: Outer | Points) -> list[Part]:
        together = self.layout.per_object if self.layout.levels else (0,) * len(self.layout.axes)
        return list(parts(ascending(selection), self.layout.axes, together))

    # the units

    def chunks(self, found: Sequence[Part]) -> None:
        """Every chunk is an object."""
        is_covered = [part.covers(self.layout.axes) for part in found]
        covered = [part for part, yes in zip(found, is_covered, strict=True) if yes]
        partly = [part for part, yes in zip(found, is_covered, strict=True) if not yes]
        self._count_units(sum(map(len, covered)), sum(map(len, partly)))
        if covered:
            self.run(self.waves([(part, None) for part in covered], True))
        for bundle in strategy.bundles(partly):
            keys = self.layout.keys(np.concatenate([part.coords for part in bundle]))
            with self.locked(keys):
                self.run(self.waves([(part, None) for part in bundle], False))

    def shards(self, found: Units) -> None:
        """Every shard is an object; its inner chunks go into it as they are encoded."""
        if self.opened is not None:
            found = self.opened.fill(self, found)
        covered = [self.covered(*unit) for unit in found.items()]
        self._count_units(sum(covered), len(covered) - sum(covered))
        whole = [(some, self.shard(some)) for some, yes in zip(found.values(), covered, strict=True) if yes]
        try:
            self.run(self.waves([(part, shard) for some, shard in whole for part in some], True))
        finally:
            for _, shard in whole:
                shard.abort()  # does nothing where it is closed
        partly = [some for some, yes in zip(found.values(), covered, strict=True) if not yes]
        for group in strategy.groups(partly):
            self._change(group)

    def _count_units(self, whole: int, partly: int) -> None:
        self.record.count(whole=whole, partly=partly, locks=partly if self.target.safe else 0)

    def within(self, coords: tuple[int, ...]) -> int:
        """Inner chunks that a shard has within the array."""
        sides = zip(self.layout.axes, self.layout.per_object, coords, strict=True)
        return prod(min(n, axis.count - i * n) for axis, n, i in sides)

    def covered(self, coords: tuple[int, ...], some: Sequence[Part]) -> bool:
        """Whether all that a shard has within the array is covered."""
        return sum(map(len, some)) == self.within(coords) and all(part.covers(self.layout.axes) for part in some)

    def shard(self, some: Sequence[Part], left: int | None = None) -> Shard:
        """The shard of these parts, which touch it; `left` inner chunks (default: theirs) are to come."""
        coords = np.concatenate([part.coords for part in some])
        shard = Shard(self.target.store, self.layout, coords[0], len(coords) if left is None else left)
        shard.touched[shard.numbers(coords)] = True
        return shard

    def _change(self, units: Sequence[Sequence[Part]]) -> None:
        """Shards that are covered in part: what is not touched is copied as it is stored."""
        opened = [(some, self.shard(some)) for some in units]
        with self.locked([shard.key for _, shard in opened]):
            try:
                HOST.each(self.keep, [shard for _, shard in opened])
                for is_covered in (True, False):
                    pairs = [(part, shard) for some, shard in opened for part in some]
                    right = [pair for pair in pairs if pair[0].covers(self.layout.axes) == is_covered]
                    self.run(self.waves(right, is_covered))
            finally:
                for _, shard in opened:
                    shard.abort()

    def settle(self, shards: Sequence[Shard]) -> None:
        """Close shards of which some inner chunks did not come: these stay what they are in the store."""
        latest = replace(self)  # knows no index yet
        with self.locked([shard.key for shard in shards]):
            try:
                HOST.each(latest.keep, shards)
                for shard in shards:
                    shard.close()
            finally:
                for shard in shards:
                    shard.abort()

    def keep(self, shard: Shard) -> None:
        """Take over the chunks of the shard in the store that are not touched."""
        coords = shard.untouched()
        if not len(coords):
            return
        with self._blame(coords):
            located = self._locator.locate(coords, {})
            if located.there.any():
                there = np.flatnonzero(located.there)
                shard.keep(located.take(there), shard.numbers(coords[there]))

    def locked(self, keys: Sequence[str]) -> Any:
        return self.target.store.locked(keys) if self.target.safe else nullcontext()

    # the waves

    def waves(self, pairs: Sequence[tuple[Part, Shard | None]], covered: bool) -> list[Wave]:
        """Waves within the device's budget, and enough of them to keep its threads busy."""
        total = sum(len(part) for part, _ in pairs)
        packed: list[Wave] = []
        small: list[tuple[Part, Shard | None]] = []
        for part, shard in pairs:
            most = self._most(part.chunk_shape, covered, total)
            for piece in part.split(most):
                if small and (small[0][0].chunk_shape != piece.chunk_shape or count(small) + len(piece) > most):
                    packed.append(wave_of(small, covered))
                    small = []
                small.append((piece, shard))
        return [*packed, wave_of(small, covered)] if small else packed

    def _most(self, chunk_shape: tuple[int, ...], covered: bool, total: int) -> int:
        """Chunks of a wave. On a CPU what is gathered is encoded and written while it is in a cache."""
        if self.device.gpu:
            chain = self.layout.chain(chunk_shape)
            return chunks_a_wave(self.share(chunk_shape, covered), chain, total, self.device)
        chunk = prod(chunk_shape) * max(self.layout.spec.dtype.itemsize, 1)
        return max(1, min(min(self.device.wave_bytes, WAVE) // max(chunk, 1), -(-total // self.device.threads)))

    def share(self, chunk_shape: tuple[int, ...], covered: bool) -> WriteShare:
        """What a GPU's memory allows for these chunks."""
        key = chunk_shape, covered
        if key not in self._shares:
            self._shares[key] = write_share(self.layout.chain(chunk_shape), covered, self.device, self.limit)
        return self._shares[key]

    @cached_property
    def _locator(self) -> Locator:
        """A shard's index is read once: each shard is replaced only after its old chunks were located."""
        return Locator(self.layout, self.target.store)

    @cached_property
    def _shares(self) -> dict[tuple[tuple[int, ...], bool], WriteShare]:
        return {}

    def run(self, waves: Sequence[Wave]) -> None:
        if not waves:
            return
        record = self.record
        if self.device.gpu:
            shares = [self.share(wave.chunk_shape, wave.covered) for wave in waves]
            record.limit, record.share = self.limit, max(share.scratch for share in shares)
            record.ahead = 1 if min(share.behind for share in shares) else 0
        record.behind = self.behind(waves)
        if not self.device.gpu and all(fits(wave, self.layout.chain(wave.chunk_shape).spec) for wave in waves):
            write_cached(self.target, self.layout, waves, self.value, self.device, record)
        else:
            self.device.run(self.load, Halves(self.gather, self.encode), waves, record)

    def behind(self, waves: Sequence[Wave]) -> int:
        """How many waves are stored while others are gathered and encoded.

        On a CPU it is one: a thread more than cores, for threads that store wait for the system.
        """
        if not self.device.gpu:
            return 1
        return min((self.share(wave.chunk_shape, wave.covered).behind for wave in waves), default=0)

    def load(self, wave: Wave) -> Loaded:
        """The old chunks of a wave that covers them in part, in host memory."""
        if wave.covered:
            return Loaded(wave)
        begin = time.perf_counter()
        with self._blame(wave.coords):
            located = self._locator.locate(wave.coords, {})
        there = located.there.copy()
        with self._blame(wave.coords[there]):
            slab = self.target.store.read(located.take(np.flatnonzero(there)).ranges, self.device.stage)
        there[np.flatnonzero(there)[slab.sizes == MISSING]] = False
        slab = slab.take(slab.sizes != MISSING)
        self.record.count(old=int(slab.sizes.sum()))
        self.record.mark("load", begin, time.perf_counter())
        return Loaded(wave, slab, there)

    def gather(self, loaded: Loaded) -> Gathered:
        """The new chunks of a wave, and which of them are blank: on a GPU that is only launched."""
        begin = self.device.mark()
        batch = self._gathered(loaded)
        check = self.device.checked() if loaded.slab is not None else None
        blank = self._blank(batch)
        self.record.mark("gather", begin, self.device.mark())
        return Gathered(loaded, batch, blank, check)

    def encode(self, gathered: Gathered) -> Settle | None:
        """Encode the chunks of a wave that are not blank, and store them.

        On a GPU encoding is only launched: what is returned waits for it, and stores.
        """
        coords, stored = gathered.loaded.wave.coords, ~gathered.blank()
        begin = self.device.mark()
        kept = self._kept(gathered.batch, stored)
        with self._blame(coords[stored]):
            encoding = self._chain(gathered.loaded).encoding(kept, self.device) if len(kept) else lambda: NOTHING
        self.record.mark("encode", begin, self.device.mark())
        settle = partial(self._settle, gathered.loaded, gathered.check, encoding, stored)
        return settle if self.device.gpu else settle()

    def _settle(self, loaded: Loaded, check: Settle | None, encoding: Callable[[], Any], stored: np.ndarray) -> None:
        """The end of a wave; `check` raises for the first old chunk that could not be decoded."""
        wave = loaded.wave
        if check:
            with self._blame(wave.coords[loaded.there]):
                check()
        with self._blame(wave.coords[stored]):
            slab = self._encoded(loaded, encoding(), stored)
        begin = time.perf_counter()
        self._store_on_threads(wave, slab, stored)
        self.record.mark("store", begin, time.perf_counter())
        nbytes = sum(slab.sizes.tolist()) if len(slab) < 64 else int(slab.sizes.sum())
        self.record.count(chunks=len(stored), blank=len(stored) - len(slab), stored=nbytes)

    def _encoded(self, loaded: Loaded, chunks: Any, stored: np.ndarray) -> Slab:
        """What the device made, after the steps of the host."""
        chain, begin = self._chain(loaded), time.perf_counter()
        if chunks is None:
            return self._encode_on_host(loaded, stored)
        slab = chain.encode_rest(chunks, self.device) if len(chunks) else NOTHING
        if self.device.gpu and chain.host_steps_to_encode[1]:
            self.record.mark("encode", begin, time.perf_counter())
        return slab

    def _encode_on_host(self, loaded: Loaded, stored: np.ndarray) -> Slab:
        """A wave that nvCOMP refused, which hardly ever is: its chunks are gathered once more."""
        with self.device.on():
            batch = self._kept(self._gathered(loaded), stored)
            if check := self.device.checked():
                check()
            return self._chain(loaded).encode_on_host(batch, self.device)

    def _chain(self, loaded: Loaded) -> Chain:
        return self.layout.chain(loaded.wave.chunk_shape)

    def _store_on_threads(self, wave: Wave, slab: Slab, stored: np.ndarray) -> None:
        """On a CPU each thread stores its own waves; a GPU's wave is stored by all threads of the host."""
        if not self.device.gpu:
            return self._store(wave, slab, stored)
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(stored)])

        def store(piece: tuple[Wave, slice]) -> None:
            some, rows = piece
            self._store(some, slab.take(slice(ends[rows.start], ends[rows.stop])), stored[rows])

        return HOST.each(store, wave.pieces(-(-len(stored) // (4 * HOST.threads))))

    def _gathered(self, loaded: Loaded) -> Any:
        """The chunks of a wave: the new elements, and around them the old ones or the fill value."""
        with self._blame(loaded.wave.coords):
            batch = self._batch(loaded)
            for part, _, rows in loaded.wave.rows():
                part.gather(self.value, batch[rows], self.device.xp)
        return batch

    def _batch(self, loaded: Loaded) -> Any:
        """Memory for the chunks of a wave, with what the value will not fill."""
        wave, spec, xp = loaded.wave, self._chain(loaded).spec, self.device.xp
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
            with self._blame(wave.coords[loaded.there]):
                old = self._chain(loaded).decode(loaded.slab, self.device)
            batch[xp.asarray(np.flatnonzero(loaded.there))] = old
        return batch

    def _blank(self, batch: Any) -> Callable[[], np.ndarray]:
        """Which chunks are not to be stored; on a GPU what is returned waits for that."""
        fill = self.layout.spec.fill_value
        if self.device.gpu and fill is not None and not self.target.empty:
            return only_fill(batch, fill, self.device)
        found = np.zeros(len(batch), bool) if self.target.empty else blank(batch, fill)
        return lambda: found

    def _kept(self, batch: Any, stored: np.ndarray) -> Any:
        """The chunks that are stored; no byte moves where these are all."""
        return batch if stored.all() else batch[self.device.xp.asarray(np.flatnonzero(stored))]

    def _store(self, wave: Wave, slab: Slab, stored: np.ndarray) -> None:
        """`slab` has the chunks of the wave that are `stored`; the others are deleted."""
        if wave.shards[0] is None:
            keys = np.array(self.layout.keys(wave.coords), object)
            self.target.store.write(keys[stored].tolist(), slab)
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
        except BAD as error:
            raise self.layout.chunk_error(error, coords, self.target.store, self.target.path) from error
