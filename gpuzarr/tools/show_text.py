"""The values of an array as NumPy prints them, of which only those that are printed are read."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.nodes.array import Array
from gpuzarr.tools.show_selection import ranges

EDGE_ITEMS = 3  # at each end of an axis, where not all are printed
MAX_PRINTED_ELEMENTS = 1000  # as in NumPy: where there are more, most are left out


def values_text(array: Array, selection: Any = ..., width: int = 75) -> str:
    """The values of a selection as `print` shows NumPy's array of them, in lines of at most `width` characters.

    Where these are more than 1000 elements, only those at the ends of the axes are read and printed, as NumPy does.

    Raises
    ------
    ArgumentError
        The selection is of something else than ints and slices.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(10**6).reshape(1000, 1000))
    >>> print(gpuzarr.tools.values_text(a, (slice(None), slice(2))))
    [[     0      1]
     [  1000   1001]
     [  2000   2001]
     ...
     [997000 997001]
     [998000 998001]
     [999000 999001]]
    """
    wanted = ranges(selection, array.shape)
    size = int(np.prod(wanted.shape, dtype=object))
    is_short = size <= MAX_PRINTED_ELEMENTS
    axes = [list(axis if is_short else _ends(axis)) for axis in wanted.axes]
    values = on_host(array, array.oindex[tuple(axes)] if axes else array[...])
    values = values.reshape([n for i, n in enumerate(values.shape) if i not in wanted.squeeze])
    if not is_short and not values.size <= 1:
        options: dict[str, Any] = {"threshold": 1, "edgeitems": EDGE_ITEMS}
    else:
        options = {"threshold": MAX_PRINTED_ELEMENTS}
    if not values.ndim:
        return str(values[()])
    return np.array2string(values, max_line_width=width, separator=" ", **options)


def on_host(array: Array, values: Any) -> np.ndarray:
    """What was read of an array as an array of NumPy."""
    return array.device.download(values) if array.device.gpu else np.asarray(values)


def _ends(axis: Any) -> list[int]:
    """Indices at both ends of an axis, and one between them where some are left out."""
    if len(axis) <= 2 * EDGE_ITEMS:
        return list(axis)
    return [*axis[:EDGE_ITEMS], axis[EDGE_ITEMS], *axis[-EDGE_ITEMS:]]
