"""The few chunks that a small region touches, each by itself, in Python's own numbers. Pure arithmetic.

`indexing.grid` makes boxes of chunks that are read alike, and arrays of their numbers: of a region anywhere that is a
box a chunk, and of so few numbers arrays take more time than they save. So do classes: a `Cell` is a tuple.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis, RegularAxis

# The coordinates of the object (file) that has the chunk, and its number there in C order; what is wanted of it, and
# where that goes in the result; the first of its elements that is wanted (in C order), and the last.
Cell = tuple[tuple[int, ...], int, tuple[slice, ...], tuple[slice, ...], int, int]
_Part = tuple[int, int, slice, slice, int, int]  # the same along one axis


def cells(selection: Outer | Points, axes: Sequence[Axis], per_object: Sequence[int], most: int) -> list[Cell] | None:
    """The chunks of a region (a range of step 1 along each axis, of equal chunks), if they are 1 to `most`.

    `per_object`: chunks of an object, along each axis.
    """
    if isinstance(selection, Points) or not axes:
        return None
    runs = []
    for axis, index in zip(axes, selection.axes, strict=True):
        if not isinstance(index, range) or index.step != 1 or not index or not isinstance(axis, RegularAxis):
            return None
        runs.append((axis.size, index.start, index.stop))
    if prod([(stop - 1) // size - start // size + 1 for size, start, stop in runs]) > most:
        return None
    found: list[Cell] = [((), 0, (), (), 0, 0)]
    for (size, start, stop), count in zip(runs, per_object, strict=True):
        parts = _parts(size, start, stop, count)
        found = [
            ((*of, o), number * count + n, (*inside, i), (*outside, p), first * size + a, last * size + b)
            for of, number, inside, outside, first, last in found
            for o, n, i, p, a, b in parts
        ]
    return found


def _parts(size: int, start: int, stop: int, count: int) -> list[_Part]:
    """The chunks of one axis that have some of the elements `start` to `stop`."""
    found = []
    for number in range(start // size, (stop - 1) // size + 1):
        begin = number * size
        first, last = max(start, begin), min(stop, begin + size)
        inside, outside = slice(first - begin, last - begin), slice(first - start, last - start)
        found.append((number // count, number % count, inside, outside, first - begin, last - 1 - begin))
    return found
