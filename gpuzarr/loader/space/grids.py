"""Spaces of samples whose origins are on a grid, or at random places. Pure arithmetic, along each axis by itself.

A domain is a box of a store in which samples lie. Its blocks are the cells of a grid; a sample is of the block in which
its origin is. Nothing is written down for samples, and an int64 for the edge of each block along an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from math import prod
from typing import ClassVar

import numpy as np

from gpuzarr.loader.randomness import Purpose, fractions, integers_below


@dataclass(frozen=True)
class Origins:
    """Origins along one axis: `first + i * step`, `count` of them; the last one is at `last`, which may be before."""

    first: int
    step: int
    count: int
    last: int

    def before(self, places: np.ndarray) -> np.ndarray:
        """The number of origins before each of some places, int64."""
        found = np.clip(-((self.first - places) // self.step), 0, max(self.count - 1, 0))
        return np.where(places > self.last, self.count, found)

    def at(self, indices: np.ndarray) -> np.ndarray:
        """Origins by their numbers, int64."""
        return np.minimum(self.first + indices * self.step, self.last)


@dataclass(frozen=True, eq=False)
class Domain:
    """A box of a store. `axes`: origins along each axis. `bounds`: the numbers of the first origin of each block, and
    of all origins, int64 (blocks + 1,), along each axis; (1,) where there are none. `start`, `stop`: its elements."""

    store: int
    start: tuple[int, ...]
    stop: tuple[int, ...]
    axes: tuple[Origins, ...]
    bounds: tuple[np.ndarray, ...]

    @classmethod
    def of(
        cls, store: int, box: Sequence[tuple[int, int]], axes: Sequence[Origins], edges: Sequence[np.ndarray]
    ) -> Domain:
        """A domain whose blocks begin at these edges (and at its first origin) along each axis, int64, ascending."""
        start, stop = zip(*box, strict=True)
        found = [_bounds(origins, inner) for origins, inner in zip(axes, edges, strict=True)]
        return cls(store, start, stop, tuple(axes), tuple(found))

    @property
    def grid(self) -> tuple[int, ...]:
        """Blocks along each axis."""
        return tuple(len(bounds) - 1 for bounds in self.bounds)

    @cached_property
    def blocks(self) -> int:
        """The number of blocks."""
        return prod(self.grid)

    def sizes(self, dtype: type) -> np.ndarray:
        """The number of origins in each block (blocks,)."""
        along: list[np.ndarray] = [np.diff(bounds).astype(dtype) for bounds in self.bounds]
        return reduce(np.multiply.outer, along).reshape(-1)

    def spans(self, block: int) -> list[tuple[int, int]]:
        """The numbers of the first origin of a block along each axis, and of the one behind its last."""
        at = np.unravel_index(block, self.grid)
        return [(int(bounds[i]), int(bounds[i + 1])) for bounds, i in zip(self.bounds, at, strict=True)]


def _bounds(origins: Origins, edges: np.ndarray) -> np.ndarray:
    if not origins.count:
        return np.zeros(1, np.int64)
    return np.concatenate([[0], origins.before(edges), [origins.count]]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Domains:
    """All domains of a data set, in the order of stores, and the numbers of their blocks."""

    all: Sequence[Domain]
    axes: int

    @cached_property
    def ends(self) -> np.ndarray:
        """The number behind that of the last block of each domain, int64."""
        return np.cumsum([domain.blocks for domain in self.all], dtype=np.int64)

    @cached_property
    def _stores(self) -> np.ndarray:
        return np.array([domain.store for domain in self.all], np.int64)

    def stores(self, blocks: np.ndarray) -> np.ndarray:
        """The number of the store in which each block lies, int64 (n,)."""
        found: np.ndarray = self._stores[np.searchsorted(self.ends, blocks, side="right")]
        return found

    def find(self, block: int) -> tuple[Domain, int]:
        """The domain of a block, and the number of the block in it."""
        number = int(np.searchsorted(self.ends, block, side="right"))
        return self.all[number], block - (int(self.ends[number - 1]) if number else 0)

    def sizes(self, dtype: type) -> np.ndarray:
        """The number of origins in each block (blocks,)."""
        return np.concatenate([np.zeros(0, dtype), *(domain.sizes(dtype) for domain in self.all)])


@dataclass(frozen=True, eq=False)
class GridSpace:
    """Samples at all origins of some domains. A `Space`."""

    domains: Domains
    geometry: dict[str, str]
    is_known: ClassVar[bool] = True

    @property
    def axes(self) -> int:
        """Along which samples have an origin."""
        return self.domains.axes

    def counts(self, epoch: int) -> np.ndarray:
        """Samples of each block, int64 (blocks,)."""
        return self._counts

    @cached_property
    def _counts(self) -> np.ndarray:
        return self.domains.sizes(np.int64)

    def origins(self, block: int, epoch: int) -> np.ndarray:
        """The first element of each sample of a block, in C order, int64 (counts[block], axes)."""
        domain, number = self.domains.find(block)
        along = [
            origins.at(np.arange(*span, dtype=np.int64))
            for origins, span in zip(domain.axes, domain.spans(number), strict=True)
        ]
        if len(along) == 1:
            return along[0][:, None]
        return np.stack([mesh.reshape(-1) for mesh in np.meshgrid(*along, indexing="ij")], axis=1)

    def stores(self, blocks: np.ndarray) -> np.ndarray:
        """The number of the store in which each block lies, int64 (n,)."""
        return self.domains.stores(blocks)


@dataclass(frozen=True, eq=False)
class RandomSpace:
    """`samples` samples in an epoch at random origins of some domains, each of which is equally likely. A `Space`.

    A block has its share of them, rounded up or down, so that the sum is right (systematic sampling: the sums of shares
    up to each block, plus one random number for the epoch, rounded down). Where they are in it, is drawn for each of
    them by itself, so that two may be at one place.
    """

    domains: Domains
    samples: int
    seed: int
    geometry: dict[str, str]
    is_known: ClassVar[bool] = True

    @property
    def axes(self) -> int:
        """Along which samples have an origin."""
        return self.domains.axes

    @cached_property
    def _shares(self) -> np.ndarray:
        """The samples that all blocks before each one should have, float64 (blocks + 1,)."""
        sums = np.cumsum(np.concatenate([[0.0], self.domains.sizes(np.float64)]))
        return sums / max(sums[-1], 1.0) * self.samples

    def counts(self, epoch: int) -> np.ndarray:
        """Samples of each block in an epoch, int64 (blocks,)."""
        return np.diff(self._begins(self._shares, epoch))

    def _begins(self, shares: np.ndarray, epoch: int) -> np.ndarray:
        """Samples of all blocks before some, by the shares of these."""
        all_of_them = self._shares[-1]
        begins = np.floor(shares + _drawn(self.seed, epoch)).astype(np.int64)
        return np.where(shares < all_of_them, np.minimum(begins, int(all_of_them)), int(all_of_them))

    def origins(self, block: int, epoch: int) -> np.ndarray:
        """The first element of each sample of a block, int64 (counts[block], axes)."""
        domain, number = self.domains.find(block)
        samples = int(np.diff(self._begins(self._shares[block : block + 2], epoch))[0])
        spans = domain.spans(number)
        below = np.tile([end - begin for begin, end in spans], samples)
        drawn = integers_below(below, self.seed, Purpose.ORIGINS, epoch, block, n=samples * self.axes)
        along = zip(domain.axes, spans, drawn.reshape(samples, self.axes).T, strict=True)
        return np.stack([origins.at(span[0] + index) for origins, span, index in along], axis=1)

    def stores(self, blocks: np.ndarray) -> np.ndarray:
        """The number of the store in which each block lies, int64 (n,)."""
        return self.domains.stores(blocks)


@lru_cache(maxsize=8)
def _drawn(seed: int, epoch: int) -> float:
    """The random number for an epoch."""
    return float(fractions(seed, Purpose.DRAWS, epoch, n=1)[0])
