"""Single elements of chunks: what a pointwise selection wants of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import Boxes
from gpuzarr.dtypes.cast import Cast, made
from gpuzarr.empty_chunk import element
from gpuzarr.metadata import Axis


@dataclass(frozen=True)
class ChunkPoints:
    """Single elements of chunks.

    Element i is at `inside` (an index array for each axis) of chunk `coords[chunk[i]]`, and at `outside[i]` of the flat
    result.
    """

    coords: np.ndarray
    chunk_shape: tuple[int, ...]
    chunk: np.ndarray
    inside: tuple[np.ndarray, ...]
    outside: np.ndarray

    def __len__(self) -> int:
        return len(self.coords)

    def split(self, most: int) -> Iterator[ChunkPoints]:
        """Points of at most `most` chunks each."""
        if len(self) <= most:
            yield self
            return
        order = np.argsort(self.chunk, kind="stable")
        for first in range(0, len(self), most):
            a, b = np.searchsorted(self.chunk, (first, first + most), sorter=order)
            yield self._some(order[a:b], slice(first, first + most), self.chunk[order[a:b]] - first)

    def _some(self, which: np.ndarray, coords: Any, chunk: np.ndarray) -> ChunkPoints:
        inside = tuple(i[which] for i in self.inside)
        return ChunkPoints(self.coords[coords], self.chunk_shape, chunk, inside, self.outside[which])

    def destination(self, out: Any) -> None:
        """None: points are never contiguous chunks."""
        return None

    def in_one_piece(self, shape: tuple[int, ...]) -> bool:
        return False

    def some(self, numbers: np.ndarray) -> np.ndarray:
        """Coordinates of the chunks with these numbers, int64 (n, ndim)."""
        return self.coords[numbers]

    @property
    def sliced(self) -> bool:
        return False

    def boxes(self, strides: tuple[int, ...], results: Sequence[tuple[int, ...]]) -> Boxes:
        """A box of each chunk, whose points are a list. `strides`: bytes from element to element along each axis of a
        chunk; and, in `results`, along the flat result."""
        ((item,),) = results
        order, counts = np.argsort(self.chunk, kind="stable"), np.bincount(self.chunk, minlength=len(self))
        sources = sum([i * step for i, step in zip(self.inside, strides, strict=True)])
        entries = np.stack([np.asarray(sources), self.outside * item], axis=1)[order]
        none, extents = np.zeros(len(self), np.int64), np.ones((len(self), len(strides)), np.int64)
        lists = -extents
        extents[:, 0], lists[:, 0] = counts, np.cumsum(counts) - counts
        steps = np.full_like(extents, item)
        each = np.arange(len(self))
        return Boxes(each, none, none, none, each, extents, steps, steps, lists, entries)

    def place(self, batch: Any, out: Any, xp: Any, cast: Cast | None = None) -> None:
        """Copy the points of the chunks, a batch (n, *chunk_shape), to their places in `out`; cast, on a CPU."""
        flat = out.reshape(-1)
        inside = (xp.asarray(i) for i in (self.chunk, *self.inside))
        flat[xp.asarray(self.outside)] = made(batch[tuple(inside)], cast)

    @property
    def whole(self) -> bool:
        return False

    def covers(self, axes: tuple[Axis, ...]) -> bool:
        """False: a mask that covers whole chunks is not detected."""
        return False

    def gather(self, value: Any, batch: Any, xp: Any) -> None:
        """Copy the flat `value` into a batch (n, *chunk_shape); the last value of a repeated point wins."""
        inside = (xp.asarray(i) for i in (self.chunk, *self.inside))
        batch[tuple(inside)] = value[xp.asarray(self.outside)]

    @property
    def span(self) -> tuple[int, int]:
        """First and last wanted element of a chunk, numbered in C order. Only for one chunk."""
        numbers = np.ravel_multi_index(self.inside, self.chunk_shape) if self.inside else np.zeros(1, np.int64)
        return int(numbers.min()), int(numbers.max())

    def present(self, present: np.ndarray) -> list[ChunkPoints]:
        """Points of the chunks where `present` is True."""
        number = np.cumsum(present) - 1
        which = np.flatnonzero(present[self.chunk])
        return [self._some(which, present, number[self.chunk[which]])] if len(which) else []

    def fill(self, out: Any, value: Any, xp: Any) -> None:
        """Set the points of `out` to one value."""
        out.reshape(-1)[xp.asarray(self.outside)] = element(value, out.dtype)
