"""Downsampling as plainly as NumPy can say it, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np


def reduced_by_max(values: Any, factors: Sequence[int]) -> Any:
    """The maximum of each window; windows at the ends may be smaller."""
    shape = tuple(-(-n // f) for n, f in zip(values.shape, factors, strict=True))
    made = np.empty(shape, values.dtype)
    for at in product(*map(range, shape)):
        made[at] = values[tuple(slice(i * f, (i + 1) * f) for i, f in zip(at, factors, strict=True))].max()
    return made
