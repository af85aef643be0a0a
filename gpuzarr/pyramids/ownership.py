"""Which part of an image each of several workers writes, and what of it is not written yet.

A unit is a box of level 0 that holds whole shards of the finest levels, and whole windows of all levels. So what a
worker writes of its units never needs what another one writes. The coarsest levels have few shards; where there are
fewer than workers, several write parts of the same one, which locks or conditional puts of the store guard.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm, prod
from typing import Any

import numpy as np

from gpuzarr.checks import number
from gpuzarr.errors import ArgumentError, MetadataError
from gpuzarr.metadata import RegularAxis
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.missing import as_bounds, as_slices, coords_left, done_shards
from gpuzarr.nodes.regions import regions
from gpuzarr.stores.guards import guard
from gpuzarr.write.coverage import Bounds, common, joined
from gpuzarr.write.objects import bounds_of_object, objects_of

Shape = tuple[int, ...]


def shard_slices(self: Any, rank: int, world_size: int) -> list[tuple[slice, ...]]:
    """The regions of level 0 that one of several processes writes: they hold whole shards of the finest levels.

    Parameters
    ----------
    rank, world_size
        The number of the process, from 0, and how many there are.

    Raises
    ------
    ArgumentError
        A shard of a coarse level would be written by several, and nothing in the store guards it; the message names
        it.

    Examples
    --------
    >>> image = gpuzarr.ome.create_image({}, (64, 64), "uint8", chunks=32, levels=1)
    >>> image.shard_slices(0, 2)
    [(slice(0, 32, None), slice(0, 64, None))]
    """
    world_size = number(world_size, "world_size", 1)
    levels, factors = self.levels, writable_factors(self)
    unit, whole = _unit(levels, factors, world_size)
    grid = [RegularAxis(length, n) for length, n in zip(levels[0].shape, unit, strict=True)]
    found = regions(grid, rank, world_size)
    if world_size > 1:
        _check_guarded(levels, factors, whole, [as_bounds(region) for region in found])
    return found


def missing(self: Any, rank: int = 0, world_size: int = 1) -> list[tuple[slice, ...]]:
    """The regions of level 0 that were not written, of those of one of several processes.

    What `writer(resume=True)` or `write_image(resume=True)` noted as done counts as written, also where nothing
    but the background was there and so nothing is stored.

    Examples
    --------
    >>> image = gpuzarr.ome.create_image({}, (32, 64), "uint8", chunks=32)
    >>> image.levels[0][:, :32] = 1
    >>> image.missing()
    [(slice(0, 32, None), slice(32, 64, None))]
    """
    owned = [as_bounds(region) for region in shard_slices(self, rank, world_size)]
    first = self.levels[0]
    return [as_slices(box) for box in missing_boxes(first, owned, done_shards(first))]


def missing_boxes(level: Array, owned: Sequence[Bounds], done: np.ndarray) -> list[Bounds]:
    """Boxes of the shards that are not done within some boxes; neighbours that make a box are one."""
    found: list[Bounds] = []
    for coords in coords_left(level, done).tolist():
        box = bounds_of_object(level.layout, tuple(coords))
        for region in owned:
            if (shared := common(box, region)) is None:
                continue
            both = joined(found[-1], shared) if found else None
            found[-1:] = [both] if both else [*found[-1:], shared]
    return found


def scales(factors: Sequence[Shape], ndim: int) -> list[Shape]:
    """Elements of level 0 that an element of each level is made of, along each axis."""
    found = [(1,) * ndim]
    for window in factors:
        found.append(tuple(a * b for a, b in zip(found[-1], window, strict=True)))
    return found


def of_level(bounds: Bounds, scale: Shape, shape: Shape) -> Bounds:
    """The box of a level that a box of level 0 becomes, at most as large as the level."""
    spans = zip(bounds, scale, shape, strict=True)
    return tuple((a // f, min(-(-b // f), n)) for (a, b), f, n in spans)


def writable_factors(image: Any) -> tuple[Shape, ...]:
    """The shape of the windows of each level but the coarsest. MetadataError for an image that has none."""
    levels, factors = image.levels, image.factors
    if factors is None or len(factors) != len(levels) - 1:
        raise MetadataError(f"{image!r} cannot be written by a writer: no level is the one before, reduced by integers")
    for level in levels:
        if not level.metadata.regular:
            raise MetadataError(f"{level!r} has chunks of different shapes: a writer of images needs regular ones")
    return tuple(factors)


def _unit(levels: Sequence[Array], factors: Sequence[Shape], world_size: int) -> tuple[Shape, int]:
    """The shape of a unit, and the number of levels of which it holds whole shards."""
    scale = scales(factors, levels[0].ndim)
    for whole in range(len(levels), 0, -1):
        unit = scale[-1]
        for level, step in zip(levels[:whole], scale[:whole], strict=True):
            shard = [n * f for n, f in zip(level.layout.outer.first_chunk_shape, step, strict=True)]
            unit = tuple(map(lcm, unit, shard))
        if prod(-(-length // n) for length, n in zip(levels[0].shape, unit, strict=True)) >= world_size:
            break
    return unit, whole


def _check_guarded(levels: Sequence[Array], factors: Sequence[Shape], whole: int, owned: Sequence[Bounds]) -> None:
    """ArgumentError where this worker would change parts of a shard that others change, and nothing guards it."""
    scale = scales(factors, levels[0].ndim)
    for i in range(whole, len(levels)):
        level = levels[i]
        is_safe = level.writable is None or level.writable.safe
        if is_safe and guard(level.store) != "threads":
            continue
        for region in owned:
            for coords, _, is_whole in objects_of(level.layout, of_level(region, scale[i], level.shape)):
                if not is_whole:
                    key = level.layout.outer.key(coords)
                    raise ArgumentError(
                        f"{key!r} of {level.store!r}, a block of level {i}, would be shared by several workers, and "
                        "nothing keeps them from losing each other's parts of it: use fewer workers, smaller chunks or "
                        "fewer levels, or a store with locks or conditional puts"
                    )
