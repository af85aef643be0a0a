"""Find out by trial if a device's array module supports a dtype: no version number of CuPy says it.

CuPy 14 has ml_dtypes' bfloat16.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np


@cache
def holds(xp: Any, dtype: np.dtype) -> bool:
    """Return True if array operations give what they give in NumPy. CuPy compiles small kernels for it, once."""
    try:
        return _works(xp, dtype)
    except Exception:  # ValueError, TypeError, errors of CUDA or of the compiler: CuPy's version decides
        return False


def _works(xp: Any, dtype: np.dtype) -> bool:
    numbers = np.arange(6, dtype="f4").reshape(2, 3) - 1.5
    values, order = numbers.astype(dtype), np.array([1, 0])
    on_device = xp.empty((2, 3), dtype)
    on_device.set(values)
    filled, bytewise = on_device.copy(), on_device.view(np.uint8)
    filled[...] = dtype.type(0.75)
    filled[:, ::2] = on_device[:, ::-2]
    pairs = [
        (on_device, values),
        (on_device[xp.asarray(order)], values[order]),
        (xp.asarray(numbers).astype(dtype), values),
        (on_device.astype("f4"), values.astype("f4")),
        (xp.ascontiguousarray(on_device.transpose(1, 0)), values.T),
        (bytewise.copy().view(dtype), values),
        (filled, np.stack([values[:, 2], np.full(2, 0.75, dtype), values[:, 0]], axis=1)),
    ]
    return all(made.dtype == want.dtype and made.get().tobytes() == want.tobytes() for made, want in pairs)
