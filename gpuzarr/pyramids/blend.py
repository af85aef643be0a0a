"""Averages of overlapping blocks, cell by cell, on the device.

    a block -> times its weights -> added to the sums of each cell it touches -> a cell whose blocks all came: divided

To each cell its blocks are added in the order of their numbers; one that comes before its turn waits. So averages are
the same, bit for bit, in whatever order blocks come, whatever cells there are, and whoever else writes other regions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import is_float
from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.arrivals import Arrivals
from gpuzarr.pyramids.blocks import Blocks
from gpuzarr.pyramids.cells import within
from gpuzarr.pyramids.weights import Weights
from gpuzarr.write.coverage import Bounds, common

FLOAT32, FLOAT64 = np.dtype("f4"), np.dtype("f8")


@dataclass(eq=False)
class _Sums:
    """The sums of one cell. `blocks`: the numbers of all that touch it, of which the first `done` were added;
    `waiting`: what came before its turn, and where in the array it is."""

    bounds: Bounds
    blocks: list[int]
    done: int = 0
    sums: Any = None
    waiting: dict[int, tuple[Bounds, Any]] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        return self.done == len(self.blocks)


class Blend:
    """Sums of blocks times weights, in the memory of a device; for one thread at a time.

    Parameters
    ----------
    blocks
        The blocks that will come, in any order. Only what is in `blocks.region` is kept and returned.
    weights
        The weights of the elements of each block.
    device
        Where values are.
    dtype
        Of values. Sums are float32 where that holds all values exactly, else float64.
    cell
        The shape of the boxes in which averages are returned; the grid of cells begins at the array's origin.
    extra
        The shape of the axes that values have before those of the array, such as one of channels.

    Attributes
    ----------
    dtype
        Of averages: float32 or float64.

    Raises
    ------
    ArgumentError
        Elements of `dtype` are no real numbers, or the halo of the blocks is cut off.

    Examples
    --------
    >>> from gpuzarr.devices.select import device
    >>> from gpuzarr.pyramids.blend import Blend
    >>> from gpuzarr.pyramids.blocks import Blocks
    >>> from gpuzarr.pyramids.weights import weights
    >>> blocks = Blocks((6,), block=3, halo=1)
    >>> blend = Blend(blocks, weights("linear", blocks), device("cpu"), np.dtype("f4"), cell=(3,))
    >>> blend.add(((0, 4),), np.zeros(4, "f4"))
    []
    >>> [(bounds, values.tolist()) for bounds, values in blend.add(((2, 6),), np.ones(4, "f4"))]
    [(((0, 3),), [0.0, 0.0, 0.25]), (((3, 6),), [0.75, 1.0, 1.0])]
    """

    def __init__(
        self,
        blocks: Blocks,
        weights: Weights,
        device: Device,
        dtype: np.dtype[Any],
        cell: Sequence[int],
        extra: Sequence[int] = (),
    ) -> None:
        self._blocks, self._device, self._cell, self._extra = blocks, device, tuple(cell), tuple(extra)
        self.dtype = sums_dtype(dtype)
        if blocks.is_cut:
            raise ArgumentError(f"{blocks!r} cannot be averaged: their halo is cut off")
        self._arrivals = Arrivals(blocks, extra)
        self._regions = np.array(blocks.region, np.int64).reshape(len(blocks.region), len(blocks.shape), 2)
        host = weights.array(self.dtype)
        with device.on():
            self._weights = device.upload(host) if device.gpu else host
        self._open: dict[Bounds, _Sums] = {}
        self._nbytes = host.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes of weights, of sums that are not final, and of what waits for its turn."""
        return self._nbytes

    @property
    def most_nbytes(self) -> int:
        """The greatest `nbytes` where blocks come in the order of `blocks`.

        A cell that is begun and not final touches blocks of the row that comes, along the first axis. So of each box of
        the region no more is held than the length of a block, and at both ends one element less than that of a cell.
        """
        if not self._blocks.shape or not len(self._blocks):
            return self._nbytes
        axis, lengths = self._blocks.axes[0], self._regions[:, :, 1] - self._regions[:, :, 0]
        rows = np.minimum(axis.size + 2 * axis.reach + 2 * (self._cell[0] - 1), lengths[:, 0])
        held = rows * lengths[:, 1:].prod(axis=1) * prod(self._extra)
        first, last = ((self._regions[:, 0] + (-axis.reach, axis.reach - 1)) // axis.size).T
        change = np.zeros(axis.count + 1, np.int64)
        np.add.at(change, np.maximum(first, 0), held)
        np.subtract.at(change, np.minimum(last, axis.count - 1) + 1, held)
        return self._weights.nbytes + int(change.cumsum().max()) * self.dtype.itemsize

    def add(self, bounds: Bounds, values: Any) -> list[tuple[Bounds, Any]]:
        """Take the values of a block, and return the cells that are final by it: bounds, and averages as floats.

        `values`: on the device, of shape (*extra, *block); they are not needed afterwards. ArgumentError for a block
        that has come already, or is none of the blocks, and for values of another shape or kind.
        """
        block = self._arrivals.number(bounds, values)
        sums_dtype(values.dtype)
        final: list[tuple[Bounds, Any]] = []
        with self._device.on():
            weighted = self._device.xp.multiply(values.astype(self.dtype, copy=False), self._weight(block, bounds))
            for cell in self._cells(bounds):
                final += self._add(cell, block, bounds, weighted)
        self._arrivals.note(block)
        return final

    def unfinished(self) -> tuple[int, Bounds | None]:
        """The number of blocks that have not come, and the first of them; (0, None) at the end."""
        return self._arrivals.unfinished()

    def _cells(self, bounds: Bounds) -> Iterator[Bounds]:
        """What the region has of the cells that a block touches."""
        begin, end = np.array(bounds, np.int64).reshape(-1, 2).T
        near = ((self._regions[:, :, 0] < end) & (self._regions[:, :, 1] > begin)).all(axis=1)
        for i in np.flatnonzero(near).tolist():
            region = self._blocks.region[i]
            shared = common(region, bounds)
            assert shared is not None
            grid = [range(a // n, -(-b // n)) for (a, b), n in zip(shared, self._cell, strict=True)]
            for coords in product(*grid):
                cell = common(tuple((k * n, (k + 1) * n) for k, n in zip(coords, self._cell, strict=True)), region)
                assert cell is not None
                yield cell

    def _add(self, cell: Bounds, block: int, bounds: Bounds, weighted: Any) -> list[tuple[Bounds, Any]]:
        """Add a block to a cell. Returns the cell, if that makes it final."""
        if (sums := self._open.get(cell)) is None:
            sums = self._open[cell] = _Sums(cell, self._blocks.touching(cell).tolist())
        box = common(bounds, cell)
        assert box is not None
        part = weighted[(..., *within(box, bounds))]
        if block != sums.blocks[sums.done]:
            sums.waiting[block] = box, part.copy()
            self._nbytes += part.nbytes
            return []
        self._put(sums, box, part)
        while not sums.is_final and (found := sums.waiting.pop(sums.blocks[sums.done], None)):
            self._put(sums, *found)
            self._nbytes -= found[1].nbytes
        return [(cell, self._averages(self._open.pop(cell)))] if sums.is_final else []

    def _put(self, sums: _Sums, box: Bounds, part: Any) -> None:
        if sums.sums is None:
            sums.sums = self._device.xp.zeros((*self._extra, *_shape(sums.bounds)), self.dtype)
            self._nbytes += sums.sums.nbytes
        place = sums.sums[(..., *within(box, sums.bounds))]
        self._device.xp.add(place, part, out=place)
        sums.done += 1

    def _averages(self, sums: _Sums) -> Any:
        """Divide final sums by those of weights, which are not kept until then: they follow from the blocks."""
        xp, made = self._device.xp, sums.sums
        self._nbytes -= made.nbytes
        total = xp.zeros(_shape(sums.bounds), self.dtype)
        for block in sums.blocks:
            box = common(self._blocks.bounds(block), sums.bounds)
            assert box is not None
            place = total[(..., *within(box, sums.bounds))]
            xp.add(place, self._weight(block, box), out=place)
        return xp.true_divide(made, total, out=made)

    def _weight(self, block: int, box: Bounds) -> Any:
        """The weights that a block has in a box."""
        origin = tuple((start, start) for start in self._blocks.origin(block))
        return self._weights[within(box, origin)]


def sums_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of sums of values. ArgumentError for values that are no real numbers."""
    if dtype.kind in "biu":
        return FLOAT32 if dtype.itemsize <= 2 else FLOAT64
    if not is_float(dtype):
        raise ArgumentError(f"values of {dtype} cannot be averaged: only bools, integers and real floats can")
    return FLOAT64 if dtype.itemsize == 8 else FLOAT32


def _shape(bounds: Bounds) -> tuple[int, ...]:
    return tuple(b - a for a, b in bounds)
