"""What xarray's CF decoding does to values, as steps that run on any array module, or as one cast of a read.

xarray decodes lazily: around the stored values it puts functions, one for each coder, that take NumPy arrays.
`step_of` reads each back as data; the functions and their order are those of `xarray.coding.variables`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from xarray.coding import variables as coders

from gpuzarr.dtypes.cast import Cast, cast_of
from gpuzarr.errors import ArgumentError

Dtype = np.dtype[Any]


@dataclass(frozen=True)
class AsType:
    """Values in another dtype, as `numpy.asarray(values, dtype)`: integers as unsigned ones, integers as bools."""

    dtype: Dtype

    def __call__(self, values: Any) -> Any:
        return values.astype(self.dtype, copy=False)


@dataclass(frozen=True)
class Mask:
    """Values converted to `dtype`, of which those that equal one of `fills` become `missing`."""

    dtype: Dtype
    fills: tuple[Any, ...]
    missing: Any

    def __call__(self, values: Any) -> Any:
        if self.fills and self.dtype.kind in "iu" and self.missing != self.missing:
            raise ValueError(f"cannot convert float NaN to integer: values of {self.dtype} cannot mark missing ones")
        made, is_fill = values.astype(self.dtype, copy=False), None
        for fill in self.fills:
            is_fill = made == fill if is_fill is None else is_fill | (made == fill)
        # not `made[is_fill] = ...`: CuPy may wait for the GPU when it indexes with a mask
        return made if is_fill is None else np.where(is_fill, self.dtype.type(self.missing), made)


@dataclass(frozen=True)
class Scale:
    """values * scale + offset, computed in `dtype`; None: this part is left out."""

    dtype: Dtype
    scale: Any
    offset: Any

    def __call__(self, values: Any) -> Any:
        made = values.astype(self.dtype, copy=True)
        if self.scale is not None:
            made *= self.scale
        if self.offset is not None:
            made += self.offset
        return made


Step = AsType | Mask | Scale


def dtype_after(dtype: Dtype, steps: tuple[Step, ...]) -> Dtype:
    """The dtype of values behind these steps."""
    return steps[-1].dtype if steps else dtype


def step_of(function: Callable[..., Any], dtype: Any) -> Step | None:
    """The step that a function of xarray's coders is; None for another function."""
    if not isinstance(function, partial) or function.args:
        return None
    given = function.keywords
    if function.func is coders._apply_mask:
        fills = tuple(given["encoded_fill_values"])
        return Mask(np.dtype(given["dtype"]), fills, given["decoded_fill_value"])
    if function.func is coders._scale_offset_decoding:
        return Scale(np.dtype(given["dtype"]), given["scale_factor"], given["add_offset"])
    if function.func is np.asarray and given.keys() == {"dtype"}:
        return AsType(np.dtype(given["dtype"]))
    return None


def cast_for(source: Dtype, steps: tuple[Step, ...]) -> Cast | None:
    """The cast of a read that gives the same as `steps`, to the bit; None if there is none.

    A cast multiplies and adds in the result's dtype, rounding each time, and so does xarray where scale and offset are
    Python's floats, or of that dtype.
    """
    mask = steps[0] if steps and isinstance(steps[0], Mask) else None
    rest = steps[1:] if mask else steps
    scale = rest[0] if rest and isinstance(rest[0], Scale) else None
    if len(steps) != (mask is not None) + (scale is not None) or not steps or source.kind not in "iuf":
        return None
    dtype = steps[-1].dtype
    if any(step.dtype != dtype for step in steps) or dtype.kind != "f" or (mask and not _holds(dtype, source)):
        return None
    factor, offset = (scale.scale, scale.offset) if scale else (None, None)
    if not (_is_exact(factor, dtype) and _is_exact(offset, dtype)):
        return None
    found = _elements(mask.fills, source) if mask else []
    if len(found) > 1 or (mask and not np.isnan(mask.missing)):
        return None
    try:
        made = cast_of(source, None, dtype, factor, offset, found[0] if found else None)
    except ArgumentError:
        return None
    return made if made is not None and made.dtype == made.work else None


def _holds(dtype: Dtype, source: Dtype) -> bool:
    """Whether a float dtype holds each element of `source` exactly, so that it does not matter where one compares."""
    return np.can_cast(source, dtype, "safe") and (source.kind == "f" or source.itemsize < dtype.itemsize)


def _is_exact(number: Any, dtype: Dtype) -> bool:
    """Whether NumPy computes with a number in `dtype` when an array of that dtype is multiplied by it in place."""
    if number is None:
        return True
    if type(number) in (int, float):
        return bool(np.isfinite(number)) and abs(number) < 2**53
    return isinstance(number, np.generic) and number.dtype == dtype and bool(np.isfinite(number))


def _elements(fills: tuple[Any, ...], source: Dtype) -> list[Any]:
    """The elements of a dtype that equal one of `fills`."""
    return [element for fill in fills if (element := _element(fill, source)) is not None]


def _element(fill: Any, source: Dtype) -> Any:
    with np.errstate(all="ignore"):
        try:
            made = source.type(fill)
        except (OverflowError, ValueError, TypeError):
            return None
    return made.item() if bool(made == fill) else None
