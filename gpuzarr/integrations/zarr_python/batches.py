"""What zarr-python asks a pipeline for, chunk by chunk, as one selection of an array.

A batch is a list of items, each a chunk and what is wanted of it: where it is stored, its spec, the elements in it,
their places in the result, and whether the chunk is covered as a whole. All items come from one selection: the outer
product of a list for each axis, or points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import SelectionError
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import ArrayMetadata, Axis, RegularAxis

Item = tuple[Any, Any, Any, Any, bool]
Coords = tuple[int, ...]
Indices = range | np.ndarray


@dataclass(frozen=True, eq=False)
class Asked:
    """The elements that a batch asks for, and their `places` in the result: an index of it, or None for all of it.

    `chunks`: for each axis the coordinates of the chunks; those of points may repeat.
    `are_places_a_view`: indexing by the places makes no copy.
    """

    elements: Outer | Points
    places: Any
    chunks: Sequence[Sequence[int]]
    are_places_a_view: bool = True


def asked(batch: Sequence[Item], metadata: ArrayMetadata, path: str, drop_axes: Coords, result: Coords | None) -> Asked:
    """What a batch asks for. SelectionError if it is not one of the selections that are known here.

    `result`: the shape of the result; None where one element is written everywhere, for which places do not matter.
    `drop_axes`: axes that the result lacks although items have index arrays for them.
    """
    keys = [item[0].path for item in batch]
    if not metadata.shape:
        whole = metadata.encode_chunk_key(())
        _check(keys == [f"{path}/{whole}" if path else whole] and not result, "more than the only chunk")
        _check(batch[0][2] in ((), ...), "a part of a single element")
        return Asked(Outer(()), None, ())
    coords = [metadata.chunk_keys.decode(key, path) for key in keys]
    ndim = len(metadata.shape)
    _check(all(each is not None and len(each) == ndim for each in coords), "objects that are no chunks of the array")
    if ndim > 1 and all(isinstance(each, np.ndarray) and each.ndim == 1 for each in _members(batch[0][2], ndim)):
        return _points(batch, coords, metadata, result)
    return _outer(batch, coords, metadata, drop_axes, result)


def _check(condition: bool, what: str) -> None:
    if not condition:
        raise SelectionError(f"a batch asks for {what}")


def _points(batch: Sequence[Item], coords: Sequence[Coords], metadata: ArrayMetadata, result: Coords | None) -> Asked:
    """Points: an item has an index array for each axis of its chunk, and a slice or an index array of the result."""
    lengths = [len(item[2][0]) for item in batch]
    indices = []
    for axis, grid in enumerate(metadata.axes):
        begin = [begin_of(grid, each[axis]) for each in coords]
        indices.append(np.concatenate([item[2][axis] for item in batch]).astype(np.int64) + np.repeat(begin, lengths))
    elements, chunks = Points(tuple(indices), (sum(lengths),)), list(zip(*coords, strict=True))
    if result is None:
        return Asked(elements, None, chunks)
    _check(len(result) == 1, "points in a result of several axes")
    places = _joined([_indices(_members(item[3], 1)[0], result[0]) for item in batch])
    _check(len(places) == sum(lengths), "points without places")
    return _placed(elements, [places], chunks, result)


def _outer(
    batch: Sequence[Item], coords: Sequence[Coords], metadata: ArrayMetadata, drop_axes: Coords, result: Coords | None
) -> Asked:
    """An outer product: along each axis, every item with the same coordinate wants the same of its chunk."""
    ndim = len(metadata.shape)
    chunks = [list(dict.fromkeys(each)) for each in zip(*coords, strict=True)]
    is_grid = len(batch) == 1 or (prod(map(len, chunks)) == len(batch) and list(product(*chunks)) == coords)
    _check(is_grid, "chunks in no known order")
    wanted = _along_axes([_members(item[2], ndim) for item in batch], chunks)
    squeezed = drop_axes or tuple(axis for axis in range(ndim) if isinstance(wanted[axis][0], int | np.integer))
    kept = [axis for axis in range(ndim) if axis not in squeezed]
    _check(all(len(chunks[axis]) == 1 for axis in squeezed), "several chunks for one index")
    indices = [
        _joined([_of_chunk(one, grid, chunk) for one, chunk in zip(some, found, strict=True)])
        for some, grid, found in zip(wanted, metadata.axes, chunks, strict=True)
    ]
    elements = Outer(tuple(indices), squeezed)
    if result is None:
        return Asked(elements, None, chunks)
    _check(len(kept) == len(result), "axes that the result lacks")
    given = _along_axes([_members(item[3], len(kept)) for item in batch], [chunks[axis] for axis in kept])
    places = [_joined([_indices(one, n) for one in some]) for some, n in zip(given, result, strict=True)]
    _check([len(each) for each in places] == [len(indices[axis]) for axis in kept], "elements without places")
    return _placed(elements, places, chunks, result)


def _members(selector: Any, ndim: int) -> tuple[Any, ...]:
    """An index of a chunk or a result as one member for each axis."""
    given = selector if isinstance(selector, tuple) else (selector,)
    given = () if len(given) == 1 and given[0] is ... else given
    return given if len(given) == ndim else given + (slice(None),) * (ndim - len(given))


def _along_axes(members: Sequence[tuple[Any, ...]], chunks: Sequence[Sequence[int]]) -> list[list[Any]]:
    """For each axis the member of each coordinate. SelectionError if items with the same coordinate differ in it."""
    if len(members) == 1:
        return [[each] for each in members[0]]
    counts = [len(each) for each in chunks]
    steps = [prod(counts[axis + 1 :]) for axis in range(len(counts))]
    found = [
        [members[i * step][axis] for i in range(count)]
        for axis, (count, step) in enumerate(zip(counts, steps, strict=True))
    ]
    if any(isinstance(each, np.ndarray) for some in found for each in some):
        pairs = zip(members, product(*found), strict=True)
        is_product = all(all(map(np.array_equal, some, others)) for some, others in pairs)
    else:
        is_product = list(product(*found)) == list(members)
    _check(is_product, "elements that are no outer product")
    return found


def _indices(member: Any, length: int) -> Indices:
    """The indices that a member of a selection means on an axis of this length."""
    if isinstance(member, slice):
        return range(*member.indices(length))
    if isinstance(member, int | np.integer):
        return range(int(member), int(member) + 1)
    _check(isinstance(member, np.ndarray), f"elements by {type(member).__name__}")
    return np.flatnonzero(member) if member.dtype.kind == "b" else member.reshape(-1).astype(np.int64, copy=False)


def begin_of(axis: Axis, chunk: int) -> int:
    """The first element of a chunk along an axis."""
    return chunk * axis.size if isinstance(axis, RegularAxis) else axis.edges[chunk]


def size_of(axis: Axis, chunk: int) -> int:
    """The elements of a chunk along an axis."""
    return axis.size if isinstance(axis, RegularAxis) else axis.sizes[chunk]


def _of_chunk(member: Any, axis: Axis, chunk: int) -> Indices:
    """The indices of an axis of the array that a member of a selection of a chunk means."""
    inside, begin = _indices(member, size_of(axis, chunk)), begin_of(axis, chunk)
    return (
        range(inside.start + begin, inside.stop + begin, inside.step) if isinstance(inside, range) else inside + begin
    )


def _joined(parts: Sequence[Indices]) -> Indices:
    """One after the other; a range if they are one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, range):
        step, end = first.step, first.start
        for part in parts:
            if not isinstance(part, range) or part.step != step or part.start != end:
                break
            end = part.start + len(part) * step
        else:
            return range(first.start, end, step)
    return np.concatenate([np.asarray(part, np.int64) for part in parts])


def _placed(elements: Outer | Points, places: Sequence[Indices], chunks: Sequence[Any], result: Coords) -> Asked:
    if all(isinstance(each, range) and each == range(n) for each, n in zip(places, result, strict=True)):
        return Asked(elements, None, chunks)
    ranges = [slice(each.start, each.stop, each.step) for each in places if isinstance(each, range)]
    if len(ranges) == len(places):
        return Asked(elements, tuple(ranges), chunks)
    return Asked(elements, np.ix_(*map(np.asarray, places)), chunks, are_places_a_view=False)
