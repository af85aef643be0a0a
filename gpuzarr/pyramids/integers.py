"""Integers of numbers: rounded to nearest, even for halves; those out of range become the end of the range.

Bools count as the integers 0 and 1. The same array expressions run in NumPy and CuPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Dtype = np.dtype[Any]
Limits = tuple[int, int]  # the least and the greatest
UINT64 = np.dtype("u8")


def is_whole(dtype: Dtype) -> bool:
    """Return True for bools and integers of NumPy."""
    return dtype.kind in "biu"


def limits(dtype: Dtype, clamp: tuple[Any, Any] | None = None) -> Limits:
    """The range of a dtype, and within it what `clamp` leaves: two numbers, or None for no bound."""
    low, high = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if clamp is None:
        return low, high
    least, most = clamp
    ends = low if least is None else round(least), high if most is None else round(most)
    return max(min(ends[0], high), low), max(min(ends[1], high), low)


def saturated(value: float, dtype: Dtype) -> int:
    """A number as an integer of a dtype."""
    low, high = limits(dtype)
    return max(min(round(value), high), low)


def of_floats(xp: Any, values: Any, dtype: Dtype, within: Limits) -> Any:
    """Integers of floats, at least and at most those of `within`. NaN becomes any."""
    (low, high), work = within, values.dtype
    least, most = _next(low, work, up=True), _next(high, work, up=False)
    whole = xp.rint(values)
    xp.clip(whole, least, most, out=whole)
    made = whole.astype(dtype)
    if int(least) != low:
        made = xp.where(values < least, dtype.type(low), made)
    if int(most) != high:
        made = xp.where(values > most, dtype.type(high), made)
    return made


def of_integers(xp: Any, values: Any, dtype: Dtype, scale: int, offset: int, within: Limits) -> Any:
    """`values * scale + offset` exactly, at least and at most the integers of `within`.

    Values for which that is out of range are replaced first. What comes of the others is within 64 bits, so it is right
    in arithmetic modulo 2**64.
    """
    (low, high), (least, most) = within, limits(values.dtype)
    if scale == 0:
        return xp.full(values.shape, dtype.type(min(max(offset, low), high)), dtype)
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    below, above = (low, high) if scale > 0 else (high, low)  # results of values before and behind those in range
    first, last = -((offset - below) // scale), (above - offset) // scale
    if first > most or last < least:
        return xp.full(values.shape, dtype.type(below if first > most else above), dtype)
    kept = values
    if first > least or last < most:
        kept = xp.clip(values, values.dtype.type(max(first, least)), values.dtype.type(min(last, most)))
    made = kept if (scale, offset) == (1, 0) else _modulo(kept, scale, offset)
    made = made.astype(dtype, copy=False)
    if first > least and first * scale + offset != below:
        made = xp.where(values < values.dtype.type(first), dtype.type(below), made)
    if last < most and last * scale + offset != above:
        made = xp.where(values > values.dtype.type(last), dtype.type(above), made)
    return made


def _modulo(values: Any, scale: int, offset: int) -> Any:
    """`values * scale + offset` modulo 2**64, as uint64."""
    made = values.astype(UINT64)
    if scale != 1:
        made *= UINT64.type(scale % 2**64)
    if offset != 0:
        made += UINT64.type(offset % 2**64)
    return made


def _next(value: int, dtype: Dtype, up: bool) -> Any:
    """The nearest float of a dtype that is at least the value, or at most."""
    found = dtype.type(value)
    if up and int(found) < value:
        return np.nextafter(found, dtype.type(np.inf))
    return np.nextafter(found, dtype.type(-np.inf)) if not up and int(found) > value else found
