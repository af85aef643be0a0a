"""The results of many regions that are read together: one array for all, or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from gpuzarr.checks import INT64_MAX
from gpuzarr.errors import ArgumentError, NoMemoryError, no_memory
from gpuzarr.nodes.indexers import Selection
from gpuzarr.nodes.inputs import as_out


@dataclass(frozen=True)
class Region:
    """A selection of an array. `fields`: of its result, as NumPy takes them; None for all."""

    array: Any
    elements: Selection
    fields: Any

    @property
    def form(self) -> tuple[Any, ...]:
        """What is equal for regions whose results can be stacked."""
        array = self.array
        return array.device, self.elements.shape, array.dtype, str(self.fields)


def memory(regions: Sequence[Region], out: Any, stream: Any) -> tuple[list[Any], Any]:
    """An array for each result; and the one of which they are parts along the first axis, or None."""
    if not regions:
        return [], None
    first = regions[0]
    is_list = isinstance(out, list | tuple)
    if is_list:
        if len(out) != len(regions):
            raise ArgumentError(f"`out` has {len(out)} arrays for {len(regions)} regions")
        return [
            as_out(one, region.elements.shape, region.array.dtype, region.array.device)
            for one, region in zip(out, regions, strict=True)
        ], None
    alike = all(region.form == first.form for region in regions)
    if not alike and out is not None:
        raise ArgumentError("`out` must be a list of arrays where results have not all the same shape and dtype")
    if not alike:
        return [_new(region, region.elements.shape, stream) for region in regions], None
    shape = (len(regions), *first.elements.shape)
    device = first.array.device
    stack = _new(first, shape, stream) if out is None else as_out(out, shape, first.array.dtype, device)
    return [stack[i, ...] for i in range(len(regions))], stack


def _new(region: Region, shape: tuple[int, ...], stream: Any) -> Any:
    array = region.array
    if prod([n or 1 for n in shape]) * (array.dtype.itemsize or 1) > INT64_MAX:  # NumPy leaves zeros out, too
        raise NoMemoryError(f"no memory for {array!r}: a result of shape {shape} cannot be addressed")
    try:
        with array.device.on(stream):
            return array.device.array(shape, array.dtype)
    except MemoryError as error:
        raise no_memory(array, error) from error


def finished(regions: Sequence[Region], results: list[Any], stack: Any) -> Any:
    """The results, with the fields that were asked for, and scalars of a CPU as such."""
    if stack is not None:
        return stack if regions[0].fields is None else stack[regions[0].fields]
    found = [one if region.fields is None else one[region.fields] for region, one in zip(regions, results, strict=True)]
    return [
        one if region.array.device.gpu or one.shape else one[()] for region, one in zip(regions, found, strict=True)
    ]


def without(failed: set[int], regions: Sequence[Region], results: list[Any], stack: Any) -> Any:
    """The results of the other regions."""
    kept = [i for i in range(len(regions)) if i not in failed]
    some = None if stack is None else stack[kept]
    return finished([regions[i] for i in kept], [results[i] for i in kept], some) if kept or stack is None else some
