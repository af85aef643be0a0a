"""Documents that say what is meant in another way than the specifications: put into the right form.

What is known here was written by some version of zarr-python, or is read by one, and can mean only one thing. A
document is parsed as it is first; only if that fails is it put right and parsed again. So whoever changes a node whose
document was spelled otherwise stores the right form. Values that mean nothing here stay, for the parsers to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gpuzarr import codecs
from gpuzarr.dtypes import DataType

Json = dict[str, Any]
INDEX_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]  # zarr-python's default
_NAMED = ("name", "configuration", "must_understand")
_CONFIGURATIONS = {  # the members of configurations of which zarr-python passes over all others
    "regular": ("chunk_shape",),
    "rectilinear": ("kind", "chunk_shapes"),
    "null_terminated_bytes": ("length_bytes",),
    "crc32c": (),
}
_STRUCTS = ("struct", "structured")
_FLAGS = ("checksum",)
_ENCODER_ONLY = ("level", "clevel", "acceleration", "blocksize", "cname", "shuffle", "preset", "checksum")
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?([eE][+-]?\d{1,3})?")
_TIME = r"(datetime|timedelta)64(\[\d{0,9}[a-zA-Z]{1,2}\])?"
_NUMPY_NAME = re.compile(rf"bool|\?|u?int\d{{1,2}}|float\d{{1,2}}|complex\d{{2,3}}|{_TIME}")


def array_v3(document: Json) -> Json:
    """An array's document of Zarr v3 in the right form, but for its fill value."""
    right = {name: value for name, value in document.items() if not _is_nothing(name, value)}
    _change(right, "attributes", attributes)
    _change(right, "shape", _integers)
    _change(right, "data_type", _data_type)
    _change(right, "codecs", _codecs)
    _change(right, "chunk_key_encoding", _key_encoding)
    _change(right, "chunk_grid", lambda grid: _grid(grid, right.get("codecs")))
    return right


def group_v3(document: Json) -> Json:
    """A group's document of Zarr v3 in the right form; the same object if it is that already."""
    right = formatted({"zarr_format": 3, **document} if "zarr_format" not in document else document)
    given = document.get("attributes", {})
    return right if attributes(given) is given else {**right, "attributes": {}}


def formatted(document: Json) -> Json:
    """A document whose `zarr_format` is an integer, maybe written as a float; the same object if it is that already."""
    zarr_format = document.get("zarr_format")
    return {**document, "zarr_format": int(zarr_format)} if isinstance(zarr_format, float) else document


def array_v2(document: Json) -> Json:
    """A document `.zarray` in the right form, but for its fill value."""
    right = dict(document)
    _change(right, "shape", _integers)
    _change(right, "chunks", _integers)
    _change(right, "dtype", _descr)
    _change(right, "dimension_separator", lambda value: "." if value is None or value == "" else value)
    _change(right, "filters", lambda value: [_codec_v2(one) for one in value] if isinstance(value, list) else value)
    _change(right, "filters", lambda value: None if value in ({}, "") else value)
    _change(right, "compressor", _codec_v2)
    return right


def completed(members: Any, data_type: DataType) -> Any:
    """The `codecs` of a v3 document with what zarr-python left out of them; the same list if nothing is missing.

    `bytes` without `endian` is little-endian where the elements have an order: zarr-python 3.1 writes so for structs.
    `numcodecs.shuffle` without `elementsize` has that of the array.
    """
    if not isinstance(members, list):
        return members
    made = [_complete(member, data_type) for member in members]
    return made if any(new is not old for new, old in zip(made, members, strict=True)) else members


