"""Check the indexes of shards: that they can be decoded, and that chunks lie in the shard, each at a place of its own.

Source of the format: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from gpuzarr.errors import ChunkError, CodecError, GpuZarrError, StoreError
from gpuzarr.indexing.shard_indexes import CODEC_NAME, Shards
from gpuzarr.interrupts import within
from gpuzarr.nodes.array import Array
from gpuzarr.read.faults import halved
from gpuzarr.stores.contract import Objects
from gpuzarr.stores.ranges import Ranges
from gpuzarr.tools.check_report import Finding

MAX_INNER_CHUNKS = 1 << 20  # of the shards that are looked at together


@dataclass(frozen=True)
class Objs:
    """Objects of an array that hold its shards: their keys, coordinates int64 (n, ndim), and bytes int64 (n,)."""

    keys: list[str]
    coords: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def split(self, most: int) -> Iterator[Objs]:
        """The same in parts of at most so many objects."""
        for i in range(0, len(self.keys), most):
            yield Objs(self.keys[i : i + most], self.coords[i : i + most], self.sizes[i : i + most])


@dataclass(frozen=True)
class Inner:
    """Innermost chunks that indexes say are there: coordinates int64 (n, ndim), and stored bytes int64 (n,)."""

    coords: np.ndarray
    sizes: np.ndarray


def inner_chunks(array: Array, objects: Objs, note: Callable[[Finding], object]) -> Iterator[Inner]:
    """The chunks in shards whose indexes are right; what is wrong with others is noted."""
    counts = array.layout.per_object
    if (count := prod(counts)) > MAX_INNER_CHUNKS:
        text = f"its shards have {count:,} chunks each, more than are looked at: nothing of them was checked"
        note(Finding("note", "not-checked", array.path, text))
        return
    for some in objects.split(max(MAX_INNER_CHUNKS // max(count, 1), 1)):
        found: list[Inner] = []
        halved(some, lambda part: found.append(_read(array, part, note)), lambda one, e: _bad(array, one, e, note))  # noqa: B023
        yield from found


def _bad(array: Array, one: Objs, error: GpuZarrError, note: Callable[[Finding], object]) -> None:
    """Note that the index of a shard cannot be read."""
    chunk = tuple(one.coords[0].tolist())
    if isinstance(error, StoreError):
        note(Finding("error", "unreadable", array.path, str(error), one.keys[0], chunk))
        return
    problem = error.problem if isinstance(error, ChunkError) else str(error)
    text = f"the index of shard {chunk} is damaged, so that no chunk of the shard can be read: {problem}"
    note(Finding("error", "shard-index", array.path, text, one.keys[0], codec=CODEC_NAME, repair="delete-shard"))


def _read(array: Array, some: Objs, note: Callable[[Finding], object]) -> Inner:
    """The chunks in these shards. ChunkError or StoreError where an index cannot be read."""
    try:
        return within(array.store.open(some.keys, CPU_READERS), lambda objects: _opened(array, some, objects, note))
    except CodecError as error:
        raise array.layout.outer.chunk_error(error, some.coords, array.store, array.path) from error


CPU_READERS = 1  # threads that read indexes; a remote store makes many requests at once whatever this is


def _opened(array: Array, some: Objs, objects: Objects, note: Callable[[Finding], object]) -> Inner:
    level = array.layout.levels[0]
    shards = Shards(0, some.coords.tolist(), Ranges.whole(some.keys))
    entries = np.stack(array.locator.indexes.entries(shards, objects, {}))
    numbers = _all_places(level.counts)
    of, number = np.nonzero(entries[..., 0] >= 0)
    begins, sizes = entries[of, number].T
    coords = some.coords[of] * np.array(level.counts, np.int64) + numbers[number]
    grid = np.array(array.layout.grid(1), np.int64)
    is_inside: np.ndarray = np.logical_and.reduce(coords < grid, axis=1)
    if (outside := np.flatnonzero(~is_inside)).size:
        text = "a shard has chunks outside of the shape of the array, which nobody reads"
        first = tuple(coords[outside[0]].tolist())
        key = some.keys[of[outside[0]]]
        note(Finding("note", "outside-grid", array.path, text, key, first, count=len(outside)))
    wrong = _wrong_places(some, of, begins, sizes, level.index_bytes, level.codec.index_location)
    for where, problem in wrong.items():
        if is_inside[where]:
            chunk = _first_chunk(array, coords[where])
            at = some.keys[of[where]], chunk, CODEC_NAME
            note(Finding("error", "shard-index", array.path, problem, *at, repair="fill-chunk"))
    good = is_inside.copy()
    good[list(wrong)] = False
    found = Inner(coords[good], sizes[good])
    return found if len(array.layout.levels) == 1 else _innermost(array, found, objects, some, note)


def _all_places(counts: Sequence[int]) -> np.ndarray:
    """The places in a grid in C order, int64 (n, ndim): one in a grid of no axes."""
    return np.array(list(np.ndindex(*counts)), np.int64).reshape(prod(counts), len(counts))


def _first_chunk(array: Array, coords: np.ndarray) -> tuple[int, ...]:
    """The first innermost chunk of the one at `coords` in the outermost shards."""
    counts = np.ones(len(coords), np.int64)
    for level in array.layout.levels[1:]:
        counts *= np.array(level.counts, np.int64)
    return tuple((coords * counts).tolist())


def _wrong_places(
    some: Objs, of: np.ndarray, begins: np.ndarray, sizes: np.ndarray, index_bytes: int, location: str
) -> dict[int, str]:
    """What is wrong with the places of chunks, by their numbers: they leave the shard, or lie in each other's bytes."""
    found: dict[int, str] = {}
    first, last = (index_bytes, 0) if location == "start" else (0, index_bytes)
    ends = begins + sizes
    for i in np.flatnonzero(ends > some.sizes[of]).tolist():
        place = f"bytes {begins[i]} to {ends[i]}, but the shard has {some.sizes[of[i]]}"
        found[i] = f"the shard index puts a chunk at {place}: the shard is cut off, or the index is damaged"
    for i in np.flatnonzero((begins < first) | (ends > some.sizes[of] - last)).tolist():
        if sizes[i]:
            found.setdefault(i, f"the shard index puts a chunk at bytes {begins[i]} to {ends[i]}, which are the index")
    return _overlaps(of, begins, sizes, found)


