"""Rows of arrays, as the loader wants them: thousands in one selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gpuzarr.dtypes.cast import Cast
from gpuzarr.indexing.selection import Outer
from gpuzarr.loader.contract import Corners
from gpuzarr.loader.space.view_axes import RowAxis, Whole

_ALL = slice(None)


@dataclass(frozen=True, eq=False)
class RowsView:
    """Rows of an array. A `View`. All rows of a batch are one selection."""

    name: str
    arrays: Sequence[Any]
    cast: Sequence[Cast | None]
    dtype: np.dtype[Any]
    pad_value: Any
    axes: tuple[Whole | RowAxis, ...]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of a sample."""
        return tuple([axis.kept for axis in self.axes if axis.kept is not None])

    @cached_property
    def _place(self) -> int:
        return next(i for i, axis in enumerate(self.axes) if isinstance(axis, RowAxis))

    @property
    def _rows(self) -> RowAxis:
        found = self.axes[self._place]
        assert isinstance(found, RowAxis)
        return found

    def selections(self, store: int, origins: np.ndarray) -> list[Outer]:
        """All rows at once; where a window is along another axis than the first, for each of its offsets."""
        return [Outer(self._with(rows.index(origins))) for rows in self._parts]

    def _with(self, index: range | np.ndarray) -> tuple[range | np.ndarray, ...]:
        return tuple([axis.elements if isinstance(axis, Whole) else index for axis in self.axes])

    @cached_property
    def _parts(self) -> list[RowAxis]:
        """The rows of each selection: those of one sample must lie beside each other in the target's memory."""
        rows = self._rows
        if self._place == 0 or rows.offsets is None:
            return [rows]
        return [replace(rows, offsets=(offset,)) for offset in rows.offsets]

    def targets(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        """Where the rows are in `out`."""
        place = self._place
        if self._rows.offsets is None:
            return [_moved(out, place)]
        if place == 0:
            return [out.reshape((out.shape[0] * out.shape[1], *out.shape[2:]))]
        before = (_ALL,) * (place + 1)
        return [_moved(out[(*before, i)], place) for i in range(len(self._rows.offsets))]

    def corners(self, store: int, origins: np.ndarray) -> Corners | None:
        """Where the rows of each sample begin, if they follow each other; or each row, along the first axis."""
        rows, place = self._rows, self._place
        if rows.first is not None:
            begin, kept = origins[:, rows.column] + rows.first, rows.kept or 1
        elif place == 0:
            begin, kept = np.asarray(rows.index(origins), np.int64), 1
        else:
            return None
        starts = np.empty((len(begin), len(self.axes)), np.int64)
        starts[:] = [axis.elements.start if isinstance(axis, Whole) else 0 for axis in self.axes]
        starts[:, place] = begin
        return starts, tuple([len(axis.elements) if isinstance(axis, Whole) else kept for axis in self.axes])

    def padding(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        """Nothing: all rows are in the array."""
        return []


def _moved(array: Any, place: int) -> Any:
    """A view with the first axis at another place."""
    return array.transpose((*range(1, place + 1), 0, *range(place + 1, array.ndim)))
