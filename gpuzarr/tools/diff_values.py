"""Compare two arrays in blocks, on the device that holds them. NaN equals NaN, and NaT equals NaT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isnan, prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.dtypes.cast import is_float
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.parts import parts
from gpuzarr.reduce.blocks import blocks
from gpuzarr.tools.diff_report import ValueDifference

BLOCK_BYTES = 16 << 20  # of one array, on a CPU
GPU_BLOCK_BYTES = 128 << 20
AHEAD_BYTES = 256 << 20  # of each array
PIECE_ELEMENTS = 1 << 18  # of a CPU: with what is made of them, they fit a core's cache
GPU_PIECE_ELEMENTS = 1 << 25


@dataclass(frozen=True)
class Found:
    """Elements of a block that differ: how many, which is the first in C order, and the largest distance."""

    count: int
    first: int
    largest: int | float | None


def compare(a: Array, b: Array, tolerance: float, progress: Callable[[int], None]) -> ValueDifference | None:
    """Compare all elements of two arrays of one shape. None if they are equal.

    Each chunk is decoded once where both have the same chunks. `progress` is called with the elements of each block.
    """
    a, b = on_one_device(a, b)
    count, first, largest, sample = 0, (), None, ("", "")
    for box, x, y in _blocks(a, b):
        found = differing(x, y, a.device, tolerance)
        if found is not None:
            where = np.unravel_index(found.first, x.shape)
            here = tuple(int(i) + part.start for i, part in zip(where, box, strict=True))
            if not count or here < first:
                first, sample = here, (_text(x, where, a.device), _text(y, where, a.device))
            count += found.count
            largest = _larger(largest, found.largest)
        progress(prod(x.shape))
    return ValueDifference(count, a.size, largest, first, *sample) if count else None


def _blocks(a: Array, b: Array) -> Iterator[tuple[tuple[slice, ...], Any, Any]]:
    """Blocks of both arrays, read ahead, each with its place."""
    limit, xp = AHEAD_BYTES, a.device.xp
    readers = [each.reader(_boxes(a, b), memory_limit=limit) for each in (a, b)]
    with a.device.on(), readers[0] as left, readers[1] as right:
        for box, x, y in zip(_boxes(a, b), left, right, strict=True):
            yield box, *(values if np.ndim(values) else xp.asarray(values) for values in (x, y))


def on_one_device(a: Array, b: Array) -> tuple[Array, Array]:
    """Both arrays as they are if their values meet on one device and have one dtype; else both on the CPU."""
    if a.device.name == b.device.name and a.dtype == b.dtype:
        return a, b
    return Array(*parts(a, device=CPU)), Array(*parts(b, device=CPU))


def differing(a: Any, b: Any, device: Device, tolerance: float = 0) -> Found | None:
    """Compare two arrays of the device that have one shape. None if they are equal.

    `tolerance`: numbers differ if their absolute difference is more.
    """
    flat_a, flat_b = a.reshape(-1), b.reshape(-1)
    most = GPU_PIECE_ELEMENTS if device.gpu else PIECE_ELEMENTS
    count, first, largest = 0, 0, None
    for start in range(0, len(flat_a), most):
        found = _in_piece(flat_a[start : start + most], flat_b[start : start + most], device, tolerance)
        if found is not None:
            first = first if count else start + found.first
            count += found.count
            largest = _larger(largest, found.largest)
    return Found(count, first, largest) if count else None


def _in_piece(a: Any, b: Any, device: Device, tolerance: float) -> Found | None:
    mask = unequal(a, b)
    if not bool(mask.any()):
        return None
    where = device.xp.flatnonzero(mask)
    apart = distance(a[where], b[where], device.xp)
    if apart is not None and tolerance:
        kept = ~(apart <= tolerance)  # NaN is kept
        where, apart = where[kept], apart[kept]
    if not len(where):
        return None
    return Found(len(where), int(_on_host(where[:1], device)[0]), _most(apart, device))


def unequal(a: Any, b: Any) -> Any:
    """Which elements of two flat arrays differ, as bools. NaN equals NaN, NaT equals NaT, 0.0 equals -0.0."""
    if a.dtype.names is not None and a.dtype.names == b.dtype.names:
        return np.logical_or.reduce(
            [_rows(unequal(a[name].reshape(-1), b[name].reshape(-1)), a) for name in a.dtype.names]
        )
    if a.dtype.kind == "O" or b.dtype.kind == "O":
        return np.array([not _same(x, y) for x, y in zip(a, b, strict=True)], bool)
    a, b = _plain(a), _plain(b)
    if not _comparable(a.dtype, b.dtype):
        return np.ones(len(a), bool)
    mask = a != b
    if a.dtype.kind in "fcmM" and b.dtype.kind in "fcmM":
        mask &= (a == a) | (b == b)
    return mask


def distance(a: Any, b: Any, xp: Any) -> Any:
    """The absolute differences of numbers, exact for integers of one dtype; None for what has none, such as strings."""
    if a.dtype.names is not None or b.dtype.names is not None:
        return None
    a, b = _plain(a), _plain(b)
    kinds = a.dtype.kind + b.dtype.kind
    if not set(kinds) <= set("iufc"):
        return None
    common = np.result_type(a.dtype, b.dtype)
    if common.kind in "iu":
        a, b = a.astype(common), b.astype(common)
        whole = np.dtype(f"u{common.itemsize}")  # holds the difference of any two, which is right modulo its range
        return xp.maximum(a, b).astype(whole) - xp.minimum(a, b).astype(whole)
    wide = np.result_type(common, np.float64)
    with np.errstate(all="ignore"):
        return abs(a.astype(wide) - b.astype(wide))


def _boxes(a: Array, b: Array) -> Iterator[tuple[slice, ...]]:
    """The blocks in which both are read: whole chunks of the one with the larger chunks."""
    larger = max((a, b), key=lambda array: prod(array.layout.first_chunk_shape))
    most = (GPU_BLOCK_BYTES if a.device.gpu else BLOCK_BYTES) // max(a.dtype.itemsize, 1)
    for selection, _ in blocks(larger.layout, [range(length) for length in a.shape], max(most, 1)):
        yield selection


def _plain(values: Any) -> Any:
    """Numbers of a dtype that NumPy does not define (bfloat16, int4) in one that holds them exactly."""
    dtype = values.dtype
    if dtype.isbuiltin == 1 or dtype.kind in "SUTMmO" or (dtype.kind == "V" and dtype.name.startswith("void")):
        return values
    return values.astype(np.float32 if is_float(dtype) else np.int8 if not dtype.name.startswith("u") else np.uint8)


def _comparable(a: np.dtype, b: np.dtype) -> bool:
    """Whether NumPy says of elements of these dtypes which are equal: numbers with numbers, text with text."""
    if a.names is not None or b.names is not None:
        return False
    return a.kind == b.kind or any({a.kind, b.kind} <= set(kinds) for kinds in ("biufc", "UT"))


def _rows(mask: Any, of: Any) -> Any:
    """The mask of a field with several elements each, as one for each element of `of`."""
    return mask.reshape(len(of), -1).any(axis=1)


def _same(a: Any, b: Any) -> bool:
    """Whether two Python objects are the same: strings, bytes, None, numbers, or arrays of numbers."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return a.shape == b.shape and not unequal(a.reshape(-1), b.reshape(-1)).any()
    return bool(a == b) or (a != a and b != b)


def _most(apart: Any, device: Device) -> int | float | None:
    """The largest distance but NaN; None if there is none."""
    if apart is None:
        return None
    apart = apart[apart == apart]
    return _on_host(apart.max(axis=0, keepdims=True), device)[0].item() if len(apart) else None


def _larger(a: int | float | None, b: int | float | None) -> int | float | None:
    return max((value for value in (a, b) if value is not None and not isnan(value)), default=None)


def _text(values: Any, where: Any, device: Device) -> str:
    one = values.reshape(-1)[:1] if values.ndim == 0 else values[tuple(slice(i, i + 1) for i in where)]
    return str(_on_host(one, device).reshape(-1)[0])


def _on_host(values: Any, device: Device) -> np.ndarray:
    return device.download(values) if device.gpu else np.asarray(values)