def _complete(member: Any, data_type: DataType) -> Any:
    name = member.get("name") if isinstance(member, dict) else member
    if name not in ("bytes", "numcodecs.shuffle", "sharding_indexed"):
        return member
    given = member.get("configuration") if isinstance(member, dict) else None
    given = {} if given is None else given
    if not isinstance(given, dict):
        return member
    if name == "sharding_indexed":
        inside = completed(given.get("codecs"), data_type)
        index = completed(given.get("index_codecs"), DataType("uint64", np.dtype(np.uint64)))
        if inside is given.get("codecs") and index is given.get("index_codecs"):
            return member
        return {**member, "configuration": {**given, "codecs": inside, "index_codecs": index}}
    missing = {"endian": "little"} if name == "bytes" else {"elementsize": data_type.dtype.itemsize}
    needed = data_type.has_order if name == "bytes" else not data_type.variable
    if not needed or given.get(*missing) is not None:
        return member
    return {**(member if isinstance(member, dict) else {"name": name}), "configuration": {**given, **missing}}


def _change(document: Json, name: str, change: Callable[[Any], Any]) -> None:
    if name in document:
        document[name] = change(document[name])


def _is_nothing(name: str, value: Any) -> bool:
    """Return True if a member of an array says nothing, but should not be there."""
    return value in {"storage_transformers": (None, {}, ""), "consolidated_metadata": (None,)}.get(name, ())


def attributes(value: Any) -> Any:
    """The attributes of a node; an empty list, or null, are none."""
    return {} if value is None or value == [] else value


def _integers(value: Any) -> Any:
    """A shape; an integer alone is that of one axis."""
    return [value] if type(value) is int else [_integer(n) for n in value] if isinstance(value, list) else value


def _integer(value: Any) -> Any:
    """An integer, maybe written as a bool."""
    return int(value) if isinstance(value, bool) else value


def _whole(value: Any) -> Any:
    """An integer, maybe written as a bool or a float."""
    return int(value) if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()) else value


def _known(value: Any, names: Iterable[str]) -> Any:
    """An object without members but `names`, and those that must be understood."""
    if not isinstance(value, dict):
        return value
    return {name: member for name, member in value.items() if name in names or _must(member)}


def _must(member: Any) -> bool:
    return isinstance(member, dict) and member.get("must_understand") is True


def _named(value: Any) -> Any:
    """An extension, without members that nobody knows."""
    right = _known(value, _NAMED)
    if isinstance(right, dict) and right.get("name") in list(_CONFIGURATIONS):
        _change(right, "configuration", lambda given: _known(given, _CONFIGURATIONS[right["name"]]))
    return right


def _grid(grid: Any, members: Any) -> Any:
    right = _named(grid)
    given = right.get("configuration") if isinstance(right, dict) else None
    if not isinstance(given, dict):
        return right
    if right.get("name") == "rectilinear" and isinstance(given.get("chunk_shapes"), list):
        return {**right, "configuration": {**given, "chunk_shapes": list(map(_axis, given["chunk_shapes"]))}}
    sizes = _integers(given.get("chunk_shape"))
    if right.get("name") != "regular" or not isinstance(sizes, list):
        return right
    if 0 < sum(isinstance(size, list) for size in sizes) < len(sizes):  # zarr-python 3.2 wrote edges so
        return {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": list(map(_axis, sizes))}}
    units = _inner_shape(members) or [1] * len(sizes)
    if len(units) == len(sizes):
        sizes = [unit if size == 0 else size for size, unit in zip(sizes, units, strict=True)]
    return {**right, "configuration": {**given, "chunk_shape": sizes}}


def _axis(sizes: Any) -> Any:
    """An axis of a rectilinear grid."""
    if not isinstance(sizes, list):
        return sizes
    return [[_whole(one[0]), one[1]] if isinstance(one, list) and len(one) == 2 else _whole(one) for one in sizes]


def _inner_shape(members: Any) -> list[Any] | None:
    """The shape of the chunks in a shard; None without shards."""
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict) and member.get("name") == "sharding_indexed":
            given = member.get("configuration")
            inner = given.get("chunk_shape") if isinstance(given, dict) else None
            return inner if isinstance(inner, list) else None
    return None


def _key_encoding(value: Any) -> Any:
    if isinstance(value, dict) and "separator" in value and "name" in value:
        return {"name": value["name"], "configuration": {"separator": value["separator"]}}
    return _named(value)


