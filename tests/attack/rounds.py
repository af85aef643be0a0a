"""How long an attack goes on: seconds in the suite, as many times longer as the environment says (`make attack`)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
FACTOR = int(os.environ.get("GPUZARR_ATTACK_ROUNDS", "1"))
COUNTS: Counter[str] = Counter()  # rounds that were begun, by kind


def rounds(kind: str, items: Iterable[T]) -> Iterator[T]:
    """The items, counted."""
    for item in items:
        COUNTS[kind] += 1
        yield item
