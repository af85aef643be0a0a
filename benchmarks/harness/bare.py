"""One bare call of nvCOMP, whose tables, scratch and results lie on the device before: nothing else is timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.nvcomp.compress import DIRECTION as COMPRESS
from gpuzarr.devices.nvcomp.decompress import Options


def library(device: Device) -> Any:
    """nvCOMP, or the emulator's answers."""
    return nvcomp.load() if device.name.startswith("cuda") else device._library  # type: ignore[attr-defined]


def stream(device: Device) -> int:
    """The current CUDA stream."""
    return int(device.xp.cuda.get_current_stream().ptr) if device.name.startswith("cuda") else 0


@dataclass(frozen=True)
class Bare:
    """A call that can be launched again and again. It is never split: what it needs is allocated at once, or not.

    `call(stream)`: nvCOMP's status. `sizes`: uint64 (count,), decoded bytes that each stream must have; None where they
    are not known. `memory`: what the call uses, beside its results `actual` and `status`.
    """

    device: Device
    form: Algorithm
    call: Callable[[int], int]
    sizes: np.ndarray | None
    actual: Any
    status: Any
    memory: tuple[Any, ...]

    def launch(self) -> None:
        nvcomp.require(self.call(stream(self.device)), self.form, "the bare call")

    def check(self) -> None:
        """RuntimeError where a stream of the last launch failed."""
        good = not self.device.download(self.status).any()
        if good and self.sizes is not None:
            good = bool((self.device.download(self.actual).view(np.uint64) == self.sizes).all())
        if not good:
            raise RuntimeError(f"nvCOMP {self.form.name}: a stream of the bare call failed")


def decompression(
    device: Device,
    form: Algorithm,
    sources: np.ndarray,
    sizes: np.ndarray,
    targets: np.ndarray,
    capacities: np.ndarray,
    options: Options | None = None,
) -> Bare:
    """A call that decodes streams at these addresses. MemoryError where the device cannot hold what it needs."""
    options, lib = options or nvcomp.options(), library(device)
    needed = nvcomp.scratch_bytes(lib, form, capacities, options, stream(device))
    scratch, table, actual, status = _memory(device, needed, (sources, sizes, capacities, targets))
    function, place, n = nvcomp.function(lib, form, "Async"), device.address(table), len(sizes)
    results, room = (device.address(actual), device.address(status)), device.address(scratch)

    def call(stream: int) -> int:
        return function(
            place, place + 8 * n, place + 16 * n, results[0], n, room, needed, place + 24 * n, options, results[1],
            stream,
        )  # fmt: skip

    return Bare(device, form, call, capacities.astype(np.uint64), actual, status, (scratch, table))


def compression(
    device: Device, form: Algorithm, sources: np.ndarray, sizes: np.ndarray, targets: np.ndarray, effort: int
) -> Bare:
    """A call that encodes streams at these addresses. MemoryError where the device cannot hold what it needs."""
    options, lib, largest = Options(first=effort), library(device), int(sizes.max())
    needed = nvcomp.scratch_bytes(lib, form, sizes, options, stream(device), COMPRESS)
    scratch, table, actual, status = _memory(device, needed, (sources, sizes, targets))
    function, place, n = nvcomp.function(lib, form, "Async", COMPRESS), device.address(table), len(sizes)
    results, room = (device.address(actual), device.address(status)), device.address(scratch)

    def call(stream: int) -> int:
        return function(
            place, place + 8 * n, largest, n, room, needed, place + 16 * n, results[0], options, results[1], stream
        )

    return Bare(device, form, call, None, actual, status, (scratch, table))


def _memory(device: Device, scratch_bytes: int, columns: tuple[np.ndarray, ...]) -> tuple[Any, Any, Any, Any]:
    """Scratch, the table of all columns, and where sizes (uint64) and statuses (int32) go: as if all had failed."""
    scratch = device.empty(scratch_bytes + nvcomp.GUARD_BYTES)
    table = device.upload(np.concatenate([column.astype(np.uint64) for column in columns]))
    actual, status = device.empty(8 * len(columns[0])), device.empty(4 * len(columns[0]))
    for each in (actual, status):
        each.fill(255)
    return scratch, table, actual, status
