"""Lanes that take turns: a sample of each in each round, until the shorter ones have ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Turns:
    """A table of stretches: of consecutive rounds in which the same lanes take part, as each still has samples.

    `rounds`, `starts`: the first round and the first position of each stretch, int64 (stretches,). `widths`: the number
    of lanes in it. `lanes`: these, in turn, and then the others, int64 (stretches, lanes). `turns`: the turn of each
    lane that takes part, int64 (stretches, lanes).
    """

    rounds: np.ndarray
    starts: np.ndarray
    widths: np.ndarray
    lanes: np.ndarray
    turns: np.ndarray

    @classmethod
    def of(cls, lengths: np.ndarray) -> Turns:
        """The turns of lanes with these numbers of samples, int64 (lanes,)."""
        rounds = np.unique(np.append(lengths, 0))[:-1]
        active = lengths > rounds[:, None]
        starts = np.minimum(lengths, rounds[:, None]).sum(axis=1)
        lanes = np.argsort(~active, axis=1, kind="stable")
        return cls(rounds, starts, active.sum(axis=1), lanes, active.cumsum(axis=1) - 1)

    def places(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lane of each position, and the number of the sample in its lane, which is its round."""
        stretch = _last_not_above(self.starts, positions)
        within = positions - self.starts[stretch]
        rounds = within // self.widths[stretch]
        return self.lanes[stretch, within - rounds * self.widths[stretch]], self.rounds[stretch] + rounds

    def positions(self, lane: int, rounds: np.ndarray) -> np.ndarray:
        """The position of the samples of a lane in some rounds, in each of which it takes part."""
        stretch = _last_not_above(self.rounds, rounds)
        first = self.starts[stretch] + self.turns[stretch, lane]
        return first + (rounds - self.rounds[stretch]) * self.widths[stretch]

    def before(self, positions: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The samples of each lane that lie before each position, int64 (n, lanes), from the `lengths` of the lanes."""
        stretch = np.searchsorted(self.starts, positions, "right") - 1
        done = (positions - self.starts[stretch])[:, None] - self.turns[stretch]
        rounds = -(-done // self.widths[stretch][:, None])
        return np.minimum(self.rounds[stretch][:, None] + rounds, lengths)


def _last_not_above(table: np.ndarray, values: np.ndarray) -> np.ndarray | np.int64:
    """The place in an ascending table of the last one that is not above each value; one number if it is the same."""
    if len(values):
        low, high = np.searchsorted(table, [values.min(), values.max()], "right") - 1
        if low == high:  # which saves much time, as nearly all samples lie in one stretch
            return low
    return np.searchsorted(table, values, "right") - 1
