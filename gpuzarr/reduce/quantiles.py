"""Quantiles by a histogram: of each rank the bin is known, so no quantile is further off than the width of a bin."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError


class Counted(Protocol):
    """Numbers of cells: see `gpuzarr.nodes.stats.Stats`."""

    @property
    def min(self) -> Any: ...

    @property
    def max(self) -> Any: ...

    @property
    def count(self) -> Any: ...

    @property
    def below(self) -> Any: ...

    @property
    def histogram(self) -> np.ndarray: ...

    @property
    def range(self) -> tuple[float, float] | None: ...

    @property
    def edges(self) -> np.ndarray: ...


def fractions(given: Any, name: str) -> np.ndarray:
    """Numbers from 0 to 1, float64 (n,). ArgumentError for others."""
    try:
        found = np.atleast_1d(np.asarray(given, np.float64))
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"{name} must be numbers from 0 to 1, not {shown(given)}") from error
    if found.ndim != 1 or not ((found >= 0) & (found <= 1)).all():
        raise ArgumentError(f"{name} must be numbers from 0 to 1, not {shown(given)}")
    return found


def quantiles(of: Counted, wanted: np.ndarray) -> np.ndarray:
    """Quantiles of each cell, float64 (len(wanted), *cells): between the two elements next to each, as in NumPy."""
    ends = np.cumsum(of.histogram, axis=-1)
    count = np.asarray(of.count)
    found = np.full((len(wanted), *count.shape), np.nan)
    for number, q in enumerate(wanted.tolist()):
        place = q * (count - 1)
        rank = np.floor(place).astype(np.int64)
        low, high = (_element(of, ends, np.clip(one, 0, count - 1)) for one in (rank, rank + 1))
        with np.errstate(invalid="ignore"):
            between = low + (high - low) * (place - rank)
        found[number] = np.where((place == rank) | (low == high), low, between)
    return np.where(count > 0, found, np.nan)


def _element(of: Counted, ends: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """About the element of this rank in each cell; NaN if it is in no bin. `ends`: elements up to the end of bins."""
    least, most = np.asarray(of.min, np.float64), np.asarray(of.max, np.float64)
    inside = rank - of.below
    number = np.minimum((ends <= inside[..., None]).sum(axis=-1), ends.shape[-1] - 1)
    bin_of = (np.take_along_axis(values, number[..., None], -1)[..., 0] for values in (ends, of.histogram))
    end, held = bin_of
    left, right = of.edges[number], of.edges[number + 1]
    share = (inside - (end - held) + 0.5) / np.maximum(held, 1)
    value = np.clip(left + (right - left) * share, least, most)
    if np.asarray(of.min).dtype.kind in "biu":
        value = np.maximum(np.floor(value), least)  # of integers, of which a bin of width 1 has its left edge alone
    outside = np.nan if of.range is not None else np.inf  # all finite elements are in the bins, unless some were given
    value = np.where(inside < 0, -outside, np.where(inside >= ends[..., -1], outside, value))
    return np.where(rank == 0, least, np.where(rank == np.asarray(of.count) - 1, most, value))
