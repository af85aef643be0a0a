"""The ceilings: how fast do bytes cross the bus both ways, move on the device, and come out of the page cache?"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import gpu, timing
from benchmarks.probes import report
from gpuzarr.devices.contract import Device

MIB = 1 << 20
SIZES = (1, 16, 256)  # MiB of one copy
FILES = {"256 KiB": (256 << 10, 4096), "16 MiB": (16 << 20, 64)}  # bytes of a file, and files
THREADS = (1, 2, 4, 8, 16, 32)


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


def rate(folder: Path, threads: int, repeats: int) -> list[float]:
    """GB/s of reading all files of a folder into memory that is there already, of each run but the first."""
    paths = sorted(folder.iterdir())
    rooms = [bytearray(path.stat().st_size) for path in paths]

    def one(i: int) -> None:
        with open(paths[i], "rb", buffering=0) as file:
            file.readinto(rooms[i])

    found = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats + 1):
            before = time.perf_counter()
            list(pool.map(one, range(len(paths)), chunksize=max(1, len(paths) // (8 * threads))))
            found.append(sum(map(len, rooms)) / (time.perf_counter() - before) / 1e9)
    return found[1:]


def page_cache(tiny: bool, repeats: int) -> dict[str, dict[int, list[float]]]:
    """GB/s by size of file and number of threads. (Python's own cost a file is in it.)"""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (nbytes, count) in FILES.items():
            path = files(Path(folder, name), 4000 if tiny else nbytes, 3 if tiny else count)
            found[name] = {n: rate(path, n, repeats) for n in (THREADS[:2] if tiny else THREADS)}
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
    threads = list(next(iter(cache.values())))
    lines = [[f"files of {name}", *(f"{median(rates[n]):.1f}" for n in threads)] for name, rates in cache.items()]
    print(timing.table(["page cache, GB/s", *(f"{n} threads" for n in threads)], lines))
    report.finish("copies", options, seconds=seconds, page_cache=cache)


if __name__ == "__main__":
    main()
