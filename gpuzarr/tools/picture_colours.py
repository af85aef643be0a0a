"""Colours of values: greys within a window, a fixed table for labels, colours as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.dtypes.cast import is_float
from gpuzarr.errors import ArgumentError

PERCENTILES = (0.1, 99.9)  # of a window that nobody gave
NOT_A_NUMBER = (255, 0, 255)
BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def greys(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Numbers as greys, uint8 (..., 3): black up to the first end of the window, white from the second on.

    Between them a grey is round(255 * (value - first) / (second - first)). NaN is magenta.
    """
    first, second = window
    wide = values.astype(np.float64)
    with np.errstate(all="ignore"):
        share = (wide - first) / (second - first) if second > first else (wide > first).astype(np.float64)
        bright = np.floor(255 * np.clip(share, 0, 1) + 0.5)
    found = np.repeat(np.nan_to_num(bright).astype(np.uint8)[..., None], 3, axis=-1)
    found[np.isnan(wide)] = NOT_A_NUMBER
    return found


def window_of(values: np.ndarray) -> tuple[float, float]:
    """The 0.1 and 99.9 percentiles of numbers, but of infinities and NaN. (0, 1) where there are no others."""
    wide = values.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    if not finite.size:
        return 0.0, 1.0
    first, second = np.percentile(finite, PERCENTILES)
    return float(first), float(second)


def label_colours(labels: np.ndarray) -> np.ndarray:
    """Labels as colours, uint8 (..., 3). 0 is black; the colour of another label depends on it alone.

    Its bits are mixed by SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014);
    three bytes of the result are red, green and blue, each from 64 on, so that no label is as dark as the background.
    """
    x = labels.astype(np.int64 if labels.dtype.kind == "i" else np.uint64).view(np.uint64)
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    bytes_ = np.stack([(z >> np.uint64(shift)) & np.uint64(255) for shift in (0, 8, 16)], axis=-1)
    found = (64 + bytes_ * np.uint64(191) // np.uint64(255)).astype(np.uint8)
    found[labels == 0] = 0
    return found


def numbers(values: np.ndarray) -> np.ndarray:
    """Values that have greys: numbers as they are, complex ones as magnitudes, dates as integers.

    ArgumentError for elements of other kinds.
    """
    dtype = values.dtype
    if dtype.kind in "mM":
        counts = values.view(np.int64).astype(np.float64)
        counts[np.isnat(values)] = np.nan
        return counts
    if dtype.kind == "c":
        return np.abs(values)
    if dtype.kind in "biuf" or is_float(dtype) or dtype.name in ("int2", "int4", "uint2", "uint4"):
        return values
    raise ArgumentError(f"there is no picture of elements of dtype {dtype}")


def brightness(pixels: np.ndarray) -> Any:
    """The brightness of pixels (..., 3), from 0 to 255."""
    return pixels[..., :3] @ np.array(BRIGHTNESS)
