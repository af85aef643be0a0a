"""Translate the metadata of N5 (`attributes.json`) to the model of v3: datasets are arrays of the codec `n5_default`.

Source: https://github.com/saalfeldlab/n5, "File-system specification" 4.0; for datasets of versions before 2, its Java
library. N5 is only read.

The axes are in the order of `dimensions`, as tensorstore and n5py (`zarr-n5`) have them, and as the keys of blocks have
it: of an image x, y, z. (The N5Store of zarr-python 2 and z5py reverse them.)

A folder is a group, also one without `attributes.json`, if a folder above it, or one in it, belongs to N5 by such a
document. Members of `attributes.json` that describe the data are no attributes; all others are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gpuzarr.checks import at, integer, lengths, mapping, required, shown
from gpuzarr.errors import GpuZarrError, MetadataError, UnsupportedError
from gpuzarr.metadata import ArrayMetadata, GroupMetadata, Node, files, v3
from gpuzarr.metadata.dimensions import of_xarray
from gpuzarr.metadata.files import Document
from gpuzarr.stores.contract import Store

NAME = "attributes.json"
FORMAT = "N5"
MAX_VERSION = 4
MAX_LOOKED_AT = 16  # names in a folder, to see whether they belong to N5
_DATA_TYPES = (*(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)), "float32", "float64")
_OF_DATASETS = ("dimensions", "blockSize", "dataType", "compression", "compressionType")
_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
Json = dict[str, Any]


def find(store: Store, path: str, is_implied: bool = False) -> Node | None:
    """The dataset or group at a path; None if there is none. MetadataError if its document is wrong.

    `is_implied`: a folder without a document is a group, too, if it belongs to N5.
    """
    document = files.read(store, path, NAME)
    if document is not None:
        return parse(document, files.place(store, path, NAME))
    if is_implied and _belongs_to_n5(store, path):
        return GroupMetadata(3, {}, None, {"zarr_format": 3, "node_type": "group"}, FORMAT, True)
    return None


def parse(document: Any, where: str) -> Node:
    """Parse `attributes.json`. `where` names it in a MetadataError, beside the field."""
    with at(where):
        _check_version(mapping(document, "the document").get("n5"))
        if not _is_dataset(document):
            attributes = {name: value for name, value in document.items() if name != "n5"}
            written = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
            return GroupMetadata(3, attributes, None, written, FORMAT, True)
        translated = _array(document)
    array: ArrayMetadata = v3.parse_array(translated, where)
    return replace(array, foreign=FORMAT)


def nearest(store: Store, path: str) -> Node | None:
    """The dataset or root of N5 at a path, or the nearest above it; None if there is none."""
    found = ((each, _read(store, each)) for each in [path, *_above(path)])
    place = next((each for each, document in found if _is_of_n5(document)), None)
    return None if place is None else find(store, place)


def _is_of_n5(document: Document | None) -> bool:
    """Whether a document can be of nothing but N5."""
    return document is not None and ("n5" in document or _is_dataset(document))


def _is_dataset(document: Document) -> bool:
    return "dimensions" in document and "dataType" in document


def _read(store: Store, path: str) -> Document | None:
    """A document; None also for one that is wrong."""
    with suppress(MetadataError):
        return files.read(store, path, NAME)
    return None


def _above(path: str) -> list[str]:
    """The paths above, the nearest first."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:i]) for i in reversed(range(len(parts)))]


def _belongs_to_n5(store: Store, path: str) -> bool:
    """Whether a folder without a document lies in a group of N5, and has something in it; or datasets are in it."""
    names = _names(store, path)
    found = next(filter(None, (_read(store, each) for each in _above(path))), None) if names else None
    if found is not None:
        return not _is_dataset(found)
    inner = (_read(store, f"{path}/{name}" if path else name) for name in names[:MAX_LOOKED_AT])
    return any(each is not None and _is_dataset(each) for each in inner)


def _names(store: Store, path: str) -> list[str]:
    with suppress(GpuZarrError):  # of stores that cannot list
        return store.names(path)
    return []


