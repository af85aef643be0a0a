"""What is known of the elements of each cell after a pass, however they were counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Totals:
    """Numbers of each cell: arrays of the shape of the cells; `histogram` has one more axis, of bins, with `edges`.

    `count`: elements that are not NaN. `fills`: those that equal the fill value. `below`: those that are
    less than the first edge. `least`, `most`: NaN of no elements.
    """

    mean: np.ndarray
    std: np.ndarray
    least: np.ndarray
    most: np.ndarray
    count: np.ndarray
    nans: np.ndarray
    fills: np.ndarray
    below: np.ndarray
    histogram: np.ndarray
    edges: np.ndarray


def extremes(values: np.ndarray, above: np.ndarray, below: np.ndarray, count: np.ndarray, least: bool) -> np.ndarray:
    """The least (or the most) of finite values, and of infinities, of which there are so many above and below."""
    some, others = (below, above) if least else (above, below)
    infinite = -np.inf if least else np.inf
    found = np.where(some > 0, infinite, np.where((count == others) & (others > 0), -infinite, values))
    return np.where(count > 0, found, np.nan)
