"""Checks for bad chunks that were launched and not yet looked at: one download for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.errors import CodecError

MAX_FLAGS = 128  # of one allocation: 512 bytes, the unit of CuPy's pool


class Pending(threading.local):
    """Pending checks of each thread, in the order in which they were added, and their flags in scratch of the device.

    A thread's checks must all be of one stream, until they are taken.
    """

    def __init__(self) -> None:
        self.forget()

    def add(self, device: Any, chunk: np.ndarray, problem: str) -> Any:
        """Add a check and return its flag. See `Device.check`."""
        number = len(self._checks) % MAX_FLAGS
        if number == 0:
            self._flags.append(device.filled(4 * MAX_FLAGS, 255).view(np.int32))
        self._checks.append((chunk, problem))
        return self._flags[-1][number : number + 1].view(np.uint32)

    def take(self, device: Any) -> Callable[[], None] | None:
        """Take all pending checks: a function that waits for them and raises CodecError for the first bad stream.

        None if there are none.
        """
        checks, flags = self._checks, self._flags
        self.forget()
        if not checks:
            return None
        found = [device.download_async(some[: len(checks) - i * MAX_FLAGS]) for i, some in enumerate(flags)]

        def complete() -> None:
            numbers = np.concatenate([look() for look in found]).tolist()
            for number, (chunk, problem) in zip(numbers, checks, strict=True):
                if number >= 0:  # -1: no kernel has set the flag
                    raise CodecError(problem, int(chunk[number]))

        return complete

    def forget(self) -> None:
        """Drop the pending checks, after another error."""
        self._checks: list[tuple[np.ndarray, str]] = []
        self._flags: list[Any] = []
