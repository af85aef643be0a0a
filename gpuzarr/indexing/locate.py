"""Where the bytes of chunks lie: chunk -> range of an object, through any depth of shards.

First the route says which objects are needed, from coordinates alone. The caller opens them, and `locate` reads the
indexes of shards, where they are not known, through the same open objects as the chunks are read through: so an index
and the chunks it tells of belong to one version of the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpuzarr.batch import FEW
from gpuzarr.errors import CodecError
from gpuzarr.indexing.grid import distinct
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.shard_indexes import NAME, Indexes, ShardIndexes, Shards
from gpuzarr.stores.contract import Objects, Ranges

UNBOUNDED = 1 << 62  # bytes: more than any object has


@dataclass(frozen=True)
class Step:
    """From units of one depth to the shards that hold them.

    `shards`: coordinates of the shards, int64 (m, ndim); unit i lies in shard `which[i]`, as inner chunk `number[i]`.
    """

    shards: np.ndarray
    which: np.ndarray
    number: np.ndarray


@dataclass(frozen=True)
class Route:
    """From chunks to the objects that hold them: a step for each level of shards, the outermost first."""

    keys: Sequence[str]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Located:
    """Where chunks lie: range i is that of chunk i where `present[i]`, else meaningless."""

    ranges: Ranges
    present: np.ndarray

    def take(self, which: np.ndarray) -> Located:
        return Located(self.ranges.take(which), self.present[which])


class Locator:
    """Finds the chunks of one array. Used by many threads."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.indexes = ShardIndexes(layout)

    def route(self, coords: np.ndarray) -> Route:
        """The objects that hold the innermost chunks at `coords`, (n, ndim)."""
        steps: list[Step] = []
        for depth in range(len(self.layout.levels), 0, -1):
            steps.append(self._step(coords, depth))
            coords = steps[-1].shards
        return Route(self.layout.keys(coords), tuple(reversed(steps)))

    def locate(self, route: Route, objects: Objects, memo: Indexes) -> Located:
        """Where the chunks of the route lie in `objects`, which are those of its keys.

        CodecError, with the number of a chunk, for a bad shard index. `memo` belongs to one read: see `shard_indexes`.
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
        if len(coords) > FEW:
            counts, strides = level.steps
            of, within = np.divmod(coords, counts)
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
        """Locate the inner chunks of located shards. CodecError with the number of the inner chunk."""
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
        room = np.where(outer.sizes < 0, UNBOUNDED, outer.sizes)[which]
        if np.count_nonzero(beyond := begins + sizes > room):
            raise CodecError("the shard index names bytes beyond the shard", int(np.argmax(beyond)), NAME)
        return Located(Ranges(outer.keys, outer.objects[which], outer.offsets[which] + begins, sizes), present)


def _chosen(entries: list[np.ndarray], which: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Row `number` of entry `which`, of each."""
    if len(entries) == 1:
        return entries[0][number]
    if len(which) > FEW:
        return np.stack(entries)[which, number]
    return np.concatenate([entries[i][n : n + 1] for i, n in zip(which.tolist(), number.tolist(), strict=True)])
