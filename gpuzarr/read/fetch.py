"""Fetch chunks as they are stored, and decode them: all of a read but the placing of elements.

Whoever wants chunks and not a selection (a loader, pyramids, a copy, another library's pipeline) calls these two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from gpuzarr.batch import EncodedBatch, packed
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CHUNK_FAULTS, ChunkError, CodecError, RangeError, StoreError
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Locator, Route
from gpuzarr.indexing.shard_indexes import Indexes
from gpuzarr.read.slices import read_in_slices, sliced
from gpuzarr.stores.contract import Objects, ReadsToDevice, Store
from gpuzarr.stores.ranges import MISSING, Requests

T = TypeVar("T")
MAX_TRIES = 64  # to read shards that somebody replaces meanwhile; 5 were too few beside one who writes small ones


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


@dataclass(frozen=True)
class ArraySource:
    """A `Source` put together by who has no array of these."""

    store: Store
    path: str
    layout: Layout
    locator: Locator


@dataclass(frozen=True)
class Fetched:
    """Chunks as they are stored: `encoded` has those that are `present`, a bool for each chunk that was asked for."""

    encoded: EncodedBatch
    present: np.ndarray


@dataclass(frozen=True)
class Memory:
    """Where fetched chunks go: pinned memory of the device; or, `to_device`, memory on it.

    `early`: from pinned memory they are copied to the device while others are read; what is launched must wait for
    that (`Device.await_uploads`). `into`: where each chunk goes if all are present and have the sizes that `into`
    says. `max_bytes`: what several chunks may take; None: anything.
    """

    device: Device
    to_device: bool = False
    early: bool = False
    into: EncodedBatch | None = None
    max_bytes: int | None = None

    def allows(self, sizes: np.ndarray, chunks: int) -> bool:
        return self.max_bytes is None or chunks < 2 or packed(sizes)[2] <= self.max_bytes

    def target(self, sizes: np.ndarray) -> EncodedBatch:
        into = self.into
        if into is not None and len(sizes) == len(into) and ((sizes == into.sizes) | (sizes == 0)).all():
            return EncodedBatch(into.data, into.starts, sizes)
        return self.device.device_buffer(sizes) if self.to_device else self.device.pinned_buffer(sizes)


def fetch(source: Source, coords: np.ndarray, memory: Memory, indexes: Indexes | None = None) -> Fetched | None:
    """Fetch the innermost chunks at `coords`, int64 (n, ndim). None where they take more than `memory` allows.

    `indexes` are those of shards that one read has met, where the store cannot tell versions. ChunkError for a damaged
    shard index; StoreError where the store cannot be read.
    """
    route = source.locator.route(coords)
    read = partial(_fetched, source, route, coords, memory, {} if indexes is None else indexes)
    return unchanged(source, route.keys, read, memory.device.readers)


def unchanged(source: Source, keys: Sequence[str], read: Callable[[Objects], T], threads: int = 1) -> T:
    """Return what `read(objects)` makes of the objects at `keys`; if somebody replaced one meanwhile, read again."""
    for _ in range(MAX_TRIES):
        with source.store.open(keys, threads) as objects:
            try:
                result = read(objects)
            except (ChunkError, StoreError):
                if not objects.changed():
                    raise
            else:
                if not objects.changed():
                    return result
        source.locator.indexes.forget()  # those of the old objects
    raise StoreError(f"{keys[0]!r} of {source.store!r} is replaced faster than it can be read")


def _fetched(
    source: Source, route: Route, coords: np.ndarray, memory: Memory, indexes: Indexes, objects: Objects
) -> Fetched | None:
    present = np.ones(len(coords), bool)
    try:
        located = source.locator.locate(route, objects, indexes)
        present = located.present
        if np.count_nonzero(present) < len(present):
            located = located.take(np.flatnonzero(present))
        requests = objects.requests(located.ranges)
        slices = sliced(objects, located.ranges, requests) if memory.early else [requests]
        sizes = np.concatenate([each.sizes for each in slices]) if len(slices) > 1 else requests.sizes
        if not memory.allows(sizes, len(requests.wanted)):
            return None
        return _present_only(_read(objects, slices, memory.target(sizes), memory), present)
    except RangeError as error:
        raise blamed(error, source, coords[present]) from error
    except CodecError as error:
        raise blamed(error, source, coords) from error


def _read(objects: Objects, slices: list[Requests], target: EncodedBatch, memory: Memory) -> EncodedBatch:
    if memory.early and len(target.data):
        return read_in_slices(objects, slices, target, memory.device)
    (requests,) = slices
    if memory.to_device:
        return cast(ReadsToDevice, objects).read_to_device(requests, target)
    return objects.read(requests, target)


def _present_only(encoded: EncodedBatch, present: np.ndarray) -> Fetched:
    """Leave out the chunks whose objects turned out to be missing."""
    if np.count_nonzero(missing := encoded.sizes == MISSING):
        present = present.copy()
        present[np.flatnonzero(present)[missing]] = False
        encoded = encoded.take(~missing)
    return Fetched(encoded, present)


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
