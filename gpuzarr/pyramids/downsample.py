"""Make arrays smaller: one element of the elements of each window, with the same values on every device."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index
from sys import byteorder
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.cpu import downsample as on_cpu
from gpuzarr.cpu import turning
from gpuzarr.cpu.elements import part
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.dtypes.windows import MAX, MEAN, MEDIAN, MIN, MODE, Windows, kind_of
from gpuzarr.errors import ArgumentError

METHODS = ("mean", "mode", "nearest", "max", "min", "median")
MAX_WINDOW_ELEMENTS = 2**31 - 1
_PIECE_BYTES = 1 << 18  # that a thread copies at once
_MADE = {"mean": MEAN, "mode": MODE, "max": MAX, "min": MIN, "median": MEDIAN}


def downsample(values: Any, factors: Sequence[int], method: str, device: Device, background: Any = None) -> Any:
    """Make one element of each window of `factors` elements.

    Windows begin at multiples of the factors; those at the end of an axis have what is left. The values are those of
    `tensorstore.downsample` (0.1), the same bits on every device:

    - "mean": integers are rounded to the nearest, of two as near to the even one, without overflow. Elements of bool
      are 0 and 1. Floats are added in C order, beginning with 0, as they are (float16 and bfloat16 as float32), and the
      sum is divided. It is NaN where a NaN is, or an infinite sum means nothing. Complex numbers have means, too.
    - "mode": the most frequent element; of several the least. -0.0 is 0.0.
    - "nearest": the first element. It is all that there is for elements that are no numbers, such as records.
    - "max", "min": with -0.0 less than 0.0.
    - "median": the element in the middle when they are sorted; of two in the middle the lesser.

    NaNs are no numbers to the last five: they count only where a window has nothing else. (What TensorStore makes of
    them in a mode or a median depends on their places, and its max of NaNs alone is -inf.) A NaN that was computed is
    the positive quiet one without payload.

    Parameters: `values`, an array of the device, of any strides. `factors`: one for each axis, 1 or more.
    `background`: modes ignore this value unless a window has no other. Returns a new array of the device in C order,
    with the dtype of `values`, and of each axis the length divided by the factor, rounded up.

    Raises ArgumentError for factors, methods and backgrounds that mean nothing, and for dtypes that a method does not
    take.

    >>> from gpuzarr.devices.cpu import CPU
    >>> downsample(np.array([[1, 2, 7], [2, 4, 8]], np.uint8), (2, 2), "mean", CPU)
    array([[2, 8]], dtype=uint8)
    >>> downsample(np.array([0, 0, 0, 5, 0, 0]), [4], "mode", CPU, background=0)
    array([5, 0])
    """
    factors = _factors(factors, values.shape)
    if method not in METHODS:
        raise ArgumentError(f"method: {shown(method)} is none of {', '.join(METHODS)}")
    if background is not None and method != "mode":
        raise ArgumentError(f"background: it is for the method 'mode', not for {method!r}")
    dtype, (number, parts) = values.dtype, part(values.dtype)
    shape = tuple([-(-length // factor) for length, factor in zip(values.shape, factors, strict=True)])
    if method == "nearest":
        made = device.array(shape, dtype)
        if made.size:
            _choose(values[tuple([slice(None, None, factor) for factor in factors])], made, device)
        return made
    if (kind := kind_of(number)) is None or (parts > 1 and method != "mean"):
        raise ArgumentError(f"method: {method!r} takes no elements of {dtype}; 'nearest' does")
    ignored = None if background is None else _bits(background, number)
    made = device.array(shape, dtype.newbyteorder("="))
    if made.size:
        source = _numbers(values, number, parts, device)
        target = _numbers(made, number.newbyteorder("="), parts, device)
        windows = Windows(_MADE[method], kind, source.shape, (*factors, *([1] * (parts > 1))), ignored)
        if device.gpu:  # where the CPU does it until there is a kernel
            on_host = device.download(target)
            on_cpu.make(device.download(source), on_host, windows, CPU)
            target[...] = device.upload(on_host)
        else:
            on_cpu.make(source, target, windows, device)
    return made if made.dtype == dtype else made.astype(dtype)


def _factors(factors: Sequence[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The factors, none of them larger than the array."""
    try:
        found = tuple([index(factor) for factor in factors])
    except TypeError:
        found = ()
    if len(found) != len(shape) or any(factor < 1 for factor in found):
        raise ArgumentError(f"factors: {shown(factors)} are not {len(shape)} integers of 1 or more, one for each axis")
    found = tuple([min(factor, max(length, 1)) for factor, length in zip(found, shape, strict=True)])
    if prod(found) > MAX_WINDOW_ELEMENTS:
        raise ArgumentError(f"factors: windows of {found} have more than {MAX_WINDOW_ELEMENTS} elements")
    return found


def _bits(background: Any, dtype: np.dtype[Any]) -> int | None:
    """The bits of an element; None for NaN, which modes ignore anyway. ArgumentError for what is no value of it."""
    try:
        with np.errstate(all="ignore"):
            value = np.array(background)
            made = value.astype(dtype.newbyteorder("="))
            is_exact = value.ndim == 0 and bool(made == value)
    except (TypeError, ValueError, OverflowError):
        is_exact = False
    if is_exact:
        return int.from_bytes(made.tobytes(), byteorder)
    if background != background:
        return None
    raise ArgumentError(f"background: {shown(background)} is no value of {dtype}")


def _numbers(values: Any, number: np.dtype[Any], parts: int, device: Device) -> Any:
    """The numbers that are an array's elements, aligned and in native byte order, with an axis for several parts."""
    if parts > 1:
        values = device.xp.ascontiguousarray(values)[..., None].view(number)
    if not number.isnative:
        return values.astype(number.newbyteorder("="))
    if any(stride % number.itemsize for stride in values.strides) or not getattr(values.flags, "aligned", True):
        return device.xp.ascontiguousarray(values)
    return values


def _choose(elements: Any, made: Any, device: Any) -> None:
    """Copy a view of an array to a new one: on a CPU in pieces along the longest axis."""
    if device.gpu:
        made[...] = elements
        return
    axis = max(range(made.ndim), key=lambda axis: made.shape[axis], default=None)
    if axis is None:
        made[...] = elements
        return
    each = max(1, made.shape[axis] * _PIECE_BYTES // made.nbytes)

    def copy(begin: int) -> None:
        where = (*[slice(None)] * axis, slice(begin, begin + each))
        turning.copy(made[where], elements[where])

    device.each(copy, range(0, made.shape[axis], each))
