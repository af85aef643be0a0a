"""All levels of an image in one pass: what is written to the finest level is reduced while it is there.

    level 0: store the box -> whole cells of it -> downsample -> level 1: whole cells -> store, downsample -> level 2 ...

A box of level 0 goes to the store at once. The elements of the next level that its whole windows make are stored when
their chunk is complete; shards are filled chunk by chunk, in files that nobody sees (`write/open_shards.py`). So each
chunk of each level is encoded once, and nothing is read back. At the end, and where too much waits, cells that are not
complete are: what was written of them is stored, and the rest of their windows is read from the level's array. So after
`close` each element of a level is that of the level below it, reduced, wherever something was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from math import lcm
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.indexing.flip import flipped
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.nodes.array import Array
from gpuzarr.pyramids.cells import Cell, Cells, within
from gpuzarr.write.coverage import Bounds, common, volume
from gpuzarr.write.journal import Completed
from gpuzarr.write.merge import bounds_of
from gpuzarr.write.open_shards import OpenShards

Reduce = Callable[[Any, tuple[int, ...]], Any]  # values of whole windows, and the shape of a window
MIN_PIECE_BYTES = 16 << 20  # of a level that are reduced at once


class Cascade:
    """Writes boxes to all levels of an image; on one thread at a time.

    `factors[i]`: the shape of the windows of level i. `limit`: bytes that each write may hold; `max_bytes`: those of
    cells that wait. `completed`: who notes what is done of each level, if anybody does.
    """

    def __init__(
        self,
        levels: Sequence[Array],
        factors: Sequence[tuple[int, ...]],
        reduce: Reduce,
        limit: int,
        max_bytes: int,
        completed: Callable[[int, OpenShards], Completed] | None = None,
    ) -> None:
        self._levels, self._factors, self._reduce = tuple(levels), tuple(factors), reduce
        self._limit, self._max_bytes = limit, max_bytes
        self.device: Device = levels[0].device
        self._open_shards = [OpenShards() for _ in levels]
        windows = [*factors, (1,) * levels[0].ndim]
        self._shapes = [cell_shape(level.layout, window) for level, window in zip(levels, windows, strict=True)]
        self._cells = [
            Cells(level.shape, cell, level.dtype, self.device) for level, cell in zip(levels, self._shapes, strict=True)
        ]
        self._completed = [completed(i, one) for i, one in enumerate(self._open_shards)] if completed else []

    def write(self, selection: Outer | Points, values: Any) -> None:
        """Write a box of level 0, and all that it makes complete of the others."""
        bounds = bounds_of(selection)
        assert bounds is not None
        mark = self.device.timestamp()
        with self.device.after(mark):
            values = flipped(selection, self.device.xp.broadcast_to(values, selection.shape))
            values = values.astype(self._levels[0].dtype, copy=False)
            self._store(0, bounds, values)
            self.reduce(0, bounds, values)

    def reduce(self, level: int, bounds: Bounds, values: Any) -> None:
        """Take a box of a level that is in the store, or on its way there, for the levels above it."""
        if level == len(self._factors):
            return
        for piece in self._pieces(level, bounds):
            for box, complete in self._cells[level].add(piece, values[within(piece, bounds)]):
                self._reduce_cells(level, box, complete)
        self._bound()

    def close(self) -> None:
        """Complete what is not complete, and close all shards. The cascade can be used again."""
        with self.device.on(), self.device.after():
            for level in range(len(self._levels)):
                self._complete(level, self._cells[level].take())
        for shards in self._open_shards:
            shards.close()
        for completed in self._completed:
            completed.save()

    def abort(self) -> None:
        """Leave nothing of what is not in the store."""
        for cells in self._cells:
            cells.take()
        for shards in self._open_shards:
            shards.abort()

    def _reduce_cells(self, level: int, bounds: Bounds, values: Any) -> None:
        """Reduce whole windows, and write what that makes of the next level."""
        reduced = reduced_bounds(bounds, self._factors[level])
        self._add(level + 1, reduced, self._reduce(values, self._factors[level]))

    def _add(self, level: int, bounds: Bounds, values: Any) -> None:
        """Take elements of a level above the finest: whole cells are stored and reduced."""
        for box, complete in self._cells[level].add(bounds, values):
            self._store(level, box, complete)
            if level < len(self._factors):
                self._reduce_cells(level, box, complete)

    def _store(self, level: int, bounds: Bounds, values: Any) -> None:
        selection = Outer(tuple(range(a, b) for a, b in bounds))
        self._levels[level].write_values(selection, values, self._limit, self._open_shards[level])
        if self._completed:
            self._completed[level].wrote(bounds)

    def _bound(self) -> None:
        """Complete the oldest cells, of the finest levels first, where more than `max_bytes` wait."""
        for level, cells in enumerate(self._cells):
            while sum(one.nbytes for one in self._cells) > self._max_bytes and cells.nbytes:
                self._complete(level, [cells.take_oldest()])

    def _complete(self, level: int, cells: list[Cell]) -> None:
        """Store what is there of cells, unless it is, and reduce the windows of which something was written."""
        if level > 0:
            for cell in cells:
                for box in cell.coverage.boxes:
                    self._store(level, box, cell.part(box))
        if level == len(self._factors):
            return
        for cell in cells:
            for box in cell.coverage.boxes:
                windows = whole_windows(box, self._factors[level], cell.bounds)
                values = cell.part(box) if windows == box else self._read(level, windows)
                self._reduce_cells(level, windows, values)

    def _read(self, level: int, bounds: Bounds) -> Any:
        """The elements of a box of a level as they are in the store, with what is in shards that are open."""
        self._open_shards[level].close()
        return self._levels[level][tuple(slice(a, b) for a, b in bounds)]

    def _pieces(self, level: int, bounds: Bounds) -> Iterator[Bounds]:
        """Cut a box between cells, so that little more than itself is in memory while it is reduced."""
        most = max(MIN_PIECE_BYTES, self._max_bytes // 8) // self._levels[level].dtype.itemsize
        return cut(bounds, self._shapes[level], most)


def cell_shape(layout: Layout, window: Sequence[int]) -> tuple[int, ...]:
    """The shape of cells: whole chunks and whole windows, as few as there can be."""
    return tuple(lcm(n, f) for n, f in zip(layout.first_chunk_shape, window, strict=True))


def reduced_bounds(bounds: Bounds, window: Sequence[int]) -> Bounds:
    """The elements of the next level that windows become."""
    return tuple((a // f, -(-b // f)) for (a, b), f in zip(bounds, window, strict=True))


def whole_windows(bounds: Bounds, window: Sequence[int], outer: Bounds) -> Bounds:
    """The least box of whole windows around a box, within a cell."""
    grown = tuple((a // f * f, -(-b // f) * f) for (a, b), f in zip(bounds, window, strict=True))
    found = common(grown, outer)
    assert found is not None
    return found


def cut(bounds: Bounds, cell: Sequence[int], most: int) -> Iterator[Bounds]:
    """Cut a box into boxes of about `most` elements, between cells; at the first axes first."""
    if volume(bounds) <= most:
        yield bounds
        return
    spans = []
    left = -(-volume(bounds) // most)
    for (a, b), n in zip(bounds, cell, strict=True):
        cells = (b - 1) // n - a // n + 1
        parts = min(cells, left)
        step = -(-cells // parts) * n
        edges = [a, *range((a // n) * n + step, b, step), b]
        spans.append(list(pairwise(edges)))
        left = -(-left // parts)
    yield from product(*spans)
