"""The samples of a stretch of a rank's positions, and whether each is the first or the last one of its block.

Both take the positions from number `low` to `high` of a share, which ascend, and return for each of them the block, the
number in it (int64), and whether the rank has no sample of that block before it, and none after it (bool).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from gpuzarr.loader.order.arrangement import Arrangement
from gpuzarr.loader.order.lanes import Group
from gpuzarr.loader.order.share import Share

PIECE_SAMPLES = 1 << 20  # of a large window, looked at in one go

Bracketed = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Bounds = tuple[Group, np.ndarray, np.ndarray]


def bracketed(arrangement: Arrangement, share: Share) -> Callable[[int, int], Bracketed]:
    """The function that finds the samples of a share."""
    return (InWindows if arrangement.shuffled else InSequence)(arrangement, share).find


@dataclass(frozen=True)
class InSequence:
    """Samples block after block: the neighbours of a sample tell whether it is the first or the last one."""

    arrangement: Arrangement
    share: Share

    def find(self, low: int, high: int) -> Bracketed:
        """Find the samples of the positions from `low` to `high`."""
        before, after = low > 0, high < self.share.size
        blocks, indices = self.arrangement.at(self.share.positions(low - before, high + after))
        none = np.array([-1])
        around = np.concatenate([none[before:], blocks, none[after:]])
        blocks, indices = around[1:-1], indices[int(before) :][: high - low]
        return blocks, indices, blocks != around[:-2], blocks != around[2:]


@dataclass(frozen=True)
class InWindows:
    """Samples in random order within windows: what the rank has of a window is looked through when it gets there.

    `found`: by lane the group of windows that it is in, with the first and the last position of each of its blocks.
    """

    arrangement: Arrangement
    share: Share
    found: dict[int, Bounds] = field(default_factory=dict)

    def find(self, low: int, high: int) -> Bracketed:
        """Find the samples of the positions from `low` to `high`."""
        positions = self.share.positions(low, high)
        blocks, indices = np.empty_like(positions), np.empty_like(positions)
        first, last = np.empty(len(positions), bool), np.empty(len(positions), bool)
        for group, where, numbers in self.arrangement.by_group(positions):
            block, indices[where] = group.samples(numbers)
            blocks[where] = group.blocks[block]
            firsts, lasts = self._bounds(group)
            first[where] = positions[where] == firsts[block]
            last[where] = positions[where] == lasts[block]
        return blocks, indices, first, last

    def _bounds(self, group: Group) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last position of the rank in each block of a group; of none: beyond all, and -1."""
        known = self.found.get(group.lane)
        if known is None or known[0].number != group.number:
            firsts, lasts = np.full(len(group.blocks), np.iinfo(np.int64).max), np.full(len(group.blocks), -1)
            for block, positions in self._pieces(group):
                np.minimum.at(firsts, block, positions)
                np.maximum.at(lasts, block, positions)
            known = self.found[group.lane] = group, firsts, lasts
        return known[1], known[2]

    def _pieces(self, group: Group) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The blocks and the positions of the samples that the rank has of a group."""
        end = group.first + len(group.order)
        for low in range(group.first, end, PIECE_SAMPLES):
            numbers = np.arange(low, min(low + PIECE_SAMPLES, end))
            positions = self.arrangement.turns.positions(group.lane, numbers)
            has = self.share.has(positions)
            yield group.samples(numbers[has])[0], positions[has]
