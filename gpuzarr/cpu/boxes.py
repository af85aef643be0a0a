"""Copy boxes of elements from chunks to results by the C library: on a CPU what `gpu/place.py` is on a GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import Boxes, address

MAX_AXES = 64
_COLUMNS = ("chunk", "begin", "target", "shape", "extents", "sources", "targets", "lists", "entries")


class _Table(ctypes.Structure):
    """`Boxes` of gpuzarr/native/place.c."""

    _fields_ = (("axes", ctypes.c_int64), ("item", ctypes.c_int64), *((name, ctypes.c_void_p) for name in _COLUMNS))


class Placement:
    """Boxes of chunks and their places in results, whose memory it keeps."""

    def __init__(self, boxes: Boxes, item: int, results: Sequence[np.ndarray]) -> None:
        base = np.array([address(out) for out in results], np.int64)
        columns = {name: np.ascontiguousarray(getattr(boxes, name), np.int64) for name in _COLUMNS}
        columns["target"] = columns["target"] + base[boxes.result]
        addresses = {name: address(column) for name, column in columns.items()}
        addresses["lists"] *= len(boxes.entries) > 0
        self.chunk = columns["chunk"]  # of each box, in ascending order
        self._held, self._count = (columns, results), len(boxes.chunk)
        self._table = _Table(boxes.extents.shape[1], item, **addresses)
        self._place, self.at = native.library().gpuzarr_place, ctypes.addressof(self._table)

    def place(self, addresses: np.ndarray) -> None:
        """Copy the boxes of all chunks, whose elements begin at these addresses, int64; 0: the chunk is not there."""
        self.place_some(addresses, (0, self._count))

    def place_some(self, addresses: np.ndarray, run: tuple[int, int]) -> None:
        """Copy a run of the boxes, first and last + 1, as `place`."""
        self._place(self.at, *run, 0, address(addresses))

    def runs(self, nbytes: int) -> list[tuple[int, int]]:
        """All boxes in runs of about so many bytes, or of one box: for several threads, and so that an interrupt need
        not wait for long."""
        columns, _ = self._held
        sizes = columns["extents"].prod(axis=1) * self._table.item
        ends = np.cumsum(sizes[columns["shape"]])
        heads = np.searchsorted(ends, np.arange(0, ends[-1], max(nbytes, 1)), "right") if self._count else ends
        return list(pairwise([*dict.fromkeys(heads.tolist()), self._count]))

    def place_one(self, chunk: np.ndarray, number: int, begin: int, end: int) -> None:
        """Copy the boxes `begin` to `end - 1`, all of them of one chunk, which has this number."""
        self._place(self.at, begin, end, number, ctypes.byref(ctypes.c_int64(address(chunk))))


def placement(
    part: Any, results: Sequence[np.ndarray], dtype: np.dtype[Any], strides: tuple[int, ...]
) -> Placement | None:
    """How to place what `part` wants of chunks of this dtype, whose elements are so many bytes apart along each axis.

    None where NumPy has to do it: without the C library, and for elements that are more than bytes.
    """
    if native.library() is None or dtype.hasobject or not 0 < len(strides) <= MAX_AXES:
        return None
    if any(out.dtype != dtype for out in results):
        return None
    return Placement(part.boxes(strides, [out.strides for out in results]), dtype.itemsize, results)
