"""Boxes of one shape, many at once, in an array whose chunks all have one shape: by the C library."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import prod

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address
from gpuzarr.cpu.boxes import MAX_AXES


class _Table(ctypes.Structure):
    """`Corners` of gpuzarr/native/corners.c."""

    _fields_ = (
        ("axes", ctypes.c_int64),
        ("item", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("extents", "chunk", "grid", "starts")),
    )


class CornerBoxes:
    """Boxes of `shape` that begin at elements `starts`, int64 (n, ndim), of an array with chunks of `chunk_shape`, so
    many along each axis of `grid`. Elements have `item` bytes."""

    def __init__(
        self, starts: np.ndarray, shape: Sequence[int], chunk_shape: Sequence[int], grid: Sequence[int], item: int
    ) -> None:
        self.starts = np.ascontiguousarray(starts, np.int64)
        numbers = ctypes.c_int64 * len(shape)
        self._held = numbers(*shape), numbers(*chunk_shape), numbers(*grid)
        extents, chunk, count = map(ctypes.addressof, self._held)
        self._table = _Table(len(shape), item, extents, chunk, count, address(self.starts))
        self._at = ctypes.addressof(self._table)
        self.nbytes = prod(shape) * item  # of a box

    def __len__(self) -> int:
        return len(self.starts)

    def touched(self, edges: np.ndarray) -> list[np.ndarray]:
        """The numbers of the chunks that groups of boxes touch, counted in C order, int64, ascending and each once.
        `edges`: the first box of each group, and the end of the last one, int64 (groups + 1,)."""
        touched, groups, where = native.library().gpuzarr_touched, len(edges) - 1, address(edges)
        numbers = np.empty(touched(self._at, groups, where, None, None), np.int64)
        counts = np.empty(groups, np.int64)
        touched(self._at, groups, where, address(numbers), address(counts))
        return np.split(numbers, np.cumsum(counts))[:-1]

    def cut(
        self,
        run: tuple[int, int],
        chunks: tuple[np.ndarray, np.ndarray],
        target: int,
        places: np.ndarray | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        """Copy a run of boxes, first and last + 1, out of chunks: their numbers, ascending, and the addresses of their
        elements, which lie in C order; int64 (n,) each.

        Boxes lie side by side from the address `target` on: one after another, or each in its place of `places`, int64
        (boxes of the run,). `part`: its number, and of how many equal parts of the work. KeyError where a chunk is not
        there.
        """
        numbers, addresses = chunks
        where = None if places is None else address(places)
        cut = native.library().gpuzarr_cut
        if cut(self._at, *run, where, len(numbers), address(numbers), address(addresses), target, *part):
            raise KeyError("a chunk of which boxes want some is not there")


def countable(shape: Sequence[int]) -> bool:
    """Whether the C library is there, and has room for so many axes."""
    return 0 < len(shape) <= MAX_AXES and native.library() is not None
