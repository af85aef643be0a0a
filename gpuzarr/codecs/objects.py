"""Codecs as users name them: the classes of zarr-python, each a `name` and a `configuration` of a document.

They say how an array is to be stored, and hold what `Array.filters`, `serializer` and `compressors` tell. What encodes
and decodes is the class of the same name in a file of its own; it checks the arguments here, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from operator import index
from typing import Any, ClassVar, Literal

from gpuzarr.checks import shown
from gpuzarr.codecs.as_document import Json, arguments, check, check_index, equals, from_dict, item, to_dict
from gpuzarr.dtypes import DataType, parse_v3
from gpuzarr.errors import ArgumentError

ORDERS = ("morton", "unordered", "lexicographic", "colexicographic")


class BloscShuffle(StrEnum):
    """The shuffles of blosc; their texts are taken as well."""

    noshuffle = "noshuffle"
    shuffle = "shuffle"
    bitshuffle = "bitshuffle"

    @classmethod
    def from_int(cls, num: int) -> BloscShuffle:
        """The shuffle that Zarr v2 stores as this number, 0 to 2."""
        if num not in (0, 1, 2):
            raise ArgumentError(f"a shuffle is 0, 1 or 2, not {shown(num)}")
        return list(cls)[num]


BloscCname = StrEnum("BloscCname", ["lz4", "lz4hc", "blosclz", "snappy", "zlib", "zstd"])
Endian = StrEnum("Endian", ["little", "big"])
ShardingCodecIndexLocation = StrEnum("ShardingCodecIndexLocation", ["start", "end"])
SubchunkWriteOrder = Literal["morton", "unordered", "lexicographic", "colexicographic"]


def of_document(member: Any) -> Any:
    """Make the codec of a member of a v3 `codecs` list: of the class of its name, else a NamedCodec."""
    member = {"name": member} if isinstance(member, str) else member
    cls = _OF_NAME.get(member["name"])
    if cls is None and member["name"].startswith("numcodecs."):
        from gpuzarr.codecs import numcodecs

        cls = numcodecs.OF_NAME.get(member["name"])
    if cls is not None:
        try:
            return cls.from_dict(member)
        except ArgumentError:  # what other implementations write beyond the arguments of zarr-python
            pass
    return NamedCodec(member["name"], member.get("configuration") or {})


def listed(given: Any) -> list[Any]:
    """The codecs of a list of objects, of dicts and of names."""
    if isinstance(given, str | dict) or not isinstance(given, Iterable):
        raise ArgumentError(f"codecs are a list, not {shown(given)}")
    found = [of_document(codec) if isinstance(codec, str | dict) else codec for codec in given]
    if unknown := [codec for codec in found if not hasattr(codec, "to_dict")]:
        raise ArgumentError(f"{shown(unknown[0])} is not a codec of gpuzarr.codecs, nor a dict")
    return found


@dataclass(frozen=True)
class NamedCodec:
    """A codec by its name and configuration, for which there is no class here.

    `codec_name`: the registered name; `codec_config`: its configuration.
    """

    codec_name: str
    codec_config: Json = field(hash=False)

    @property
    def name(self) -> str:
        """The registered name."""
        return self.codec_name

    def configuration(self) -> Json:
        """The configuration, as in a document."""
        return self.codec_config

    to_dict, __getitem__, __eq__ = to_dict, item, equals


@dataclass(frozen=True)
class BloscCodec:
    """Blosc: blocks, shuffled and compressed.

    `typesize` and `shuffle` that are not given are those that suit the dtype of the array.

    Examples
    --------
    >>> a = gpuzarr.zeros(8, dtype="int32", compressors=gpuzarr.codecs.BloscCodec(cname="lz4"))
    >>> a.compressors[0].typesize, a.compressors[0].shuffle
    (4, 'shuffle')
    """

    name: ClassVar[str] = "blosc"
    _: KW_ONLY
    typesize: int | None = None
    cname: str = "zstd"
    clevel: int = 5
    shuffle: str | None = None
    blocksize: int = 0
    _tunable_attrs: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        usual = {"typesize": 1, "shuffle": "bitshuffle"}
        open_still = frozenset(name for name in usual if getattr(self, name) is None)
        object.__setattr__(self, "_tunable_attrs", open_still)
        for name in open_still:
            object.__setattr__(self, name, usual[name])
        check(self)

    configuration, to_dict, __getitem__, __eq__ = arguments, to_dict, item, equals
    from_dict = classmethod(from_dict)


@dataclass(frozen=True)
class BytesCodec:
    """Elements as bytes, in a byte order: `endian` is "little", "big", or None for elements of one byte."""

    name: ClassVar[str] = "bytes"
    _: KW_ONLY
    endian: str | None = "little"

    @classmethod
    def from_dict(cls, data: Json) -> BytesCodec:
        """Make the codec of its `name` and `configuration`, which may be missing."""
        return from_dict(cls, {**data, "configuration": {"endian": None} | (data.get("configuration") or {})})

    configuration, to_dict, __getitem__, __eq__ = arguments, to_dict, item, equals

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Crc32cCodec:
    """A checksum, CRC-32C, behind each chunk."""

    name: ClassVar[str] = "crc32c"

    configuration, to_dict, __getitem__, __eq__ = arguments, to_dict, item, equals
    from_dict = classmethod(from_dict)


@dataclass(frozen=True)
class GzipCodec:
    """gzip, at a level from 0 (none) to 9."""

    name: ClassVar[str] = "gzip"
    _: KW_ONLY
    level: int = 5

    configuration, to_dict, __getitem__, __eq__ = arguments, to_dict, item, equals
    from_dict = classmethod(from_dict)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class ZstdCodec:
    """Zstandard, at a level up to 22 (0: the usual one), with a checksum in each frame if that is asked for."""

    name: ClassVar[str] = "zstd"
    _: KW_ONLY
    level: int = 0
    checksum: bool = False

    configuration, to_dict, __getitem__, __eq__ = arguments, to_dict, item, equals
    from_dict = classmethod(from_dict)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class TransposeCodec:
    """The axes of a chunk in another order."""

    name: ClassVar[str] = "transpose"
    _: KW_ONLY
    order: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", _integers(self.order, "order"))
        check(self)

    configuration, to_dict, __getitem__, __eq__ = arguments, to_dict, item, equals
    from_dict = classmethod(from_dict)


@dataclass(frozen=True)
class VLenUTF8Codec:
    """Texts of any length, in UTF-8."""

    name: ClassVar[str] = "vlen-utf8"

    def to_dict(self) -> Json:
        """The codec as `name` and an empty `configuration`, as zarr-python has it."""
        return {"name": self.name, "configuration": {}}

    configuration, __getitem__, __eq__ = arguments, item, equals
    from_dict = classmethod(from_dict)


@dataclass(frozen=True)
class VLenBytesCodec:
    """Bytes of any length."""

    name: ClassVar[str] = "vlen-bytes"

    def to_dict(self) -> Json:
        """The codec as `name` and an empty `configuration`, as zarr-python has it."""
        return {"name": self.name, "configuration": {}}

    configuration, __getitem__, __eq__ = arguments, item, equals
    from_dict = classmethod(from_dict)


@dataclass(frozen=True)
class ScaleOffset:
    """(x - offset) * scale, in the arithmetic of the array's dtype."""

    name: ClassVar[str] = "scale_offset"
    _: KW_ONLY
    offset: int | float | str = 0
    scale: int | float | str = 1

    def __post_init__(self) -> None:
        for name in ("offset", "scale"):
            if not isinstance(value := getattr(self, name), int | float | str):
                raise ArgumentError(f"{name} must be a number or string, not {shown(value)}")
        check(self)

    def configuration(self) -> Json:
        """The arguments that are not the usual ones."""
        return {name: value for name, value in arguments(self).items() if value != (name == "scale")}

    to_dict, __getitem__, __eq__ = to_dict, item, equals
    from_dict = classmethod(from_dict)


