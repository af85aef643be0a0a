"""Page-locked buffers that are kept: to lock pages takes longer than to copy them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

LEAST = 4 << 10  # bytes of a buffer


def rounded(nbytes: int) -> int:
    """The size of the buffer for so many bytes: an eighth more at most, so that other batches can use it again."""
    if nbytes <= LEAST:
        return LEAST
    step = 1 << max((nbytes - 1).bit_length() - 4, 0)
    return -(-nbytes // step) * step


class Pinned:
    """The free buffers of one device. `allocate(nbytes)` gives a new one; who takes one gives it back when no
    copy reads or writes it any more. Used by many threads.

    At most `keep` bytes are kept, of the sizes that were used last: else those of reads long past would leave the next
    one none to keep, and to give memory back waits for all that the device does.
    """

    def __init__(self, allocate: Callable[[int], np.ndarray], keep: int = 1 << 30) -> None:
        self._allocate, self.keep = allocate, keep
        self._free: OrderedDict[int, list[np.ndarray]] = OrderedDict()  # by size, what was used last at the end
        self._lock = threading.Lock()
        self.kept = 0  # bytes that are free

    def take(self, nbytes: int) -> np.ndarray:
        """A buffer of at least so many bytes, not initialised."""
        size = rounded(nbytes)
        with self._lock:
            if size in self._free:
                self._free.move_to_end(size)
                return self._taken(size)
        return self._allocate(size)

    def give(self, buffer: np.ndarray) -> None:
        if (size := len(buffer)) > self.keep:
            return
        gone = []
        with self._lock:
            self._free.setdefault(size, []).append(buffer)
            self._free.move_to_end(size)
            self.kept += size
            while self.kept > self.keep:
                gone.append(self._taken(next(iter(self._free))))
        del gone  # which takes its time, and nobody shall wait for that

    def _taken(self, size: int) -> np.ndarray:
        free = self._free[size]
        buffer = free.pop()
        if not free:
            del self._free[size]
        self.kept -= size
        return buffer

    def clear(self) -> None:
        with self._lock:
            self._free.clear()
            self.kept = 0
