"""How good a shuffle is: a score from nearly 0 (samples as they are stored) to 1 (as mixed as all of them can be).

The idea is that of insitubatch's quality score: neighbours in a batch should come from many places of the data set. The
score is the number of different blocks that a batch of all ranks has samples of, on average, divided by that of a
shuffle of all samples at once. Of N samples, a random batch of B lacks a block of n with the probability
C(N - n, B) / C(N, B), so it has the sum over all blocks of one minus that.
"""

from __future__ import annotations

import numpy as np

from gpuzarr.loader.order.arrangement import Arrangement
from gpuzarr.loader.order.lanes import Lane
from gpuzarr.loader.order.shuffle import BlockShuffle

SAMPLED_BATCHES = 256  # of an epoch, evenly spread
EXACT_SAMPLES = 1 << 16  # up to which logarithms of factorials are looked up in a table


def quality(counts: np.ndarray, shuffle: BlockShuffle | None, batch: int, seed: int = 0, epoch: int = 0) -> float:
    """Score a shuffle of blocks with these numbers of samples, int64 (blocks,), in batches of `batch` of all ranks.

    The expectation over all random orders within windows is exact; of the batches of the epoch some are looked at.
    1.0 where there are no samples.
    """
    samples = int(counts.sum())
    batch = min(batch, samples)
    if not batch:
        return 1.0
    arrangement = Arrangement.of(counts, seed, epoch, shuffle)
    batches = samples // batch
    first = np.unique(np.linspace(0, batches - 1, min(batches, SAMPLED_BATCHES)).astype(np.int64)) * batch
    lengths = np.array([lane.samples for lane in arrangement.lanes])
    low, high = (arrangement.turns.before(positions, lengths) for positions in (first, first + batch))
    found = sum(_different(lane, low[:, lane.number], high[:, lane.number]) for lane in arrangement.lanes)
    sizes, blocks = np.unique(counts, return_counts=True)
    of_all = ((1 - missed(sizes, np.array(samples), np.array(batch))) * blocks).sum()
    return min(1.0, float(found / len(first) / of_all))


def _different(lane: Lane, low: np.ndarray, high: np.ndarray) -> float:
    """The expected number of different blocks in stretches of a lane from `low` to `high`, int64 (n,), all together."""
    low, high = low[low < high], high[low < high]
    first = np.searchsorted(lane.windows, low, "right") - 1
    last = np.searchsorted(lane.windows, high - 1, "right") - 1
    inside = np.minimum(last * lane.width, len(lane.blocks)) - np.minimum((first + 1) * lane.width, len(lane.blocks))
    found = float(inside[first < last].sum())  # blocks of whole windows
    ends = np.minimum(high, lane.windows[first + 1])
    found += _of_windows(lane, first, ends - low)
    more = first < last
    return found + _of_windows(lane, last[more], high[more] - lane.windows[last[more]])


def _of_windows(lane: Lane, windows: np.ndarray, drawn: np.ndarray) -> float:
    """The expected number of different blocks among samples drawn from some windows, all together."""
    (windows, drawn), times = np.unique(np.stack([windows, drawn]), axis=1, return_counts=True)
    block = windows[:, None] * lane.width + np.arange(min(lane.width, len(lane.blocks)))
    sizes = np.diff(lane.starts, append=lane.starts[-1])[np.minimum(block, len(lane.blocks))]  # 0 behind the last block
    totals = np.diff(lane.windows)[windows]
    return float((1 - missed(sizes, totals[:, None], drawn[:, None])).sum(axis=1) @ times)


def missed(size: np.ndarray, total: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The probability that `drawn` of `total` samples are none of a certain `size` of them.

    It is C(total - size, drawn) / C(total, drawn).
    For large totals logarithms of factorials would lose all digits in their difference; there Stirling's series is
    taken, put together with log1p.
    """
    size, total, drawn = np.broadcast_arrays(size, total, drawn)
    rest = total - size - drawn  # samples that are neither
    found = np.zeros(rest.shape)
    exact = (rest >= 0) & (total <= EXACT_SAMPLES)
    found[exact] = _by_table(size[exact], total[exact], drawn[exact])
    series = (rest > 0) & (total > EXACT_SAMPLES)
    found[series] = _by_series(size[series] * 1.0, total[series] * 1.0, drawn[series] * 1.0)
    return found


def _by_table(size: np.ndarray, total: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    log_factorial = np.append(0, np.log(np.arange(1, total.max(initial=0) + 1)).cumsum())
    with_none = log_factorial[total - size] - log_factorial[total - size - drawn]
    return np.exp(with_none - log_factorial[total] + log_factorial[total - drawn])


def _by_series(size: np.ndarray, total: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    others, left = total - size, total - drawn
    rest = others - drawn
    ratio = np.log1p(-size * drawn / (others * left))
    powers = total * ratio - size * np.log1p(-drawn / others) - drawn * np.log1p(-size / left)
    small = [np.log(x) / 2 + 1 / (12 * x) - 1 / (360 * x**3) for x in (others, rest, total, left)]
    return np.exp(small[0] - small[1] - small[2] + small[3] - powers)
