"""Missing values of a GPU's arrays become fill values there, as xarray's `CFMaskCoder` encodes them."""

from __future__ import annotations

from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
from xarray.coding import variables as coders
from xarray.core import duck_array_ops
from xarray.core.variable import Variable

from gpuzarr.integrations.xarray.placement import NUMBERS


def filled(variable: Variable, name: Any) -> Variable:
    """A variable whose values are scaled and filled, if they are on a GPU and a fill value is given; or itself.

    xarray gives CuPy the fill value as a scalar of NumPy, of which `cupy.astype` makes a TypeError where the scalar
    has another dtype than the values. What is done here xarray finds done, and does not do again.
    """
    given = variable.encoding.get("_FillValue") is not None or variable.encoding.get("missing_value") is not None
    if not given or isinstance(variable._data, np.ndarray) or variable.chunks or variable.dtype.kind not in NUMBERS:
        return variable
    encoded: Variable = _MASKED(coders.CFMaskCoder(), coders.CFScaleOffsetCoder().encode(variable, name), name)
    return encoded


def _fillna(data: Any, fill: Any) -> Any:
    """`duck_array_ops.fillna`, with the fill value where the data are."""
    return duck_array_ops.fillna(data, np.full_like(data, fill, dtype=np.asarray(fill).dtype, shape=()))


_MASKED = FunctionType(
    coders.CFMaskCoder.encode.__code__,
    {**vars(coders), "duck_array_ops": SimpleNamespace(**{**vars(duck_array_ops), "fillna": _fillna})},
    argdefs=coders.CFMaskCoder.encode.__defaults__,
)
