"""A few chunks of which each has its own part wanted: what a small region is mostly made of. Pure arithmetic.

`gpuzarr.grid` makes a box of each run of chunks that are read alike; of a region anywhere that is a box a chunk. Here
all of them are one object, and their numbers Python's own, which for so few take less time than arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import FEW
from gpuzarr.metadata import Axis, RegularAxis
from gpuzarr.selection import Outer, Points

Slices = tuple[slice, ...]


@dataclass(frozen=True)
class Cells:
    """Chunks at `numbers`: of each, `inside` is wanted and goes to `outside` of the result."""

    numbers: Sequence[tuple[int, ...]]
    chunk_shape: tuple[int, ...]
    inside: Sequence[Slices]
    outside: Sequence[Slices]

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def coords(self) -> np.ndarray:
        """Coordinates of the chunks, int64 (n, ndim)."""
        return np.array(self.numbers, np.int64)

    def take(self, which: Sequence[int]) -> Cells:
        """Some of the chunks."""
        columns = self.numbers, self.inside, self.outside
        numbers, inside, outside = [[column[i] for i in which] for column in columns]
        return Cells(numbers, self.chunk_shape, inside, outside)

    def split(self, most: int) -> Iterator[Cells]:
        for first in range(0, len(self), most):
            yield self.take(range(first, min(first + most, len(self))))

    def destination(self, out: Any) -> np.ndarray | None:
        """The byte at which each chunk begins in `out`, where every chunk, whole, lies in one piece there."""
        if not out.flags.c_contiguous or not self.in_one_piece(out.shape):
            return None
        begins = [sum([s.start * step for s, step in zip(o, out.strides, strict=True)]) for o in self.outside]
        return np.array(begins, np.int64)

    def in_one_piece(self, shape: tuple[int, ...]) -> bool:
        """Whether every chunk, whole, lies in one piece in a contiguous result of that shape."""
        one_piece = True  # so far, from the last axis on, the chunk has all of the result
        for size, n in zip(reversed(self.chunk_shape), reversed(shape), strict=True):
            if not (one_piece or size == 1):
                return False
            one_piece = one_piece and size == n
        return self.whole

    def some(self, numbers: np.ndarray) -> np.ndarray:
        """Coordinates of some of the chunks, (n, ndim)."""
        return self.coords[numbers]

    def place(self, batch: Any, out: Any, xp: Any) -> None:
        """Put the wanted part of all the chunks, batch (n, *chunk_shape), to its place in `out`."""
        for chunk, inside, outside in zip(batch, self.inside, self.outside, strict=True):
            out[outside] = chunk[inside]

    @property
    def whole(self) -> bool:
        """Whether every element of the chunks is wanted."""
        return all(s.stop - s.start == n for i in self.inside for s, n in zip(i, self.chunk_shape, strict=True))

    def present(self, there: np.ndarray) -> list[Cells]:
        """Only the chunks that are there."""
        which = np.flatnonzero(there).tolist()
        return [self.take(which)] if which else []

    def fill(self, out: Any, value: Any, xp: Any) -> None:
        for outside in self.outside:
            out[outside] = value


def cells(selection: Outer | Points, axes: tuple[Axis, ...]) -> Cells | None:
    """The chunks of a region (a range of step 1 along each of the equal axes), if they are few; else None."""
    if isinstance(selection, Points) or not axes:
        return None
    runs = []
    for axis, index in zip(axes, selection.axes, strict=True):
        if not isinstance(index, range) or index.step != 1 or not isinstance(axis, RegularAxis) or not index:
            return None
        runs.append((axis.size, index.start, index.stop))
    if prod([(stop - 1) // size - start // size + 1 for size, start, stop in runs]) > FEW:
        return None
    numbers, inside, outside = zip(*[zip(*row) for row in product(*[_run(*run) for run in runs])])
    return Cells(numbers, tuple([size for size, _, _ in runs]), inside, outside)


def _run(size: int, start: int, stop: int) -> list[tuple[int, slice, slice]]:
    """The chunks of one axis that have some of the elements `start` to `stop`: number, inside, outside."""
    found = []
    for number in range(start // size, (stop - 1) // size + 1):
        begin = number * size
        first, last = max(start, begin), min(stop, begin + size)
        found.append((number, slice(first - begin, last - begin), slice(first - start, last - start)))
    return found
