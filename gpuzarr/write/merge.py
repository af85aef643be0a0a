"""Regions of a writer that wait for their neighbours, so that a chunk is written once, when it is full.

A region that covers chunks in part would make each of them be read, changed and written, and the next region again. So
it waits, and grows together with those that come after it: the two latest become one where they are boxes side by side,
and that one may be a neighbour of the box before. Boxes that wait never overlap, so their order does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.indexing.axis import chunk_of
from gpuzarr.indexing.flip import flipped
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis, RectilinearAxis
from gpuzarr.write.coverage import Bounds, common, joined, volume
from gpuzarr.write.thresholds import MAX_WAITING_REGIONS


@dataclass(frozen=True)
class Region:
    """A box of the array and the values that fill it: each with its own bounds, all axes, running forward."""

    bounds: Bounds
    pieces: tuple[tuple[Bounds, Any], ...]

    @property
    def size(self) -> int:
        return volume(self.bounds)

    @property
    def place(self) -> Outer:
        return Outer(tuple(range(a, b) for a, b in self.bounds))

    def overlaps(self, other: Region) -> bool:
        return common(self.bounds, other.bounds) is not None

    def merged(self, other: Region) -> Region | None:
        """Both as one box; None where they do not lie side by side."""
        both = joined(self.bounds, other.bounds)
        return None if both is None else Region(both, self.pieces + other.pieces)

    def values(self, empty: Callable[[tuple[int, ...]], Any]) -> Any:
        """The values of all the box; `empty(shape)` makes the memory."""
        if len(self.pieces) == 1:
            return self.pieces[0][1]
        made = empty(tuple(b - a for a, b in self.bounds))
        for bounds, values in self.pieces:
            inside = zip(bounds, self.bounds, strict=True)
            made[tuple(slice(a - start, b - start) for (a, b), (start, _) in inside)] = values
        return made


class MergeBuffer:
    """The boxes that wait, of at most `max_bytes` in all.

    `together`: chunks that the store writes at once. A box of fewer waits for its neighbours, though it covers chunks.
    """

    def __init__(self, layout: Layout, max_bytes: int, device: Device, together: int = 1) -> None:
        self._axes, self._dtype, self._max_bytes, self._xp = layout.axes, layout.spec.dtype, max_bytes, device.xp
        self._together = together
        self._waiting: list[Region] = []

    @property
    def nbytes(self) -> int:
        return self._dtype.itemsize * sum(region.size for region in self._waiting)

    def region(self, place: Outer | Points, values: Any) -> Region | None:
        """Make a region of a write. None for what is no box, and for strings and objects, whose bytes nobody knows."""
        bounds = bounds_of(place)
        if bounds is None or self._dtype.hasobject or self._dtype.kind == "T":
            return None
        return Region(bounds, ((bounds, flipped(place, self._xp.broadcast_to(values, place.shape))),))

    def bytes_of(self, region: Region) -> int:
        """Bytes of its copies; several pieces are copied once more when they are merged."""
        return self._dtype.itemsize * region.size * (1 if len(region.pieces) == 1 else 2)

    def values(self, region: Region) -> Any:
        """The values of a region, in memory of the current stream."""
        return region.values(lambda shape: self._xp.empty(shape, self._dtype))

    def add(self, region: Region) -> list[Region]:
        """Let a region wait. Returns the regions to be written now, in order."""
        ready = self.take() if any(region.overlaps(other) for other in self._waiting) else []
        if self._is_ready(region) or region.size * self._dtype.itemsize > self._max_bytes:
            return [*ready, region]
        self._waiting.append(region)
        while len(self._waiting) > 1 and (both := self._waiting[-2].merged(self._waiting[-1])):
            self._waiting[-2:] = [both]
        if self._is_ready(self._waiting[-1]):
            ready.append(self._waiting.pop())
        while self.nbytes > self._max_bytes or len(self._waiting) > MAX_WAITING_REGIONS:
            ready.append(self._waiting.pop(0))
        return ready

    def _is_ready(self, region: Region) -> bool:
        if not covers_chunks(region.bounds, self._axes):
            return False
        return self._together < 2 or chunks_of(region.bounds, self._axes) >= self._together

    def take(self) -> list[Region]:
        """Remove and return all regions that wait."""
        taken, self._waiting = self._waiting, []
        return taken


def bounds_of(selection: Outer | Points) -> Bounds | None:
    """The bounds of a selection along each axis; None for what is no box."""
    if isinstance(selection, Points):
        return None
    ranges = [i if i.step > 0 else i[::-1] for i in selection.axes if isinstance(i, range)]
    if len(ranges) < len(selection.axes) or any(i.step != 1 or not i for i in ranges):
        return None
    return tuple((i.start, i.stop) for i in ranges)


def covers_chunks(bounds: Bounds, axes: tuple[Axis, ...]) -> bool:
    """Tell if a box covers every chunk (up to the array's end) that it touches."""
    return all(
        _is_edge(axis, a) and (b >= axis.length or _is_edge(axis, b)) for axis, (a, b) in zip(axes, bounds, strict=True)
    )


def chunks_of(bounds: Bounds, axes: tuple[Axis, ...]) -> int:
    """The number of chunks that a box touches."""
    ends = [chunk_of(axis, np.array([a, b - 1])).tolist() for axis, (a, b) in zip(axes, bounds, strict=True)]
    return prod(last - first + 1 for first, last in ends)


def _is_edge(axis: Axis, element: int) -> bool:
    return element in axis.edges if isinstance(axis, RectilinearAxis) else element % axis.size == 0
