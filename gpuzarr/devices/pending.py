"""What was launched to find bad chunks and was not yet looked at: one read back for all of it."""

from __future__ import annotations

import threading
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

    def settle(self, device: Any) -> None:
        """Read all of them with one copy; CodecError for the first that found something. Forgets them either way."""
        checks, self.checks = self.checks, []
        if not checks:
            return
        found = device.download(device.xp.concatenate([bad for bad, _, _ in checks]))
        for number, (_, chunk, problem) in zip(found, checks, strict=True):
            if number >= 0:
                raise CodecError(problem, int(chunk[number]))

    def forget(self) -> None:
        self.checks = []
