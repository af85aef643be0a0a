"""One element of the elements of each window, by the C library; where that is missing, by functions of NumPy."""

from __future__ import annotations

import ctypes
from itertools import pairwise
from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address
from gpuzarr.dtypes.windows import FLOAT16, MAX, MEAN, MEDIAN, MIN, MODE, SIGNED, UNSIGNED, Windows

UNIT_WINDOWS = 4096  # UNIT of gpuzarr/native/downsample.c
MAX_COMPARED = 64  # elements of a window of which modes and medians need no scratch
PIECE_BYTES = 1 << 20  # of the source, that a thread takes at once
MIN_ROW = 16  # elements, that are worth a loop
_NUMBERS = ("method", "kind", "item", "axes", "inner", "has_ignored", "ignored", "infinity", "nan")
_ADDRESSES = ("shape", "from_", "to", "factors", "source", "target")


class _Table(ctypes.Structure):
    """`Windows` of gpuzarr/native/downsample.c."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in _NUMBERS),
        *((name, ctypes.c_void_p) for name in _ADDRESSES),
    )


def make(values: np.ndarray, target: np.ndarray, windows: Windows, device: Any) -> None:
    """Make the elements of `target`, in C order, of windows of `values`, on the device's threads.

    Both are of the windows' kind, in native byte order; `values` has aligned elements.
    """
    windows = windows.folded(values.strides)
    values, target = values.reshape(windows.shape), target.reshape(windows.target_shape)
    library = native.library()
    if library is None:
        for where, whole in windows.regions():
            made = _made(whole.rows(values[where]), whole)
            target[windows.target_of(where)] = made.reshape(whole.target_shape)
        return
    axes, inner, ignored = values.ndim, _inner(values.strides, windows), windows.ignored
    numbers = ctypes.c_int64 * axes
    held = [numbers(*row) for row in (windows.shape, values.strides, target.strides, windows.factors)]
    said = windows.method, windows.kind, values.itemsize, axes, inner, ignored is not None, ignored or 0
    rows = map(ctypes.addressof, held)
    table = _Table(*said, windows.infinity, windows.nan, *rows, address(values), address(target))
    has_scratch = windows.method in (MODE, MEDIAN) and windows.size > MAX_COMPARED

    def work(part: tuple[int, int]) -> None:
        scratch = np.empty(2 * windows.size if has_scratch else 0, f"u{values.itemsize}")
        library.gpuzarr_downsample(ctypes.addressof(table), *part, address(scratch))

    count = target.size // target.shape[inner] * -(-target.shape[inner] // UNIT_WINDOWS)
    each = max(1, PIECE_BYTES * count // max(values.nbytes, 1))
    device.each(work, list(pairwise([*range(0, count, each), count])))


def _inner(strides: tuple[int, ...], windows: Windows) -> int:
    """The axis along which the loops run: one whose elements are near each other, and of which there are many.

    Means of floats are sums in C order, so it is not before another axis with windows.
    """
    axes = range(len(strides))
    if windows.method == MEAN and windows.kind >= FLOAT16:
        axes = range(max((axis for axis in axes if windows.factors[axis] > 1), default=0), len(strides))
    long = [axis for axis in axes if windows.shape[axis] >= MIN_ROW and strides[axis]]
    if long:
        return min(reversed(long), key=lambda axis: abs(strides[axis]))
    return max(axes, key=lambda axis: windows.shape[axis])


def _made(rows: np.ndarray, windows: Windows) -> np.ndarray:
    """What is made of each row of a matrix."""
    if windows.method == MEAN:
        with np.errstate(all="ignore"):
            return _float_means(rows) if windows.kind >= FLOAT16 else _means(rows)
    keys = _keys(rows, windows)
    if windows.method in (MAX, MIN):
        found = keys.max(axis=1) if windows.method == MAX else keys.min(axis=1)
    else:
        keys.sort(axis=1)
        found = _modes(keys, windows) if windows.method == MODE else _medians(keys, windows)
    return _elements(found, windows).view(rows.dtype)


def _float_means(rows: np.ndarray) -> np.ndarray:
    work = np.dtype(np.float32) if rows.dtype.itemsize == 2 else rows.dtype
    sums = np.zeros(len(rows), work)
    for column in rows.T:
        sums += column.astype(work)
    sums /= work.type(rows.shape[1])
    sums[np.isnan(sums)] = np.nan
    made = sums.astype(rows.dtype)
    if work != rows.dtype:  # of which the library of a dtype chooses a NaN
        made.view(np.uint16)[np.isnan(sums)] = np.full(1, np.nan, np.float32).astype(rows.dtype).view(np.uint16)
    return made


def _means(rows: np.ndarray) -> np.ndarray:
    """Sums are exact: those of 64 bits as the sums of their halves, which are divided one after the other."""
    count = rows.shape[1]
    if rows.dtype.itemsize < 8:
        quotient, rest = np.divmod(rows.sum(axis=1, dtype=np.int64), count)
    else:
        high = (rows >> rows.dtype.type(32)).sum(axis=1)
        low = (rows & rows.dtype.type(0xFFFF_FFFF)).sum(axis=1).astype(np.uint64)
        first, left = np.divmod(high, rows.dtype.type(count))
        low += left.astype(np.uint64) << np.uint64(32)
        second, rest = np.divmod(low, np.uint64(count))
        quotient = (first.astype(np.uint64) << np.uint64(32)) + second
    is_odd = (quotient & quotient.dtype.type(1)) == 1
    quotient += (2 * rest > count) | ((2 * rest == count) & is_odd)
    return quotient.astype(rows.dtype)


def _none(windows: Windows, dtype: np.dtype[Any]) -> int | None:
    """The key of NaNs; None for integers, which have none."""
    if windows.kind < FLOAT16:
        return None
    return int(np.iinfo(dtype).min if windows.method == MAX else np.iinfo(dtype).max)


def _keys(rows: np.ndarray, windows: Windows) -> np.ndarray:
    """Integers in the order of the elements. Of floats see gpuzarr/native/ranks.h."""
    if windows.kind in (UNSIGNED, SIGNED):
        return rows.view(f"{'ui'[windows.kind]}{rows.itemsize}").copy()
    bits = rows.view(f"i{rows.itemsize}")
    sizes = np.iinfo(bits.dtype).max
    keys = _elements_of_keys(bits)
    keys[(bits & sizes) > windows.infinity] = _none(windows, bits.dtype)
    if windows.method == MODE:
        keys[keys == -1] = 0
    return keys


def _elements_of_keys(keys: np.ndarray) -> np.ndarray:
    """Bits of floats of their keys, and keys of bits."""
    return keys ^ ((keys >> (8 * keys.itemsize - 1)) & np.iinfo(keys.dtype).max)


def _elements(keys: np.ndarray, windows: Windows) -> np.ndarray:
    none = _none(windows, keys.dtype)
    return keys if none is None else np.where(keys == none, keys.dtype.type(windows.nan), _elements_of_keys(keys))


def _modes(keys: np.ndarray, windows: Windows) -> np.ndarray:
    """Of sorted rows: the first key of the longest run of those that count; the first of all where none counts."""
    counts = np.ones(keys.shape, bool)
    if windows.ignored is not None:
        counts &= keys != _keys(np.array([windows.ignored], f"u{keys.itemsize}"), windows)
    if windows.kind >= FLOAT16:
        counts &= keys != _none(windows, keys.dtype)
    found, most, run = keys[:, 0].copy(), counts[:, 0].astype(np.int64), np.ones(len(keys), np.int64)
    for i in range(1, keys.shape[1]):
        run = np.where(keys[:, i] == keys[:, i - 1], run + 1, 1)
        is_better = (run > most) & counts[:, i]
        found[is_better], most[is_better] = keys[is_better, i], run[is_better]
    return found


def _medians(keys: np.ndarray, windows: Windows) -> np.ndarray:
    none = _none(windows, keys.dtype)
    numbers = (keys != none).sum(axis=1) if none is not None else np.full(len(keys), keys.shape[1])
    return np.take_along_axis(keys, np.maximum(numbers - 1, 0)[:, None] // 2, axis=1)[:, 0]
