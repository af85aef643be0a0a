"""Locate chunks: from coordinates to byte ranges of objects, through any number of shard levels.

`route` says which objects are needed, from coordinates alone. The caller opens them, and `locate` reads the shard
indexes that are not known through the same open objects as the chunks, so an index and its chunks are of one version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpuzarr.batch import MAX_PYTHON_ROWS
from gpuzarr.errors import CodecError
from gpuzarr.indexing.grid import distinct
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.shard_indexes import CODEC_NAME, Indexes, ShardIndexes, Shards
from gpuzarr.stores.contract import Objects
from gpuzarr.stores.ranges import Ranges

MAX_LOOPED_ROWS = 8  # of coordinates, for which a loop is faster than arrays
UNBOUNDED_BYTES = 1 << 62  # more than any object has


@dataclass(frozen=True)
class Step:
    """Shards that hold the chunks of one depth.

    `shards`: their coordinates, int64 (m, ndim). Chunk i is inner chunk `number[i]`, in C order, of shard `which[i]`.
    """

    shards: np.ndarray
    which: np.ndarray
    number: np.ndarray


@dataclass(frozen=True)
class Route:
    """Objects that hold some chunks, and a step for each level of shards on the way, the outermost first."""

    keys: Sequence[str]
    steps: tuple[Step, ...]

    @property
    def objects(self) -> np.ndarray:
        """For each chunk the number of its object in `keys`."""
        found = np.arange(len(self.keys))
        for step in self.steps:
            found = found[step.which]
        return found


@dataclass(frozen=True)
class Located:
    """Byte ranges of chunks. Range i is meaningless where `present[i]` is False: the chunk is missing."""

    ranges: Ranges
    present: np.ndarray

    def take(self, which: np.ndarray) -> Located:
        """Select some of the chunks."""
        return Located(self.ranges.take(which), self.present[which])


class Locator:
    """Locates the chunks of one array. Many threads may use it at once."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.indexes = ShardIndexes(layout)

    def route(self, coords: np.ndarray) -> Route:
        """Route to the innermost chunks at `coords`, int64 (n, ndim)."""
        steps: list[Step] = []
        for depth in range(len(self.layout.levels), 0, -1):
            steps.append(self._step(coords, depth))
            coords = steps[-1].shards
        return Route(self.layout.keys(coords), tuple(reversed(steps)))

    def locate(self, route: Route, objects: Objects, memo: Indexes) -> Located:
        """Byte ranges of the chunks of a route in `objects`, opened for its keys.

        `memo` belongs to one read: see `shard_indexes`. CodecError, with the number of a chunk, for a bad shard index.
        """
        found = Located(Ranges.whole(route.keys), np.ones(len(route.keys), bool))
        for depth, step in enumerate(route.steps):
            try:
                found = self._inner(depth, step, found, objects, memo)
            except CodecError as error:
                for later in route.steps[depth + 1 :] if error.index is not None else ():
                    error.index = int(np.argmax(later.which == error.index))
                raise
        return found

    def _step(self, coords: np.ndarray, depth: int) -> Step:
        level = self.layout.levels[depth - 1]
        if len(coords) > MAX_LOOPED_ROWS:
            counts, strides = level.steps
            of, within = np.divmod(coords, counts)
            if not np.count_nonzero(of != of[0]):  # of one shard, as most that are read together
                return Step(of[:1], np.zeros(len(of), np.int64), within @ strides)
            return Step(*distinct(of, self.layout.grids[depth - 1]), within @ strides)
        seen: dict[tuple[int, ...], int] = {}
        which, numbers = [], []
        for row in coords.tolist():
            number, shard = 0, []
            for at, count in zip(row, level.counts, strict=True):
                of, within = divmod(at, count)
                shard.append(of)
                number = number * count + within
            which.append(seen.setdefault(tuple(shard), len(seen)))
            numbers.append(number)
        return Step(np.array(list(seen), np.int64), np.array(which), np.array(numbers))

    def _inner(self, depth: int, step: Step, shards: Located, objects: Objects, memo: Indexes) -> Located:
        """Locate inner chunks of located shards. CodecError, with the number of the inner chunk, for a bad index."""
        outer, which = shards.ranges, step.which
        try:
            found = Shards(depth, step.shards.tolist(), outer, shards.present)
            entries = self.indexes.entries(found, objects, memo)
        except CodecError as error:
            error.index = None if error.index is None else int(np.argmax(which == error.index))
            raise
        chosen = _chosen(entries, which, step.number)
        begins, sizes = chosen[:, 0], chosen[:, 1]
        present = begins >= 0
        if depth == 0:  # the store knows the lengths of these shards, which are whole objects
            return Located(Ranges(outer.keys, which, begins, sizes), present)
        limits = np.where(outer.sizes < 0, UNBOUNDED_BYTES, outer.sizes)[which]
        if np.count_nonzero(beyond := begins + sizes > limits):
            raise CodecError("the shard index names bytes beyond the shard", int(np.argmax(beyond)), CODEC_NAME)
        return Located(Ranges(outer.keys, outer.objects[which], outer.offsets[which] + begins, sizes), present)


def _chosen(entries: list[np.ndarray], which: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Row `number[i]` of array `which[i]`, for each i."""
    if len(entries) == 1:
        return entries[0][number]
    if len(which) > MAX_PYTHON_ROWS:
        return np.stack(entries)[which, number]
    return np.concatenate([entries[i][n : n + 1] for i, n in zip(which.tolist(), number.tolist(), strict=True)])
