"""Fetch chunks as they are stored, and decode them: all of a read but the placing of elements.

Whoever wants chunks and not a selection (a loader, pyramids, a copy, another library's pipeline) calls these two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np

from gpuzarr.batch import EncodedBatch, packed
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import CHUNK_FAULTS, ChunkError, CodecError, RangeError
from gpuzarr.indexing.locate import Located, Route
from gpuzarr.indexing.shard_indexes import Indexes
from gpuzarr.read.fetched import Fetched, present_only
from gpuzarr.read.foretell import foretell
from gpuzarr.read.known import Known, found_of, joined
from gpuzarr.read.shelf import Found
from gpuzarr.read.slices import read_in_slices, sliced
from gpuzarr.read.source import Source
from gpuzarr.read.unchanged import unchanged_all
from gpuzarr.stores.contract import Objects, ReadsToDevice, concurrency
from gpuzarr.stores.ranges import Ranges, Requests
from gpuzarr.stores.spread import each

T = TypeVar("T")


@dataclass(frozen=True)
class Memory:
    """Where fetched chunks go: pinned memory of the device; or, `to_device`, memory on it.

    `early`: from pinned memory they are copied to the device while others are read; what is launched must wait for
    that (`Device.await_uploads`). `into`: where each chunk goes if all are present and have the sizes that `into`
    says. `trace`: in which what comes from the stores is counted. `max_bytes`: what several chunks may take; None:
    anything. `chain`: of the chunks, whose stored sizes are checked before they are read. `knows`: chunks that the
    cache of their array has are not fetched.
    """

    device: Device
    to_device: bool = False
    early: bool = False
    into: EncodedBatch | None = None
    max_bytes: int | None = None
    chain: Chain | None = None
    knows: bool = False
    trace: Trace | None = None

    def allows(self, sizes: np.ndarray, chunks: int) -> bool:
        return self.max_bytes is None or chunks < 2 or packed(sizes + self._lead)[2] <= self.max_bytes

    @property
    def _lead(self) -> int:
        """Bytes that are left free before each chunk. See `Chain.lead`."""
        return self.chain.lead if self.device.gpu and self.chain is not None else 0

    def target(self, sizes: np.ndarray) -> EncodedBatch:
        into = self.into
        if into is not None and len(sizes) == len(into) and ((sizes == into.sizes) | (sizes == 0)).all():
            return EncodedBatch(into.data, into.starts, sizes)
        allocate = self.device.device_buffer if self.to_device else self.device.pinned_buffer
        return allocate(sizes + self._lead).part(self._lead, 0) if self._lead else allocate(sizes)


def fetch(source: Source, coords: np.ndarray, memory: Memory, indexes: Indexes | None = None) -> Fetched | None:
    """Fetch the innermost chunks at `coords`, int64 (n, ndim). None where they take more than `memory` allows.

    `indexes` are those of shards that one read has met, where the store cannot tell versions. ChunkError for a damaged
    shard index; StoreError where the store cannot be read.
    """
    return fetch_all([(source, coords)], memory, {id(source): {} if indexes is None else indexes})


def fetch_all(
    chunks: Sequence[tuple[Source, np.ndarray]], memory: Memory, indexes: dict[int, Indexes]
) -> Fetched | None:
    """Fetch chunks of several arrays, as `fetch`, one array after the other. `indexes`: by the `id` of the array."""
    wanted = [
        _Wanted(source, coords, source.locator.route(coords), indexes.setdefault(id(source), {}))
        for source, coords in chunks
    ]
    opened = [(one.source, one.route.keys) for one in wanted]
    return unchanged_all(opened, partial(_fetched, wanted, memory), memory.device.readers, memory.trace)


@dataclass(frozen=True)
class _Wanted:
    """Chunks of one array that are fetched together with those of others."""

    source: Source
    coords: np.ndarray
    route: Route
    indexes: Indexes

    def planned(self, memory: Memory, objects: Objects) -> _Planned:
        """Where the chunks are. ChunkError where metadata of a shard, or the size of a chunk, is wrong."""
        stored = np.ones(len(self.coords), bool)
        if memory.chain is not None and not self.source.store.has_cheap_lengths:
            foretell(objects, self.source, memory.chain, self.route.objects)
        try:
            kept = found_of(self.source, memory.device, self.coords, objects, self.route) if memory.knows else None
            present, located = self._located(kept, objects)
            stored = present if kept is None else present & ~kept.hit
            if np.count_nonzero(stored) < len(stored):
                located = located.take(np.flatnonzero(stored))
            requests = objects.requests(located.ranges)
            if memory.chain is not None and (wrong := memory.chain.stored_size.wrong(requests.wanted)) is not None:
                wrong.index = int(np.flatnonzero(stored)[wrong.index])
                raise wrong
        except RangeError as error:
            raise blamed(error, self.source, self.coords[stored]) from error
        except CodecError as error:
            raise blamed(error, self.source, self.coords) from error
        slices = sliced(objects, located.ranges, requests) if memory.early else [requests]
        kept = None if kept is None else kept.take(present)
        return _Planned(self, present, [(objects, one) for one in slices], len(requests.wanted), stored, kept)

    def _located(self, kept: Found | None, objects: Objects) -> tuple[np.ndarray, Located]:
        """Which chunks are present, and where they are; no index of a shard is looked at if all are kept."""
        if kept is not None and kept.hit.all():
            everywhere = np.zeros(len(self.coords), np.int64)
            return kept.hit, Located(Ranges(self.route.keys, everywhere, everywhere, everywhere), kept.hit)
        located = self.source.locator.locate(self.route, objects, self.indexes)
        return located.present if kept is None else located.present | kept.hit, located


@dataclass(frozen=True)
class _Planned:
    """Chunks of one array, those that are `present` and of them those `stored` (see `Fetched`), and the requests for
    these, in slices; `count` in all."""

    wanted: _Wanted
    present: np.ndarray
    slices: list[tuple[Objects, Requests]]
    count: int
    stored: np.ndarray
    kept: Found | None

    def known(self, objects: Objects) -> Known | None:
        """What the cache knows of the chunks that are present, now that the others were read."""
        return None if self.kept is None else Known(self.kept.entries, self.kept.versions(objects))


def _fetched(wanted: Sequence[_Wanted], memory: Memory, objects: Sequence[Objects]) -> Fetched | None:
    planned = _each(lambda one, opened: one.planned(memory, opened), list(zip(wanted, objects, strict=True)), wanted)
    slices = [each for one in planned for each in one.slices]
    present = _joined([one.present for one in planned])
    sizes = _joined([requests.sizes for _, requests in slices])
    if not memory.allows(sizes, sum([one.count for one in planned])):
        return None
    try:
        encoded = _read(slices, target := memory.target(sizes), memory, wanted)
    except RangeError as error:
        for one in planned:
            if error.index < one.count or one is planned[-1]:
                break
            error.index -= one.count
        raise blamed(error, one.wanted.source, one.wanted.coords[one.stored]) from error
    is_in_place = memory.into is not None and target.data is memory.into.data
    pairs = zip(planned, objects, strict=True)
    known = joined([(one.known(opened), int(np.count_nonzero(one.present))) for one, opened in pairs])
    return present_only(Fetched(encoded, present, is_in_place, known))


def _each(work: Callable[..., T], items: Sequence[tuple[Any, ...]], wanted: Sequence[_Wanted]) -> list[T]:
    """Return work(*item) for each item: at once, where stores take long to answer."""
    threads = max(concurrency(one.source.store) for one in wanted)
    found: dict[int, T] = {}
    each(lambda i: found.__setitem__(i, work(*items[i])), range(len(items)), min(threads, len(items)))
    return [found[i] for i in range(len(items))]


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _read(
    slices: Sequence[tuple[Objects, Requests]], target: EncodedBatch, memory: Memory, wanted: Sequence[_Wanted]
) -> EncodedBatch:
    """Make all requests. RangeError with the number of the range among all."""
    if memory.early and len(target.data):
        return read_in_slices(slices, target, memory.device)
    if len(slices) == 1:
        return _read_slice(*slices[0], target, memory)
    ends = np.cumsum([len(requests.sizes) for _, requests in slices]).tolist()
    counts = [0, *np.cumsum([len(requests.wanted) for _, requests in slices]).tolist()]

    def read(i: int) -> EncodedBatch:
        objects, requests = slices[i]
        try:
            return _read_slice(objects, requests, target.take(slice(ends[i] - len(requests.sizes), ends[i])), memory)
        except RangeError as error:
            error.index += counts[i]
            raise

    found = _each(read, [(i,) for i in range(len(slices))], wanted)
    starts, sizes = _joined([one.starts for one in found]), _joined([one.sizes for one in found])
    return replace(target, starts=starts, sizes=sizes)


def _read_slice(objects: Objects, requests: Requests, target: EncodedBatch, memory: Memory) -> EncodedBatch:
    if memory.to_device:
        return cast(ReadsToDevice, objects).read_to_device(requests, target)
    return objects.read(requests, target)


def decode(source: Source, fetched: Fetched, chain: Chain, coords: np.ndarray, device: Device) -> Any:
    """Decode the chunks that are present: an array (n, *chunk_shape) of the device. ChunkError for a damaged one.

    `coords`: of all chunks that were fetched. On a GPU the first damaged chunk is known, and raised, only by
    `device.checked()`.
    """
    try:
        return chain.decode(fetched.encoded, device)
    except CHUNK_FAULTS as error:
        raise blamed(error, source, coords[fetched.present]) from error


def blamed(error: CodecError | RangeError, source: Source, coords: np.ndarray) -> ChunkError:
    """Name the chunk whose fault an error is: the one at `coords[error.index]`."""
    return source.layout.chunk_error(error, coords, source.store, source.path)
