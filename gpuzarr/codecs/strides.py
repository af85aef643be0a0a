"""Strides, in elements, of chunks whose elements are in another order, or that are given another shape."""

from __future__ import annotations

from math import prod


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a chunk of this shape in C order."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def reshaped(strides: tuple[int, ...], shape: tuple[int, ...], to: tuple[int, ...]) -> tuple[int, ...] | None:
    """The strides with which memory of `shape` and `strides` has the shape `to`, its elements in the same C order.

    Axes of length 1 may come and go; any other change needs elements that lie in C order. None where there are no such
    strides.

    >>> reshaped((6, 1), (4, 6), (2, 2, 3, 2))
    (12, 6, 2, 1)
    >>> reshaped((1, 4), (4, 6), (4, 1, 6))
    (1, 0, 4)
    """
    long = [(size, step) for size, step in zip(shape, strides, strict=True) if size != 1]
    if [step for _, step in long] == [step for size, step in zip(shape, contiguous(shape), strict=True) if size != 1]:
        return contiguous(to)
    if [size for size, _ in long] != [size for size in to if size != 1]:
        return None
    steps = iter(step for _, step in long)
    return tuple(0 if size == 1 else next(steps) for size in to)
