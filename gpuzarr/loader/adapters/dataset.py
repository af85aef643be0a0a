"""A loader as a data set with indices: for a stock DataLoader of PyTorch, for grain, for what takes `len` and `[i]`.

Sample i is at position i of the loader's order. The samples of several indices are one read, which decodes each chunk
once; but nothing is held from one read to the next, so a chunk is decoded again for each that wants some of it. To
iterate over the loader itself is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import index as integer
from typing import Any

import numpy as np

from gpuzarr.checks import iterated, shown
from gpuzarr.errors import SelectionError
from gpuzarr.loader.contract import Space, View
from gpuzarr.loader.output import converted, device_of, stream_of
from gpuzarr.nodes.many import fill
from gpuzarr.nodes.region_results import Region

Sample = dict[str, Any]
EXPECTED = "samples are chosen by a list of integers"
At = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one epoch. It can be pickled, and used by many threads, and by worker processes.

    `at`: the blocks of positions, and the numbers in these, both int64. `to`: as of the loader. `origins`: whether each
    sample has its own, too.
    """

    views: Sequence[View]
    space: Space
    at: At
    count: int
    epoch: int = 0
    to: str | None = None
    origins: bool = False

    def __repr__(self) -> str:
        names = ", ".join(f"{view.name}: {view.shape} {view.dtype}" for view in self.views)
        return f"<gpuzarr.Loader as a data set of {self.count} samples ({names}), epoch {self.epoch}>"

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """The sample of an index, from -len to len - 1. SelectionError, which is an IndexError, for others."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Iterable[int]) -> list[Sample]:
        """The samples of several indices, by one read: dicts of views of its arrays."""
        positions = np.array([self._position(index) for index in iterated(indices, EXPECTED)], np.int64)
        if not len(positions):
            return []
        batch = self._batch(*self.at(positions))
        return [{name: array[i] for name, array in batch.items()} for i in range(len(positions))]

    _getitems = __getitems__  # as grain names it

    def _position(self, index: int) -> int:
        try:
            position = integer(index)
        except TypeError as error:
            raise SelectionError(f"a sample is chosen by an integer, not {shown(index)}") from error
        if not -self.count <= position < self.count:
            raise SelectionError(f"sample {shown(index)} is out of range: there are {self.count}")
        return position % self.count

    def _batch(self, blocks: np.ndarray, numbers: np.ndarray) -> dict[str, Any]:
        device = self.views[0].arrays[0].device
        with device.on(stream_of(self.to, device)):
            batch = samples_at(self.views, self.space, self.epoch, blocks, numbers)
            found = {name: converted(array, self.to, device) for name, array in batch.items()}
        if self.origins:
            found["origins"] = origins_at(self.space, self.epoch, blocks, numbers)
        return found


def samples_at(
    views: Sequence[View], space: Space, epoch: int, blocks: np.ndarray, numbers: np.ndarray
) -> dict[str, Any]:
    """Read samples, given by their blocks and their numbers in these, at once: arrays (n, *shape) of the device.

    The loader's engine has no part in it, and its batches must be equal to this.
    """
    origins = origins_at(space, epoch, blocks, numbers)
    found: dict[str, Any] = {}
    regions, results = list[Region](), list[Any]()
    for view in views:
        out = found[view.name] = device_of(view).array((len(blocks), *view.shape), view.dtype)
        for run in _runs(origins[:, 0]):
            store, places, part = int(origins[run.start, 0]), origins[run, 1:], out[run]
            wanted = view.selections(store, places)
            regions += [Region(view.arrays[store], each, None, view.cast[store]) for each in wanted]
            results += view.targets(store, places, part)
            for outside in view.padding(store, places, part):
                outside[...] = view.pad_value
    fill(regions, results, None, {}, None, None)
    return found


def origins_at(space: Space, epoch: int, blocks: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The number of the store of each sample, and its origin: int64 (n, 1 + axes)."""
    found = np.empty((len(blocks), 1 + space.axes), np.int64)
    found[:, 0] = space.stores(blocks)
    for block in np.unique(blocks):
        here = blocks == block
        found[here, 1:] = space.origins(int(block), epoch)[numbers[here]]
    return found


def _runs(stores: np.ndarray) -> Iterator[slice]:
    """Samples in a row that are of one store."""
    edges = [0, *(np.flatnonzero(np.diff(stores)) + 1).tolist(), len(stores)]
    return (slice(first, last) for first, last in pairwise(edges) if first < last)
