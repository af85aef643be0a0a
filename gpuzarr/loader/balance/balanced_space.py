"""Samples of which the centres are drawn by a label or a weight: each class equally often, or as a mask says.

Balance arrays are read once to count what each block has (`masses.py`), when samples are first asked for. By these
counts each epoch gives each block its samples of each class (`draws.py`). Which voxels they are is drawn when the turn
of the block comes: then its labels are read again, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.cpu import CPU
from gpuzarr.loader.balance import draws
from gpuzarr.loader.balance.classes import Classes
from gpuzarr.loader.balance.ground import Balance, Ground
from gpuzarr.loader.balance.masses import Cells, Masses
from gpuzarr.loader.randomness import Purpose, fractions
from gpuzarr.loader.space.grids import Domains
from gpuzarr.nodes.array import Array

KEPT_BLOCKS = 64  # whose origins are remembered: the plan of an epoch asks for some, and then the epoch does
KEPT_EPOCHS = 2
CACHE = "64MiB"  # of chunks of a balance array: one may be of many blocks


@dataclass(frozen=True, eq=False)
class Quotas:
    """Samples of an epoch by block and class, sorted by block, none 0. `counts`: of each block, int64 (blocks,).

    `blocks`, `classes`, `samples`, int64, and `masses`, float64: (n,) each.
    """

    counts: np.ndarray
    blocks: np.ndarray
    classes: np.ndarray
    samples: np.ndarray
    masses: np.ndarray

    def of(self, block: int) -> Iterator[tuple[int, int, float]]:
        """Of a block each class with samples, how many it has, and the mass of the class in the block."""
        which = slice(*np.searchsorted(self.blocks, [block, block + 1]))
        yield from zip(*(c[which].tolist() for c in (self.classes, self.samples, self.masses)), strict=True)


@dataclass(frozen=True, eq=False)
class BalancedSpace:
    """Random patches whose centres are drawn by labels or weights. A `Space`.

    A patch that would reach out of its domain lies inside, and so not around its centre. `grounds`: one for each
    domain. `samples`: in an epoch.
    """

    domains: Domains
    grounds: Sequence[Ground]
    samples: int
    seed: int
    classes: Classes
    of_patches: Mapping[str, str]  # what decides about their places beside the labels
    _kept: dict[str, dict[Any, Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        domains: Domains,
        shape: Sequence[int],
        balances: Sequence[Balance],
        classes: Any,
        samples: int,
        seed: int,
        geometry: Mapping[str, str],
    ) -> BalancedSpace:
        """The space of patches of this shape, in elements of the first array.

        `balances`: one for each store. `classes`: as a user gives them. ArgumentError for arrays or classes that mean
        nothing.
        """
        meant = Classes.of([balance.array for balance in balances], classes)
        on_cpu = [replace(balance, array=read_on_cpu(balance.array)) for balance in balances]
        grounds = [Ground.of(domain, on_cpu[domain.store], shape) for domain in domains.all]
        return cls(domains, grounds, samples, seed, meant, geometry)

    @property
    def axes(self) -> int:
        """Along which samples have an origin."""
        return self.domains.axes

    def counts(self, epoch: int) -> np.ndarray:
        """Samples of each block in an epoch, int64 (blocks,)."""
        if not self.domains.all or not self.domains.ends[-1]:
            return np.zeros(0, np.int64)
        return self._quotas(epoch).counts

    def origins(self, block: int, epoch: int) -> np.ndarray:
        """The first element of each sample of a block, int64 (counts[block], axes)."""
        found: np.ndarray = self._once("origins", KEPT_BLOCKS, self._origins, block, epoch)
        return found

    def stores(self, blocks: np.ndarray) -> np.ndarray:
        """The number of the store in which each block lies, int64 (n,)."""
        return self.domains.stores(blocks)

    @property
    def geometry(self) -> dict[str, str]:
        """What decides about order and origins: what was counted, too, so that other labels are another geometry."""
        return {**self.of_patches, "labels": self.masses.digest}

    @property
    def is_known(self) -> bool:
        """Whether the balance arrays were read, so that nothing else needs to be for `counts`."""
        return "masses" in vars(self)

    @cached_property
    def cells(self) -> list[Cells]:
        """Of the balance array of each domain the boxes that blocks have."""
        found, first = [], 0
        for ground in self.grounds:
            found.append(Cells(ground.balance.array, ground.edges, first))
            first += prod(found[-1].counts)
        return found

    @cached_property
    def masses(self) -> Masses:
        """What each block has of each class. Reads all balance arrays."""
        found = self.classes.count(self.cells)
        return found if all(ground.is_plain for ground in self.grounds) else self._of_blocks(found)

    def _of_blocks(self, found: Masses) -> Masses:
        """The masses of blocks, made of those of cells."""
        columns: list[tuple[np.ndarray, ...]] = []
        for i, (ground, cells) in enumerate(zip(self.grounds, self.cells, strict=True)):
            number = found.blocks - cells.first
            mine = np.flatnonzero((number >= 0) & (number < prod(cells.counts)))
            blocks, times = ground.blocks(found.blocks[mine], cells)
            blocks += int(self.domains.ends[i]) - ground.domain.blocks
            classes = np.broadcast_to(found.classes[mine, None], blocks.shape)
            columns.append(
                (classes.reshape(-1), blocks.reshape(-1), np.multiply.outer(found.masses[mine], times).reshape(-1))
            )
        classes, blocks, masses = (np.concatenate(column) for column in zip(*columns, strict=True))
        order = np.lexsort((blocks, classes))
        return Masses(found.labels, classes[order], blocks[order], masses[order])

    @cached_property
    def _shares(self) -> np.ndarray:
        return self.classes.shares(self.masses, [ground.balance.array for ground in self.grounds])

    def _quotas(self, epoch: int) -> Quotas:
        found: Quotas = self._once("quotas", KEPT_EPOCHS, self._shared_out, epoch)
        return found

    def _shared_out(self, epoch: int) -> Quotas:
        """Share out the samples of an epoch: to classes, then to the blocks that have them."""
        masses = self.masses
        words = fractions(self.seed, Purpose.DRAWS, epoch, n=1 + len(masses.labels))
        of_class = draws.of_classes(self._shares, self.samples, words[0])
        samples = draws.of_entries(masses, of_class, words[1:])
        some = np.flatnonzero(samples)
        some = some[np.argsort(masses.blocks[some], kind="stable")]
        blocks, samples = masses.blocks[some], samples[some]
        counts = np.zeros(int(self.domains.ends[-1]), np.int64)
        np.add.at(counts, blocks, samples)
        return Quotas(counts, blocks, masses.classes[some], samples, masses.masses[some])

    def _origins(self, block: int, epoch: int) -> np.ndarray:
        """Draw the centres of a block, and make them origins."""
        number = int(np.searchsorted(self.domains.ends, block, side="right"))
        ground, cells = self.grounds[number], self.cells[number]
        inner = block - int(self.domains.ends[number]) + ground.domain.blocks
        cell, times = ground.cell(inner, cells)
        if not (n := int(self.counts(epoch)[block])):
            return np.zeros((0, self.axes), np.int64)
        words = fractions(self.seed, Purpose.ORIGINS, epoch, block, n=n * (1 + self.axes))
        labels = self.masses.labels
        wanted = [(labels[kind], samples, mass / times) for kind, samples, mass in self._quotas(epoch).of(block)]
        box = cells.box(cell)
        drawn = self.classes.drawn(cells, cell, wanted, words[:n])
        at = np.unravel_index(drawn, [part.stop - part.start for part in box])
        indices = [i + part.start for i, part in zip(at, box, strict=True)]
        return ground.origins(inner, indices, words[n:].reshape(n, self.axes))

    def _once(self, name: str, most: int, make: Callable[..., Any], *key: int) -> Any:
        """What a pure function returns, of which the last results are remembered."""
        kept = self._kept.get(name, {})
        if key not in kept:
            kept = {**dict(list(kept.items())[1 - most :]), key: make(*key)}
            self._kept[name] = kept  # another one, as other threads may use the old one
        return kept[key]


def read_on_cpu(array: Array) -> Array:
    """The same array, to be read on a CPU, with a small cache of chunks if it has none."""
    options = array.options.changed(cache=None if array.cache else CACHE, io="auto")
    return Array(array.store, array.path, array.metadata, CPU, array.writable, options)
