"""The part of a cache of decoded chunks for one array on one device, as reads use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.read.blocks import ENTRY_BYTES, Block, Coords, Entry, Key
from gpuzarr.read.unchanged import count_traffic
from gpuzarr.stores.contract import Objects, Store
from gpuzarr.stores.versions import looked_for, settled, versions_told

if TYPE_CHECKING:
    from gpuzarr.read.cache import ChunkCache

UNTOLD = "untold"  # version, while it is trusted, of an object of which nobody tells any
BLOCKS = 64  # of equal size, at least, fill a cache; but a block has at least one chunk


@dataclass(frozen=True)
class Shelf:
    """What a cache has, and keeps, of the chunks of one array on one device."""

    cache: ChunkCache
    key: Key
    device: Device

    def look(self, coords: Sequence[Coords], versions: Sequence[Any]) -> list[Entry | None]:
        """The chunks at `coords` that are kept, decoded from objects of these versions (None: no chunk is)."""
        return self.cache.look(self.key, coords, versions)

    def find(
        self, store: Store, keys: Sequence[str], numbers: Sequence[int], coords: Sequence[Coords], trace: Trace
    ) -> list[Entry | None]:
        """The chunks at `coords`, chunk i of the object `keys[numbers[i]]`, that are kept of the version that their
        objects have now. Only those of which something is kept are asked for."""
        held = self._held(coords, numbers)
        if not held:
            return [None] * len(coords)
        names, now = [keys[i] for i in held], time.monotonic()
        found = self.cache.recent(self.key.place, names)
        if unknown := [i for i, version in enumerate(found) if version is None]:
            told, traffic = versions_told(store, [names[i] for i in unknown])
            count_traffic([traffic], trace)
            self._confirm([names[i] for i in unknown], told, now)
            for i, version in zip(unknown, told, strict=True):
                found[i] = version
        of = dict(zip(held, found, strict=True))
        return self.look(coords, [of.get(number) for number in numbers])

    def find_open(self, objects: Objects, numbers: Sequence[int], coords: Sequence[Coords]) -> Found:
        """The same for chunks of objects that are open: chunk i is in the one with the number `numbers[i]`.

        Where others are read of an object of which chunks are trusted without a look, `changed` compares them.
        """
        known: list[Any] = [None] * len(objects.keys)
        held, trusted = self._held(coords, numbers), {}
        if held:
            recent = self.cache.recent(self.key.place, [objects.keys[i] for i in held])
            trusted = {i: version for i, version in zip(held, recent, strict=True) if version is not None}
        if trusted:
            entries = self.cache.kept(self.key, coords)
            for number, entry in zip(numbers, entries, strict=True):
                if number in trusted and (entry is None or entry.version != trusted[number]):
                    known[number] = trusted[number]  # something of it is read
        now, told = time.monotonic(), looked_for(objects, [i for i in held if i not in trusted], known)
        found = [trusted.get(i) if version is None else version for i, version in enumerate(told)]
        return Found(self, self.look(coords, [found[i] for i in numbers]), numbers, now)

    def rows(self, nbytes: int) -> int:
        """Chunks of `nbytes` bytes that are kept as one block; 0 if the cache cannot keep one."""
        each = nbytes + ENTRY_BYTES
        return max(self.cache.max_bytes // BLOCKS // each, int(each <= self.cache.max_bytes))

    def keeping(self, coords: Sequence[Coords], chunks: Any, versions: Sequence[Any]) -> Callable[[], None]:
        """Make a function that keeps chunks, an array (n, *chunk_shape) of the device that nobody changes any more."""
        return partial(self.cache.keep, Block(self.key, coords, chunks, self.device.address(chunks)), versions)

    def told(self, objects: Objects, read: AbstractSet[int], since: float) -> list[Any]:
        """Versions of objects, after those with the numbers `read` were read since a time (`time.monotonic`): those
        under which chunks may be kept; None of others."""
        found, stay = objects.versions([None] * len(objects.keys)), settled(objects)
        if self.cache.max_age_seconds:
            found = [UNTOLD if version is None and i in read else version for i, version in enumerate(found)]
        usable = [version if stays else None for version, stays in zip(found, stay, strict=True)]
        self._confirm(objects.keys, usable, since)
        return usable

    def _held(self, coords: Sequence[Coords], numbers: Sequence[int]) -> list[int]:
        """The numbers of the objects of which chunks at `coords` are kept, of whatever version."""
        entries = self.cache.kept(self.key, coords)
        return sorted({number for number, entry in zip(numbers, entries, strict=True) if entry is not None})

    def _confirm(self, keys: Sequence[str], versions: Sequence[Any], now: float) -> None:
        self.cache.confirm(self.key.place, keys, versions, now)


@dataclass(frozen=True)
class Found:
    """What a shelf has of some chunks, each in the open object with the number `numbers[i]`; None for those that must
    be read. `since`: the time before that was looked for."""

    shelf: Shelf
    entries: Sequence[Entry | None]
    numbers: Sequence[int]
    since: float

    @cached_property
    def hit(self) -> np.ndarray:
        """Whether each chunk is kept."""
        return np.array([entry is not None for entry in self.entries], bool)

    def take(self, which: np.ndarray) -> Found:
        """What there is of some of the chunks, those of a mask."""
        some = np.flatnonzero(which).tolist()
        return replace(self, entries=[self.entries[i] for i in some], numbers=[self.numbers[i] for i in some])

    def versions(self, objects: Objects) -> list[Any]:
        """After the others were read: the versions under which each may be kept, None where not."""
        missed = {number for number, entry in zip(self.numbers, self.entries, strict=True) if entry is None}
        told = self.shelf.told(objects, missed, self.since)
        return [told[number] for number in self.numbers]
