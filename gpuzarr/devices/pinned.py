"""Page-locked buffers that are kept: to lock pages takes longer than to copy them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

import numpy as np

LEAST = 4 << 10  # bytes of a buffer


def rounded(nbytes: int) -> int:
    """The size of the buffer for so many bytes: an eighth more at most, so that other waves can use it again."""
    if nbytes <= LEAST:
        return LEAST
    step = 1 << max((nbytes - 1).bit_length() - 4, 0)
    return -(-nbytes // step) * step


class Pinned:
    """The free buffers of one device. `allocate(nbytes)` gives a new one; who takes one gives it back when no
    copy reads or writes it any more. Used by many threads."""

    def __init__(self, allocate: Callable[[int], np.ndarray], keep: int = 1 << 30) -> None:
        self._allocate, self._keep = allocate, keep
        self._free: dict[int, list[np.ndarray]] = defaultdict(list)
        self._lock = threading.Lock()
        self.kept = 0  # bytes that are free

    def take(self, nbytes: int) -> np.ndarray:
        """A buffer of at least so many bytes, not initialised."""
        size = rounded(nbytes)
        with self._lock:
            if self._free[size]:
                self.kept -= size
                return self._free[size].pop()
        return self._allocate(size)

    def give(self, buffer: np.ndarray) -> None:
        with self._lock:
            if self.kept + len(buffer) <= self._keep:
                self.kept += len(buffer)
                self._free[len(buffer)].append(buffer)

    def clear(self) -> None:
        with self._lock:
            self._free.clear()
            self.kept = 0
