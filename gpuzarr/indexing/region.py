"""The chunks that a selection touches, each by itself, in Python's own numbers. Pure arithmetic.

`indexing.grid` makes blocks of chunks that are read alike, and arrays of their numbers: of a region anywhere that is a
block a chunk, and of so few numbers arrays take more time than they save. So do classes: a `Chunk` is a tuple.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any

from gpuzarr.indexing.grid import Part
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis, RegularAxis

# Coordinates of the object that has the chunk, and the number of the chunk there in C order; the slices of the chunk
# that are wanted, and where they go in the result (None and a part of one chunk, where these are no slices); the first
# element of the chunk that is wanted (in C order), and the last.
Chunk = tuple[tuple[int, ...], int, tuple[slice, ...] | None, Any, int, int]
Run = tuple[int, int, int]  # along one axis: elements of a chunk; the first element wanted, and the one behind the last
_Part = tuple[int, int, slice, slice, int, int]  # a Chunk along one axis


def runs(selection: Outer | Points, axes: Sequence[Axis]) -> list[Run] | None:
    """The selection as a region: a run of elements along each axis, of equal chunks. None where it is none."""
    if isinstance(selection, Points) or not axes:
        return None
    found = []
    for axis, index in zip(axes, selection.axes, strict=True):
        if not isinstance(index, range) or index.step != 1 or not index or not isinstance(axis, RegularAxis):
            return None
        found.append((axis.size, index.start, index.stop))
    return found


def count(region: Sequence[Run]) -> int:
    """Chunks that a region touches."""
    return prod([(stop - 1) // size - start // size + 1 for size, start, stop in region])


def of_region(region: Sequence[Run], per_object: Sequence[int]) -> Iterator[Chunk]:
    """The chunks of a region. `per_object`: chunks of an object, along each axis."""
    found: list[Any] = [((), 0, (), (), 0, 0)]
    last = len(region) - 1
    for axis, ((size, start, stop), each) in enumerate(zip(region, per_object, strict=True)):
        parts = _parts(size, start, stop, each)
        longer = (
            ((*of, o), number * each + n, (*inside, i), (*outside, p), first * size + a, end * size + b)
            for of, number, inside, outside, first, end in found
            for o, n, i, p, a, b in parts
        )
        found = longer if axis == last else list(longer)  # type: ignore[assignment]
    yield from found


def of_parts(parts: Iterable[Part], per_object: Sequence[int]) -> Iterator[Chunk]:
    """The chunks of the parts of any selection."""
    for part in parts:
        for one in part.split(1):
            of, number = [], 0
            for at, each in zip(one.coords[0].tolist(), per_object, strict=True):
                of.append(at // each)
                number = number * each + at % each
            yield tuple(of), number, None, one, *one.span


def _parts(size: int, start: int, stop: int, count: int) -> list[_Part]:
    """The chunks of one axis that have some of the elements `start` to `stop`."""
    found = []
    for number in range(start // size, (stop - 1) // size + 1):
        begin = number * size
        first, last = max(start, begin), min(stop, begin + size)
        inside, outside = slice(first - begin, last - begin), slice(first - start, last - start)
        found.append((number // count, number % count, inside, outside, first - begin, last - 1 - begin))
    return found
