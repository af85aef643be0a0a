"""Select the same elements in another way: index arrays as the ranges that they are, descending ranges ascending.

A result is reversed along the same axes as a selection.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.indexing.selection import Outer, Points


def with_ranges(selection: Outer | Points) -> Outer | Points:
    """Select the same elements, in the same order, with a range for every index array of equal steps.

    For reads: a write may treat index arrays in another way than ranges (`indexing.axis.AxisRun.covers`).
    """
    if isinstance(selection, Points) or np.ndarray not in map(type, selection.axes):
        return selection
    return Outer(tuple(map(_range_of, selection.axes)), selection.squeeze)


def _range_of(index: range | np.ndarray) -> range | np.ndarray:
    """The range of the same elements; the index array itself if there is none."""
    if isinstance(index, range) or not len(index):
        return index
    first, n = int(index[0]), len(index)
    step = int(index[1]) - first if n > 1 else 1
    is_range = step != 0 and int(index[-1]) == first + step * (n - 1) and bool((np.diff(index) == step).all())
    return range(first, first + step * n, step) if is_range else index


def ascending(selection: Outer | Points) -> Outer | Points:
    """Select the same elements with every range ascending."""
    if isinstance(selection, Points) or not _descends(selection):
        return selection
    return Outer(tuple(index[::-1] if descending(index) else index for index in selection.axes), selection.squeeze)


def flipped(selection: Outer | Points, array: Any) -> Any:
    """View of `array`, which has the selection's shape, with the shape and order of `ascending(selection)`.

    It has every axis, those of length 1 that an int selected too. For points it is flat.
    """
    if isinstance(selection, Points):
        return array.reshape(-1)
    if selection.squeeze:
        axes = range(len(selection.axes))
        array = array[(*[None if axis in selection.squeeze else slice(None) for axis in axes], ...)]
    if _descends(selection):
        array = array[(*[slice(None, None, -1 if descending(index) else None) for index in selection.axes], ...)]
    return array


def _descends(selection: Outer) -> bool:
    return True in [type(index) is range and index.step < 0 for index in selection.axes]


def descending(index: range | np.ndarray) -> bool:
    """Return True if the axis is selected from its end to its beginning."""
    return isinstance(index, range) and index.step < 0
