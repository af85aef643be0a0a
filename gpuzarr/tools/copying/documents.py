"""The metadata of a copy of an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuzarr.checks import at, shown
from gpuzarr.creation import Wanted, dtype_of, metadata
from gpuzarr.errors import ArgumentError, UnsupportedError
from gpuzarr.metadata import ArrayMetadata, ChunkKeys
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.like import stored_dtype
from gpuzarr.tools.copying.changes import Changes, Part, chunks_for, is_keep, names_of, shards_for
from gpuzarr.tools.copying.translate import Coding, coding
from gpuzarr.tools.copying.values import ValueCast

DIMENSIONS = "_ARRAY_DIMENSIONS"  # the attribute in which xarray has the names of axes, in Zarr v2


def copied_metadata(array: Array, part: Part, changes: Changes, cast: ValueCast | None) -> ArrayMetadata:
    """The metadata of the copy. MetadataError, naming the array, where there cannot be such a copy."""
    version = changes.zarr_format or array.zarr_format
    if changes.are_none and version == array.zarr_format and array.metadata.why_read_only is None:
        return array.metadata
    with at(f"array {array.name!r} cannot be copied so"):
        return metadata(_wanted(array, part, changes, cast, version), version)


def _wanted(array: Array, part: Part, changes: Changes, cast: ValueCast | None, version: int) -> Wanted:
    codecs = coding(array.metadata, version)
    if cast is not None:
        codecs = codecs.with_other_elements(version)
    if part.dropped:
        codecs = codecs.with_fewer_axes()
    chunks = chunks_for(array, part, changes)
    attributes, names = _axes(array, part, version)
    compressors = codecs.compressors if is_keep(changes.compressors) else changes.compressors
    return Wanted(
        shape=part.shape,
        dtype=_dtype(array, version, codecs) if cast is None else changes.dtype,
        chunks=chunks,
        shards=_shards(array, part, changes, chunks, version),
        filters=codecs.filters,
        compressors=[] if compressors is None else compressors,
        serializer="auto" if version == 2 else codecs.serializer,
        fill_value=_fill_value(array, changes, cast, version),
        order=codecs.order if version == 2 else None,
        attributes=attributes,
        chunk_key_encoding=_keys(array, version),
        dimension_names=names,
    )


def _shards(array: Array, part: Part, changes: Changes, chunks: Any, version: int) -> Any:
    if version == 2 and is_keep(changes.shards) and array.shards is not None:
        advice = "without shards (--shards none), its chunks become objects of their own"
        raise UnsupportedError(f"it has shards, and Zarr v2 has none; {advice}")
    return shards_for(array, part, changes, chunks)


def _dtype(array: Array, version: int, codecs: Coding) -> Any:
    data_type = array.metadata.data_type
    if version == 3:
        return data_type.to_json() if array.zarr_format == 3 else stored_dtype(array)
    if array.zarr_format == 2:
        return stored_dtype(array)
    if data_type.family == "optional" or (data_type.family == "complex" and data_type.dtype.names is not None):
        raise UnsupportedError(f"Zarr v2 has no data type for {data_type.name!r}")
    if data_type.variable:
        return data_type.name
    return data_type.dtype.newbyteorder(">") if codecs.big_endian else data_type.dtype


def _fill_value(array: Array, changes: Changes, cast: ValueCast | None, version: int) -> Any:
    if not is_keep(changes.fill_value):
        return changes.fill_value
    if not array.metadata.is_filled:
        return None
    if cast is None:
        return array.metadata.fill_value
    try:
        return cast.of(np.full(1, array.metadata.fill_value, array.dtype))[0]
    except ValueError as error:
        raise UnsupportedError(f"its fill value, {array.fill_value!r}: {error}; give another fill value") from error


def _keys(array: Array, version: int) -> Any:
    """How keys of chunks are made: as in the source where the version of Zarr stays."""
    found = array.metadata.chunk_keys
    if version == 2:
        return ("v2", found.separator if isinstance(found, ChunkKeys) else ".")
    is_v3 = array.zarr_format == 3 and array.metadata.why_read_only is None
    return array.metadata.document["chunk_key_encoding"] if is_v3 else None


def _axes(array: Array, part: Part, version: int) -> tuple[dict[str, Any], Sequence[str | None] | None]:
    """The attributes, and the names of the axes. Zarr v2 has these as an attribute, as xarray writes it."""
    attributes = dict(array.metadata.attributes)
    whole = array.dimension_names
    names = None if whole is None else [names_of(array)[axis] for axis in part.kept]
    is_attribute = whole is not None and attributes.get(DIMENSIONS) == list(whole)
    if version == 3:
        if is_attribute and array.zarr_format == 2:
            del attributes[DIMENSIONS]
        return attributes, names
    if names is not None and (is_attribute or array.zarr_format == 3) and any(name is not None for name in names):
        if None in names:
            raise UnsupportedError(f"some of its axes have names, {shown(names)}, where Zarr v2 has all or none")
        attributes[DIMENSIONS] = names
    return attributes, None


def value_cast(array: Array, changes: Changes) -> ValueCast | None:
    """How the values of an array are cast; None: they are not. ArgumentError, naming it, where they cannot be."""
    if changes.dtype is None or dtype_of(changes.dtype) == array.dtype:
        return None
    try:
        return ValueCast.between(array.dtype, dtype_of(changes.dtype), changes.rounding, changes.out_of_range)
    except ValueError as error:
        raise ArgumentError(f"array {array.name!r} cannot be cast: {error}") from error
