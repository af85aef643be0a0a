"""Find the chunks of a batch on a GPU that hold only the fill value: these are not stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.gpu.tables import THREADS, grid

_PATTERN = 16  # bytes; a multiple of the size of every element


def is_empty_on_gpu(batch: Any, fill_value: Any, device: Device) -> Callable[[], np.ndarray]:
    """Launch the comparison of each chunk of `batch` (n, *shape) with the fill value, bit for bit.

    Returns a function that waits, and returns bool (n,) on the host: True for empty chunks. -0.0 differs from 0.0, and
    NaNs are equal only if their bits are.
    """
    count, dtype = len(batch), np.dtype(batch.dtype)
    if not batch.size:
        return lambda: np.ones(count, bool)
    rows = device.xp.ascontiguousarray(batch).reshape(-1).view(np.uint8)
    pattern = np.full(_PATTERN // dtype.itemsize, fill_value, dtype).view(np.uint8)
    differs, size = device.filled(4 * count, 0).view(np.uint32), len(rows) // count
    arguments = (rows, np.uint64(size), device.upload(pattern), differs, np.uint32(count))
    device.kernel("fill.cu", "fill_differs")(grid(np.full(count, size)), (THREADS,), arguments)
    found = device.download_async(differs)
    return lambda: np.asarray(found() == 0)
