"""How long does it take from files in the page cache to an array on the GPU, beside every peer and the ceilings?

Goals, for chunks of 256 KiB to 1 MiB of zstd, blosc-lz4, blosc-zstd and zlib: 0.8 of the tightest ceiling, 10 times
zarr-python's enable_gpu, twice the best CPU reader followed by its copy; 15 GB/s decoded for zstd of ratio 3. The rows
in which a GPU loses (one chunk, a tiny array, few large zstd chunks) are there too, without a goal.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import gpuzarr
from benchmarks.harness import gpu, gpu_peers, timing
from benchmarks.harness.kept import Kept
from benchmarks.harness.layouts import (
    Layout,
    encoded_chunks,
    fitted,
    numcodecs_decode,
    sample,
    stored,
    write,
    zarr_codec,
)
from benchmarks.harness.peers import Reader
from gpuzarr.batch import BytesSpec, EncodedBatch, packed
from gpuzarr.devices.contract import Device


def zlib() -> Any:
    from zarr.codecs.numcodecs import Zlib

    return Zlib(level=4)


CODECS: dict[str, Callable[[], Any]] = {
    "zstd": zarr_codec("ZstdCodec", level=3),
    "blosc-lz4": zarr_codec("BloscCodec", cname="lz4", shuffle="shuffle", typesize=4),
    "blosc-zstd": zarr_codec("BloscCodec", cname="zstd", shuffle="shuffle", typesize=4),
    "zlib": zlib,
}


@dataclass(frozen=True)
class Row:
    """`chunks`: of float32. `part`: of the MiB of data that the row shall have. `goal`: whether it is judged."""

    name: str
    codec: str
    chunks: tuple[int, ...]
    part: float = 1
    goal: bool = True

    @property
    def layout(self) -> Layout:
        return Layout(self.name, 3, self.chunks, CODECS[self.codec], numcodecs_decode("zstd"))


SMALL, LARGE = (16, 64, 64), (64, 64, 64)  # 256 KiB and 1 MiB
WORTH = (  # the most wanted ones first: the time may end before the last
    *(("zstd", 256), ("blosc-lz4", 1024), ("zstd", 1024), ("blosc-zstd", 256)),
    *(("blosc-lz4", 256), ("blosc-zstd", 1024), ("zlib", 256), ("zlib", 1024)),
)
ROWS = (
    *(Row(f"{codec}, {kib} KiB", codec, SMALL if kib == 256 else LARGE) for codec, kib in WORTH),
    Row("one chunk of zstd", "zstd", LARGE, 0, False),
    Row("a tiny array", "zstd", (8, 8, 8), 0, False),
    Row("16 MiB chunks of zstd", "zstd", (160, 160, 160), 1, False),
)


def side(row: Row, mib: float) -> int:
    """Of the cube that the row stores."""
    return max(row.chunks) if not row.part else max(16, round((row.part * mib * 2**18) ** (1 / 3)))


@lru_cache(2)
def kept_sample(side: int) -> np.ndarray:
    """The values; most rows have the same."""
    return sample("f4", side)


def measure(row: Row, folder: Path, device: Device, options: Any, bus: float, limit: float) -> dict[str, Any]:
    """A row. A reader goes on for its share of `limit` seconds; of the slowest, the read that was checked counts."""
    path = folder / "".join(c if c.isalnum() else "-" for c in row.name)
    values = kept_sample(side(row, options.mib))
    write(path, row.layout, values)
    choice = [r for r in gpu_peers.readers(device) if r.name.startswith(tuple(options.readers.split(",")))]
    runs, left_out, first = timing.right(choice, path, [...], values)
    most = limit / 2 / len(choice)
    fast = {name: run for name, run in runs.items() if first[name] < most or name == choice[0].name}
    repeats = {name: [seconds] for name, seconds in first.items()}
    repeats |= timing.rounds(fast, options.repeats, enough=most)
    seconds = {name: median(each) for name, each in repeats.items()}
    files, nbytes = stored(path), values.nbytes
    ceilings = {"page cache": files / (gpu.page_cache(path, options.repeats) * 1e9), "bus": files / (bus * 1e9)}
    report = _report(choice[0], path)
    ceilings["nvCOMP"] = nvcomp_alone(row, path, values.shape, device, options.repeats)
    return {
        "row": row.name,
        "goal": row.goal,
        "nbytes": nbytes,
        "stored": files,
        "seconds": seconds,
        "repeats": repeats,
        "left_out": left_out,
        "ceilings": ceilings,
        "read": report,
    }


def nvcomp_alone(row: Row, path: Path, shape: tuple[int, ...], device: Device, repeats: int) -> float:
    """Seconds that nvCOMP's calls take for these very chunks, all in one batch, on the device already."""
    chunks = [np.frombuffer(data, np.uint8) for data in encoded_chunks(path, row.layout, shape)]
    starts, sizes, total = packed([len(chunk) for chunk in chunks])
    host = np.zeros(total, np.uint8)
    for start, chunk in zip(starts.tolist(), chunks, strict=True):
        host[start : start + len(chunk)] = chunk
    nbytes = 4 * math.prod(fitted(row.chunks, shape))
    codec = gpuzarr.open_array(path, device="cpu").layout.codecs[-1]
    encoded = EncodedBatch(device.upload(host), starts, sizes, host)
    into = device.encoded_batch(np.full(len(chunks), nbytes))
    return Kept.of(device, codec, encoded, BytesSpec(nbytes), into).alone(repeats)


