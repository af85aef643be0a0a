"""How far a reader is ahead of its caller: what may be read, and what is."""

from __future__ import annotations

from dataclasses import dataclass

READS_AHEAD = 2  # beyond the one whose results are handed over
MAX_TOGETHER = 512  # results of one read


@dataclass
class Ahead:
    """Room for results that nobody has asked for.

    `most`: results that may be there; None: those of `READS_AHEAD` reads. `max_bytes`: of them. `together_bytes`: of
    the results of one read, which begin with one, so that the first comes soon, and become more. `reads`, `results`
    and `nbytes` are what there is; results of a read that is handed over count until the caller takes them.
    """

    most: int | None
    max_bytes: int
    together_bytes: int
    together: int = 1
    reads: int = 0
    results: int = 0
    nbytes: int = 0

    def __post_init__(self) -> None:
        self.together_bytes = min(self.together_bytes, self.max_bytes // (READS_AHEAD + 1))

    def may_begin(self, handed: int) -> bool:
        """Whether one more read is not too many. `handed`: how many are waited for, and so are not ahead."""
        if self.most is None:
            return self.reads < READS_AHEAD + handed
        return self.results + self.together <= self.most + handed

    def has_room(self, nbytes: int) -> bool:
        """Whether there is room for a read whose first result has so many bytes."""
        return not self.results or self.nbytes + max(nbytes, self.together_bytes) <= self.max_bytes

    def begin(self, sizes: list[int]) -> None:
        """Note a read that has begun, by the bytes of its results."""
        self.reads, self.results, self.nbytes = self.reads + 1, self.results + len(sizes), self.nbytes + sum(sizes)
        self.together = min(2 * self.together, MAX_TOGETHER if self.most is None else max(self.most // 2, 1))

    def hand_over(self) -> None:
        """Note a read whose results are there."""
        self.reads -= 1

    def take(self, nbytes: int) -> None:
        """Note a result that the caller has taken."""
        self.results, self.nbytes = self.results - 1, self.nbytes - nbytes
