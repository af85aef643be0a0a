"""The shapes of chunks and shards that nobody named: what a reader on a GPU likes.

A GPU decodes thousands of chunks at once, each by a few of its cores: so chunks of 256 KiB to 1 MiB, which are also
read well from object storage and from disks if they lie in shards. Files of some hundred MiB are few enough to
list and copy, and each still holds enough chunks for one batch of a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from operator import index
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import MetadataError

CHUNK = 1 << 20  # bytes at most; halving leaves no less than half of it
SHARD = 256 << 20


def chunk_shape(chunks: Any, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """A shape as given (an int counts for every axis, -1 for all of an axis, False for all of all), or of "auto"."""
    if isinstance(chunks, str) and chunks == "auto":
        return _halved(shape, CHUNK // max(itemsize, 1))
    given = sides("chunks", -1 if chunks is False else chunks, len(shape))
    if len(given) != len(shape) or not all(n > 0 or n == -1 for n in given):
        raise MetadataError(f"chunks {shown(chunks)} are no shape for an array of shape {shape}")
    return tuple(max(length, 1) if n == -1 else n for n, length in zip(given, shape, strict=True))


def sides(what: str, given: Any, ndim: int = 1) -> tuple[int, ...]:
    """The whole numbers that a user gave for the axes; one alone is that of all. MetadataError for anything else."""
    several = isinstance(given, Iterable) and getattr(given, "shape", None) != ()
    try:
        if isinstance(given, str | bool):
            raise TypeError
        return tuple(index(n) for n in given) if several else (index(given),) * ndim
    except TypeError as error:
        raise MetadataError(f"{what} must be an integer or a list of them, not {shown(given)}") from error


def index_location(shards: Any) -> tuple[Any, str]:
    """`shards` as a shape, and where in a shard its index lies: zarr-python's {"shape": ..., "index_location": ...}."""
    if not isinstance(shards, dict):
        return shards, "end"
    if "shape" not in shards or shards.keys() - {"shape", "index_location"}:
        raise MetadataError(f"shards as a dict have 'shape' and 'index_location', not {shown(shards)}")
    return shards["shape"], shards.get("index_location") or "end"


def shard_shape(shards: Any, chunks: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> tuple[int, ...] | None:
    """A shape as given, None for no shards, or of "auto": whole chunks, no longer than the array."""
    if shards is None:
        return None
    if not (isinstance(shards, str) and shards == "auto"):
        given = sides("shards", shards, len(shape))
        if len(given) != len(chunks) or any(n < 1 or n % c for n, c in zip(given, chunks, strict=True)):
            raise MetadataError(f"shards {shown(shards)} do not hold whole chunks of shape {chunks}")
        return given
    counts = tuple(max(1, -(-length // n)) for length, n in zip(shape, chunks, strict=True))
    kept = _halved(counts, SHARD // max(1, prod(chunks) * itemsize))
    return tuple(n * c for n, c in zip(kept, chunks, strict=True))


def _halved(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The longest side halved until no more than `most` elements are left."""
    sides = [max(n, 1) for n in shape]
    while prod(sides) > max(most, 1):
        longest = max(range(len(sides)), key=sides.__getitem__)
        sides[longest] = -(-sides[longest] // 2)
    return tuple(sides)
