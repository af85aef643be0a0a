"""How long does it take from files in the page cache to an array on the GPU, beside every peer and the ceilings?

Goals, for chunks of 256 KiB to 1 MiB of zstd, blosc-lz4, blosc-zstd and zlib, in files of their own and in shards: 0.8
of the tightest ceiling, 10 times zarr-python's enable_gpu, twice the best CPU reader followed by its copy; 15 GB/s
decoded for zstd of ratio 3. The ceilings are of the same run: the same files read from the page cache by as many
threads or processes as are fastest, what is stored over the bus, and one bare call of nvCOMP for the same chunks. The
rows in which a GPU loses (one chunk, a tiny array, few large zstd chunks) are there too, without a goal, and so are
bytes that are not compressed.

In the rows with a goal gpuzarr reads once more for each number of batches that nvCOMP may decode at once
(`--concurrent`); the first number is judged. The others are left out where they read wrong values.
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
from benchmarks.harness import gpu, gpu_peers, kept, page_cache, timing
from benchmarks.harness.kept import Alone
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
    "raw": lambda: None,
}


@dataclass(frozen=True)
class Row:
    """`chunks`, `shards`: of float32. `part`: of the MiB of data that it shall have. `goal`: whether it is judged."""

    name: str
    codec: str
    chunks: tuple[int, ...]
    part: float = 1
    goal: bool = True
    shards: tuple[int, ...] | None = None

    @property
    def layout(self) -> Layout:
        return Layout(self.name, 3, self.chunks, CODECS[self.codec], numcodecs_decode("zstd"), self.shards)


CHUNKS = {"256 KiB": (16, 64, 64), "1 MiB": (64, 64, 64)}
LARGE, SHARD = CHUNKS["1 MiB"], (256, 256, 256)  # 64 MiB


def of(codec: str, size: str) -> Row:
    return Row(f"{codec}, {size}", codec, CHUNKS[size])


def shards_of(codec: str, size: str) -> Row:
    return Row(f"shards of {codec}, {size}", codec, CHUNKS[size], shards=SHARD)


ROWS = (  # the most wanted ones first: the time may end before the last
    *(of("zstd", "256 KiB"), of("blosc-lz4", "1 MiB"), shards_of("zstd", "256 KiB"), of("zstd", "1 MiB")),
    *(shards_of("zstd", "1 MiB"), Row("raw, 1 MiB", "raw", LARGE, 1, False)),
    *(of("blosc-zstd", "256 KiB"), shards_of("blosc-lz4", "256 KiB"), of("blosc-lz4", "256 KiB")),
    *(of("blosc-zstd", "1 MiB"), of("zlib", "256 KiB"), of("zlib", "1 MiB")),
    Row("one chunk of zstd", "zstd", LARGE, 0, False),
    Row("a tiny array", "zstd", (8, 8, 8), 0, False),
    Row("16 MiB chunks of zstd", "zstd", (160, 160, 160), 1, False),
)


def side(row: Row, mib: float) -> int:
    """Of the cube that the row stores. Shards have whole chunks, also where the array is smaller than one."""
    if not row.part:
        return max(row.chunks)
    edge = (row.part * mib * 2**18) ** (1 / 3)
    step = 1 if row.shards is None else 16 if edge < 64 else 64
    return max(16, round(edge / step) * step)


@lru_cache(2)
def kept_sample(side: int) -> np.ndarray:
    """The values; most rows have the same."""
    return sample("f4", side)


def readers(row: Row, device: Device, options: Any) -> tuple[list[Reader], dict[str, str]]:
    """Those of a row, ours first; and why others are left out."""
    numbers = options.concurrent if row.goal else options.concurrent[:1]
    wanted = tuple(options.readers.split(","))
    found = [reader for reader in gpu_peers.readers(device, numbers) if reader.name.startswith(wanted)]
    unfit = gpu_peers.unfit(device, numbers[1:]) if any(reader.trial for reader in found) else {}
    return [reader for reader in found if reader.name not in unfit], unfit


def measure(row: Row, folder: Path, device: Device, options: Any, bus: float, limit: float) -> dict[str, Any]:
    """A row. A reader goes on for its share of `limit` seconds; of the slowest, the read that was checked counts."""
    path = folder / "".join(c if c.isalnum() else "-" for c in row.name)
    values = kept_sample(side(row, options.mib))
    write(path, row.layout, values)
    choice, unfit = readers(row, device, options)
    runs, left_out, first = timing.right(choice, path, [...], values)
    most = limit / 2 / len(choice)
    fast = {name: run for name, run in runs.items() if first[name] < most or name == choice[0].name}
    repeats = {name: [seconds] for name, seconds in first.items()}
    found = timing.rounds(fast, options.repeats, enough=most)
    repeats |= {name: [took.seconds for took in each] for name, each in found.items()}
    for reader in choice:
        if reader.trial and reader.name in repeats and (why := timing.checked(reader, path, [...], values)[1]):
            left_out[reader.name] = f"{why}, after {len(repeats.pop(reader.name))} timed reads"
    seconds = {name: median(each) for name, each in repeats.items()}
    files, nbytes, cached = stored(path), values.nbytes, page_cache.measured(path, options.repeats)
    ceilings = {"page cache": cached.seconds, "bus": files / (bus * 1e9)}
    reports = {
        r.name: _report(r, path) for r in choice if r.name.startswith(gpu_peers.our_name(device)) and r.name in seconds
    }
    if row.codec != "raw":
        alone = nvcomp_alone(row, path, values.shape, device, options.repeats)
        ceilings |= {"nvCOMP": median(alone.seconds)} if alone.seconds else {}
        left_out |= {"nvCOMP alone": alone.why} if alone.why else {}
    return {
        "row": row.name,
        "goal": row.goal,
        "nbytes": nbytes,
        "stored": files,
        "seconds": seconds,
        "repeats": repeats,
        "left_out": unfit | left_out,
        "ceilings": ceilings,
        "page_cache": cached.asdict(),
        "read": reports[choice[0].name],
        "reads": reports,
    }


def nvcomp_alone(row: Row, path: Path, shape: tuple[int, ...], device: Device, repeats: int) -> Alone:
    """Time of one bare call of nvCOMP for these very chunks, which are on the device already."""
    chunks = [np.frombuffer(data, np.uint8) for data in encoded_chunks(path, row.layout, shape)]
    starts, sizes, total = packed([len(chunk) for chunk in chunks])
    host = np.zeros(total, np.uint8)
    for start, chunk in zip(starts.tolist(), chunks, strict=True):
        host[start : start + len(chunk)] = chunk
    nbytes = 4 * math.prod(fitted(row.chunks, shape))
    codec = gpuzarr.open_array(path, device="cpu").layout.codecs[-1]
    encoded = EncodedBatch(device.upload(host), starts, sizes, host)
    return kept.decoding(device, codec, encoded, BytesSpec(nbytes), None, repeats)


def _report(reader: Reader, path: Path) -> dict[str, Any]:
    with reader.around():
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


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main(arguments: list[str] | None = None) -> None:
    parser = gpu.parser("gpu_read", __doc__, 512, 200)
    at_once = "how many batches nvCOMP decodes at once; the first number is judged (1,2,4)"
    parser.add_argument("--concurrent", type=numbers, default=[1, 2, 4], help=at_once)
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
