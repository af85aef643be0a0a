"""A small space, views and steps: what batches are tested with, whatever makes them in the library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpuzarr.indexing.selection import Outer
from gpuzarr.loader.contract import Step
from gpuzarr.nodes.casting import Casting

NONE = Casting()


@dataclass(frozen=True)
class Grid:
    """Origins at every `stride` elements of each store, in blocks of a grid."""

    lengths: Sequence[tuple[int, ...]]  # of each store: how far origins go along each axis
    block: tuple[int, ...]
    stride: int = 1

    @property
    def axes(self) -> int:
        return len(self.block)

    @cached_property
    def grids(self) -> list[tuple[int, ...]]:
        return [tuple(-(-n // b) for n, b in zip(of, self.block, strict=True)) for of in self.lengths]

    @cached_property
    def blocks(self) -> int:
        return sum(map(prod, self.grids))

    def counts(self, epoch: int) -> np.ndarray:
        return np.array([len(one) for one in self._origins], np.int64)

    def stores(self, blocks: np.ndarray) -> np.ndarray:
        return np.searchsorted(np.cumsum([prod(grid) for grid in self.grids]), blocks, side="right")

    def origins(self, block: int, epoch: int) -> np.ndarray:
        return self._origins[block]

    @cached_property
    def _origins(self) -> list[np.ndarray]:
        return list(map(self._origins_of, range(self.blocks)))

    def _origins_of(self, block: int) -> np.ndarray:
        store = int(self.stores(np.array([block]))[0])
        block -= sum(prod(grid) for grid in self.grids[:store])
        at = np.unravel_index(block, self.grids[store])
        axes = []
        for i, size, length in zip(at, self.block, self.lengths[store], strict=True):
            every = np.arange(0, length, self.stride)
            axes.append(every[(every >= i * size) & (every < (i + 1) * size)])
        return np.stack([one.reshape(-1) for one in np.meshgrid(*axes, indexing="ij")], axis=1)


@dataclass(frozen=True)
class RowsView:
    """Rows along the first axis: of each sample those at its origin + `offsets`."""

    name: str
    arrays: Sequence[Any]
    offsets: tuple[int, ...] = (0,)
    casting: Casting = NONE

    pad_value = 0

    @cached_property
    def cast(self) -> list[Any]:
        return [self.casting.of(array) for array in self.arrays]

    @cached_property
    def dtype(self) -> np.dtype:
        return self.arrays[0].dtype if self.cast[0] is None else self.cast[0].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.offsets), *self.arrays[0].shape[1:])

    def selections(self, store: int, origins: np.ndarray) -> list[Outer]:
        inner = tuple(map(range, self.arrays[store].shape[1:]))
        return [Outer((origins[:, 0] + offset, *inner)) for offset in self.offsets]

    def targets(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        return [out[:, i] for i in range(len(self.offsets))]

    def corners(self, store: int, origins: np.ndarray) -> Any:
        shape = (1, *self.arrays[store].shape[1:])
        starts = (origins[:, :1] + np.array(self.offsets, np.int64)).reshape(-1, 1)
        return np.pad(starts, ((0, 0), (0, len(shape) - 1))), shape

    def padding(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        return []


@dataclass(frozen=True)
class PatchView:
    """Patches at their origins along all axes; what is outside of the array is padded."""

    name: str
    arrays: Sequence[Any]
    shape: tuple[int, ...]
    casting: Casting = NONE
    pad_value: Any = 9

    cast, dtype = RowsView.cast, RowsView.dtype

    def _spans(self, store: int, origin: Sequence[int]) -> list[tuple[int, int]]:
        shape = self.arrays[store].shape
        return [(max(at, 0), min(at + n, m)) for at, n, m in zip(origin, self.shape, shape, strict=True)]

    def selections(self, store: int, origins: np.ndarray) -> list[Outer]:
        return [Outer(tuple(range(*span) for span in self._spans(store, one))) for one in origins.tolist()]

    def targets(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        return [
            out[(i, *[slice(a - at, b - at) for at, (a, b) in zip(one, self._spans(store, one), strict=True)])]
            for i, one in enumerate(origins.tolist())
        ]

    def corners(self, store: int, origins: np.ndarray) -> Any:
        shape = self.arrays[store].shape
        return (origins, self.shape) if not self.is_padded(origins, shape) else None

    def is_padded(self, origins: np.ndarray, shape: tuple[int, ...]) -> bool:
        return bool((origins < 0).any() or (origins + self.shape > shape).any())

    def padding(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        found = []
        for i, one in enumerate(origins.tolist()):
            for axis, (at, (a, b)) in enumerate(zip(one, self._spans(store, one), strict=True)):
                before = (slice(None),) * axis
                found += [out[(i, *before, slice(None, a - at))]] if a > at else []
                found += [out[(i, *before, slice(b - at, None))]] if b - at < self.shape[axis] else []
        return found


def steps_of(space: Grid, epoch: int, batch: int, window: int = 4, seed: int = 0) -> Iterator[Step]:
    """Windows of so many blocks, in each of which samples are in random order; one rank."""
    rng = np.random.default_rng([seed, epoch])
    counts = space.counts(epoch)
    order = rng.permutation(space.blocks)
    samples = []
    for first in range(0, len(order), window):
        some = [np.stack([np.full(counts[b], b), np.arange(counts[b])], axis=1) for b in order[first : first + window]]
        samples.append(rng.permutation(np.concatenate(some)))
    every = np.concatenate(samples)
    return steps(every, batch)


def steps(every: np.ndarray, batch: int) -> Iterator[Step]:
    """Samples, as blocks and numbers in these, (n, 2), in batches."""
    last = {int(block): i for i, block in enumerate(every[:, 0])}
    seen = set[int]()
    for number, first in enumerate(range(0, len(every), batch)):
        some = every[first : first + batch]
        enters = [b for b in dict.fromkeys(some[:, 0].tolist()) if b not in seen]
        leaves = [b for b in dict.fromkeys(some[:, 0].tolist()) if last[b] < first + batch]
        seen.update(enters)
        columns = np.ascontiguousarray(some[:, 0]), np.ascontiguousarray(some[:, 1])
        yield Step(number, first + len(some), *columns, np.array(enters, np.int64), np.array(leaves, np.int64))
