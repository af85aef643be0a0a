"""nvCOMP's own rate for the streams of a codec: one bare call for each algorithm, the ceiling of what gpuzarr does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.harness import gpu
from benchmarks.harness.bare import Bare, compression, decompression
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.contract import Device


@dataclass(frozen=True)
class Alone:
    """Seconds of each run of nvCOMP's calls alone, for so many streams; where there are none, `why`."""

    seconds: list[float]
    streams: int = 0
    why: str = ""


class Kept:
    """A device that leaves no stream to the host, keeps its scratch, and remembers what nvCOMP was given."""

    def __init__(self, device: Device) -> None:
        self._device, self._memory = device, []
        self.cost = replace(device.cost, where="gpu")
        self._decoded: dict[Any, list[Any]] = {}
        self._encoded: dict[Any, list[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def empty(self, nbytes: int) -> Any:
        self._memory.append(self._device.empty(nbytes))
        return self._memory[-1]

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        made = self._device.encoded_batch(sizes)
        self._memory.append(made.data)
        return made

    def decompress(self, algorithm: Any, *columns: Any) -> None:
        self._decoded.setdefault(algorithm, []).append(columns[:4])
        self._device.decompress(algorithm, *columns)

    def compress(self, algorithm: Any, sources: Any, sizes: Any, targets: Any, effort: int = 0) -> Any:
        """See `Device.compress`. Targets have room for the largest of their own call only: see `bare`."""
        key = algorithm, effort, int(np.max(sizes, initial=0))
        self._encoded.setdefault(key, []).append((sources, sizes, targets))
        return self._device.compress(algorithm, sources, sizes, targets, effort)

    def bare(self) -> list[Bare]:
        """One call for each algorithm, of all streams that nvCOMP was given as it was given them."""
        found = [decompression(self._device, form, *joined(calls)) for form, calls in self._decoded.items()]
        encoded = self._encoded.items()
        return found + [compression(self._device, form, *joined(calls), effort) for (form, effort, _), calls in encoded]


def joined(calls: list[Any]) -> list[np.ndarray]:
    """The columns of several calls, one behind the other."""
    return [np.concatenate(columns) for columns in zip(*calls, strict=True)]


def decoding(
    device: Device,
    codec: Any,
    encoded: EncodedBatch,
    spec: BytesSpec,
    into: EncodedBatch | None,
    repeats: int,
    limit: float = float("inf"),
) -> Alone:
    """Time that nvCOMP alone takes to decode this batch, all of it in one call, into `into` or memory of its own."""
    return _alone(device, lambda kept: codec.decode(encoded, spec, kept, into), repeats, limit)


def encoding(device: Device, codec: Any, encoded: EncodedBatch, spec: BytesSpec, repeats: int) -> Alone:
    """Time that nvCOMP alone takes to encode this batch, all of it in one call."""
    return _alone(device, lambda kept: codec.encode(encoded, spec, kept), repeats, float("inf"))


def _alone(device: Device, use: Callable[[Any], Any], repeats: int, limit: float) -> Alone:
    kept = Kept(device)
    try:
        made = use(kept)
        if complete := device.checked():
            complete()
        calls = kept.bare()
    except MemoryError as error:
        return Alone([], why=f"the device cannot hold one call for all: {error}")
    if not calls:
        return Alone([], why="nvCOMP gets none of it")
    seconds = gpu.times(device, lambda: [call.launch() for call in calls], repeats, limit)
    for call in calls:
        call.check()
    del made
    return Alone(seconds, sum(len(call.status) // 4 for call in calls))
