"""Chunks of a batch that caches have already, and how the others come there (`read/cache.py`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import ChunkSpec
from gpuzarr.devices.contract import Device
from gpuzarr.read.blocks import Coords, Entry
from gpuzarr.read.shelf import Found, Shelf
from gpuzarr.stores.contract import Objects
from gpuzarr.stores.versions import settled, tells_late

if TYPE_CHECKING:
    from gpuzarr.indexing.locate import Route
    from gpuzarr.read.portions import Portion
    from gpuzarr.read.source import Source


@dataclass(frozen=True)
class Known:
    """What caches know of some chunks that are present, in order.

    `entries`: the chunks that are kept, None for those that must be decoded; `versions`: those under which these may be
    kept then, None where not.
    """

    entries: Sequence[Entry | None]
    versions: Sequence[Any]

    @cached_property
    def hit(self) -> np.ndarray:
        """Whether each chunk is kept."""
        return np.array([entry is not None for entry in self.entries], bool)

    def part(self, some: slice) -> Known:
        """What is known of a run of the chunks."""
        return Known(self.entries[some], self.versions[some])

    def without(self, missing: np.ndarray) -> Known:
        """What is known of the chunks but those that must be decoded and turned out to be `missing`."""
        left = np.ones(len(self.entries), bool)
        left[np.flatnonzero(~self.hit)[missing]] = False
        which = np.flatnonzero(left).tolist()
        return Known([self.entries[i] for i in which], [self.versions[i] for i in which])

    def addresses(self, decoded: Any, device: Device, nbytes: int) -> np.ndarray:
        """Where each chunk is, uint64. `decoded`: those that are not kept, C-contiguous, (n, *chunk_shape)."""
        found = np.zeros(len(self.entries), np.uint64)
        found[self.hit] = np.array([entry.address for entry in self.entries if entry is not None], np.uint64)
        if len(decoded):
            found[~self.hit] = device.address(decoded) + nbytes * np.arange(len(decoded), dtype=np.uint64)
        return found

    def together(self, decoded: Any, spec: ChunkSpec, device: Device) -> Any:
        """All chunks in one array (n, *chunk_shape) of the device, in order."""
        count, nbytes = len(self.entries), spec.nbytes or 0
        if not self.hit.any():
            return decoded
        memory = device.empty(count * nbytes)
        chunks = memory.view(spec.dtype).reshape(count, *spec.shape)
        if device.gpu:
            targets = device.address(memory) + nbytes * np.arange(count, dtype=np.uint64)
            gpu.tables.copy(device, self.addresses(decoded, device, nbytes), targets, np.full(count, nbytes))
            return chunks
        left = iter(decoded)
        for i, entry in enumerate(self.entries):
            chunks[i] = next(left) if entry is None else entry.chunk
        return chunks


def joined(found: Sequence[tuple[Known | None, int]]) -> Known | None:
    """What is known of runs of chunks, of so many chunks each, one after the other; None where nothing is of any."""
    if all(known is None for known, _ in found):
        return None
    each = [known or Known([None] * count, [None] * count) for known, count in found]
    return Known([e for known in each for e in known.entries], [v for known in each for v in known.versions])


def found_of(source: Source, device: Device, coords: np.ndarray, objects: Objects, route: Route) -> Found | None:
    """What the cache of an array has of the chunks that a route leads to, in `objects`; None where there is no cache
    for them."""
    if source.cache is None or (shelf := source.cache.shelf(source, device)) is None:
        return None
    return shelf.find_open(objects, route.objects.tolist(), list(map(tuple, coords.tolist())))


@dataclass(frozen=True)
class Keeper:
    """Keeps chunks at `coords` of one array that threads of the CPU decode one by one.

    Chunk i is of the object with the number `numbers[i]`; `stays[i]`: it may be kept, if its object has a version then.
    `kept`: those that were decoded to memory of their own.
    """

    shelf: Shelf
    coords: Sequence[Coords]
    numbers: Sequence[int]
    stays: Sequence[bool]
    since: float
    kept: list[tuple[int, np.ndarray]] = field(default_factory=list)

    @classmethod
    def of(cls, shelf: Shelf, coords: Sequence[Coords], objects: Objects, numbers: Sequence[int]) -> Keeper:
        """What keeps chunks, before they are read."""
        since, versions = time.monotonic(), objects.versions([None] * len(objects.keys))
        is_late, stay = tells_late(objects) or shelf.cache.max_age_seconds > 0, settled(objects)
        stays = [stay[i] and (is_late or versions[i] is not None) for i in numbers]
        return cls(shelf, coords, numbers, stays, since)

    def memory(self, i: int, spec: ChunkSpec) -> np.ndarray | None:
        """New memory for chunk i, if it may be kept, and there is any."""
        if not self.stays[i] or len(self.kept) >= self.shelf.cache.max_bytes // (spec.nbytes or 1):
            return None
        with suppress(MemoryError):
            return np.empty(spec.shape, spec.dtype)
        return None

    def keep(self, i: int, chunk: np.ndarray) -> None:
        """Keep chunk i, which nobody changes any more."""
        with suppress(MemoryError):
            self.kept.append((i, chunk))

    def calls(self, objects: Objects) -> list[Callable[[], None]]:
        """After the read: what to call when it is known that no object was replaced meanwhile."""
        told, calls = self.shelf.told(objects, {*self.numbers}, self.since), list[Callable[[], None]]()
        for i, chunk in self.kept:
            if (version := told[self.numbers[i]]) is not None:
                with suppress(MemoryError):
                    calls.append(self.shelf.keeping([self.coords[i]], chunk[None], [version]))
        return calls


def keeping(
    portions: Sequence[Portion], stored: np.ndarray, known: Known, decoded: Any, device: Device
) -> list[Callable[[], None]]:
    """Functions to call when a read is known to have gone well: they keep the chunks that it has decoded.

    `stored`: of the chunks of all portions, those that `decoded` (n, *chunk_shape) has, in order. On a GPU the copies
    that will be kept are made at once, in the order of the current stream.
    """
    versions = [v for entry, v in zip(known.entries, known.versions, strict=True) if entry is None]
    found: list[Callable[[], None]] = []
    first = done = 0
    for portion in portions:
        some = np.flatnonzero(stored[first : first + len(portion)])
        first, begin, done = first + len(portion), done, done + len(some)
        if portion.source.cache is not None and (shelf := portion.source.cache.shelf(portion.source, device)):
            found += _blocks(shelf, portion.coords[some], versions[begin:done], decoded[begin:done])
    return found


def _blocks(shelf: Shelf, coords: np.ndarray, versions: Sequence[Any], decoded: Any) -> Iterator[Callable[[], None]]:
    """Functions that keep copies of chunks, block by block; not of those without a version."""
    names, rows = list(map(tuple, coords.tolist())), shelf.rows(decoded[:1].nbytes)
    for is_nameless, run in groupby(range(len(names)), key=lambda i: versions[i] is None):
        numbers = [] if is_nameless or not rows else list(run)
        for some in (slice(i, min(i + rows, numbers[-1] + 1)) for i in numbers[:: rows or 1]):
            with suppress(MemoryError):  # a read does not fail for want of memory that it can do without
                yield shelf.keeping(names[some], decoded[some].copy(), versions[some])
