"""The properties of an array, as parameters of the functions that make one like it."""

from __future__ import annotations

from typing import Any, Literal

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array

CHAIN = ("filters", "serializer", "compressors", "compressor", "codecs")


def properties(a: Any, zarr_format: int | None, given: dict[str, Any]) -> dict[str, Any]:
    """Parameters of `create` for an array like another one; what is given wins.

    These are its shape, dtype and chunks; and of an array of Zarr the fill value, the shards, and if the version of
    Zarr stays, the codecs and the order. `zarr_format`: None for that of `a`, if it has one.
    """
    shape = getattr(a, "shape", None)
    if not isinstance(shape, tuple) and "shape" not in given:
        raise ArgumentError(f"{shown(a)} has no shape that a new array could have; give `shape`")
    found: dict[str, Any] = {"shape": shape, "dtype": getattr(a, "dtype", None)}
    chunks = sizes_of(a, "chunks")
    if isinstance(chunks, tuple) and len(chunks) == len(shape or ()) and "chunk_shape" not in given:
        found["chunks"] = chunks
    version = getattr(getattr(a, "metadata", None), "zarr_format", None)
    if version in (2, 3):
        found |= _of_zarr(a, version, zarr_format or version, given)
    zarr_format = zarr_format or version
    return {**found, "zarr_format": zarr_format, **given} if zarr_format else {**found, **given}


def sizes_of(a: Any, name: Literal["chunks", "shards"]) -> Any:
    """The sizes of the chunks or shards of an array; None without any.

    zarr-python has no `chunks` or `shards` for a rectilinear grid: it raises NotImplementedError.
    """
    try:
        return getattr(a, name, None)
    except NotImplementedError:
        return a.write_chunk_sizes


def _of_zarr(a: Any, version: int, zarr_format: int, given: dict[str, Any]) -> dict[str, Any]:
    """Properties that only arrays of Zarr have."""
    found = {"fill_value": a.fill_value, "dtype": stored_dtype(a)}
    if zarr_format == 3:
        found["shards"] = sizes_of(a, "shards")
    is_written = getattr(a.metadata, "why_read_only", None) is None
    if version == zarr_format and is_written and not given.keys() & set(CHAIN):
        found |= codecs_of(a)
    return found


def codecs_of(a: Any) -> dict[str, Any]:
    """The codecs of an array of Zarr; in version 2, the order of elements, too."""
    found = {"filters": a.filters, "compressors": a.compressors}
    return found | ({"order": a.order} if a.metadata.zarr_format == 2 else {"serializer": a.serializer})


def stored_dtype(data: Any) -> Any:
    """The dtype of an array, as it says most: of Zarr, if it has one, with byte order and length."""
    metadata = getattr(data, "metadata", None)
    if not isinstance(data, Array):
        of_zarr = getattr(metadata, "data_type", getattr(metadata, "dtype", None))
        return of_zarr if hasattr(of_zarr, "to_native_dtype") else data.dtype
    dtype, known = data.metadata.document.get("data_type", data.metadata.document.get("dtype")), data.metadata.data_type
    if dtype == "|O" and known.name != "object":  # a filter says what the objects are
        return known.name
    return data.dtype if dtype == "|O" or isinstance(dtype, list) else dtype
