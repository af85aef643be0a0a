"""The CPU: NumPy, and a pool of threads, each with scratch that stays in its core's cache."""

from __future__ import annotations

import numpy as np

from gpuzarr.batch import Slab, packed


class Host:
    name, gpu, xp = "cpu", False, np

    def empty(self, nbytes: int) -> np.ndarray:
        return np.empty(nbytes, np.uint8)

    def slab(self, sizes: np.ndarray) -> Slab:
        starts, sizes, total = packed(sizes)
        return Slab(self.empty(total), starts, sizes)
