"""Arrays of which the loader holds chunks.

An array that several views want, or that is there under several names, is one source: its chunks are held once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, starmap
from math import prod
from typing import Any

import numpy as np

from gpuzarr.cpu.corners import CornerBoxes, countable
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError
from gpuzarr.indexing.axis import starts_of
from gpuzarr.loader.contract import Corners, View
from gpuzarr.metadata import Axis, RegularAxis
from gpuzarr.nodes.casting import result
from gpuzarr.nodes.many import same_arrays

MAX_CHUNKS = 2**63 - 1  # of an array, whose numbers are int64
Form = tuple[int, tuple[int, ...], np.dtype[Any]]  # of slots: id of the device, shape, dtype


@dataclass(frozen=True, eq=False)
class Source:
    """An array of which chunks are held, and the device that decodes them."""

    array: Any
    device: Device

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The grid of its innermost chunks."""
        axes: tuple[Axis, ...] = self.array.layout.axes
        return axes

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """Chunks along each axis."""
        return tuple(axis.count for axis in self.axes)

    @cached_property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of a slot, which any chunk fits."""
        return tuple(map(longest, self.axes))

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    @property
    def form(self) -> Form:
        """What is equal for arrays whose chunks may be held in each other's slots."""
        return id(self.device), self.chunk_shape, self.dtype

    @cached_property
    def chunk_bytes(self) -> int:
        """Bytes of a slot."""
        return prod(self.chunk_shape) * int(self.dtype.itemsize)

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Bytes from element to element along each axis of a slot."""
        item, shape = int(self.dtype.itemsize), self.chunk_shape
        return tuple(prod(shape[axis + 1 :]) * item for axis in range(len(shape)))

    def numbers(self, coords: np.ndarray) -> np.ndarray:
        """The numbers of chunks at `coords`, int64 (n, ndim)."""
        if not self.grid:
            return np.zeros(len(coords), np.int64)
        return np.ravel_multi_index(tuple(coords.T), self.grid).astype(np.int64, copy=False)

    def coords(self, numbers: np.ndarray) -> np.ndarray:
        """Their coordinates, int64 (n, ndim)."""
        if not self.grid:
            return np.zeros((len(numbers), 0), np.int64)
        return np.stack(np.unravel_index(numbers, self.grid), axis=1).astype(np.int64, copy=False)

    @cached_property
    def is_regular(self) -> bool:
        """Whether all chunks are equally large, and have an axis."""
        return bool(self.axes) and all(isinstance(axis, RegularAxis) for axis in self.axes)

    def boxes(self, corners: Corners) -> CornerBoxes | None:
        """Boxes for the C library; None where it cannot work on them."""
        starts, shape = corners
        item = int(self.dtype.itemsize)
        if not self.is_regular or not countable(shape):
            return None
        return CornerBoxes(starts, shape, self.chunk_shape, self.grid, item)

    def touched(self, corners: Corners, edges: np.ndarray) -> list[np.ndarray]:
        """The numbers of the chunks that groups of boxes touch, ascending and each once, where all chunks are equally
        large. `edges`: the first box of each group, and the end of the last one, int64 (groups + 1,)."""
        if (boxes := self.boxes(corners)) is not None:
            return boxes.touched(edges)
        of, coords = self.covered(corners)
        groups = pairwise(np.searchsorted(of, edges).tolist())
        return [np.unique(self.numbers(coords[a:b])) for a, b in groups]

    def covered(self, corners: Corners) -> tuple[np.ndarray, np.ndarray]:
        """The chunks that each of some boxes touches, where all chunks are equally large: the number of the box of
        each, int64 (m,), ascending, and its coordinates, (m, ndim)."""
        starts, shape = corners
        size = np.array(self.chunk_shape, np.int64)
        first = starts // size
        counts = (starts + np.array(shape, np.int64) - 1) // size - first + 1
        totals = counts.prod(axis=1)
        of = np.repeat(np.arange(len(starts)), totals)
        number = np.arange(len(of)) - (np.cumsum(totals) - totals)[of]  # of the chunk among those of the box
        inner = np.ones_like(counts)
        inner[:, :-1] = np.cumprod(counts[:, :0:-1], axis=1)[:, ::-1]
        first, inner, counts = (np.take(each, of, axis=0) for each in (first, inner, counts))
        return of, first + number[:, None] // inner % counts

    def bounds(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First element and number of elements within the array of these chunks, int64 (n, ndim) each."""
        coords = self.coords(numbers)
        starts, sizes = np.zeros_like(coords), np.zeros_like(coords)
        for i, axis in enumerate(self.axes):
            starts[:, i], size = starts_of(axis, coords[:, i])
            sizes[:, i] = np.minimum(size, axis.length - starts[:, i])
        return starts, sizes


class Sources:
    """The sources of some views. `of[view][store]`: the number in `all` of the one that a view has in a store."""

    def __init__(self, views: Sequence[View]) -> None:
        arrays = [array for view in views for array in view.arrays]
        same = same_arrays(arrays)
        numbers: dict[Any, int] = {}
        self.all: list[Source] = []
        self.of: list[list[int]] = []
        for view in views:
            self.of.append([])
            for array, cast in zip(view.arrays, view.cast, strict=True):
                _check_grid(view.name, array)
                first, device = same[id(array)], result(array, cast)[1]
                number = numbers.setdefault((id(first), id(device)), len(numbers))
                if number == len(self.all):
                    self.all.append(Source(first, device))
                self.of[-1].append(number)


def _check_grid(name: str, array: Any) -> None:
    if (chunks := prod(axis.count for axis in array.layout.axes)) > MAX_CHUNKS:
        raise ArgumentError(f"array {name!r}, {array!r}, has {chunks} chunks: a loader can tell {MAX_CHUNKS} apart")


def longest(axis: Axis) -> int:
    """Elements of the longest chunk of an axis."""
    if isinstance(axis, RegularAxis):
        return axis.size
    return max(starmap(lambda begin, end: end - begin, pairwise(axis.edges)), default=1)
