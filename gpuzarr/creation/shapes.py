"""Shapes of chunks and shards: checks of given ones, and defaults that suit a GPU.

A GPU decodes thousands of chunks at once, each by a few of its cores. So chunks have 256 KiB to 1 MiB; in shards these
are also read well from object storage and from disks. Shards have up to 256 MiB: few enough files to list and copy, and
each still fills a batch of a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from math import prod
from operator import index
from typing import Any

from gpuzarr import config
from gpuzarr.checks import NDIM_MAX, shown
from gpuzarr.errors import MetadataError

MAX_CHUNK_BYTES = 1 << 20  # halving leaves at least half of it
MAX_SHARD_BYTES = 256 << 20


def chunk_shape(chunks: Any, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The shape of a chunk. In `chunks` an int counts for every axis, -1 is the whole axis, False the whole array."""
    if isinstance(chunks, str) and chunks == "auto":
        return _halved(shape, MAX_CHUNK_BYTES // max(itemsize, 1))
    given = sides("chunks", -1 if chunks is False else chunks, len(shape))
    if len(given) != len(shape) or not all(n > 0 or n == -1 for n in given):
        raise MetadataError(f"chunks {shown(chunks)} do not fit an array of shape {shown(shape)}")
    return tuple(max(length, 1) if n == -1 else n for n, length in zip(given, shape, strict=True))


def sides(what: str, given: Any, ndim: int = 1) -> tuple[int, ...]:
    """The integers given for the axes; a single one counts for all `ndim` axes. MetadataError for anything else."""
    several = isinstance(given, Iterable) and getattr(given, "shape", None) != ()
    try:
        if isinstance(given, str | bytes | bool):
            raise TypeError
        return tuple(index(n) for n in islice(given, NDIM_MAX + 1)) if several else (index(given),) * ndim
    except TypeError as error:
        raise MetadataError(f"{what} must be an integer or a list of them, not {shown(given)}") from error


def index_location(shards: Any) -> tuple[Any, str]:
    """The shape of `shards`, and where in a shard its index lies; both are in the dict that zarr-python takes, too."""
    if not isinstance(shards, dict):
        return shards, "end"
    if "shape" not in shards or shards.keys() - {"shape", "index_location"}:
        raise MetadataError(f"shards as a dict have 'shape' and 'index_location', not {shown(shards)}")
    return shards["shape"], shards.get("index_location") or "end"


def shard_shape(shards: Any, chunks: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> tuple[int, ...] | None:
    """The shape of a shard, a multiple of the shape of a chunk; None for no shards."""
    if shards is None:
        return None
    if not (isinstance(shards, str) and shards == "auto"):
        given = sides("shards", shards, len(shape))
        if len(given) != len(chunks) or any(n < 1 or n % c for n, c in zip(given, chunks, strict=True)):
            raise MetadataError(f"shards {shown(shards)} do not hold whole chunks of shape {shown(chunks)}")
        return given
    counts = tuple(max(1, -(-length // n)) for length, n in zip(shape, chunks, strict=True))
    most = config.get("array.target_shard_size_bytes") or MAX_SHARD_BYTES
    kept = _halved(counts, most // max(1, prod(chunks) * itemsize))
    return tuple(n * c for n, c in zip(kept, chunks, strict=True))


def _halved(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """A shape of at most `most` elements, made by halving the longest side again and again."""
    sides = [max(n, 1) for n in shape]
    while prod(sides) > max(most, 1):
        longest = max(range(len(sides)), key=sides.__getitem__)
        sides[longest] = -(-sides[longest] // 2)
    return tuple(sides)
