"""Elements of one or two bytes: how often each of the 256 or 65536 patterns is there, and what follows from that."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast
from gpuzarr.reduce import rows as loops
from gpuzarr.reduce.bins import Bins
from gpuzarr.reduce.blocks import Box, cell_boxes, pieces
from gpuzarr.reduce.elements import GPU_PIECE_ELEMENTS, each, rows_of
from gpuzarr.reduce.totals import Totals

PIECE_ELEMENTS = 1 << 17
_CELLS = {1: 16, 2: 1}  # whose counts fit a core's cache, by the bytes of an element


class Patterns:
    """Blocks of elements, added one by one. `cells`: the shape of the axes that are kept."""

    def __init__(self, device: Device, cells: tuple[int, ...], dtype: np.dtype, cast: Cast | None, fill: Any) -> None:
        self._device, self._dtype, self._cast, self._fill = device, dtype, cast, fill
        self._counts = np.zeros((*cells, 1 << 8 * dtype.itemsize), np.int64)
        self._lock = threading.Lock()

    def add(self, block: Any, box: Box, bins: Bins) -> None:
        """Add a block: an array of the device, the axes of the cells first. `box`: its cells among all."""
        device, counts = self._device, self._counts[box]
        block = block.view(f"u{self._dtype.itemsize}")
        cells = cell_boxes(block.shape[: len(box)], 16 if device.gpu else _CELLS[self._dtype.itemsize])
        rest = pieces(block.shape[len(box) :], GPU_PIECE_ELEMENTS if device.gpu else PIECE_ELEMENTS)
        parts = 1 if device.gpu or len(cells) >= 2 * device.threads else device.threads

        def count(item: tuple[Box, int]) -> None:
            some, part = item
            found = counts[some].reshape(-1, counts.shape[-1])  # a view: `some` is one run of cells
            table = found if parts == 1 else np.zeros_like(found)
            for one in rest[part::parts]:
                loops.tally(rows_of(block[some + one], len(found), device), table, device)
            if table is not found:
                with self._lock:
                    found += table

        each(device, count, [(some, part) for some in cells for part in range(min(parts, len(rest)))])

    def totals(self, bins: Bins) -> Totals:
        """Of all blocks."""
        patterns = np.arange(self._counts.shape[-1], dtype=f"u{self._dtype.itemsize}").view(self._dtype)
        cells = self._counts.shape[:-1]
        counts = self._counts.reshape(-1, len(patterns))
        with np.errstate(all="ignore"):
            values = (patterns if self._cast is None else self._cast.of(patterns)).astype(np.float64)
            fill = np.full(1, 0 if self._fill is None else self._fill, self._dtype).astype(np.float64)[0]
            raw = patterns.astype(np.float64)
        is_nan = np.isnan(values)
        found = [_of(row[~is_nan], values[~is_nan]) for row in counts]
        nans = counts[:, is_nan].sum(axis=1)
        same = (raw == fill) | (np.isnan(raw) & np.isnan(fill)) if self._fill is not None else np.zeros(len(raw), bool)
        if bins.bins:
            _bin(counts, values, bins, cells)
        below = counts[:, values < bins.first_edge].sum(axis=1).reshape(cells)
        numbers = [np.array(column).reshape(cells) for column in zip(*found, strict=True)] or [np.zeros(cells)] * 5
        mean, std, least, most, count = numbers
        fills, (histogram, edges) = counts[:, same].sum(axis=1), bins.found()
        return Totals(mean, std, least, most, count, nans.reshape(cells), fills.reshape(cells), below, histogram, edges)


def _of(counts: np.ndarray, values: np.ndarray) -> tuple[float, float, float, float, int]:
    """Mean, standard deviation, least, most and number of values that are there so often."""
    there = np.flatnonzero(counts)
    counts, values = counts[there], values[there]
    if not len(there):
        return np.nan, np.nan, np.nan, np.nan, 0
    total = int(counts.sum())
    with np.errstate(all="ignore"):
        mean = (counts * values).sum() / total
        mean += (counts * (values - mean)).sum() / total if np.isfinite(mean) else 0
        std = np.sqrt((counts * (values - mean) ** 2).sum() / total)
    return float(mean), float(std), float(values.min()), float(values.max()), total


def _bin(counts: np.ndarray, values: np.ndarray, bins: Bins, cells: Sequence[int]) -> None:
    there = np.flatnonzero(counts.any(axis=0) & np.isfinite(values))
    if not len(there):
        return
    counts, values = counts[:, there], values[there]
    exponent, first, edges = bins.edges_for(values.min(), values.max())
    number = np.searchsorted(edges, values, side="right") - 1
    number[values == edges[-1]] = len(edges) - 2
    inside = (number >= 0) & (number < len(edges) - 1)
    found = np.zeros((len(counts), len(edges) - 1), np.int64)
    for row, of in zip(found, counts, strict=True):
        np.add.at(row, number[inside], of[inside])
    bins.add(exponent, first, tuple(slice(length) for length in cells), found.reshape(*cells, -1))
