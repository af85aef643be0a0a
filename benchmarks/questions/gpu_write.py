"""How long does it take from an array on the GPU to files in the page cache, beside every peer and the ceilings?

Peers write on the CPU, behind a copy of the array to the host, which counts. Everybody writes over files that are there
already; nobody calls fsync. Goals: 5 times zarr-python, 10 GB/s of the array's bytes for blosc-lz4. The ceilings are
those of the same run: what is stored over the bus into pinned memory, the same files written over by as many threads or
processes as are fastest, and one bare call of nvCOMP for the same chunks.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import gpuzarr
from benchmarks.harness import gpu, gpu_peers, kept, page_cache, timing
from benchmarks.harness.kept import Alone
from benchmarks.harness.layouts import Layout, fitted, numcodec, sample, stored, write, zarr_codec
from benchmarks.harness.writers import right
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.contract import Device

SMALL, LARGE = (16, 64, 64), (64, 64, 64)  # of float32: 256 KiB and 1 MiB
SHARD = (128, 320, 320)
COMPRESSORS: dict[str, tuple[int, Callable[[], Any]]] = {  # by the version of Zarr that all peers write it in
    "zstd": (3, zarr_codec("ZstdCodec", level=3)),
    "blosc-lz4": (3, zarr_codec("BloscCodec", cname="lz4", shuffle="shuffle", typesize=4)),
    "blosc-zstd": (3, zarr_codec("BloscCodec", cname="zstd", shuffle="shuffle", typesize=4)),
    "zlib": (2, numcodec("zlib", level=1)),
}


@dataclass(frozen=True)
class Row:
    name: str
    layout: Layout

    @property
    def compressed(self) -> bool:
        return self.layout.compressor() is not None


ROWS = (
    *(
        Row(f"{name}, {size}", Layout(name, version, chunks, make))
        for name, (version, make) in COMPRESSORS.items()
        for size, chunks in (("256 KiB", SMALL), ("1 MiB", LARGE))
    ),
    Row("raw, 1 MiB", Layout("raw", 3, LARGE)),
    Row("shards of zstd, 256 KiB", Layout("shards", 3, SMALL, COMPRESSORS["zstd"][1], shards=SHARD)),
)


@lru_cache(1)
def kept_sample(side: int) -> np.ndarray:
    """The values; all rows have the same."""
    return sample("f4", side)


def side(mib: float) -> int:
    """Of a cube of about so many MiB; whole chunks, and whole shards where it is large."""
    edge = (mib * 2**18) ** (1 / 3)
    return max(32, round(edge / 64) * 64 if edge > 64 else 32)


def measure(row: Row, folder: Path, device: Device, options: Any, bus: float, limit: float) -> dict[str, Any]:
    """A row. A writer goes on for its share of `limit` seconds; of the slowest, the write that was checked counts."""
    values = kept_sample(side(options.mib))
    value = device.upload(values)
    runs, left_out, sizes, paths, repeats = {}, {}, {}, {}, {}
    for name, make in gpu_peers.writers(device).items():
        if not name.startswith(tuple(options.readers.split(","))):
            continue
        path = folder / "".join(c if c.isalnum() else "-" for c in f"{row.name} {name}")
        write(path, row.layout, np.zeros_like(values) + 1)
        before = time.perf_counter()
        if why := unfit(name, make, path, value):
            left_out[name] = why
            continue
        repeats[name] = [time.perf_counter() - before]
        if not right(path, values):
            if name.startswith("gpuzarr"):
                raise SystemExit(f"{name} writes wrong values to {path.name}")
            left_out[name] = "WRONG VALUES"
            del repeats[name]
            continue
        runs[name], paths[name], sizes[name] = partial(make(path), value), path, stored(path)
    most = limit / 2 / max(len(runs), 1)
    fast = {name: run for name, run in runs.items() if repeats[name][0] < most or name.startswith("gpuzarr")}
    found = timing.rounds(fast, options.repeats, enough=most)
    repeats |= {name: [took.seconds for took in each] for name, each in found.items()}
    seconds = {name: median(each) for name, each in repeats.items()}
    first = next(iter(paths.values()))
    ours = gpuzarr.open_array(first, mode="r+", device=device)
    ours[...] = value
    assert ours.last_write is not None
    cached = page_cache.measured(first, options.repeats, write=True)
    ceilings = {"bus": next(iter(sizes.values())) / (bus * 1e9), "page cache": cached.seconds}
    if row.compressed:
        alone = nvcomp_alone(row, values, first, device, options.repeats)
        ceilings |= {"nvCOMP": median(alone.seconds)} if alone.seconds else {}
        left_out |= {"nvCOMP alone": alone.why} if alone.why else {}
    return {
        "row": row.name,
        "nbytes": values.nbytes,
        "stored": sizes,
        "seconds": seconds,
        "repeats": repeats,
        "left_out": left_out,
        "ceilings": ceilings,
        "page_cache": cached.asdict(),
        "write": ours.last_write.asdict(),
        "because": ours.explain_write().because,
    }


def unfit(name: str, make: Callable[[Path], Callable[[Any], Any]], path: Path, value: Any) -> str:
    """Why a writer is left out, "" where it has written `value`. Ours must."""
    try:
        make(path)(value)
    except Exception as error:
        if name.startswith("gpuzarr"):
            raise
        return f"cannot ({type(error).__name__})"
    return ""


def nvcomp_alone(row: Row, values: np.ndarray, path: Path, device: Device, repeats: int) -> Alone:
    """Time of one bare call of nvCOMP for these very chunks, which are on the device already."""
    chunk = fitted(row.layout.chunks, values.shape)
    plain = np.concatenate([cell.reshape(-1) for cell in cells(values, chunk)]).view(np.uint8)
    nbytes = 4 * math.prod(chunk)
    count = len(plain) // nbytes
    encoded = EncodedBatch(device.upload(plain), np.arange(count) * nbytes, np.full(count, nbytes))
    codec = gpuzarr.open_array(path, device="cpu").layout.codecs[-1]
    return kept.encoding(device, codec, encoded, BytesSpec(nbytes), repeats)


def cells(values: np.ndarray, chunk: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The chunks, whole: filled up with zeros beyond the end."""
    for corner in product(*(range(0, n, size) for n, size in zip(values.shape, chunk, strict=True))):
        cell = np.zeros(chunk, values.dtype)
        some = values[tuple(slice(at, at + size) for at, size in zip(corner, chunk, strict=True))]
        cell[tuple(map(slice, some.shape))] = some
        yield cell


