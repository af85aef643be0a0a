"""Chunks that a selection touches, one by one, in Python ints. Pure arithmetic.

`indexing.grid` makes blocks of chunks and arrays of their numbers. A small region has about as many blocks as chunks,
and for so few numbers arrays and classes cost more time than they save: so a `Chunk` here is a tuple of Python ints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from gpuzarr.indexing.axis import AxisRun
from gpuzarr.indexing.blocks import ChunkBlock
from gpuzarr.indexing.boxes import ChunkBoxes, ReadPart, strides_of
from gpuzarr.indexing.points import ChunkPoints
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis, RegularAxis

# Coordinates of the object that holds the chunk; number of the chunk in it, in C order; index of the wanted part of the
# chunk and index of its place in the result, as slices (None and a part of one chunk, where one slice cannot say it);
# first and last wanted element of the chunk, numbered in C order.
Chunk = tuple[tuple[int, ...], int, tuple[slice, ...] | None, Any, int, int]
LISTED_CHUNKS = 256  # of a table, whose numbers become Python ints at once
Run = tuple[int, int, int]  # along one axis: elements of a chunk, first wanted element, one after the last
_Part = tuple[int, int, Any, Any, int, int]  # a Chunk along one axis


def runs(selection: Outer | Points, axes: Sequence[Axis]) -> list[Run] | None:
    """The selection as a region: a run of elements along each axis of equal chunks. None where it is not one."""
    if isinstance(selection, Points) or not axes:
        return None
    found = []
    for axis, index in zip(axes, selection.axes, strict=True):
        if not isinstance(index, range) or index.step != 1 or not index or not isinstance(axis, RegularAxis):
            return None
        found.append((axis.size, index.start, index.stop))
    return found


def count(region: Sequence[Run]) -> int:
    """Number of chunks that a region touches."""
    return prod([(stop - 1) // size - start // size + 1 for size, start, stop in region])


def of_region(region: Sequence[Run], per_object: Sequence[int]) -> Iterator[Chunk]:
    """Chunks of a region. `per_object`: chunks of an object along each axis."""
    axes = zip(region, per_object, strict=True)
    return _product([(size, count, _parts(size, start, stop, count)) for (size, start, stop), count in axes])


def of_parts(parts: Iterable[ReadPart], per_object: Sequence[int]) -> Iterator[Chunk]:
    """Chunks of the parts (`indexing.grid`) of any selection. `per_object`: chunks of an object along each axis."""
    for part in parts:
        if isinstance(part, ChunkBoxes):
            yield from _of_boxes(part, per_object)
        elif isinstance(part, ChunkBlock):
            yield from _of_block(part, per_object)
        else:
            yield from _of_points(part, per_object)


def _product(axes: Sequence[tuple[int, int, Sequence[_Part]]]) -> Iterator[Chunk]:
    """The product of chunks along each axis, of which it has the elements of a chunk and the chunks of an object."""
    found: list[Any] = [((), 0, (), (), 0, 0)]
    for axis, (size, count, parts) in enumerate(axes, 1):
        longer = (
            ((*of, o), number * count + n, (*inside, i), (*outside, p), first * size + a, end * size + b)
            for of, number, inside, outside, first, end in found
            for o, n, i, p, a, b in parts
        )
        found = longer if axis == len(axes) else list(longer)  # type: ignore[assignment]
    yield from found


def _of_block(block: ChunkBlock, per_object: Sequence[int]) -> Iterator[Chunk]:
    axes = [(run.size, count, _of_run(run, count)) for run, count in zip(block.runs, per_object, strict=True)]
    if block.sliced and axes:
        yield from _product(axes)
        return
    runs = [[run.part(i, i + 1) for i in range(run.count)] for run in block.runs]
    for (of, number, _, _, first, last), one in zip(_product(axes), product(*runs), strict=True):
        yield of, number, None, ChunkBlock(one), first, last


def _of_run(run: AxisRun, count: int) -> list[_Part]:
    inside, each = run.inside, run.each
    ends = (inside.start, inside.stop - 1) if isinstance(inside, slice) else (int(inside.min()), int(inside.max()))
    if not isinstance(run.outside, slice):
        return [(run.first // count, run.first % count, inside, run.outside, *ends)]
    start = run.outside.start
    places = [slice(at, at + each) for at in range(start, start + run.count * each, each)]
    return [(n // count, n % count, inside, place, *ends) for n, place in enumerate(places, run.first)]


def _of_points(points: ChunkPoints, per_object: Sequence[int]) -> Iterator[Chunk]:
    for one in points.split(1):
        of, number = [], 0
        for at, count in zip(one.coords[0].tolist(), per_object, strict=True):
            of.append(at // count)
            number = number * count + at % count
        yield tuple(of), number, None, one, *one.span


def _parts(size: int, start: int, stop: int, count: int) -> list[_Part]:
    """Chunks of one axis that hold some of the elements `start` to `stop - 1`."""
    found = []
    for number in range(start // size, (stop - 1) // size + 1):
        begin = number * size
        first, last = max(start, begin), min(stop, begin + size)
        inside, outside = slice(first - begin, last - begin), slice(first - start, last - start)
        found.append((number // count, number % count, inside, outside, first - begin, last - 1 - begin))
    return found


def _of_boxes(boxes: ChunkBoxes, per_object: Sequence[int]) -> Iterator[Chunk]:
    """Chunks of a table of boxes: its arrays become Python ints for many chunks at once."""
    of, within = np.divmod(boxes.coords, np.array(per_object, np.int64))
    columns = (of, within @ strides_of(per_object), *boxes.spans)
    for first in range(0, len(boxes), LISTED_CHUNKS):
        some = slice(first, first + LISTED_CHUNKS)
        rows = zip(*(column[some].tolist() for column in columns), strict=True)
        for one, (holder, number, begin, end) in zip(boxes.each_of(some), rows, strict=True):
            yield tuple(holder), number, None, one, begin, end
