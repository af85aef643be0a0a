"""Systematic sampling: how many samples each of several things gets, and which elements are drawn.

One random number and equal steps lead to all samples along a line on which each thing is as long as its share. So a
thing that should have 3.4 samples has 3 or 4, and not, as by independent draws, any number. (Madow, "On the theory of
systematic sampling", 1949.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.loader.balance.masses import Masses


def of_classes(shares: np.ndarray, samples: int, offset: float) -> np.ndarray:
    """How many samples each class gets, int64 (K,): all together `samples`, each less than 1 from its share of them.

    `shares`: float64 (K,), not all 0. `offset`: a random number from 0 to 1 (without it).
    """
    ends = np.cumsum(shares)
    return _steps(ends / ends[-1], np.full(len(ends), samples), np.full(len(ends), offset))


def of_entries(masses: Masses, samples: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """How many samples each entry gets, int64 (n,): of those of its class, by its mass.

    `samples`, `offsets`: of each class (K,), as for `of_classes`. A class without samples needs no entry.
    """
    if not len(masses.classes):
        return np.zeros(0, np.int64)
    ends = np.cumsum(masses.masses)  # exact: of integers, or of a single class
    is_first = np.diff(masses.classes, prepend=-1) != 0
    of_class = np.cumsum(is_first) - 1
    firsts = np.flatnonzero(is_first)
    lasts = np.append(firsts[1:], len(ends)) - 1
    before = np.append(0.0, ends[lasts[:-1]])
    totals = ends[lasts] - before
    found = _steps((ends - before[of_class]) / totals[of_class], samples[masses.classes], offsets[masses.classes])
    found[firsts[1:]] += samples[masses.classes[firsts[:-1]]]  # counted from the end of the class before
    return found


def _steps(ends: np.ndarray, samples: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Samples between each end, a part of a line from 0 to 1, and the end before it."""
    reached = np.minimum(np.floor(ends * samples + offsets).astype(np.int64), samples)
    return np.diff(reached, prepend=0)


def places(masses: np.ndarray | int, fractions: np.ndarray) -> np.ndarray:
    """Which elements are drawn, int64 (n,): one from each of n parts of equal mass, so ascending.

    `masses`: of each element, float64, or how many elements of equal mass there are. `fractions`: random numbers from
    0 to 1 (without it), which say where in each part.
    """
    n = len(fractions)
    at = (np.arange(n) + fractions) / max(n, 1)
    if isinstance(masses, int):
        return np.minimum((at * masses).astype(np.int64), masses - 1)
    ends = np.cumsum(masses)
    last = int(np.flatnonzero(masses)[-1])
    return np.minimum(np.searchsorted(ends, at * ends[-1], side="right"), last)


@dataclass(frozen=True, eq=False)
class Runs:
    """Equal elements that follow each other in an array, in C order: `starts`, `lengths`, int64, and `labels` (n,)."""

    starts: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Runs:
        """Those of an array that is not empty."""
        flat = values.reshape(-1)
        starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
        return cls(starts, np.diff(starts, append=flat.size), flat[starts])

    def count(self, label: Any) -> int:
        """The number of elements with a label."""
        return int(self.lengths[self.labels == label].sum())

    def elements(self, label: Any, numbers: np.ndarray) -> np.ndarray:
        """Some of the elements with a label, by their numbers among these: their numbers in the array, int64 (n,)."""
        mine = np.flatnonzero(self.labels == label)
        ends = np.cumsum(self.lengths[mine])
        run = np.searchsorted(ends, numbers, side="right")
        return self.starts[mine][run] + numbers - (ends - self.lengths[mine])[run]
