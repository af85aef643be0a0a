"""Where centres of samples may lie in a domain, and what a balance array says about these places. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpuzarr.loader.balance.masses import Cells
from gpuzarr.loader.space.alignment import Scale
from gpuzarr.loader.space.grids import Domain, Origins


@dataclass(frozen=True, eq=False)
class Balance:
    """The balance array of a store, to be read on a CPU. `axes`, `scales`: of it, along each axis of samples; None for
    an axis that it lacks: it says the same at all places. Of its other axes all elements count."""

    array: Any
    axes: tuple[int | None, ...]
    scales: tuple[Scale, ...]


@dataclass(frozen=True)
class Centres:
    """Where the centres of samples of `size` elements may lie along an axis: `start` to `stop`, in the first array."""

    origins: Origins
    size: int
    start: int
    stop: int

    @classmethod
    def of(cls, origins: Origins, size: int, start: int, stop: int) -> Centres:
        """Those among the elements of a domain that are in any sample."""
        first = max(start, origins.first)
        return cls(origins, size, first, max(min(stop, origins.last + size), first))

    @property
    def before(self) -> int:
        """A sample has its origin so many elements before its centre, or at the last place for one before that."""
        return self.size // 2 - self.origins.step // 2

    def edges(self, bounds: np.ndarray) -> np.ndarray:
        """Where blocks begin, and where the last one ends, if these are the numbers of their origins; int64."""
        inner = self.origins.first + bounds[1:-1] * self.origins.step + self.before
        return np.concatenate([[self.start], np.clip(inner, self.start, self.stop), [self.stop]])

    def origin(self, centres: np.ndarray) -> np.ndarray:
        """The origins of samples that have their centres at, or near, these elements; int64. Each sample has it."""
        numbers = (centres - self.before - self.origins.first) // self.origins.step
        return self.origins.at(np.clip(numbers, 0, self.origins.count - 1))


@dataclass(frozen=True, eq=False)
class Ground:
    """A domain and its balance array. `centres`: along each axis of samples."""

    domain: Domain
    balance: Balance
    centres: tuple[Centres, ...]

    @classmethod
    def of(cls, domain: Domain, balance: Balance, shape: Sequence[int]) -> Ground:
        """The ground of samples of this shape."""
        along = zip(domain.axes, shape, domain.start, domain.stop, strict=True)
        return cls(domain, balance, tuple(Centres.of(*one) for one in along))

    @cached_property
    def edges(self) -> tuple[np.ndarray, ...]:
        """The blocks along the axes of the balance array: `Cells.edges`."""
        of = self.balance
        edges = [np.array([0, length]) for length in of.array.shape]
        for axis, scale, centres, bounds in zip(of.axes, of.scales, self.centres, self.domain.bounds, strict=True):
            if axis is not None:
                found = _elements(scale, centres.edges(bounds)) if len(bounds) > 1 else np.zeros(1, np.int64)
                edges[axis] = np.clip(found, 0, of.array.shape[axis])
        return tuple(edges)

    @property
    def is_plain(self) -> bool:
        """Whether each block is a cell of the balance array, and their order is the same."""
        axes = [-1 if axis is None else axis for axis in self.balance.axes]
        return -1 not in axes and axes == sorted(axes)

    def cell(self, block: int, cells: Cells) -> tuple[int, int]:
        """The number of the cell of a block of the domain, and origins in the block along axes that the array lacks."""
        at = [0] * len(cells.counts)
        times = 1
        for axis, i, bounds in zip(
            self.balance.axes, np.unravel_index(block, self.domain.grid), self.domain.bounds, strict=True
        ):
            if axis is None:
                times *= int(bounds[i + 1] - bounds[i])
            else:
                at[axis] = int(i)
        return cells.first + int(np.ravel_multi_index(at, cells.counts)), times

    def blocks(self, numbers: np.ndarray, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
        """The blocks of the domain that have each of some cells, int64 (n, m), and the origins in each of these along
        axes that the array lacks, float64 (m,)."""
        at = np.unravel_index(numbers - cells.first, cells.counts)
        found, times = np.zeros((len(numbers), 1), np.int64), np.ones(1)
        for axis, bounds in zip(self.balance.axes, self.domain.bounds, strict=True):
            count = len(bounds) - 1
            if axis is None:
                found = (found[:, :, None] * count + np.arange(count)).reshape(len(numbers), -1)
                times = np.multiply.outer(times, np.diff(bounds)).reshape(-1)
            else:
                found = found * count + at[axis][:, None]
        return found, times

    def origins(self, block: int, at: Sequence[np.ndarray], words: np.ndarray) -> np.ndarray:
        """The origins of samples of a block with centres in some elements of the balance array, int64 (n, axes).

        `at`: the indices of these along each axis of the balance array. `words`: random numbers from 0 to 1 (n, axes),
        which say where in elements that are larger than those of the first array, and along axes that it lacks.
        """
        found, spans, of = [], self.domain.spans(block), self.balance
        for axis, scale, centres, span, word in zip(of.axes, of.scales, self.centres, spans, words.T, strict=True):
            if axis is None:
                found.append(centres.origins.at(span[0] + np.floor(word * (span[1] - span[0])).astype(np.int64)))
            else:
                places = np.floor((at[axis] + word) * float(scale.size) + float(scale.shift)).astype(np.int64)
                found.append(centres.origin(np.clip(places, centres.start, centres.stop - 1)))
        return np.stack(found, axis=1)


def _elements(scale: Scale, edges: np.ndarray) -> np.ndarray:
    """The elements of a balance array in each of some blocks, as edges: those that have their middle there, and of the
    first and the last block those that have anything there; int64."""
    places = (edges - float(scale.shift)) / float(scale.size)
    found = np.ceil(places - 0.5).astype(np.int64)
    found[0], found[-1] = np.floor(places[0]), np.ceil(places[-1])
    return found if edges[0] < edges[-1] else np.full_like(found, found[0])
