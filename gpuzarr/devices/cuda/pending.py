"""What was launched to find bad chunks and was not yet looked at: one read back for all of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.errors import CodecError


class Pending(threading.local):
    """The open checks of each thread, in the order in which they were remembered."""

    def __init__(self) -> None:
        self.checks: list[tuple[Any, np.ndarray, str]] = []

    def add(self, bad: Any, chunk: np.ndarray, problem: str) -> None:
        """`bad`: device int32 array of one element, the number of the first bad stream, or negative."""
        self.checks.append((bad, chunk, problem))

    def take(self, device: Any) -> Callable[[], None] | None:
        """All open checks as one function, which waits for them; CodecError for the first that found something.

        They are open no more. None if there are none.
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
        self.checks = []
