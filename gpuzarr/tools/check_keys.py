"""Which objects below an array are its chunks, and what the others are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

import numpy as np

from gpuzarr.errors import StoreError
from gpuzarr.interrupts import within
from gpuzarr.metadata import ChunkKeys
from gpuzarr.metadata.files import FILES
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.misplaced import problem
from gpuzarr.stores.contract import Objects, expect_at_most
from gpuzarr.stores.ranges import MISSING
from gpuzarr.tools.check_indexes import Objs
from gpuzarr.tools.check_report import Finding, Severity

BATCH_OBJECTS = 1 << 14  # that are looked at together
ASKED_OBJECTS = 256  # whose lengths are asked for together, where nothing can be listed
MAX_ASKED_OBJECTS = 1 << 20  # of an array
FOREIGN = (".nczarray", ".nczgroup", ".nczattrs", ".nczattr")  # documents of NCZarr
Note = Callable[[Finding], object]


@dataclass
class _Others:
    """What is below an array and no chunk: the first of each kind, and how many."""

    found: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        kind = finding.kind, finding.severity
        known = self.found.get(kind)
        self.found[kind] = finding if known is None else replace(known, count=known.count + 1)


def objects_of(array: Array, note: Note) -> Iterator[Objs]:
    """The objects that hold the chunks of an array, some at a time; what else is there is noted at the end."""
    keys = array.metadata.chunk_keys
    if isinstance(keys, ChunkKeys) and _can_list(array):
        yield from _listed(array, keys, note)
    else:
        yield from _asked(array, note)


def _can_list(array: Array) -> bool:
    """Whether the store of an array can list its keys; web servers cannot. True where that fails for another reason."""
    try:
        next(iter(array.store.objects(array.path)), None)
    except StoreError as error:
        return error.errno is not None
    return True


def _listed(array: Array, keys: ChunkKeys, note: Note) -> Iterator[Objs]:
    others, some, is_any = _Others(), list[tuple[str, tuple[int, ...], int]](), False
    grid = array.layout.grid(0)
    listing = iter(array.store.objects(array.path))
    while True:
        try:
            key, size = next(listing)
        except StopIteration:
            break
        except StoreError as error:  # such as a folder that may not be read
            note(Finding("error", "unreadable", array.path, f"not all of its objects can be listed: {error}"))
            break
        coords = _coords(key, array.path, keys, len(grid))
        if coords is None:
            _other(key, array.path, others)
        elif not all(map(int.__lt__, coords, grid)):
            text = "there are chunks outside of the shape of the array, which nobody reads"
            others.add(Finding("warning", "outside-grid", array.path, text, key, coords))
        else:
            is_any = True
            some.append((key, coords, size))
            if len(some) == BATCH_OBJECTS:
                yield _made(some, len(grid))
                some = []
    if some:
        yield _made(some, len(grid))
    if not is_any and (found := problem(array)) is not None:
        note(Finding("error", "misplaced", array.path, found))
    for finding in others.found.values():
        note(finding)


def _coords(key: str, path: str, keys: ChunkKeys, ndim: int) -> tuple[int, ...] | None:
    """The coordinates that a key means; None if it is not the key of a chunk."""
    if not ndim:
        return () if key == (f"{path}/{keys.scalar}" if path else keys.scalar) else None
    coords = keys.decode(key, path)
    return coords if coords is not None and len(coords) == ndim else None


def _other(key: str, path: str, others: _Others) -> None:
    """Note an object that is no chunk, unless it is a document of the array."""
    inside = key[len(path) + 1 :] if path else key
    folder, _, name = inside.rpartition("/")
    if name in FILES or name in FOREIGN:
        if folder:
            text = "a node lies inside of an array, where nobody finds it"
            others.add(Finding("warning", "node-in-array", path, text, key))
    elif name.endswith(".partial"):
        text = "a file of a write that did not end, it seems: of another library, so delete it if nothing is writing"
        others.add(Finding("warning", "partial-file", path, text, key))
    else:
        others.add(Finding(stray_severity(name), "stray-object", path, "an object that is no chunk of the array", key))


def stray_severity(name: str) -> Severity:
    """How bad an object of this name is that belongs to nobody: one whose name begins as those of chunks do may be one
    that is missing elsewhere; others, as README and .DS_Store, do no harm."""
    return "warning" if name[:1].isdecimal() or name == "c" or name.startswith("c.") else "note"


def _made(some: list[tuple[str, tuple[int, ...], int]], ndim: int) -> Objs:
    keys, coords, sizes = zip(*some, strict=True)
    return Objs(list(keys), np.array(coords, np.int64).reshape(len(keys), ndim), np.array(sizes, np.int64))


def _asked(array: Array, note: Note) -> Iterator[Objs]:
    """The same where nothing can be listed, or nobody knows what keys mean: every key is asked for."""
    grid = array.layout.grid(0)
    if (count := prod(grid)) > MAX_ASKED_OBJECTS:
        text = f"its store cannot be listed, and {count:,} keys are too many to try: no chunk was checked"
        note(Finding("note", "not-checked", array.path, text))
        return
    waiting: list[tuple[int, ...]] = []
    for coords in product(*map(range, grid)):
        waiting.append(coords)
        if len(waiting) == ASKED_OBJECTS:
            yield from _lengths(array, waiting, note)
            waiting = []
    if waiting:
        yield from _lengths(array, waiting, note)


def _lengths(array: Array, coords: list[tuple[int, ...]], note: Note) -> Iterator[Objs]:
    places = np.array(coords, np.int64).reshape(len(coords), -1)
    keys = array.layout.keys(places)

    def asked(objects: Objects) -> np.ndarray:
        expect_at_most(objects, 0)
        return np.array(objects.lengths(), np.int64)

    try:
        sizes = within(array.store.open(keys), asked)
    except StoreError as error:
        note(Finding("error", "unreadable", array.path, str(error), keys[0], count=len(keys)))
        return
    there = np.flatnonzero(sizes != MISSING)
    if len(there):
        yield Objs([keys[i] for i in there.tolist()], places[there], sizes[there])
