"""What the GPU benchmarks share: the device, its clock, and the ceilings that every number is judged by."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import timing
from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of


def parser(name: str, doc: str | None, mib: int, seconds: int = 120) -> argparse.ArgumentParser:
    """As timing.parser, with the device, how much is decoded, and how long it may take."""
    made = timing.parser(name, doc)
    made.add_argument("--device", default="cuda", help="cuda (default), or emulated: slow, to see that all of it runs")
    made.add_argument("--mib", type=float, default=mib, help=f"MiB of decoded data in a row (default {mib})")
    more = f"about what all may take: then fewer repeats, and at last fewer rows (default {seconds})"
    made.add_argument("--seconds", type=float, default=seconds, help=more)
    return made


def device(name: str) -> Device:
    if name == "emulated":
        from tests.emulator import Emulated

        return Emulated()
    return device_of(name)


def seconds(device: Device, run: Callable[[], Any], repeats: int) -> float:
    """Median of `times`."""
    return statistics.median(times(device, run, repeats))


def times(device: Device, run: Callable[[], Any], repeats: int, limit: float = float("inf")) -> list[float]:
    """Seconds by the device's own clock, after one run that does not count; errors are looked for between runs.

    After `limit` seconds by the host's clock it is not run again; one run counts at least.
    """
    found: list[float] = []
    end = time.perf_counter() + limit
    for i in range(repeats + 1):
        begin = device.timestamp()
        result = run()
        done = device.timestamp()
        if complete := device.checked():
            complete()
        del result
        if i:
            found.append(device.seconds(begin, done))
        if found and time.perf_counter() > end:
            break
    return found


def wall(device: Device, run: Callable[[], Any], repeats: int) -> float:
    """Median of the host's clock, until all is done."""
    times = []
    for _ in range(repeats + 1):
        before = time.perf_counter()
        result = run()
        device.seconds(*(device.timestamp(),) * 2)  # waits for the stream
        times.append(time.perf_counter() - before)
        del result
    return statistics.median(times[1:])


def device_copy(device: Device, nbytes: int, repeats: int) -> float:
    """GB/s of a copy on the device, counted as bytes copied."""
    source, target = device.empty(nbytes), device.empty(nbytes)
    source.fill(1)
    return nbytes / seconds(device, lambda: target.__setitem__(slice(None), source), repeats) / 1e9


def pinned_copy(device: Device, nbytes: int, repeats: int) -> float:
    """GB/s from pinned memory to the device."""
    staged = device.pinned_buffer(np.array([nbytes])).data
    return nbytes / wall(device, lambda: device.upload(staged), repeats) / 1e9


def pinned_fetch(device: Device, nbytes: int, repeats: int) -> float:
    """GB/s from the device into pinned memory."""
    there = device.empty(nbytes)
    there.fill(1)
    return nbytes / wall(device, lambda: device.download_async(there)(), repeats) / 1e9
