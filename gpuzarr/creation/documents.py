"""Compose the metadata documents of a new array; they are checked by the parsers that read documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr import config
from gpuzarr.checks import listed, mapping, shown, utf8
from gpuzarr.creation import codecs, shapes, types
from gpuzarr.dtypes import DataType, elements
from gpuzarr.errors import MetadataError
from gpuzarr.metadata import ArrayMetadata
from gpuzarr.metadata import v2 as metadata_v2
from gpuzarr.metadata import v3 as metadata_v3
from gpuzarr.metadata.files import plain

DEFAULT: Any = type("Default", (), {"__repr__": lambda self: "<the default of the dtype>"})()
ZSTD = {"v3": {"name": "zstd", "configuration": {"level": 0, "checksum": False}}, "v2": {"id": "zstd", "level": 0}}
CRC32C = {"name": "crc32c"}
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
Json = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """The parameters of `create_array`, with the names and defaults of zarr-python 3."""

    shape: tuple[int, ...]
    dtype: Any
    chunks: Any = "auto"
    shards: Any = None
    filters: Any = "auto"
    compressors: Any = "auto"
    serializer: Any = "auto"
    fill_value: Any = DEFAULT
    order: str | None = None
    attributes: Json | None = None
    chunk_key_encoding: Any = None
    dimension_names: Any = None
    codecs: Any = None  # all of them, in place of filters, serializer and compressors


def metadata(wanted: Wanted, zarr_format: int) -> ArrayMetadata:
    """The metadata, with its document. MetadataError if there cannot be such an array."""
    attributes = {} if wanted.attributes is None else mapping(plain(wanted.attributes), "attributes")
    if zarr_format == 2:
        return metadata_v2.parse_array(_v2(wanted), attributes, "the new array")
    if zarr_format != 3:
        raise MetadataError(f"zarr_format must be 2 or 3, not {shown(zarr_format)}")
    return metadata_v3.parse_array({**_v3(wanted), "attributes": attributes}, "the new array")


def _is_auto(given: Any) -> bool:
    return isinstance(given, str) and given == "auto"


def _v3(wanted: Wanted) -> Json:
    found, _ = types.data_type(wanted.dtype)
    itemsize = found.dtype.itemsize
    chunks = shapes.chunk_shape(wanted.chunks, wanted.shape, itemsize)
    given, index_location = shapes.index_location(wanted.shards)
    shards = shapes.shard_shape(given, chunks, wanted.shape, itemsize)
    chain = _chain(wanted, found, itemsize)
    if shards is not None:
        inside = {
            "chunk_shape": list(chunks),
            "codecs": chain,
            "index_codecs": [LITTLE, CRC32C],
            "index_location": index_location,
        }
        chain = [{"name": "sharding_indexed", "configuration": inside}]
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(wanted.shape),
        "data_type": plain(found.to_json()),
        "chunk_grid": shapes.chunk_grid(chunks if shards is None else shards),
        "chunk_key_encoding": _key_encoding(wanted.chunk_key_encoding),
        "fill_value": _fill_json(wanted.fill_value, found),
        "codecs": chain,
    }
    names = wanted.dimension_names
    return {**document, "dimension_names": list(names)} if names else document


def _chain(wanted: Wanted, found: DataType, itemsize: int) -> list[Json]:
    element = 1 if found.variable else itemsize
    given = _parts(wanted, found) if wanted.codecs is None else listed(wanted.codecs)
    dtype = "" if found.variable or found.dtype.isbuiltin != 1 else str(found.dtype)
    made = [codecs.v3(codec, element, dtype) for codec in given]
    ordered = found.variable or found.has_order
    return [codec if ordered or codec["name"] != "bytes" else {"name": "bytes"} for codec in made]


def _parts(wanted: Wanted, found: DataType) -> list[Any]:
    """Filters, serializer and compressors, in this order."""
    filters = [] if _is_auto(wanted.filters) else listed(wanted.filters)
    compressors = [ZSTD["v3"]] if _is_auto(wanted.compressors) else None
    compressors = listed(wanted.compressors) if compressors is None else compressors
    serializer = _serializer(found) if wanted.serializer is None or _is_auto(wanted.serializer) else wanted.serializer
    return [*filters, serializer, *compressors]


def _serializer(found: DataType) -> Json:
    """The default serializer of a data type; little-endian for elements of several bytes."""
    if found.variable:
        return {"name": "vlen-utf8" if found.family == "string" else "vlen-bytes"}
    if found.family == "optional":
        raise MetadataError("an array of optionals needs a serializer: codec 'optional' with its configuration")
    return LITTLE if found.has_order else {"name": "bytes"}


def _fill_value(given: Any, found: DataType) -> Any:
    """The fill value as a NumPy scalar, a text, bytes or an object; the default of the data type if none is given."""
    if given is DEFAULT or given is None:
        return found.default_fill()
    if found.family == "string" and isinstance(given, str):
        utf8(given, "fill_value")
    if found.family == "bytes":
        return _fill_bytes(given)
    if found.family in ("object", "optional"):
        return given
    try:
        value = elements.element(given, found.dtype)
    except Exception as error:  # NumPy raises many kinds, and calls what objects define
        raise MetadataError(f"fill_value {shown(given)} is not a value of {found.dtype}: {error}") from error
    if isinstance(value, np.ndarray):
        raise MetadataError(f"fill_value {shown(given)} is not one value of {found.dtype}, but an array of them")
    return value


def _fill_bytes(given: Any) -> bytes:
    if not isinstance(given, bytes | bytearray | memoryview):
        raise MetadataError(f"fill_value {shown(given)} is no bytes")
    return bytes(given)


def _fill_json(given: Any, found: DataType, zarr_format: int = 3, stored: np.dtype[Any] | None = None) -> Any:
    """The fill value in a document."""
    value = _fill_value(given, found)
    try:
        return plain(found.fill_to_json(value, zarr_format, stored))
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise MetadataError(f"fill_value {shown(given)} is not a value of {found.dtype}: {error}") from error


def _key_encoding(given: Any) -> Json:
    if given is None:
        return {"name": "default", "configuration": {"separator": "/"}}
    given = given.to_dict() if hasattr(given, "to_dict") else {"name": given} if isinstance(given, str) else given
    if isinstance(given, dict) and ("configuration" in given or "name" not in given):
        return given
    pair = (given["name"], given.get("separator")) if isinstance(given, dict) else given
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise MetadataError(f"chunk_key_encoding must be a name or a dict, not {shown(given)}")
    name, separator = pair
    return {"name": name, "configuration": {"separator": separator or ("/" if name == "default" else ".")}}


def _v2(wanted: Wanted) -> Json:
    found, dtype = types.data_type(wanted.dtype)
    if wanted.shards is not None:
        raise MetadataError("Zarr v2 has no shards: use zarr_format=3")
    if wanted.codecs is not None:
        raise MetadataError("Zarr v2 has no list of codecs: use filters and compressors, or zarr_format=3")
    if wanted.serializer is not None and not _is_auto(wanted.serializer):
        raise MetadataError("Zarr v2 has no serializer: use filters, or zarr_format=3")
    compressors = [ZSTD["v2"]] if _is_auto(wanted.compressors) else None
    compressors = listed(wanted.compressors) if compressors is None else compressors
    if len(compressors) > 1:
        raise MetadataError("Zarr v2 has one compressor: give the others as filters")
    if wanted.dimension_names is not None:
        raise MetadataError("Zarr v2 has no dimension_names; xarray has them as the attribute _ARRAY_DIMENSIONS")
    keys = _key_encoding(("v2", ".") if wanted.chunk_key_encoding is None else wanted.chunk_key_encoding)
    encoding = mapping(keys.get("configuration", {}), "configuration of chunk_key_encoding")
    chunks = shapes.chunk_shape(wanted.chunks, wanted.shape, found.dtype.itemsize)
    if shapes.is_rectilinear(chunks):
        raise MetadataError(f"Zarr v2 has no chunks of several sizes ({shown(wanted.chunks)}): use zarr_format=3")
    stored = None if dtype.names is None or found.variable else dtype
    return {
        "zarr_format": 2,
        "shape": list(wanted.shape),
        "chunks": list(chunks),
        "dtype": types.v2_descr(found, dtype),
        "compressor": codecs.v2(compressors[0]) if compressors else None,
        "fill_value": _fill_of_v2(wanted.fill_value, found, stored),
        "order": wanted.order or config.get("array.order"),
        "filters": _v2_filters(wanted, found),
        "dimension_separator": encoding.get("separator", "."),
    }


def _fill_of_v2(given: Any, found: DataType, stored: np.dtype[Any] | None) -> Any:
    if given is DEFAULT and found.family == "fixed_bytes":
        return ""  # as zarr-python writes it
    return None if given is None else _fill_json(given, found, 2, stored)


def _v2_filters(wanted: Wanted, found: DataType) -> list[Json] | None:
    filters = [] if _is_auto(wanted.filters) else listed(wanted.filters)
    if not filters and found.family in ("string", "bytes"):
        filters = [{"id": "vlen-utf8" if found.family == "string" else "vlen-bytes"}]
    return [codecs.v2(one) for one in filters] or None
