"""Elements of variable length in records, where NumPy takes no StringDType: objects, marked as `str` in the dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

TEXT: np.dtype[Any] = np.dtype("O", metadata={"vlen": str})  # as h5py marks them; other objects here are `bytes`


def is_text(dtype: np.dtype[Any]) -> bool:
    """Whether elements are strings of variable length: StringDType, or objects marked as `str`."""
    marks: Mapping[str, Any] = dtype.metadata or {}
    return dtype.kind == "T" or marks.get("vlen") is str


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Like np.zeros, but objects in records are empty strings or empty bytes, not the number 0."""
    result = np.zeros(shape, dtype)
    if dtype.names is not None and dtype.hasobject:
        for name in dtype.names:
            result[name] = zeros(shape, dtype[name])
    elif dtype.hasobject:
        result[...] = "" if is_text(dtype) else b""
    return result
