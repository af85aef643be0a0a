"""Means and sums of squared distances of parts, merged to those of the whole.

Merging is that of Chan, Golub and LeVeque (Algorithms for Computing the Sample Variance, The American Statistician 37,
1983, page 242), for many parts at once: squares = sum(squares_i) + sum(n_i (mean_i - mean)^2). Nothing of the size of
the mean is squared, so a small variance beside a huge mean keeps its digits. Within a part, sums are made in two
passes, the second about the mean of the first (ibid., "corrected two-pass algorithm").
"""

from __future__ import annotations

import numpy as np

from gpuzarr.reduce.rows import ABOVE, BELOW, FINITE, LEAST, MEAN, MOST, NANS, NUMBERS, REST, SQUARES


def nothing(cells: tuple[int, ...]) -> np.ndarray:
    """The moments of no elements: float64 (*cells, NUMBERS)."""
    found = np.zeros((*cells, NUMBERS))
    found[..., LEAST], found[..., MOST] = np.inf, -np.inf
    return found


def merged(parts: np.ndarray) -> np.ndarray:
    """Moments of disjoint parts, (n, *cells, NUMBERS), as those of all of them, (*cells, NUMBERS)."""
    found = nothing(parts.shape[1:-1])
    for number in (FINITE, NANS, ABOVE, BELOW):
        found[..., number] = parts[..., number].sum(axis=0)
    found[..., LEAST], found[..., MOST] = parts[..., LEAST].min(axis=0), parts[..., MOST].max(axis=0)
    count, all_of = parts[..., FINITE], np.maximum(found[..., FINITE], 1)
    with np.errstate(all="ignore"):  # of numbers near the largest
        mean = found[..., MEAN] = (count / all_of * parts[..., MEAN]).sum(axis=0)
        beyond = parts[..., MEAN] - mean + parts[..., REST]  # of each mean, which one float does not tell exactly
        rest = found[..., REST] = (count * beyond).sum(axis=0) / all_of
        found[..., SQUARES] = (parts[..., SQUARES] + count * (beyond - rest) ** 2 * (count > 0)).sum(axis=0)
    return found


def mean_and_std(found: np.ndarray, pivot: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The mean, and the standard deviation (of the population, ddof=0), as NumPy has them where there are infinities.

    `pivot` was subtracted from all elements.
    """
    count, above, below = (found[..., number] for number in (FINITE, ABOVE, BELOW))
    with np.errstate(all="ignore"):
        high = float(pivot)  # parts that nearly cancel come first, so that what is left of them is exact
        mean = (found[..., MEAN] + high) + (found[..., REST] + float(pivot - int(high)))
        mean = np.where(count > 0, mean, np.nan)
        mean = np.where(
            (above > 0) & (below > 0), np.nan, np.where(above > 0, np.inf, np.where(below > 0, -np.inf, mean))
        )
        std = np.sqrt(np.where((count > 0) & (above + below == 0), found[..., SQUARES] / count, np.nan))
    return mean, std
