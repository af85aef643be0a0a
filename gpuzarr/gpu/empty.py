"""Which chunks of a batch hold nothing but the fill value: those are not written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.gpu.tables import THREADS, grid

_PATTERN = 16  # bytes, of which every element's size is a divisor


def is_empty_on_gpu(batch: Any, fill_value: Any, device: Device) -> Callable[[], np.ndarray]:
    """Whether each chunk of `batch` (n, *shape), on a GPU, is the fill value bit for bit; bool of the host, (n,).

    So a chunk of -0.0 is not one of 0.0, and NaNs are the same only if their bits are. The comparison is launched now;
    the function that is returned waits for it.
    """
    count, dtype = len(batch), np.dtype(batch.dtype)
    if not batch.size:
        return lambda: np.ones(count, bool)
    rows = device.xp.ascontiguousarray(batch).reshape(-1).view(np.uint8)
    pattern = np.full(_PATTERN // dtype.itemsize, fill_value, dtype).view(np.uint8)
    differs = device.empty(4 * count).view(np.uint32)
    differs.fill(0)
    size = len(rows) // count
    arguments = (rows, np.uint64(size), device.upload(pattern), differs, np.uint32(count))
    device.kernel("fill.cu", "fill_differs")(grid(np.full(count, size)), (THREADS,), arguments)
    found = device.download_async(differs)
    return lambda: np.asarray(found() == 0)
