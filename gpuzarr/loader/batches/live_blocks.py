"""Blocks that are live, and the samples that steps have of them: those of many steps are found together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from gpuzarr.loader.batches.needs import Block, Needs, Planner, touched, union
from gpuzarr.loader.contract import Corners, Step

MAX_TOGETHER = 1 << 14  # samples of steps that are found together
MIN_ROWS = 1 << 10  # for samples of live blocks


@dataclass(frozen=True, eq=False)
class Group:
    """The samples of a step that are of one store. `which`: their rows in the batch, int64 (n,), ascending; None: all
    of it. `origins`: int64 (n, axes). `corners`: `View.corners` of each view."""

    store: int
    which: np.ndarray | None
    origins: np.ndarray
    corners: Sequence[Corners | None]

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def rows(self) -> np.ndarray:
        """Their rows in the batch, int64 (n,)."""
        return np.arange(len(self)) if self.which is None else self.which


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a step. `origins`: the store and the first element of each, int64 (n, 1 + axes)."""

    step: Step
    origins: np.ndarray
    groups: Sequence[Group]

    def needs(self, planner: Planner) -> Needs:
        """The chunks that they touch."""
        return union(
            {of[group.store]: touched(view, planner.sources.all[of[group.store]], group.store, [group.origins])[0]}
            for group in self.groups
            for view, of in zip(planner.views, planner.sources.of, strict=True)
        )


class LiveBlocks:
    """The blocks of which there are samples. One thread lets them enter, and finds samples; others let them leave.

    `_origins` has the samples of each block, one after another: `_first` tells where they begin, by the number of the
    block. What has left is taken out of it when there is no room.
    """

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._live: dict[int, tuple[int, Needs]] = {}  # samples and needs of each block
        self._first = np.empty(len(planner.counts), np.int64)
        self._origins, self._end = np.empty((0, planner.space.axes), np.int64), 0

    def enter(self, blocks: Mapping[int, Block]) -> None:
        """Note blocks."""
        self._make_room(sum(len(origins) for _, origins, _ in blocks.values()))
        for block, (_, origins, needs) in blocks.items():
            self._put(block, origins)
            self._live[block] = len(origins), needs

    def leave(self, block: int) -> Needs:
        """Forget a block. Returns what it needed."""
        return self._live.pop(block)[1]

    def samples(self, steps: Sequence[Step]) -> Iterator[Samples]:
        """The samples of some steps, whose blocks are live."""
        blocks = np.concatenate([step.blocks for step in steps])
        rows = self._first[blocks] + np.concatenate([step.indices for step in steps])
        found = np.empty((len(rows), 1 + self._planner.space.axes), np.int64)
        found[:, 0] = stores = self._stores(blocks)
        found[:, 1:] = np.take(self._origins, rows, axis=0)
        edges = np.cumsum([0, *(len(step.blocks) for step in steps)])
        groups: list[list[Group]] = [[] for _ in steps]
        distinct = [0] if self._has_one_store else np.unique(stores).tolist()
        for store in distinct:
            mine = None if len(distinct) == 1 else np.flatnonzero(stores == store)
            for of_step, group in zip(groups, self._of_store(store, mine, found[:, 1:], edges), strict=True):
                of_step += [group] if len(group) else []
        for step, (a, b), some in zip(steps, pairwise(edges.tolist()), groups, strict=True):
            yield Samples(step, found[a:b], some)

    def _of_store(self, store: int, mine: np.ndarray | None, origins: np.ndarray, edges: np.ndarray) -> Iterator[Group]:
        """The group of one store in each step, of samples that are cut at these edges; `mine` are of the store."""
        origins = origins if mine is None else origins[mine]
        ends = (edges if mine is None else np.searchsorted(mine, edges)).tolist()
        views = self._planner.views
        together = [view.corners(store, origins) for view in views]
        for (first, last), (a, b) in zip(pairwise(edges.tolist()), pairwise(ends), strict=True):
            some = origins[a:b]
            corners = [
                view.corners(store, some) if found is None else _part(found, a, b, len(origins))
                for view, found in zip(views, together, strict=True)
            ]
            yield Group(store, None if mine is None or b - a == last - first else mine[a:b] - first, some, corners)

    @cached_property
    def _has_one_store(self) -> bool:
        return all(len(view.arrays) == 1 for view in self._planner.views)

    def _stores(self, blocks: np.ndarray) -> np.ndarray:
        return np.zeros(len(blocks), np.int64) if self._has_one_store else self._planner.space.stores(blocks)

    def _make_room(self, rows: int) -> None:
        if self._end + rows <= len(self._origins):
            return
        live, old = list(self._live.items()), self._origins
        kept = sum(count for _, (count, _) in live)
        self._origins, self._end = np.empty((max(2 * (kept + rows), MIN_ROWS), old.shape[1]), np.int64), 0
        for block, (count, _) in live:
            first = int(self._first[block])
            self._put(block, old[first : first + count])

    def _put(self, block: int, origins: np.ndarray) -> None:
        self._first[block], end = self._end, self._end + len(origins)
        self._origins[self._end : end] = origins
        self._end = end


def _part(corners: Corners, a: int, b: int, samples: int) -> Corners:
    """The corners of samples a to b - 1."""
    starts, shape = corners
    per = len(starts) // max(samples, 1)
    return starts[per * a : per * b], shape
