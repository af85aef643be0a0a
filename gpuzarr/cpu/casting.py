"""Cast numbers by value to another dtype, by the rules of the Zarr extension `cast_value`."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import CodecError

OUT_OF_RANGE = ("error", "clamp", "wrap")


def _nearest_away(values: Any) -> Any:
    whole = np.trunc(values)
    return whole + np.copysign(np.abs(values - whole) >= 0.5, values)


_ROUND: dict[str, Callable[[Any], Any]] = {
    "nearest-even": np.rint,
    "towards-zero": np.trunc,
    "towards-positive": np.ceil,
    "towards-negative": np.floor,
    "nearest-away": _nearest_away,
}
ROUNDINGS = tuple(_ROUND)


def cast(batch: np.ndarray, dtype: np.dtype, rounding: str, out_of_range: str) -> np.ndarray:
    """Cast a batch to `dtype`. CodecError for the first chunk with an element out of range."""
    if batch.dtype == dtype:
        return batch.copy()
    with np.errstate(all="ignore"):
        if _whole(dtype):
            return _to_whole(batch, dtype, rounding, out_of_range)
        return _to_float(batch, dtype, out_of_range)


def _whole(dtype: np.dtype) -> bool:
    return dtype.name.lstrip("u").startswith("int")


def _bounds(dtype: np.dtype) -> tuple[int, int]:
    bits, signed = int(dtype.name.lstrip("uint")), not dtype.name.startswith("u")
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def _to_whole(batch: np.ndarray, dtype: np.dtype, rounding: str, out_of_range: str) -> np.ndarray:
    low, high = _bounds(dtype)
    if _whole(batch.dtype):
        least, most = _bounds(batch.dtype)
        values = batch.astype(np.uint64 if batch.dtype.name == "uint64" else np.int64)
        inside = np.ones(values.shape, bool)
        if least < low:
            inside &= values >= low
        if most > high:
            inside &= values <= high
        return _placed(values, inside, dtype, out_of_range)
    wide = batch.astype(np.float64)
    _refuse(np.isnan(wide), f"NaN is no {dtype.name}")
    values = _ROUND[rounding](wide)
    inside = (values >= float(low)) & (values < float(high + 1))
    return _placed(values, inside, dtype, out_of_range)


def _placed(values: np.ndarray, inside: np.ndarray, dtype: np.dtype, out_of_range: str) -> np.ndarray:
    """Convert integral values to `dtype`; those not `inside` its range according to `out_of_range`."""
    low, high = _bounds(dtype)
    container = np.dtype(np.uint64 if high > 2**63 - 1 else np.int64)
    made = np.where(inside, values, values.dtype.type(0)).astype(container)
    if not inside.all():
        if out_of_range == "error":
            _refuse(~inside, f"out of the range of {dtype.name}")
        outside = values[~inside]
        if out_of_range == "clamp":
            made[~inside] = np.where(outside > 0, np.array(high, container), np.array(low, container))
        else:
            _refuse(~inside & ~np.isfinite(values), f"an infinite number does not wrap to {dtype.name}")
            made[~inside] = [_wrapped(int(value), low, high) for value in outside.tolist()]
    return made.astype(dtype)


def _wrapped(value: int, low: int, high: int) -> int:
    return (value - low) % (high - low + 1) + low


def _to_float(batch: np.ndarray, dtype: np.dtype, out_of_range: str) -> np.ndarray:
    """Round to the nearest float, ties to even. Out of range: becomes infinite, or NaN where there is no infinity."""
    made = batch.astype(dtype)
    if _whole(batch.dtype) and dtype.itemsize == 8:
        return made
    source, wide = batch.astype(np.float64), made.astype(np.float64)
    lost = (~np.isfinite(wide) & np.isfinite(source)) | (np.isnan(wide) & ~np.isnan(source))
    _refuse(np.isnan(source) & ~np.isnan(wide), f"NaN is no {dtype.name}")
    if lost.any():
        if out_of_range == "error":
            _refuse(lost, f"out of the range of {dtype.name}")
        largest = _largest(dtype)
        made[lost] = np.where(source[lost] > 0, largest, -largest).astype(dtype)
    return made


def _largest(dtype: np.dtype) -> float:
    if dtype.kind == "f":
        return float(np.finfo(dtype).max)
    import ml_dtypes

    info: Any = ml_dtypes.finfo
    return float(info(dtype).max)


def _refuse(bad: np.ndarray, message: str) -> None:
    """Raise CodecError for the first chunk with a bad element."""
    rows = bad.reshape(len(bad), prod(bad.shape[1:])).any(axis=1)
    if rows.any():
        raise CodecError(f"cast_value: {message}", int(np.argmax(rows)))
