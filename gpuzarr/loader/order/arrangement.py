"""The order of all samples of an epoch: a pure function of their blocks, the seed, the epoch and the shuffle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from math import isqrt

import numpy as np

from gpuzarr.errors import ArgumentError
from gpuzarr.loader.order.lanes import Group, Lane, equal
from gpuzarr.loader.order.shuffle import BlockShuffle
from gpuzarr.loader.order.turns import Turns
from gpuzarr.loader.randomness import Purpose, permutation

MAX_WINDOW_SAMPLES = 1 << 28  # 1 GiB for each lane while they are needed, and some 10 GiB while they are shuffled

LAST_BLOCKS_PER_ROOT = 4  # of the number of blocks of a lane, which are dealt to the shortest lane


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The order of samples, which is never written down: what is at some positions is found where it is asked for.

    `lanes` take `turns`; their samples are `shuffled` within windows, or not. `kept`: the last groups of windows that
    were shuffled, by lane and number.
    """

    lanes: tuple[Lane, ...]
    turns: Turns
    shuffled: bool
    kept: dict[tuple[int, int], Group] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: np.ndarray, seed: int, epoch: int, shuffle: BlockShuffle | None) -> Arrangement:
        """The order of samples in blocks with these numbers of samples, int64 (blocks,)."""
        blocks = np.flatnonzero(counts)
        lanes: tuple[Lane, ...]
        if shuffle is None:
            lanes = (_lane(0, blocks, counts, 1, seed, epoch),)
        else:
            blocks = blocks[permutation(seed, Purpose.BLOCKS, epoch, n=len(blocks))]
            width, dealt = shuffle.blocks_of_a_lane, _dealt(blocks, counts, shuffle.lanes or 1)
            lanes = tuple(_lane(lane, hand, counts, width, seed, epoch) for lane, hand in enumerate(dealt))
            _check(lanes)
        return cls(lanes, Turns.of(np.array([lane.samples for lane in lanes])), shuffle is not None)

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The block of the sample at each position, and its number in that block, both int64 (n,)."""
        if not self.shuffled:
            return self.lanes[0].unshuffled(positions)
        blocks, indices = np.empty_like(positions), np.empty_like(positions)
        for group, where, numbers in self.by_group(positions):
            block, indices[where] = group.samples(numbers)
            blocks[where] = group.blocks[block]
        return blocks, indices

    def by_group(self, positions: np.ndarray) -> Iterator[tuple[Group, np.ndarray, np.ndarray]]:
        """For each group of windows the places in `positions` of its samples, and the numbers of these in the lane."""
        lanes, numbers = self.turns.places(positions)
        for lane, where in equal(lanes.astype(np.uint16)):
            of_lane = numbers[where]
            for number, part in self.lanes[lane].groups(of_lane):
                yield self._group(lane, number), where[part], of_lane[part]

    def _group(self, lane: int, number: int) -> Group:
        """A group of windows, kept or made; as many are kept as are needed at a time, and one more."""
        group = self.kept.pop((lane, number), None) or self.lanes[lane].group(number)
        self.kept[lane, number] = group  # the last one used is the last of all
        for other in list(self.kept)[: -len(self.lanes) - 1]:
            self.kept.pop(other, None)  # which another thread may have done
        return group


def _dealt(blocks: np.ndarray, counts: np.ndarray, lanes: int) -> list[np.ndarray]:
    """Deal blocks to lanes: in turn, but of the last ones each to the lane that has the fewest samples by then.

    So lanes end at nearly the same time, in most cases less than a block apart, also where some blocks have fewer
    samples, as those at an edge have. Dealt in turn, their lengths differ by about the root of the number of their
    blocks.
    """
    last = LAST_BLOCKS_PER_ROOT * lanes * (1 + isqrt(len(blocks) // lanes))
    in_turn = max(0, len(blocks) - last) // lanes * lanes
    turns, rest = blocks[:in_turn].reshape(-1, lanes), blocks[in_turn:]
    heap = [(samples, lane) for lane, samples in enumerate(counts[turns].sum(axis=0).tolist())]
    heapify(heap)
    takers = np.empty(len(rest), np.uint16)
    for block, samples in enumerate(counts[rest].tolist()):
        length, taker = heap[0]
        takers[block] = taker
        heapreplace(heap, (length + samples, taker))
    ends = np.searchsorted(np.sort(takers), np.arange(1, lanes))
    parts = np.split(rest[np.argsort(takers, kind="stable")], ends)
    return [np.concatenate([turns[:, lane], part]) for lane, part in enumerate(parts)]


def _lane(number: int, blocks: np.ndarray, counts: np.ndarray, width: int, seed: int, epoch: int) -> Lane:
    """A lane of blocks."""
    return Lane(number, blocks, np.append(0, np.cumsum(counts[blocks], dtype=np.int64)), width, seed, epoch)


def _check(lanes: tuple[Lane, ...]) -> None:
    """Raise ArgumentError for windows that are too large to be shuffled."""
    largest = max(int(np.diff(lane.windows).max(initial=0)) for lane in lanes)
    if largest > MAX_WINDOW_SAMPLES:
        raise ArgumentError(
            f"shuffle: {lanes[0].width} blocks have {largest} samples, more than the {MAX_WINDOW_SAMPLES} that are "
            "shuffled at a time; make blocks smaller with BlockShuffle(block=...), or choose more lanes"
        )
