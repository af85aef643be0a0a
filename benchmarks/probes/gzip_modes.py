"""gzip's LOOKAHEAD against its NAIVE way: rates of few and many streams; does either compare the checksum?

And what deflate does with streams that do not lie at multiples of 4, which its header demands.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import gpu
from benchmarks.probes import child, report
from benchmarks.probes.batch import ENCODE, plain, prepare
from gpuzarr.devices.contract import Device

WAYS = {"naive": 0, "lookahead": 1}
POINTS = ((64, 1), (64, 256), (64, 4096), (1024, 1), (1024, 64), (1024, 512), (16384, 1), (16384, 16), (65536, 1))
TINY = ((4, 1), (4, 3))


def case(device: Device, name: str, tiny: bool) -> dict[str, Any]:
    kind, *rest = name.split()
    if kind == "checksum":
        return checksum(device, rest[0])
    if kind == "deflate":
        return skewed(device, int(rest[-1]))
    return rate(device, kind, int(rest[0]) << 10, int(rest[-1]))


def rate(device: Device, way: str, chunk: int, count: int) -> dict[str, Any]:
    values = [plain(chunk, "smooth", seed) for seed in range(min(count, 4))]
    which = np.arange(count) % len(values)
    streams = [ENCODE["gzip"](value) for value in values]
    batch = prepare(device, "gzip", streams, np.full(count, chunk), which=which, algorithm_option=WAYS[way])
    seconds = gpu.times(device, batch.launch, 5, 3)
    result = batch.look()
    verdicts = sorted({result.verdict(i, values[j]) for i, j in enumerate(which.tolist())})
    return {"verdicts": verdicts, "GB/s": round(chunk * count / median(seconds) / 1e9, 4), "seconds": seconds}


def checksum(device: Device, way: str) -> dict[str, Any]:
    """A stream whose CRC-32 is wrong."""
    value = plain(5000)
    stream = bytearray(ENCODE["gzip"](value))
    stream[-8] ^= 255
    batch = prepare(device, "gzip", [bytes(stream)], [5000], algorithm_option=WAYS[way])
    batch.launch()
    return {"verdict": batch.look().verdict(0, value)}


def skewed(device: Device, skew: int) -> dict[str, Any]:
    values = [plain(20_000, "smooth", seed) for seed in range(8)]
    batch = prepare(device, "deflate", [ENCODE["deflate"](v) for v in values], np.full(8, 20_000), skew=skew)
    batch.launch()
    result = batch.look()
    return {"verdicts": sorted({result.verdict(i, value) for i, value in enumerate(values)})}


def main(arguments: list[str] | None = None) -> None:
    options = report.parser("gzip_modes", __doc__).parse_args(arguments)
    points = TINY if options.tiny else POINTS
    names = [f"{way} {kib} KiB x {count}" for kib, count in points for way in WAYS]
    names += [f"checksum {way}" for way in WAYS] + [f"deflate moved by {skew}" for skew in range(4)]
    found = child.each(__spec__.name, names, options.device, options.tiny, total=options.seconds)
    report.cases("gzip_modes", options, found)


if __name__ == "__main__":
    main()
