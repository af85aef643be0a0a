"""What does gpuzarr's own code cost a chunk, on one thread, where no codec does any work?

Uncompressed local files of 64 KiB of a 1-d array (goal: at most 25 microseconds a chunk, copies included), the
same of a 3-d array (no goal: rows of 128 bytes are put in place), and 1 KiB inner chunks of an uncompressed 3-d
shard (at most 3). The process pins itself to one core before it starts.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import timing
from benchmarks.harness.layouts import Layout, write
from benchmarks.harness.peers import readers

CASES = {  # layout, shape of the array in chunks, goal in microseconds
    "64 KiB files, 1-d": (Layout("row", 3, (16384,)), (2048,), 25),
    "64 KiB files, 3-d": (Layout("cube", 3, (16, 32, 32)), (32, 8, 8), float("inf")),
    "1 KiB inner chunks": (Layout("shard", 3, (4, 8, 8), shards=(64, 128, 128)), (32, 32, 32), 3),
}


def measure(folder: Path, case: str, scale: int, repeats: int, names: str) -> dict[str, float]:
    """Microseconds a chunk, of each reader. `scale` divides the first axis."""
    layout, grid, _ = CASES[case]
    shape = tuple(n * c for n, c in zip((max(1, grid[0] // scale), *grid[1:]), layout.chunks, strict=True))
    values = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    path = folder / layout.name
    write(path, layout, values)
    chunks = values.size // int(np.prod(layout.chunks))
    took, _ = timing.compare(readers(names), path, [...], values, repeats)
    return {name: s / chunks * 1e6 for name, s in timing.seconds(took).items()}


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("host_cost", __doc__)
    parser.set_defaults(readers=f"{timing.OURS},zarr fused,zarrs,tensorstore")
    parser.add_argument("--scale", type=int, default=1, help="divides the number of chunks (2048 and 32768)")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    with tempfile.TemporaryDirectory() as folder:
        rows = {case: measure(Path(folder), case, options.scale, options.repeats, options.readers) for case in CASES}
    print(timing.speeds("microseconds a chunk", rows))
    ours = {case: row.get(timing.OURS, float("nan")) for case, row in rows.items()}
    missed = [f"{case}: {ours[case]:.1f}, not {goal}" for case, (_, _, goal) in CASES.items() if not ours[case] <= goal]
    timing.finish("host_cost", options, missed, microseconds=rows)


if __name__ == "__main__":
    main()
