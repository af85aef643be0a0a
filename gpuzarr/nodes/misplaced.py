"""Find out why a read has met no chunk: maybe chunks lie under other keys than those that the metadata say.

Then an array reads as its fill value, and nobody knows. The folder of the array is looked at once, and not all of it.
Objects whose names are no coordinates, such as README or .DS_Store, are nobody's chunks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from gpuzarr.errors import GpuZarrError, MisplacedChunksWarning, warn
from gpuzarr.interrupts import within
from gpuzarr.metadata import ArrayMetadata, ChunkKeys
from gpuzarr.metadata.files import FILES
from gpuzarr.stores.contract import Objects, Store
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.versions import looked_for

MAX_LISTED_FOLDERS = 64
MAX_NAMED_OBJECTS = 64  # of a folder, after those that may be chunks
_NUMBERS = re.compile(r"(?:(?P<folder>.+?)/)??(?P<prefix>c[./])?(?P<numbers>\d+(?:[./]\d+)*)")
Names = Callable[[str], list[str]]


class HasChunks(Protocol):
    """The members of an array that these functions use."""

    metadata: ArrayMetadata
    has_looked: bool

    @property
    def store(self) -> Store: ...

    @property
    def path(self) -> str: ...


def warn_if_misplaced(array: HasChunks) -> None:
    """Warn, once for an array of which no chunk was found, if something else lies where its chunks should."""
    if array.has_looked:
        return
    array.has_looked = True
    if (found := problem(array)) is not None:
        warn(found, MisplacedChunksWarning)


def problem(array: HasChunks) -> str | None:
    """Say what lies in the place of chunks, and the likely repair; None if there are chunks, or nothing."""
    keys, ndim = array.metadata.chunk_keys, len(array.metadata.shape)
    if not isinstance(keys, ChunkKeys):
        return None  # nobody knows what is right
    try:
        found = next(_others(array, keys, ndim), None)
    except GpuZarrError:
        return None
    if found is None:
        return None
    wanted = keys.encode(np.zeros((1, ndim), np.int64))[0]
    place = f"{array.path}/" if array.path else ""
    repair = _repair(found, keys, ndim, array.metadata)
    return (
        f"array {'/' + array.path!r} of {array.store!r} has no chunk, and reads as its fill value: the first has "
        f"the key {place + wanted!r}, but there is {place + found!r}. {repair}"
    )


def _others(array: HasChunks, keys: ChunkKeys, ndim: int) -> Iterator[str]:
    """Objects that are chunks under other keys, it seems; nothing if there is a chunk."""
    found: list[str] = []
    for name in _objects(array, keys, ndim):
        if _is_chunk(name, keys, ndim):
            return
        if len(found) < MAX_NAMED_OBJECTS and _seems_chunk(name, ndim):
            found.append(name)
    yield from sorted(found)


def _is_chunk(name: str, keys: ChunkKeys, ndim: int) -> bool:
    if ndim == 0:
        return name == keys.scalar
    coords = keys.decode(name, "")
    return coords is not None and len(coords) == ndim


def _seems_chunk(name: str, ndim: int) -> bool:
    """True for coordinates; in a folder of another name, for those of as many axes."""
    match = _NUMBERS.fullmatch(name)
    if match is None or not match["folder"]:
        return match is not None or (ndim == 0 and name == "c")
    is_hidden = any(part.startswith((".", "_")) for part in match["folder"].split("/"))
    return not is_hidden and _count(match["numbers"]) == max(ndim, 1)


def _count(numbers: str) -> int:
    return len(re.split("[./]", numbers))


def _objects(array: HasChunks, keys: ChunkKeys, ndim: int) -> Iterator[str]:
    """Some of the objects of an array that are no documents, nor of nodes below it: those first that may be chunks."""
    mapping = getattr(array.store, "mapping", None)
    start = f"{array.path}/" if array.path else ""
    if mapping is not None and getattr(array.store, "has_cheap_lengths", False):
        return _held(mapping, start)
    if mapping is not None or not array.store.has_cheap_lengths:  # which may be remote, and slow to list
        encodings = [ChunkKeys(prefix, separator, prefix or "0") for prefix in ("c", "") for separator in "./"]
        names = sorted({each.encode(np.zeros((1, ndim), np.int64))[0] for each in [keys, *encodings]})
        if mapping is not None:
            return iter([name for name in names if start + name in mapping])
        found = within(array.store.open([start + name for name in names]), _lengths)
        return (name for name, length in zip(names, found, strict=True) if length != MISSING)
    below = _below(array.store.names, start, keys)
    return (name for name in below if name and _is_object(array.store, start + name))


def _held(mapping: Mapping[str, object], start: str) -> Iterator[str]:
    """The objects below a prefix of a mapping in memory, without those of nodes."""
    for key in list(mapping):
        if isinstance(key, str) and key.startswith(start):
            name = key[len(start) :]
            folders = [name[:i] for i, character in enumerate(name) if character == "/"]
            if not any(f"{start}{folder}/{file}" in mapping for folder in folders for file in FILES):
                yield name


def _lengths(objects: Objects) -> Sequence[int]:
    """Bytes of objects, of which none is fetched where the store can be asked."""
    looked_for(objects, range(len(objects.keys)), [None] * len(objects.keys))
    return objects.lengths()


def _is_object(store: Store, key: str) -> bool:
    """False for a folder that is empty."""
    return within(store.open([key]), lambda objects: objects.lengths()[0]) != MISSING


def _below(names: Names, start: str, keys: ChunkKeys) -> Iterator[str]:
    waiting = [""]
    for _ in range(MAX_LISTED_FOLDERS):
        if not waiting:
            return
        folder = waiting.pop()
        members = names((start + folder).rstrip("/"))
        if not members:
            yield folder.rstrip("/")
        elif not folder or not {*FILES} & {*members}:  # else it is a node
            some = [name for name in members if not name.startswith((".", "_")) and not name.endswith(".json")]
            first = sorted(some, key=lambda name: not _may_be_chunk(folder + name, keys))[:MAX_NAMED_OBJECTS]
            waiting += [f"{folder}{name}/" for name in reversed(first)]


def _may_be_chunk(name: str, keys: ChunkKeys) -> bool:
    """True for a key of a chunk, or the beginning of one."""
    head, rest = (name[:2], name[2:]) if keys.prefix and name != keys.prefix else (f"c{keys.separator}", name)
    return name == keys.prefix or (head == f"c{keys.separator}" and rest.replace(keys.separator, "").isdecimal())


def _repair(found: str, keys: ChunkKeys, ndim: int, metadata: ArrayMetadata) -> str:
    """Say what would make a chunk of what was found."""
    match = _NUMBERS.fullmatch(found)
    if match is None:
        return "That is the key of an array without axes in another version of Zarr."
    if match["folder"]:
        return f"Chunks seem to lie one level deeper: move them up from {match['folder']!r}."
    count = _count(match["numbers"])
    if count != ndim:
        return f"That is a key for {count} axes, and the array has {ndim}."
    separator = "/" if "/" in match["numbers"] else "." if "." in match["numbers"] else (match["prefix"] or "..")[1]
    if metadata.zarr_format == 2 and match["prefix"]:
        return "That is a key of Zarr v3: is there a 'zarr.json' for this array?"
    if metadata.zarr_format == 2:
        return f'If these are its chunks, write "dimension_separator": "{separator}" into .zarray.'
    name = "default" if match["prefix"] else "v2"
    encoding = f'{{"name": "{name}", "configuration": {{"separator": "{separator}"}}}}'
    return f'If these are its chunks, write "chunk_key_encoding": {encoding} into zarr.json.'
