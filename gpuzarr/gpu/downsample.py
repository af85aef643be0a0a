"""One element of the elements of each window, by a kernel for each method.

Modes and medians of large windows need their elements sorted, and memory for that: they are made part by part, each by
a few launches.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.windows import MAX, MEAN, MEDIAN, MODE, Windows

MAX_COMPARED = 64  # elements of a window, of which modes and medians are found in place
MAX_LAUNCHED = 2**32 - 1  # elements that a launch makes
MAX_ROWS_BYTES = 64 << 20  # of sorted windows at once, unless one has more
_FILE = "downsample.cu"
_THREADS = 256  # of a block, as in the kernels
_INNER = 3  # last axes with windows, along which the kernels have loops of their own


def make(values: Any, target: Any, windows: Windows, device: Device) -> None:
    """Make the elements of `target`, in C order, of windows of `values`; both have aligned elements.

    One launch; of modes and medians of more than MAX_COMPARED elements several. The host waits for nothing but the
    upload of a table.
    """
    windows = windows.folded(values.strides)
    values, target = values.reshape(windows.shape), target.reshape(windows.target_shape)
    with device.on():
        if windows.method in (MODE, MEDIAN) and windows.size > MAX_COMPARED:
            for where, whole in windows.regions():
                most = max(1, MAX_ROWS_BYTES // (whole.size * values.itemsize))
                for part in whole.parts(most):
                    _sort(values[where][part], target[windows.target_of(where)][whole.target_of(part)], whole, device)
        else:
            for part in windows.parts(MAX_LAUNCHED):
                _launch_all(values[part], target[windows.target_of(part)], windows, device)


def _launch_all(values: Any, target: Any, windows: Windows, device: Device) -> None:
    windows = windows.of(values.shape)
    columns = windows.target_shape, windows.shape, windows.factors, values.strides
    table = device.upload(np.array(columns, np.int64).T)
    several = [factor for factor in windows.factors if factor > 1]
    outer = prod(several[:-_INNER])
    addresses = np.uint64(device.address(values)), np.uint64(device.address(target))
    sizes = np.uint32(target.size), np.uint32(windows.kind)
    first = *addresses, table, np.uint32(values.ndim), np.uint32(outer), *sizes
    infinity, nan = np.uint64(windows.infinity), np.uint64(windows.nan)
    name: str
    last: tuple[Any, ...]
    if windows.method == MEAN:
        name, last = "mean", (nan,)
    elif windows.method == MODE:
        name, last = "mode", (infinity, nan, *_ignored(windows))
    elif windows.method == MEDIAN:
        name, last = "median", (infinity, nan)
    else:
        name, last = "extreme", (infinity, nan, np.uint32(windows.method == MAX))
    _launch(device, name, values.itemsize, target.size, (*first, *last))


def _sort(values: Any, target: Any, windows: Windows, device: Device) -> None:
    """The same for windows that are whole, as rows that are sorted; they take twice the memory of the part."""
    windows = windows.of(values.shape)
    item, is_mode = values.itemsize, np.uint32(windows.method == MODE)
    kind, infinity = np.uint32(windows.kind), np.uint64(windows.infinity)
    keys = device.xp.ascontiguousarray(windows.rows(values.view(f"u{item}")))
    if _shares(keys, values, device):
        keys = keys.copy()
    size = np.uint64(keys.size)
    _launch(device, "keys", item, keys.size, (np.uint64(device.address(keys)), size, kind, infinity, is_mode))
    keys = device.xp.sort(keys, axis=1)
    made = device.empty(len(keys) * item).view(f"u{item}")
    said = (
        np.uint64(device.address(keys)),
        np.uint64(device.address(made)),
        np.uint32(windows.size),
        np.uint32(len(keys)),
    )
    rule = kind, infinity, np.uint64(windows.nan), is_mode, *_ignored(windows)
    _launch(device, "runs", item, len(keys), (*said, *rule))
    target.view(f"u{item}")[...] = made.reshape(target.shape)


def _shares(made: Any, values: Any, device: Device) -> bool:
    """Return True if a contiguous array may be a view of another one: both begin at one address."""
    return device.address(made) == device.address(values)


def _ignored(windows: Windows) -> tuple[np.generic, ...]:
    return np.uint32(windows.ignored is not None), np.uint64(windows.ignored or 0)


def _launch(device: Device, name: str, item: int, count: int, args: tuple[Any, ...]) -> None:
    device.kernel(_FILE, f"downsample_{name}_{item}", item)((-(-count // _THREADS),), (_THREADS,), args)
