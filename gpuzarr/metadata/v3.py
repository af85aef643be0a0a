"""Parse metadata documents of Zarr v3 (`zarr.json`).

Source: the Zarr core specification 3.1, and the registry of extensions (github.com/zarr-developers/zarr-extensions).
"""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

from gpuzarr import codecs
from gpuzarr.checks import INT64_MAX, at, known, lengths, mapping, named, required, sequence, shown
from gpuzarr.dtypes import DataType, parse_v3
from gpuzarr.errors import MetadataError, UnsupportedError
from gpuzarr.metadata import (
    ArrayMetadata,
    Axis,
    ChunkKeys,
    GroupMetadata,
    Node,
    Nodes,
    RegularAxis,
    alike,
    chunk_grids,
    node_path,
    spellings,
)
from gpuzarr.metadata.dimensions import of_nczarr

_ARRAY_MEMBERS = (
    *("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value"),
    *("codecs", "attributes", "dimension_names", "storage_transformers"),
)
_OWN_MEMBERS = ("attributes", "dimension_names")
_GROUP_MEMBERS = ("zarr_format", "node_type", "attributes", "consolidated_metadata")


def parse_node(document: Any, where: str, with_summary: bool = True) -> Node:
    """Parse the document of an array or a group. `where` names the document in a MetadataError, beside the field.

    `with_summary`: see `parse_group`.
    """
    with at(where):
        if _node_type(document) == "array":
            return _parsed_array(document)
    return parse_group(document, where, with_summary)


def parse_array(document: Any, where: str) -> ArrayMetadata:
    """Parse the document of an array. `where` names the document in a MetadataError, beside the field."""
    with at(where):
        if _node_type(document) != "array":
            raise MetadataError("node_type is 'group', expected 'array'")
        return _parsed_array(document)


def _parsed_array(document: dict[str, Any]) -> ArrayMetadata:
    with suppress(MetadataError):
        return _array(spellings.formatted(document))
    return _array(_with_fill_value(spellings.array_v3(spellings.formatted(document))))


def parse_group(document: Any, where: str, with_summary: bool = True) -> GroupMetadata:
    """Parse the document of a group. `where` names the document in a MetadataError, beside the field.

    `with_summary`: False passes over consolidated metadata, which may be of a kind that nobody knows.
    """
    with at(where):
        if _node_type(document) != "group":
            raise MetadataError("node_type is 'array', expected 'group'")
        document = spellings.group_v3(document)
        _check_members(document, _GROUP_MEMBERS)
        attributes = mapping(document.get("attributes", {}), "attributes")
    summary = document.get("consolidated_metadata") if with_summary else None
    try:
        consolidated = _consolidated(summary, f"{where}: consolidated_metadata")
    except MetadataError as error:
        raise type(error)(f"{error}; the group opens without it by use_consolidated=False") from error
    if "consolidated_metadata" in document:  # the nodes have it
        document = {name: value for name, value in document.items() if name != "consolidated_metadata"}
    return GroupMetadata(3, attributes, consolidated, document)


def _array(document: dict[str, Any]) -> ArrayMetadata:
    made = alike.parsed(document, _OWN_MEMBERS, _common)
    attributes = mapping(document.get("attributes", {}), "attributes")
    return replace(
        made,
        attributes=attributes,
        dimension_names=_dimension_names(document.get("dimension_names"), attributes, len(made.shape)),
        document=_completed(document, made.document["codecs"]),
    )


def _common(document: dict[str, Any]) -> ArrayMetadata:
    """An array without attributes and names."""
    _check_members(document, _ARRAY_MEMBERS)
    _check_storage_transformers(document.get("storage_transformers", []))
    shape = lengths(required(document, "shape"), "shape")
    data_type = parse_v3(required(document, "data_type"))
    axes = _axes(required(document, "chunk_grid"), shape)
    check_chunk_size(axes, data_type, "chunk_grid")
    members = spellings.completed(required(document, "codecs"), data_type)
    return ArrayMetadata(
        zarr_format=3,
        shape=shape,
        data_type=data_type,
        axes=axes,
        chunk_keys=_chunk_keys(required(document, "chunk_key_encoding")),
        fill_value=_fill_value(document, data_type),
        codecs=_codecs(members),
        order=_order(members, len(shape)),
        document={"codecs": members},
    )


def _completed(document: dict[str, Any], members: list[Any]) -> dict[str, Any]:
    """The document with the codecs as they are understood; they are not shared with other arrays."""
    return document if members == document["codecs"] else {**document, "codecs": deepcopy(members)}


def _with_fill_value(document: dict[str, Any]) -> dict[str, Any]:
    """A document with the fill value in the form of its data type, whatever it was spelled like."""
    data_type = parse_v3(required(document, "data_type"))
    try:
        _fill_value(document, data_type)
    except MetadataError:
        given = required(document, "fill_value")
        is_null_bool = given is None and data_type.family == "bool"  # which zarr-python takes
        with at("fill_value"):
            value = data_type.fill_from_json(False if is_null_bool else given, lenient=True)
        return {**document, "fill_value": data_type.fill_to_json(value)}
    return document


def check_chunk_size(axes: tuple[Axis, ...], data_type: DataType, field: str) -> None:
    """Raise MetadataError if a chunk would have more bytes than an int64 can count."""
    sides = [axis.size if isinstance(axis, RegularAxis) else chunk_grids.largest(axis) for axis in axes]
    if prod(sides) * data_type.dtype.itemsize > INT64_MAX:
        raise MetadataError(f"{field}: a chunk of shape {shown(sides)} has more bytes than a machine can address")


