"""A lane: some of the blocks of an epoch in their order, and the samples of a few of them at a time in random order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gpuzarr.loader.randomness import Purpose, raw, shuffled

GROUP_SAMPLES = 1 << 12  # of small windows that are shuffled in one call


@dataclass(frozen=True, eq=False)
class Lane:
    """The blocks of a lane. None is without samples.

    `blocks`: their numbers, int64 (blocks,). `starts`: the number in the lane of the first sample of each, then that of
    all samples, int64 (blocks + 1,). `width`: the blocks of a window, whose samples are in random order.
    """

    number: int
    blocks: np.ndarray
    starts: np.ndarray
    width: int
    seed: int
    epoch: int

    @property
    def samples(self) -> int:
        """The number of samples of the lane."""
        return int(self.starts[-1])

    @cached_property
    def windows(self) -> np.ndarray:
        """The number in the lane of the first sample of each window, then that of all, int64 (windows + 1,)."""
        first = self.starts[:-1][:: self.width]
        return np.append(first, self.starts[-1:])

    def unshuffled(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The block of each sample, and its number there, of samples in the order of the blocks."""
        block = np.searchsorted(self.starts, numbers, "right") - 1
        return self.blocks[block], numbers - self.starts[block]

    def groups(self, numbers: np.ndarray) -> Iterator[tuple[int, slice | np.ndarray]]:
        """The number of each group that has some of these samples, and where in `numbers` these are."""
        ends = np.array([numbers.min(), numbers.max()])
        low, high = self._group_of(ends).tolist()
        return iter([(low, slice(None))]) if low == high else equal(self._group_of(numbers))

    def _group_of(self, numbers: np.ndarray) -> np.ndarray:
        """The number of the group of each sample."""
        return self.windows[np.searchsorted(self.windows, numbers, "right") - 1] // GROUP_SAMPLES

    def group(self, number: int) -> Group:
        """The windows that begin within a stretch of GROUP_SAMPLES samples, in their order.

        The random word of a sample is that of its number in the lane, so it does not matter how windows are grouped.
        """
        bounds = np.array([number, number + 1]) * GROUP_SAMPLES
        windows = np.searchsorted(self.windows[:-1], bounds)
        first, end = self.windows[windows].tolist()
        words = raw(self.seed, Purpose.SAMPLES, self.epoch, self.number, n=end - first, start=first)
        order = shuffled(words)
        edges = self.windows[windows[0] : windows[1] + 1] - first
        if len(edges) > 2:  # window by window, each in the order that all have
            window = np.repeat(np.arange(len(edges) - 1, dtype=np.uint16), np.diff(edges))[order]
            order = order[np.argsort(window, kind="stable")]
        low, high = (windows * self.width).tolist()
        return Group(
            self.number, number, first, order.astype(np.uint32), self.blocks[low:high], self.starts[low : high + 1]
        )


@dataclass(frozen=True, eq=False)
class Group:
    """Some consecutive windows of a lane, each in its random order.

    `lane`, `number`: of the lane, and of the group in it. `first`: the number in the lane of the first
    sample. `order`: the samples, counted from it, uint32 (samples,). `blocks`, `starts`: as those of the lane.
    """

    lane: int
    number: int
    first: int
    order: np.ndarray
    blocks: np.ndarray
    starts: np.ndarray

    def samples(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For samples of the lane in random order: which of the blocks of the group, and the number in that block."""
        unshuffled = self.order[numbers - self.first] + np.int64(self.first)
        block = np.searchsorted(self.starts, unshuffled, "right") - 1
        return block, unshuffled - self.starts[block]


def equal(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each value once, with the places where it is, which ascend."""
    order = np.argsort(values, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(values[order])) + 1) if len(values) else ():
        yield int(values[part[0]]), part
