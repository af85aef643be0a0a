"""How arrays are stored, written by zarr-python with realistic data, and what decodes them at best.

Data: `f4` is a smooth field plus measurement noise, resolved to 1/64 as most archives do (it compresses about
twofold); `u2` is a microscope's volume, dim structure with photon noise. Both are the same in every run.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Layout:
    """How an array is stored.

    `compressor()` makes what zarr-python is given, `decoder()` a codec library's bare function (bytes: none is needed).
    """

    name: str
    zarr_format: int
    chunks: tuple[int, ...]
    compressor: Callable[[], Any] = lambda: None
    decoder: Callable[[], Callable[[bytes], Any]] = lambda: bytes
    shards: tuple[int, ...] | None = None
    dtype: str = "f4"
    fields: dict[str, Any] = field(default_factory=dict)


def numcodec(name: str, **configuration: Any) -> Callable[[], Any]:
    def make() -> Any:
        import numcodecs

        return numcodecs.get_codec({"id": name, **configuration})

    return make


def zarr_codec(name: str, **configuration: Any) -> Callable[[], Any]:
    def make() -> Any:
        import zarr.codecs

        return getattr(zarr.codecs, name)(**configuration)

    return make


def numcodecs_decode(name: str) -> Callable[[], Callable[[bytes], Any]]:
    return lambda: numcodec(name)().decode


def isal_decode(module: str) -> Callable[[], Callable[[bytes], Any]]:
    """ISA-L inflates about twice as fast as zlib: the fairer limit."""

    def load() -> Callable[[bytes], Any]:
        from isal import igzip, isal_zlib

        return {"gzip": igzip.decompress, "zlib": isal_zlib.decompress}[module]

    return load


MADE_PLANES = 32  # of values, made at once


def sample(dtype: str, side: int) -> np.ndarray:
    """The values, (side, side, side) of f4 or (2 side, side, side) of u2: the same number of bytes."""
    return measured(dtype, (side, side, side) if dtype == "f4" else (2 * side, side, side))


def measured(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of three axes, made a few planes at a time."""
    random, values = np.random.default_rng(1), np.empty(shape, dtype)
    for first in range(0, shape[0], MADE_PLANES):
        part = values[first : first + MADE_PLANES]
        z, y, x = np.ogrid[tuple(slice(0, n, 1.0) for n in part.shape)]
        noise = random.standard_normal(part.shape, dtype="f4")
        part[:] = (_smooth if dtype == "f4" else _microscope)(z + first, y, x, noise)
    return values


def _smooth(z: np.ndarray, y: np.ndarray, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    values = 280 + 15 * np.sin(z / 40) * np.cos(y / 55) + 8 * np.sin(x / 30 + y / 90) + 0.05 * noise
    return np.round(values * 64) / 64


def _microscope(z: np.ndarray, y: np.ndarray, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    light = 120 + 900 * np.maximum(0, np.sin(z / 21) * np.sin(y / 17) * np.sin(x / 19)) ** 3
    return np.clip(light + np.sqrt(light) * noise, 0, 65535)


def ldeakin(side: int) -> np.ndarray:
    """The values of zarr_benchmarks, a cube of u2: (k + j*j/32 + i**3) % 65536."""
    i, j, k = np.ogrid[:side, :side, :side]
    return ((k + j * j // 32 + i**3) % 65536).astype("u2")


def write(path: Path, layout: Layout, values: np.ndarray) -> None:
    """Store `values` at `path` as `layout` says, with zarr-python."""
    create(path, layout, values)[...] = values


def create(path: Path, layout: Layout, values: np.ndarray) -> Any:
    """zarr-python's array at `path`, as `layout` says, for such values: nothing is in it yet."""
    import zarr

    chunks, shards = fitted(layout.chunks, values.shape), layout.shards and fitted(layout.shards, values.shape)
    return zarr.create_array(
        str(path),
        shape=values.shape,
        dtype=values.dtype,
        chunks=chunks,
        shards=shards,
        compressors=layout.compressor(),
        filters=None,
        zarr_format=layout.zarr_format,
        overwrite=True,
    )


def fitted(chunks: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Chunks no longer than the array, so that small arrays of the tests have whole chunks too."""
    return tuple(map(min, chunks, shape))


def stored(path: Path) -> int:
    """Bytes of all files of the array."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def encoded_chunks(path: Path, layout: Layout, shape: tuple[int, ...]) -> list[bytes]:
    """The encoded chunks, in memory. Uncompressed shards come whole: no library call is needed for their chunks."""
    files = (file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file() and file.name not in METADATA)
    if layout.shards is None:
        return list(files)
    count = int(np.prod(fitted(layout.shards, shape))) // int(np.prod(fitted(layout.chunks, shape)))
    if layout.decoder() is bytes:
        return [data[: -16 * count - 4] for data in files]
    return [chunk for data in files for chunk in inner_chunks(data, count)]


MISSING = 2**64 - 1  # offset and size of a chunk that is not there
METADATA = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}


def inner_chunks(data: bytes, count: int) -> Iterator[bytes]:
    """The chunks of a shard whose index (offset and size of each, u64, then a crc32c) is at its end.

    Chunks beyond the end of the array are not there.
    """
    index = struct.unpack(f"<{2 * count}Q", data[-16 * count - 4 : -4])
    for offset, size in zip(index[::2], index[1::2], strict=True):
        if offset != MISSING:
            yield data[offset : offset + size]
