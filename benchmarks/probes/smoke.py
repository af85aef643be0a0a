"""Does nvCOMP read what CPU codecs wrote, and do CPU codecs read what it wrote, at every size?

Each case is one algorithm and size: smooth floats, noise and zeros, both ways.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.probes import child, report
from benchmarks.probes.batch import DECODE, ENCODE, plain, prepare
from gpuzarr.batch import packed
from gpuzarr.devices.contract import Device
from gpuzarr.devices.nvcomp.compress import MAX_INPUT_BYTES
from gpuzarr.gpu.algorithms import ALGORITHMS, GDEFLATE

SIZES = (0, 1, 127, 128, 4096, 65535, 65536, 65537, 1 << 20, 16 << 20, 64 << 20)
TINY = (0, 1, 127, 5000)
KINDS = ("smooth", "noise", "zeros")


def case(device: Device, name: str, tiny: bool) -> dict[str, Any]:
    algorithm, size = name.split()
    values = [plain(int(size), kind) for kind in KINDS]
    found = {"read": read(device, algorithm, values)}
    if 0 < int(size) <= MAX_INPUT_BYTES:
        found["written"] = written(device, algorithm, values)
    return found


def takes(algorithm: str, nbytes: int) -> bool:
    """Whether gpuzarr has streams of so many decoded bytes: those of gdeflate are pages."""
    return algorithm != GDEFLATE.name or 0 < nbytes <= GDEFLATE.max_decoded_bytes


def read(device: Device, algorithm: str, values: list[bytes]) -> str:
    """What nvCOMP makes of streams of the CPU's codecs."""
    batch = prepare(device, algorithm, [ENCODE[algorithm](value) for value in values], [len(v) for v in values])
    batch.launch()
    result = batch.look()
    verdicts = {kind: result.verdict(i, values[i]) for i, kind in enumerate(KINDS)}
    wrong = {kind: verdict for kind, verdict in verdicts.items() if verdict != "decoded"}
    return str(wrong) if wrong else "right"


def written(device: Device, algorithm: str, values: list[bytes]) -> str:
    """What the CPU's codecs make of streams of nvCOMP; and how much smaller than the data these are."""
    starts, sizes, total = packed([len(value) for value in values])
    host = np.zeros(total, np.uint8)
    for start, value in zip(starts.tolist(), values, strict=True):
        host[start : start + len(value)] = np.frombuffer(value, np.uint8)
    source = device.upload(host)
    target = device.encoded_batch(
        np.full(len(values), device.compressed_capacity(ALGORITHMS[algorithm], int(sizes.max())))
    )
    places = [np.uint64(device.address(each)) for each in (source, target.data)]
    columns = places[0] + starts.astype(np.uint64), sizes, places[1] + target.starts.astype(np.uint64)
    made = device.download(device.compress(ALGORITHMS[algorithm], *columns)).tolist()
    data = device.download(target.data)
    streams = [data[start : start + n].tobytes() for start, n in zip(target.starts.tolist(), made, strict=True)]
    wrong = [k for k, s, v in zip(KINDS, streams, values, strict=True) if DECODE[algorithm](s, len(v)) != v]
    return f"wrong: {wrong}" if wrong else f"right, ratio {len(values[0]) / made[0]:.2f}"


def main(arguments: list[str] | None = None) -> None:
    options = report.parser("smoke", __doc__).parse_args(arguments)
    sizes = TINY if options.tiny else SIZES
    names = [f"{algorithm} {size}" for algorithm in ENCODE for size in sizes if takes(algorithm, size)]
    found = child.each(__spec__.name, names, options.device, options.tiny, total=options.seconds)
    report.cases("smoke", options, found)


if __name__ == "__main__":
    main()
