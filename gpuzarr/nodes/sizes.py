"""The sizes of the chunks and shards of an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.codecs import Codec
from gpuzarr.codecs.sharding_indexed import ShardingIndexed
from gpuzarr.errors import NoMemoryError
from gpuzarr.metadata import ArrayMetadata, RectilinearAxis
from gpuzarr.metadata.chunk_grids import EDGES_MAX

Sizes = tuple[tuple[int, ...], ...]  # for each axis the lengths of chunks along it


def shards_of(chain: tuple[Codec, ...]) -> ShardingIndexed | None:
    """The codec that makes each chunk a shard; None if a chain does something else."""
    only = chain[0] if len(chain) == 1 else None
    return only if isinstance(only, ShardingIndexed) else None


def chunk_shape(metadata: ArrayMetadata) -> tuple[Any, ...]:
    """The shape of an innermost chunk; for a rectilinear grid, the sizes along each axis that is irregular."""
    found, shards = _outer(metadata), shards_of(metadata.codecs)
    while shards is not None:
        found, shards = shards.chunk_shape, shards_of(shards.codecs)
    return found


def chunk_counts(metadata: ArrayMetadata) -> tuple[int, ...]:
    """The number of innermost chunks along each axis."""
    if shards_of(metadata.codecs) is None:
        return tuple(axis.count for axis in metadata.axes)
    return tuple(-(-length // n) for length, n in zip(metadata.shape, chunk_shape(metadata), strict=True))


def shard_shape(metadata: ArrayMetadata) -> tuple[Any, ...] | None:
    """The shape of a shard; None if there are none. For a rectilinear grid, as `chunk_shape`."""
    return None if shards_of(metadata.codecs) is None else _outer(metadata)


def _outer(metadata: ArrayMetadata) -> tuple[Any, ...]:
    return tuple(tuple(np.diff(a.edges).tolist()) if isinstance(a, RectilinearAxis) else a.size for a in metadata.axes)


def read_sizes(metadata: ArrayMetadata) -> Sizes:
    """The lengths along each axis of the innermost chunks; the last ends where the axis does."""
    return tuple(map(_cut, metadata.shape, chunk_shape(metadata)))


def write_sizes(metadata: ArrayMetadata) -> Sizes:
    """The lengths along each axis of the objects of the store (shards, if there are any), as `read_sizes`."""
    return tuple(map(_cut, metadata.shape, _outer(metadata)))


def _cut(length: int, sizes: int | tuple[int, ...]) -> tuple[int, ...]:
    """The lengths of chunks of one size, or of several, within an axis. NoMemoryError for more than EDGES_MAX."""
    if isinstance(sizes, int):
        if length // sizes > EDGES_MAX:
            raise NoMemoryError(f"{length // sizes} chunks along an axis are too many to be listed; see `chunks`")
        whole, rest = divmod(length, sizes)
        return (sizes,) * whole + ((rest,) if rest else ())
    return (*sizes[:-1], length - sum(sizes[:-1])) if length else ()
