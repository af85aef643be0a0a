"""Parse and format fill values of simple data types as JSON.

The spellings are those of the Zarr v3 core spec ("fill value"), of the extension registry, and of what
zarr-python, zarrs and tensorstore write. TypeError, ValueError or OverflowError for values that are none.
"""

from __future__ import annotations

import base64
import math
import re
from typing import Any

import numpy as np

_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FLOATS: dict[int, np.dtype[Any]] = {2 * size: np.dtype(f"f{size}") for size in (2, 4, 8)}  # by hexadecimal digits
_TEXTUAL = ("string", "bytes", "fixed_bytes", "utf32", "void")


def from_json(family: str, name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    """Parse a value of a simple data type. `family`: see `DataType`. `lenient`: see `DataType.fill_from_json`."""
    if family == "object":
        return value
    if lenient and family in _TEXTUAL and family != "string" and value in (0, "", False):
        return b"" if family == "bytes" else np.zeros(1, dtype)[0]  # zarr-python 2 wrote 0 for "nothing"
    return _FROM_JSON[family](name, dtype, value, lenient)


def to_json(family: str, name: str, dtype: np.dtype[Any], value: Any, zarr_format: int) -> Any:
    """Format a value of a simple data type as JSON. Zarr v2 has one NaN, without sign and payload."""
    if family in ("string", "utf32"):
        if isinstance(value, list | tuple | dict):
            raise TypeError(f"a fill value of texts cannot be a {type(value).__name__}")
        return str(value)
    if family in ("bool", "int"):
        return bool(value) if family == "bool" else int(value)
    if family == "float":
        return _float_to_json(dtype, value, zarr_format)
    if family == "time":
        number = int(np.asarray(value, dtype).view(np.int64))
        return "NaT" if number == np.iinfo(np.int64).min else number
    if family == "object":
        return value
    is_short = family == "bytes" or (family == "fixed_bytes" and zarr_format == 3)
    raw = bytes(value) if is_short else np.asarray(value, dtype).tobytes()  # tensorstore wants all bytes in v2
    return list(raw) if name[0] == "r" and name != "raw_bytes" else base64_of(raw)


def base64_of(raw: bytes) -> str:
    return base64.standard_b64encode(raw).decode("ascii")


def from_base64(value: str, nbytes: int, lenient: bool) -> bytes:
    """Decode base64 to exactly `nbytes` bytes. `lenient`: it may have spaces and breaks of lines."""
    raw = base64.b64decode("".join(value.split()) if lenient else value, validate=True)
    if len(raw) != nbytes:
        raise ValueError(f"{len(raw)} bytes where {nbytes} are needed")
    return raw


def _bool(name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    if isinstance(value, bool) or (lenient and value in (0, 1)):
        return np.bool_(value)
    raise TypeError("a bool is true or false")


def _int(name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    if lenient and isinstance(value, str | bool):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError("not an integer")
    bits = int(name.lstrip("uint"))
    low, high = (0, 2**bits - 1) if name[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not low <= value <= high:
        raise OverflowError(f"not from {low} to {high}")
    return dtype.type(int(value))


def _float(name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    if isinstance(value, str) and value.startswith("0x"):
        other = lenient and _FLOATS.get(len(value) - 2)
        if not other or len(value) - 2 == 2 * dtype.itemsize:
            return _float_of_hex(name, dtype, value[2:])
        value = float(_float_of_hex(name, other, value[2:]))  # zarr-python takes a float of any width
    if isinstance(value, str) and (value in _SPECIAL or lenient):
        value = _SPECIAL[value] if value in _SPECIAL else float(value)
    if not isinstance(value, int | float) or (isinstance(value, bool) and not lenient):
        raise TypeError("not a number")
    with np.errstate(all="ignore"):
        result = dtype.type(float(value))
        if math.isnan(value) != np.isnan(result) or (math.isinf(value) and not np.isinf(result)):
            raise ValueError(f"{name} has no such number")
    return result


def _float_of_hex(name: str, dtype: np.dtype[Any], digits: str) -> Any:
    """Parse the bits of a float as in the spec: big-endian, with all digits."""
    if len(digits) != 2 * dtype.itemsize or not re.fullmatch("[0-9a-fA-F]+", digits):
        raise ValueError(f"{2 * dtype.itemsize} hexadecimal digits are needed")
    if name.startswith(("float4_", "float6_")) and int(digits, 16) >= 2 ** int(name[5]):
        raise ValueError(f"more than {name[5]} bits")
    return np.array(int(digits, 16), f"u{dtype.itemsize}").view(dtype)[()]


def _float_to_json(dtype: np.dtype[Any], value: Any, zarr_format: int) -> Any:
    value = np.asarray(value, dtype)[()]
    with np.errstate(all="ignore"):
        number = float(value)
        if math.isfinite(number):
            return number
        word = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
        same = dtype.type(_SPECIAL[word]).tobytes() == value.tobytes()
    return word if same or zarr_format == 2 else f"0x{int(value.view(f'u{dtype.itemsize}')):0{2 * dtype.itemsize}x}"


def _string(name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    if lenient and isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _utf32(name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    text, length = _string(name, dtype, value, False), dtype.itemsize // 4
    if len(text) > length and not lenient:
        raise ValueError(f"longer than {length} characters")
    return np.str_(text[:length])  # as NumPy cuts what is longer


def _bytes(name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    if isinstance(value, str):
        return base64.b64decode("".join(value.split()) if lenient else value, validate=True)
    if not isinstance(value, list | tuple) or any(isinstance(member, bool) for member in value):
        raise TypeError("bytes are base64, or a list of integers")
    return bytes(value)


def _void(name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    raw = _bytes(name, dtype, value, lenient)
    if lenient:  # as NumPy casts bytes
        raw = raw[: dtype.itemsize].ljust(dtype.itemsize, b"\0")
    if len(raw) != dtype.itemsize:
        raise ValueError(f"{len(raw)} bytes where {dtype.itemsize} are needed")
    return np.frombuffer(raw, dtype)[0]


def _fixed_bytes(name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    try:
        raw = _bytes(name, dtype, value, lenient)
        raw = raw[: dtype.itemsize] if lenient else raw
        if len(raw) > dtype.itemsize:
            raise ValueError(f"{len(raw)} bytes where at most {dtype.itemsize} fit")
    except ValueError:
        raw = value.encode() if lenient and isinstance(value, str) else None  # NCZarr writes the characters
        if raw is None or len(raw) > dtype.itemsize:
            raise
    return np.array(raw, dtype)[()]  # without the zeros at its end


def _time(name: str, dtype: np.dtype[Any], value: Any, lenient: bool) -> Any:
    value = np.iinfo(np.int64).min if value == "NaT" else value
    if isinstance(value, str) and lenient:
        return np.array(value, dtype)[()]
    return np.array(_int("int64", np.dtype(np.int64), value, lenient)).view(dtype)[()]


_FROM_JSON = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "string": _string,
    "utf32": _utf32,
    "bytes": _bytes,
    "void": _void,
    "fixed_bytes": _fixed_bytes,
    "time": _time,
}
