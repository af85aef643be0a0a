"""Facts about an array and how it is stored: as text for people and as a dict for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError, ZarrDeprecationWarning, warn
from gpuzarr.indexing.layout import Layout
from gpuzarr.metadata import ArrayMetadata, ChunkKeys
from gpuzarr.metadata.files import FILES
from gpuzarr.nodes.sizes import chunk_shape, shard_shape, shards_of, write_sizes
from gpuzarr.stores.contract import Store
from gpuzarr.stores.keys import listed_keys

MAX_FLOAT_RATIO = 1 << 53  # above it floats are integers
Json = dict[str, Any]


@dataclass(frozen=True, repr=False)
class About:
    """Facts about a node. As text one a line; `asdict()` gives them as a dict.

    Examples
    --------
    >>> a = gpuzarr.zeros((3, 4), dtype="int16")
    >>> a.info.asdict()["Data type"]
    'int16'
    """

    facts: Json

    def __getattr__(self, name: str) -> Any:
        """A fact by the name that other libraries know from zarr-python: `_zarr_format`, `_shape`."""
        for fact, value in self.__dict__.get("facts", {}).items():
            if name == f"_{fact.lower().replace('-', '_').replace(' ', '_')}":
                return value
        raise AttributeError(f"no such fact about the node: {name!r}; asdict() has all of them")

    def asdict(self) -> Json:
        """The facts by their names."""
        return dict(self.facts)

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        return "\n".join(f"{name:<{width}} : {_text(fact)}" for name, fact in self.facts.items())

    __repr__ = __str__


def _text(fact: Any) -> str:
    try:
        return str(fact)
    except ValueError:  # NumPy has no text for a time without a unit
        return shown(fact)


@dataclass(frozen=True)
class Stored:
    """Contents of a store below a path: bytes of all objects; bytes and number of those that are no documents; and how
    many chunks of the grid (shards, if there are any) are there."""

    nbytes: int
    chunk_nbytes: int
    chunks: int
    initialized: int

    @classmethod
    def of(cls, store: Store, path: str, metadata: ArrayMetadata) -> Stored:
        """List all objects below the path of an array."""
        sizes, is_chunk = list(store.objects(path)), _chunk_test(metadata, path)
        chunks = [size for key, size in sizes if key.rpartition("/")[2] not in FILES]
        initialized = sum(1 for key, _ in sizes if is_chunk(key))
        return cls(sum(size for _, size in sizes), sum(chunks), len(chunks), initialized)


def _chunk_test(metadata: ArrayMetadata, path: str) -> Callable[[str], bool]:
    """What tells whether a key is that of a chunk of an array; where nobody knows the encoding, of no document."""
    keys, counts = metadata.chunk_keys, tuple(axis.count for axis in metadata.axes)
    if not isinstance(keys, ChunkKeys):
        return lambda key: key.rpartition("/")[2] not in FILES
    if not counts:
        return f"{path}/{keys.scalar}".lstrip("/").__eq__

    def is_chunk(key: str) -> bool:
        coords = keys.decode(key, path)
        return coords is not None and len(coords) == len(counts) and all(map(int.__lt__, coords, counts))

    return is_chunk


def array_facts(metadata: ArrayMetadata, access: Json) -> Json:
    """Facts told by metadata alone; `access` are facts about how the array was opened."""
    filters, serializer, compressors = codecs(metadata)
    facts = {
        "Type": "Array",
        "Format": metadata.foreign,
        "Zarr format": metadata.zarr_format,
        "Data type": metadata.data_type.name,
        "Fill value": metadata.fill_value if metadata.is_filled else None,
        "Shape": metadata.shape,
        "Shard shape": shard_shape(metadata),
        "Chunk shape": chunk_shape(metadata),
        "Order": metadata.order,
        **access,
        "Filters": filters,
        "Serializer": serializer,
        "Compressors": compressors,
        "No. bytes": metadata.size * metadata.data_type.dtype.itemsize,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def stored_facts(stored: Stored, layout: Layout, nbytes: int) -> Json:
    """Facts about what the store holds of an array of `nbytes` decoded bytes."""
    kind = "Shards" if layout.levels else "Chunks"
    ratio = {"Storage ratio": _ratio(nbytes, stored.nbytes)} if stored.nbytes else {}
    return {
        "No. bytes stored": stored.nbytes,
        **ratio,
        f"{kind} initialized": f"{stored.initialized}/{prod(layout.grid(0))}",
    }


def _ratio(a: int, b: int) -> float:
    """a / b, to one decimal; an int where no float is as large."""
    return round(a / b, 1) if a // b < MAX_FLOAT_RATIO else a // b


def codecs(metadata: ArrayMetadata) -> tuple[tuple[Any, ...], Any, tuple[Any, ...]]:
    """Filters, serializer and compressors as objects, which `create_array` takes.

    For shards, those of the chunks inside. In Zarr v2 they are objects of numcodecs, and the serializer is None.
    """
    document = metadata.document
    if metadata.zarr_format == 2:
        compressor = document.get("compressor")
        compressors = () if compressor is None else (_of_numcodecs(compressor),)
        return tuple(map(_of_numcodecs, document.get("filters") or ())), None, compressors
    from gpuzarr.codecs import objects

    parsed, members = metadata.codecs, document["codecs"]
    if shards := shards_of(metadata.codecs):
        parsed, members = shards.codecs, members[0]["configuration"]["codecs"]
    at = [codec.kind for codec in parsed].index("array->bytes")
    named = tuple(map(objects.of_document, members))
    return named[:at], named[at], named[at + 1 :]


def _of_numcodecs(member: Json) -> Any:
    """The codec of a v2 document as an object of numcodecs; the dict itself where numcodecs does not have it."""
    from numcodecs import get_codec

    try:
        return get_codec(dict(member))
    except Exception:  # a package that is not installed, or members that only other implementations write
        return member


def only_compressor(metadata: ArrayMetadata, compressors: tuple[Any, ...]) -> Any:
    """The `compressor` of zarr-python, which only Zarr v2 has. ArgumentError for Zarr v3."""
    if metadata.zarr_format == 3:
        raise ArgumentError("an array of Zarr v3 has no `compressor`: use `compressors`")
    warn("`compressor` is deprecated: use `compressors`", ZarrDeprecationWarning)
    return compressors[0] if compressors else None


def chunks_stored(metadata: ArrayMetadata, store: Store, path: str, layout: Layout) -> int:
    """The number of chunks in a store; a shard counts with all of its chunks."""
    found = filter(_chunk_test(metadata, path), listed_keys(store, path))
    if shards_of(metadata.codecs) is None or metadata.regular:
        return sum(1 for _ in found) * prod(layout.per_object)
    whole = [
        [-(-size // n) for size in sizes] for sizes, n in zip(write_sizes(metadata), chunk_shape(metadata), strict=True)
    ]
    inside = (metadata.chunk_keys.decode(key, path) for key in found)
    return sum(prod(counts[i] for i, counts in zip(c, whole, strict=True)) for c in inside)


class Described(Protocol):
    """The members of an array that its methods of this module use."""

    store: Store
    path: str
    metadata: ArrayMetadata

    @property
    def layout(self) -> Layout: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def info(self) -> About: ...


def info_complete(self: Described) -> About:
    """`info`, and how many bytes and chunks the store holds. Lists the store.

    Examples
    --------
    >>> a = gpuzarr.zeros((4, 4), chunks=(2, 2))
    >>> a[0] = 1
    >>> a.info_complete().asdict()["Chunks initialized"]
    '2/4'
    """
    stored = stored_facts(Stored.of(self.store, self.path, self.metadata), self.layout, self.nbytes)
    return About(self.info.asdict() | stored)


def nbytes_stored(self: Described) -> int:
    """Bytes of all that the store holds of the array, metadata included. Lists the store."""
    return sum(size for _, size in self.store.objects(self.path))


def as_html(self: Described) -> str:
    """The array in a notebook: facts, and its chunk grid. Nothing is read, and it never fails."""
    from gpuzarr.nodes.html_array import array_html

    return array_html(self)
