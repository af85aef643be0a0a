"""The model of metadata, that of Zarr v3. `metadata.v2`, `v3` and `n5` make it of documents."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpuzarr.checks import MAX_DOCUMENT_BYTES, mapping
from gpuzarr.codecs import Codec
from gpuzarr.dtypes import DataType
from gpuzarr.errors import MetadataError, NoMemoryError


@dataclass(frozen=True)
class RegularAxis:
    """One axis of a chunk grid: `length` elements in chunks of `size`; the last chunk may reach beyond the end.

    The axis uses all elements that a chunk decodes to, up to its end.
    """

    length: int
    size: int

    @property
    def count(self) -> int:
        """The number of chunks."""
        return -(-self.length // self.size)

    @property
    def sizes(self) -> int:
        """The size of all chunks."""
        return self.size

    @property
    def decoded_sizes(self) -> int:
        """The elements that each chunk decodes to."""
        return self.size


@dataclass(frozen=True)
class RectilinearAxis:
    """One axis of a chunk grid whose chunks differ: chunk i is [edges[i], edges[i+1]); edges[0] is 0.

    `decoded`: the elements that each chunk decodes to, of which the axis uses the first; None where it uses all of
    them, up to its end. (No metadata says so yet: the extension `encoded_chunk_shapes` is a proposal.)
    """

    length: int
    edges: tuple[int, ...]
    decoded: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        """The number of chunks."""
        return len(self.edges) - 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """The size of each chunk: the elements that the axis uses of it, or would if it were longer."""
        return tuple(end - start for start, end in pairwise(self.edges))

    @property
    def decoded_sizes(self) -> tuple[int, ...]:
        """The elements that each chunk decodes to."""
        return self.sizes if self.decoded is None else self.decoded


_COORDINATE_DIGITS = 19  # of the largest int64

Axis = RegularAxis | RectilinearAxis


@lru_cache
def _template(prefix: str, separator: str, ndim: int) -> str:
    """The text that becomes a key by `%` with coordinates."""
    return separator.join(([prefix] if prefix else []) + ["%d"] * ndim)


@dataclass(frozen=True)
class ChunkKeys:
    """The encoding of chunk coordinates as keys: `default` "c/1/2", `v2` "1.2"."""

    prefix: str  # "c" for default, "" for v2
    separator: str  # between parts
    scalar: str  # the key of the only chunk of a 0-d array: "c" or "0"

    @property
    def name(self) -> str:
        """The name of the encoding in Zarr v3."""
        return "default" if self.prefix else "v2"

    def encode(self, coords: np.ndarray | Sequence[tuple[int, ...]]) -> list[str]:
        """Keys, without the path of the array, of the chunks at `coords`: integers of shape (n, ndim), or tuples of
        Python ints."""
        ndim = coords.shape[1] if isinstance(coords, np.ndarray) else len(coords[0]) if coords else 0
        if ndim == 0:
            return [self.scalar] * len(coords)
        template = _template(self.prefix, self.separator, ndim)
        rows = zip(*coords.T.tolist(), strict=True) if isinstance(coords, np.ndarray) else coords
        return [template % row for row in rows]

    def encode_chunk_key(self, chunk_coords: tuple[int, ...]) -> str:
        """The key of one chunk: `encode` by the name of zarr-python."""
        return self.encode([tuple(chunk_coords)])[0]

    def decode(self, key: str, path: str) -> tuple[int, ...] | None:
        """The coordinates of the chunk that a key below the array at `path` names; None if it names none."""
        name = key[len(path) + 1 :] if path else key
        if self.prefix:
            head, separator, name = name.partition(self.separator)
            if (head, separator) != (self.prefix, self.separator):
                return None
        parts = name.split(self.separator)
        if not all(part.isdecimal() and len(part) <= _COORDINATE_DIGITS for part in parts):
            return None
        coords = tuple(map(int, parts))
        return coords if list(map(str, coords)) == parts else None


def _why_read_only(foreign: str | None) -> str | None:
    advice = "copy its arrays to Zarr by gpuzarr.from_array(), and write to these"
    return None if foreign is None else f"it is of {foreign}, which is only read: {advice}"


@dataclass(frozen=True)
class ArrayMetadata:
    """The metadata of an array."""

    zarr_format: int
    shape: tuple[int, ...]
    data_type: DataType
    axes: tuple[Axis, ...]  # the chunk grid, axis by axis
    chunk_keys: Any  # ChunkKeys, or anything with its `encode` from the entry point group gpuzarr.chunk_key_encodings
    fill_value: Any  # a NumPy scalar of data_type.dtype, a str or bytes, or a Python object
    codecs: tuple[Codec, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    dimension_names: tuple[str | None, ...] | None = None
    order: str = "C"  # of the elements in a chunk: that of v2, or "F" for a v3 transpose that reverses all axes
    document: dict[str, Any] = field(default_factory=dict)  # the JSON document (v2: .zarray)
    foreign: str | None = None  # the name of the format, if it is none of Zarr, and only read

    def to_dict(self) -> dict[str, Any]:
        """The JSON document, with the attributes."""
        return {**self.document, "attributes": dict(self.attributes)}

    @property
    def is_filled(self) -> bool:
        """False if no fill value is defined: `null` of Zarr v2. Then `fill_value` is the default of the dtype."""
        return self.zarr_format == 3 or self.document.get("fill_value") is not None

    @property
    def regular(self) -> bool:
        """True if all chunks have the same shape."""
        return all(isinstance(axis, RegularAxis) for axis in self.axes)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of a chunk of a regular grid; if there are shards, of a shard."""
        return tuple(axis.size for axis in self.axes if isinstance(axis, RegularAxis))

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def why_read_only(self) -> str | None:
        """Why nothing is written to the array, if its format says so."""
        return _why_read_only(self.foreign)

    # by the names of zarr-python

    node_type = "array"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def chunk_grid(self) -> SimpleNamespace:
        """`chunk_shape`; for a rectilinear grid `chunk_shapes`, with a size or a tuple of them for each axis."""
        if self.regular:
            return SimpleNamespace(chunk_shape=self.chunk_shape)
        return SimpleNamespace(chunk_shapes=tuple(axis.sizes for axis in self.axes))

    @property
    def chunk_key_encoding(self) -> Any:
        """`chunk_keys`."""
        return self.chunk_keys

    @property
    def dimension_separator(self) -> str:
        """The text between the coordinates in the key of a chunk."""
        separator: str = self.chunk_keys.separator
        return separator

    def encode_chunk_key(self, chunk_coords: tuple[int, ...]) -> str:
        """The key of the chunk at these coordinates, without the path of the array."""
        key: str = self.chunk_keys.encode(np.array([chunk_coords], np.int64).reshape(1, -1))[0]
        return key


