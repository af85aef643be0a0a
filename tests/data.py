"""Arrays that tests read and write, in many layouts, and what they look for in stores."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device

LONG_ROWS = np.arange(64 * 1024, dtype="<f4").reshape(64, 1024)
SHAPE, CHUNKS = (48, 40, 40), (8, 8, 16)  # 4 KiB a chunk
V3: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {"compressors": [zarr.codecs.ZstdCodec(level=1)]},
    "gzip": {"compressors": [zarr.codecs.GzipCodec(level=1)]},
    "blosc-zstd": {"compressors": [zarr.codecs.BloscCodec(cname="zstd", shuffle="shuffle", typesize=4)]},
    "crc32c": {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    "transpose": {"filters": [zarr.codecs.TransposeCodec(order=(2, 0, 1))], "compressors": [zarr.codecs.ZstdCodec()]},
    "big-endian": {"compressors": None, "serializer": zarr.codecs.BytesCodec(endian="big")},
    "sharded": {"shards": (16, 40, 32), "compressors": [zarr.codecs.ZstdCodec()]},
    "host codec": {"compressors": [zarr.codecs.numcodecs.BZ2(level=1)]},
}
V2: dict[str, Any] = {"v2 lz4": numcodecs.LZ4(), "v2 zlib": numcodecs.Zlib(1), "v2 blosc": numcodecs.Blosc("lz4")}


def field(noise: bool) -> np.ndarray:
    """Values of an array of SHAPE, float32, all different; with `noise` they do not compress."""
    values = np.arange(np.prod(SHAPE), dtype="<f4").reshape(SHAPE)
    return values + np.random.default_rng(0).standard_normal(SHAPE, "f4") if noise else values


def write(path: Path, name: str, values: np.ndarray) -> Path:
    """An array of SHAPE that zarr-python writes, in the layout `name` of V3 or V2."""
    options: dict[str, Any] = V3.get(name) or {"zarr_format": 2, "compressors": [V2[name]]}
    zarr.create_array(path, shape=SHAPE, dtype=values.dtype, chunks=CHUNKS, fill_value=7, **options)[...] = values
    return path


class Stop(KeyboardInterrupt):
    """Somebody presses ctrl-C."""


def create(path: Path, name: str, device: Device, **more: Any) -> gpuzarr.Array:
    """An empty array of SHAPE on a device, in the layout `name` of V3 or V2."""
    options: dict[str, Any] = V3.get(name) or {"zarr_format": 2, "compressors": [V2[name]]}
    options = options | more
    return gpuzarr.create_array(path, shape=SHAPE, dtype="<f4", chunks=CHUNKS, fill_value=7, device=device, **options)


def partial_files(path: Path) -> list[Path]:
    """Files that a write has begun and has not put in their place."""
    return [file for file in path.rglob("*") if file.name.endswith(".partial")]


def documents(path: Path) -> dict[str, Any]:
    """Metadata documents of a node in a folder, by file name."""
    found = {file: path / file for file in ("zarr.json", ".zarray", ".zattrs")}
    return {file: without_defaults(json.loads(there.read_text())) for file, there in found.items() if there.exists()}


def without_defaults(document: Any) -> Any:
    """Without what says nothing: empty configurations, no storage transformers."""
    if isinstance(document, list):
        return [without_defaults(member) for member in document]
    if not isinstance(document, dict):
        return document
    nothing: dict[str, Any] = {"configuration": {}, "storage_transformers": []}
    return {
        key: without_defaults(value) for key, value in document.items() if key not in nothing or value != nothing[key]
    }


class Counting(dict[str, bytes]):
    """A store that knows how often each key was written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: dict[str, int] = {}

    def __setitem__(self, key: str, value: bytes) -> None:
        self.writes[key] = self.writes.get(key, 0) + 1
        super().__setitem__(key, value)


def environ() -> dict[str, str]:
    """The environment of a process that imports this gpuzarr."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
