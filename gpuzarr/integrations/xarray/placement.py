"""Which variables of a dataset are for the device, and what makes them lazy there."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from xarray.coding.common import _ElementwiseFunctionArray
from xarray.coding.variables import BoolTypeArray, NativeEndiannessArray
from xarray.core import indexing
from xarray.core.variable import Variable

from gpuzarr.devices.contract import Device
from gpuzarr.integrations.xarray.lazy import StoredValues
from gpuzarr.integrations.xarray.steps import AsType, Step, step_of
from gpuzarr.integrations.xarray.variable import LazyVariable

NUMBERS = "biufc"  # kinds of dtypes that a GPU has


def placed(
    variables: Mapping[Hashable, Variable], coordinates: set[Hashable], device: Device
) -> dict[Hashable, Variable]:
    """Decoded variables, of which those with data are on the device.

    Coordinates (`coordinates`, and variables that have the name of their only dimension), times, strings and objects
    stay on the CPU, for pandas and those parts of xarray that need NumPy.
    """
    return {
        name: variable if _is_coordinate(name, variable, coordinates) else _placed(variable, device)
        for name, variable in variables.items()
    }


def _is_coordinate(name: Hashable, variable: Variable, coordinates: set[Hashable]) -> bool:
    return name in coordinates or variable.dims == (name,)


def _placed(variable: Variable, device: Device) -> Variable:
    if (found := _taken_apart(variable._data)) is None:
        return variable
    values, steps = found
    dtypes = (values.dtype, *[step.dtype for step in steps], variable.dtype)  # xarray scales bools as objects
    if any(dtype.kind not in NUMBERS for dtype in dtypes):
        return variable
    data = indexing.LazilyIndexedArray(values.on(device).behind(steps))
    return LazyVariable(variable.dims, data, variable._attrs, variable._encoding, fastpath=True)


def _taken_apart(data: Any) -> tuple[StoredValues, tuple[Step, ...]] | None:
    """The stored values and the steps that lazy data of xarray consist of; None if it does something else, too."""
    steps: list[Step] = []
    while not isinstance(data, indexing.LazilyIndexedArray):
        if isinstance(data, _ElementwiseFunctionArray):
            step = step_of(data.func, data._dtype)
        elif isinstance(data, BoolTypeArray | NativeEndiannessArray):
            step = AsType(data.dtype)
        else:
            return None
        if step is None:
            return None
        steps.append(step)
        data = data.array
    values, is_whole = data.array, all(part == slice(None) for part in data.key.tuple)
    return (values, tuple(reversed(steps))) if isinstance(values, StoredValues) and is_whole else None
