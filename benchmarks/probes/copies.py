"""The ceilings: how fast do bytes cross the bus both ways, move on the device, and come out of the page cache?

The page cache is read by threads of one process and by processes: where these are faster, Python's lock is the limit.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import gpu, timing
from benchmarks.harness import page_cache as page_caches
from benchmarks.harness.page_cache import Rates
from benchmarks.probes import report
from gpuzarr.devices.contract import Device

MIB = 1 << 20
SIZES = (1, 16, 256)  # MiB of one copy
FILES = {"256 KiB": (256 << 10, 4096), "16 MiB": (16 << 20, 64)}  # bytes of a file, and files
COUNTS = (1, 2, 4, 8, 16, 32)  # of threads, and of processes


def wall(device: Device, run: Callable[[], Any], repeats: int) -> list[float]:
    """Seconds by the host's clock until all is done, after one run that does not count."""
    found = []
    for _ in range(repeats + 1):
        before = time.perf_counter()
        run()
        device.seconds(*(device.timestamp(),) * 2)
        found.append(time.perf_counter() - before)
    return found[1:]


def bus(device: Device, nbytes: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of each way of `nbytes`."""
    pinned = device.pinned_buffer(np.full(1, nbytes)).data
    pinned[:] = 1
    there, other = device.empty(nbytes), device.empty(nbytes)
    there.fill(2)
    return {
        "pinned to device": wall(device, partial(device.upload, pinned), repeats),
        "pageable to device": wall(device, partial(device.upload, np.ones(nbytes, np.uint8)), repeats),
        "device to pinned": wall(device, partial(device.download, there), repeats),
        "on the device": gpu.times(device, lambda: other.__setitem__(slice(None), there), repeats),
    }


def files(folder: Path, nbytes: int, count: int) -> Path:
    folder.mkdir()
    for i in range(count):
        (folder / str(i)).write_bytes(os.urandom(1 << 16) * (nbytes >> 16) if nbytes >= 1 << 16 else bytes(nbytes))
    return folder


def page_cache(tiny: bool, repeats: int) -> dict[str, Rates]:
    """By size of file; over threads of one process, and over processes."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (nbytes, count) in FILES.items():
            path = files(Path(folder, name), 4000 if tiny else nbytes, 3 if tiny else count)
            found[name] = page_caches.measured(path, repeats, COUNTS[:2] if tiny else COUNTS)
            shutil.rmtree(path)
    return found


def main(arguments: list[str] | None = None) -> None:
    options = report.parser("copies", __doc__).parse_args(arguments)
    device = gpu.device(options.device)
    sizes = [64 << 10] if options.tiny else [mib * MIB for mib in SIZES]
    with device.on():
        seconds = {nbytes: bus(device, nbytes, options.repeats) for nbytes in sizes}
    rows = [
        [way, *(f"{nbytes / median(seconds[nbytes][way]) / 1e9:.1f}" for nbytes in sizes)] for way in seconds[sizes[0]]
    ]
    print(timing.table(["GB/s", *(f"{nbytes / MIB:g} MiB" for nbytes in sizes)], rows))
    cache = page_cache(options.tiny, options.repeats)
    counts = list(next(iter(cache.values())).threads)
    lines = [
        [f"files of {name}, by {way}", *(f"{rates.rate(way, n):.1f}" for n in counts)]
        for name, rates in cache.items()
        for way in ("threads", "processes")
    ]
    print(timing.table(["page cache, GB/s", *map(str, counts)], lines))
    found = {name: rates.asdict() for name, rates in cache.items()}
    report.finish("copies", options, seconds=seconds, page_cache=found)


if __name__ == "__main__":
    main()
