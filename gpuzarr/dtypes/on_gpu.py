"""Which dtypes arrays on a GPU can have."""

from __future__ import annotations

import numpy as np

_CUPY_DTYPES = "?bBhHiIlLqQefdFD"  # by NumPy's characters


def fits_gpu(dtype: np.dtype) -> bool:
    """Whether CuPy has this dtype; bfloat16 only newer ones, see `holds`.

    (`isbuiltin`: 2 for other packages' ones, 0 for copies.)
    """
    return dtype.name == "bfloat16" or (dtype.isbuiltin != 2 and dtype.isnative and dtype.char in _CUPY_DTYPES)
