"""Pinned (page-locked) buffers that are kept for reuse: locking pages takes longer than copying them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

MIN_BUFFER_BYTES = 4 << 10
OUT_OF_MEMORY_STATUS = 2  # cudaErrorMemoryAllocation


def rounded(nbytes: int) -> int:
    """Size of the buffer for `nbytes`: up to an eighth more, so that batches of other sizes can reuse it."""
    if nbytes <= MIN_BUFFER_BYTES:
        return MIN_BUFFER_BYTES
    step = 1 << max((nbytes - 1).bit_length() - 4, 0)
    return -(-nbytes // step) * step


@contextmanager
def no_memory_is_told(cuda: Any, nbytes: int) -> Iterator[None]:
    """MemoryError where CUDA refuses to lock so many bytes, an error like any other of CuPy's. `cuda`: `cupy.cuda`."""
    try:
        yield
    except cuda.runtime.CUDARuntimeError as error:
        if getattr(error, "status", None) != OUT_OF_MEMORY_STATUS:
            raise
        raise MemoryError(f"no {nbytes:,} bytes of pinned memory are free") from error


class Pinned:
    """Free pinned buffers of one device. Many threads may use them at once.

    `allocate(nbytes)` makes a new buffer. A buffer is taken, and given back when no copy uses it any more. At most
    `max_kept_bytes` are kept, of the sizes used last: sizes of much earlier reads would leave no space for those of the
    next one, and freeing pinned memory waits for the whole device.
    """

    def __init__(self, allocate: Callable[[int], np.ndarray], max_kept_bytes: int = 1 << 30) -> None:
        self.allocate, self.max_kept_bytes = allocate, max_kept_bytes
        self._free: OrderedDict[int, list[np.ndarray]] = OrderedDict()  # by size, the last used one at the end
        self._lock = threading.Lock()

    @property
    def kept_bytes(self) -> int:
        """Bytes of the free buffers. Counted, not noted: an interrupt may come between a buffer and its note."""
        return sum(size * len(free) for size, free in list(self._free.items()))

    def take(self, nbytes: int) -> np.ndarray:
        """A buffer of at least `nbytes` bytes, not initialised."""
        size = rounded(nbytes)
        with self._lock:
            if self._free.get(size):
                self._free.move_to_end(size)
                return self._taken(size)[0]
        return self.allocate(size)

    def give(self, buffer: np.ndarray) -> None:
        """Give a buffer back for reuse."""
        if (size := len(buffer)) > self.max_kept_bytes:
            return
        dropped = []
        with self._lock:
            self._free.setdefault(size, []).append(buffer)
            self._free.move_to_end(size)
            while self.kept_bytes > self.max_kept_bytes:
                dropped += self._taken(next(iter(self._free)))
        del dropped  # outside of the lock, for it takes long

    def _taken(self, size: int) -> list[np.ndarray]:
        """A free buffer of a size, if there is one."""
        free = self._free[size]
        if len(free) < 2:
            return self._free.pop(size)
        return [free.pop()]

    def clear(self) -> None:
        """Free all buffers that are kept."""
        with self._lock:
            self._free.clear()
