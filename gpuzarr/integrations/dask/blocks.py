"""Arithmetic of blocks: which blocks a dask array of a stored array has, and where blocks may end."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array

Sizes = tuple[tuple[int, ...], ...]  # for each axis the lengths of blocks along it
Unit = int | tuple[int, ...]  # the length of chunks (or shards) along an axis, or the length of each


def block_sizes(array: Array, chunks: Any) -> Sizes:
    """The blocks that `chunks` means, in the form that `dask.array.from_array` takes; None: the objects of the store.

    Where it leaves the choice to dask ("auto", a number of bytes), blocks end where shards do, or, where shards are
    larger than dask makes blocks, where chunks do. ArgumentError for chunks that do not fit the array.
    """
    if chunks is None:
        return tuple(sizes or (0,) for sizes in array.write_chunk_sizes)
    _check_axes(array, chunks)
    chosen = [axis for axis, each in enumerate(_by_axis(chunks, array.ndim)) if isinstance(each, str)]
    if not chosen:
        return _normalized(array, chunks, None)
    if not array.size:
        return tuple((length,) for length in array.shape)
    for units, sizes in ((write_units(array), array.write_chunk_sizes), (array.chunks, array.read_chunk_sizes)):
        found = _normalized(array, chunks, sizes)
        if all(snapped(found[axis], units[axis]) == found[axis] for axis in chosen):
            return found
    return tuple(snapped(each, array.chunks[axis]) if axis in chosen else each for axis, each in enumerate(found))


def snapped(sizes: tuple[int, ...], unit: Unit, start: int = 0) -> tuple[int, ...]:
    """Blocks from `start` on that end where units do, each moved down to the last such place; the last block stays.

    >>> snapped((3, 3, 4), 4), snapped((3, 3, 4), 4, start=2), snapped((5, 5), (1, 2, 3, 4))
    ((4, 6), (2, 4, 4), (3, 7))
    """
    end = sum(sizes)
    cuts = np.cumsum(sizes[:-1], dtype=np.int64)
    moved = _last_edges(start + cuts[cuts < end], unit) - start
    inner = np.unique(moved[moved > 0]).tolist()
    return tuple(b - a for a, b in pairwise([0, *inner, end]))


def edges(sizes: tuple[int, ...], start: int = 0) -> tuple[int, ...]:
    """The indices at which blocks from `start` on begin, and that at which the last ends."""
    return tuple(accumulate(sizes, initial=start))


def write_units(array: Array) -> tuple[Unit, ...]:
    """The lengths of the objects of the store along each axis: of shards, or of chunks if there are none."""
    return array.chunks if array.shards is None else array.shards


def _last_edges(indices: np.ndarray, unit: Unit) -> np.ndarray:
    """For each index the last one, not greater, at which a unit begins."""
    if isinstance(unit, int):
        return indices // unit * unit
    begins = np.cumsum((0, *unit), dtype=np.int64)
    return begins[np.searchsorted(begins, indices, "right") - 1]


def _by_axis(chunks: Any, ndim: int) -> Iterable[Any]:
    """The part of `chunks` that is about each axis."""
    if isinstance(chunks, dict):
        return [chunks.get(axis) for axis in range(ndim)]
    return chunks if isinstance(chunks, tuple | list) else [chunks] * ndim


def _check_axes(array: Array, chunks: Any) -> None:
    if isinstance(chunks, dict) and (unknown := [axis for axis in chunks if axis not in range(array.ndim)]):
        raise ArgumentError(f"chunks {shown(chunks)}: {array!r} has no axis {shown(unknown[0])}")


def _normalized(array: Array, chunks: Any, previous: Sizes | None) -> Sizes:
    """Blocks as dask makes them. Objects and strings count as the pointers to them, as in `Array.nbytes`."""
    from dask.array.core import normalize_chunks

    counted = np.dtype((np.void, max(array.dtype.itemsize, 1)))
    try:
        found: Sizes = normalize_chunks(chunks, array.shape, dtype=counted, previous_chunks=previous)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"chunks {shown(chunks)} do not fit {array!r}: {error}") from error
    return found
