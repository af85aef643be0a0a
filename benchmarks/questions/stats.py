"""How fast are mean, standard deviation, min, max and a histogram of an array that is read once? And along an axis?

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
    kinds = [(dtype, name, None) for dtype in ("float32", "uint16") for name in COMPRESSORS]
    kinds += [("float32", name, 0) for name in COMPRESSORS]
    rows = {
        f"{dtype}, {name}" + (", axis 0" if axis == 0 else ""): measure(options, dtype, name, axis)
        for dtype, name, axis in kinds
    }
    clock = {kind: {name: took.seconds * 1e3 for name, took in row.items()} for kind, row in rows.items()}
    processor = {kind: {name: took.processor * 1e3 for name, took in row.items()} for kind, row in rows.items()}
    print(timing.speeds("ms", clock), timing.speeds("ms of CPU time", processor), sep="\n\n")
    missed = [f"slower than {name}: {kind}" for kind, row in clock.items() for name in faster(row)]
    timing.finish("stats", options, missed, milliseconds=clock, processor=processor)


def measure(options: argparse.Namespace, dtype: str, name: str, axis: int | None) -> dict[str, Took]:
    """What each takes, once it was right."""
    shape = (options.side,) * 3
    values = np.round(np.random.default_rng(0).normal(1000, 30, shape) * 4).astype(dtype)
    truth = values.mean(axis, "f8"), values.std(axis, "f8"), values.min(axis), values.max(axis)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cube.zarr"
        array = gpuzarr.create_array(path, data=values, chunks=(64, 64, 64), device="cpu", **COMPRESSORS[name])
        runs = choice(array, path, options.readers, axis)
        for each, run in runs.items():
            if each != "reading alone":
                for found, right in zip(run(), truth, strict=True):
                    np.testing.assert_allclose(found, right, rtol=1e-9, err_msg=each)
        return timing.medians(runs, options.repeats)


def choice(array: gpuzarr.Array, path: Path, wanted: str, axis: int | None) -> dict[str, Callable[[], Any]]:
    """What is timed, by name."""
    runs = {OURS: lambda: ours(array, axis), "reading alone": lambda: read(array), "NumPy": lambda: slabs(array, axis)}
    try:
        import dask.array
    except ImportError:
        pass
    else:
        lazy = dask.array.from_zarr(str(path))
        runs["dask"] = lambda: dask.array.compute(
            lazy.mean(axis, "f8"), lazy.std(axis, "f8"), lazy.min(axis), lazy.max(axis)
        )
    return {
        name: run
        for name, run in runs.items()
        if not wanted or any(name.startswith(each) for each in wanted.split(","))
    }


def ours(array: gpuzarr.Array, axis: int | None) -> tuple[Any, ...]:
    """Along an axis without a histogram, which would be one for each of the others' indices."""
    found = gpuzarr.stats(array, axis=axis, bins=256 if axis is None else 0)
    return found.mean, found.std, found.min, found.max


def planes(array: gpuzarr.Array) -> Any:
    return array.reader(slice(first, first + 64) for first in range(0, len(array), 64))


def read(array: gpuzarr.Array) -> None:
    for _ in planes(array):
        pass


def slabs(array: gpuzarr.Array, axis: int | None) -> tuple[Any, ...]:
    """Sums of squares about a mean that is known."""
    total: Any = 0.0
    squares: Any = 0.0
    least, most = np.inf, -np.inf
    for slab in planes(array):
        total = total + slab.sum(axis, "f8")
        least, most = np.minimum(least, slab.min(axis)), np.maximum(most, slab.max(axis))
    mean = total * np.size(total) / array.size
    for slab in planes(array):
        squares = squares + np.square(slab - mean, dtype="f8").sum(axis)
    return mean, np.sqrt(squares * np.size(total) / array.size), least, most


def faster(row: dict[str, float]) -> list[str]:
    """Those that are faster than ours, but for reading alone."""
    return [name for name, took in row.items() if name != "reading alone" and took < row.get(OURS, 0) * timing.LEAST]


if __name__ == "__main__":
    main()
