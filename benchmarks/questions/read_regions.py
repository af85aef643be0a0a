"""How long does one small region take, read alone, as a viewer or a training loop asks for it?

64-cubed regions of a u2 cube (zstd, shards of 256 cubed, inner chunks of 64 cubed; files in the page cache): once on
the chunk grid in random order, once anywhere (up to eight chunks each). Goal on the CPU: no slower than tensorstore.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import timing
from benchmarks.harness.layouts import Layout, ldeakin, numcodecs_decode, write, zarr_codec
from benchmarks.harness.peers import readers

EDGE = 64
LAYOUT = Layout("v3 shards", 3, (EDGE,) * 3, zarr_codec("ZstdCodec"), numcodecs_decode("zstd"), (256,) * 3, "u2")


def regions(side: int, count: int, step: int) -> list[tuple[slice, ...]]:
    """`count` random regions whose corners are multiples of `step`; the same in every run."""
    corners = np.random.default_rng(2).integers(0, (side - EDGE) // step + 1, (count, 3)) * step
    return [tuple(slice(start, start + EDGE) for start in corner) for corner in corners.tolist()]


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("read_regions", __doc__)
    parser.add_argument("--side", type=int, default=512, help="the array is side**3 of uint16 (default 512: 268 MB)")
    parser.add_argument("--count", type=int, default=512, help="regions read in each round")
    options = parser.parse_args(arguments)
    values, choice, rows = ldeakin(options.side), readers(options.readers), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cube"
        write(path, LAYOUT, values)
        for kind, step in {"on the chunk grid": EDGE, "anywhere": 1}.items():
            keys = regions(options.side, options.count, step)
            took, _ = timing.compare(choice, path, keys, values, options.repeats)
            rows[kind] = {name: s / len(keys) * 1e3 for name, s in timing.seconds(took).items()}
    print(timing.speeds("ms a region", rows))
    missed = [f"slower than tensorstore {kind}" for kind, row in rows.items() if slower(row)]
    timing.finish("read_regions", options, missed, milliseconds=rows)


def slower(milliseconds: dict[str, float]) -> bool:
    nothing = float("nan")
    return not milliseconds.get(timing.OURS, nothing) <= milliseconds.get("tensorstore", nothing)


if __name__ == "__main__":
    main()
