"""Which blocks of a plan have come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.blocks import Blocks, told
from gpuzarr.write.coverage import Bounds


class Arrivals:
    """The blocks that have come, each once. `extra`: the shape of the axes that values have before those of blocks."""

    def __init__(self, blocks: Blocks, extra: Sequence[int]) -> None:
        self._blocks, self._extra = blocks, tuple(extra)
        self._has_come = np.zeros(len(blocks), bool)
        self._count = 0

    def number(self, bounds: Bounds, values: Any) -> int:
        """The number of a block that comes. ArgumentError for one that has come already or is none of the blocks, and
        where its values are of another shape."""
        found = self._blocks.number(bounds)
        if found is None:
            raise ArgumentError(f"{told(bounds)} is none of the {self._blocks!r}")
        if self._has_come[found]:
            raise ArgumentError(f"the block {told(bounds)} has come already")
        expected = (*self._extra, *(b - a for a, b in bounds))
        if tuple(values.shape) != expected:
            raise ArgumentError(f"values of the block {told(bounds)} have shape {tuple(values.shape)}, not {expected}")
        return found

    def note(self, block: int) -> None:
        """Say that a block has come."""
        self._has_come[block] = True
        self._count += 1

    def unfinished(self) -> tuple[int, Bounds | None]:
        """The number of blocks that have not come, and the first of them."""
        missing = len(self._has_come) - self._count
        return missing, self._blocks.bounds(int(self._has_come.argmin())) if missing else None