def _check_version(version: Any) -> None:
    if version is None:
        return
    major = str(version).partition(".")[0]
    if not major.isdecimal() or len(major) > 9:
        raise MetadataError(f"n5 must be a version such as '4.0.0', not {shown(version)}")
    if int(major) > MAX_VERSION:
        raise UnsupportedError(f"n5: version {version}; versions up to {MAX_VERSION} are supported")


def _array(document: Document) -> Json:
    """The document of v3 for a dataset."""
    shape = lengths(required(document, "dimensions"), "dimensions")
    block = [max(side, 1) for side in lengths(document.get("blockSize", list(shape)), "blockSize", len(shape))]
    data_type = required(document, "dataType")
    if data_type not in _DATA_TYPES:
        problem = "is not supported" if data_type in ("string", "object") else "is unknown"
        raise UnsupportedError(f"dataType {shown(data_type)} {problem}; it may be {', '.join(_DATA_TYPES)}")
    with at("compression"):
        compressor = _compressor(document, int(data_type.strip("uintfloa")) // 8)
    turn = {"name": "transpose", "configuration": {"order": list(range(len(shape)))[::-1]}}
    to_bytes = {"name": "bytes", "configuration": {"endian": "big"}}
    codecs = [turn, to_bytes, *compressor]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": block}},
        "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "n5_default", "configuration": {"codecs": codecs}}],
        "attributes": {name: value for name, value in document.items() if name not in (*_OF_DATASETS, "n5")},
        "dimension_names": _dimension_names(document, len(shape)),
    }


def _compressor(document: Document, itemsize: int) -> list[Json]:
    """The codec of v3, if there is one, for `compression`; before version 2 that was `compressionType`."""
    given = document.get("compression", document.get("compressionType", "raw"))
    found = {"type": given} if isinstance(given, str) else mapping(given, "it")
    kind = required(found, "type")
    if kind == "raw":
        return []
    if not isinstance(kind, str) or kind not in _COMPRESSORS:
        raise UnsupportedError(f"type {shown(kind)} is unknown; it may be {', '.join(('raw', *_COMPRESSORS))}")
    name, configuration = _COMPRESSORS[kind](found)
    return [{"name": name, "configuration": configuration | ({"typesize": itemsize} if name == "blosc" else {})}]


def _number(of: Json, field: str, default: int, low: int, high: int) -> int:
    value = of.get(field, default)
    return integer(int(value) if isinstance(value, float) and value.is_integer() else value, field, low, high)


def _gzip(of: Json) -> tuple[str, Json]:
    return "numcodecs.zlib" if of.get("useZlib") is True else "gzip", {"level": _number(of, "level", -1, -1, 9)}


def _blosc(of: Json) -> tuple[str, Json]:
    return "blosc", {
        "cname": of.get("cname", "blosclz"),
        "clevel": _number(of, "clevel", 6, 0, 9),
        "shuffle": _SHUFFLES[_number(of, "shuffle", 0, 0, 2)],
        "blocksize": _number(of, "blocksize", 0, 0, 2**31 - 1),
    }


_COMPRESSORS: dict[str, Callable[[Json], tuple[str, Json]]] = {
    "gzip": _gzip,
    "bzip2": lambda of: ("numcodecs.bz2", {"level": _number(of, "blockSize", 9, 1, 9)}),
    "xz": lambda of: ("numcodecs.lzma", {"format": 1, "preset": _number(of, "preset", 6, 0, 9)}),
    "lz4": lambda of: ("gpuzarr.n5_lz4", {"block_bytes": _number(of, "blockSize", 1 << 16, 64, 1 << 25)}),
    "blosc": _blosc,
    "zstd": lambda of: ("zstd", {"level": _number(of, "level", 3, -(2**17), 22), "checksum": False}),
}


def _dimension_names(document: Document, ndim: int) -> list[str] | None:
    """The names of axes: `axes`, as tensorstore and n5-ij have them; or those of xarray, which has them reversed."""
    axes = of_xarray({"_ARRAY_DIMENSIONS": document.get("axes")}, ndim)
    reversed_names = of_xarray(document, ndim)
    return list(axes) if axes else list(reversed_names)[::-1] if reversed_names else None
