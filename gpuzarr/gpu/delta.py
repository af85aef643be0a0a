"""Delta and its inverse on the GPU: kernels/delta.cu, delta_floats.cu and delta_write.cu."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.on_gpu import fits_gpu
from gpuzarr.gpu.tables import THREADS

KERNELS = (("delta.cu", "delta_4", None), ("delta_floats.cu", "delta_floats_4_4", None))  # one of each file
_KINDS = {"b": 0, "u": 1, "i": 2}  # of kernels/numbers.cuh
_WARP = 32  # threads
_BLOCKS = 1056  # of threads, that a GPU has room for
_TILE = 4096  # elements: segments are multiples
_MAX_ROWS = 65535  # of a grid in y


def why_host(dtype: np.dtype, astype: np.dtype) -> str | None:
    """Why a GPU cannot compute with elements of `dtype` whose differences are stored as `astype`; None if it can."""
    integers = dtype.kind in _KINDS and astype.kind in _KINDS
    sizes = {dtype.itemsize, astype.itemsize}
    floats = dtype.kind == astype.kind and dtype.kind in "fc" and (len(sizes) == 1 or 2 not in sizes)
    if (integers or floats) and fits_gpu(dtype.newbyteorder("=")) and fits_gpu(astype.newbyteorder("=")):
        return None
    return f"delta of {dtype} as {astype} is not written for the GPU"


def decode(chunks: Any, dtype: np.dtype, device: Device) -> Any:
    """The running sums of each chunk, in C order, as elements of `dtype`: their bytes, uint8 (m,).

    `chunks`: differences, (n, ...), of a dtype for which `why_host` is None. Integers wrap, bools are xored; floats are
    added one after another.
    """
    given, astype = _bytes(chunks, device), np.dtype(chunks.dtype)
    count, elements = len(chunks), prod(chunks.shape[1:])
    made = device.empty(count * elements * dtype.itemsize)
    if len(made) and dtype.kind in "fc":
        parts = 2 if dtype.kind == "c" else 1
        name = f"delta_floats_{astype.itemsize // parts}_{dtype.itemsize // parts}"
        arguments = (given, np.uint64(elements * parts), np.uint32(parts), made, np.uint32(count))
        device.kernel("delta_floats.cu", name)((count,), (_WARP,), arguments)
    elif len(made):
        _scan(given, count, elements, astype, made, dtype, device)
    return made


def _scan(given: Any, count: int, elements: int, astype: np.dtype, made: Any, dtype: np.dtype, device: Device) -> None:
    is_bool = dtype.kind == "b"
    wanted = min(-(-_BLOCKS // count), -(-elements // (2 * _TILE)), _MAX_ROWS)
    segment = -(-elements // (wanted * _TILE)) * _TILE
    shape = count, -(-elements // segment)
    kind = np.uint32(_KINDS["b" if is_bool else astype.kind])
    of_chunks = np.uint64(elements), np.uint64(segment), kind
    sums = device.empty(8 * shape[0] * shape[1]).view(np.uint64)
    if shape[1] > 1:
        arguments = (given, *of_chunks, sums, np.uint32(count))
        device.kernel("delta.cu", f"delta_sums_{astype.itemsize}")(shape, (THREADS,), arguments)
    mask = np.uint64(1 if is_bool else 2**64 - 1)
    last = made, np.uint32(dtype.itemsize), mask, np.uint32(count)
    device.kernel("delta.cu", f"delta_{astype.itemsize}")(shape, (THREADS,), (given, *of_chunks, sums, *last))


def encode(values: Any, dtype: np.dtype, astype: np.dtype, device: Device) -> Any:
    """The differences of elements of each chunk, in C order, as `astype`: their bytes, uint8 (m,).

    `values`: (n, ...), whose bytes are elements of `dtype`.
    """
    given, count = _bytes(values, device), len(values)
    elements = given.nbytes // max(count, 1) // dtype.itemsize
    made = device.empty(count * elements * astype.itemsize)
    if not len(made):
        return made
    if dtype.kind in "fc":
        parts = 2 if dtype.kind == "c" else 1
        numbers, name = elements * parts, f"floats_{dtype.itemsize // parts}_{astype.itemsize // parts}"
        arguments: Any = (given, np.uint64(numbers), np.uint32(parts), made)
    else:
        numbers, name, kind = elements, str(dtype.itemsize), np.uint32(_KINDS[dtype.kind])
        last = np.uint32(astype.itemsize), np.uint32(astype.kind == "b")
        arguments = (given, np.uint64(numbers), kind, made, *last)
    rows = min(-(-numbers // (8 * THREADS)), _MAX_ROWS)
    device.kernel("delta_write.cu", f"delta_write_{name}")((count, rows), (THREADS,), (*arguments, np.uint32(count)))
    return made


def _bytes(batch: Any, device: Device) -> Any:
    """The bytes of a batch in C order, uint8 (m,): a view where it is contiguous."""
    return device.xp.ascontiguousarray(batch).reshape(-1).view(np.uint8)
