"""The dtypes that arrays on a GPU can have."""

from __future__ import annotations

import numpy as np

_CUPY_DTYPES = "?bBhHiIlLqQefdFD"  # NumPy's type characters


def fits_gpu(dtype: np.dtype) -> bool:
    """Whether CuPy has this dtype. Only newer versions have bfloat16: see `devices.select.holds`.

    (`isbuiltin` is 2 for dtypes of other packages, 0 for copies.)
    """
    return dtype.name == "bfloat16" or (dtype.isbuiltin != 2 and dtype.isnative and dtype.char in _CUPY_DTYPES)
