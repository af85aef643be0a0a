"""One model of a node's metadata, that of Zarr v3; `metadata_v2` and `metadata_v3` translate at the door."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from gpuzarr.checks import mapping
from gpuzarr.codecs import Codec
from gpuzarr.dtypes import DataType
from gpuzarr.errors import MetadataError


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


@lru_cache
def _template(prefix: str, separator: str, ndim: int) -> str:
    """What a key is made of by `%` and coordinates."""
    return separator.join(([prefix] if prefix else []) + ["%d"] * ndim)


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
        template = _template(self.prefix, self.separator, coords.shape[1])
        return [template % row for row in zip(*coords.T.tolist(), strict=True)]


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
    consolidated: Mapping[str, ArrayMetadata | GroupMetadata] | None = None  # path below this group -> node
    document: dict[str, Any] = field(default_factory=dict)


Node = ArrayMetadata | GroupMetadata


class Nodes(Mapping[str, Node]):
    """Path -> node, each parsed when it is first asked for: one broken node hides no other, and many cost little."""

    def __init__(self, parsers: Mapping[str, Callable[[], Node]]) -> None:
        self._parsers = dict(parsers)
        self._parsed: dict[str, Node] = {}

    def __getitem__(self, path: str) -> Node:
        """The node at that path. KeyError where there is none, MetadataError where it is wrong."""
        if path not in self._parsed:
            self._parsed[path] = self._parsers[path]()
        return self._parsed[path]

    def __contains__(self, path: object) -> bool:
        return path in self._parsers

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsers)

    def __len__(self) -> int:
        return len(self._parsers)


def node_path(path: str, where: str) -> str:
    """A path of a consolidated document without slashes at its ends. MetadataError where it leads out of the store."""
    parts = path.strip("/").split("/") if path.strip("/") else []
    if any(part in ("", ".", "..") for part in parts):
        raise MetadataError(f"{where}: {path!r} is no path of a node")
    return "/".join(parts)


def load_json(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object in a metadata file. The bare words NaN and Infinity, which zarr-python writes, are accepted."""
    try:
        document = json.loads(bytes(data).decode("utf-8-sig"))
    except RecursionError as error:
        raise MetadataError(f"{where}: nested too deeply") from error
    except ValueError as error:  # bad JSON, bad UTF-8, an integer of thousands of digits
        raise MetadataError(f"{where}: not JSON in UTF-8: {error}") from error
    return mapping(document, f"{where}: the document")
