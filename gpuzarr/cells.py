"""The few chunks that a small region touches, each by itself, in Python's own numbers. Pure arithmetic.

`gpuzarr.grid` makes boxes of chunks that are read alike, and arrays of their numbers: of a region anywhere that is a
box a chunk, and of so few numbers arrays take more time than they save.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from gpuzarr.metadata import Axis, RegularAxis
from gpuzarr.selection import Outer, Points


class Cell(NamedTuple):
    """A chunk: what is wanted of it goes to `outside` of the result, and is within its elements `first` to `last`."""

    coords: tuple[int, ...]
    inside: tuple[slice, ...]
    outside: tuple[slice, ...]
    first: int
    last: int


def cells(selection: Outer | Points, axes: Sequence[Axis], most: int) -> list[Cell] | None:
    """The chunks of a region (a range of step 1 along each axis, of equal chunks), if they are 1 to `most`."""
    if isinstance(selection, Points) or not axes:
        return None
    runs, stride = [], 1
    for axis, index in zip(reversed(axes), reversed(selection.axes), strict=True):
        if not isinstance(index, range) or index.step != 1 or not index or not isinstance(axis, RegularAxis):
            return None
        runs.append((index.start, index.stop, axis.size, stride))
        stride *= axis.size
    if prod([(stop - 1) // size - start // size + 1 for start, stop, size, _ in runs]) > most:
        return None
    return [_cell(*zip(*row, strict=True)) for row in product(*[_run(*run) for run in reversed(runs)])]


def _cell(
    coords: tuple[int, ...],
    inside: tuple[slice, ...],
    outside: tuple[slice, ...],
    firsts: tuple[int, ...],
    lasts: tuple[int, ...],
) -> Cell:
    return Cell(coords, inside, outside, sum(firsts), sum(lasts) + 1)


def _run(start: int, stop: int, size: int, stride: int) -> list[tuple[int, slice, slice, int, int]]:
    """The chunks of one axis that have some of the elements `start` to `stop`.

    Of each its number, what is wanted, its place, and how much the first and the last of it add to an element's number.
    """
    found = []
    for number in range(start // size, (stop - 1) // size + 1):
        begin = number * size
        first, last = max(start, begin), min(stop, begin + size)
        inside, outside = slice(first - begin, last - begin), slice(first - start, last - start)
        found.append((number, inside, outside, (first - begin) * stride, (last - 1 - begin) * stride))
    return found
