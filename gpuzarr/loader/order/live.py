"""How many blocks a rank needs at a time."""

from __future__ import annotations

import numpy as np

from gpuzarr.loader.order.arrangement import Arrangement
from gpuzarr.loader.order.lanes import Lane
from gpuzarr.loader.order.share import Batching


def live(arrangement: Arrangement, batching: Batching, samples: int) -> int:
    """The most blocks that the rank needs at a time: `EpochOrder.live_blocks`.

    A window counts, with all of its blocks, from the step of its first sample to that of its last one.
    """
    if not samples:
        return 0
    parts = [_needed(arrangement, lane, batching, samples) for lane in arrangement.lanes if lane.samples]
    first, last, blocks = (np.concatenate(part) for part in zip(*parts, strict=True))
    by_first, by_last = np.argsort(first), np.argsort(last)
    steps = first[by_first]
    entered = np.append(0, blocks[by_first].cumsum())[np.searchsorted(steps, steps, "right")]
    left = np.append(0, blocks[by_last].cumsum())[np.searchsorted(last[by_last], steps)]
    return int((entered - left).max(initial=0))


def _needed(
    arrangement: Arrangement, lane: Lane, batching: Batching, samples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The windows of a lane that a rank needs: the first step, the last one, and the blocks of each, int64 (n,)."""
    turns = arrangement.turns
    first = turns.positions(lane.number, lane.windows[:-1])
    last = turns.positions(lane.number, lane.windows[1:] - 1)
    blocks = np.full(len(first), lane.width)
    blocks[-1] = len(lane.blocks) - lane.width * (len(first) - 1)
    if (
        turns.widths[0] % batching.world_size == 0
        and turns.turns[0, lane.number] % batching.world_size != batching.rank
    ):
        tail = int(turns.starts[1]) if len(turns.starts) > 1 else samples  # before it the lane is of another rank
        shared = last >= tail
        first, last, blocks = np.maximum(first[shared], tail), last[shared], blocks[shared]
    return first // batching.of_all, last // batching.of_all, blocks
