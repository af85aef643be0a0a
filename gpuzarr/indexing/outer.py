"""Elements of an array that slices and index arrays select along its axes, as an outer product: read, and assigned.

`np.ix_` would make index arrays of the slices, too, and every element would be copied by itself. Here whole rows are,
along the axes of slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuzarr.dtypes.cast import Cast, made

Index = Sequence[Any]  # of each axis a slice or an index array


def taken(array: Any, index: Index, xp: Any) -> Any:
    """The elements of `array`, of one axis for each of `index`: a view where slices alone select them."""
    lists = [axis for axis, i in enumerate(index) if not isinstance(i, slice)]
    array = array[(*[slice(None) if axis in lists else i for axis, i in enumerate(index)], ...)]
    for axis in lists:
        if array.flags.c_contiguous:
            array = array.take(xp.asarray(index[axis]), axis)
        else:  # take would copy all of it first
            array = array[(slice(None),) * axis + (xp.asarray(index[axis]),)]
    return array


def assign(array: Any, index: Index, values: Any, xp: Any, cast: Cast | None = None) -> None:
    """Assign to the elements of `array`: `values` of their shape, cast if they are to be, or a single one. The last of
    a repeated one wins."""
    lists = [axis for axis, i in enumerate(index) if not isinstance(i, slice)]
    if cast is not None and not lists:
        return cast.put(array[(*index, ...)], values)
    values = made(values, cast)
    if len(lists) < 2:
        array[(*[i if isinstance(i, slice) else xp.asarray(i) for i in index], ...)] = values
        return None
    first = tuple(range(len(lists)))
    array = array[tuple([slice(None) if axis in lists else i for axis, i in enumerate(index)])]
    values = xp.moveaxis(values, lists, first) if getattr(values, "ndim", 0) else values
    xp.moveaxis(array, lists, first)[xp.ix_(*[xp.asarray(index[axis]) for axis in lists])] = values
    return None
