"""How fast are mean, standard deviation, min, max and a histogram of an array that is read once?

Beside: a loop over slabs with NumPy (two passes, without a histogram, over what it has read), dask (mean, std, min and
max in one graph, without a histogram), and reading alone, which is the limit. A cube of v3 chunks, files in the page
cache. Goal on the CPU: faster than NumPy and dask, though they make no histogram.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gpuzarr
from benchmarks.harness import timing
from benchmarks.harness.timing import OURS, Took

COMPRESSORS: dict[str, dict[str, Any]] = {"raw": {"compressors": None}, "zstd": {}}


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("stats", __doc__)
    parser.add_argument("--side", type=int, default=384, help="the array is side**3 (default 384: 226 MB of float32)")
    options = parser.parse_args(arguments)
    rows = {
        f"{dtype}, {name}": measure(options, dtype, name) for dtype in ("float32", "uint16") for name in COMPRESSORS
    }
    clock = {kind: {name: took.seconds * 1e3 for name, took in row.items()} for kind, row in rows.items()}
    processor = {kind: {name: took.processor * 1e3 for name, took in row.items()} for kind, row in rows.items()}
    print(timing.speeds("ms", clock), timing.speeds("ms of processors", processor), sep="\n\n")
    missed = [f"slower than {name}: {kind}" for kind, row in clock.items() for name in faster(row)]
    timing.finish("stats", options, missed, milliseconds=clock, processor=processor)


def measure(options: argparse.Namespace, dtype: str, name: str) -> dict[str, Took]:
    """What each takes, once it was right."""
    shape = (options.side,) * 3
    values = np.round(np.random.default_rng(0).normal(1000, 30, shape) * 4).astype(dtype)
    truth = values.mean(dtype="f8"), values.std(dtype="f8"), values.min(), values.max()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cube.zarr"
        array = gpuzarr.create_array(path, data=values, chunks=(64, 64, 64), device="cpu", **COMPRESSORS[name])
        runs = choice(array, path, options.readers)
        for each, run in runs.items():
            if each != "reading alone":
                np.testing.assert_allclose(run(), truth, rtol=1e-9, err_msg=each)
        return timing.medians(runs, options.repeats)


def choice(array: gpuzarr.Array, path: Path, wanted: str) -> dict[str, Callable[[], Any]]:
    """What is timed, by name."""
    runs = {OURS: lambda: ours(array), "reading alone": lambda: read(array), "NumPy": lambda: slabs(array)}
    try:
        import dask.array
    except ImportError:
        pass
    else:
        lazy = dask.array.from_zarr(str(path))
        runs["dask"] = lambda: dask.array.compute(lazy.mean(dtype="f8"), lazy.std(dtype="f8"), lazy.min(), lazy.max())
    return {
        name: run
        for name, run in runs.items()
        if not wanted or any(name.startswith(each) for each in wanted.split(","))
    }


def ours(array: gpuzarr.Array) -> tuple[Any, ...]:
    found = gpuzarr.stats(array)
    return found.mean, found.std, found.min, found.max


def planes(array: gpuzarr.Array) -> Any:
    return array.reader(slice(first, first + 64) for first in range(0, len(array), 64))


def read(array: gpuzarr.Array) -> None:
    for _ in planes(array):
        pass


def slabs(array: gpuzarr.Array) -> tuple[Any, ...]:
    """Sums of squares about a mean that is known."""
    total, least, most = 0.0, np.inf, -np.inf
    for slab in planes(array):
        total += slab.sum(dtype="f8")
        least, most = min(least, slab.min()), max(most, slab.max())
    mean = total / array.size
    squares = sum(np.square(slab - mean, dtype="f8").sum() for slab in planes(array))
    return mean, np.sqrt(squares / array.size), least, most


def faster(row: dict[str, float]) -> list[str]:
    """Those that are faster than ours, but for reading alone."""
    return [name for name, took in row.items() if name != "reading alone" and took < row.get(OURS, 0) * timing.LEAST]


if __name__ == "__main__":
    main()