@dataclass(frozen=True)
class GroupMetadata:
    """The metadata of a group. `consolidated` has the nodes below it, by their paths below it."""

    zarr_format: int
    attributes: dict[str, Any] = field(default_factory=dict)
    consolidated: Nodes | None = None
    document: dict[str, Any] = field(default_factory=dict)
    foreign: str | None = None  # the name of the format, if it is none of Zarr, and only read
    has_implied_members: bool = False  # folders in it that have no document are groups

    def to_dict(self) -> dict[str, Any]:
        """The JSON document, with the attributes, and in Zarr v3 with the consolidated metadata."""
        document = {**self.document, "attributes": dict(self.attributes)}
        if self.consolidated is None or self.zarr_format == 2:
            return document
        inline = {"kind": "inline", "must_understand": False, "metadata": self.consolidated.documents}
        return {**document, "consolidated_metadata": inline}

    @property
    def why_read_only(self) -> str | None:
        """Why nothing is written to the group, if its format says so."""
        return _why_read_only(self.foreign)

    node_type = "group"  # a name of zarr-python, as is the next one

    @property
    def consolidated_metadata(self) -> Nodes | None:
        """`consolidated`, by the name of zarr-python."""
        return self.consolidated


Node = ArrayMetadata | GroupMetadata


Parse = Callable[[Any, str, str], Node]  # of what a consolidated document has of a node, the name of it, and the path


