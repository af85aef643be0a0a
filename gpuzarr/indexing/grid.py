"""Chunks that a selection touches, and the part that is wanted of each. Pure arithmetic.

The product of the runs of all axes (`indexing.axis`) is a list of `ChunkBlock`s: blocks of chunks of which the same
part is wanted, placed by one array assignment. `ChunkPoints` is the counterpart for a pointwise selection. Python
objects are made for blocks, never for single chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any, TypeVar

import numpy as np

from gpuzarr.batch import MAX_PYTHON_ROWS
from gpuzarr.indexing.axis import axis_runs, chunk_of, decoded_of, starts_of
from gpuzarr.indexing.blocks import ChunkBlock
from gpuzarr.indexing.points import ChunkPoints
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis

Part = ChunkBlock | ChunkPoints
Chunks = TypeVar("Chunks", bound=Any)  # ChunkPoints, and ChunkBoxes of `indexing.boxes`
_FIRST = np.zeros(1, np.int64)
_FIRST.flags.writeable = False


def coords_of(parts: Sequence[Any]) -> np.ndarray:
    """Coordinates of the chunks of all parts, part after part, int64 (n, ndim)."""
    if len(parts) == 1:
        return parts[0].coords
    single = [[s.first for s in part.runs] for part in parts if isinstance(part, ChunkBlock) and len(part) == 1]
    return np.array(single, np.int64) if len(single) == len(parts) else np.concatenate([part.coords for part in parts])


def parts(selection: Outer | Points, axes: tuple[Axis, ...], shard_chunks: tuple[int, ...]) -> Iterator[Part]:
    """Blocks or points of a selection whose ranges ascend.

    `shard_chunks`: chunks of a shard along each axis, so that no block is of two shards; 0: blocks of any size.
    """
    if isinstance(selection, Points):
        yield from _point_parts(selection, axes)
        return
    if not all(map(len, selection.axes)):  # the other axes may be of any length
        return
    for combination in product(*map(axis_runs, axes, selection.axes, shard_chunks)):
        yield ChunkBlock(combination)


def distinct(coords: np.ndarray, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of `coords` (n, ndim), sorted, and the number of each row among them. All are below `counts`."""
    if len(coords) == 1:
        return coords, _FIRST
    if len(coords) <= MAX_PYTHON_ROWS:
        all_rows = list(map(tuple, coords.tolist()))
        number = {row: i for i, row in enumerate(sorted(set(all_rows)))}
        return np.array(list(number), np.int64), np.array([number[row] for row in all_rows])
    if prod(counts) >= 1 << 62:  # more than int64 can number
        rows, which = np.unique(coords, axis=0, return_inverse=True)
        return rows, which.reshape(-1)
    if not counts:
        return coords[:1], np.zeros(len(coords), np.int64)
    numbers, which = np.unique(np.ravel_multi_index(tuple(coords.T), counts), return_inverse=True)
    return np.stack(np.unravel_index(numbers, counts), axis=1).astype(np.int64), which


def _point_parts(points: Points, axes: tuple[Axis, ...]) -> Iterator[ChunkPoints]:
    """One `ChunkPoints` for each shape of chunk that is touched."""
    if not len(points.indices[0]):
        return
    chunks = [chunk_of(axis, index) for axis, index in zip(axes, points.indices, strict=True)]
    located = [starts_of(axis, chunk) for axis, chunk in zip(axes, chunks, strict=True)]
    inside = [index - start for index, (start, _) in zip(points.indices, located, strict=True)]
    coords, chunk = distinct(np.stack(chunks, axis=1), tuple(axis.count for axis in axes))
    yield from of_one_shape(ChunkPoints(coords, (), chunk, tuple(inside), np.arange(len(chunk))), axes)


def of_one_shape(everything: Chunks, axes: tuple[Axis, ...]) -> Iterator[Chunks]:
    """The same for each shape that some of the chunks decode to. `everything` has `coords`, and no chunk twice."""
    sizes = [decoded_of(axis, at) for axis, at in zip(axes, everything.coords.T, strict=True)]
    shapes = np.stack(sizes, axis=1) if axes else np.zeros((1, 0), np.int64)
    if (shapes == shapes[0]).all():
        yield replace(everything, chunk_shape=tuple(shapes[0].tolist()))
        return
    for shape in np.unique(shapes, axis=0):
        for some in everything.present((shapes == shape).all(axis=1)):
            yield replace(some, chunk_shape=tuple(shape.tolist()))
