"""How fast does dask add up an array of 1 GB, with blocks from `gpuzarr.to_dask`?

Beside `dask.array.from_zarr` of arrays of zarr-python, with its default pipeline and its fused one (from 3.3 on). Each
with the blocks that it chooses by itself: of gpuzarr whole shards, of the others chunks. Threads of one process, files
in the page cache. Goal on the CPU: no slower than the best of them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gpuzarr
from benchmarks.harness import data, peers, timing
from benchmarks.harness.timing import LEAST, OURS

SIDE = 64  # of a chunk
ROWS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {},
    "zstd, shards": {"shards": (4 * SIDE,) * 3},
}


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("dask_sum", __doc__)
    parser.add_argument("--chunks", type=int, default=8, help="along each axis, twice as many on the first (default 8)")
    options = parser.parse_args(arguments)
    rows = {name: measure(options, layout) for name, layout in ROWS.items()}
    clock = {kind: {name: took.seconds * 1e3 for name, took in row.items()} for kind, row in rows.items()}
    print(timing.speeds("ms", clock))
    missed = []
    for kind, row in clock.items():
        others = [took for name, took in row.items() if name != OURS]
        if OURS in row and others:
            print(f"{kind}: {min(others) / row[OURS]:.2f} times as fast as the best of the others")
            missed += [f"slower than another: {kind}"] * (min(others) < row[OURS] * LEAST)
    timing.finish("dask_sum", options, missed, milliseconds=clock)


def measure(options: argparse.Namespace, layout: dict[str, Any]) -> dict[str, timing.Took]:
    """What each takes, once it was right."""
    values = data.values("smooth", tuple(SIDE * n for n in (2 * options.chunks, options.chunks, options.chunks)))
    total = values.sum(dtype="f8")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cube.zarr"
        gpuzarr.create_array(path, data=values, chunks=(SIDE,) * 3, device="cpu", **layout)
        del values
        runs = choice(path, options.readers)
        for name, run in runs.items():
            np.testing.assert_allclose(run(), total, rtol=1e-9, err_msg=name)
        return timing.medians(runs, options.repeats)


def choice(path: Path, wanted: str) -> dict[str, Callable[[], Any]]:
    """What is timed, by name: a sum over an array that was opened before."""
    import dask.array as da

    lazy = {OURS: gpuzarr.to_dask(gpuzarr.open_array(path, device="cpu"))}
    for reader in (peers.zarr_default(), peers.zarr_fused()):
        if reader is not None:
            with reader.around():
                lazy[reader.name] = da.from_zarr(reader.open(path))
    names = tuple(wanted.split(","))
    return {name: summing(x) for name, x in lazy.items() if name.startswith(names)}


def summing(x: Any) -> Callable[[], Any]:
    return lambda: x.sum(dtype="f8").compute(scheduler="threads")


if __name__ == "__main__":
    main()
