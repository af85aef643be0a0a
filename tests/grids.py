"""Grids of any chunks, and chunks cut out of arrays as a store would hold them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from gpuzarr.indexing.axis import starts_of
from gpuzarr.metadata import Axis, RectilinearAxis, RegularAxis


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    length = draw(st.integers(1, 12))
    if draw(st.booleans()):
        return RegularAxis(length, draw(st.integers(1, 14)))
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=12).filter(lambda s: sum(s) >= length))
    edges = tuple(np.concatenate([[0], np.cumsum(sizes)]).tolist())
    if draw(st.booleans()):
        return RectilinearAxis(length, edges)
    return RectilinearAxis(length, edges, tuple(size + draw(st.integers(0, 2)) for size in sizes))


def stored(array: np.ndarray, axis: Axis, dimension: int, chunk: int) -> np.ndarray:
    edges = axis.edges if isinstance(axis, RectilinearAxis) else range(0, axis.length + axis.size, axis.size)
    size = axis.decoded_sizes[chunk] if isinstance(axis, RectilinearAxis) else axis.size
    piece = np.take(array, range(edges[chunk], min(edges[chunk + 1], array.shape[dimension])), dimension)
    pad = [(0, size - piece.shape[dimension] if d == dimension else 0) for d in range(array.ndim)]
    return np.pad(piece, pad, constant_values=-1)


def chunk_at(array: np.ndarray, grid: list[Axis], coords: list[int]) -> np.ndarray:
    for dimension, (axis, chunk) in enumerate(zip(grid, coords, strict=True)):
        array = stored(array, axis, dimension, chunk)
    return array


def put_chunk(array: np.ndarray, grid: list[Axis], coords: list[int], chunk: np.ndarray) -> None:
    """Put the elements of a chunk that the array uses to their place."""
    found = [starts_of(axis, np.array([i])) for axis, i in zip(grid, coords, strict=True)]
    place = array[tuple(slice(int(begin[0]), int(begin[0] + size[0])) for begin, size in found)]
    place[...] = chunk[tuple(map(slice, place.shape))]
