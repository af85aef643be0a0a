"""Cache of decoded chunks: what a read has decoded stays for later reads, of any array of the same data.

A chunk is known by its array (the place in the store, and what the metadata says of chunks), its coordinates and the
device; it is used again while its object in the store has the same version, which every read asks, unless the cache was
told to trust it for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import inf, prod
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakKeyDictionary

from gpuzarr.checks import shown
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Locator
from gpuzarr.per_process import PerProcess
from gpuzarr.read.blocks import Block, Blocks, Coords, Entry, Key
from gpuzarr.read.confirmed import Confirmed
from gpuzarr.read.memory import parse_bytes
from gpuzarr.read.shelf import Shelf
from gpuzarr.stores import kept
from gpuzarr.stores.identity import Identity, identity, lies_in

if TYPE_CHECKING:
    from gpuzarr.read.source import Source


class ChunkCache:
    """Memory in which decoded chunks stay for later reads: `gpuzarr.open(..., cache=...)` takes it.

    Arrays and stores may share one. A read asks the store for the version of each object of which a chunk is kept, and
    decodes the chunk again if it was changed; what this process itself writes or deletes is dropped at once. For files
    that is a call of the system. An object store, or a web server, has to be asked by a request, all objects of a read
    at once: nothing comes but its headers, and `max_age_seconds` says how long its answer is trusted. Chunks are kept
    where their array is read: in host memory, or in that of a GPU. The ones not used for the longest time go first.
    Not kept are chunks of a store that knows no versions (such as a dict, or a web server without ETags; with
    `max_age_seconds` they are, for as long), of an object that was changed a moment before it was read, of elements of
    variable length, those that a CPU need not decode, and those larger than the cache.

    Threads may share it; two that miss a chunk at the same time both decode it. A forked child, and a process to which
    it is sent (with an array, by pickle), begin with an empty one of the same size. `gpuzarr.release()` empties it.

    Parameters
    ----------
    max_bytes
        Bytes (an int, or a text such as "1GiB") of decoded chunks that are kept at most, on all devices together.
    max_age_seconds
        Seconds for which an object is taken to be unchanged after a read, or a look, has told its version: a chunk that
        is found here then costs no request, and may be so many seconds old if somebody else has changed it. Default: 0,
        no read returns what is out of date. "infinity": chunks are never compared, for data that nobody changes.
        `Array.refresh` has the next read ask again.

    Attributes
    ----------
    max_bytes, nbytes
        Bytes that may be kept, and that are kept now.
    max_age_seconds
        As it was given; a float.
    hits, misses
        Chunks that reads have found here, and those that they had to decode.

    Examples
    --------
    >>> cache = gpuzarr.ChunkCache("64MiB")
    >>> gpuzarr.save("store.zarr", np.arange(6))
    >>> a = gpuzarr.open("store.zarr", cache=cache)
    >>> a[1:3]
    array([1, 2])
    >>> cache.max_bytes
    67108864
    """

    def __init__(self, max_bytes: int | str, max_age_seconds: float | Literal["infinity"] = 0) -> None:
        self._max_bytes = parse_bytes(max_bytes, "max_bytes")
        self._max_age_seconds = _seconds(max_age_seconds)
        self._blocks, self._confirmed = PerProcess(Blocks), PerProcess(Confirmed)
        self._keys: WeakKeyDictionary[Locator, dict[str, Key | None]] = WeakKeyDictionary()
        kept.join(self)

    @classmethod
    def of(cls, cache: Any) -> ChunkCache:
        """A cache of so many bytes, or the one that is given. ArgumentError for anything else."""
        if isinstance(cache, cls):
            return cache
        if not isinstance(cache, Integral | str):
            expected = "a number of bytes, a text such as '1GiB', or a ChunkCache"
            raise ArgumentError(f"cache must be {expected}, not {shown(cache)}")
        return cls(parse_bytes(cast(Any, cache), "cache"))

    def __reduce__(self) -> tuple[Any, ...]:
        return ChunkCache, (self._max_bytes, self._max_age_seconds)

    def __repr__(self) -> str:
        return f"<gpuzarr.ChunkCache {self.nbytes} of {self.max_bytes} bytes, {len(self)} chunks>"

    def __len__(self) -> int:
        """The number of chunks that are kept."""
        blocks = self._blocks.value
        with blocks.lock:
            return sum(map(len, blocks.of.values()))

    @property
    def max_bytes(self) -> int:
        """Bytes that may be kept."""
        return self._max_bytes

    @property
    def max_age_seconds(self) -> float:
        """Seconds for which an object is taken to be unchanged."""
        return self._max_age_seconds

    @property
    def nbytes(self) -> int:
        """Bytes that are kept now: of decoded chunks, and a little for each."""
        return self._blocks.value.nbytes

    @property
    def hits(self) -> int:
        """Chunks that reads of this process have found here."""
        return self._blocks.value.hits

    @property
    def misses(self) -> int:
        """Chunks that reads of this process have looked for here, and had to decode."""
        return self._blocks.value.misses

    def clear(self) -> None:
        """Drop all chunks. The counts of hits and misses stay.

        Examples
        --------
        >>> cache = gpuzarr.ChunkCache("1GiB")
        >>> cache.clear()
        >>> cache.nbytes, cache.max_bytes, len(cache)
        (0, 1073741824, 0)
        """
        blocks = self._blocks.value
        self._confirmed.value.clear()
        with blocks.lock:
            while blocks.in_order:
                blocks.drop(next(iter(blocks.in_order)))

    def forget(self, place: Identity, box: Sequence[range] | None = None) -> None:
        """Drop the chunks of arrays at a place of a store and below it; with `box` only those in these ranges."""
        blocks = self._blocks.value
        self.doubt(place)
        with blocks.lock:
            for key in [key for key in blocks.of if lies_in(key.place, place)]:
                found = blocks.of.get(key, {})
                if box is None:
                    some: Iterable[Coords] = list(found)
                elif prod(map(len, box)) < len(found):
                    some = product(*box)
                else:
                    some = [c for c in found if all(i in r for i, r in zip(c, box, strict=False))]
                for coords in some:
                    blocks.forget(key, coords)

    def doubt(self, place: Identity) -> None:
        """Have the next read ask for the versions of the objects at a place of a store and below it."""
        self._confirmed.value.forget(place)

    def recent(self, place: Identity, keys: Sequence[str]) -> list[Any]:
        """Versions of an array's objects that are to be trusted; None of those that must be asked for."""
        if not self._max_age_seconds:
            return [None] * len(keys)
        return self._confirmed.value.recent(place, keys, self._max_age_seconds)

    def confirm(self, place: Identity, keys: Sequence[str], versions: Sequence[Any], now: float) -> None:
        """Note that objects had these versions at a time (`time.monotonic`)."""
        if self._max_age_seconds:
            self._confirmed.value.add(place, keys, versions, now)

    def shelf(self, source: Source, device: Device) -> Shelf | None:
        """The part for the chunks of an array, decoded on a device; None where they are not kept."""
        if (known := self._keys.get(source.locator)) is None:
            known = self._keys[source.locator] = {}
        if device.name not in known:
            signature = _signature(source.layout, device)
            place = identity(source.store, source.path)
            known[device.name] = None if signature is None else Key(place, signature, device.name)
        key = known[device.name]
        return None if key is None else Shelf(self, key, device)

    def count(self, hits: int, misses: int) -> None:
        """Add to the counts."""
        blocks = self._blocks.value
        with blocks.lock:
            blocks.hits += hits
            blocks.misses += misses

    def kept(self, key: Key, coords: Sequence[Coords]) -> list[Entry | None]:
        """The chunks at `coords` that are kept, of any version."""
        return list(map(self._blocks.value.of.get(key, {}).get, coords))

    def look(self, key: Key, coords: Sequence[Coords], versions: Sequence[Any]) -> list[Entry | None]:
        """The chunks at `coords` that are kept of these versions; older ones are dropped."""
        blocks = self._blocks.value
        with blocks.lock:
            entries = list(map(blocks.of.get(key, {}).get, coords))
            found = [e if e is not None and e[0] == v else None for e, v in zip(entries, versions, strict=True)]
            for block in {entry.block: None for entry in found if entry is not None}:
                if block in blocks.in_order:
                    blocks.in_order.move_to_end(block)
            if found.count(None) > entries.count(None):
                for at, entry, same in zip(coords, entries, found, strict=True):
                    if entry is not None and same is None:
                        blocks.forget(key, at)
        return found

    def keep(self, block: Block, versions: Sequence[Any]) -> None:
        """Keep a block of chunks, decoded from objects of these versions."""
        blocks = self._blocks.value
        if block.nbytes <= self._max_bytes:
            with blocks.lock:
                blocks.add(block, versions, self._max_bytes)


def _seconds(given: Any) -> float:
    """A number of seconds, or infinity. ArgumentError for anything else."""
    if given == "infinity":
        return inf
    if isinstance(given, Real) and not isinstance(given, bool) and float(given) >= 0:
        return float(given)
    raise ArgumentError(f"max_age_seconds must be a number of seconds, or 'infinity', not {shown(given)}")


def _signature(layout: Layout, device: Device) -> str | None:
    """`Layout.signature` of an array; None where its chunks are not kept on the device.

    Of elements of variable length nobody knows the bytes. The operating system keeps files, so a CPU gains nothing
    where they have the elements as they are.
    """
    is_as_stored = not device.gpu and layout.chain(layout.first_chunk_shape).is_uncompressed
    return None if layout.spec.nbytes is None or is_as_stored else layout.signature
