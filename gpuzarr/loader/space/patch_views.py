"""Patches of arrays, as the loader wants them: what lies beyond an array is padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpuzarr.dtypes.cast import Cast
from gpuzarr.indexing.selection import Outer
from gpuzarr.loader.contract import Corners
from gpuzarr.loader.space.view_axes import Along, RowAxis, Whole

_ALL = slice(None)


@dataclass(frozen=True, eq=False)
class PatchView:
    """Patches of an array. A `View`. Each patch is a selection.

    `pad_mode`: as of `gpuzarr.Patch`. Where it is "constant", the selections of patches that reach beyond the array are
    those of what lies in it, and a patch that lies outside has none.
    """

    name: str
    arrays: Sequence[Any]
    cast: Sequence[Cast | None]
    dtype: np.dtype[Any]
    pad_value: Any
    axes: tuple[Along, ...]
    pad_mode: str

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of a sample."""
        return tuple([axis.kept for axis in self.axes if axis.kept is not None])

    def selections(self, store: int, origins: np.ndarray) -> list[Outer]:
        """Of each patch its elements."""
        boxes = self._boxes(store, origins)
        low, high = boxes.low.tolist(), boxes.high.tolist()
        which = boxes.inside if self.pad_mode == "constant" else range(len(origins))
        found = [list[range | np.ndarray](map(range, low[i], high[i])) for i in which]
        if self.pad_mode != "constant":
            for i, axis in np.argwhere(boxes.is_cut).tolist():
                elements = int(boxes.start[i, axis]) + np.arange(boxes.sizes[axis], dtype=np.int64)
                found[i][axis] = folded(elements, int(boxes.lengths[axis]), self.pad_mode)
        for place, rows in enumerate(self.axes):
            if isinstance(rows, RowAxis):
                for number, i in enumerate(which):
                    found[number][place] = rows.index(origins[i : i + 1])
        return [Outer(tuple(axes)) for axes in found]

    def targets(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        """Where they are in `out`."""
        if self.pad_mode != "constant":
            return [self._target(out[i]) for i in range(len(origins))]
        boxes = self._boxes(store, origins)
        found = {i: self._target(out[i]) for i in boxes.inside}
        for i in found.keys() & set(boxes.cut):
            found[i] = found[i][tuple([boxes.within(i, axis) for axis in range(len(self.axes))])]
        return list(found.values())

    def corners(self, store: int, origins: np.ndarray) -> Corners | None:
        """Where they begin, and their shape with every axis of the array, if none is padded."""
        boxes = self._boxes(store, origins)
        if any(isinstance(axis, RowAxis) and axis.first is None for axis in self.axes) or boxes.is_cut.any():
            return None
        for i, axis in enumerate(self.axes):
            if isinstance(axis, RowAxis):
                boxes.start[:, i] = origins[:, axis.column] + axis.first
        return boxes.start, tuple(boxes.sizes.tolist())

    def padding(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        """The parts of patches that lie outside of the array: boxes that have nothing in common."""
        if self.pad_mode != "constant":
            return []
        boxes = self._boxes(store, origins)
        found: list[Any] = []
        for i in boxes.cut:
            target = self._target(out[i])
            for axis in np.flatnonzero(boxes.is_cut[i]).tolist():
                inside, before = boxes.within(i, axis), (_ALL,) * axis
                found += [target[(*before, part)] for part in (slice(0, inside.start), slice(inside.stop, None))]
                target = target[(*before, inside)]
        return [part for part in found if part.size]

    def _target(self, of_sample: Any) -> Any:
        """A sample with every axis of the array."""
        places = [i for i, axis in enumerate(self.axes) if axis.kept is None]
        return of_sample[((_ALL,) * places[0] + (None,))] if places else of_sample

    def _boxes(self, store: int, origins: np.ndarray) -> _Boxes:
        shape = self.arrays[store].shape
        start = np.zeros((len(origins), len(self.axes)), np.int64)
        lengths = list(shape)
        for i, axis in enumerate(self.axes):
            if isinstance(axis, RowAxis):
                lengths[i] = axis.kept or 1  # its indices take the place of these
            else:
                start[:, i] = axis.elements.start if isinstance(axis, Whole) else axis.starts(origins)
        sizes = np.array([1 if axis.kept is None else axis.kept for axis in self.axes], np.int64)
        return _Boxes(start, sizes, np.array(lengths, np.int64))


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Patches: their first elements, (n, ndim), their sizes, and the lengths of the array, (ndim,), all int64."""

    start: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray

    @cached_property
    def low(self) -> np.ndarray:
        """Where they begin in the array, (n, ndim)."""
        return np.clip(self.start, 0, self.lengths)

    @cached_property
    def high(self) -> np.ndarray:
        """Where they end in the array, (n, ndim)."""
        return np.clip(self.start + self.sizes, 0, self.lengths)

    @cached_property
    def is_cut(self) -> np.ndarray:
        """Whether they reach beyond the array along each axis, (n, ndim)."""
        return self.high - self.low < self.sizes

    @cached_property
    def cut(self) -> list[int]:
        """Those that reach beyond the array."""
        found: list[int] = np.flatnonzero(self.is_cut.any(axis=1)).tolist()
        return found

    def within(self, i: int, axis: int) -> slice:
        """The elements of a patch that lie in the array, along an axis."""
        start, size = int(self.start[i, axis]), int(self.sizes[axis])
        low, high = (min(max(int(x[i, axis]) - start, 0), size) for x in (self.low, self.high))
        return slice(low, high)

    @cached_property
    def inside(self) -> list[int]:
        """Those that have elements in the array."""
        found: list[int] = np.flatnonzero((self.low < self.high).all(axis=1)).tolist()
        return found


def folded(index: np.ndarray, length: int, mode: str) -> np.ndarray:
    """The elements that indices, of which some lie outside of an axis, mean by a mode of `numpy.pad`."""
    if mode == "edge":
        return np.clip(index, 0, length - 1)
    if mode == "wrap":
        return index % length
    period = 2 * length if mode == "symmetric" else max(2 * length - 2, 1)
    index = index % period
    return np.where(index < length, index, 2 * length - (mode == "symmetric") - 2 * (mode == "reflect") - index)
