"""Averages are those of sums over the whole array, whoever gives the blocks of which regions in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.blend import Blend
from gpuzarr.pyramids.blocks import Blocks
from gpuzarr.pyramids.cut import Cut
from gpuzarr.pyramids.weights import weights
from tests import hardware
from tests.pyramids.blending import all_bounds, all_cores, as_slices, divisions, grids, marked

FLOAT32 = np.dtype("f4")
DTYPES = ("bool", "uint8", "int16", "uint32", "int64", "float16", "float32", "float64")


def plain_weights(given: Any, block: Sequence[int], halo: Sequence[int]) -> np.ndarray:
    """Weights of a whole block, float64, by their definitions."""
    lengths = [b + 2 * h for b, h in zip(block, halo, strict=True)]
    if isinstance(given, np.ndarray):
        return given / given.max()
    if isinstance(given, tuple):
        return np.multiply.outer.reduce(given) if len(given) > 1 else given[0]
    made = np.ones(lengths)
    for axis, (n, h) in enumerate(zip(lengths, halo, strict=True)):
        for i in range(n):
            row = made[(slice(None),) * axis + (i,)]
            if given == "gaussian":
                row *= np.exp(-((i - (n - 1) / 2) ** 2) / (2 * (0.125 * n) ** 2))
            elif given == "linear" and h:
                row *= min(1, (min(i, n - 1 - i) + 0.5) / (2 * h))
    return np.maximum(made, 1e-3) if given == "gaussian" else made
