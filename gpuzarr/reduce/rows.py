"""The loops: numbers about rows of elements, by the C library; on a GPU, and without that library, by array functions.

Rows are arrays of the device, (n, elements), C-contiguous; of floats of 4 or 8 bytes, or of patterns of 1 or 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address
from gpuzarr.devices.contract import Device

FINITE, NANS, ABOVE, BELOW, MEAN, REST, SQUARES, LEAST, MOST = range(9)  # numbers of a row
NUMBERS = 9
MANY_ELEMENTS = 1000  # of a row, beside which a call of NumPy takes no time


def moments(rows: Any, device: Device) -> np.ndarray:
    """Of each row: how many elements are finite, NaN, inf, and -inf; of the finite ones the mean, as two floats' sum,
    the sum of their squared distances from it, the least and the most. float64 (n, NUMBERS)."""
    if not device.gpu and (library := native.library()) is not None:
        found = np.empty((len(rows), NUMBERS))
        library.gpuzarr_moments(rows.dtype.itemsize, *rows.shape, address(rows), address(found))
        return found
    with np.errstate(all="ignore"):
        return _on_host(_moments(device.xp, rows), device)


def _moments(xp: Any, rows: Any) -> Any:
    """In two passes, the second of which makes up for what was rounded in the first: see moments.py."""
    is_finite = xp.isfinite(rows)
    count = is_finite.sum(axis=1).astype(np.float64)
    some = xp.maximum(count, 1)
    mean = xp.where(is_finite, rows, 0).sum(axis=1, dtype=np.float64) / some
    distance = xp.where(is_finite, rows.astype(np.float64) - mean[:, None], 0)
    beyond = distance.sum(axis=1)
    squares = (distance * distance).sum(axis=1) - beyond * beyond / some
    least = xp.where(is_finite, rows, np.inf).min(axis=1)
    most = xp.where(is_finite, rows, -np.inf).max(axis=1)
    others = [kind.sum(axis=1) for kind in (xp.isnan(rows), rows == np.inf, rows == -np.inf)]
    numbers = [count, *others, mean, beyond / some, squares, least, most]
    return xp.stack([number.astype(np.float64) for number in numbers], axis=1)


def binned(rows: Any, edges: np.ndarray, table: np.ndarray, places: np.ndarray, device: Device) -> None:
    """Add how many elements of each row lie between neighbouring edges; the last edge belongs to the last bin.

    `table`: counts, int64 (cells, bins), C-contiguous; row i is added to `table[places[i]]`, no two to one.
    """
    bins = len(edges) - 1
    if not device.gpu and (library := native.library()) is not None:
        with np.errstate(over="ignore"):
            per = np.array([bins / (edges[-1] - edges[0])])
        said = (address(edges), bins, address(per), address(places), address(table))
        library.gpuzarr_bin(rows.dtype.itemsize, *rows.shape, address(rows), *said)
        return
    xp = device.xp
    edges = device.upload(edges) if device.gpu else edges
    values = rows.astype(np.float64)
    number = xp.searchsorted(edges, values.reshape(-1), side="right").reshape(rows.shape) - 1
    number = xp.where(values == edges[-1], bins - 1, number)  # NaNs are behind all edges
    number = xp.where((number < 0) | (number >= bins), bins, number) + xp.arange(len(rows))[:, None] * (bins + 1)
    counts = xp.bincount(number.reshape(-1), minlength=len(rows) * (bins + 1))
    table[places] += _on_host(counts, device).reshape(len(rows), bins + 1)[:, :bins]


def less(rows: Any, edge: np.float64, device: Device) -> np.ndarray:
    """How many elements of each row are less than a number. int64 (n,)."""
    return _on_host((rows < edge).sum(axis=1), device).astype(np.int64)


def tally(rows: Any, counts: np.ndarray, device: Device) -> None:
    """Add to counts, int64 (n, 256 or 65536), how often each row has each pattern."""
    if not device.gpu and (library := native.library()) is not None:
        library.gpuzarr_tally(rows.dtype.itemsize, *rows.shape, address(rows), address(counts))
        return
    xp, patterns = device.xp, counts.shape[1]
    number = rows.astype(np.int64) + xp.arange(len(rows))[:, None] * patterns
    counts += _on_host(xp.bincount(number.reshape(-1), minlength=counts.size), device).reshape(counts.shape)


def equal(rows: Any, value: Any, device: Device) -> np.ndarray:
    """How many elements of each row equal a value, NaN being equal to NaN. int64 (n,)."""
    same = rows != rows if value != value else rows == value
    if not device.gpu and rows.shape[1] > MANY_ELEMENTS:
        return np.array([np.count_nonzero(row) for row in same], np.int64)  # several times as fast as a sum
    return _on_host(same.sum(axis=1), device).astype(np.int64)


def _on_host(values: Any, device: Device) -> np.ndarray:
    return device.download(values) if device.gpu else np.asarray(values)