@dataclass(frozen=True)
class _Documents:
    """What a consolidated document, called `where`, has of nodes, by their paths; and the nodes that were parsed.

    Pickled, it is JSON, compressed: a group of thousands of arrays is sent to many workers.
    """

    documents: dict[str, Any]
    parse: Parse
    where: str
    parsed: dict[str, Node] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, (zlib.compress(json.dumps(self.documents).encode(), 1), self.parse, self.where)

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """The names of the nodes directly below each path, sorted."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.documents):
            above, _, name = path.rpartition("/")
            if name:
                found.setdefault(above, []).append(name)
        return found


def _unpacked(packed: bytes, parse: Parse, where: str) -> _Documents:
    return _Documents(json.loads(zlib.decompress(packed)), parse, where)


class Known:
    """The nodes that are known `now`, for all views of them: they are replaced as a whole."""

    def __init__(self, now: _Documents) -> None:
        self.now = now


class Nodes(Mapping[str, Node]):
    """A mapping from paths to nodes, each parsed on first use: a broken node does not hide the others.

    `documents`: what a consolidated document, called `where`, has of each; `parse(document, where, path)` makes a node.
    `below(path)` is a view of the same nodes, by their paths below that one; it costs nothing. All views share `known`.
    """

    def __init__(self, documents: Mapping[str, Any], parse: Parse, where: str) -> None:
        self.known, self._root = Known(_Documents(dict(documents), parse, where)), ""

    @property
    def _all(self) -> _Documents:
        return self.known.now

    @property
    def documents(self) -> dict[str, Any]:
        """What the consolidated document has of each node below the root of this view."""
        return {path: self._all.documents[self._root + path] for path in self}

    def __getitem__(self, path: str) -> Node:
        """The node at a path. KeyError if there is none, MetadataError if it is wrong."""
        found, whole = self._all, self._root + path
        if whole not in found.parsed:
            found.parsed[whole] = found.parse(found.documents[whole], found.where, whole)
        return found.parsed[whole]

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._root + path in self._all.documents

    def __iter__(self) -> Iterator[str]:
        return (path[len(self._root) :] for path in self._all.documents if path.startswith(self._root))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def below(self, path: str) -> Nodes:
        """The nodes below that at `path`, by their paths below it."""
        view = copy(self)
        view._root = f"{self._root}{path}/" if path else self._root
        return view

    @property
    def metadata(self) -> dict[str, Node]:
        """The nodes directly below the root of this view; groups among them have those below them."""
        found = {name: self[name] for name in self.names()}
        return {
            name: replace(node, consolidated=self.below(name)) if isinstance(node, GroupMetadata) else node
            for name, node in found.items()
        }

    @property
    def flattened_metadata(self) -> dict[str, Node]:
        """All nodes below the root of this view, by their paths."""
        return {path: node for path, node in self.items() if path}

    def names(self) -> list[str]:
        """The names of the nodes directly below the root of this view, sorted."""
        return list(self._all.names.get(self._root.removesuffix("/"), ()))


def node_path(path: str, where: str) -> str:
    """A path of a consolidated document without slashes at its ends. MetadataError if it leads out of the store."""
    parts = path.strip("/").split("/") if path.strip("/") else []
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise MetadataError(f"{where}: {path!r} is not the path of a node")
    return "/".join(parts)


def load_json(data: bytes, where: str) -> dict[str, Any]:
    """Parse a metadata document, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    The bare words NaN and Infinity, which zarr-python writes, are accepted, and halves of surrogate pairs are kept.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise MetadataError(f"{where}: {len(data)} bytes, and a document has at most {MAX_DOCUMENT_BYTES}")
    try:
        document = json.loads(bytes(data))
    except MemoryError as error:
        raise NoMemoryError(f"{where}: no memory to parse {len(data)} bytes") from error
    except RecursionError as error:
        raise MetadataError(f"{where}: nested too deeply") from error
    except ValueError as error:  # bad JSON, a bad encoding, an integer of thousands of digits
        raise MetadataError(f"{where}: not JSON: {error}") from error
    return mapping(document, f"{where}: the document")