def _node_type(document: Any) -> str:
    kind = mapping(document, "the document").get("node_type")
    zarr_format = 3 if kind == "group" and "zarr_format" not in document else required(document, "zarr_format")
    if isinstance(zarr_format, bool) or zarr_format != 3:
        raise MetadataError(f"zarr_format must be the integer 3, not {shown(zarr_format)}")
    if kind is None:
        raise MetadataError("node_type is missing (a pre-release of Zarr v3?)")
    if kind not in ("array", "group"):
        raise MetadataError(f"node_type must be 'array' or 'group', not {shown(kind)}")
    return kind


def _check_members(document: dict[str, Any], names: tuple[str, ...]) -> None:
    """Refuse unknown members, but for those that say `must_understand: false`, as the specification demands."""
    for name in document.keys() - set(names):
        member = document[name]
        if not isinstance(member, dict) or member.get("must_understand") is not False:
            raise MetadataError(f"unknown member {shown(name)} without must_understand: false")


def _check_storage_transformers(value: Any) -> None:
    if sequence(value, "storage_transformers"):
        names = [member.get("name", member) if isinstance(member, dict) else member for member in value]
        raise UnsupportedError(f"unknown storage_transformers {shown(names)}")


def _axes(document: Any, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    name, configuration = named(document, "chunk_grid")
    with at("chunk_grid"):
        if name == "regular":
            known(configuration, "configuration", ("chunk_shape",))
            return chunk_grids.regular(shape, required(configuration, "chunk_shape"), "chunk_shape")
        if name == "rectilinear":
            known(configuration, "configuration", ("kind", "chunk_shapes"))
            if configuration.get("kind") != "inline":
                raise UnsupportedError(f"unknown kind {shown(configuration.get('kind'))} of a rectilinear grid")
            return chunk_grids.rectilinear(shape, required(configuration, "chunk_shapes"))
    raise UnsupportedError(f"unknown chunk_grid {shown(name)} with configuration {shown(configuration)}")


@cache
def _other_encodings() -> dict[str, Any]:
    """The chunk key encodings of other packages, by their names."""
    from importlib.metadata import entry_points  # slow to import

    return {point.name: point for point in entry_points(group="gpuzarr.chunk_key_encodings")}


def _chunk_keys(document: Any) -> Any:
    name, configuration = named(document, "chunk_key_encoding")
    field = f"chunk_key_encoding {name!r}"
    if name not in ("default", "v2"):
        if name not in _other_encodings():
            raise UnsupportedError(f"unknown {field} with configuration {shown(configuration)}")
        return _foreign(field, lambda: _other_encodings()[name].load()(configuration))
    known(configuration, f"configuration of {field}", ("separator",))
    separator = configuration.get("separator", "/" if name == "default" else ".")
    if separator not in ("/", "."):
        raise MetadataError(f"separator of {field} must be '/' or '.', not {shown(separator)}")
    return ChunkKeys("c", separator, "c") if name == "default" else ChunkKeys("", separator, "0")


def _foreign(field: str, parse: Any) -> Any:
    """Call `parse`, which may be code of another package: whatever it raises becomes a MetadataError."""
    try:
        return parse()
    except (MetadataError, RecursionError):
        raise
    except Exception as error:
        raise MetadataError(f"{field}: {type(error).__name__}: {error}") from error


def _codecs(document: Any) -> tuple[codecs.Codec, ...]:
    with at("codecs"):
        if not sequence(document, "codecs"):
            raise MetadataError("the list is empty; it needs at least a codec that encodes an array as bytes")
        return tuple(_foreign("codecs", lambda: codecs.parse(document)))


def _fill_value(document: dict[str, Any], data_type: DataType) -> Any:
    value = required(document, "fill_value")
    if value is None and data_type.family != "optional":
        raise MetadataError("fill_value must not be null")
    with at("fill_value"):
        return data_type.fill_from_json(value)


def _dimension_names(value: Any, attributes: dict[str, Any], ndim: int) -> tuple[str | None, ...] | None:
    if value is None:
        return of_nczarr(attributes, ndim)
    names = sequence(value, "dimension_names")
    if len(names) != ndim or not all(name is None or isinstance(name, str) for name in names):
        raise MetadataError(f"dimension_names must be {ndim} strings or nulls, not {shown(value)}")
    return tuple(names)


def _order(document: list[Any], ndim: int) -> str:
    """The order of elements in a chunk: "F" if the first codec reverses all axes, else "C"."""
    first = document[0]
    if ndim < 2 or not isinstance(first, dict) or first.get("name") != "transpose":
        return "C"
    order = first.get("configuration", {}).get("order")
    return "F" if order == "F" or order == list(range(ndim))[::-1] else "C"


def _consolidated(document: Any, where: str) -> Nodes | None:
    """The nodes below a group that its document holds, as zarr-python writes them; each is parsed on first use."""
    if document is None or document in ({}, []):
        return None
    with at(where):
        kind = mapping(document, "it").get("kind")
        if kind != "inline":
            raise UnsupportedError(f"unknown kind {shown(kind)}")
        members = mapping(required(document, "metadata"), "metadata")
    return Nodes({node_path(path, where): member for path, member in members.items()}, parse_member, where)


def parse_member(document: Any, where: str, path: str) -> Node:
    """Parse what consolidated metadata, called `where`, have of the node at a path."""
    return parse_node(document, f"{where}: {path}")
