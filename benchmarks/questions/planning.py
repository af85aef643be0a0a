"""What does the host do for a GPU's read? On a device that does nothing: its kernels return at once, so does nvCOMP.

- Planning a selection of a million chunks: batches, coordinates, where chunks lie, descriptors of their placement
  (goal: 1 second). Their keys, as strings, are the most of it.
- A read of chunks of 64 KiB, from local files to tables of streams: processor time a chunk, of all threads (goal: 25
  microseconds).
"""

from __future__ import annotations

import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

import gpuzarr
from benchmarks.harness import timing
from benchmarks.harness.layouts import Layout, numcodec, write, zarr_codec
from gpuzarr.batch import EncodedBatch, packed
from gpuzarr.devices.cost import Costs
from gpuzarr.gpu.place import Chunks, place
from gpuzarr.indexing.selection import basic
from gpuzarr.read.batch_plan import BatchPlanner
from gpuzarr.read.requests import OneSelection
from tests.emulator import Emulated
from tests.emulator.arrays import DeviceArray
from tests.emulator.library import Library

BATCH_BYTES = 256 << 20  # as a GPU has it, and its limits; the emulated one has little memory, and so many more batches
LIMIT, PINNED_LIMIT = 16 << 30, 2 << 30
PLANS = {  # shape in chunks, chunk, chunks of a shard
    "1-d": ((1_000_000,), (16384,), None),
    "3-d, cut": ((100, 100, 100), (16, 32, 32), None),
    "3-d, shards of 8": ((100, 100, 100), (16, 32, 32), (2, 2, 2)),
}
READS = {
    "raw": Layout("raw", 3, (16384,)),
    "zstd": Layout("zstd", 3, (16384,), zarr_codec("ZstdCodec")),
    "blosc-lz4": Layout("blosc", 3, (16384,), zarr_codec("BloscCodec", cname="lz4")),
    "zlib": Layout("zlib", 2, (16384,), numcodec("zlib", level=1)),
}


def idle() -> Any:
    """The emulated device, with nothing that takes time."""
    device: Any = Emulated()
    device.batch_bytes, device.memory_limit, device.pinned_limit = BATCH_BYTES, LIMIT, PINNED_LIMIT
    device.cost = Costs(where="gpu")
    device._library = Library()
    device._library._Async = lambda *arguments: 0
    ring = cycle([np.empty(BATCH_BYTES * 9 // 8, np.uint8) for _ in range(5)])  # pinned memory is used again too

    def stage(sizes: np.ndarray) -> EncodedBatch:
        starts, sizes, total = packed(sizes)
        return EncodedBatch(next(ring)[:total], starts, sizes)

    device.pinned_buffer = stage
    device.array = lambda shape, dtype: np.empty(shape, dtype).view(DeviceArray)
    device.empty = lambda nbytes: np.empty(nbytes, np.uint8).view(DeviceArray)
    device.upload = lambda data: np.ascontiguousarray(data).view(DeviceArray)
    device.upload_target, device.upload_part = device.empty, lambda source, target: None
    device.kernel = lambda file, name, width=None: lambda grid, block, arguments: None
    return device


def planned(folder: Path, case: str, chunks: int) -> float:
    """Seconds to plan the whole array, of about so many chunks."""
    grid, chunk, shard = PLANS[case]
    grid = (max(2, grid[0] * chunks // 1_000_000), *grid[1:])
    path = folder / case.replace(",", "")
    shape = tuple(n * c - (c // 2 if shard is None else 0) for n, c in zip(grid, chunk, strict=True))
    shards = tuple(c * n for c, n in zip(chunk, shard, strict=True)) if shard else None
    _empty_array(path, shape, chunk, shards)
    a = gpuzarr.open_array(path, device=(device := idle()))
    memory = np.empty(1, "f4").view(DeviceArray)
    out = np.lib.stride_tricks.as_strided(memory, shape, np.empty(1).strides * len(shape)).view(DeviceArray)
    before = time.perf_counter()
    share = OneSelection(a, basic(..., a.shape), out)
    for batch in BatchPlanner(device, device.memory_limit).plan([(share, share.parts(device))]).batches:
        (portion,) = batch.portions
        there = np.ones(len(portion.coords), bool)
        if not shard:
            a.locator.route(portion.coords)  # which makes the keys of the objects
        lies = Chunks(np.arange(len(there), dtype=np.uint64) * np.uint64(65536), _strides(chunk), 1, None)
        place(device, batch.placements, there, lies, 0)
    return time.perf_counter() - before


def _strides(chunk: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(4 * int(np.prod(chunk[axis + 1 :])) for axis in range(len(chunk)))


def _empty_array(path: Path, shape: Any, chunks: Any, shards: Any) -> None:
    import zarr

    zarr.create_array(path, shape=shape, chunks=chunks, shards=shards, dtype="f4", compressors=None)


def read(folder: Path, case: str, count: int, repeats: int) -> float:
    """Microseconds of processor time for each of so many chunks of 64 KiB."""
    path = folder / case
    write(path, READS[case], np.arange(16384 * count, dtype="f4") // 7)
    a = gpuzarr.open_array(path, device=idle())
    found = []
    for _ in range(repeats):
        before = time.process_time()
        a[...]
        found.append(time.process_time() - before)
    return min(found) / count * 1e6


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("planning", __doc__)
    parser.add_argument("--chunks", type=int, default=1_000_000, help="to be planned")
    parser.add_argument("--files", type=int, default=2048, help="to be read")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        plans = {case: planned(Path(folder), case, options.chunks) for case in PLANS}
        reads = {case: read(Path(folder), case, options.files, options.repeats) for case in READS}
    print(timing.table(["plan", "seconds"], [[case, f"{s:.2f}"] for case, s in plans.items()]))
    print(timing.table(["read", "us a chunk"], [[case, f"{us:.1f}"] for case, us in reads.items()]))
    missed = [f"{case}: planned in {s:.2f} s" for case, s in plans.items() if s > 1]
    missed += [f"{case}: {us:.1f} microseconds a chunk" for case, us in reads.items() if us > 25]
    print("\n".join(["goals missed:", *missed]) if missed else "all goals met")
    timing.record("planning", options.output, settings={"chunks": options.chunks, "files": options.files},
                  plan_seconds=plans, read_microseconds=reads, goals_missed=missed)  # fmt: skip
    if options.check and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
