"""The codecs of an array in the terms of `creation.Wanted`, in either version of Zarr.

What chunks are encoded with stays the same where both versions have it: then chunks need not be decoded to be copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr import codecs
from gpuzarr.checks import shown
from gpuzarr.codecs.bytes import Bytes
from gpuzarr.creation.codecs import v3 as member_of_v3
from gpuzarr.errors import UnsupportedError
from gpuzarr.metadata import ArrayMetadata
from gpuzarr.nodes.sizes import shards_of

Json = dict[str, Any]
_OF_TEXT = ("vlen-utf8", "vlen-bytes")
_OF_DTYPE = ("typesize", "elementsize")  # members of configurations that say the size of an element
_WITHOUT = {("zstd", "checksum"): False}  # members of v3 that v2 lacks, with what they always are there


@dataclass(frozen=True)
class Coding:
    """Codecs, as documents have them; "auto" for those of a new array."""

    filters: Any = "auto"
    serializer: Any = "auto"
    compressors: Any = "auto"
    order: str | None = None
    big_endian: bool = False  # of elements of Zarr v2

    def with_other_elements(self, version: int) -> Coding:
        """The same compressors for elements of another size. Filters go, as they are made for a dtype."""
        order = [one for one in self.filters if one.get("name") == "transpose"] if self.filters != "auto" else "auto"
        compressors = self.compressors if self.compressors == "auto" else [_sizeless(c) for c in self.compressors]
        is_bytes = isinstance(self.serializer, dict) and self.serializer.get("name") == "bytes"
        has_order = is_bytes and bool(self.serializer.get("configuration"))
        filters = order if version == 3 else "auto"
        return Coding(filters, self.serializer if has_order else "auto", compressors, self.order, self.big_endian)

    def with_fewer_axes(self) -> Coding:
        """The same codecs, without those that put axes in another order."""
        filters = self.filters
        if filters != "auto":
            filters = [one for one in filters if one.get("name") != "transpose"]
        return Coding(filters, self.serializer, self.compressors, self.order, self.big_endian)


def coding(metadata: ArrayMetadata, version: int) -> Coding:
    """The codecs of an array, for an array of a version of Zarr. UnsupportedError where that cannot have them."""
    if metadata.why_read_only is not None:
        return Coding()  # of a format that has its own
    if metadata.zarr_format == 2:
        return _v2_as_v2(metadata) if version == 2 else _v2_as_v3(metadata)
    return _v3_as_v3(metadata) if version == 3 else _v3_as_v2(metadata)


def _sizeless(codec: Json) -> Json:
    """A codec that takes the size of elements from the array."""
    if "configuration" not in codec:
        return {name: value for name, value in codec.items() if name not in _OF_DTYPE}
    return codec | {"configuration": {k: v for k, v in codec["configuration"].items() if k not in _OF_DTYPE}}


def _is_big(metadata: ArrayMetadata) -> bool:
    return any(isinstance(codec, Bytes) and codec.endian == "big" for codec in metadata.codecs)


def _v2_as_v2(metadata: ArrayMetadata) -> Coding:
    compressor = metadata.document.get("compressor")
    filters = list(metadata.document.get("filters") or ())
    return Coding(filters, "auto", [] if compressor is None else [compressor], metadata.order, _is_big(metadata))


def _v3_as_v3(metadata: ArrayMetadata) -> Coding:
    members, kinds = _members(metadata)
    i = kinds.index("array->bytes")
    return Coding(members[:i], members[i], members[i + 1 :])


def _members(metadata: ArrayMetadata) -> tuple[list[Json], list[str]]:
    """The codecs of the chunks, as the document has them, and their kinds; of shards, those of the chunks inside."""
    parsed, members = metadata.codecs, metadata.document["codecs"]
    if shards := shards_of(metadata.codecs):
        parsed, members = shards.codecs, members[0]["configuration"]["codecs"]
    members = [{"name": one} if isinstance(one, str) else dict(one) for one in members]
    return members, [codec.kind for codec in parsed]


def _v2_as_v3(metadata: ArrayMetadata) -> Coding:
    """Filters of v2 by what they take: arrays, or bytes."""
    dtype = metadata.data_type.dtype
    reversed_axes = list(range(len(metadata.shape)))[::-1]
    is_turned = metadata.order == "F" and len(reversed_axes) > 1
    parts: dict[str, list[Json]] = {"array->array": [], "array->bytes": [], "bytes->bytes": []}
    if is_turned:
        parts["array->array"].append({"name": "transpose", "configuration": {"order": reversed_axes}})
    compressor = metadata.document.get("compressor")
    given = [*(metadata.document.get("filters") or ()), *([] if compressor is None else [compressor])]
    for member in given:
        if metadata.data_type.variable and _is_of_objects(member):
            continue  # v3 has a serializer for these data types
        made = member_of_v3(member, 1 if metadata.data_type.variable else dtype.itemsize, _name(dtype))
        kind = codecs.find(made["name"], made.get("configuration") or {}).kind
        if kind == "array->array" and (parts["bytes->bytes"] or parts["array->bytes"]):
            raise UnsupportedError(f"filter {member['id']!r} follows one that makes bytes, which Zarr v3 does not have")
        parts[kind].append(made)
    order = {"endian": "big" if _is_big(metadata) else "little"}
    default = {"name": "bytes", "configuration": order} if metadata.data_type.has_order else "auto"
    serializer = parts["array->bytes"][0] if parts["array->bytes"] else default
    is_auto = metadata.data_type.variable and not parts["array->bytes"]
    return Coding(parts["array->array"], "auto" if is_auto else serializer, parts["bytes->bytes"])


def _is_of_objects(member: Json) -> bool:
    return codecs.find(member["id"], {k: v for k, v in member.items() if k != "id"}, 2).kind == "array->bytes"


def _name(dtype: np.dtype[Any]) -> str:
    return str(dtype) if dtype.isbuiltin == 1 else ""


def _v3_as_v2(metadata: ArrayMetadata) -> Coding:
    members, kinds = _members(metadata)
    i = kinds.index("array->bytes")
    filters, serializer, after = members[:i], members[i], members[i + 1 :]
    order = list(range(len(metadata.shape)))[::-1]
    is_turned = bool(filters) and filters[0] == {"name": "transpose", "configuration": {"order": order}}
    filters = filters[1:] if is_turned else filters
    if filters and filters[0]["name"] == "transpose":
        raise UnsupportedError("Zarr v2 has no codec 'transpose' but for order F, in which all axes are reversed")
    is_plain = serializer["name"] == "bytes" or serializer["name"] in _OF_TEXT
    before = [*filters, *([] if is_plain else [serializer]), *after[:-1]]
    is_big = (serializer.get("configuration") or {}).get("endian") == "big" and serializer["name"] == "bytes"
    itemsize = metadata.data_type.dtype.itemsize if serializer["name"] == "bytes" else 0
    made = [_as_v2(one, itemsize if not before else 0) for one in (*before, *after[-1:])]
    if metadata.data_type.family in ("string", "bytes"):
        made.insert(len(filters), {"id": serializer["name"]})
    count = len(after[-1:])
    compressors = made[len(made) - count :]
    return Coding(made[: len(made) - count], "auto", compressors, "F" if is_turned else "C", is_big)


def _as_v2(codec: Json, itemsize: int) -> Json:
    """A codec in the form of v2. UnsupportedError where v2 has none."""
    name, configuration = codec["name"].removeprefix("numcodecs."), dict(codec.get("configuration") or {})
    configuration = {k: v for k, v in configuration.items() if _WITHOUT.get((name, k), ...) != v}
    if configuration.get("typesize") == itemsize:
        del configuration["typesize"]  # that of the elements, which numcodecs takes if it is not given
    shuffles = ("noshuffle", "shuffle", "bitshuffle")
    if configuration.get("shuffle") in shuffles:
        configuration["shuffle"] = shuffles.index(configuration["shuffle"])
    try:
        codecs.find(name, configuration, 2)
    except Exception as error:
        raise UnsupportedError(f"Zarr v2 has no codec {shown(codec['name'])} with this configuration") from error
    return {"id": name, **configuration}
