"""Can decompression be captured into a CUDA graph, and what does a launch cost with and without one?"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from benchmarks.probes import child, report
from benchmarks.probes.batch import BESIDE, ENCODE, Batch, plain, prepare
from gpuzarr.devices.contract import Device

COUNT, NBYTES, TIMES = 64, 8 << 10, 20


def case(device: Device, name: str, tiny: bool) -> dict[str, Any]:
    values = [plain(NBYTES, "smooth", seed) for seed in range(4 if tiny else COUNT)]
    batch = prepare(device, name, [ENCODE[name](value) for value in values], np.full(len(values), NBYTES))
    found: dict[str, Any] = {"launch us": microseconds(batch.launch)}
    verdicts = {batch.look().verdict(i, value) for i, value in enumerate(values)}
    if device.name.startswith("cuda"):
        run = captured(device, batch)
        for each, fill in ((batch.status, 255), (batch.actual, 255), (batch.target, BESIDE)):
            each.fill(fill)
        device.xp.cuda.get_current_stream().synchronize()
        found["graph us"] = microseconds(run)
        verdicts |= {batch.look().verdict(i, value) for i, value in enumerate(values)}
    return found | {"verdicts": sorted(verdicts)}


def captured(device: Device, batch: Batch) -> Callable[[], Any]:
    """What launches the graph of one batch."""
    stream = device.xp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        batch.launch()
        graph = stream.end_capture()

    def run() -> None:
        graph.launch(stream)
        stream.synchronize()

    return run


def microseconds(run: Callable[[], Any]) -> float:
    """Median of the host's time of a launch. (`graph us` has the batch itself in it, for it waits.)"""
    seconds = []
    for _ in range(TIMES):
        before = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - before)
    return round(median(seconds) * 1e6, 1)


def main(arguments: list[str] | None = None) -> None:
    options = report.parser("graph", __doc__).parse_args(arguments)
    found = child.each(__spec__.name, list(ENCODE), options.device, options.tiny, total=options.seconds)
    report.cases("graph", options, found)


if __name__ == "__main__":
    main()