def _report(reader: Reader, path: Path) -> dict[str, Any]:
    array = reader.open(path)
    reader.read(array, ...)
    found: dict[str, Any] = array.last_read.asdict()
    return found


def ratios(row: dict[str, Any]) -> dict[str, float]:
    """Of the tightest ceiling, times enable_gpu, and times the best reader on the CPU with its copy."""
    seconds = row["seconds"]
    first = next(iter(seconds.values()))
    copies = [s for name, s in seconds.items() if name.endswith("+ copy") and not name.startswith("gpuzarr")]
    nothing = float("nan")
    return {
        "of ceiling": max(row["ceilings"].values()) / first,
        "x enable_gpu": seconds.get("zarr enable_gpu", nothing) / first,
        "x CPU + copy": min(copies, default=nothing) / first,
    }


GOALS = {"of ceiling": 0.8, "x enable_gpu": 10, "x CPU + copy": 2}


def missed(rows: list[dict[str, Any]]) -> list[str]:
    judged = [(row, ratios(row)) for row in rows if row["goal"]]
    found = [
        f"{row['row']}: {got[name]:.2f} {name}, not {goal}"
        for row, got in judged
        for name, goal in GOALS.items()
        if not got[name] >= goal
    ]
    zstd = [
        row["nbytes"] / next(iter(row["seconds"].values())) / 1e9 for row, _ in judged if row["row"].startswith("zstd")
    ]
    return found + ([] if max(zstd, default=0) >= 15 else [f"zstd: {max(zstd, default=0):.1f} GB/s, not 15"])


def show(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    lines = []
    for row in rows:
        speeds = {name: f"{row['nbytes'] / s / 1e9:.2f}" for name, s in row["seconds"].items()}
        cells = [speeds.get(name, "-") for name in names]
        lines.append([row["row"], *cells, *(f"{x:.2f}" for x in ratios(row).values()), row["read"]["limited_by"]])
    return timing.table(["GB/s", *names, *GOALS, "limited by"], lines)


def main(arguments: list[str] | None = None) -> None:
    parser = gpu.parser("gpu_read", __doc__, 512, 200)
    parser.add_argument("--rows", default="", help="only those whose name contains this")
    options = parser.parse_args(arguments)
    device, rows, failed = gpu.device(options.device), [], []
    nbytes = int(options.mib * 2**20)
    ceilings = {
        "device copy": gpu.device_copy(device, nbytes, options.repeats),
        "pinned copy": gpu.pinned_copy(device, min(nbytes, 1 << 28), options.repeats),
    }
    chosen, begun, budget = [row for row in ROWS if options.rows in row.name], 0, timing.Budget.of(options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        for i, row in enumerate(chosen):
            if limit := budget.share(len(chosen) - i):
                begun, place = i + 1, Path(folder, str(i))
                one = partial(measure, row, place, device, options, ceilings["pinned copy"], limit)
                rows += filter(None, [timing.tried(row.name, failed, one)])
                shutil.rmtree(place, ignore_errors=True)
                print(f"measured {row.name}", flush=True)
                timing.record("gpu_read", options.output, settings={"unfinished": True}, rows=rows, ceilings=ceilings)
    left_out = [f"{row.name}: no time was left" for row in chosen[begun:]]
    print(show(rows))
    print("\n".join(f"{name}, {row['row']}: {why}" for row in rows for name, why in row["left_out"].items()))
    print(", ".join(f"{name} {rate:.1f} GB/s" for name, rate in ceilings.items()))
    goals = missed(rows) + left_out
    timing.finish("gpu_read", options, goals, failed, rows=rows, left_out=left_out, ceilings=ceilings)


if __name__ == "__main__":
    main()
