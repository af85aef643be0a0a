"""Find empty chunks, whose elements all are the fill value, bit for bit: they need not be stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.checks import utf8

_PIECE = 1 << 12  # elements that are compared at once, so that most comparisons end early


def element(value: Any, dtype: np.dtype) -> Any:
    """A value as it is assigned to many elements: NumPy would spread the members of a list over an array of objects.

    MetadataError for a text, from a document, that strings cannot hold.
    """
    if dtype.kind != "O":
        return utf8(value, "the fill value") if dtype.kind == "T" and isinstance(value, str) else value
    made = np.empty((), object)
    made[()] = value
    return made


def is_empty(batch: np.ndarray, fill_value: Any) -> np.ndarray:
    """Compare the chunks of a batch with the fill value, bit for bit: bool (n,), True for empty chunks.

    NaNs are equal only if their bits are, and -0.0 differs from 0.0.
    """
    n, dtype = len(batch), batch.dtype
    if not batch.size or (fill_value is None and dtype.kind != "O"):
        return np.zeros(n, bool)
    if dtype.hasobject or dtype.kind == "T":
        return np.array([_all_same(chunk, fill_value) for chunk in batch.reshape(n, -1)], bool)
    rows, fill = _bits(batch), _bits(np.full((1, 1), fill_value, dtype))[0, 0]
    found = ((rows[:, 0] == fill) & (rows[:, -1] == fill)).reshape(n, -1).all(axis=1)
    for i in np.flatnonzero(found):
        found[i] = all((rows[i, a : a + _PIECE] == fill).all() for a in range(0, rows.shape[1], _PIECE))
    return found


def empty_test(dtype: np.dtype, fill_value: Any) -> Callable[[np.ndarray], bool]:
    """Make a function that tells whether a C-contiguous chunk is empty; with no fill value (None) none is."""
    if fill_value is None:
        return lambda chunk: False
    fill, item = np.full(1, fill_value, dtype).tobytes(), dtype.itemsize

    def test(chunk: np.ndarray) -> bool:
        data = memoryview(chunk.reshape(-1).view(np.uint8))
        return data[:item] == fill and data[-item:] == fill and bool(is_empty(chunk[None], fill_value)[0])

    return test


def _bits(batch: Any) -> Any:
    """View elements as integers, (n, elements); those of other sizes as bytes, with one more axis."""
    size = batch.dtype.itemsize
    rows = batch.reshape(len(batch), -1)
    if not rows.flags.c_contiguous:
        rows = rows.copy()
    if size in (1, 2, 4, 8):
        return rows.view(f"u{size}")
    return rows.view(np.uint8).reshape(*rows.shape, size)


def _all_same(chunk: Any, fill_value: Any) -> bool:
    kind = type(fill_value)
    return all(type(value) is kind and np.array_equal(value, fill_value) for value in chunk.tolist())
