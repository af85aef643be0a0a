"""How fast is an image written with all its levels, from an array in memory to OME-Zarr in the page cache?

An image of uint16 (mean) and labels of uint64 (mode), side**3, and three coarser levels, each half as long along every
axis; chunks of 64**3, zstd level 1. Beside: tensorstore (its downsample driver in memory, each level from the one
before, all writes at once), ome-zarr-py and ngff-zarr where they are installed. Each runs in a process of its own,
which also tells what memory it took at the most beyond the data. Goals on the CPU: at least 1.5 times tensorstore for
each method, and at most 256 MiB beyond the data. `ceiling` is what libzstd and the files alone take: chunks of all
levels that lie ready are compressed by each core and written to files, and nothing else is done.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import gpu, timing
from benchmarks.harness.memory import status
from benchmarks.harness.timing import OURS

CHUNK, LEVELS, AHEAD = 64, 4, 1.5
CEILING = "ceiling"
MAX_EXTRA_BYTES = 256 << 20
KINDS = {"image": ("uint16", "mean"), "labels": ("uint64", "mode")}
METHODS = {"max": "image", "min": "image", "median": "image", "nearest": "image"}  # of tensorstore: stride
Levels = list[np.ndarray]


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("write_pyramid", __doc__)
    parser.add_argument("--side", type=int, default=512, help="the image is side**3 (default 512)")
    parser.add_argument("--device", default="cpu", help="of ours: cpu; cuda, with the data on the GPU; emulated")
    parser.add_argument("--rows", default="", help="only those whose name contains this, such as 'labels, mode'")
    parser.add_argument("--seconds", type=float, default=3600, help="no row is begun after so many (3600)")
    parser.add_argument("--one", nargs=2, metavar=("WRITER", "ROW"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(one(*options.one, options)))
        return
    names = [name for name in WRITERS if not options.readers or name in options.readers.split(",")]
    rows = {f"{kind}, {method}": (kind, method) for kind, (_, method) in KINDS.items()}
    rows |= {f"{kind}, {method}": (kind, method) for method, kind in METHODS.items()}
    rows = {row: kind for row, kind in rows.items() if options.rows in row}
    rates: dict[str, dict[str, float]] = {row: {} for row in rows}
    extra: dict[str, dict[str, float]] = {row: {} for row in rows}
    clock: dict[str, dict[str, float]] = {row: {} for row in rows}
    budget, left_out = timing.Budget.of(options.seconds), []
    for row, (kind, method) in rows.items():
        if not budget.share(1):
            left_out.append(f"{row}: no time was left")
            continue
        for name in names:
            if find_spec(WRITERS[name].package) is None or method not in WRITERS[name].methods:
                continue
            took = in_a_process(name, f"{kind},{method}", options)
            shown = f"gpuzarr {options.device}" if name == OURS else name
            rates[row][shown], clock[row][shown] = took["gb_s"], took["seconds"] * 1e3
            if name != CEILING:  # which holds all chunks
                extra[row][shown] = took["extra"] / 2**20
        timing.record("write_pyramid", options.output, settings={"unfinished": True}, milliseconds=clock, gb_s=rates)
    print(timing.speeds("GB/s of level 0", rates), timing.speeds("MiB beyond the data", extra), sep="\n\n")
    found = {"milliseconds": clock, "gb_s": rates, "extra_mib": extra, "left_out": left_out}
    timing.finish("write_pyramid", options, missed(rates, extra) + left_out, **found)


def missed(rates: dict[str, dict[str, float]], extra: dict[str, dict[str, float]]) -> list[str]:
    """Goals that were not met."""
    found = []
    for row, each in rates.items():
        if OURS in each and "tensorstore" in each and each[OURS] < AHEAD * each["tensorstore"]:
            beside = f", and {each[OURS] / each[CEILING]:.2f} of the ceiling" if CEILING in each else ""
            found.append(f"{row}: {each[OURS] / each['tensorstore']:.2f} times tensorstore, expected {AHEAD}{beside}")
        if extra[row].get(OURS, 0) > MAX_EXTRA_BYTES / 2**20:
            found.append(f"{row}: {extra[row][OURS]:.0f} MiB beyond the data")
    return found


def in_a_process(name: str, row: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.questions.write_pyramid", "--one", name, row]
    command += ["--side", str(options.side), "--repeats", str(options.repeats), "--device", options.device]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    if done.returncode:
        raise SystemExit(f"{name}, {row}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(name: str, row: str, options: argparse.Namespace) -> dict[str, float]:
    """The median rate of one writer, and what memory it took beyond the data, once what it wrote was right."""
    kind, method = row.split(",")
    data = made(kind, options.side)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.zarr"
        run = WRITERS[name].prepare(options.device)
        small = data[: 2 * CHUNK, : 2 * CHUNK, : 2 * CHUNK]
        run(path, small, method)  # what is loaded once is not the write's
        check(name, path, small, method)
        seconds, extra = [], 0
        for _ in range(options.repeats):
            shutil.rmtree(path, ignore_errors=True)
            Path("/proc/self/clear_refs").write_text("5")
            before = status("VmRSS")
            seconds.append(timing.took(lambda: run(path, data, method)).seconds)
            extra = max(extra, status("VmHWM") - before)
        took = float(np.median(seconds))
        return {"seconds": took, "gb_s": data.nbytes / took / 1e9, "extra": extra}


def made(kind: str, side: int) -> np.ndarray:
    """Noise about blobs, or labels of cells of different sizes."""
    random = np.random.default_rng(0)
    if kind == "image":
        base = np.add.outer(np.add.outer(*[np.sin(np.arange(side) / 40)] * 2), np.cos(np.arange(side) / 50))
        noise = random.normal(0, 20, base.shape).astype("f4")
        return np.clip(1000 + 300 * base + noise, 0, 65535).astype("uint16")
    cells = random.integers(0, 5000, [-(-side // 12)] * 3).astype("uint64") * (
        random.random([-(-side // 12)] * 3) < 0.6
    )
    for axis in range(3):
        cells = np.repeat(cells, 12, axis)
    return np.ascontiguousarray(cells[:side, :side, :side])


def check(name: str, path: Path, data: np.ndarray, method: str) -> None:
    """Stop where ours or tensorstore wrote other values than downsampling in memory gives."""
    import gpuzarr
    from gpuzarr import ome

    if not WRITERS[name].exact:
        return
    found = gpuzarr.open_group(path, mode="r", device="cpu")
    for level in range(LEVELS):
        if level:
            data = ome.downsample(data, (2, 2, 2), method)
        if not np.array_equal(found[f"{level}"][...], data):
            raise SystemExit(f"{name} wrote other values of level {level} than {method} gives")


class Writer:
    """Who writes: its package, the methods that it has, whether its values are those of windows, and how."""

    def __init__(self, package: str, methods: set[str], exact: bool, prepare: Callable[[str], Any]) -> None:
        self.package, self.methods, self.exact, self.prepare = package, methods, exact, prepare


def ours(device: str) -> Callable[[Path, np.ndarray, str], None]:
    from gpuzarr import ome

    chosen = gpu.device(device)

    def write(path: Path, data: np.ndarray, method: str) -> None:
        values = chosen.xp.asarray(data) if chosen.gpu else data
        ome.write_image(
            path,
            values,
            axes="zyx",
            levels=LEVELS,
            factors=[(2, 2, 2)] * (LEVELS - 1),
            method=method,
            chunks=(CHUNK,) * 3,
            shards=None,
            compressors=[{"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
            overwrite=True,
            device=chosen,
        )

    return write


def ceiling(device: str) -> Callable[[Path, np.ndarray, str], None]:
    from gpuzarr import ome
    from gpuzarr.cpu import zstd_library
    from gpuzarr.devices.select import device as device_of

    ready: dict[tuple[int, ...], list[tuple[str, np.ndarray]]] = {}

    def cut(data: np.ndarray, method: str) -> Iterator[tuple[str, np.ndarray]]:
        for level in range(LEVELS):
            data = ome.downsample(data, (2, 2, 2), method) if level else data
            for at in product(*(range(-(-n // CHUNK)) for n in data.shape)):
                chunk = data[tuple(slice(i * CHUNK, (i + 1) * CHUNK) for i in at)]
                yield f"{level}/c/{'/'.join(map(str, at))}", np.ascontiguousarray(chunk)

    def compress(path: Path, left: Iterator[tuple[str, np.ndarray]]) -> None:
        encoder = zstd_library.encoder(1, checksum=False)
        assert encoder is not None
        made = np.empty(zstd_library.bound(CHUNK**3 * 8), np.uint8)
        for key, chunk in left:
            size = encoder.one(made.ctypes.data, made.nbytes, chunk.ctypes.data, chunk.nbytes)
            with open(path / key, "wb", 0) as file:
                file.write(made[:size].data)

    def write(path: Path, data: np.ndarray, method: str) -> None:
        if data.shape not in ready:  # by the first of several calls
            ready[data.shape] = list(cut(data, method))
        for folder in {key.rpartition("/")[0] for key, _ in ready[data.shape]}:
            (path / folder).mkdir(parents=True, exist_ok=True)
        chosen = device_of("cpu")
        chosen.share(partial(compress, path), ready[data.shape], chosen.threads)

    return write


def tensorstore(device: str) -> Callable[[Path, np.ndarray, str], None]:
    import tensorstore as ts

    def write(path: Path, data: np.ndarray, method: str) -> None:
        waiting, values = [], ts.array(data)
        (path / "zarr.json").parent.mkdir(parents=True, exist_ok=True)
        (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
        for level in range(LEVELS):
            if level:
                reduced = ts.downsample(values, [2, 2, 2], "stride" if method == "nearest" else method)
                values = ts.array(reduced.read().result())
            target = ts.open(
                {
                    "driver": "zarr3",
                    "kvstore": {"driver": "file", "path": str(path / str(level))},
                    "metadata": {
                        "shape": list(values.shape),
                        "data_type": values.dtype.name,
                        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [CHUNK] * 3}},
                        "codecs": [
                            {"name": "bytes", "configuration": {"endian": "little"}},
                            {"name": "zstd", "configuration": {"level": 1}},
                        ],
                    },
                },
                create=True,
                delete_existing=True,
            ).result()
            waiting.append(target.write(values))
        for each in waiting:
            each.result()

    return write


def ome_zarr(device: str) -> Callable[[Path, np.ndarray, str], None]:
    import zarr
    from ome_zarr.format import FormatV05
    from ome_zarr.writer import write_image

    def write(path: Path, data: np.ndarray, method: str) -> None:
        group = zarr.open_group(str(path), mode="w", zarr_format=3)
        options = {"chunks": (CHUNK,) * 3}
        factors = [dict.fromkeys("zyx", 2**i) for i in range(1, LEVELS)]
        scaling = {"mean": "local_mean", "mode": "nearest"}[method]
        write_image(
            data, group, axes="zyx", fmt=FormatV05(), storage_options=options, scale_factors=factors, method=scaling
        )

    return write


def ngff_zarr(device: str) -> Callable[[Path, np.ndarray, str], None]:
    import ngff_zarr as nz

    def write(path: Path, data: np.ndarray, method: str) -> None:
        image = nz.to_ngff_image(data, dims=["z", "y", "x"])
        how = nz.Methods.ITKWASM_BIN_SHRINK if method == "mean" else nz.Methods.DASK_IMAGE_MODE
        scales = nz.to_multiscales(image, scale_factors=[2**i for i in range(1, LEVELS)], chunks=CHUNK, method=how)
        nz.to_ngff_zarr(str(path), scales, version="0.5")

    return write


ALL = {"mean", "mode", "max", "min", "median", "nearest"}
WRITERS = {
    OURS: Writer("gpuzarr", ALL, True, ours),
    "tensorstore": Writer("tensorstore", ALL, True, tensorstore),
    CEILING: Writer("gpuzarr", ALL, False, ceiling),
    "ome-zarr": Writer("ome_zarr", {"mean", "mode"}, False, ome_zarr),
    "ngff-zarr": Writer("ngff_zarr", {"mean", "mode"}, False, ngff_zarr),
}


if __name__ == "__main__":
    main()
