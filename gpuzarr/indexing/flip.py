"""Reverse the descending ranges of a selection, and the result along the same axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.indexing.selection import Outer, Points


def ascending(selection: Outer | Points) -> Outer | Points:
    """Select the same elements with every range ascending."""
    if isinstance(selection, Points) or not any(map(descending, selection.axes)):
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
    if any(map(descending, selection.axes)):
        array = array[(*[slice(None, None, -1 if descending(index) else None) for index in selection.axes], ...)]
    return array


def descending(index: range | np.ndarray) -> bool:
    """Return True if the axis is selected from its end to its beginning."""
    return isinstance(index, range) and index.step < 0
