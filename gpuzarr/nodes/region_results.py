"""The results of many regions that are read together: one array for all, or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast
from gpuzarr.errors import SelectionError
from gpuzarr.indexing import selection as select
from gpuzarr.nodes.casting import result
from gpuzarr.nodes.indexers import Selection, checked_fields
from gpuzarr.nodes.inputs import as_out
from gpuzarr.nodes.reading import allocated


@dataclass(frozen=True)
class Region:
    """A selection of an array. `fields`: of its result, as NumPy takes them; None for all. `cast`: what becomes of its
    elements; None for nothing."""

    array: Any
    elements: Selection
    fields: Any
    cast: Cast | None = None

    @cached_property
    def _result(self) -> tuple[np.dtype, Device]:
        return result(self.array, self.cast)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the result."""
        return self._result[0]

    @property
    def device(self) -> Device:
        """Where the result is."""
        return self._result[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the result, of all fields."""
        return prod(self.elements.shape) * int(self.dtype.itemsize)

    @property
    def form(self) -> tuple[Any, ...]:
        """What is equal for regions whose results can be stacked."""
        return *self._result, self.elements.shape, None if self.fields is None else str(self.fields)


def region_of(array: Any, selection: Any, cast: Cast | None = None) -> Region:
    """The region of `array[selection]`. SelectionError if it has none."""
    fields, rest = select.fields(selection)
    names = None if fields is None else checked_fields(fields, array.dtype)
    return Region(array, select.basic(rest, array.shape), names, cast)


def memory(regions: Sequence[Region], out: Any, stream: Any) -> tuple[list[Any], Any]:
    """An array for each result; and the one of which they are parts along the first axis, or None."""
    if isinstance(out, list | tuple):
        return _given(regions, out), None
    if not regions:
        if out is not None and getattr(out, "shape", ())[:1] != (0,):
            raise SelectionError("`out` must be empty where there are no selections")
        return [], None
    first, form = regions[0], regions[0].form
    alike = all(region.form == form for region in regions)
    if not alike and out is not None:
        raise SelectionError("`out` must be a list of arrays where the results differ in shape or dtype")
    if not alike:
        return [_new(region, region.elements.shape, stream) for region in regions], None
    shape = (len(regions), *first.elements.shape)
    stack = _new(first, shape, stream) if out is None else as_out(out, shape, first.dtype, first.device)
    return [stack[i, ...] for i in range(len(regions))], stack


def _given(regions: Sequence[Region], out: Any) -> list[Any]:
    """The arrays of `out`, one for each region."""
    if len(out) != len(regions):
        raise SelectionError(f"`out` has {len(out)} arrays for {len(regions)} selections")
    return [
        as_out(one, region.elements.shape, region.dtype, region.device)
        for one, region in zip(out, regions, strict=True)
    ]


def _new(region: Region, shape: tuple[int, ...], stream: Any) -> Any:
    with region.device.on(stream):
        return allocated(region.array, shape, region.dtype, region.device)


def finished(regions: Sequence[Region], results: Sequence[Any], stack: Any) -> Any:
    """The results, with the fields that were asked for, and scalars of a CPU as such."""
    if stack is not None:
        return stack if regions[0].fields is None else stack[regions[0].fields]
    found = [one if region.fields is None else one[region.fields] for region, one in zip(regions, results, strict=True)]
    return [one if region.device.gpu or one.shape else one[()] for region, one in zip(regions, found, strict=True)]


def without(failed: set[int], regions: Sequence[Region], results: list[Any], stack: Any) -> Any:
    """The results of the other regions."""
    kept = [i for i in range(len(regions)) if i not in failed]
    some = None if stack is None else stack[kept]
    return finished([regions[i] for i in kept], [results[i] for i in kept], some) if kept or stack is None else some
