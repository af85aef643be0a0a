"""Parse data types of Zarr v3: those of the core spec, of the extension registry, and of other implementations."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.checks import at, integer, known, mapping, named, required, sequence, shown
from gpuzarr.dtypes.data_type import DataType
from gpuzarr.dtypes.objects import TEXT
from gpuzarr.errors import MetadataError, UnsupportedError

_NUMPY = {
    "bool": "?",
    **{f"{kind}{8 * n}": f"{kind[0]}{n}" for kind in ("int", "uint") for n in (1, 2, 4, 8)},
    **{f"float{8 * n}": f"f{n}" for n in (2, 4, 8)},
}
_ML_DTYPES = (
    *("int2", "int4", "uint2", "uint4", "bfloat16", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"),
    *("float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz"),
    *("float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
)
_UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "μs", "ns", "ps", "fs", "as", "generic")
_ITEMSIZE_MAX = 2**31 - 4  # the most that NumPy can hold


def parse_v3(document: Any) -> DataType:
    """Parse a v3 `data_type`. UnsupportedError for an unknown name."""
    name, configuration = named(document, "data_type")
    if name in _PARAMETRISED:
        with at(f"data_type {name!r}"):
            return _PARAMETRISED[name](name, configuration)
    data_type = _simple(name)
    if data_type is None:
        raise UnsupportedError(f"unknown data_type {shown(document)}")
    known(configuration, f"configuration of data_type {name!r}", ())
    return data_type


def _simple(name: str) -> DataType | None:
    """The data type of that name, if it has no configuration."""
    if name in _NUMPY:
        return DataType(name, np.dtype(_NUMPY[name]))
    if name in _ML_DTYPES:
        import ml_dtypes

        return DataType(name, np.dtype(getattr(ml_dtypes, name)))
    if name in ("string", "bytes", "variable_length_bytes", "binary"):
        return DataType(name, np.dtypes.StringDType() if name == "string" else np.dtype(object))
    if (part_name := _part_of_complex(name)) is not None:
        part = parse_v3(part_name)
        return DataType(name, _complex_dtype(part), None, (("real", part), ("imag", part)))
    bits = re.fullmatch("r([0-9]{1,11})", name)
    return None if bits is None else _raw_bits(name, int(bits[1]))


def _part_of_complex(name: str) -> str | None:
    """The data type of the two parts of complex numbers; None for other names."""
    part = {"complex64": "float32", "complex128": "float64"}.get(name, name.removeprefix("complex_"))
    return part if part != name and "float" in part and part in (*_NUMPY, *_ML_DTYPES) else None


def _complex_dtype(part: DataType) -> np.dtype[Any]:
    """The complex dtype of NumPy, or of ml_dtypes (0.6 and later), or a record of `real` and `imag`."""
    if part.name in ("float32", "float64"):
        return np.dtype(f"c{2 * part.dtype.itemsize}")
    import ml_dtypes

    one = getattr(ml_dtypes, {"float16": "complex32", "bfloat16": "bcomplex32"}.get(part.name, ""), None)
    return np.dtype([("real", part.dtype), ("imag", part.dtype)]) if one is None else np.dtype(one)


def _raw_bits(name: str, bits: int) -> DataType:
    if bits % 8 or not 0 < bits // 8 <= _ITEMSIZE_MAX:
        raise MetadataError(f"data_type {name!r}: the number of bits must be a positive multiple of 8")
    return DataType(name, np.dtype(f"V{bits // 8}"))


def _fixed_length(name: str, configuration: dict[str, Any]) -> DataType:
    known(configuration, "configuration", ("length_bytes",))
    nbytes = integer(required(configuration, "length_bytes"), "length_bytes", 0, _ITEMSIZE_MAX)
    if nbytes == 0:
        raise UnsupportedError("length_bytes 0: elements of no bytes are not supported")
    letter = {"fixed_length_utf32": "U", "null_terminated_bytes": "S", "raw_bytes": "V"}[name]
    if letter == "U" and nbytes % 4:
        raise MetadataError(f"length_bytes must be a multiple of 4, not {nbytes}")
    return DataType(name, np.dtype(f"{letter}{nbytes // 4 if letter == 'U' else nbytes}"), configuration)


def _time(name: str, configuration: dict[str, Any]) -> DataType:
    known(configuration, "configuration", ("unit", "scale_factor"))
    unit = required(configuration, "unit")
    scale = integer(configuration.get("scale_factor", 1), "scale_factor", 1, 2**31 - 1)
    if unit not in _UNITS:
        raise MetadataError(f"unit must be one of {', '.join(_UNITS)}, not {shown(unit)}")
    letter = "M8" if name == "numpy.datetime64" else "m8"
    unit = "us" if unit == "μs" else unit
    dtype = np.dtype(letter if (unit, scale) == ("generic", 1) else f"{letter}[{scale}{unit}]")
    return DataType(name, dtype, configuration)


def _struct(name: str, configuration: dict[str, Any]) -> DataType:
    known(configuration, "configuration", ("fields",))
    members = sequence(required(configuration, "fields"), "fields")
    fields = tuple(_field(member) for member in members)
    return DataType(name, record_dtype(fields), configuration, fields)


def _field(member: Any) -> tuple[str, DataType]:
    """Parse a field: {"name", "data_type"} as in the registry, or a pair as in zarr-python's `structured`."""
    if isinstance(member, list | tuple) and len(member) == 2:
        name, document = member
    else:
        known(mapping(member, "a field"), "a field", ("name", "data_type"))
        name, document = required(member, "name"), required(member, "data_type")
    with at(f"field {shown(name)}"):
        return name, parse_v3(document)


def record_dtype(fields: tuple[tuple[str, DataType], ...]) -> np.dtype[Any]:
    """The packed NumPy dtype of a record. MetadataError for empty or duplicate names, and parts of variable size."""
    names = [name for name, _ in fields]
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise MetadataError(f"the fields of a record must have names, each another, not {shown(names)}")
    for name, part in fields:
        if part.variable:
            raise UnsupportedError(f"field {shown(name)} is of data type {part.name!r}, which has no fixed size")
    if sum(part.dtype.itemsize for _, part in fields) > _ITEMSIZE_MAX:
        raise UnsupportedError(f"a record of more than {_ITEMSIZE_MAX} bytes")
    try:
        return np.dtype([(name, part.dtype) for name, part in fields])
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(f"fields make no record: {error}") from error


def _optional(name: str, configuration: dict[str, Any]) -> DataType:
    inner = parse_v3(configuration)
    value = TEXT if inner.dtype.kind == "T" else inner.dtype
    return DataType(name, np.dtype([("valid", "?"), ("value", value)]), configuration, (("value", inner),))


_PARAMETRISED: dict[str, Callable[[str, dict[str, Any]], DataType]] = {
    "fixed_length_utf32": _fixed_length,
    "null_terminated_bytes": _fixed_length,
    "raw_bytes": _fixed_length,
    "numpy.datetime64": _time,
    "numpy.timedelta64": _time,
    "struct": _struct,
    "structured": _struct,
    "optional": _optional,
    "zarrs.optional": _optional,
}
