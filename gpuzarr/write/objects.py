"""The objects of a store that a box of an array touches: shards, or chunks where there are no shards."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from gpuzarr.indexing.axis import chunk_of
from gpuzarr.indexing.layout import Layout
from gpuzarr.metadata import Axis, RectilinearAxis
from gpuzarr.write.coverage import Bounds, common

Coords = tuple[int, ...]


def bounds_of_object(layout: Layout, coords: Coords) -> Bounds:
    """The elements of the array that an object holds."""
    return tuple(_edges(axis, i) for axis, i in zip(layout.outer.axes, coords, strict=True))


def objects_of(layout: Layout, bounds: Bounds) -> Iterator[tuple[Coords, Bounds, bool]]:
    """The objects that a box touches: place in their grid, what the box has of it, and whether that is all of it."""
    axes = layout.outer.axes
    spans = [chunk_of(axis, np.array([a, b - 1])).tolist() for axis, (a, b) in zip(axes, bounds, strict=True)]
    for coords in product(*(range(first, last + 1) for first, last in spans)):
        whole = bounds_of_object(layout, coords)
        shared = common(whole, bounds)
        if shared is not None:
            yield coords, shared, shared == whole


def _edges(axis: Axis, i: int) -> tuple[int, int]:
    if isinstance(axis, RectilinearAxis):
        return axis.edges[i], min(axis.edges[i + 1], axis.length)
    return i * axis.size, min((i + 1) * axis.size, axis.length)
