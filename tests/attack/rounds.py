"""How long an attack goes on: some rounds in a test, minutes of them by `make attack`, which counts them."""

from __future__ import annotations

import os
from collections.abc import Iterator

FACTOR = int(os.environ.get("GPUZARR_ATTACK_ROUNDS", "1"))


def rounds(number: int) -> Iterator[int]:
    """The numbers of so many rounds, or of as many times more as the environment says; told on stdout (`pytest -rP`)."""
    for i in range(number * FACTOR):
        yield i
    print(f"{number * FACTOR} rounds, 0 failures")
