"""How much does a training loop on the GPU get of the loader, from files in the page cache?

Crops of 64 cubed of a cube of f4, zstd of ratio 2, in windows of blocks: those of a grid, from chunks of 256 KiB, so
that each chunk is in one crop; as they are, and as bfloat16; and those from anywhere, from chunks of 1 MiB. Rows of the
same, 64 KiB each, from chunks of 1 MiB. Goals: 10 GB/s delivered of chunks of 256 KiB (the best published reader has
9.46 GB/s on an H100), 1,000 crops a second from anywhere. Peers are those of `loader.py`.
"""

from __future__ import annotations

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
from benchmarks.harness import gpu, page_cache, timing
from benchmarks.harness.layouts import Layout, fitted, sample, stored, write, zarr_codec
from gpuzarr.devices.contract import Device

EDGE, BATCH_BYTES = 64, 64 << 20
ZSTD = zarr_codec("ZstdCodec", level=3)


@dataclass(frozen=True)
class Row:
    """`count`: crops from anywhere for each block; 0: those of a grid; None: rows. `unit`: of its goal."""

    name: str
    chunks: tuple[int, ...]
    count: int | None
    dtype: str | None = None
    goal: float = 0.0
    unit: str = "GB/s"


ROWS = (
    Row("crops of a grid, 256 KiB", (16, EDGE, EDGE), 0, goal=10),
    Row("crops from anywhere, 1 MiB", (EDGE,) * 3, 4, goal=1000, unit="samples/s"),
    Row("crops of a grid as bfloat16, 256 KiB", (16, EDGE, EDGE), 0, dtype="bfloat16"),
    Row("rows, 1 MiB", (16, 128, 128), None),
)


@lru_cache(1)
def kept_sample(side: int) -> np.ndarray:
    """The values; all rows have the same."""
    return sample("f4", side)


def side(mib: float) -> int:
    """Of a cube of about so many MiB: of whole crops, where it is large."""
    edge = (mib * 2**18) ** (1 / 3)
    return max(16, round(edge / EDGE) * EDGE if edge > EDGE else 16 * round(edge / 16))


def loader(row: Row, array: Any, origins: bool = False) -> Any:
    """Ours, for a row."""
    edge = min(EDGE, array.shape[0] // 4)
    blocks = int(np.prod([-(-length // edge) for length in array.shape]))
    crops = {"stride": "random", "samples": row.count * blocks} if row.count else {}
    samples = "rows" if row.count is None else gpuzarr.Patch((edge,) * 3, **crops)
    nbytes = 4 * int(np.prod(array.shape[1:] if row.count is None else (edge,) * 3))
    total = array.shape[0] if row.count is None else blocks * max(1, row.count)
    batch = max(1, min(BATCH_BYTES // nbytes, total // 4))
    return gpuzarr.Loader(
        {"x": array},
        batch,
        sample=samples,
        shuffle=gpuzarr.BlockShuffle(blocks=16),
        drop_last=True,
        dtype=row.dtype,
        origins=origins,
    )


def epoch(device: Device, batches: Any) -> int:
    """The number of samples of one, when all of it is on the device."""
    samples = sum(len(batch["x"]) for batch in batches)
    device.seconds(*(device.timestamp(),) * 2)  # waits for the stream
    return samples


def measure(row: Row, folder: Path, device: Device, options: Any, limit: float) -> dict[str, Any]:
    """A row: bytes and samples of an epoch, and the seconds of each."""
    values = kept_sample(side(options.mib))
    layout = Layout(row.name, 3, row.chunks, ZSTD)
    write(folder, layout, values)
    array = gpuzarr.open_array(folder, device=device)
    check(row, array, values, device)
    with loader(row, array) as batches:
        samples = epoch(device, batches)
        once: Callable[[], Any] = partial(epoch, device, batches)
        [took] = timing.rounds({row.name: once}, options.repeats, enough=limit / 2).values()
        report = batches.last_epoch.asdict()
    name = f"gpuzarr {device.name.partition(':')[0]}"
    files, cached = stored(folder), page_cache.measured(folder, options.repeats)
    return {
        "row": row.name,
        "chunks": list(fitted(row.chunks, values.shape)),
        "goal": row.goal,
        "unit": row.unit,
        "samples": samples,
        "nbytes": report["delivered_bytes"],
        "stored": files,
        "seconds": {name: median(each.seconds for each in took)},
        "repeats": {name: [each.seconds for each in took]},
        "left_out": {},
        "ceilings": {"page cache": cached.seconds},
        "epoch": report,
    }


def check(row: Row, array: Any, values: np.ndarray, device: Device) -> None:
    """SystemExit where the first batches are wrong."""
    with loader(row, array, origins=True) as batches:
        for batch, _ in zip(batches, range(2), strict=False):
            found, origins = batch["x"], batch["origins"][:, 1:].tolist()
            if row.dtype is not None:
                continue
            span = range(found.ndim - 1) if row.count is not None else range(0)
            shape = found.shape[1:]
            keys = [tuple(slice(at[i], at[i] + shape[i]) for i in span) or at[0] for at in origins]
            if not np.array_equal(device.download(found), np.stack([values[key] for key in keys])):
                raise SystemExit(f"wrong values: {row.name}")


def rate(row: dict[str, Any], unit: str) -> float:
    """GB/s delivered, or samples a second."""
    [seconds] = row["seconds"].values()
    return float((row["nbytes"] / 1e9 if unit == "GB/s" else row["samples"]) / seconds)


def missed(rows: list[dict[str, Any]]) -> list[str]:
    told = [(row, rate(row, row["unit"])) for row in rows]
    return [f"{row['row']}: {got:.1f} {row['unit']}, not {row['goal']}" for row, got in told if not got >= row["goal"]]


def show(rows: list[dict[str, Any]]) -> str:
    heads = ["", "GB/s delivered", "samples/s", "decoded for one delivered", "stored", "limited by"]
    lines = []
    for row in rows:
        told = row["epoch"]
        rates = f"{rate(row, 'GB/s'):.2f}", f"{rate(row, 'samples/s'):,.0f}", f"{told['amplification']:.2f}"
        lines.append([row["row"], *rates, f"{row['stored'] / 2**20:.0f} MiB", told["limited_by"]])
    return timing.table(heads, lines)


def main(arguments: list[str] | None = None) -> None:
    parser = gpu.parser("gpu_loader", __doc__, 512, 55)
    parser.add_argument("--rows", default="", help="only those whose name contains this")
    options = parser.parse_args(arguments)
    device, rows, failed = gpu.device(options.device), [], []
    ceilings = {"pinned copy": gpu.pinned_copy(device, min(int(options.mib * 2**20), 1 << 28), options.repeats)}
    chosen, begun, budget = [row for row in ROWS if options.rows in row.name], 0, timing.Budget.of(options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        for i, row in enumerate(chosen):
            if limit := budget.share(len(chosen) - i):
                begun, place = i + 1, Path(folder, str(i))
                rows += filter(
                    None, [timing.tried(row.name, failed, partial(measure, row, place, device, options, limit))]
                )
                shutil.rmtree(place, ignore_errors=True)
                print(f"measured {row.name}", flush=True)
                timing.record("gpu_loader", options.output, settings={"unfinished": True}, rows=rows, ceilings=ceilings)
    left_out = [f"{row.name}: no time was left" for row in chosen[begun:]]
    print(show(rows))
    goals = missed(rows) + left_out
    timing.finish("gpu_loader", options, goals, failed, rows=rows, left_out=left_out, ceilings=ceilings)


if __name__ == "__main__":
    main()
