"""Turn a selection with descending ranges into one with ascending ones, and the result the same way."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.indexing.selection import Outer, Points


def ascending(selection: Outer | Points) -> Outer | Points:
    """The same elements with every range ascending."""
    if isinstance(selection, Points) or not any(map(descending, selection.axes)):
        return selection
    return Outer(tuple(index[::-1] if descending(index) else index for index in selection.axes), selection.squeeze)


def flipped(selection: Outer | Points, array: Any) -> Any:
    """`array`, of the selection's shape, as `ascending` fills or reads it: all axes, every range running forward.

    For points it is flat.
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
    """Whether an axis is read from its end to its beginning."""
    return isinstance(index, range) and index.step < 0