@dataclass(frozen=True)
class CastValue:
    """Numbers converted by value to another data type.

    `data_type`: its name, or an object of `gpuzarr.dtype`. `scalar_map`: {"encode": {from: to, ...}, "decode": ...}, or
    pairs in the place of dicts; it precedes all other rules.
    """

    name: ClassVar[str] = "cast_value"
    _: KW_ONLY
    data_type: Any
    rounding: str = "nearest-even"
    out_of_range: str | None = None
    scalar_map: Any = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if hasattr(self.data_type, "to_json"):
            object.__setattr__(self, "data_type", self.data_type.to_json(zarr_format=3))
        if isinstance(self.scalar_map, dict):
            object.__setattr__(self, "scalar_map", {way: _mapped(given) for way, given in self.scalar_map.items()})
        check(self)

    @property
    def dtype(self) -> DataType:
        """The data type of what is stored."""
        return parse_v3(self.data_type)

    def configuration(self) -> Json:
        """The arguments that are not the usual ones."""
        found = arguments(self)
        if found["rounding"] == "nearest-even":
            del found["rounding"]
        if isinstance(maps := found.get("scalar_map"), dict):
            pairs = {way: list(given.items()) if isinstance(given, dict) else given for way, given in maps.items()}
            found["scalar_map"] = pairs
        return found

    to_dict, __getitem__, __eq__ = to_dict, item, equals
    from_dict = classmethod(from_dict)


