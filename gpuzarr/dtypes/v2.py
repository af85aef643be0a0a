"""Parse data types of Zarr v2: NumPy's type strings, and lists of fields."""

from __future__ import annotations

import re
from math import prod
from typing import Any

import numpy as np

from gpuzarr.checks import INT64_MAX, at, lengths, shown
from gpuzarr.dtypes.data_type import DataType
from gpuzarr.dtypes.v3 import parse_v3, record_dtype
from gpuzarr.errors import MetadataError, UnsupportedError

_TYPE_STRING = re.compile(r"([<>|=]?)([a-zA-Z])(\d{0,10})(?:\[(\d{0,10})([a-zA-Zμ]+)\])?")
_SIMPLE = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}
_SIZES = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8, 16)}
_TIMES = {"M": "numpy.datetime64", "m": "numpy.timedelta64"}
_FIXED = {"S": "null_terminated_bytes", "a": "null_terminated_bytes", "U": "fixed_length_utf32", "V": "raw_bytes"}


def parse_v2(descr: Any, object_codec: str | None = None) -> tuple[DataType, np.dtype[Any]]:
    """Parse a v2 `dtype`: the data type, and the NumPy dtype of its stored bytes, with byte order.

    `object_codec`: id of the filter that encodes objects, which tells what a `|O` holds.
    """
    if isinstance(descr, str):
        return _parse_string(descr, object_codec)
    if isinstance(descr, list | tuple):
        return _parse_record(descr)
    raise MetadataError(f"must be a type string or a list of fields, not {shown(descr)}")


def stored_dtype(descr: Any) -> np.dtype[Any] | None:
    """Parse the dtype, with byte order, in a filter's configuration; None if it is no simple dtype."""
    if not isinstance(descr, str) or not re.fullmatch(r"[<>|=]?\w{1,16}(\[\w{1,16}\])?", descr):
        return None
    try:
        return np.dtype(descr)
    except (TypeError, ValueError, OverflowError):
        return None


def _parse_string(descr: str, object_codec: str | None) -> tuple[DataType, np.dtype[Any]]:
    match = _TYPE_STRING.fullmatch(descr)
    if match is None:
        raise MetadataError(f"{shown(descr)} is no type string")
    order, kind, digits, scale, unit = match.groups()
    if kind == "O":
        data_type = _object(object_codec)
        return data_type, data_type.dtype
    size = int(digits or 0)
    if unit is not None and kind not in _TIMES:
        raise MetadataError(f"{shown(descr)} has a unit, but is no time")
    with at(shown(descr)):
        data_type = _sized(descr, kind, size, unit, int(scale or 1))
    return data_type, data_type.dtype.newbyteorder(">" if order == ">" else "<")


def _sized(descr: str, kind: str, size: int, unit: str | None, scale: int) -> DataType:
    if size in _SIZES.get(kind, ()):
        return parse_v3(_SIMPLE[kind] + ("" if kind == "b" else str(8 * size)))
    if kind in _TIMES and size == 8:
        return parse_v3({"name": _TIMES[kind], "configuration": {"unit": unit or "generic", "scale_factor": scale}})
    if kind in _FIXED:
        nbytes = size * 4 if kind == "U" else size
        return parse_v3({"name": _FIXED[kind], "configuration": {"length_bytes": nbytes}})
    raise UnsupportedError(f"unknown type {shown(descr)}")


def _object(object_codec: str | None) -> DataType:
    if object_codec is None:
        raise MetadataError("'|O' needs a filter that makes bytes of objects, such as vlen-utf8")
    if object_codec == "vlen-utf8":
        return parse_v3("string")
    return parse_v3("bytes") if object_codec == "vlen-bytes" else DataType("object", np.dtype(object))


def _parse_record(members: Any) -> tuple[DataType, np.dtype[Any]]:
    parsed = [_parse_field(member) for member in members]
    fields = tuple((name, part) for name, part, _ in parsed)
    dtype = record_dtype(fields)
    stored = np.dtype([(name, part) for name, _, part in parsed])
    return DataType("struct", dtype, None, fields), stored


def _parse_field(member: Any) -> tuple[str, DataType, np.dtype[Any]]:
    if not isinstance(member, list | tuple) or len(member) not in (2, 3):
        raise MetadataError(f"a field must be [name, dtype] or [name, dtype, shape], not {shown(member)}")
    with at(f"field {shown(member[0])}"):
        part, stored = parse_v2(member[1], "any")  # objects are refused by record_dtype
        if len(member) == 2:
            return member[0], part, stored
        shape = lengths([member[2]] if isinstance(member[2], int) else member[2], "shape")
        if part.variable or not 0 < prod(shape) * part.dtype.itemsize <= INT64_MAX:
            raise MetadataError(f"cannot be a sub-array of shape {shown(shape)}")
        return member[0], _sub_array(part, shape), np.dtype((stored, shape))


def _sub_array(part: DataType, shape: tuple[int, ...]) -> DataType:
    try:
        return DataType("subarray", np.dtype((part.dtype, shape)), None, (("element", part),))
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(f"cannot be a sub-array of shape {shown(shape)}: {error}") from error
