"""nvCOMP's CRC-32C beside ours: the same values, and which is faster, by size and count of chunks?"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_char, c_int, c_size_t, c_uint32, c_void_p
from functools import partial
from statistics import median
from typing import Any

import google_crc32c
import numpy as np

from benchmarks.harness import gpu, timing
from benchmarks.harness.bare import stream
from benchmarks.probes import batch, report
from gpuzarr.devices.contract import Device
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.gpu.checksums import CRC32C, crc32

POINTS = ((4, 16384), (64, 4096), (1024, 512), (16384, 32))  # KiB and chunks
TINY = ((4, 3),)


class Spec(ctypes.Structure):
    """nvcompCRC32Spec_t of nvcomp/crc32.h."""

    _fields_ = (
        *(("poly", c_uint32), ("init", c_uint32), ("ref_in", ctypes.c_bool), ("ref_out", ctypes.c_bool)),
        *(("xorout", c_uint32), ("reserved", c_char * 16)),
    )


class Kernel(ctypes.Structure):
    """nvcompCRC32KernelConf_t."""

    _fields_ = (("kind", c_int), ("bytes_per_read", c_int), ("blocks_per_msg", c_int), ("reserved", c_char * 20))


class Options(ctypes.Structure):
    """nvcompBatchedCRC32Opts_t."""

    _fields_ = (("spec", Spec), ("kernel", Kernel), ("reserved", c_char * 64))


def theirs(device: Device, places: np.ndarray, sizes: np.ndarray) -> Callable[[], Any]:
    """What launches nvCOMP's; its tables lie on the device already, as its configuration for this shape does."""
    library, count, kernel = nvcomp.load(), len(sizes), Kernel()
    library.nvcompBatchedCRC32GetHeuristicConf.argtypes = (c_void_p, c_size_t, c_void_p, c_size_t, c_void_p)
    library.nvcompBatchedCRC32Async.argtypes = (
        *(c_void_p, c_void_p, c_size_t, c_void_p),
        *(Options, c_int, c_void_p, c_void_p),
    )
    if status := library.nvcompBatchedCRC32GetHeuristicConf(None, count, ctypes.byref(kernel), int(sizes.max()), None):
        raise SystemExit(f"nvcompBatchedCRC32GetHeuristicConf: status {status}")
    options = Options(Spec(0x1EDC6F41, 0xFFFFFFFF, True, True, 0xFFFFFFFF), kernel)
    table = device.upload(np.concatenate([places.astype(np.uint64), sizes.astype(np.uint64)]))
    crc = device.empty(4 * count).view(np.uint32)

    def run() -> Any:
        where = device.address(table)
        arguments = where, where + 8 * count, count, device.address(crc), options, 0, None, stream(device)
        if status := library.nvcompBatchedCRC32Async(*arguments):
            raise SystemExit(f"nvcompBatchedCRC32Async: status {status}")
        return crc

    return run


def measure(device: Device, kib: int, count: int, repeats: int) -> dict[str, Any]:
    size = kib << 10
    data = np.frombuffer(batch.plain(size * count, "noise"), np.uint8)
    there, sizes = device.upload(data), np.full(count, size)
    places = np.uint64(device.address(there)) + np.arange(count, dtype=np.uint64) * np.uint64(size)
    want = [google_crc32c.value(data[i * size : (i + 1) * size].tobytes()) for i in range(count)]
    runs = {"ours": partial(crc32, device, places, sizes, CRC32C)}
    if device.name.startswith("cuda"):
        runs["nvCOMP"] = theirs(device, places, sizes)
    seconds = {name: gpu.times(device, run, repeats) for name, run in runs.items()}
    right = {name: device.download(run()).tolist() == want for name, run in runs.items()}
    return {"kib": kib, "chunks": count, "seconds": seconds, "right": right}


def main(arguments: list[str] | None = None) -> None:
    options = report.parser("crc32c", __doc__).parse_args(arguments)
    device = gpu.device(options.device)
    with device.on():
        rows = [measure(device, *point, options.repeats) for point in (TINY if options.tiny else POINTS)]
    names = list(rows[0]["seconds"])
    lines = [
        [f"{row['kib']} KiB x {row['chunks']}"]
        + [f"{row['kib'] * row['chunks'] * 1024 / median(row['seconds'][name]) / 1e9:.1f}" for name in names]
        + [str(all(row["right"].values()))]
        for row in rows
    ]
    print(timing.table(["GB/s", *names, "right"], lines))
    report.finish("crc32c", options, rows=rows)


if __name__ == "__main__":
    main()
