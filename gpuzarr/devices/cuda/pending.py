"""Checks for bad chunks that were launched and not yet looked at: one download for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.errors import CodecError


class Pending(threading.local):
    """Pending checks of each thread, in the order in which they were added."""

    def __init__(self) -> None:
        self.checks: list[tuple[Any, np.ndarray, str]] = []

    def add(self, bad: Any, chunk: np.ndarray, problem: str) -> None:
        """Add a check. `bad`: device int32 array of one element, the number of the first bad stream, or negative."""
        self.checks.append((bad, chunk, problem))

    def take(self, device: Any) -> Callable[[], None] | None:
        """Take all pending checks: a function that waits for them and raises CodecError for the first bad stream.

        None if there are none.
        """
        checks, self.checks = self.checks, []
        if not checks:
            return None
        found = device.download_async(device.xp.concatenate([bad for bad, _, _ in checks]))

        def complete() -> None:
            for number, (_, chunk, problem) in zip(found(), checks, strict=True):
                if number >= 0:
                    raise CodecError(problem, int(chunk[number]))

        return complete

    def forget(self) -> None:
        """Drop the pending checks, after another error."""
        self.checks = []
