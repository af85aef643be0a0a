"""A real 4-D MRI scan, stored by zarr-python and by tensorstore in six layouts, read by gpuzarr on every device here.

Every value is checked against the scan. The scan is the one that the nibabel package carries (2 volumes of
128 x 96 x 24 voxels, int16); it is laid end to end as a longer series, so that there is something to time.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import gpuzarr
from benchmarks.harness import timing
from benchmarks.harness.data import voxels
from benchmarks.harness.layouts import stored
from benchmarks.harness.peers import Reader, readers

VOLUME, INNER, OUTER = (1, 24, 96, 128), (1, 24, 48, 64), (8, 24, 96, 128)
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
BLOSC_ZSTD = {"cname": "zstd", "clevel": 5, "shuffle": "shuffle", "typesize": 2, "blocksize": 0}
SHARD = {
    "name": "sharding_indexed",
    "configuration": {
        "chunk_shape": INNER,
        "codecs": [LITTLE, {"name": "blosc", "configuration": BLOSC_ZSTD}],
        "index_codecs": [LITTLE, {"name": "crc32c"}],
        "index_location": "end",
    },
}


@dataclass(frozen=True)
class Layout:
    """How the scan is stored; `options` are members of the metadata: codecs (v3), or compressor and filters (v2)."""

    name: str
    zarr_format: int
    chunks: tuple[int, ...] = VOLUME
    options: dict[str, Any] = field(default_factory=dict)


BLOSC_LZ4 = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
ZLIB = {"compressor": {"id": "zlib", "level": 1}, "filters": [{"id": "shuffle", "elementsize": 2}]}
LAYOUTS = (
    Layout("v2 blosc-lz4", 2, options={"compressor": BLOSC_LZ4, "filters": None}),
    Layout("v2 zlib + shuffle", 2, options=ZLIB),
    Layout("v3 zstd", 3, options={"codecs": [LITTLE, {"name": "zstd", "configuration": {"level": 3}}]}),
    Layout("v3 shards, blosc-zstd", 3, OUTER, {"codecs": [SHARD]}),
    Layout("v3 gzip", 3, options={"codecs": [LITTLE, {"name": "gzip", "configuration": {"level": 5}}]}),
    Layout("v3 uncompressed", 3, options={"codecs": [LITTLE]}),
)


def write_zarr_python(path: Path, layout: Layout, values: np.ndarray) -> None:
    import numcodecs
    import zarr

    options = dict(layout.options)
    if layout.zarr_format == 2:
        options["compressor"] = numcodecs.get_codec(dict(options["compressor"]))
        options["filters"] = [numcodecs.get_codec(dict(f)) for f in options["filters"] or []] or None
    chunks = tuple(map(min, layout.chunks, values.shape))
    common = {"shape": values.shape, "chunks": chunks, "dtype": values.dtype, "zarr_format": layout.zarr_format}
    array = zarr.create(store=str(path), fill_value=0, **common, **options)
    array[...] = values


def write_tensorstore(path: Path, layout: Layout, values: np.ndarray) -> None:
    """ValueError where tensorstore cannot: it has no filters."""
    import tensorstore as ts

    v2 = {"chunks": layout.chunks, "dtype": "<i2", "shape": values.shape}
    grid = {"name": "regular", "configuration": {"chunk_shape": layout.chunks}}
    v3 = {"chunk_grid": grid, "data_type": "int16", "shape": values.shape}
    metadata = (v2 if layout.zarr_format == 2 else v3) | layout.options
    driver = {2: "zarr", 3: "zarr3"}[layout.zarr_format]
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{path}/"}, "metadata": metadata, "create": True}
    ts.open(spec).result().write(values).result()


WRITERS = {"zarr-python": write_zarr_python, "tensorstore": write_tensorstore}


def measure(path: Path, values: np.ndarray, choice: list[Reader], repeats: int) -> dict[str, float]:
    """GB/s of each reader, after all its values were found right."""
    took, left_out = timing.compare(choice, path, [...], values, repeats)
    if left_out:
        raise SystemExit(f"{path.name}: {left_out}")
    return {name: values.nbytes / s / 1e9 for name, s in timing.seconds(took).items()}


def where(path: Path, device: str) -> str:
    """What runs where, as `explain` says it."""
    plan = gpuzarr.open_array(path, device=device).explain()
    on_gpu = [name for name, place in plan.codecs if place != "cpu"]
    on_host = [name for name, place in plan.codecs if place == "cpu"]
    if not on_gpu:
        return f"all on the CPU (GPU decode: {plan.gpu_decode})"
    return f"GPU: {' '.join(on_gpu)}" + (f"; CPU: {' '.join(on_host)}" if on_host else "")


def progress(steps: list[Any]) -> Iterator[Any]:
    """Go through `steps` with a bar on stderr; a plain line each where stderr is no terminal."""
    terminal = sys.stderr.isatty()
    color, plain = ("", "") if "NO_COLOR" in os.environ else ("\033[32m", "\033[0m")
    for done, step in enumerate(steps):
        filled = 30 * done // len(steps)
        label = f"{done + 1}/{len(steps)} {step[0].name}, written by {step[1]}"
        bar = f"\r\033[K[{color}{'#' * filled}{plain}{' ' * (30 - filled)}] {label}"
        sys.stderr.write(bar if terminal else f"{label}\n")
        sys.stderr.flush()
        yield step
    sys.stderr.write("\r\033[K" if terminal else "")


def write_png(path: Path, gray: np.ndarray) -> None:
    """An 8-bit gray picture, (height, width) uint8, as the PNG specification has it."""
    height, width = gray.shape
    rows = b"".join(b"\0" + row.tobytes() for row in gray)  # filter type 0 before each row

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = part(b"IHDR", header) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def picture(slice_: np.ndarray, zoom: int = 4) -> np.ndarray:
    """A slice (y, x) as a picture: front up, brightest hundredth white, each voxel `zoom` pixels."""
    upright = np.asarray(slice_, "f4")[::-1]
    gray = np.clip(upright / max(1, np.percentile(upright, 99)) * 255, 0, 255).astype("u1")
    return gray.repeat(zoom, 0).repeat(zoom, 1)


def rows(folder: Path, values: np.ndarray, repeats: int) -> Iterator[list[str]]:
    """The table, a row a layout and writer."""
    choice = readers("gpuzarr,zarr-python")
    device = "cuda" if any(reader.name == "gpuzarr cuda" for reader in choice) else "cpu"
    for layout, writer in progress([(layout, writer) for layout in LAYOUTS for writer in WRITERS]):
        path = folder / writer / layout.name
        try:
            WRITERS[writer](path, layout, values)
        except ValueError as error:
            if layout.options.get("filters") is None:
                raise
            reason = str(error).split(": ")[-1].split(" [")[0]
            yield [layout.name, writer, "-", f"not written: {reason}", *["-"] * len(choice)]
            continue
        speed = measure(path, values, choice, repeats)
        size = f"{stored(path):,}"
        yield [layout.name, writer, size, where(path, device), *(f"{speed[reader.name]:.2f}" for reader in choice)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=128, help="length of the series (default 128: 75 MB)")
    parser.add_argument("--repeats", type=int, default=5, help="reads of each; the median counts (default 5)")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="where the picture goes")
    options = parser.parse_args(arguments)
    original = voxels()
    values = np.tile(original, (-(-options.volumes // len(original)), 1, 1, 1))[: options.volumes]
    print(f"MRI scan, {original.shape} {original.dtype}, as {options.volumes} volumes: {values.nbytes:,} bytes")
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        cells = list(rows(Path(folder), values, options.repeats))
        array = gpuzarr.open_array(Path(folder) / "zarr-python" / "v3 shards, blosc-zstd", device="cpu")
        write_png(options.output / "slice.png", picture(array[0, array.shape[1] // 2]))
    names = [f"{reader.name} GB/s" for reader in readers("gpuzarr,zarr-python")]
    print(timing.table(["layout", "written by", "bytes stored", "what ran where", *names], cells))
    print("every value of every array was checked on every device: all right")
    print(f"one slice: {options.output / 'slice.png'}")


if __name__ == "__main__":
    main()
