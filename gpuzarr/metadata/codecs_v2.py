"""Make a v3 codec chain (array->array, one array->bytes, bytes->bytes) of the filters and compressor of a v2 array."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gpuzarr import codecs
from gpuzarr.batch import ChunkSpec
from gpuzarr.checks import at, mapping, sequence, shown
from gpuzarr.codecs import Codec
from gpuzarr.dtypes import stored_dtype
from gpuzarr.errors import MetadataError

_OBJECT_CODECS = ("vlen-utf8", "vlen-bytes", "vlen-array", "json", "json2", "msgpack", "msgpack2", "pickle")


def members(zarray: dict[str, Any]) -> list[dict[str, Any]]:
    """The configurations of the filters and of the compressor, in the order of encoding."""
    filters = zarray.get("filters")
    found = (
        [] if filters is None else [_member(one, f"filters[{i}]") for i, one in enumerate(sequence(filters, "filters"))]
    )
    compressor = zarray.get("compressor")
    return found if compressor is None else [*found, _member(compressor, "compressor")]


def object_codec(codec_members: list[dict[str, Any]]) -> str | None:
    """The id of the codec that encodes objects as bytes, or takes them as they are; None if there is none."""
    ids = [member["id"] for member in codec_members]
    return next((name for name in ids if name in (*_OBJECT_CODECS, "categorize")), None)


def chain(codec_members: list[dict[str, Any]], spec: ChunkSpec, stored: np.dtype[Any], order: str) -> tuple[Codec, ...]:
    """Make the v3 chain for chunks of `spec`. `stored` is the dtype in the document, with its byte order.

    Order F becomes a transpose. Filters that take an array follow, as long as each takes the dtype that it is given;
    then `bytes` (or a filter that makes bytes itself); then the rest, in which an array filter works on a flat view of
    the bytes. A blosc right after `bytes` shuffles by the size of the elements, as in numcodecs.
    """
    found = [(member, _find(member)) for member in codec_members]
    head: list[Codec] = []
    if order == "F" and len(spec.shape) > 1:
        head.append(codecs.find("transpose", {"order": list(range(len(spec.shape)))[::-1]}))
        spec = replace(spec, shape=spec.shape[::-1])
    while found and found[0][1].kind == "array->array" and _takes(found[0][0]) in (None, stored):
        member, codec = found.pop(0)
        head.append(codec)
        with at(f"filter {member['id']!r}"):
            spec = codec.encoded(spec)
        stored = _makes(member, spec.dtype)
    if found and found[0][1].kind == "array->bytes":
        head.append(_of_the_array(found.pop(0)[1], stored))
    else:
        head.append(_to_bytes(stored))
    if len(found) == 1 and found[0][0]["id"] == "blosc":
        found = [(found[0][0], _sized(found[0][1], stored.itemsize))]
    return (*head, *(_flat(member, codec) for member, codec in found))


def _of_the_array(codec: Codec, stored: np.dtype[Any]) -> Codec:
    """A codec that makes bytes of the array; those of other packages get it in the byte order of the document."""
    from gpuzarr.codecs.of_numcodecs import OfNumcodecs

    return replace(codec, stored=stored) if isinstance(codec, OfNumcodecs) and not stored.hasobject else codec


def _sized(codec: Any, itemsize: int) -> Codec:
    """A blosc that shuffles by the size of the elements, unless it has a typesize of its own."""
    return codec if codec.typesize or not 0 < itemsize < 256 else replace(codec, typesize=itemsize)


def _member(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(mapping(value, field).get("id"), str):
        raise MetadataError(f"{field} must have an id: {shown(value)}")
    return value


def _find(member: dict[str, Any]) -> Codec:
    configuration = {name: value for name, value in member.items() if name != "id"}
    try:
        return codecs.find(member["id"], configuration, 2)
    except (MetadataError, RecursionError):
        raise
    except Exception as error:  # it may be a codec of another package
        raise MetadataError(f"codec {member['id']!r}: {type(error).__name__}: {error}") from error


def _takes(member: dict[str, Any]) -> np.dtype[Any] | None:
    """The dtype, with byte order, that an array filter takes; None if it takes any."""
    return stored_dtype(member.get("decode_dtype", member.get("dtype")))


def _makes(member: dict[str, Any], dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that an array filter makes, with the byte order in which it is stored."""
    named = _names_made(member)
    if dtype.hasobject or dtype.kind == "T":
        return dtype
    return dtype.newbyteorder("<" if named is None else named.byteorder)


def _names_made(member: dict[str, Any]) -> np.dtype[Any] | None:
    """The dtype, with byte order, that the configuration of an array filter names as its result."""
    return stored_dtype(member.get("encode_dtype", member.get("astype") or member.get("dtype")))


def _to_bytes(stored: np.dtype[Any]) -> Codec:
    from gpuzarr.codecs.bytes import Bytes

    if stored.hasobject or stored.kind == "T":
        raise MetadataError(f"no codec encodes {stored}, the result of the filters, as bytes")
    orders = _byte_orders(stored)
    if len(orders) > 1:
        return Bytes(stored=stored)
    return Bytes(endian="big" if orders == {"big"} else "little")


def _byte_orders(dtype: np.dtype[Any]) -> set[str]:
    """The byte orders of the parts of a dtype."""
    if dtype.subdtype is not None:
        return _byte_orders(dtype.base)
    if dtype.names is not None:
        return set().union(*(_byte_orders(dtype[name]) for name in dtype.names))
    if dtype.byteorder == "|":
        return set()
    return {"big" if dtype.newbyteorder(">") == dtype and dtype.itemsize > 1 else "little"}


def _flat(member: dict[str, Any], codec: Any) -> Codec:
    codec = codec.standing(1) if hasattr(codec, "standing") else codec
    if codec.kind == "bytes->bytes":
        return codec
    if codec.kind == "array->bytes":
        raise MetadataError(f"codec {member['id']!r} takes an array, but a codec before it made bytes")
    from gpuzarr.codecs.flat_filter import FlatFilter

    bits = np.dtype(bool if member["id"] == "packbits" else np.uint8)
    before = _takes(member) or bits
    after = _names_made(member) or np.dtype(np.uint8)
    if before.hasobject or after.hasobject or not before.itemsize or not after.itemsize:
        raise MetadataError(f"filter {member['id']!r} takes or makes objects, but a codec before it made bytes")
    return FlatFilter(codec, before, after)
