"""Where centres of samples may lie in a domain, and what a balance array says about these places. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.loader.alignment import Scale
from gpuzarr.loader.grids import Domain, Origins
from gpuzarr.loader.masses import Cells


@dataclass(frozen=True, eq=False)
class Balance:
    """The balance array of a store, to be read on a CPU. `axes`, `scales`: of it, along each axis of samples; of its
    other axes all elements count."""

    array: Any
    axes: tuple[int, ...]
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

    def cells(self, first: int) -> Cells:
        """The blocks of the domain, of which `first` is the number of the first one."""
        of = self.balance
        edges = [np.array([0, length]) for length in of.array.shape]
        for axis, scale, centres, bounds in zip(of.axes, of.scales, self.centres, self.domain.bounds, strict=True):
            found = _first(scale, centres.edges(bounds)) if len(bounds) > 1 else np.zeros(1, np.int64)
            edges[axis] = np.clip(found, 0, of.array.shape[axis])
        return Cells(of.array, tuple(edges), first)

    def origins(self, at: Sequence[np.ndarray], words: np.ndarray) -> np.ndarray:
        """The origins of samples with centres in some elements of the balance array, int64 (n, axes).

        `at`: the indices of these along each axis of the balance array. `words`: random numbers from 0 to 1 (n, axes),
        which say where in elements that are larger than those of the first array.
        """
        found = []
        for axis, scale, centres, word in zip(
            self.balance.axes, self.balance.scales, self.centres, words.T, strict=True
        ):
            places = np.floor((at[axis] + word) * float(scale.size) + float(scale.shift)).astype(np.int64)
            found.append(centres.origin(np.clip(places, centres.start, centres.stop - 1)))
        return np.stack(found, axis=1)


def _first(scale: Scale, places: np.ndarray) -> np.ndarray:
    """The first element whose middle does not lie before a place, int64."""
    return np.ceil((places - float(scale.shift)) / float(scale.size) - 0.5).astype(np.int64)
