"""Change the shape of a stored array, and divide an array among workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import MetadataError, NotFoundError, ValueKindError
from gpuzarr.indexing.layout import Layout, layout
from gpuzarr.interrupts import within
from gpuzarr.metadata import ArrayMetadata, Axis, RectilinearAxis, files
from gpuzarr.metadata import v2 as metadata_v2
from gpuzarr.metadata import v3 as metadata_v3
from gpuzarr.stores.contract import Store, overwrite

MAX_DELETED_KEYS = 1 << 14  # at once
Shape = tuple[int, ...]


def change_shape(store: Store, path: str, known: ArrayMetadata, new: Callable[[Shape], Shape]) -> ArrayMetadata:
    """Give the stored array the shape `new(old shape)`, and return its metadata. Chunks outside are deleted."""
    name = "zarr.json" if known.zarr_format == 3 else ".zarray"

    def change(_: object) -> ArrayMetadata:
        document = files.read(store, path, name)
        if document is None:
            raise NotFoundError(f"{files.key(path, name)!r} is missing in {store!r}: it was deleted meanwhile")
        old = _parsed(document, known)
        shape = tuple(int(n) for n in new(old.shape))
        if len(shape) != len(old.shape) or any(n < 0 for n in shape):
            raise MetadataError(f"an array of shape {old.shape} cannot become one of shape {shape}")
        made = _parsed({**document, "shape": list(shape)}, known)
        files.write(store, path, name, made.document)
        _delete_outside(store, layout(old, path).outer, layout(made, path).outer)  # nobody grows it again meanwhile
        return made

    return within(store.locked([files.lock(path)]), change)


def appended(shape: Shape, data: Shape, axis: int) -> tuple[Callable[[Shape], Shape], Callable[[Shape], Any]]:
    """Functions for appending data of a shape: old shape -> new shape, and new shape -> selection of the new part.

    ValueKindError if the shapes do not fit.
    """
    along = axis + len(shape) if axis < 0 else axis
    rest = [shape[:along] + shape[along + 1 :], data[:along] + data[along + 1 :]]
    if not 0 <= along < len(shape) or len(data) != len(shape) or rest[0] != rest[1]:
        raise ValueKindError(f"data of shape {data} cannot be appended to {shape} along axis {axis}")
    longer = data[along]
    return (
        lambda old: (*old[:along], old[along] + longer, *old[along + 1 :]),
        lambda new: (slice(None),) * along + (slice(new[along] - longer, new[along]),),
    )


def _parsed(document: files.Document, known: ArrayMetadata) -> ArrayMetadata:
    if known.zarr_format == 3:
        return metadata_v3.parse_array(document, "zarr.json")
    return metadata_v2.parse_array(document, known.attributes, ".zarray")


def _delete_outside(store: Store, old: Layout, new: Layout) -> None:
    """Delete the outermost chunks that only the old shape has, some at a time."""
    before, after = old.grid(0), new.grid(0)
    for axis in range(len(before)):
        ranges = [range(min(b, a)) for b, a in zip(before[:axis], after[:axis], strict=True)]
        ranges += [range(after[axis], before[axis]), *map(range, before[axis + 1 :])]
        for coords in _blocks(ranges):
            for key in old.keys(coords):
                overwrite(store, key, None)


def _blocks(ranges: list[range]) -> Iterator[np.ndarray]:
    """The Cartesian product of ranges, int64 of shape (n, axes), some rows at a time."""
    counts = tuple(map(len, ranges))
    starts = np.array([r.start for r in ranges], np.int64)
    for first in range(0, prod(counts), MAX_DELETED_KEYS):
        rows = np.arange(first, min(first + MAX_DELETED_KEYS, prod(counts)))
        yield np.stack(np.unravel_index(rows, counts), axis=1) + starts


def regions(plan: Layout, shape: Shape, rank: int, world_size: int) -> list[tuple[slice, ...]]:
    """The regions of worker `rank`: runs of whole units along the last axis; all workers have about equally many."""
    if not 0 <= rank < world_size:
        raise ValueError(f"rank must be 0 to {world_size - 1} for {world_size} workers, not {rank}")
    outer = plan.outer
    counts = outer.grid(0)
    total = prod(counts)
    first, last = rank * total // world_size, (rank + 1) * total // world_size
    if not counts:
        return [()] if first < last else []
    found = []
    row = counts[-1]
    for line in range(first // row, -(-last // row)) if first < last else ():
        start, stop = max(first - line * row, 0), min(last - line * row, row)
        place = (*(int(i) for i in np.unravel_index(line, counts[:-1])),) if len(counts) > 1 else ()
        spans = [(i, i + 1) for i in place] + [(start, stop)]
        found.append(tuple(slice(*_edges(axis, a, b)) for axis, (a, b) in zip(outer.axes, spans, strict=True)))
    return found


def _edges(axis: Axis, first: int, last: int) -> tuple[int, int]:
    """The indices at which units `first` to `last - 1` begin and end."""
    if isinstance(axis, RectilinearAxis):
        return axis.edges[first], min(axis.edges[last], axis.length)
    return first * axis.size, min(last * axis.size, axis.length)
