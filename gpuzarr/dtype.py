"""Data types with the names of `zarr.dtype`: what `dtype=` takes beside the dtypes of NumPy.

An object says a data type in Zarr's words; `to_native_dtype` says it in NumPy's, `to_json` in those of a document. All
other data types (bfloat16, float8_e4m3, ...) are given by their names, or by the dtypes of ml_dtypes.

Examples
--------
>>> from gpuzarr.dtype import DateTime64, parse_dtype
>>> gpuzarr.zeros(2, dtype=DateTime64(unit="s", scale_factor=10)).dtype
dtype('<M8[10s]')
>>> parse_dtype("int16", zarr_format=3)
Int16(endianness='little')
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, make_dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gpuzarr.checks import number, one_of, shown
from gpuzarr.creation import types
from gpuzarr.dtypes import DataType, parse_v2, parse_v3
from gpuzarr.errors import ArgumentError, MetadataError, UnsupportedError

_ORDERS = {"little": "<", "big": ">"}
_UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "μs", "ns", "ps", "fs", "as", "generic")


@runtime_checkable
class ZDType(Protocol):
    """A data type, of this module or of zarr-python."""

    def to_native_dtype(self) -> np.dtype[Any]:
        """The dtype of NumPy that holds it, with its byte order."""
        ...

    def to_json(self, zarr_format: int) -> Any:
        """The data type in a document."""
        ...

    def default_scalar(self) -> Any:
        """The fill value where none is given."""
        ...


def _data_type(kind: Any) -> DataType:
    if isinstance(kind, VariableLengthBytes):  # of which NumPy knows only that they are objects
        return parse_v3("variable_length_bytes")
    return types.data_type(kind.to_native_dtype())[0]


def to_json(kind: Any, zarr_format: int) -> Any:
    """The data type in a document; for Zarr v2 as a dict of its `name` and the id of the codec that objects need."""
    if one_of(zarr_format, "zarr_format", 2, 3) == 3:
        return _data_type(kind).to_json()
    found, dtype = _data_type(kind), kind.to_native_dtype()
    codec = {"string": "vlen-utf8", "bytes": "vlen-bytes"}.get(found.family) if found.variable else None
    return {"name": types.v2_descr(found, dtype), "object_codec_id": codec}


def default_scalar(kind: Any) -> Any:
    """The fill value where none is given: zero, False, "", b"" or NaT."""
    return _in_order(kind, _data_type(kind).default_fill())


def _in_order(kind: Any, value: Any) -> Any:
    """A scalar in the byte order of the data type."""
    dtype = kind.to_native_dtype()
    return value if dtype.hasobject or dtype.kind == "T" or dtype.isnative else np.asarray(value, dtype)[()]


def cast_scalar(kind: Any, data: object) -> Any:
    """A value as a scalar of this type. ArgumentError where it is none."""
    if (found := _data_type(kind)).variable:
        return str(data) if found.family == "string" else bytes(data)  # type: ignore[call-overload]
    try:
        return np.asarray(data, kind.to_native_dtype())[()]
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"{shown(data)} is not a value of {kind}: {error}") from error


def to_json_scalar(kind: Any, data: object, *, zarr_format: int) -> Any:
    """A value as a fill value in a document."""
    return _data_type(kind).fill_to_json(cast_scalar(kind, data), zarr_format)


def from_json_scalar(kind: Any, data: Any, *, zarr_format: int) -> Any:
    """The value that a fill value in a document says. ArgumentError where it says none."""
    try:
        return _in_order(kind, _data_type(kind).fill_from_json(data, zarr_format))
    except MetadataError as error:
        raise ArgumentError(str(error)) from error


def from_native_dtype(cls: Any, dtype: Any) -> Any:
    """Make the data type of a dtype of NumPy. MetadataError for one of another class."""
    native = np.dtype(dtype)
    found = VariableLengthBytes() if native.kind == "O" else _of_data_type(*types.data_type(native))
    return _of_class(cls, found, dtype)


def from_json(cls: Any, data: Any, *, zarr_format: int) -> Any:
    """Make the data type that a document says. MetadataError for one of another class."""
    return _of_class(cls, _of_json(data, zarr_format), data)


def _of_class(cls: Any, found: Any, given: Any) -> Any:
    if cls is Structured and type(found) is Struct:
        return Structured(fields=found.fields)
    if type(found) is not cls:
        raise MetadataError(f"{shown(given)} is {found}, not of the class {cls.__name__}")
    return found


def parse_dtype(dtype_spec: Any, *, zarr_format: int) -> Any:
    """Make the data type of whatever `dtype=` takes: a dtype of NumPy, its name, `str`, a v3 document, an object.

    ArgumentError for what is none; UnsupportedError for data types without a class here.
    """
    one_of(zarr_format, "zarr_format", 2, 3)
    if isinstance(dtype_spec, ZDType):
        return dtype_spec
    if isinstance(dtype_spec, dict) and zarr_format == 2:
        return _of_json(dtype_spec, 2)
    try:
        found, dtype = types.data_type(dtype_spec)
    except UnsupportedError:
        raise
    except MetadataError as error:
        raise ArgumentError(str(error)) from error
    return _of_data_type(found, dtype)


parse_data_type = parse_dtype


def _of_json(data: Any, zarr_format: int) -> Any:
    if one_of(zarr_format, "zarr_format", 2, 3) == 3:
        found = parse_v3(data)
        return _of_data_type(found, found.dtype)
    descr, codec = (data.get("name"), data.get("object_codec_id")) if isinstance(data, dict) else (data, None)
    return _of_data_type(*parse_v2(descr, codec))


def _of_data_type(found: DataType, dtype: np.dtype[Any]) -> Any:
    """The object of a data type. `dtype`: that of NumPy, with the byte order that was given."""
    order = "big" if dtype.byteorder == ">" else "little"
    if found.name in _NUMBERS:
        return _NUMBERS[found.name](endianness=order) if dtype.itemsize > 1 else _NUMBERS[found.name]()
    if found.family == "time":
        unit, scale = np.datetime_data(dtype)
        made = DateTime64 if dtype.kind == "M" else TimeDelta64
        return made(endianness=order, unit=unit, scale_factor=scale)
    if found.family == "utf32":
        return FixedLengthUTF32(length=dtype.itemsize // 4, endianness=order)
    if found.family in ("fixed_bytes", "void"):
        return (NullTerminatedBytes if found.family == "fixed_bytes" else RawBytes)(length=dtype.itemsize)
    if found.family == "struct" and dtype.names is not None:
        fields = tuple((name, _of_data_type(part, dtype[name])) for name, part in found.fields)
        return (Structured if found.name == "structured" else Struct)(fields=fields)
    if found.family in ("string", "bytes"):
        return VariableLengthUTF8() if found.family == "string" else VariableLengthBytes()
    raise UnsupportedError(
        f"data type {found.name!r} has no class in gpuzarr.dtype; dtype={found.name!r} is taken as it is"
    )


def _item_size(kind: Any) -> int:
    """Bytes of an element."""
    size: int = kind.to_native_dtype().itemsize
    return size


def _checked(kind: Any) -> None:
    """Check the arguments of a new data type. ArgumentError where they make none."""
    if hasattr(kind, "endianness"):
        one_of(kind.endianness, "endianness", *_ORDERS)
    if getattr(kind, "unit", None) == "μs":
        object.__setattr__(kind, "unit", "us")
    if hasattr(kind, "length"):
        number(kind.length, "length", 1)
    try:
        kind.to_native_dtype()
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{kind} is no data type: {error}") from error


_METHODS: dict[str, Any] = {
    **{method.__name__: method for method in (to_json, default_scalar, cast_scalar, to_json_scalar, from_json_scalar)},
    **{method.__name__: classmethod(method) for method in (from_native_dtype, from_json)},
    "__post_init__": _checked,
    "__module__": __name__,
}
_NUMBERS: dict[str, Any] = {}  # by the name in Zarr v3


def _class(name: str, fields: list[Any], native: Callable[[Any], Any], doc: str, **members: Any) -> Any:
    """Make the class of a data type. `native`: what NumPy makes a dtype of."""
    own = {"to_native_dtype": lambda kind: np.dtype(native(kind)), "item_size": property(_item_size), "__doc__": doc}
    return make_dataclass(name, fields, frozen=True, kw_only=True, namespace=_METHODS | own | members)


def _number(name: str) -> Any:
    """Make the class of numbers, of one byte or of several in a byte order."""
    code, doc = np.dtype(name.lower()).str[1:], f"The data type {name.lower()!r}."
    fields = [] if np.dtype(code).itemsize == 1 else [_ORDER]
    _NUMBERS[name.lower()] = _class(
        name, fields, lambda kind: _ORDERS[getattr(kind, "endianness", "little")] + code, doc
    )
    return _NUMBERS[name.lower()]


def _time(letter: str, kind: Any) -> str:
    if kind.unit not in _UNITS:
        raise ArgumentError(f"unit is one of {', '.join(_UNITS)}, not {shown(kind.unit)}")
    scale = number(kind.scale_factor, "scale_factor", 1, 2**31 - 1)
    unit = "" if (kind.unit, scale) == ("generic", 1) else f"[{scale}{kind.unit}]"
    return f"{_ORDERS[kind.endianness]}{letter}8{unit}"


def _fields_json(kind: Any, zarr_format: int) -> Any:
    """The data type in a document, by the older name that zarr-python wrote before "struct"."""
    if zarr_format == 2:
        return to_json(kind, 2)
    parts = [[name, part.to_json(zarr_format=3)] for name, part in kind.fields]
    return {"name": "structured", "configuration": {"fields": parts}}


_ORDER = ("endianness", str, field(default="little"))
_LENGTH = ("length", int)
_TIME = [_ORDER, ("scale_factor", int, field(default=1)), ("unit", str, field(default="generic"))]
_FIELDS = [("fields", tuple[tuple[str, Any], ...])]

Bool = _number("Bool")
Int8, Int16, Int32, Int64 = map(_number, ("Int8", "Int16", "Int32", "Int64"))
UInt8, UInt16, UInt32, UInt64 = map(_number, ("UInt8", "UInt16", "UInt32", "UInt64"))
Float16, Float32, Float64 = map(_number, ("Float16", "Float32", "Float64"))
Complex64, Complex128 = map(_number, ("Complex64", "Complex128"))
DateTime64 = _class("DateTime64", _TIME, partial(_time, "M"), "A time: a number of units since 1970.")
TimeDelta64 = _class("TimeDelta64", _TIME, partial(_time, "m"), "A duration: a number of units.")
FixedLengthUTF32 = _class(
    *("FixedLengthUTF32", [_LENGTH, _ORDER], lambda kind: f"{_ORDERS[kind.endianness]}U{kind.length}"),
    "Texts of at most `length` characters.",
)
NullTerminatedBytes = _class(
    "NullTerminatedBytes",
    [_LENGTH],
    lambda kind: f"S{kind.length}",
    "Bytes, at most `length`, with no zeros at the end.",
)
RawBytes = _class("RawBytes", [_LENGTH], lambda kind: f"V{kind.length}", "`length` bytes.")
Struct = _class(
    "Struct", _FIELDS, lambda kind: [(name, part.to_native_dtype()) for name, part in kind.fields], "A record."
)
Structured = _class(
    *("Structured", _FIELDS, lambda kind: [(name, part.to_native_dtype()) for name, part in kind.fields]),
    *("A record, by an older name.",),
    to_json=_fields_json,
)
VariableLengthUTF8 = _class("VariableLengthUTF8", [], lambda kind: np.dtypes.StringDType(), "Texts of any length.")
VariableLengthBytes = _class("VariableLengthBytes", [], lambda kind: np.dtype("O"), "Bytes of any length.")
