"""What samples want along one axis of an array."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Whole:
    """Elements of an axis that all samples have."""

    elements: range

    @property
    def kept(self) -> int:
        """The length of the axis of a sample."""
        return len(self.elements)

    def part(self, start: int, stop: int) -> Whole:
        """Some of the elements, counted from the first."""
        return Whole(self.elements[start:stop])


@dataclass(frozen=True, eq=False)
class RowAxis:
    """An axis along which samples have rows: those at an origin plus `offsets`; a single one without an axis, if None.

    `column`: that of the origins.
    """

    column: int
    offsets: tuple[int, ...] | None

    @property
    def kept(self) -> int | None:
        """The length of the axis of a sample; None if it has none."""
        return None if self.offsets is None else len(self.offsets)

    def part(self, start: int, stop: int) -> RowAxis:
        """Some of the rows of a sample."""
        return self if self.offsets is None else replace(self, offsets=self.offsets[start:stop])

    @property
    def first(self) -> int | None:
        """The first offset of those that follow each other; None where they do not."""
        offsets = (0,) if self.offsets is None else self.offsets
        return offsets[0] if offsets == tuple(range(offsets[0], offsets[0] + len(offsets))) else None

    def index(self, origins: np.ndarray) -> range | np.ndarray:
        """Indices of the rows of some samples, sample by sample."""
        offsets = np.array((0,) if self.offsets is None else self.offsets, np.int64)
        return _as_range((origins[:, self.column, None] + offsets).reshape(-1))


@dataclass(frozen=True, eq=False)
class PatchAxis:
    """An axis along which samples have `kept` elements, from `base` on for an origin at `phase`, and `per` elements
    further for each `step` of the first array."""

    column: int
    kept: int
    base: int = 0
    phase: int = 0
    step: int = 1
    per: int = 1

    def starts(self, origins: np.ndarray) -> np.ndarray:
        """The first element of each sample, int64 (n,)."""
        return self.base + (origins[:, self.column] - self.phase) // self.step * self.per

    def part(self, start: int, stop: int) -> PatchAxis:
        """Some of the elements of a sample."""
        return replace(self, kept=stop - start, base=self.base + start)


Along = Whole | RowAxis | PatchAxis


def _as_range(index: np.ndarray) -> range | np.ndarray:
    """A range of the same elements, if they follow each other."""
    if len(index) and (len(index) == 1 or bool((index[1:] - index[:-1] == 1).all())):
        return range(int(index[0]), int(index[-1]) + 1)
    return index
