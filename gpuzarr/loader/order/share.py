"""The share of a rank: which positions of the order of all ranks are in which of its batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuzarr.checks import flag, number
from gpuzarr.errors import ArgumentError


@dataclass(frozen=True)
class Batching:
    """Batches of `batch_size` samples for each of `world_size` ranks, of which this one is `rank`.

    With `drop_last`, samples that do not make a whole batch for each rank are left out; else the last batches are
    smaller.
    """

    batch_size: int = 1
    rank: int = 0
    world_size: int = 1
    drop_last: bool = False

    def __post_init__(self) -> None:
        size = number(self.batch_size, "batch_size", 1)
        world = number(self.world_size, "world_size", 1)
        rank = number(self.rank, "rank", 0, world - 1)
        checked = {
            "batch_size": size,
            "world_size": world,
            "rank": rank,
            "drop_last": flag(self.drop_last, "drop_last"),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def of_all(self) -> int:
        """The samples of a batch of all ranks."""
        return self.batch_size * self.world_size

    def share(self, samples: int, position: int = 0) -> Share:
        """The share of the rank in the samples behind a position.

        The last batches of all ranks are as many, and none is empty: where less samples would be left for the last one
        than there are ranks, the batch before it gives some of its own. ArgumentError where it has none to give.
        """
        if not 0 <= position <= samples:
            raise ArgumentError(f"position must be an integer from 0 to the {samples} samples, not {position}")
        steps, left = divmod(samples - position, self.of_all)
        if self.drop_last:
            return Share(self, position, samples - left, samples - left, steps)
        if 0 < left < self.world_size:
            if not steps or self.batch_size == 1:
                raise ArgumentError(self._undivided(samples, position))
            return Share(self, position, samples - self.world_size, samples, steps + 1)
        return Share(self, position, samples, samples, steps + (left > 0))

    def _undivided(self, samples: int, position: int) -> str:
        behind = f"{samples} samples" if not position else f"{samples - position} samples behind position {position}"
        return (
            f"{behind} cannot be divided into batches of {self.batch_size} for {self.world_size} ranks, as many for "
            "each and none empty: drop_last=True leaves out those that are too many, or choose another batch_size"
        )


@dataclass(frozen=True)
class Share:
    """Positions of a rank: every `world_size`-th one from `start` to `stop`, and one more if `end` lies behind that.

    `steps`: the number of its batches. All but the last two are whole.
    """

    batching: Batching
    start: int
    stop: int
    end: int
    steps: int

    @property
    def regular(self) -> int:
        """The number of positions before `stop`."""
        return len(range(self.start + self.batching.rank, self.stop, self.batching.world_size))

    @property
    def last(self) -> int | None:
        """The one position behind `stop`."""
        return self.stop + self.batching.rank if self.end > self.stop else None

    @property
    def size(self) -> int:
        """The number of positions."""
        return self.regular + (self.last is not None)

    def positions(self, low: int, high: int) -> np.ndarray:
        """Some of the positions of the rank, int64 (n,)."""
        regular = self.regular
        found = self.start + self.batching.rank + self.batching.world_size * np.arange(low, min(high, regular))
        return found if high <= regular or self.last is None else np.append(found, self.last)

    def bounds(self, low: int, high: int) -> np.ndarray:
        """The number of positions before each step from `low` to `high`, both included, int64 (high - low + 1,)."""
        bounds = np.minimum(np.arange(low, high + 1) * self.batching.batch_size, self.regular)
        if high == self.steps and self.last is not None:
            bounds[-1] = self.size
        return bounds

    def done(self, step: int) -> int:
        """The samples of all ranks that are done after a step."""
        return self.end if step == self.steps - 1 else min(self.start + (step + 1) * self.batching.of_all, self.stop)

    def has(self, positions: np.ndarray) -> np.ndarray:
        """Tell which positions are of this rank, bool (n,)."""
        within = positions - self.start
        regular = (within >= 0) & (positions < self.stop)
        regular &= within - within // self.batching.world_size * self.batching.world_size == self.batching.rank
        return regular if self.last is None else regular | (positions == self.last)
