"""What of an array was not written: by its journal, or by what the store holds."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import NoMemoryError, UnsupportedCallError
from gpuzarr.metadata import ChunkKeys
from gpuzarr.nodes.regions import MAX_REGIONS, regions
from gpuzarr.stores.keys import listed_keys
from gpuzarr.write.coverage import Bounds, common
from gpuzarr.write.journal import MAX_SHARDS, Journal
from gpuzarr.write.objects import bounds_of_object


def done_shards(array: Any) -> np.ndarray:
    """Which shards (chunks, where there are no shards) are done: bool, in the shape of their grid.

    As the journal says; where there is none, those that are in the store.
    """
    journal = Journal(array.store, array.path, array.layout)
    return journal.done if journal.exists else stored_shards(array)


def stored_shards(array: Any) -> np.ndarray:
    """Which shards are objects of the store: bool, in the shape of their grid. Lists the store."""
    keys, counts = array.metadata.chunk_keys, array.layout.grid(0)
    if prod([n or 1 for n in counts]) > MAX_SHARDS:
        raise NoMemoryError(f"{prod(counts)} shards of {array!r} are too many for a list")
    if not isinstance(keys, ChunkKeys):
        raise UnsupportedCallError(f"nobody can tell which keys of {array!r} are chunks: {keys!r} only makes keys")
    found = np.zeros(counts, bool)
    for key in listed_keys(array.store, array.path):
        coords = keys.decode(key, array.path) if counts else None
        if coords is not None and len(coords) == len(counts) and all(map(int.__lt__, coords, counts)):
            found[coords] = True
        elif not counts and key == f"{array.path}/{keys.scalar}".lstrip("/"):
            found[()] = True
    return found


def missing(array: Any, rank: int, world_size: int) -> list[tuple[slice, ...]]:
    """The shards of worker `rank` that are not done; see `Array.missing_shards`."""
    owned = regions(array.layout.outer.axes, rank, world_size)
    left = coords_left(array, done_shards(array))
    boxes = (bounds_of_object(array.layout, tuple(coords)) for coords in left.tolist())
    return [as_slices(box) for box in boxes if any(common(box, as_bounds(region)) == box for region in owned)]


def coords_left(array: Any, done: np.ndarray) -> np.ndarray:
    """The places of the shards that are not done, (n, ndim). NoMemoryError where they are too many for a list."""
    left = ~done
    if (count := int(np.count_nonzero(left))) > MAX_REGIONS:
        raise NoMemoryError(f"{count} missing shards of {array!r} are too many for a list")
    return np.argwhere(left)


def as_slices(bounds: Bounds) -> tuple[slice, ...]:
    """A box as a selection."""
    return tuple(slice(a, b) for a, b in bounds)


def as_bounds(region: tuple[slice, ...]) -> Bounds:
    """A selection of slices from start to stop as a box."""
    return tuple((each.start, each.stop) for each in region)
