"""How fast is `engine="gpuzarr"` beside xarray's own engine, with each pipeline that zarr-python has?

Opening stores of 300 variables (consolidated metadata, v2 and v3), loading one variable (plain, packed as int16 with a
scale, an offset and missing values, and of shards), a time series out of 1,000 small chunks, and a mean by dask over
1 GB. Files in the page cache. Peers: `engine="zarr"` with zarr-python's default pipeline, its fused one (from 3.3 on)
and that of zarrs. Values and attributes are compared first.

Goals on the CPU: opening no slower than the best of them; loading 1.5 times as fast in the geometric mean, and no row
below the best.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import data, timing
from benchmarks.harness.timing import LEAST, MEAN, OURS, geometric_mean, ratio

PIPELINES = {
    "zarr": "zarr.core.codec_pipeline.BatchedCodecPipeline",
    "zarr fused": "zarr.core.codec_pipeline.FusedCodecPipeline",
    "zarr, zarrs' pipeline": "zarrs.ZarrsCodecPipeline",
}


@dataclass(frozen=True)
class Engine:
    """A way in which xarray opens stores; `pipeline` is the one of zarr-python, which arrays keep from then on."""

    name: str
    engine: str
    pipeline: str | None = None

    def around(self) -> AbstractContextManager[Any]:
        if self.pipeline is None:
            return nullcontext()
        import zarr

        return zarr.config.set({"codec_pipeline.path": self.pipeline})

    def open(self, path: Path, **options: Any) -> Any:
        import xarray

        device = {"device": "cpu"} if self.engine == "gpuzarr" else {}
        with self.around():
            return xarray.open_dataset(path, engine=self.engine, **options, **device)


@dataclass(frozen=True)
class Row:
    """A question: `store` writes a dataset, and `ask` takes an engine and the path."""

    name: str
    store: Callable[[Path], None]
    ask: Callable[[Engine, Path], Callable[[], Any]]
    is_opening: bool = False


def engines(wanted: str) -> Iterator[Engine]:
    """Ours, and those that are installed."""
    names = tuple(wanted.split(","))
    every = [Engine(OURS, "gpuzarr"), *(Engine(name, "zarr", path) for name, path in PIPELINES.items())]
    for engine in every:
        if engine.name.startswith(names) and (engine.pipeline is None or _exists(engine.pipeline)):
            yield engine


def _exists(path: str) -> bool:
    module, _, name = path.rpartition(".")
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False


def many_variables(version: int, count: int, path: Path) -> None:
    """A store of so many variables with the attributes that models give them, and consolidated metadata."""
    import xarray

    side, rng = 16, np.random.default_rng(0)
    coords = {
        "time": np.arange(4).astype("M8[D]").astype("M8[ns]"),
        "lat": np.arange(float(side)),
        "lon": np.arange(float(side)),
    }
    about = {"units": "K", "standard_name": "air_temperature", "cell_methods": "time: mean"}
    values = rng.random((4, side, side), "f4")
    variables = {
        f"v{i:03}": (("time", "lat", "lon"), values, {**about, "long_name": f"variable {i}"}) for i in range(count)
    }
    _written(xarray.Dataset(variables, coords), path, version)


def one_variable(
    version: int, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], path: Path, **encoding: Any
) -> None:
    """A store of one variable `v`."""
    import xarray

    dataset = xarray.Dataset({"v": (("time", "y", "x"), data.values(name, shape))})
    _written(dataset, path, version, v={"chunks": chunks, **encoding})


def packed(version: int, shape: tuple[int, ...], chunks: tuple[int, ...], path: Path) -> None:
    """A field that is stored as int16 with scale and offset, a tenth of it missing."""
    import xarray

    values = np.round(data.values("smooth", shape).astype("f8"), 2)
    values[np.random.default_rng(0).random(shape) < 0.1] = np.nan
    spread = (np.nanmax(values) - np.nanmin(values)) / 60000
    packing = {
        "dtype": "i2",
        "scale_factor": float(spread),
        "add_offset": float(np.nanmean(values)),
        "_FillValue": -32768,
    }
    dataset = xarray.Dataset({"v": (("time", "y", "x"), values)})
    _written(dataset, path, version, v={"chunks": chunks, **packing})


def _written(dataset: Any, path: Path, version: int, **encoding: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata of v3
        dataset.to_zarr(path, zarr_format=version, encoding=encoding, consolidated=True)


def opening(options: dict[str, Any], engine: Engine, path: Path) -> Callable[[], Any]:
    return lambda: engine.open(path, **options)


def loading(part: tuple[slice | int, ...], engine: Engine, path: Path) -> Callable[[], Any]:
    """Read a part of `v`; the dataset was opened before."""
    dataset = engine.open(path, cache=False)
    return lambda: dataset["v"][part].values


def reducing(engine: Engine, path: Path) -> Callable[[], Any]:
    """The mean over time, by threads of dask."""
    dataset = engine.open(path, chunks={})
    return lambda: dataset["v"].mean("time").values


def questions(tiny: bool) -> Iterator[Row]:
    """All rows."""
    count, many = (20, 40) if tiny else (300, 1000)
    cube, chunks = ((16, 64, 64), (4, 32, 32)) if tiny else ((64, 512, 1024), (8, 256, 256))
    large = (16, 64, 128) if tiny else (256, 1024, 1024)
    whole = partial(loading, (slice(None),))
    for version in (2, 3):
        store = partial(many_variables, version, count)
        yield Row(f"open {count} variables, v{version}", store, partial(opening, {}), True)
        yield Row(f"open {count} variables with chunks, v{version}", store, partial(opening, {"chunks": {}}), True)
    for version, codec in ((2, "blosc-lz4"), (3, "zstd")):
        yield Row(
            f"load, v{version} {codec}",
            partial(one_variable, version, "smooth", cube, chunks, **_codec(version)),
            whole,
        )
        yield Row(f"load packed, v{version} {codec}", partial(packed, version, cube, chunks), whole)
    shards = {"shards": tuple(2 * n for n in chunks)}
    yield Row("load, v3 zstd in shards", partial(one_variable, 3, "smooth", cube, chunks, **shards), whole)
    for version, codec in ((2, "blosc-lz4"), (3, "zstd")):
        series = partial(one_variable, version, "smooth", (many, 64, 64), (1, 64, 64), **_codec(version))
        yield Row(f"time series of {many} chunks, v{version} {codec}", series, partial(loading, (slice(None), 7, 11)))
    yield Row("mean by dask, v3 zstd", partial(one_variable, 3, "smooth", large, (16, 256, 256)), reducing)


def _codec(version: int) -> dict[str, Any]:
    """blosc-lz4 for v2; v3 has its default, zstd."""
    if version == 3:
        return {}
    from numcodecs import Blosc

    return {"compressors": Blosc("lz4", 5, Blosc.SHUFFLE)}


def measure(row: Row, choice: list[Engine], repeats: int) -> dict[str, Any]:
    """Seconds of each engine by the clock and of processors, once its answer was that of xarray's own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.zarr")
        row.store(path)
        runs = {engine.name: row.ask(engine, path) for engine in choice}
        truth, *others = [run() for run in reversed(runs.values())]
        for answer in others:
            is_same = truth.identical(answer) if row.is_opening else np.array_equal(truth, answer, equal_nan=True)
            assert is_same, f"{row.name}: engines differ"
        took = timing.medians(runs, repeats)
    processor = {name: each.processor for name, each in took.items()}
    return {"row": row.name, "is_opening": row.is_opening, "seconds": timing.seconds(took), "processor": processor}


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """The goals that were not met."""
    told = [f"{row['row']}: {ratio(row):.2f} times the best" for row in rows if not ratio(row) >= LEAST]
    loaded = geometric_mean([row for row in rows if not row["is_opening"]] or rows)
    return told if loaded >= MEAN else [*told, f"loading: {loaded:.2f} times the best in the geometric mean"]


def show(rows: list[dict[str, Any]]) -> str:
    """Milliseconds by the clock."""
    return timing.speeds("ms", {row["row"]: {name: s * 1e3 for name, s in row["seconds"].items()} for row in rows})


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("xarray_open", __doc__)
    parser.add_argument("--questions", default="", help="only those whose name contains this")
    parser.add_argument("--tiny", action="store_true", help="small stores, to see that all of it runs")
    options = parser.parse_args(arguments)
    choice, found = list(engines(options.readers)), []
    for row in questions(options.tiny):
        if options.questions in row.name:
            found.append(measure(row, choice, options.repeats))
            print(show(found[-1:]), flush=True)
    print(show(found))
    timing.finish("xarray_open", options, missed(found), rows=found)


if __name__ == "__main__":
    main()
