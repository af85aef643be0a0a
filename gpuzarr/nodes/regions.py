"""Divide an array among workers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import prod

from gpuzarr.checks import number as checked
from gpuzarr.errors import NoMemoryError
from gpuzarr.indexing.layout import Layout
from gpuzarr.metadata import Axis, RectilinearAxis

MAX_REGIONS = 1 << 17  # of one worker
Shape = tuple[int, ...]


def regions(axes: Sequence[Axis], rank: int, world_size: int) -> list[tuple[slice, ...]]:
    """The regions of worker `rank`: runs of whole units along the last axis; all workers have about equally many.

    `axes`: a grid whose chunks are the units.
    """
    world_size = checked(world_size, "world_size", 1)
    rank = checked(rank, "rank", 0, world_size - 1)
    counts = tuple(axis.count for axis in axes)
    total = prod(counts)
    first, last = rank * total // world_size, (rank + 1) * total // world_size
    if not counts:
        return [()] if first < last else []
    found = []
    row = counts[-1]
    if (lines := -(-last // row) - first // row if first < last else 0) > MAX_REGIONS:
        raise NoMemoryError(f"{lines} regions of worker {rank} of {world_size} are too many for a list")
    for line in range(first // row, -(-last // row)) if first < last else ():
        start, stop = max(first - line * row, 0), min(last - line * row, row)
        place = _coords(line, counts[:-1])
        spans = [(i, i + 1) for i in place] + [(start, stop)]
        found.append(tuple(slice(*_edges(axis, a, b)) for axis, (a, b) in zip(axes, spans, strict=True)))
    return found


def parts(plan: Layout, region: tuple[slice, ...], most: int) -> Iterator[tuple[slice, ...]]:
    """A region of whole units, cut along the last axis: whole units, of at most `most` elements if not one unit."""
    if not region:
        yield region
        return
    *lines, last = region
    axis = plan.outer.axes[-1]
    width = max(most // max(prod(each.stop - each.start for each in lines), 1), 1)
    start = last.start
    while start < last.stop:
        stop = min(max(_edge_before(axis, start + width), _edge_after(axis, start)), last.stop)
        yield (*lines, slice(start, stop))
        start = stop


def _edge_before(axis: Axis, index: int) -> int:
    """The last index at which a unit begins that is not greater than `index`."""
    if isinstance(axis, RectilinearAxis):
        return axis.edges[bisect_right(axis.edges, index) - 1]
    return index // axis.size * axis.size


def _edge_after(axis: Axis, index: int) -> int:
    """The end of the unit that has an index."""
    if isinstance(axis, RectilinearAxis):
        return axis.edges[bisect_right(axis.edges, index)]
    return (index // axis.size + 1) * axis.size


def _coords(number: int, counts: Shape) -> Shape:
    """The coordinates of a unit by its number in C order. Python ints: there may be more units than an int64 counts."""
    found: list[int] = []
    for count in reversed(counts):
        number, place = divmod(number, count)
        found.append(place)
    return tuple(reversed(found))


def _edges(axis: Axis, first: int, last: int) -> tuple[int, int]:
    """The indices at which units `first` to `last - 1` begin and end."""
    if isinstance(axis, RectilinearAxis):
        return axis.edges[first], min(axis.edges[last], axis.length)
    return first * axis.size, min(last * axis.size, axis.length)
