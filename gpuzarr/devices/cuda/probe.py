"""Whether a device's array module can hold a dtype that not every CuPy has: tried, since no version number tells.

CuPy 14 has ml_dtypes' bfloat16. Not yet run on a GPU.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np


@cache
def holds(xp: Any, dtype: np.dtype) -> bool:
    """Whether all that reading and writing ask of an array comes out as in NumPy. CuPy compiles small kernels, once."""
    try:
        return _done(xp, dtype)
    except Exception:  # CuPy raises ValueError, TypeError, its own errors of CUDA and of the compiler, by version
        return False


def _done(xp: Any, dtype: np.dtype) -> bool:
    numbers = np.arange(6, dtype="f4").reshape(2, 3) - 1.5
    values, order = numbers.astype(dtype), np.array([1, 0])
    there = xp.empty((2, 3), dtype)
    there.set(values)
    filled, bytewise = there.copy(), there.view(np.uint8)
    filled[...] = dtype.type(0.75)
    filled[:, ::2] = there[:, ::-2]
    pairs = [
        (there, values),
        (there[xp.asarray(order)], values[order]),
        (xp.asarray(numbers).astype(dtype), values),
        (there.astype("f4"), values.astype("f4")),
        (xp.ascontiguousarray(there.transpose(1, 0)), values.T),
        (bytewise.copy().view(dtype), values),
        (filled, np.stack([values[:, 2], np.full(2, 0.75, dtype), values[:, 0]], axis=1)),
    ]
    return all(made.dtype == want.dtype and made.get().tobytes() == want.tobytes() for made, want in pairs)
