"""Zarr data types and the NumPy dtypes that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class DataType:
    """A Zarr v3 data type. `dtype` holds it in memory, in native byte order."""

    name: str
    dtype: np.dtype
    configuration: Any = None
