"""Convert dtypes as users give them to data types of Zarr."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.dtypes import DataType, parse_v2, parse_v3
from gpuzarr.errors import MetadataError


def data_type(given: Any) -> tuple[DataType, np.dtype[Any]]:
    """The data type, and the NumPy dtype as it was given, with its byte order.

    A dtype is given as NumPy takes it (also those of ml_dtypes, StringDType, records), as one of torch or of
    zarr-python, as `str` or `bytes`, or as in a v3 document: "bfloat16", "string", {"name": ...}.
    """
    if given is str or given is bytes:
        given = "string" if given is str else "variable_length_bytes"
    if type(given).__module__ == "torch":  # whose names are those of v3
        given = str(given).removeprefix("torch.")
    if hasattr(given, "to_native_dtype"):
        native = given.to_native_dtype()
        given = given.to_json(zarr_format=3) if native.hasobject else native
    if isinstance(given, dict) or (isinstance(given, str) and _is_name(given)):
        found = parse_v3(given)
        return found, found.dtype
    try:
        dtype = _packed(np.dtype(given))
    except Exception as error:  # NumPy raises many kinds, and calls what objects define
        raise MetadataError(f"{shown(given)} is not a dtype: {error}") from error
    return _of_numpy(dtype), dtype


def dtype_of(given: Any) -> np.dtype[Any]:
    """The NumPy dtype of what is given as one. MetadataError if it is none."""
    return data_type(given)[1]


def _packed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A record dtype without the gaps that align its fields; any other dtype as it is."""
    if dtype.names is None:
        return dtype
    return np.dtype([(name, _packed(dtype[name])) for name in dtype.names])


def v2_descr(found: DataType, dtype: np.dtype[Any]) -> Any:
    """The `dtype` of a v2 document: a type string, or a list of fields."""
    if found.variable:
        return "|O"
    if dtype.names is not None:
        return _v2_fields(dtype)
    if dtype.isbuiltin == 2:
        raise MetadataError(f"Zarr v2 has no data type for {dtype}")
    return _type_string(dtype)


def _v2_field(name: str, dtype: np.dtype[Any]) -> list[Any]:
    if dtype.subdtype is not None:
        return [name, _type_string(dtype.base), list(dtype.shape)]
    return [name, _type_string(dtype) if dtype.names is None else _v2_fields(dtype)]


def _v2_fields(dtype: np.dtype[Any]) -> list[Any]:
    return [_v2_field(name, dtype[name]) for name in dtype.names or ()]


def _type_string(dtype: np.dtype[Any]) -> str:
    """NumPy's type string, with the scale of times without a unit, which NumPy leaves out."""
    unit, scale = np.datetime_data(dtype) if dtype.kind in "mM" else ("", 1)
    return f"{dtype.str}[{scale}generic]" if unit == "generic" and scale != 1 else dtype.str


def _is_name(text: str) -> bool:
    """True if a text is a name of Zarr v3, such as "bytes" or "string"."""
    try:
        parse_v3(text)
    except MetadataError:
        return False
    return True


def _of_numpy(dtype: np.dtype[Any]) -> DataType:
    if dtype.kind == "T" or (dtype.kind == "U" and not dtype.itemsize):
        return parse_v3("string")
    if dtype.kind == "O" or (dtype.kind == "S" and not dtype.itemsize):
        return parse_v3("variable_length_bytes") if dtype.kind == "S" else DataType("object", np.dtype(object))
    if dtype.isbuiltin == 2:
        return parse_v3(dtype.name)
    found, _ = parse_v2(_v2_fields(dtype.newbyteorder("<")) if dtype.names is not None else _type_string(dtype))
    return found
