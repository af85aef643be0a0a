"""How much of an attack is tried, and the count of it: seconds in the suite, as many times more in `make attack`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
FACTOR = int(os.environ.get("GPUZARR_ATTACK_ROUNDS", "1"))  # times as much as in every run of the tests
REPORT = os.environ.get("GPUZARR_ATTACK_REPORT")  # a file for the counts
COUNTS: Counter[str] = Counter()  # of inputs that were tried, by kind


def tried(kind: str, number: int = 1) -> None:
    """Count inputs."""
    COUNTS[kind] += number


def rounds(kind: str, items: Iterable[T]) -> Iterator[T]:
    """The items, each counted before it is tried."""
    for item in items:
        tried(kind)
        yield item


def told(failed: int) -> str:
    """What was tried, and how many tests failed (each stops at its first failure); also written to REPORT, if any."""
    if REPORT:
        from benchmarks.harness.timing import record

        tried = dict(sorted(COUNTS.items()))
        record("attack", Path(REPORT), settings={"rounds": FACTOR}, tried=tried, failed=failed)
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(COUNTS.items()))
    return f"attack: {kinds}; {failed} tests failed"