def _overlaps(of: np.ndarray, begins: np.ndarray, sizes: np.ndarray, found: dict[int, str]) -> dict[int, str]:
    """`found`, with chunks that lie in the bytes of another of the same shard (`of`: its number)."""
    ends = begins + sizes
    order = np.lexsort((ends, begins, of))
    before, after = order[:-1], order[1:]
    is_same = (begins[before] == begins[after]) & (sizes[before] == sizes[after])  # which no reader minds
    overlap = (of[before] == of[after]) & (begins[after] < ends[before]) & (sizes[after] > 0) & ~is_same
    for a, b in zip(before[overlap].tolist(), after[overlap].tolist(), strict=True):
        if not {a, b} & found.keys():
            places = f"{begins[a]} to {ends[a]}, and {begins[b]} to {ends[b]}"
            found[b] = f"the shard index puts two chunks at bytes that overlap: {places}"
    return found


def _innermost(array: Array, outer: Inner, objects: Objects, some: Objs, note: Callable[[Finding], object]) -> Inner:
    """The innermost chunks of shards in shards, of which `outer` says which are there."""
    layout = array.layout
    counts = [prod(n) for n in zip(*(level.counts for level in layout.levels[1:]), strict=True)]
    inside, grid = _all_places(counts), np.array(layout.grid(len(layout.levels)), np.int64)
    found = [Inner(np.zeros((0, len(counts)), np.int64), np.zeros(0, np.int64))]
    for first in outer.coords * np.array(counts, np.int64):
        part = first + inside
        one = _in_one(array, part[(part < grid).all(axis=1)], note)
        found += [] if one is None else [one]
    return Inner(np.concatenate([one.coords for one in found]), np.concatenate([one.sizes for one in found]))


def _in_one(array: Array, part: np.ndarray, note: Callable[[Finding], object]) -> Inner | None:
    """Those of the chunks at `part`, of one shard in a shard, that are there; None if its index is damaged."""
    try:
        route = array.locator.route(part)
        located = within(array.store.open(route.keys), lambda opened: array.locator.locate(route, opened, {}))
    except CodecError as error:
        text = f"the index of a shard in a shard is damaged: {error}"
        _note_place(array, part[error.index or 0], text, note)
        return None
    coords, ranges = part[located.present], located.ranges
    begins, sizes = ranges.offsets[located.present], ranges.sizes[located.present]
    wrong = _overlaps(np.zeros(len(sizes), np.int64), begins, sizes, {}) if len(array.layout.levels) == 2 else {}
    for where, problem in wrong.items():
        _note_place(array, coords[where], problem, note)
    good = np.ones(len(sizes), bool)
    good[list(wrong)] = False
    return Inner(coords[good], sizes[good])


def _note_place(array: Array, coords: np.ndarray, text: str, note: Callable[[Finding], object]) -> None:
    chunk = tuple(coords.tolist())
    at = array.layout.key(chunk), chunk, CODEC_NAME
    note(Finding("error", "shard-index", array.path, text, *at, repair="fill-chunk"))
