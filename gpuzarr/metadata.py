"""One model of a node's metadata, that of Zarr v3; `metadata_v2` and `metadata_v3` translate at the door."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from gpuzarr.codecs import Codec
from gpuzarr.dtypes import DataType


@dataclass(frozen=True)
class RegularAxis:
    """One axis of a chunk grid: `length` elements in chunks of `size`; the last chunk may reach beyond the end."""

    length: int
    size: int

    @property
    def count(self) -> int:
        return -(-self.length // self.size)


@dataclass(frozen=True)
class RectilinearAxis:
    """One axis of a chunk grid whose chunks differ: chunk i is [edges[i], edges[i+1]); edges[0] is 0."""

    length: int
    edges: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.edges) - 1


Axis = RegularAxis | RectilinearAxis


@dataclass(frozen=True)
class ChunkKeys:
    """How chunk coordinates become a key: `default` "c/1/2", `v2` "1.2"."""

    prefix: str  # "c" for default, "" for v2
    separator: str  # between parts
    scalar: str  # the key of the only chunk of a 0-d array: "c" or "0"

    def encode(self, coords: np.ndarray) -> list[str]:
        """The keys (without the array's path) of chunks at int `coords`, shape (n, ndim)."""
        if coords.shape[1] == 0:
            return [self.scalar] * len(coords)
        template = self.separator.join(([self.prefix] if self.prefix else []) + ["%d"] * coords.shape[1])
        return [template % tuple(row) for row in coords.tolist()]


@dataclass(frozen=True)
class ArrayMetadata:
    """What is known of an array before any chunk is read."""

    zarr_format: int
    shape: tuple[int, ...]
    data_type: DataType
    axes: tuple[Axis, ...]  # the chunk grid, axis by axis
    chunk_keys: Any  # ChunkKeys, or anything with its `encode` from the entry point group gpuzarr.chunk_key_encodings
    fill_value: Any  # a NumPy scalar of data_type.dtype, a str or bytes, or a Python object
    codecs: tuple[Codec, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    dimension_names: tuple[str | None, ...] | None = None
    order: str = "C"  # of the elements in a chunk: v2's order, or what a v3 transpose amounts to
    document: dict[str, Any] = field(default_factory=dict)  # the JSON as it was read (v2: .zarray)

    @property
    def regular(self) -> bool:
        return all(isinstance(axis, RegularAxis) for axis in self.axes)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of a (outer) chunk of a regular grid."""
        return tuple(axis.size for axis in self.axes if isinstance(axis, RegularAxis))

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class GroupMetadata:
    zarr_format: int
    attributes: dict[str, Any] = field(default_factory=dict)
    consolidated: dict[str, ArrayMetadata | GroupMetadata] | None = None  # path below this group -> node
    document: dict[str, Any] = field(default_factory=dict)
