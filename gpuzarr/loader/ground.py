"""Where centres of samples may lie in a store, and what a balance array says about these places. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.loader.masses import Cells


@dataclass(frozen=True)
class Scale:
    """Where elements of a balance array lie along an axis, in elements of the first array.

    Element i begins at `i * size + shift`, and the next one where it ends.
    """

    size: float = 1.0
    shift: float = 0.0

    def first(self, place: np.ndarray) -> np.ndarray:
        """The first element whose middle does not lie before a place, int64."""
        return np.ceil((place - self.shift) / self.size - 0.5).astype(np.int64)

    def inside(self, index: np.ndarray, fraction: np.ndarray) -> np.ndarray:
        """Elements of the first array in which places within elements lie, int64."""
        return np.floor((index + fraction) * self.size + self.shift).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Ground:
    """Where the centres of samples may lie in a store.

    `array`: the balance array, to be read on a CPU. `axes`, `scales`: of it, along each axis of samples; of its other
    axes all elements count. `start`, `stop`: the elements of the first array that samples may have, along each axis.
    """

    array: Any
    axes: tuple[int, ...]
    scales: tuple[Scale, ...]
    start: tuple[int, ...]
    stop: tuple[int, ...]

    def cells(self, block: Sequence[int], first: int) -> Cells:
        """The blocks, of this shape in elements of the first array; `first` is the number of the first one."""
        edges = [np.array([0, length]) for length in self.array.shape]
        for axis, scale, start, stop, size in zip(self.axes, self.scales, self.start, self.stop, block, strict=True):
            inner = np.arange(start // size + 1, -(-stop // size)) * size
            found = scale.first(np.concatenate([[start], inner, [stop]]))
            edges[axis] = np.clip(found, 0, self.array.shape[axis])
        return Cells(self.array, tuple(edges), first)

    def centres(self, at: Sequence[np.ndarray], words: np.ndarray) -> np.ndarray:
        """An element of the first array in each of some elements of the balance array, int64 (n, axes).

        `at`: their indices along each axis of the balance array. `words`: random numbers from 0 to 1 (n, axes), which
        say where in elements that are larger.
        """
        along = zip(self.axes, self.scales, words.T, strict=True)
        found = np.stack([scale.inside(at[axis], word) for axis, scale, word in along], axis=1)
        return np.clip(found, self.start, np.subtract(self.stop, 1))
