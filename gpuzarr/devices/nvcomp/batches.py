"""Batches of nvCOMP as a device runs them: counted, one at a time, with scratch within the memory that is left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.nvcomp import compress, decompress
from gpuzarr.devices.trace import CurrentBatch


@dataclass(frozen=True)
class NvcompBatches:
    """The functions `Device.decompress`, `compress`, `compressed_capacity` and `compression_scratch` of one device.

    `library()`: nvCOMP's functions. `launching()`: a context in which one batch at a time is launched; its value is the
    CUDA stream to launch on, as an integer.
    """

    device: Any
    library: Callable[[], Any]
    launching: Callable[[], AbstractContextManager[int]]
    current: CurrentBatch

    def decompress(
        self,
        algorithm: Algorithm,
        sources: np.ndarray,
        sizes: np.ndarray,
        targets: np.ndarray,
        capacities: np.ndarray,
        chunk: np.ndarray,
    ) -> None:
        """See `Device.decompress`."""
        self.current.count_streams(algorithm, len(sizes))
        with self.launching() as stream:
            streams = algorithm, sources, sizes, targets, capacities, chunk
            limit = partial(self._scratch_limit, len(sizes))
            decompress.decompress(self.device, self.library(), stream, *streams, limit)

    def compress(
        self, algorithm: Algorithm, sources: np.ndarray, sizes: np.ndarray, targets: np.ndarray, effort: int
    ) -> Any:
        """See `Device.compress`."""
        self.current.count_streams(algorithm, len(sizes))
        with self.launching() as stream:
            streams = algorithm, sources, sizes, targets, effort
            limit = partial(self._scratch_limit, len(sizes))
            return compress.compress(self.device, self.library(), stream, *streams, limit)

    def compressed_capacity(self, algorithm: Algorithm, nbytes: int) -> int:
        """See `Device.compressed_capacity`."""
        return compress.capacity(self.library(), algorithm, nbytes)

    def compression_scratch(self, algorithm: Algorithm, nbytes: int, effort: int) -> int:
        """See `Device.compression_scratch`."""
        return compress.scratch_per_stream(self.library(), algorithm, nbytes, effort)

    def _scratch_limit(self, streams: int) -> int:
        """Scratch for `streams`, in bytes: the batch's headroom, or what is free where it has none."""
        headroom = self.current.headroom
        return decompress.scratch_limit(self.device.free_bytes if headroom is None else headroom, streams)
