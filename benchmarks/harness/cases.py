"""What whole arrays are read and written in the benchmarks: data sets, chains of codecs, shapes of chunks, and sizes.

No shape is tuned to: slabs, cubes, whole planes, rows and edges, of 64 KiB to 16 MiB. `DEFAULT` takes minutes;
`FULL` is every chain with every shape as well, and arrays of 1 GiB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from benchmarks.harness import data
from benchmarks.harness.layouts import Layout, isal_decode, numcodec, numcodecs_decode, zarr_codec

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Chain:
    """Codecs of a chunk: see Layout. `library`: the codec of numcodecs that encodes a chunk alike, if one does."""

    zarr_format: int
    compressor: Callable[[], Any] = lambda: None
    decoder: Callable[[], Callable[[bytes], Any]] = lambda: bytes
    library: Callable[[], Any] = lambda: None


_BLOSC, _ZSTD = numcodecs_decode("blosc"), numcodecs_decode("zstd")
CHAINS = {
    "v2 blosc-lz4": Chain(2, numcodec("blosc", cname="lz4"), _BLOSC, numcodec("blosc", cname="lz4")),
    "v2 zlib": Chain(2, numcodec("zlib", level=1), isal_decode("zlib")),
    "v2 lz4": Chain(2, numcodec("lz4"), numcodecs_decode("lz4"), numcodec("lz4")),
    "v3 zstd": Chain(3, zarr_codec("ZstdCodec"), _ZSTD, numcodec("zstd", level=0)),
    "v3 raw": Chain(3),
    "v3 gzip": Chain(3, zarr_codec("GzipCodec"), isal_decode("gzip")),
    "v3 blosc-zstd-bitshuffle": Chain(
        3,
        zarr_codec("BloscCodec", cname="zstd", shuffle="bitshuffle"),
        _BLOSC,
        numcodec("blosc", cname="zstd", shuffle=2),
    ),
}


@dataclass(frozen=True)
class Case:
    """An array of the data set `data`, stored by a chain in chunks (and shards)."""

    chain: str
    data: str
    shape: Shape
    chunks: Shape
    shards: Shape | None = None

    @property
    def name(self) -> str:
        """As in a table: "v3 zstd, smooth 32x1024x1024 in 4x256x256", or "... in shards 4x512x512 of 1x128x128"."""
        within = by(self.chunks) if self.shards is None else f"shards {by(self.shards)} of {by(self.chunks)}"
        return f"{self.chain}, {self.data} {by(self.shape)} in {within}"

    @property
    def kind(self) -> str:
        """The chain, and whether in shards."""
        return self.chain if self.shards is None else f"{self.chain}, shards"

    @property
    def layout(self) -> Layout:
        chain = CHAINS[self.chain]
        return Layout(self.name, chain.zarr_format, self.chunks, chain.compressor, chain.decoder, self.shards)

    def values(self) -> np.ndarray:
        return data.values(self.data, self.shape)

    def smaller(self, part: int) -> Case:
        """The same with so much less of each axis, for a test that it runs."""
        shards = None if self.shards is None else _part(self.shards, part)
        return Case(self.chain, self.data, _part(self.shape, part), _part(self.chunks, part), shards)


def _part(shape: Shape, part: int) -> Shape:
    return tuple(max(1, n // part) for n in shape)


def by(shape: Shape) -> str:
    """As people write it: 4x256x256."""
    return "x".join(map(str, shape))


SLABS = (32, 1024, 1024)  # 134 MB of f4
_CUBE = (256, 256, 256)  # 67 MB of f4
_CUBES = (64, 64, 64)
_WEATHER = (24, 721, 1440)  # a day of a global field: 100 MB of f4
DEFAULT = (
    *(Case(chain, "smooth", SLABS, (4, 256, 256)) for chain in CHAINS if not chain.endswith(("lz4", "bitshuffle"))),
    Case("v2 blosc-lz4", "smooth", SLABS, (4, 256, 256)),
    Case("v3 blosc-zstd-bitshuffle", "counts", (64, 1024, 1024), (8, 256, 256)),
    Case("v3 zstd", "smooth", SLABS, (1, 128, 128), (4, 512, 512)),
    Case("v3 raw", "smooth", SLABS, (1, 32, 32), (4, 512, 512)),
    Case("v2 lz4", "smooth", (16, 1024, 1024), (1, 128, 128)),
    # cubes
    *(Case(chain, "smooth", _CUBE, _CUBES) for chain in ("v2 blosc-lz4", "v3 zstd", "v3 raw", "v3 gzip")),
    Case("v3 blosc-zstd-bitshuffle", "counts", (512, 256, 256), (128, 64, 64)),
    Case("v2 blosc-lz4", "smooth", _CUBE, (16, 32, 32)),
    Case("v3 zstd", "labels", _CUBE, (32, 128, 128)),
    Case("v3 blosc-zstd-bitshuffle", "labels", _CUBE, (32, 32, 32), (128, 128, 128)),
    # whole planes, which lie in the result as they are in the chunk
    *(Case(chain, "counts", (64, 1024, 1024), (1, 1024, 1024)) for chain in ("v2 blosc-lz4", "v3 zstd", "v3 raw")),
    *(Case(chain, "smooth", _WEATHER, (1, 721, 1440)) for chain in ("v2 blosc-lz4", "v3 gzip")),
    Case("v3 zstd", "smooth", _WEATHER, (24, 100, 100)),  # time series; with chunks at the edges
    # rows and columns of tables, images, and a real scan
    *(Case(chain, "fields", (65536, 128), (2048, 128)) for chain in ("v2 blosc-lz4", "v3 raw")),
    Case("v3 zstd", "fields", (65536, 128), (8192, 16)),
    Case("v2 blosc-lz4", "image", (32, 2048, 2048), (1, 512, 512)),
    Case("v3 raw", "image", (32, 2048, 2048), (1, 256, 256), (8, 1024, 1024)),
    Case("v2 blosc-lz4", "scan", (96, 24, 96, 128), (1, 24, 96, 128)),
    Case("v3 zstd", "scan", (96, 24, 96, 128), (1, 24, 48, 64), (8, 24, 96, 128)),
    Case("v2 zlib", "scan", (96, 24, 96, 128), (4, 12, 48, 64)),
    # large chunks
    Case("v2 blosc-lz4", "smooth", (64, 512, 512), (16, 512, 512)),
    Case("v3 zstd", "counts", (64, 1024, 1024), (64, 256, 512)),
    Case("v3 raw", "smooth", (64, 512, 512), (64, 256, 256)),
)

_SHAPES: tuple[tuple[str, Shape, Shape], ...] = (
    ("smooth", SLABS, (8, 512, 512)),
    ("smooth", SLABS, (1, 128, 128)),
    ("smooth", _CUBE, (128, 128, 128)),
    ("smooth", _CUBE, (32, 32, 32)),
    ("fields", (64, 512, 512), (16, 128, 128)),
    ("counts", (128, 512, 512), (32, 128, 128)),
    ("counts", (16384, 1024), (2048, 128)),
    ("labels", (64, 512, 512), (1, 512, 512)),
    ("image", (64, 1024, 1024), (64, 64, 64)),
    ("scan", (48, 24, 96, 128), (12, 8, 32, 128)),
)
_LARGE = ((256, 1024, 1024), (16, 128, 128))
FULL = (
    *DEFAULT,
    *(Case(chain, *shape) for chain in CHAINS for shape in _SHAPES),
    *(Case(chain, "smooth", *_LARGE) for chain in ("v2 blosc-lz4", "v3 zstd", "v3 raw", "v3 gzip")),
    Case("v3 zstd", "smooth", (256, 1024, 1024), (16, 32, 32), (64, 256, 256)),
)


def chosen(full: bool, names: str) -> list[Case]:
    """The default cases, or all; those whose name contains one of `names`, separated by ";"."""
    return [case for case in (FULL if full else DEFAULT) if any(name in case.name for name in names.split(";"))]


def nbytes(case: Case, values: np.ndarray) -> int:
    """Decoded bytes of a chunk."""
    return prod(map(min, case.chunks, case.shape)) * values.itemsize
