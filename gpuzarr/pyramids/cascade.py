"""All levels of an image in one pass: what is written to the finest level is reduced while it is there.

    level 0: store the box -> its whole cells -> downsample -> level 1: whole cells -> store, downsample -> level 2 ...

A box of level 0 goes to the store at once. The elements of the next level that its whole windows make are stored when
their chunk is complete; shards are filled chunk by chunk, in files that nobody sees (`write/open_shards.py`). So each
chunk of each level is encoded once, and nothing is read back. At the end, and where too much waits, cells that are not
complete are: what was written of them is stored, and the rest of their windows is read from the level's array. So after
`close` each element of a level is that of the level below it, reduced, wherever something was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise, product
from math import lcm
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.indexing.flip import flipped
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.interrupts import ensured
from gpuzarr.line import Line, submit
from gpuzarr.nodes.array import Array
from gpuzarr.pyramids.cells import Box, Cell, Cells
from gpuzarr.tasks import Task, end_all
from gpuzarr.write.coverage import Bounds, common, volume
from gpuzarr.write.journal import Completed, Journal
from gpuzarr.write.merge import bounds_of
from gpuzarr.write.open_shards import OpenShards

Reduce = Callable[[Any, tuple[int, ...]], Any]  # values of whole windows, and the shape of a window
MIN_PIECE_BYTES = 16 << 20  # of a level that are reduced at once


class Cascade:
    """Writes boxes to all levels of an image; on one thread at a time.

    `factors[i]`: the shape of the windows of level i. `limit`: bytes that all writes may hold; `max_bytes`: those of
    cells that wait. `journals`: those of all levels, in which is noted what is done; or none.
    """

    def __init__(
        self,
        levels: Sequence[Array],
        factors: Sequence[tuple[int, ...]],
        reduce: Reduce,
        limit: int,
        max_bytes: int,
        journals: Sequence[Journal] = (),
    ) -> None:
        self._levels, self._factors, self._reduce = tuple(levels), tuple(factors), reduce
        self._limit, self._max_bytes = max(limit // 2, 1) if factors else limit, max_bytes  # two writes run at once
        self.device: Device = levels[0].device
        self._open_shards = [OpenShards() for _ in levels]
        windows = [*factors, (1,) * levels[0].ndim]
        shapes = [cell_shape(level.layout, window) for level, window in zip(levels, windows, strict=True)]
        self._shape = shapes[0]
        self._cells = [
            Cells(level.shape, shape, level.dtype, self.device) for level, shape in zip(levels, shapes, strict=True)
        ]
        noted = zip(journals, levels, self._open_shards, strict=True) if journals else ()
        self._line, self._storing = Line(), list[Task]()
        self._completed = [Completed(journal, level.layout, shards) for journal, level, shards in noted]

    def write(self, selection: Outer | Points, values: Any) -> None:
        """Write a box of level 0, and all that it makes complete of the others."""
        bounds = bounds_of(selection)
        assert bounds is not None
        mark = self.device.timestamp()
        with self.device.after(mark):
            values = flipped(selection, self.device.xp.broadcast_to(values, selection.shape))
            values = values.astype(self._levels[0].dtype, copy=False)
            box = Box(bounds, values)
            if self._factors:
                ensured(partial(self._store_and_reduce, box), partial(end_all, self._storing))
            else:
                self._store(0, box)

    def take(self, level: int, box: Box) -> None:
        """Take a box of a level: cells that are complete by it are stored, unless they are, and reduced."""
        self._take(level, box)
        self._bound()

    def close(self) -> None:
        """Complete what is not complete, and close all shards. The cascade can be used again."""
        with self.device.on(), self.device.after():
            for level in range(len(self._levels)):
                self._complete(level, self._cells[level].take())
        for each in self._completed or self._open_shards:
            each.close()

    def abort(self) -> None:
        """Leave nothing of what is not in the store."""
        for cells in self._cells:
            cells.take()
        for each in self._completed or self._open_shards:
            each.abort()

    def _take(self, level: int, box: Box) -> None:
        for complete in self._cells[level].add(box):
            if not complete.is_stored:
                self._store(level, complete)
            self._reduce_windows(level, complete)

    def _reduce_windows(self, level: int, box: Box) -> None:
        """Reduce whole windows, and take what they become for the next level, if there is one."""
        if level < len(self._factors):
            window = self._factors[level]
            values = self._reduce(box.values, window)
            self._take(level + 1, Box(reduced_bounds(box.bounds, window), values, is_final=box.is_final))

    def _store_and_reduce(self, box: Box) -> None:
        """Store a box of level 0 on another thread, so that no core is idle, and take it meanwhile."""
        self._storing.clear()
        submit(self._line, self._storing, self._store_after, self.device.timestamp(), box)
        for piece in self._pieces(box.bounds):
            self.take(0, replace(box.part(piece), is_stored=True))
        self._await_stored()

    def _store_after(self, mark: Any, box: Box) -> None:
        with self.device.after(mark):
            self._store(0, box)

    def _await_stored(self) -> None:
        """Wait until the box is stored at level 0, or raise why it could not be."""
        for task in self._storing:
            task.result()

    def _store(self, level: int, box: Box) -> None:
        selection = Outer(tuple(range(a, b) for a, b in box.bounds))
        self._levels[level].write_values(selection, box.values, self._limit, self._open_shards[level])
        if self._completed and box.is_final:
            self._completed[level].wrote(box.bounds)

    def _bound(self) -> None:
        """Complete the oldest cells, of the finest levels first, where more than `max_bytes` wait."""
        for level, cells in enumerate(self._cells):
            while sum(one.nbytes for one in self._cells) > self._max_bytes and cells.nbytes:
                self._await_stored()
                self._complete(level, [cells.take_oldest()])

    def _complete(self, level: int, cells: list[Cell]) -> None:
        """Store what is there of cells, unless it is, and reduce the windows of which something was written."""
        for box in (box for cell in cells if not cell.is_stored for box in cell.boxes):
            self._store(level, box)
        for cell in cells if level < len(self._factors) else ():
            for box in cell.boxes:
                windows = whole_windows(box.bounds, self._factors[level], cell.bounds)
                self._reduce_windows(level, box if windows == box.bounds else self._read(level, windows))

    def _read(self, level: int, bounds: Bounds) -> Box:
        """The elements of a box of a level as they are in the store, with what is in shards that are open."""
        self._open_shards[level].close()
        values = self._levels[level][tuple(slice(a, b) for a, b in bounds)]
        return Box(bounds, values, is_stored=True, is_final=False)

    def _pieces(self, bounds: Bounds) -> Iterator[Bounds]:
        """Cut a box of level 0 between cells, so that little more than itself is in memory while it is reduced."""
        most = max(MIN_PIECE_BYTES, self._max_bytes // 2) // self._levels[0].dtype.itemsize
        return cut(bounds, self._shape, most)


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
