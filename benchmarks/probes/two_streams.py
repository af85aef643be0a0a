"""Do batches of nvCOMP disturb each other when they run at once, over ten thousand of them?

Several threads, each with a CUDA stream and memory of its own, launch batch after batch; every output is compared on
the device. Answered well, `concurrent_batches` of gpuzarr's device may be more than the 1 that it is without a word.
"""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from typing import Any

import numpy as np

from benchmarks.probes import child, report
from benchmarks.probes.batch import ENCODE, Batch, plain, prepare
from gpuzarr.devices.contract import Device

BATCHES, STREAMS, NBYTES = 10_000, 48, 32 << 10  # in all; of one batch; of one stream


def case(device: Device, name: str, tiny: bool) -> dict[str, Any]:
    algorithm, threads = name.split()[0], int(name.split()[-1])
    batches = 20 if tiny else BATCHES
    faults: list[str] = []
    crew = [
        threading.Thread(target=work, args=(device, algorithm, i, batches // threads, faults)) for i in range(threads)
    ]
    begin = time.perf_counter()
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    if faults:
        raise RuntimeError("; ".join(faults))
    return {"batches": batches, "seconds": round(time.perf_counter() - begin, 2), "wrong": 0}


def work(device: Device, algorithm: str, number: int, batches: int, faults: list[str]) -> None:
    stream = device.xp.cuda.Stream(non_blocking=True) if device.name.startswith("cuda") else nullcontext()
    try:
        with device.on(), stream:
            wrong = repeated(device, algorithm, number, batches)
            faults.extend([f"{wrong} of {batches} batches of thread {number} are wrong"] if wrong else [])
    except Exception as error:
        faults.append(f"thread {number}: {type(error).__name__}: {error}")


def repeated(device: Device, algorithm: str, number: int, batches: int) -> int:
    """How many batches came out wrong."""
    values = [plain(NBYTES, "smooth", STREAMS * number + seed) for seed in range(STREAMS)]
    batch = prepare(device, algorithm, [ENCODE[algorithm](v) for v in values], np.full(STREAMS, NBYTES))
    truth = expected(batch, values)
    right = device.xp.zeros(1, np.int64)
    for i in range(batches):
        batch.target.fill(0)
        batch.launch()
        right += (batch.target == truth).all() & (batch.status == 0).all()
        if i % 64 == 63:  # so that launches do not run away
            device.download(right)
    return batches - int(device.download(right)[0])


def expected(batch: Batch, values: list[bytes]) -> Any:
    """The whole target as it must be, when it was zeros before."""
    host = np.zeros(len(batch.target), np.uint8)
    for start, value in zip(batch.starts.tolist(), values, strict=True):
        host[start : start + len(value)] = np.frombuffer(value, np.uint8)
    return batch.device.upload(host)


def main(arguments: list[str] | None = None) -> None:
    options = report.parser("two_streams", __doc__).parse_args(arguments)
    names = ["zstd by 2", "zstd by 4", "zstd by 1", "lz4 by 2", "gzip by 2"]  # by worth: the time may end
    found = child.each(__spec__.name, names, options.device, options.tiny, seconds=150, total=options.seconds)
    report.cases("two_streams", options, found)


if __name__ == "__main__":
    main()