@dataclass(frozen=True)
class ShardingCodec:
    """A shard: many chunks, each encoded by itself, and an index of their places.

    `subchunk_write_order` is taken and means nothing: chunks lie in the order in which they are encoded, which
    readers do not notice.
    """

    name: ClassVar[str] = "sharding_indexed"
    _: KW_ONLY
    chunk_shape: tuple[int, ...]
    codecs: tuple[Any, ...] = (BytesCodec(),)
    index_codecs: tuple[Any, ...] = (BytesCodec(), Crc32cCodec())
    index_location: str = "end"
    subchunk_write_order: str = field(default="morton", repr=False)

    def __post_init__(self) -> None:
        shape = (self.chunk_shape,) if hasattr(self.chunk_shape, "__index__") else self.chunk_shape
        object.__setattr__(self, "chunk_shape", _integers(shape, "chunk_shape"))
        for name in ("codecs", "index_codecs"):
            object.__setattr__(self, name, tuple(listed(getattr(self, name))))
        if self.subchunk_write_order not in ORDERS:
            raise ArgumentError(f"subchunk_write_order is one of {ORDERS}, not {shown(self.subchunk_write_order)}")
        check(self)
        check_index(self.index_codecs, len(self.chunk_shape))

    def configuration(self) -> Json:
        """The arguments, with the codecs inside as dicts."""
        inside = {name: tuple(codec.to_dict() for codec in getattr(self, name)) for name in ("codecs", "index_codecs")}
        return {"chunk_shape": self.chunk_shape, **inside, "index_location": self.index_location}

    to_dict, __getitem__, __eq__ = to_dict, item, equals
    from_dict = classmethod(from_dict)


def _integers(given: Any, name: str) -> tuple[int, ...]:
    try:
        if isinstance(given, str | bytes):
            raise TypeError
        return tuple(index(n) if hasattr(n, "__index__") and not isinstance(n, bool) else n for n in given)
    except TypeError as error:
        raise ArgumentError(f"{name} must be integers, one for each axis, not {shown(given)}") from error


def _mapped(given: Any) -> Any:
    """Pairs as a dict; anything else as it is, for the codec to judge."""
    try:
        return dict(given)
    except (TypeError, ValueError):
        return given


_CLASSES = (BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ZstdCodec, TransposeCodec, VLenUTF8Codec, VLenBytesCodec)
_OF_NAME: dict[str, Any] = {cls.name: cls for cls in (*_CLASSES, ScaleOffset, CastValue, ShardingCodec)}
