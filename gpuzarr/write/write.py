"""The write path: selection -> parts -> units -> batches; and of each batch: load, gather, encode, settle, store.

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
from typing import Any, cast

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.pipeline import Complete, TwoPhase
from gpuzarr.devices.trace import Trace
from gpuzarr.empty_chunk import is_empty
from gpuzarr.errors import CHUNK_FAULTS
from gpuzarr.gpu.empty import is_empty_on_gpu
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.grid import Part, parts
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Locator
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read.fetch import ArraySource, Fetched, Memory, fetch
from gpuzarr.write import strategy
from gpuzarr.write.chunks import fits, write_cached
from gpuzarr.write.memory import WriteBudget, chunks_per_batch, write_budget
from gpuzarr.write.open_shards import OpenShards, Units
from gpuzarr.write.shards import Shard
from gpuzarr.write.strategy import NOTHING, Batch, Gathered, Loaded, Target, batch_of, count

WAVE = 4 << 20  # bytes of a batch on a CPU: smaller ones take more Python, larger ones leave threads without work


def write(
    target: Target,
    selection: Outer | Points,
    value: Any,
    device: Device,
    limit: int | None = None,
    trace: Trace | None = None,
    opened: OpenShards | None = None,
) -> None:
    """Write `value`, an array of the device that broadcasts to `selection.shape`, to the elements selected.

    `limit`: bytes that may be held beyond the value, of a GPU; None: as many as the device thinks right. `opened`:
    shards that are filled by several writes.
    """
    value = flipped(selection, device.xp.broadcast_to(value, selection.shape))
    writing = replace(Writing.of(target, value, device, limit, trace), opened=opened)
    found = writing.parts(selection)
    if found:
        writing.trace.codecs = partial(strategy.places, writing.layout.chain(found[0].chunk_shape), device)
    if writing.layout.levels:
        writing.shards(strategy.units(found, writing.layout))
    else:
        writing.chunks(found)


def complete(target: Target, opened: OpenShards) -> None:
    """Close all open shards."""
    opened.close(Writing.of(target, None, CPU, None))


@dataclass(frozen=True)
class Writing:
    """Writes one value to one selection. `limit` and `opened`: see `write`."""

    target: Target
    layout: Layout
    value: Any
    device: Device
    limit: int
    trace: Trace = field(default_factory=Trace)
    opened: OpenShards | None = None

    @classmethod
    def of(cls, target: Target, value: Any, device: Device, limit: int | None, trace: Trace | None = None) -> Writing:
        if limit is None:
            limit = device.write_limit if device.gpu else device.memory_limit
        return cls(target, target.written, value, device, limit, trace or Trace())

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
            self.run(self.batches([(part, None) for part in covered], True))
        for bundle in strategy.bundles(partly):
            keys = self.layout.keys(np.concatenate([part.coords for part in bundle]))
            with self.locked(keys):
                self.run(self.batches([(part, None) for part in bundle], False))

    def shards(self, found: Units) -> None:
        """Every shard is an object; its inner chunks go into it as they are encoded."""
        if self.opened is not None:
            found = self.opened.fill(self, found)
        covered = [self.covered(*unit) for unit in found.items()]
        self._count_units(sum(covered), len(covered) - sum(covered))
        whole = [(some, self.shard(some)) for some, yes in zip(found.values(), covered, strict=True) if yes]
        try:
            self.run(self.batches([(part, shard) for some, shard in whole for part in some], True))
        finally:
            for _, shard in whole:
                shard.abort()  # does nothing where it is closed
        partly = [some for some, yes in zip(found.values(), covered, strict=True) if not yes]
        for group in strategy.groups(partly):
            self._change(group)

    def _count_units(self, whole: int, partly: int) -> None:
        self.trace.count(whole=whole, partly=partly, locks=partly if self.target.safe else 0)

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
                CPU.each(self.keep, [shard for _, shard in opened])
                for is_covered in (True, False):
                    pairs = [(part, shard) for some, shard in opened for part in some]
                    right = [pair for pair in pairs if pair[0].covers(self.layout.axes) == is_covered]
                    self.run(self.batches(right, is_covered))
            finally:
                for _, shard in opened:
                    shard.abort()

    def complete(self, shards: Sequence[Shard]) -> None:
        """Close shards of which some inner chunks did not come: these stay what they are in the store."""
        latest = replace(self)  # knows no index yet
        with self.locked([shard.key for shard in shards]):
            try:
                CPU.each(latest.keep, shards)
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
        route = self._locator.route(coords)
        with self.target.store.open(route.keys) as objects, self._blame(coords):
            located = self._locator.locate(route, objects, {})
            if located.present.any():
                present = np.flatnonzero(located.present)
                shard.keep(objects, located.take(present), shard.numbers(coords[present]))

    def locked(self, keys: Sequence[str]) -> Any:
        return self.target.store.locked(keys) if self.target.safe else nullcontext()

    # the batches

    def batches(self, pairs: Sequence[tuple[Part, Shard | None]], covered: bool) -> list[Batch]:
        """Batches within the device's budget, and enough of them to keep its threads busy."""
        total = sum(len(part) for part, _ in pairs)
        packed: list[Batch] = []
        small: list[tuple[Part, Shard | None]] = []
        for part, shard in pairs:
            most = self._most(part.chunk_shape, covered, total)
            for piece in part.split(most):
                if small and (small[0][0].chunk_shape != piece.chunk_shape or count(small) + len(piece) > most):
                    packed.append(batch_of(small, covered))
                    small = []
                small.append((piece, shard))
        return [*packed, batch_of(small, covered)] if small else packed

    def _most(self, chunk_shape: tuple[int, ...], covered: bool, total: int) -> int:
        """Chunks of a batch. On a CPU what is gathered is encoded and written while it is in a cache."""
        if self.device.gpu:
            chain = self.layout.chain(chunk_shape)
            return chunks_per_batch(self.share(chunk_shape, covered), chain, total, self.device)
        chunk = prod(chunk_shape) * max(self.layout.spec.dtype.itemsize, 1)
        return max(1, min(min(self.device.batch_bytes, WAVE) // max(chunk, 1), -(-total // self.device.threads)))

    def share(self, chunk_shape: tuple[int, ...], covered: bool) -> WriteBudget:
        """What a GPU's memory allows for these chunks."""
        key = chunk_shape, covered
        if key not in self._shares:
            self._shares[key] = write_budget(self.layout.chain(chunk_shape), covered, self.device, self.limit)
        return self._shares[key]

    @cached_property
    def _locator(self) -> Locator:
        """A shard's index is read once: each shard is replaced only after its old chunks were located."""
        return Locator(self.layout)

    @cached_property
    def _shares(self) -> dict[tuple[tuple[int, ...], bool], WriteBudget]:
        return {}

    def run(self, batches: Sequence[Batch]) -> None:
        if not batches:
            return
        trace = self.trace
        if self.device.gpu:
            shares = [self.share(batch.chunk_shape, batch.covered) for batch in batches]
            trace.limit, trace.share = self.limit, max(share.scratch for share in shares)
            trace.prefetch_depth = 1 if min(share.write_behind_depth for share in shares) else 0
        trace.write_behind_depth = self.write_behind_depth(batches)
        if not self.device.gpu and all(fits(batch, self.layout.chain(batch.chunk_shape).spec) for batch in batches):
            write_cached(self.target, self.layout, batches, self.value, self.device, trace)
        else:
            self.device.run(self.load, TwoPhase(self.gather, self.encode), batches, trace)

    def write_behind_depth(self, batches: Sequence[Batch]) -> int:
        """How many batches are stored while others are gathered and encoded.

        On a CPU it is one: a thread more than cores, for threads that store wait for the system.
        """
        if not self.device.gpu:
            return 1
        return min((self.share(batch.chunk_shape, batch.covered).write_behind_depth for batch in batches), default=0)

    def load(self, batch: Batch) -> Loaded:
        """The old chunks of a batch that covers them in part, in host memory."""
        if batch.covered:
            return Loaded(batch)
        begin = time.perf_counter()
        source = ArraySource(self.target.store, self.target.path, self.layout, self._locator)
        fetched = cast(Fetched, fetch(source, batch.coords, Memory(self.device)))
        encoded, present = fetched.encoded, fetched.present
        self.trace.count(old=int(encoded.sizes.sum()))
        self.trace.add_time("load", begin, time.perf_counter())
        return Loaded(batch, encoded, present)

    def gather(self, loaded: Loaded) -> Gathered:
        """The new chunks of a batch, and which of them are empty: on a GPU that is only launched."""
        begin = self.device.timestamp()
        decoded = self._gathered(loaded)
        check = self.device.checked() if loaded.encoded is not None else None
        is_empty = self._empty(decoded)
        self.trace.add_time("gather", begin, self.device.timestamp())
        return Gathered(loaded, decoded, is_empty, check)

    def encode(self, gathered: Gathered) -> Complete | None:
        """Encode the chunks of a batch that are not empty, and store them.

        On a GPU encoding is only launched: what is returned waits for it, and stores.
        """
        coords, stored = gathered.loaded.batch.coords, ~gathered.is_empty()
        begin = self.device.timestamp()
        kept = self._kept(gathered.decoded, stored)
        with self._blame(coords[stored]):
            encoding = self._chain(gathered.loaded).encoding(kept, self.device) if len(kept) else lambda: NOTHING
        self.trace.add_time("encode", begin, self.device.timestamp())
        complete = partial(self._complete, gathered.loaded, gathered.check, encoding, stored)
        return complete if self.device.gpu else complete()

    def _complete(
        self, loaded: Loaded, check: Complete | None, encoding: Callable[[], Any], stored: np.ndarray
    ) -> None:
        """The end of a batch; `check` raises for the first old chunk that could not be decoded."""
        batch = loaded.batch
        if check:
            with self._blame(batch.coords[loaded.present]):
                check()
        with self._blame(batch.coords[stored]):
            encoded = self._encoded(loaded, encoding(), stored)
        begin = time.perf_counter()
        self._store_on_threads(batch, encoded, stored)
        self.trace.add_time("store", begin, time.perf_counter())
        nbytes = sum(encoded.sizes.tolist()) if len(encoded) < 64 else int(encoded.sizes.sum())
        self.trace.count(chunks=len(stored), empty=len(stored) - len(encoded), stored=nbytes)

    def _encoded(self, loaded: Loaded, chunks: Any, stored: np.ndarray) -> EncodedBatch:
        """What the device made, after the steps of the host."""
        chain, begin = self._chain(loaded), time.perf_counter()
        if chunks is None:
            return self._encode_on_host(loaded, stored)
        encoded = chain.encode_rest(chunks, self.device) if len(chunks) else NOTHING
        if self.device.gpu and chain.host_steps_to_encode[1]:
            self.trace.add_time("encode", begin, time.perf_counter())
        return encoded

    def _encode_on_host(self, loaded: Loaded, stored: np.ndarray) -> EncodedBatch:
        """A batch that nvCOMP refused, which hardly ever is: its chunks are gathered once more."""
        with self.device.on():
            decoded = self._kept(self._gathered(loaded), stored)
            if check := self.device.checked():
                check()
            return self._chain(loaded).encode_on_host(decoded, self.device)

    def _chain(self, loaded: Loaded) -> Chain:
        return self.layout.chain(loaded.batch.chunk_shape)

    def _store_on_threads(self, batch: Batch, encoded: EncodedBatch, stored: np.ndarray) -> None:
        """On a CPU each thread stores its own batches; a GPU's batch is stored by all threads of the host."""
        if not self.device.gpu:
            return self._store(batch, encoded, stored)
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(stored)])

        def store(piece: tuple[Batch, slice]) -> None:
            some, rows = piece
            self._store(some, encoded.take(slice(ends[rows.start], ends[rows.stop])), stored[rows])

        return CPU.each(store, batch.pieces(-(-len(stored) // (4 * CPU.threads))))

    def _gathered(self, loaded: Loaded) -> Any:
        """The chunks of a batch: the new elements, and around them the old ones or the fill value."""
        with self._blame(loaded.batch.coords):
            decoded = self._decoded(loaded)
            for part, _, rows in loaded.batch.rows():
                part.gather(self.value, decoded[rows], self.device.xp)
        return decoded

    def _decoded(self, loaded: Loaded) -> Any:
        """Memory for the chunks of a batch, with what the value will not fill."""
        batch, spec, xp = loaded.batch, self._chain(loaded).spec, self.device.xp
        shape = (len(batch.coords), *spec.shape)
        if spec.nbytes is None:
            decoded = xp.empty(shape, spec.dtype)
        else:
            decoded = self.device.empty(shape[0] * spec.nbytes).view(spec.dtype).reshape(shape)
        if loaded.present is None:
            for part, _, rows in batch.rows():
                if not part.whole:
                    decoded[rows] = spec.fill_value
            return decoded
        if not loaded.present.all():
            decoded[...] = spec.fill_value
        if loaded.encoded is not None and len(loaded.encoded):
            with self._blame(batch.coords[loaded.present]):
                old = self._chain(loaded).decode(loaded.encoded, self.device)
            decoded[xp.asarray(np.flatnonzero(loaded.present))] = old
        return decoded

    def _empty(self, decoded: Any) -> Callable[[], np.ndarray]:
        """Which chunks are not to be stored; on a GPU what is returned waits for that."""
        fill = self.layout.spec.fill_value
        if self.device.gpu and fill is not None and not self.target.write_empty_chunks:
            return is_empty_on_gpu(decoded, fill, self.device)
        found = np.zeros(len(decoded), bool) if self.target.write_empty_chunks else is_empty(decoded, fill)
        return lambda: found

    def _kept(self, decoded: Any, stored: np.ndarray) -> Any:
        """The chunks that are stored; no byte moves where these are all."""
        return decoded if stored.all() else decoded[self.device.xp.asarray(np.flatnonzero(stored))]

    def _store(self, batch: Batch, encoded: EncodedBatch, stored: np.ndarray) -> None:
        """`encoded` has the chunks of the batch that are `stored`; the others are deleted."""
        if batch.shards[0] is None:
            keys = np.array(self.layout.keys(batch.coords), object)
            self.target.store.write(keys[stored].tolist(), encoded)
            self.target.store.delete(keys[~stored].tolist())
            return
        place = np.cumsum(stored) - stored
        for part, shard, rows in batch.rows():
            if shard is not None:
                which = np.flatnonzero(stored[rows])
                some = encoded.take(place[rows][which])
                shard.add(shard.numbers(part.coords[which]), some, len(part))

    @contextmanager
    def _blame(self, coords: np.ndarray) -> Iterator[None]:
        """What goes wrong inside, with an index into `coords`, is the fault of the chunk there."""
        try:
            yield
        except CHUNK_FAULTS as error:
            raise self.layout.chunk_error(error, coords, self.target.store, self.target.path) from error
