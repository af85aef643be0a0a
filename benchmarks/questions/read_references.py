"""How fast are NetCDF4 files read in place, and references opened, beside the libraries that do it otherwise?

A field of f4 as xarray writes it (shuffled, deflated), with chunks of 650 and of 16 KiB; all of it, and every 7th plane
along another axis; files in the page cache. Peers are h5py, xarray, and zarr-python through references of kerchunk and
fsspec. Files are open; what it takes to open them and to read an element is a row of its own, as is a document of a
million references that is opened, and in which one is looked for (the peer is fsspec).

Goals on the CPU: no selection below 0.95 of the best peer; opening has no goal. `--check` fails where missed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gpuzarr
from benchmarks.harness import timing
from gpuzarr.stores import references
from gpuzarr.stores.local.store import LocalStore

SHAPE = (120, 360, 720)
CHUNKS = {"650 KiB chunks": (10, 90, 180), "16 KiB chunks": (1, 45, 90)}
SELECTIONS: dict[str, Any] = {"all": ..., "every 7th": (slice(5, 100, 7), 10)}
SIDE = 1000  # of the square of chunks that the document names
Runs = dict[str, Callable[[], Any]]


def netcdf(path: Path, chunks: tuple[int, ...], smaller: int) -> np.ndarray:
    """Write a file. Returns what is in it."""
    import xarray

    shape = (SHAPE[0], *(max(1, side // smaller) for side in SHAPE[1:]))
    noise = np.random.default_rng(0).normal(0, 0.1, shape)
    values = (noise.cumsum(axis=2) + 280).round(2).astype("f4")
    fitting = tuple(min(pair) for pair in zip(chunks, shape, strict=True))
    encoding = {"zlib": True, "shuffle": True, "complevel": 4, "chunksizes": fitting}
    xarray.Dataset({"t": (("time", "y", "x"), values)}).to_netcdf(path, engine="h5netcdf", encoding={"t": encoding})
    return values


def readers(path: Path, key: Any) -> Runs:
    """Who reads a selection of the file, which is open."""
    import h5py
    import xarray

    ours, theirs, file = gpuzarr.open(path, path="t", mode="r", device="cpu"), by_kerchunk(path), h5py.File(path)
    dataset = xarray.open_dataset(path, engine="h5netcdf", cache=False)
    return {
        timing.OURS: lambda: ours[key],
        "h5py": lambda: file["t"][key],
        "xarray": lambda: dataset.t[key].values,
        "zarr, kerchunk": lambda: theirs[key],
    }


def file_openers(path: Path) -> Runs:
    """Who opens the file, and reads an element."""
    import h5py
    import xarray

    def by_h5py() -> Any:
        with h5py.File(path) as file:
            return file["t"][0, 0, 0]

    def by_xarray() -> Any:
        with xarray.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.t[0, 0, 0].values

    return {
        timing.OURS: lambda: gpuzarr.open(path, path="t", mode="r", device="cpu")[0, 0, 0],
        "h5py": by_h5py,
        "xarray": by_xarray,
        "zarr, kerchunk": lambda: by_kerchunk(path)[0, 0, 0],
    }


def by_kerchunk(path: Path) -> Any:
    """The array of zarr-python, by way of references."""
    import fsspec
    import zarr
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from kerchunk.hdf import SingleHdf5ToZarr

    found = SingleHdf5ToZarr(str(path), inline_threshold=0).translate()
    files = AsyncFileSystemWrapper(fsspec.filesystem("file"), asynchronous=True)
    refs = fsspec.filesystem("reference", fo=found, fs=files, asynchronous=True)
    return zarr.open_group(zarr.storage.FsspecStore(refs, read_only=True), mode="r", zarr_format=2)["t"]


def document(path: Path, side: int) -> None:
    """Write references to `side` squared chunks in as many files as there are rows."""
    array = {
        "zarr_format": 2,
        "shape": [side, side],
        "chunks": [1, 1],
        "dtype": "<f4",
        "fill_value": 0,
        "order": "C",
        "compressor": None,
        "filters": None,
    }
    chunks = {f"a/{i}.{j}": [f"s3://bucket/path/{i:04}.nc", 1000 + 4 * j, 4] for i in range(side) for j in range(side)}
    found = {".zgroup": '{"zarr_format": 2}', "a/.zarray": json.dumps(array), **chunks}
    path.write_text(json.dumps({"version": 1, "refs": found}))


def openers(path: Path, side: int) -> Runs:
    """Who opens the references; each tells the size of a chunk, for which fsspec makes a list of all."""
    import fsspec

    key = f"a/{side - 1}.{side - 1}"
    options: dict[str, Any] = {"remote_protocol": "memory", "skip_instance_cache": True}

    def ours() -> Any:
        return int(references.store_of(LocalStore(path.parent), path.name).table.places([key]).sizes[0])

    return {
        timing.OURS: ours,
        "fsspec": lambda: fsspec.filesystem("reference", fo=str(path), **options).info(key)["size"],
    }


def measure(folder: Path, options: Any) -> list[dict[str, Any]]:
    """All rows; values are checked before they are timed."""
    rows = []

    def add(name: str, runs: Runs, truth: Any) -> None:
        chosen = {reader: run for reader, run in runs.items() if reader.startswith(tuple(options.readers.split(",")))}
        for reader, run in chosen.items():
            if not np.array_equal(run(), truth):
                raise SystemExit(f"{name}: {reader} reads wrong values")
        took = timing.medians(chosen, options.repeats)
        processor = {reader: each.processor for reader, each in took.items()}
        rows.append({"row": name, "seconds": timing.seconds(took), "processor": processor})

    for name, chunks in CHUNKS.items():
        values = netcdf(folder / f"{name}.nc", chunks, options.smaller)
        for selection, key in SELECTIONS.items():
            add(f"{name}, {selection}", readers(folder / f"{name}.nc", key), values[key])
        add(f"{name}, opening", file_openers(folder / f"{name}.nc"), values[0, 0, 0])
    side = max(2, SIDE // options.smaller)
    document(folder / "references.json", side)
    add(f"{side**2:,} references", openers(folder / "references.json", side), 4)
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("read_references", __doc__)
    parser.add_argument("--smaller", type=int, default=1, help="divides axes")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options)
    names = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    lines = [[row["row"], *(told(row, name) for name in names), f"{timing.ratio(row):.2f}"] for row in rows]
    print(timing.table(["milliseconds, of processors", *names, "best peer / ours"], lines))
    judged = [row for row in rows if row["row"].endswith(tuple(SELECTIONS))]
    missed = [f"{row['row']}: {timing.ratio(row):.2f}" for row in judged if not timing.ratio(row) >= timing.LEAST]
    timing.finish("read_references", options, missed, rows=rows)


def told(row: dict[str, Any], name: str) -> str:
    """The milliseconds by the clock and of processors."""
    if name not in row["seconds"]:
        return "-"
    return f"{row['seconds'][name] * 1e3:.1f} / {row['processor'][name] * 1e3:.1f}"


if __name__ == "__main__":
    main()
