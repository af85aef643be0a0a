"""A region of a stored array as the tasks of dask write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.errors import ValueKindError
from gpuzarr.integrations.dask.processes import Elsewhere, is_in_memory, reference
from gpuzarr.integrations.dask.stored import parts_elsewhere
from gpuzarr.integrations.dask.turns import in_turn
from gpuzarr.nodes.array import Array

Place = int | tuple[int, ...]  # along an axis: one index, or the edges of the blocks


@dataclass(frozen=True, eq=False)
class Target:
    """The region of an array that blocks are written to. `places`: where the blocks lie along each axis of the array.

    In another process its device is the current GPU there. A store in memory is not copied there.
    """

    array: Array
    places: tuple[Place, ...]

    def region(self, block: tuple[int, ...]) -> tuple[int | slice, ...]:
        """The selection that a block is written to, by its place in the grid of blocks."""
        numbers = iter(block)
        return tuple(
            each if isinstance(each, int) else slice(each[(i := next(numbers))], each[i + 1]) for each in self.places
        )

    def write(self, values: Any, block: tuple[int, ...]) -> None:
        """Write a block, when it is its turn. ValueKindError if it does not have the shape that dask says."""
        region, device = self.region(block), self.array.device
        shape = tuple(each.stop - each.start for each in region if isinstance(each, slice))
        if tuple(values.shape) != shape:
            raise ValueKindError(f"block {block} for {self.array!r} has shape {tuple(values.shape)}, not {shape}")
        if 0 in shape:
            return
        if not device.gpu:
            self.array[region] = values
            return
        given = self.array.options.memory_limit
        limit = device.write_limit if given is None else given
        in_turn(device, "write", limit, lambda share: self.array.set(region, values, memory_limit=share))

    def __reduce__(self) -> tuple[Any, ...]:
        if is_in_memory(self.array.store):
            return reference(self, repr(self.array.store))
        return _target, (self.places, *parts_elsewhere(self.array))


def write_block(values: Any, target: Target | Elsewhere, block_id: tuple[int, ...] = ()) -> np.ndarray:
    """Write a block; the task of dask. Returns an array of one element, the number of blocks that were written."""
    target.write(values, block_id)
    return np.ones((1,) * len(block_id), np.int64)


def _target(places: tuple[Place, ...], *parts: Any) -> Target:
    return Target(Array(*parts), places)
