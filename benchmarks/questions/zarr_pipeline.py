"""How fast does zarr-python read and write with our codec pipeline, beside its own ones and zarrs?

The same calls of zarr-python's arrays for all: a whole array, one small chunk after another in random order, a plane of
each axis, and a whole array written over its old files. A cube of u2 on local files in the page cache: blosc-lz4 in
Zarr v2; zstd, gzip and no compressor in v3; zstd in shards. Goal: no row slower than zarrs, whose pipeline is the
fastest other one; a row is what one layout takes for one kind of call. `--check` fails where missed.

zarrs leaves what it cannot do to zarr-python, as ours does. It writes chunks in place, so that a reader may see half of
one, and a crash leaves it; zarr-python and gpuzarr replace files.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import timing
from benchmarks.harness.layouts import Layout, create, ldeakin, numcodec, write, zarr_codec
from benchmarks.harness.peers import Reader, zarr_default, zarr_fused, zarr_python, zarrs
from benchmarks.harness.timing import Took

OURS, THEIRS = "gpuzarr pipeline", "zarrs"
LEAST = 0.95  # times the speed of zarrs: two runs of the same differ by so much


def layouts(edge: int) -> list[Layout]:
    chunks, small = (edge,) * 3, (edge // 2,) * 3
    zstd, gzip, lz4 = zarr_codec("ZstdCodec"), zarr_codec("GzipCodec", level=1), numcodec("blosc", cname="lz4")
    return [
        Layout("v2 blosc-lz4", 2, chunks, lz4, dtype="u2"),
        Layout("v3 zstd", 3, chunks, zstd, dtype="u2"),
        Layout("v3 zstd in shards", 3, small, zstd, shards=(2 * edge,) * 3, dtype="u2"),
        Layout("v3 gzip", 3, chunks, gzip, dtype="u2"),
        Layout("v3 uncompressed", 3, chunks, dtype="u2"),
    ]


def pipelines(names: str) -> list[Reader]:
    """zarr-python with each pipeline that is here and whose name begins with one of `names`, ours first."""
    import gpuzarr.zarr

    ours = zarr_python(OURS, codec_pipeline__path=gpuzarr.zarr.PATH)
    found = [ours, zarr_default(), zarr_fused(), zarrs(strict=False)]
    return [each for each in found if each is not None and each.name.startswith(tuple(names.split(",")))]


def keys(layout: Layout, side: int, count: int) -> dict[str, list[Any]]:
    """What is read in each kind of call, one after the other."""
    edge, numbers = layout.chunks[0], np.random.default_rng(1)
    corners = numbers.integers(0, side // edge, (count, 3)) * edge
    planes = [tuple(side // 2 if a == axis else slice(None) for a in range(3)) for axis in range(3)]
    chunks = [tuple(slice(start, start + edge) for start in corner) for corner in corners.tolist()]
    return {"whole": [...], "small chunks": chunks, "planes": planes}


def writing(peer: Reader, path: Path, values: np.ndarray) -> Callable[[], None]:
    """What is timed of a write, once it is sure that it writes these values."""
    import zarr

    with peer.around():
        array = zarr.open_array(str(path), mode="r+")

    def run() -> None:
        array[...] = values

    run()
    if not np.array_equal(zarr.open_array(str(path), mode="r")[...], values):
        raise SystemExit(f"{peer.name} writes wrong values to {path.name}")
    return run


def measure(options: argparse.Namespace, layout: Layout, choice: list[Reader]) -> dict[str, dict[str, Took]]:
    """A row for each kind of call."""
    values, rows = ldeakin(options.side), {}
    with tempfile.TemporaryDirectory() as folder:
        write(path := Path(folder) / "read", layout, values)
        for kind, some in keys(layout, options.side, options.count).items():
            rows[f"{layout.name}: {kind}"], _ = timing.compare(choice, path, some, values, options.repeats)
        runs = {}
        for number, peer in enumerate(choice):
            create(target := Path(folder) / str(number), layout, values)
            runs[peer.name] = writing(peer, target, values)
        rows[f"{layout.name}: write"] = timing.medians(runs, options.repeats)
    return rows


def slower(row: dict[str, float]) -> bool:
    """Whether ours is slower than theirs, or one of them was not measured."""
    nothing = float("nan")
    return not row.get(OURS, nothing) * LEAST <= row.get(THEIRS, nothing)


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("zarr_pipeline", __doc__)
    parser.add_argument("--side", type=int, default=256, help="the array is side**3 of uint16 (default 256: 34 MB)")
    parser.add_argument("--edge", type=int, default=64, help="side of chunks (half of it in shards)")
    parser.add_argument("--count", type=int, default=64, help="small chunks read in each round")
    options = parser.parse_args(arguments)
    choice, rows = pipelines(options.readers), {}
    for layout in layouts(options.edge):
        rows |= measure(options, layout, choice)
    clock = {kind: {name: took.seconds * 1e3 for name, took in row.items()} for kind, row in rows.items()}
    processor = {kind: {name: took.processor * 1e3 for name, took in row.items()} for kind, row in rows.items()}
    ratios = [row[THEIRS] / row[OURS] for row in clock.values() if {OURS, THEIRS} <= row.keys()]
    print(timing.speeds("ms", clock), timing.speeds("ms of CPU time", processor), sep="\n\n")
    print(f"\ntimes as fast as {THEIRS}, geometric mean: {timing.mean(ratios):.2f}")
    missed = [f"slower than {THEIRS}: {kind}" for kind, row in clock.items() if slower(row)]
    timing.finish("zarr_pipeline", options, missed, milliseconds=clock, processor=processor, mean=timing.mean(ratios))


if __name__ == "__main__":
    main()
