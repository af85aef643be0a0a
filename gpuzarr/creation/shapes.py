"""Shapes of chunks and shards: checks of given ones, and defaults that suit a GPU.

A GPU decodes thousands of chunks at once, each by a few of its cores. So chunks have 256 KiB to 1 MiB; in shards these
are also read well from object storage and from disks. Shards have up to 256 MiB: few enough files to list and copy, and
each still fills a batch of a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, groupby, islice, repeat
from math import prod
from operator import index
from typing import Any

from gpuzarr import config
from gpuzarr.checks import NDIM_MAX, shown
from gpuzarr.errors import MetadataError, NoSizesError
from gpuzarr.metadata.chunk_grids import EDGES_MAX

MAX_CHUNK_BYTES = 1 << 20  # halving leaves at least half of it
MAX_SHARD_BYTES = 256 << 20
Grid = tuple[int | tuple[int, ...], ...]  # for each axis the size of its chunks, or the sizes


def chunk_shape(chunks: Any, shape: tuple[int, ...], itemsize: int) -> Grid:
    """The sizes of chunks. An int counts for every axis, -1 is the whole axis, False the whole array.

    An axis whose chunks differ has a tuple of their sizes, which is given as a list; in it [size, count] is a run.
    """
    if isinstance(chunks, str) and chunks == "auto":
        return _halved(shape, MAX_CHUNK_BYTES // max(itemsize, 1))
    return _grid("chunks", chunks, shape, (1,) * len(shape))


def _grid(what: str, given: Any, shape: tuple[int, ...], units: tuple[int, ...]) -> Grid:
    """The sizes along each axis. -1 is the smallest multiple of the unit that holds the whole axis."""
    several = _members(-1 if given is False else given)
    members = sides(what, -1 if given is False else given, len(shape)) if several is None else several
    if len(members) != len(shape):
        raise MetadataError(f"{what} {shown(given)} do not fit an array of shape {shown(shape)}")
    return tuple(_axis(what, *each) for each in zip(members, shape, units, strict=True))


def _axis(what: str, given: Any, length: int, unit: int) -> int | tuple[int, ...]:
    if (runs := _members(given)) is not None:
        return _sizes(what, runs, length)
    (size,) = sides(what, given)
    if size == -1:
        return max(-(-length // unit), 1) * unit
    if size < 1:
        raise MetadataError(f"{what}: a size must be positive, or -1 for the whole axis, not {shown(size)}")
    return size


def _sizes(what: str, given: list[Any], length: int) -> tuple[int, ...]:
    """The sizes of chunks that differ along an axis. They must add up to its length."""
    runs = [sides(what, (one, 1) if _members(one) is None else one) for one in given]
    if not runs or any(len(run) != 2 or min(run) < 1 for run in runs):
        raise MetadataError(f"{what}: sizes along an axis are positive, or runs [size, count], not {shown(given)}")
    if sum(count for _, count in runs) > EDGES_MAX:
        raise MetadataError(f"{what}: more than {EDGES_MAX} sizes along an axis")
    if length and (total := sum(size * count for size, count in runs)) != length:
        raise MetadataError(f"{what}: the sizes {shown(given)} add up to {total}, and the axis has {length} elements")
    return tuple(chain.from_iterable(repeat(size, count) for size, count in runs))


def _members(given: Any) -> list[Any] | None:
    """The members of a list or the like; None for what is none."""
    if isinstance(given, str | bytes | dict) or not isinstance(given, Iterable) or getattr(given, "shape", None) == ():
        return None
    return list(islice(given, EDGES_MAX + 1))


def chunk_grid(sizes: Grid) -> dict[str, Any]:
    """The chunk grid in a document; runs of the same size in a rectilinear one are counted, where that is shorter."""
    if not is_rectilinear(sizes):
        return {"name": "regular", "configuration": {"chunk_shape": list(sizes)}}
    shapes = [_counted(size) if isinstance(size, tuple) else size for size in sizes]
    return {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": shapes}}


def is_rectilinear(sizes: Grid) -> bool:
    """True if chunks may differ along an axis."""
    return any(isinstance(size, tuple) for size in sizes)


def _counted(sizes: tuple[int, ...]) -> list[Any]:
    runs = [(size, len(list(run))) for size, run in groupby(sizes)]
    counted: list[Any] = [size if count == 1 else [size, count] for size, count in runs]
    return counted if len(counted) < len(sizes) else list(sizes)


def sides(what: str, given: Any, ndim: int = 1) -> tuple[int, ...]:
    """The integers given for the axes; a single one counts for all `ndim` axes. NoSizesError for anything else."""
    several = isinstance(given, Iterable) and getattr(given, "shape", None) != ()
    try:
        if isinstance(given, str | bytes | bool):
            raise TypeError
        return tuple(index(n) for n in islice(given, NDIM_MAX + 1)) if several else (index(given),) * ndim
    except TypeError as error:
        raise NoSizesError(f"{what} must be an integer or a list of them, not {shown(given)}") from error


def index_location(shards: Any) -> tuple[Any, str]:
    """The shape of `shards`, and where in a shard its index lies; both are in the dict that zarr-python takes, too."""
    if not isinstance(shards, dict):
        return shards, "end"
    if "shape" not in shards or shards.keys() - {"shape", "index_location"}:
        raise MetadataError(f"shards as a dict have 'shape' and 'index_location', not {shown(shards)}")
    return shards["shape"], shards.get("index_location") or "end"


def shard_shape(shards: Any, chunks: Grid, shape: tuple[int, ...], itemsize: int) -> Grid | None:
    """The sizes of shards, multiples of the shape of a chunk; None for no shards. -1 and False: as for chunks."""
    if shards is None:
        return None
    inside = tuple(size for size in chunks if isinstance(size, int))
    if len(inside) < len(chunks):
        raise MetadataError(f"chunks {shown(chunks)} of a shard must be alike: give the lists of sizes as `shards`")
    if not (isinstance(shards, str) and shards == "auto"):
        given = _grid("shards", shards, shape, inside)
        for sizes, chunk in zip(given, inside, strict=True):
            if any(size % chunk for size in (sizes if isinstance(sizes, tuple) else (sizes,))):
                raise MetadataError(f"shards {shown(shards)} do not hold whole chunks of shape {shown(chunks)}")
        return given
    counts = tuple(max(1, -(-length // n)) for length, n in zip(shape, inside, strict=True))
    most = config.get("array.target_shard_size_bytes") or MAX_SHARD_BYTES
    kept = _halved(counts, most // max(1, prod(inside) * itemsize))
    return tuple(n * c for n, c in zip(kept, inside, strict=True))


def _halved(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """A shape of at most `most` elements, made by halving the longest side again and again."""
    sides = [max(n, 1) for n in shape]
    while prod(sides) > max(most, 1):
        longest = max(range(len(sides)), key=sides.__getitem__)
        sides[longest] = -(-sides[longest] // 2)
    return tuple(sides)
