"""Histograms whose range is found while values come: bins become twice as wide where values fall outside.

Bins are the intervals [i w, (i + 1) w) for integers i, where the width w is a power of two. Of the widths with which at
most `bins` of them reach from the least to the most value it is the smallest one; so when the range grows, neighbours
are merged two by two, exactly, and what comes out depends on the values alone, not on their order.
"""

from __future__ import annotations

import threading
from math import floor, frexp, ldexp

import numpy as np

from gpuzarr.reduce.blocks import Box

_SMALLEST = -1022  # the exponent of the smallest width, whose reciprocal is finite
_DIGITS = 52  # numbers of bins have as many, so that edges are exact


class Bins:
    """Counts of an array's cells, int64 (*cells, bins), with one range for all. Threads may share it.

    `bins`: 0 for none, where nothing but `found` may be called. `edges`: given ones, float64 (bins + 1,), which stay;
    None: they are found. `is_whole`: the values are integers, and no bin is narrower than 1.
    """

    def __init__(self, cells: tuple[int, ...], bins: int, edges: np.ndarray | None, is_whole: bool) -> None:
        self._lock, self._given = threading.Lock(), edges
        self.bins, self.has_edges = bins, edges is not None
        self.first_edge = -np.finfo(np.float64).max if edges is None else edges[0]  # less than that is -inf alone
        self._counts = np.zeros((*cells, bins), np.int64)
        self._exponent = self._smallest = 0 if is_whole else _SMALLEST
        self._first = 0
        self._least, self._most = np.inf, -np.inf
        self._edges = self._edges_now() if edges is None else edges

    def edges_for(self, least: float, most: float) -> tuple[int, int, np.ndarray]:
        """The grid, as `add` takes it, and its edges, float64 (bins + 1,), that have room for a range."""
        with self._lock:
            if self._given is None and (least < self._least or most > self._most):
                self._include(min(least, self._least), max(most, self._most))
            return self._exponent, self._first, self._edges

    def add(self, exponent: int, first: int, box: Box, counts: np.ndarray) -> None:
        """Add counts, (*cells of the box, bins), that were made on a grid of before."""
        with self._lock:
            self._counts[box] += self._moved(counts, exponent, first)

    def table(self, least: float, most: float) -> tuple[np.ndarray, np.ndarray]:
        """The counts themselves, int64 (number of cells, bins), and the edges, that have room for a range.

        They are those of the grid as long as nobody asks for another range.
        """
        _, _, edges = self.edges_for(least, most)
        return self._counts.reshape(-1, self.bins), edges

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """The counts and the edges; of those that were found the ones from the least value to the most."""
        if not self.bins:
            return self._counts, np.zeros(0)
        if self._given is not None:
            return self._counts, self._given
        if self._least == self._most and self._smallest != 0:  # as `numpy.histogram` has it
            return self._counts.sum(axis=-1, keepdims=True), np.array([self._least - 0.5, self._least + 0.5])
        used = 1 + (_bin(self._most, self._exponent) - self._first if self._least <= self._most else 0)
        return self._counts[..., :used], self._edges[: used + 1]

    def _include(self, least: float, most: float) -> None:
        before, largest = (self._exponent, self._first), max(abs(least), abs(most))
        narrow = frexp(max(most / self.bins - least / self.bins, 0))[1] - 2 if most > least else self._smallest
        exponent = max(self._smallest, self._exponent, narrow, frexp(largest)[1] - _DIGITS if largest else _SMALLEST)
        while _bin(most, exponent) - _bin(least, exponent) >= self.bins:
            exponent += 1
        is_first = self._least > self._most
        self._least, self._most = least, most
        self._exponent, self._first = exponent, _bin(least, exponent)
        self._edges = self._edges_now()
        if not is_first:
            self._counts = self._moved(self._counts, *before)

    def _moved(self, counts: np.ndarray, exponent: int, first: int) -> np.ndarray:
        """Counts of another grid as those of this one."""
        if (exponent, first) == (self._exponent, self._first):
            return counts
        found, used = np.zeros_like(counts), np.flatnonzero(counts.reshape(-1, self.bins).any(axis=0))
        if len(used):
            begin, end, shift = int(used[0]), int(used[-1]) + 1, self._exponent - exponent
            joined = 1 << shift  # bins that become one
            starts = [0, *range(joined - (first + begin) % joined, end - begin, joined)]
            to = ((first + begin) >> shift) - self._first
            found[..., to : to + len(starts)] = np.add.reduceat(counts[..., begin:end], starts, axis=-1)
        return found

    def _edges_now(self) -> np.ndarray:
        with np.errstate(over="ignore"):  # the last edge may lie beyond the largest number
            return np.ldexp(np.float64(self._first) + np.arange(self.bins + 1), self._exponent)


def _bin(value: float, exponent: int) -> int:
    """The number of the bin of a value, exactly: a tiny negative one, too, of which scaling leaves nothing."""
    found = floor(ldexp(value, -exponent))
    return -1 if value < 0 and found == 0 else found
