"""Chunks and shards of the levels of an image.

Those of volumes are cubes, those of planes are squares, so that each view of a viewer needs few of them; a chunk is of
one time and one channel. All levels have the same, but none larger than the level.
"""

from __future__ import annotations

from typing import Any

from gpuzarr.checks import shown
from gpuzarr.creation import sides
from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.axes import is_space
from gpuzarr.pyramids.metadata.model import Axis

VOLUME_CHUNK, VOLUME_SHARD = 64, 256  # voxels along each axis
PLANE_CHUNK, PLANE_SHARD = 512, 4096
SMALL_ITEM_BYTES = 1  # chunks of planes with such elements are twice as long
Shape = tuple[int, ...]


def chunks_for(chunks: Any, shape: Shape, axes: tuple[Axis, ...], itemsize: int) -> Shape:
    """The chunks of the finest level. "auto": 64 cubed, or 512 or 1024 squared; an int counts for each axis, -1 is the
    whole length of an axis, False the whole array."""
    if isinstance(chunks, str) and chunks == "auto":
        is_volume = sum(map(is_space, axes)) == 3
        plane = PLANE_CHUNK * 2 if itemsize <= SMALL_ITEM_BYTES else PLANE_CHUNK
        side = VOLUME_CHUNK if is_volume else plane
        found = tuple(side if is_space(axis) else 1 for axis in axes)
    else:
        found = _sides("chunks", chunks, shape)
    return tuple(min(c, max(n, 1)) for c, n in zip(found, shape, strict=True))


def shards_for(shards: Any, chunks: Shape, shape: Shape, axes: tuple[Axis, ...]) -> Shape | None:
    """The shards of the finest level, or None. "auto": 256 cubed or 4096 squared, in whole chunks."""
    if shards is None:
        return None
    if isinstance(shards, str) and shards == "auto":
        side = VOLUME_SHARD if sum(map(is_space, axes)) == 3 else PLANE_SHARD
        return tuple(c * max(side // c, 1) if is_space(axis) else c for c, axis in zip(chunks, axes, strict=True))
    found = _sides("shards", shards, shape, chunks)
    if any(s % c for s, c in zip(found, chunks, strict=True)):
        raise ArgumentError(f"shards {shown(shards)} do not hold whole chunks of shape {chunks}")
    return found


def fitted(chunks: Shape, shards: Shape | None, shape: Shape) -> tuple[Shape, Shape | None]:
    """Chunks and shards of a level of this shape: not larger than the level needs."""
    inner = tuple(min(c, max(n, 1)) for c, n in zip(chunks, shape, strict=True))
    if shards is None:
        return inner, None
    outer = []
    for shard, chunk, n in zip(shards, inner, shape, strict=True):
        whole = -(-max(n, 1) // chunk) * chunk  # the chunks that hold the axis
        outer.append(min(shard // chunk * chunk, whole) or chunk)
    return inner, tuple(outer)


def _sides(what: str, given: Any, shape: Shape, unit: Shape | None = None) -> Shape:
    """A size for each axis; -1 is the whole axis, in whole units."""
    found = sides(what, -1 if given is False else given, len(shape))
    if len(found) != len(shape) or any(each < 1 and each != -1 for each in found):
        raise ArgumentError(f"{what} {shown(given)} do not fit an image of shape {shape}")
    units = unit or (1,) * len(shape)
    whole = [-(-max(n, 1) // u) * u for n, u in zip(shape, units, strict=True)]
    return tuple(w if each == -1 else each for each, w in zip(found, whole, strict=True))
