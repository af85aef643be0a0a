"""The cast that the arguments `dtype`, `scale`, `offset` and `fill_to_nan` of a read ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.select import holds
from gpuzarr.dtypes.cast import Cast, cast_of
from gpuzarr.errors import ArgumentError, MetadataError


@dataclass(frozen=True)
class Casting:
    """These arguments of a read, for any array."""

    dtype: Any = None
    scale: Any = None
    offset: Any = None
    fill_to_nan: Any = None

    def of(self, array: Any) -> Cast | None:
        """What becomes of the elements of an array; None: nothing. ArgumentError where there is no such cast."""
        if self.dtype is None and self.scale is None and self.offset is None and self.fill_to_nan is None:
            return None
        wanted = None if self.dtype is None else _parsed(self.dtype)
        return cast_of(array.dtype, array.fill_value, wanted, self.scale, self.offset, self.fill_to_nan)


def result(array: Any, cast: Cast | None) -> tuple[np.dtype, Device]:
    """The dtype of what is read of an array, and the device where that is: a CPU if the array's device lacks it."""
    if cast is None:
        return array.dtype, array.device
    return cast.dtype, array.device if holds(array.device, cast.dtype) else CPU


def _parsed(dtype: Any) -> np.dtype:
    from gpuzarr.creation.types import dtype_of  # which reading needs for nothing else

    try:
        return dtype_of(dtype)
    except MetadataError as error:
        raise ArgumentError(str(error)) from error
