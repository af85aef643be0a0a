"""Elements of 4 or 8 bytes, or cast ones: moments and a histogram of pieces that stay in a core's cache, merged."""

from __future__ import annotations

import threading
from math import prod
from typing import Any

import numpy as np

from gpuzarr import gpu
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


class Elements:
    """Blocks of elements, added one by one. `cells`: the shape of the axes that are kept."""

    def __init__(self, device: Device, cells: tuple[int, ...], dtype: np.dtype, cast: Cast | None, fill: Any) -> None:
        self._device, self._dtype, self._cast, self._fill = device, dtype, cast, fill
        self._moments = nothing(cells)
        self._fills = np.zeros(cells, np.int64)
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
        is_gpu = self._device.gpu
        cells = cell_boxes(block.shape[: len(box)], GPU_PIECE_CELLS if is_gpu else PIECE_CELLS)
        rest = pieces(block.shape[len(box) :], (GPU_PIECE_ELEMENTS if is_gpu else PIECE_ELEMENTS) // _size(cells[0]))
        shape = (1 + len(rest), *block.shape[: len(box)])
        found, fills = np.empty((*shape, NUMBERS)), np.zeros(shape, np.int64)
        found[0] = self._moments[box]

        def reduce(item: tuple[int, Box]) -> None:
            number, some = item
            rows = _rows(block[some + rest[number]], _size(some), self._device.xp)
            of: Any = (1 + number, *some)
            if self._fill is not None:
                fills[of] = loops.equal(rows, self._fill, self._device).reshape(fills[of].shape)
            made = self._reduced(rows, tuple(_within(a, b) for a, b in zip(box, some, strict=True)), bins)
            found[of] = made.reshape(found[of].shape)

        each(self._device, reduce, [(number, some) for some in cells for number in range(len(rest))])
        self._moments[box] = merged(found)
        self._fills[box] += fills.sum(axis=0)

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
        return Totals(mean, std, least, most, count.astype(np.int64), nans, self._fills, histogram, edges)

    def _reduced(self, rows: Any, box: Box, bins: Bins) -> np.ndarray:
        """The moments of rows, whose histogram is added."""
        device: Any = self._device
        if self._is_wide:
            return self._reduced_wide(rows, box, bins)
        if self._cast is not None:
            if device.gpu and self._cast.dtype.isbuiltin == 2:  # which a GPU's array functions do not have
                rows, device = self._host(rows), CPU
            rows = gpu.cast.cast_all(device, rows, self._cast) if device.gpu else self._cast.of(rows)
        if rows.dtype.kind != "f" or rows.dtype.itemsize < 4:
            rows = rows.astype(np.float64 if rows.dtype.kind in "iu" else FLOAT32)
        found = loops.moments(rows, device)
        self._bin(rows, found[:, LEAST].min(), found[:, MOST].max(), box, bins, device)
        return found

    def _reduced_wide(self, rows: Any, box: Box, bins: Bins) -> np.ndarray:
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
        found[:, MEAN] = high
        self._bin(rows.astype(np.float64), float(least.min()), float(most.max()), box, bins, self._device)
        return found

    def _bin(self, rows: Any, least: float, most: float, box: Box, bins: Bins, device: Device) -> None:
        exponent, first, edges = bins.edges_for(least, most)
        counts = loops.binned(rows, edges, device)
        bins.add(exponent, first, box, counts.reshape(*(some.stop - some.start for some in box), -1))

    def _host(self, values: Any) -> np.ndarray:
        return self._device.download(values) if self._device.gpu else np.asarray(values)


def each(device: Any, work: Any, items: list[Any]) -> None:
    """Call work(item) for each item, on a CPU by several threads."""
    if device.gpu:
        for item in items:
            work(item)
    else:
        device.each(work, items)


def _rows(part: Any, count: int, xp: Any) -> Any:
    return xp.ascontiguousarray(part).reshape(count, -1)


def _size(box: Box) -> int:
    return prod(some.stop - some.start for some in box)


def _within(outer: slice, inner: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)
