"""The order of an epoch: which samples form which batch of a rank, and when a rank needs which blocks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from gpuzarr.errors import ArgumentError
from gpuzarr.loader.contract import Step
from gpuzarr.loader.order.arrangement import Arrangement
from gpuzarr.loader.order.brackets import Bracketed, bracketed
from gpuzarr.loader.order.live import live
from gpuzarr.loader.order.share import Batching, Share
from gpuzarr.loader.order.shuffle import BlockShuffle

RUN_SAMPLES = 1 << 14  # of a rank whose places are found in one go


class EpochOrder:
    """The steps of one rank in one epoch (`contract.Order`), of samples in blocks: `counts`, int64 (blocks,).

    `arrangement` is the order of the samples of all ranks, the same for each rank and each number of them; batches are
    slices of it. Nothing is computed but what is asked for, so a billion samples cost as much as a thousand.
    """

    def __init__(
        self,
        counts: np.ndarray,
        seed: int = 0,
        epoch: int = 0,
        shuffle: BlockShuffle | None = None,
        batch_size: int = 1,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        self.arrangement = Arrangement.of(counts, seed, epoch, shuffle)
        self.batching = Batching(batch_size, rank, world_size, drop_last)
        self.samples = int(counts.sum())

    def count(self, position: int = 0) -> int:
        """The number of steps behind a position (samples of all ranks that are done); the same for each rank.

        ArgumentError where the samples cannot be divided into as many batches for each rank (`Batching.share`).
        """
        return self.batching.share(self.samples, position).steps

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The block of the sample at each position of the order of all ranks, and its number there, both int64 (n,).

        Positions may be in any sequence. Those of few windows are quick; random ones shuffle a window for each.
        """
        positions = np.asarray(positions, np.int64)
        if len(positions) and not 0 <= positions.min() <= positions.max() < self.samples:
            raise ArgumentError(f"positions are from {positions.min()} to {positions.max()}, of {self.samples} samples")
        return self.arrangement.at(positions)

    def steps(self, position: int = 0) -> Iterator[Step]:
        """The steps behind a position. ArgumentError as for `count`, at once."""
        return self._steps(self.batching.share(self.samples, position), -(-position // self.batching.of_all))

    def _steps(self, share: Share, number: int) -> Iterator[Step]:
        find = bracketed(self.arrangement, share)
        at_once = max(1, RUN_SAMPLES // self.batching.batch_size)
        for low in range(0, share.steps, at_once):
            bounds = share.bounds(low, min(low + at_once, share.steps))
            found = find(int(bounds[0]), int(bounds[-1]))
            for step, parts in enumerate(_cut(found, bounds - bounds[0]), low):
                yield Step(number + step, share.done(step), *parts)

    def live_blocks(self) -> int:
        """The most blocks of which the rank has samples in a step, or both before and after it; rather too many."""
        return live(self.arrangement, self.batching, self.samples)


def _cut(found: Bracketed, bounds: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Cut samples into steps: of each the blocks, the indices, the blocks that enter, and those that leave."""
    blocks, indices, first, last = found
    entering, leaving = np.flatnonzero(first), np.flatnonzero(last)
    enters, leaves = blocks[entering], blocks[leaving]
    edges = [bounds, np.searchsorted(entering, bounds), np.searchsorted(leaving, bounds)]
    for (a, b), (c, d), (e, f) in zip(*(pairwise(edge.tolist()) for edge in edges), strict=True):
        yield blocks[a:b], indices[a:b], enters[c:d], leaves[e:f]
