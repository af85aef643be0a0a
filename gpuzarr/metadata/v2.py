"""Translate the metadata of Zarr v2 (`.zarray .zgroup .zattrs .zmetadata`) to the model of v3.

Source: the Zarr storage specification version 2; where it is silent, zarr-python. In v2 a chunk goes through the
`filters`, which may take an array or bytes, then through the `compressor`; `codecs_v2` makes a v3 chain of them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from gpuzarr.batch import ChunkSpec
from gpuzarr.checks import at, lengths, mapping, required, shown
from gpuzarr.dtypes import parse_v2
from gpuzarr.errors import MetadataError
from gpuzarr.metadata import (
    ArrayMetadata,
    ChunkKeys,
    GroupMetadata,
    Node,
    Nodes,
    alike,
    chunk_grids,
    node_path,
    spellings,
)
from gpuzarr.metadata.codecs_v2 import chain, members, object_codec
from gpuzarr.metadata.dimensions import of_nczarr, of_xarray
from gpuzarr.metadata.v3 import check_chunk_size

_FILES = (".zarray", ".zgroup", ".zattrs")


def parse_array(zarray: Any, attributes: Any, where: str) -> ArrayMetadata:
    """Parse `.zarray` and `.zattrs`. `where` names the former in a MetadataError, beside the field."""
    with at(where):
        _check_format(zarray)
        zarray, attributes = spellings.formatted(zarray), mapping(spellings.attributes(attributes), "attributes")
        with suppress(MetadataError):
            return _array(zarray, attributes)
        return _array(spellings.array_v2(zarray), attributes)


def _array(zarray: dict[str, Any], attributes: dict[str, Any]) -> ArrayMetadata:
    made = alike.parsed(zarray, (), _common)
    names = _dimension_names(zarray, attributes, len(made.shape))
    return replace(made, attributes=attributes, dimension_names=names, document=zarray)


def _common(zarray: dict[str, Any]) -> ArrayMetadata:
    """An array without attributes and names."""
    shape = lengths(required(zarray, "shape"), "shape")
    codec_members = members(zarray)
    descr = required(zarray, "dtype")
    with at("dtype"):
        data_type, stored = parse_v2(descr, object_codec(codec_members))
    axes = chunk_grids.regular(shape, required(zarray, "chunks"), "chunks")
    check_chunk_size(axes, data_type, "chunks")
    order = _one_of(zarray, "order", ("C", "F"))
    with at("fill_value"):
        fill_value = data_type.fill_from_json(zarray.get("fill_value"), 2, stored)
    spec = ChunkSpec(tuple(axis.size for axis in axes), data_type.dtype, fill_value)
    return ArrayMetadata(
        zarr_format=2,
        shape=shape,
        data_type=data_type,
        axes=axes,
        chunk_keys=ChunkKeys("", _one_of(zarray, "dimension_separator", (".", "/")), "0"),
        fill_value=fill_value,
        codecs=chain(codec_members, spec, stored, order),
        order=order,
    )


def parse_group(zgroup: Any, attributes: Any, where: str) -> GroupMetadata:
    """Parse `.zgroup` and `.zattrs`. `where` names the former in a MetadataError, beside the field."""
    with at(where):
        _check_format(zgroup)
        return GroupMetadata(2, mapping(spellings.attributes(attributes), "attributes"), None, zgroup)


def parse_consolidated(zmetadata: Any, where: str) -> Nodes:
    """The nodes of a `.zmetadata` by their paths ("" for the root), each parsed on first use."""
    with at(where):
        version = mapping(zmetadata, "the document").get("zarr_consolidated_format", 1)
        if version != 1:
            raise MetadataError(f"zarr_consolidated_format must be 1, not {shown(version)}")
        files = mapping(required(zmetadata, "metadata"), "metadata")
    nodes: dict[str, dict[str, Any]] = {}
    for key, document in files.items():
        folder, _, name = key.rpartition("/")
        if name in _FILES:
            nodes.setdefault(node_path(folder, where), {})[name] = document
    found = {path: own for path, own in nodes.items() if ".zarray" in own or ".zgroup" in own}
    return Nodes(found, _parse_node, where)


def _parse_node(documents: dict[str, Any], where: str, path: str) -> Node:
    where = f"{where}: {path + '/' if path else ''}"
    attributes = documents.get(".zattrs", {})
    if ".zarray" in documents:
        return parse_array(documents[".zarray"], attributes, where + ".zarray")
    return parse_group(documents[".zgroup"], attributes, where + ".zgroup")


def _check_format(document: Any) -> None:
    zarr_format = required(mapping(document, "the document"), "zarr_format")
    if isinstance(zarr_format, bool) or zarr_format != 2:
        raise MetadataError(f"zarr_format must be the integer 2, not {shown(zarr_format)}")


def _one_of(document: dict[str, Any], field: str, values: tuple[str, ...]) -> str:
    """The value of a field, which must be one of `values`; the first of them if the field is missing."""
    value = document.get(field, values[0])
    if value not in values:
        raise MetadataError(f"{field} must be one of {', '.join(values)}, not {shown(value)}")
    return value


def _dimension_names(zarray: dict[str, Any], attributes: dict[str, Any], ndim: int) -> tuple[str, ...] | None:
    found = (of_xarray(attributes, ndim), of_nczarr(attributes, ndim), of_nczarr(zarray, ndim))
    return next((names for names in found if names is not None), None)