def _data_type(value: Any) -> Any:
    right = _named(value)
    given = right.get("configuration") if isinstance(right, dict) and right.get("name") in _STRUCTS else None
    if not isinstance(given, dict) or not isinstance(given.get("fields"), list):
        return right
    fields = [_field(i, field) for i, field in enumerate(given["fields"])]
    return {**right, "configuration": {**given, "fields": fields}}


def _field(number: int, field: Any) -> Any:
    if isinstance(field, list) and len(field) == 2:
        return [_field_name(number, field[0]), _data_type(field[1])]
    right = _known(field, ("name", "data_type"))
    if isinstance(right, dict):
        _change(right, "name", lambda name: _field_name(number, name))
        _change(right, "data_type", _data_type)
    return right


def _field_name(number: int, name: Any) -> Any:
    """The name that NumPy gives to a field without one."""
    return f"f{number}" if name == "" else name


def _descr(value: Any) -> Any:
    """A dtype of v2. The fields of NumPy's `descr` without a name are gaps between others; a title precedes a name."""
    if isinstance(value, str):
        return np.dtype(value).str if _NUMPY_NAME.fullmatch(value) and _is_dtype(value) else value
    if not isinstance(value, list):
        return value
    return [_descr_field(i, field) for i, field in enumerate(value)]


def _is_dtype(name: str) -> bool:
    try:
        np.dtype(name)
    except TypeError:
        return False
    return True


def _descr_field(number: int, field: Any) -> Any:
    if not isinstance(field, list) or len(field) < 2:
        return field
    name = field[0][1] if isinstance(field[0], list) and len(field[0]) == 2 else field[0]
    return [_field_name(number, name), _descr(field[1]), *field[2:]]


def _codecs(members: Any) -> Any:
    return list(map(_codec, members)) if isinstance(members, list) else members


def _codec(member: Any) -> Any:
    right = _named(member)
    if not isinstance(right, dict) or not isinstance(right.get("name"), str):
        return right
    name, given = right["name"], right.get("configuration")
    if not isinstance(given, dict):
        return right
    if name == "sharding_indexed":
        inside = {"index_codecs": INDEX_CODECS, **given}
        _change(inside, "codecs", _codecs)
        _change(inside, "index_codecs", _codecs)
        _change(inside, "chunk_shape", _integers)
        return {**right, "configuration": inside}
    if name == "transpose" and isinstance(given.get("order"), list):
        return {**right, "configuration": {**given, "order": list(map(_integer, given["order"]))}}
    if name.startswith("numcodecs.") and given.get("id") == name.removeprefix("numcodecs."):
        given = {key: value for key, value in given.items() if key != "id"}
    return {**right, "configuration": _configuration(name, given, 3)}


def _codec_v2(member: Any) -> Any:
    if not isinstance(member, dict) or not isinstance(member.get("id"), str):
        return member
    given = {name: value for name, value in member.items() if name != "id"}
    return {"id": member["id"], **_configuration(member["id"], given, 2)}


def _configuration(name: str, given: Json, zarr_format: int) -> Json:
    """A configuration with numbers for numbers.

    What only an encoder uses, and cannot be used, is left out: numcodecs decodes all the same.
    """

    def works(configuration: Json) -> bool:
        try:
            codecs.find(name, configuration, zarr_format)
        except (RecursionError, MemoryError):
            raise
        except Exception:  # it may be a codec of another package
            return False
        return True

    numbers = {key: value if key in _FLAGS else _number(value) for key, value in given.items()}
    if works(given) or works(numbers):
        return given if works(given) else numbers
    needed = {key: value for key, value in numbers.items() if key not in _ENCODER_ONLY}
    if not works(needed):
        return given
    return {key: value for key, value in numbers.items() if key in needed or works({**needed, key: value})}


def _number(value: Any) -> Any:
    """A number, maybe written as a bool, as a float without a fraction, or as text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value) if not value.lstrip("+-").isdecimal() else int(value)
    return _whole(value)
