"""A device that remembers what it gave to nvCOMP, so that the same calls can be timed alone."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.contract import Device


class Kept:
    """A device that keeps its scratch, and remembers the batches that it was given."""

    def __init__(self, device: Device) -> None:
        self._device, self._memory, self.batches, self.compressed = device, [], [], []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def times(self, repeats: int, limit: float) -> list[float]:
        """Seconds of each run of nvCOMP's calls alone; NaN if there were none."""
        work = self.batches or self.compressed
        return gpu.times(self._device, self.again, repeats, limit) if work else [float("nan")]

    def empty(self, nbytes: int) -> Any:
        self._memory.append(self._device.empty(nbytes))
        return self._memory[-1]

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        made = self._device.encoded_batch(sizes)
        self._memory.append(made.data)
        return made

    def decompress(self, *streams: Any) -> None:
        self.batches.append(streams)
        self._device.decompress(*streams)

    def compress(self, *streams: Any) -> Any:
        self.compressed.append(streams)
        return self._device.compress(*streams)

    @classmethod
    def encoding(cls, device: Device, codec: Any, encoded_batch: EncodedBatch, spec: BytesSpec) -> Kept:
        """One that was used to encode this batch."""
        made: Any = cls(device)
        codec.encode(encoded_batch, spec, made)
        return made

    @classmethod
    def of(cls, device: Device, codec: Any, encoded_batch: EncodedBatch, spec: BytesSpec, into: EncodedBatch) -> Kept:
        """One that was used for this batch."""
        made: Any = cls(device)
        codec.decode(encoded_batch, spec, made, into)
        if complete := device.checked():
            complete()
        return made

    def alone(self, repeats: int) -> float:
        """Seconds that nvCOMP's calls take alone; NaN if there were none."""
        return median(self.times(repeats, float("inf")))

    def again(self) -> None:
        for streams in self.batches:
            self._device.decompress(*streams)
        for streams in self.compressed:
            self._device.compress(*streams)
