"""Elements of 4 or 8 bytes, or cast ones: moments and a histogram of pieces that stay in a core's cache, merged."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr import gpu
from gpuzarr.cpu import turning
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.dtypes.cast import FLOAT32, Cast
from gpuzarr.reduce import rows as loops
from gpuzarr.reduce.bins import Bins
from gpuzarr.reduce.blocks import Box, cell_boxes, pieces
from gpuzarr.reduce.moments import mean_and_std, merged, nothing
from gpuzarr.reduce.rows import ABOVE, BELOW, FINITE, LEAST, MEAN, MOST, NANS, NUMBERS, REST
from gpuzarr.reduce.totals import Totals, extremes

PIECE_ELEMENTS = 1 << 16  # of a CPU: with what is made of them, they fit a core's cache
GPU_PIECE_ELEMENTS = 1 << 24
PIECE_CELLS = 16  # of a CPU: enough that neighbours in memory are read at once
GPU_PIECE_CELLS = 1 << 10
GPU_PIECE_COUNTS = 1 << 23  # of a histogram, which goes to the host for each piece


@dataclass(frozen=True)
class Cut:
    """The pieces of a block: each is some cells, and a part of their elements. `few`: elements of a cell in a piece are
    so few that counts are made in the table of all cells, when the range of the block is known."""

    cells: list[Box]
    rest: list[Box]
    few: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], axes: int, bins: int, is_gpu: bool) -> Cut:
        """The pieces of a block of this shape, whose first `axes` axes are those of cells."""
        elements, cells = (GPU_PIECE_ELEMENTS, GPU_PIECE_CELLS) if is_gpu else (PIECE_ELEMENTS, PIECE_CELLS)
        room = elements // max(prod(shape[axes:]), 1)
        if room <= cells:
            runs = cell_boxes(shape[:axes], cells)
            return cls(runs, pieces(shape[axes:], elements // _size(runs[0])), False)
        runs = pieces(shape[:axes], min(room, max(GPU_PIECE_COUNTS // (bins + 1), cells)) if is_gpu else room)
        return cls(runs, pieces(shape[axes:], elements), bins > 0)


class Elements:
    """Blocks of elements, added one by one. `cells`: the shape of the axes that are kept."""

    def __init__(self, device: Device, cells: tuple[int, ...], dtype: np.dtype, cast: Cast | None, fill: Any) -> None:
        self._device, self._dtype, self._cast, self._fill = device, dtype, cast, fill
        self._moments = nothing(cells)
        self._fills, self._below = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
        self._is_wide = cast is None and dtype.kind in "iu" and dtype.itemsize == 8  # float64 does not hold all of them
        limits = np.iinfo(dtype) if self._is_wide else None
        self._least = np.full(cells, limits.max if limits else 0, dtype)
        self._most = np.full(cells, limits.min if limits else 0, dtype)
        self._pivot: int | None = None
        self._lock = threading.Lock()

    def add(self, block: Any, box: Box, bins: Bins) -> None:
        """Add a block: an array of the device, the axes of the cells first. `box`: its cells among all."""
        if self._is_wide and self._pivot is None:
            self._pivot = int(self._host(block[(*(slice(1),) * block.ndim, ...)]).reshape(-1)[0])
        cut = Cut.of(block.shape, len(box), bins.bins, self._device.gpu)
        shape = (1 + len(cut.rest), *block.shape[: len(box)])
        found, fills = np.empty((*shape, NUMBERS)), np.zeros(shape, np.int64)
        below = np.zeros(shape if bins.has_edges else 0, np.int64)
        found[0] = self._moments[box]

        def reduce(item: tuple[int, Box]) -> None:
            number, some = item
            rows = rows_of(block[some + cut.rest[number]], _size(some), self._device)
            of: Any = (1 + number, *some)
            if self._fill is not None:
                fills[of] = loops.equal(rows, self._fill, self._device).reshape(fills[of].shape)
            inner = _within(box, some)
            values, made, device = self._reduced(rows, inner)
            found[of] = made.reshape(found[of].shape)
            if bins.has_edges:
                below[of] = loops.less(values, bins.first_edge, device).reshape(below[of].shape)
            if bins.bins and not cut.few:
                self._bin(values, made, inner, bins, device)

        each(self._device, reduce, [(number, some) for some in cut.cells for number in range(len(cut.rest))])
        if cut.few:
            self._bin_few(block, box, cut, bins, (found[1:, ..., LEAST].min(), found[1:, ..., MOST].max()))
        self._moments[box] = merged(found)
        self._fills[box] += fills.sum(axis=0)
        if bins.has_edges:
            self._below[box] += below.sum(axis=0)

    def totals(self, bins: Bins) -> Totals:
        """Of all blocks."""
        found = self._moments
        mean, std = mean_and_std(found, self._pivot or 0)
        infinite = found[..., ABOVE], found[..., BELOW]
        count = found[..., FINITE] + infinite[0] + infinite[1]
        if self._is_wide and count.all():
            least, most = self._least, self._most
        else:
            least = extremes(found[..., LEAST], *infinite, count, True)
            most = extremes(found[..., MOST], *infinite, count, False)
        nans, (histogram, edges) = found[..., NANS].astype(np.int64), bins.found()
        return Totals(
            mean,
            std,
            least,
            most,
            count.astype(np.int64),
            nans,
            self._fills,
            self._below if bins.has_edges else infinite[1].astype(np.int64),
            histogram,
            edges,
        )

    def _values(self, rows: Any) -> tuple[Any, Any]:
        """Rows as floats, cast if that was asked for, and the device that they are on then."""
        device: Any = self._device
        if self._cast is not None:
            if device.gpu and self._cast.dtype.isbuiltin == 2:  # which a GPU's array functions do not have
                rows, device = self._host(rows), CPU
            rows = gpu.cast.cast_all(device, rows, self._cast) if device.gpu else self._cast.of(rows)
        if rows.dtype.kind != "f" or rows.dtype.itemsize < 4:
            rows = rows.astype(np.float64 if rows.dtype.kind in "iu" else FLOAT32)
        return rows, device

    def _reduced(self, rows: Any, box: Box) -> tuple[Any, np.ndarray, Any]:
        """Rows as floats, their moments, and the device of the rows."""
        values, device = self._values(rows)
        return values, self._reduced_wide(rows, box) if self._is_wide else loops.moments(values, device), device

    def _reduced_wide(self, rows: Any, box: Box) -> np.ndarray:
        """Of integers of 64 bits: the distances from the least one of each row, which are exact."""
        least = rows.min(axis=1)
        shifted = (rows - least[:, None]).view(np.uint64).astype(np.float64)
        least, most = self._host(least), self._host(rows.max(axis=1))
        index: Any = (*box, ...)
        with self._lock:
            for kept, found, better in ((self._least, least, np.minimum), (self._most, most, np.maximum)):
                of_box = kept[index]
                better(of_box, found.reshape(of_box.shape), out=of_box)
        found = loops.moments(shifted, self._device)
        distances = [low - (self._pivot or 0) for low in least.tolist()]
        high = [float(distance) for distance in distances]
        found[:, REST] += found[:, MEAN]
        found[:, REST] += [float(distance - int(one)) for distance, one in zip(distances, high, strict=True)]
        found[:, MEAN], found[:, LEAST], found[:, MOST] = high, least, most
        return found

    def _bin(self, values: Any, made: np.ndarray, box: Box, bins: Bins, device: Device) -> None:
        """Add the histogram of rows whose moments these are."""
        exponent, first, edges = bins.edges_for(float(made[:, LEAST].min()), float(made[:, MOST].max()))
        counts = np.zeros((len(values), len(edges) - 1), np.int64)
        loops.binned(values, edges, counts, np.arange(len(values)), device)
        bins.add(exponent, first, box, counts.reshape(*(some.stop - some.start for some in box), -1))

    def _bin_few(self, block: Any, box: Box, cut: Cut, bins: Bins, ends: tuple[Any, Any]) -> None:
        """Add the histogram of a block of few elements a cell. No two threads have the same cells."""
        table, edges = bins.table(*map(float, ends))
        places = np.arange(len(table)).reshape(self._fills.shape)[box]

        def count(some: Box) -> None:
            for rest in cut.rest:
                values, device = self._values(rows_of(block[some + rest], _size(some), self._device))
                loops.binned(values, edges, table, np.ascontiguousarray(places[some]).reshape(-1), device)

        each(self._device, count, cut.cells)

    def _host(self, values: Any) -> np.ndarray:
        return self._device.download(values) if self._device.gpu else np.asarray(values)


def each(device: Any, work: Any, items: list[Any]) -> None:
    """Call work(item) for each item, on a CPU by several threads."""
    if device.gpu:
        for item in items:
            work(item)
    else:
        device.each(work, items)


def rows_of(part: Any, count: int, device: Device) -> Any:
    """A part of a block as contiguous rows, of which each has the elements of a cell."""
    if device.gpu or part.flags.c_contiguous:
        return device.xp.ascontiguousarray(part).reshape(count, -1)
    rows = np.empty(part.shape, part.dtype)
    turning.copy(rows, part)
    return rows.reshape(count, -1)


def _size(box: Box) -> int:
    return prod(some.stop - some.start for some in box)


def _within(outer: Box, inner: Box) -> Box:
    return tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(outer, inner, strict=True))
