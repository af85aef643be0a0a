"""Casts of memory without gaps by the C library, in one call that does not hold the interpreter's lock."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address

_SOURCES = {np.dtype(name): i for i, name in enumerate(("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"))}
_RESULTS = {  # what is computed with, and what it becomes, as numbered by native/cast.c
    ("float32", "float32"): 0,
    ("float64", "float64"): 1,
    ("float32", "bfloat16"): 2,
    ("float64", "float32"): 3,
    ("float64", "bfloat16"): 4,
}


def cast(target: np.ndarray, values: np.ndarray, work: np.dtype[Any], scale: Any, offset: Any, nan_of: Any) -> bool:
    """Cast `values` into `target`, as `gpuzarr.dtypes.cast.Cast` does, if the library can: it computes with dtype
    `work`, that of the scalars `scale` and `offset`, each of which may be None. `nan_of`: of the dtype of `values`."""
    library, source = native.library(), _SOURCES.get(values.dtype)
    to = _RESULTS.get((work.name, target.dtype.name))
    if library is None or source is None or to is None or not (values.flags.c_contiguous and target.flags.carray):
        return False
    numbers = [
        None if x is None else np.full(1, x, of) for x, of in ((scale, work), (offset, work), (nan_of, values.dtype))
    ]
    where = [None if one is None else address(one) for one in numbers]
    library.gpuzarr_cast(source, to, address(values), address(target), values.size, *where)
    return True
