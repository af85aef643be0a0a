"""Samples of which the centres are drawn by a label or a weight: each class equally often, or as a mask says.

Balance arrays are read once to count what each block has (`masses.py`), when samples are first asked for. By these
counts each epoch gives each block its samples of each class (`draws.py`). Which voxels they are is drawn when the turn
of the block comes: then its labels are read again, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gpuzarr.devices.cpu import CPU
from gpuzarr.loader import draws
from gpuzarr.loader.classes import Classes
from gpuzarr.loader.ground import Ground
from gpuzarr.loader.masses import Cells, Masses
from gpuzarr.loader.randomness import Purpose, fractions
from gpuzarr.nodes.array import Array

KEPT_BLOCKS = 16  # whose origins are remembered
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

    `grounds`: one for each store. `shape`: of a patch, in elements of the first array; a patch that would reach over
    the edge of its ground lies inside, and so not around its centre. `block`: the shape of a block of centres.
    `samples`: in an epoch.
    """

    grounds: Sequence[Ground]
    shape: tuple[int, ...]
    block: tuple[int, ...]
    samples: int
    seed: int
    classes: Classes
    _kept: dict[str, dict[Any, Any]] = field(default_factory=dict, repr=False)

    @property
    def axes(self) -> int:
        """Along which samples have an origin."""
        return len(self.shape)

    def counts(self, epoch: int) -> np.ndarray:
        """Samples of each block in an epoch, int64 (blocks,)."""
        return self._quotas(epoch).counts

    def origins(self, block: int, epoch: int) -> np.ndarray:
        """The first element of each sample of a block, int64 (counts[block], axes)."""
        found: np.ndarray = self._once("origins", KEPT_BLOCKS, self._origins, block, epoch)
        return found

    def stores(self, blocks: np.ndarray) -> np.ndarray:
        """The number of the store in which each block lies, int64 (n,)."""
        return np.searchsorted([cells.end for cells in self.cells], blocks, side="right")

    @property
    def geometry(self) -> dict[str, str]:
        """What decides about order and origins: what was counted, too, so that other labels are another geometry."""
        return {
            "patch": str(self.shape),
            "block": str(self.block),
            "region": str([(ground.start, ground.stop) for ground in self.grounds]),
            "samples": str(self.samples),
            "balance": f"{[(ground.array.shape, ground.scales) for ground in self.grounds]}",
            "classes": "all" if self.classes.given is None else str(sorted(self.classes.given.items())),
            "labels": self.masses.digest,
        }

    @property
    def is_known(self) -> bool:
        """Whether the balance arrays were read, so that nothing else needs to be for `counts`."""
        return "masses" in vars(self)

    @cached_property
    def cells(self) -> list[Cells]:
        """The blocks of each store."""
        found: list[Cells] = []
        for ground in self.grounds:
            found.append(ground.cells(self.block, found[-1].end if found else 0))
        return found

    @cached_property
    def masses(self) -> Masses:
        """What each block has of each class. Reads all balance arrays."""
        return self.classes.count(self.cells)

    @cached_property
    def _shares(self) -> np.ndarray:
        return self.classes.shares(self.masses, [ground.array for ground in self.grounds])

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
        counts = np.zeros(self.cells[-1].end, np.int64)
        np.add.at(counts, blocks, samples)
        return Quotas(counts, blocks, masses.classes[some], samples, masses.masses[some])

    def _origins(self, block: int, epoch: int) -> np.ndarray:
        """Draw the centres of a block, and make them origins."""
        store = int(self.stores(np.array([block]))[0])
        ground, cells = self.grounds[store], self.cells[store]
        box, n = cells.box(block), int(self.counts(epoch)[block])
        values = ground.array[box]
        words = fractions(self.seed, Purpose.ORIGINS, epoch, block, n=n * (1 + self.axes))
        flat, done = [np.zeros(0, np.int64)], 0
        for number, samples, mass in self._quotas(epoch).of(block):
            label, some = self.masses.labels[number], words[done : done + samples]
            flat.append(self.classes.drawn(cells, block, values, label, mass, some))
            done += samples
        at = np.unravel_index(np.concatenate(flat), values.shape)
        indices = [i + part.start for i, part in zip(at, box, strict=True)]
        centres = ground.centres(indices, words[n:].reshape(n, self.axes))
        return np.clip(centres - np.array(self.shape) // 2, ground.start, np.subtract(ground.stop, self.shape))

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
