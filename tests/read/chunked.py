"""Arrays that are read chunk by chunk on a CPU: how they are stored, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from hypothesis import strategies as st

SHAPE, CHUNKS = (70, 90, 100), (32, 40, 48)  # 120 KiB a chunk of u2, 240 KiB of f4
c = zarr.codecs
LAYOUTS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {"compressors": [c.ZstdCodec()]},
    "zstd checksum": {"compressors": [c.ZstdCodec(checksum=True)]},
    "blosc lz4": {"compressors": [c.BloscCodec(cname="lz4", shuffle="shuffle", typesize=2, blocksize=4096)]},
    "blosc zstd": {"compressors": [c.BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=2, blocksize=10000)]},
    "blosc of one block": {"compressors": [c.BloscCodec(cname="blosclz", blocksize=1 << 20)]},
    "blosc plain": {"compressors": [c.BloscCodec(cname="lz4", clevel=0)]},
    "v2 blosc": {"compressors": [numcodecs.Blosc("zlib", 1)], "zarr_format": 2},
    "shards": {"compressors": [c.ZstdCodec()], "shards": (64, 40, 96)},
    "raw shards": {"compressors": None, "shards": (64, 80, 96)},
}


def values() -> np.ndarray:
    rng = np.random.default_rng(5)
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) // 7 % 3000 + rng.integers(0, 3, SHAPE)).astype("u2")


VALUES = values()


def written(path: Path, layout: dict[str, Any], data: np.ndarray = VALUES) -> Path:
    zarr.create_array(path, shape=SHAPE, dtype="u2", chunks=CHUNKS, fill_value=7, **layout)[...] = data
    return path


def slices(shape: tuple[int, ...]) -> st.SearchStrategy[tuple[slice, ...]]:
    def one(n: int) -> st.SearchStrategy[slice]:
        return st.tuples(st.integers(0, n - 1), st.integers(1, n)).map(lambda p: slice(p[0], min(p[0] + p[1], n)))

    return st.tuples(*map(one, shape))
