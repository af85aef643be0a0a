"""Parse JSON scalars in configurations, spelled like fill values: 1.5, "NaN", "-Infinity", "0x7fc00000".

Numbers written as text or as a bool are taken, too, as zarr-python takes them.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gpuzarr.errors import MetadataError

_DECIMAL = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?")
_NAMES = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def scalar(value: Any, dtype: np.dtype, codec: str) -> Any:
    """Parse `value` to a scalar of `dtype`. MetadataError where it is none."""
    problem = f"codec {codec!r}: {value!r} is no {dtype}"
    whole = dtype.kind in "iu" or dtype.name.lstrip("u").startswith("int")
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value) if set(value) & set(".eE") else int(value)
    if isinstance(value, str):
        if whole:
            raise MetadataError(problem)
        return _text(value, dtype, problem)
    if not isinstance(value, int | float) or (whole and isinstance(value, float) and not value.is_integer()):
        raise MetadataError(problem)
    try:
        made = np.array(int(value) if whole else float(value)).astype(dtype)[()]
    except (OverflowError, ValueError) as error:
        raise MetadataError(problem) from error
    if (whole and int(made) != value) or (not whole and np.isnan(made) and value == value):
        raise MetadataError(problem)
    return made


def _text(value: str, dtype: np.dtype, problem: str) -> Any:
    if value in _NAMES:
        return np.array(_NAMES[value]).astype(dtype)[()]
    digits = value.removeprefix("0x")
    if value == digits or len(digits) != 2 * dtype.itemsize:
        raise MetadataError(problem)
    try:
        return np.frombuffer(bytes.fromhex(digits)[::-1], dtype.newbyteorder("<"))[0].astype(dtype)
    except ValueError as error:
        raise MetadataError(problem) from error
