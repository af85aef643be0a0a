"""A picture of an array: a plane of it, in steps so that it fits, read and coloured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np

from gpuzarr.checks import number, one_of, shown
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.given import array_given
from gpuzarr.tools.picture_colours import greys, label_colours, numbers, window_of
from gpuzarr.tools.show_selection import ranges
from gpuzarr.tools.show_text import on_host

MAX_SIZE = 1 << 14  # of a picture, along each axis
FIRST_OF = frozenset(("c", "channel", "channels", "t", "time"))  # axes of which the first index is shown
COLOUR_AXES = frozenset(("none", "c", "channel", "channels", "rgb", "rgba", "s", "sample", "samples", "band"))
COLOURS = ("auto", "grey", "labels", "rgb")


@dataclass(frozen=True)
class Picture:
    """A picture of a plane of an array.

    Attributes
    ----------
    pixels
        uint8 (height, width, 3), or 4 with alpha.
    plane
        What was read of the array: an int or a slice for each axis.
    window
        The values that are black and white; None where colours mean something else.
    """

    pixels: np.ndarray = field(repr=False)
    plane: tuple[int | slice, ...]
    window: tuple[float, float] | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


def picture(
    array: Array,
    selection: Any = ...,
    *,
    size: int | tuple[int, int] = 512,
    window: tuple[float, float] | None = None,
    colours: Literal["auto", "grey", "labels", "rgb"] = "auto",
    names: Sequence[str | None] | None = None,
) -> Picture:
    """A picture of a plane of an array.

    Only elements of that plane are read, each pixel is one of them, and of a large plane only every n-th element along
    both axes.

    Parameters
    ----------
    array
        An array of numbers, bools or dates.
    selection
        Ints and slices. Of what it leaves, the last two axes are height and width. The axis behind them has colours,
        and alpha, if it has 3 or 4 elements of uint8, and no name or one such as "c". Of each axis before them the
        middle is shown; of axes with names such as "c" and "time", the first index.
    size
        The most pixels along both axes, or the most of (height, width).
    window
        The values that are black and white. Default: the 0.1 and 99.9 percentiles of the elements that are shown.
    colours
        "grey"; "labels": a colour for each integer, which depends on it alone, and black for 0; "rgb": the last axis
        has the colours. "auto" (default): "rgb" where there is such an axis, else "grey".
    names
        The names of the axes. Default: those that the array has.

    Returns
    -------
    Picture

    Raises
    ------
    ArgumentError
        Nothing is left but one axis, there are no elements, elements have no colours, or an argument is wrong.
    SelectionError, ChunkError, StoreError, NoMemoryError, DeviceError
        As for `Array.get`.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(24, dtype="int16").reshape(2, 3, 4))
    >>> found = gpuzarr.tools.picture(a, window=(0, 255))
    >>> found.plane, found.pixels[..., 0].tolist()
    ((1, slice(0, 3, 1), slice(0, 4, 1)), [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]])
    """
    array_given(array, "picture: array")
    one_of(colours, "colours", *COLOURS)
    limits = _limits(size)
    plane, is_rgb = _plane(array, selection, limits, colours, _names(array, names))
    values = on_host(array, array[plane])
    pixels, window = _coloured(values, window, "rgb" if is_rgb else colours)
    return Picture(pixels, plane, window)


def fits(array: Array, size: int | tuple[int, int], names: Sequence[str | None] | None = None) -> bool:
    """Whether a picture of a plane of the array shows all of its elements. `names`: as for `picture`."""
    limits = _limits(size)
    axes = [range(length) for length in array.shape]
    shown_axes = axes[-3:-1] if _has_colours(array, axes, "auto", _names(array, names)[-1:]) else axes[-2:]
    return all(len(axis) <= limit for axis, limit in zip(shown_axes, limits, strict=False))


def _names(array: Array, names: Sequence[str | None] | None) -> Sequence[str | None]:
    return names or array.dimension_names or (None,) * array.ndim


def _limits(size: Any) -> tuple[int, int]:
    given = size if isinstance(size, tuple | list) and len(size) == 2 else (size, size)
    height, width = (number(one, "size", 1, MAX_SIZE) for one in given)
    return height, width


def _plane(
    array: Array, selection: Any, limits: tuple[int, int], colours: str, names: Sequence[str | None]
) -> tuple[tuple[int | slice, ...], bool]:
    """What is read: an int or a slice for each axis, and whether the last axis has colours."""
    wanted = ranges(selection, array.shape)
    left = [i for i in range(array.ndim) if i not in wanted.squeeze]
    is_rgb = _has_colours(array, [wanted.axes[i] for i in left], colours, names[-1:]) and array.ndim - 1 in left
    behind = left[-1:] if is_rgb else []
    drawn = left[-2 - len(behind) : len(left) - len(behind)]
    if len(drawn) < 2:
        raise ArgumentError(f"a picture needs two axes, and {shown(selection)} of {array!r} leaves {len(left)}")
    if not all(len(axis) for axis in wanted.axes):
        raise ArgumentError(f"there is no picture of no elements, which {shown(selection)} of {array!r} selects")
    step = max(-(-len(wanted.axes[i]) // limit) for i, limit in zip(drawn, limits, strict=True))
    plane: list[int | slice] = []
    for i, axis in enumerate(cast(tuple[range, ...], wanted.axes)):
        if i in drawn or i in behind:
            plane.append(_slice(axis[:: step if i in drawn else 1]))
        else:
            plane.append(axis[0] if str(names[i]).lower() in FIRST_OF else axis[len(axis) // 2])
    return tuple(plane), is_rgb


def _has_colours(array: Array, axes: Sequence[Any], colours: str, name: Sequence[str | None]) -> bool:
    """Whether the last axis, of this name, has the colours of a pixel."""
    found = len(axes) > 2 and len(axes[-1]) in (3, 4) and array.dtype == np.uint8
    if colours == "rgb" and not found:
        raise ArgumentError(f"{array!r} has no last axis of 3 or 4 elements of uint8, which colours='rgb' needs")
    is_named = all(str(each).lower() in COLOUR_AXES for each in name)
    return found and (colours == "rgb" or (colours == "auto" and is_named))


def _coloured(
    values: np.ndarray, window: tuple[float, float] | None, colours: str
) -> tuple[np.ndarray, tuple[float, float] | None]:
    if colours == "rgb":
        return np.ascontiguousarray(values), None
    if colours == "labels":
        if values.dtype.kind not in "biu":
            raise ArgumentError(f"labels are integers, not {values.dtype}")
        return label_colours(values), None
    plain = numbers(values)
    ends = (0.0, 1.0) if plain.dtype.kind == "b" and window is None else _window(window) or window_of(plain)
    return greys(plain, ends), ends


def _window(given: Any) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        first, second = (float(end) for end in given)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"window is a pair of numbers, not {shown(given)}") from error
    if not np.isfinite([first, second]).all() or first > second:
        raise ArgumentError(f"window is two finite numbers, the first not more than the second, not {shown(given)}")
    return first, second


def _slice(axis: range) -> slice:
    """The slice that selects what is in a range of indices."""
    stop = axis.stop if axis.step > 0 or axis.stop >= 0 else None
    return slice(axis.start, stop, axis.step)
