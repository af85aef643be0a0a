"""How fast is one stream of each algorithm, and a GPU full of them? Over the size of chunks and their count.

A batch is thought to take max(largest stream / r1, all bytes / R_sat): the two rates are fitted to what was measured,
and the worst factor by which that is wrong is told. `--costs` keeps them for gpuzarr's cost model, as `make calibrate`
does, whose rates of the host, the bus and a launch stand beside them.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import gpu, timing
from benchmarks.probes import report
from benchmarks.probes.batch import ENCODE, plain, prepare
from benchmarks.questions import calibrate
from gpuzarr.devices import cost
from gpuzarr.devices.algorithm import Rate
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cost import Costs
from gpuzarr.gpu.algorithms import ALGORITHMS

KIB = 1 << 10
CHUNKS = tuple(kib * KIB for kib in (16, 64, 256, 1024, 4096, 16384))
COUNTS = (1, 16, 128, 1024, 4096, 16384)
MOST = 1 << 30  # decoded bytes of a batch; zstd wants 3 times as much scratch
LIMIT = 1.5  # seconds for one point


def measure(device: Device, algorithm: str, streams: list[bytes], chunk: int, count: int, repeats: int) -> list[float]:
    """Seconds of a batch; its first launch is checked."""
    which = np.arange(count) % len(streams)
    batch = prepare(device, algorithm, streams, np.full(count, chunk), which=which, guarded=False)
    batch.launch()
    found = gpu.times(device, batch.launch, repeats, LIMIT)
    result = batch.device.download(batch.status).view(np.int32), batch.device.download(batch.actual).view(np.int64)
    if result[0].any() or (result[1] != chunk).any():
        raise RuntimeError(f"nvCOMP does not decode {count} streams of {chunk} bytes")
    return found


def sweep(
    device: Device, algorithm: str, tiny: bool, repeats: int, failed: list[dict[str, Any]], limit: float
) -> list[dict[str, Any]]:
    """The points, each with its seconds; those that cannot be measured, or not in `limit` seconds, go to `failed`."""
    points, end = [], time.monotonic() + limit
    largest = ALGORITHMS[algorithm].max_decoded_bytes
    for chunk in (4 * KIB, 16 * KIB) if tiny else [chunk for chunk in CHUNKS if chunk <= largest]:
        distinct = 2 if tiny else max(2, min(64, (32 << 20) // chunk))
        streams = [ENCODE[algorithm](plain(chunk, "smooth", seed)) for seed in range(distinct)]
        for count in (1, 4) if tiny else COUNTS:
            if chunk * count <= MOST:
                ratio = distinct * chunk / sum(map(len, streams))
                point = {"chunk": chunk, "count": count, "ratio": ratio}
                try:
                    if time.monotonic() > end:
                        raise TimeoutError(f"{limit:.0f} seconds were over")
                    points.append(point | {"seconds": measure(device, algorithm, streams, chunk, count, repeats)})
                except Exception as error:  # CuPy raises several kinds
                    failed.append(point | {"error": f"{algorithm}: {type(error).__name__}: {error}"})
    return points


def fit(points: list[dict[str, Any]], launch: float) -> tuple[float, float, float]:
    """r1 and R_sat (bytes a second), and the worst factor between the model and a point."""
    chunk, count = (np.array([point[key] for point in points], float) for key in ("chunk", "count"))
    seconds = np.log([median(point["seconds"]) for point in points])
    one, full = np.meshgrid(np.geomspace(1e5, 1e11, 241), np.geomspace(1e6, 2e12, 253), indexing="ij")
    model = np.log(launch + np.maximum(chunk / one[..., None], chunk * count / full[..., None]))
    off = np.abs(model - seconds)
    best = np.unravel_index(np.argmin((off**2).sum(-1)), one.shape)
    return float(one[best]), float(full[best]), float(np.exp(off[best].max()))


def main(arguments: list[str] | None = None) -> None:
    parser = report.parser("rates", __doc__)
    parser.add_argument("--costs", type=Path, help="keep the rates there for the cost model")
    options = parser.parse_args(arguments)
    device = gpu.device(options.device)
    failed: list[dict[str, Any]] = []
    small = {"stream": 4000, "many": 3} if options.tiny else {}
    points, budget = {}, timing.Budget.of(options.seconds)
    with device.on():
        for i, name in enumerate(ENCODE):
            limit = budget.share(len(ENCODE) - i + 1)  # one more for what comes behind
            points[name] = sweep(device, name, options.tiny, options.repeats, failed, limit)
            report.finish("rates", options, unfinished=True, points=points, failed=failed)
        floors = {name: measure(device, name, [ENCODE[name](plain(64))], 64, 1, options.repeats) for name in ENCODE}
        costs = calibrate.measure(device, repeats=options.repeats, **small)
    fits = {name: fit(points[name], median(floors[name])) for name in points if points[name]}
    rates = {
        name: Rate(one, full, costs.rates[name].core) for name, (one, full, _) in fits.items() if name in costs.rates
    }
    fitted: Costs = replace(costs, rates={**costs.rates, **rates})
    if options.costs:
        cost.save(fitted, options.costs)
    for name in fits:
        each = points[name]
        heads = [name, *(f"x {n}" for n in sorted({point["count"] for point in each}))]
        rows: dict[int, list[str]] = {}
        for point in each:
            rate = point["chunk"] * point["count"] / median(point["seconds"]) / 1e9
            rows.setdefault(point["chunk"], []).append(f"{rate:.3f}")
        cells = [[f"{chunk >> 10} KiB", *row, *[""] * (len(heads) - 1 - len(row))] for chunk, row in rows.items()]
        print(timing.table(heads, cells), f"\nGB/s; the model is wrong by {fits[name][2]:.2f} at most\n")
    print("\n".join([calibrate.shown(fitted), *(str(each) for each in failed)]))
    worst = {name: each[2] for name, each in fits.items()}
    report.finish(
        "rates", options, points=points, failed=failed, floors=floors, worst_factor=worst, costs=asdict(fitted)
    )


if __name__ == "__main__":
    main()
