"""Values of one level that wait until their cell is complete.

A cell is a box of whole chunks, and of whole windows, each of which becomes one element of the next level. So a
complete cell can be encoded and reduced, and is not needed after that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.write.coverage import Bounds, Coverage, common, volume

Coords = tuple[int, ...]


@dataclass(frozen=True)
class Box:
    """Elements of a level.

    `is_stored`: all of them are in the store, or on their way there. `is_final`: none of them was made of elements that
    were still to be written.
    """

    bounds: Bounds
    values: Any
    is_stored: bool = False
    is_final: bool = True

    def part(self, bounds: Bounds) -> Box:
        """The elements of a box within."""
        return replace(self, bounds=bounds, values=self.values[within(bounds, self.bounds)])


@dataclass
class Cell:
    """A cell that is not complete. `values`: all of its elements, of which `coverage` says which are there."""

    bounds: Bounds
    values: Any
    coverage: Coverage
    is_stored: bool = True
    is_final: bool = True

    @property
    def box(self) -> Box:
        """All of it."""
        return Box(self.bounds, self.values, self.is_stored, self.is_final)

    @property
    def boxes(self) -> list[Box]:
        """What is there of it."""
        return [self.box.part(bounds) for bounds in self.coverage.boxes]


class Cells:
    """The cells of one level that are not complete, in the order in which they were begun.

    `shape`: of the level; `cell`: of a cell, where the level does not end before.
    """

    def __init__(self, shape: Sequence[int], cell: Sequence[int], dtype: np.dtype[Any], device: Device) -> None:
        self._shape, self._cell, self._dtype, self._xp = tuple(shape), tuple(cell), dtype, device.xp
        self._open: dict[Coords, Cell] = {}
        self._elements = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the cells that wait."""
        return self._elements * self._dtype.itemsize

    def add(self, box: Box) -> Iterator[Box]:
        """Take the elements of a box, and yield boxes of whole cells that are complete by them.

        Where the box has whole cells, they are views of its values; the rest is copied. What comes again replaces what
        was there before.
        """
        for spans in product(*map(self._segments, range(len(box.bounds)), box.bounds)):
            part = box.part(tuple((a, b) for a, b, _ in spans))
            if all(is_whole for _, _, is_whole in spans):
                self._drop(part.bounds)
                yield part
            else:
                yield from self._fill(part)

    def take(self) -> list[Cell]:
        """Remove and return all cells."""
        taken = list(self._open.values())
        self._open.clear()
        self._elements = 0
        return taken

    def take_oldest(self) -> Cell:
        """Remove and return the cell that was begun first."""
        coords = next(iter(self._open))
        return self._pop(coords)

    def _segments(self, axis: int, span: tuple[int, int]) -> list[tuple[int, int, bool]]:
        """A range along an axis, cut where whole cells begin and end: begin, end, whether it is of whole cells."""
        (begin, end), size, length = span, self._cell[axis], self._shape[axis]
        first = -(-begin // size) * size
        last = end if end == length else end // size * size
        if first >= last:
            if begin // size == (end - 1) // size:
                return [(begin, end, False)]
            return [(begin, first, False), (first, end, False)]
        found = [(begin, first, False), (first, last, True), (last, end, False)]
        return [(a, b, is_whole) for a, b, is_whole in found if a < b]

    def _fill(self, box: Box) -> Iterator[Box]:
        for coords in self._coords(box.bounds):
            cell = self._open.get(coords) or self._begin(coords)
            shared = common(cell.bounds, box.bounds)
            assert shared is not None
            cell.values[within(shared, cell.bounds)] = box.part(shared).values
            cell.coverage.add(shared)
            cell.is_stored, cell.is_final = cell.is_stored and box.is_stored, cell.is_final and box.is_final
            if not cell.coverage.left:
                self._pop(coords)
                yield cell.box

    def _coords(self, bounds: Bounds) -> Iterator[Coords]:
        return product(*(range(a // n, (b - 1) // n + 1) for (a, b), n in zip(bounds, self._cell, strict=True)))

    def _begin(self, coords: Coords) -> Cell:
        spans = zip(coords, self._cell, self._shape, strict=True)
        bounds = tuple((i * n, min((i + 1) * n, length)) for i, n, length in spans)
        made = self._xp.empty(tuple(b - a for a, b in bounds), self._dtype)
        cell = self._open[coords] = Cell(bounds, made, Coverage(bounds))
        self._elements += volume(bounds)
        return cell

    def _pop(self, coords: Coords) -> Cell:
        cell = self._open.pop(coords)
        self._elements -= volume(cell.bounds)
        return cell

    def _drop(self, bounds: Bounds) -> None:
        """Forget cells within a box: they are written anew."""
        if self._open:
            for coords in [at for at, cell in self._open.items() if common(cell.bounds, bounds)]:
                self._pop(coords)


def within(bounds: Bounds, outer: Bounds) -> tuple[slice, ...]:
    """A box as an index into an array of the elements of another box."""
    return tuple(slice(a - start, b - start) for (a, b), (start, _) in zip(bounds, outer, strict=True))