def ratios(row: dict[str, Any]) -> dict[str, float]:
    """Of the tightest ceiling, times zarr-python, and times the best peer, each with its copy."""
    seconds, nothing = row["seconds"], math.nan
    first = next(iter(seconds.values()))
    peers = {name: s for name, s in seconds.items() if not name.startswith("gpuzarr")}
    zarr = [s for name, s in peers.items() if name.startswith(("zarr fused", "zarr-python"))]
    return {
        "of ceiling": max(row["ceilings"].values()) / first,
        "x zarr-python": min(zarr, default=nothing) / first,
        "x best peer": min(peers.values(), default=nothing) / first,
    }


def speed(row: dict[str, Any]) -> float:
    """GB/s of the array's bytes, of ours."""
    return float(row["nbytes"] / next(iter(row["seconds"].values())) / 1e9)


def missed(rows: list[dict[str, Any]]) -> list[str]:
    times = [(row["row"], ratios(row)["x zarr-python"]) for row in rows]
    found = [f"{name}: {ratio:.2f} times zarr-python, not 5" for name, ratio in times if not ratio >= 5]
    lz4 = max((speed(row) for row in rows if row["row"].startswith("blosc-lz4")), default=math.inf)
    return found if lz4 >= 10 else [*found, f"blosc-lz4: {lz4:.1f} GB/s, not 10"]


def show(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    heads, lines = [], []
    for row in rows:
        speeds = {name: f"{row['nbytes'] / s / 1e9:.2f}" for name, s in row["seconds"].items()}
        heads = list(ratios(row))
        size = f"{next(iter(row['stored'].values())) / row['nbytes']:.0%}"
        cells = [size, *(speeds.get(name, "-") for name in names), *(f"{x:.2f}" for x in ratios(row).values())]
        lines.append([row["row"], *cells, row["write"]["limited_by"]])
    return timing.table(["GB/s", "stored", *names, *heads, "limited by"], lines)


def where(row: dict[str, Any]) -> str:
    """What encoded where."""
    steps = ", ".join(f"{name} on {place}" for name, place in row["write"]["codecs"])
    return f"{row['row']}: {steps}" + (f", because {row['because']}" if row["because"] else "")


def main(arguments: list[str] | None = None) -> None:
    parser = gpu.parser("gpu_write", __doc__, 256, 110)
    parser.add_argument("--rows", default="", help="only those whose name contains this")
    parser.add_argument("--folder", help="where files are written (default: the folder for temporary files)")
    options = parser.parse_args(arguments)
    device, rows, failed = gpu.device(options.device), [], []
    bus = gpu.pinned_fetch(device, min(int(options.mib * 2**20), 1 << 28), options.repeats)
    ceilings = {"pinned fetch": bus}
    chosen, begun, budget = [row for row in ROWS if options.rows in row.name], 0, timing.Budget.of(options.seconds)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for i, row in enumerate(chosen):
            if limit := budget.share(len(chosen) - i):
                begun, place = i + 1, Path(folder, str(i))
                one = partial(measure, row, place, device, options, bus, limit)
                rows += filter(None, [timing.tried(row.name, failed, one)])
                shutil.rmtree(place, ignore_errors=True)
                print(f"measured {row.name}", flush=True)
                timing.record("gpu_write", options.output, settings={"unfinished": True}, rows=rows, ceilings=ceilings)
    left_out = [f"{row.name}: no time was left" for row in chosen[begun:]]
    print(show(rows))
    print("\n".join(map(where, rows)))
    print("\n".join(f"{name}, {row['row']}: {why}" for row in rows for name, why in row["left_out"].items()))
    print(f"from the device into pinned memory: {bus:.1f} GB/s")
    goals = missed(rows) + left_out
    timing.finish("gpu_write", options, goals, failed, rows=rows, left_out=left_out, ceilings=ceilings)


if __name__ == "__main__":
    main()
