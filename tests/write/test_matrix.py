"""dtype x chain x v2, v3 or shards x device: written here, everybody reads equal values. Chunks of several blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array
from tests.peers import tensorstore_reads, zarrs_reads

SHAPE, CHUNKS, SHARDS = (9, 44, 140), (4, 32, 70), (8, 64, 140)  # 9 KiB to 72 KiB a chunk, cut off at every end
DTYPES = ("u1", "<i2", ">f4", "<f8")
ZARR = zarr.codecs


def blosc(cname: str, shuffle: str, size: int) -> Any:
    return ZARR.BloscCodec(cname=cname, shuffle=shuffle, typesize=size, clevel=5)


def v3(name: str, size: int) -> dict[str, Any]:
    return {
        "zstd": {"compressors": ZARR.ZstdCodec(level=3)},
        "zstd, crc32c": {"compressors": [ZARR.ZstdCodec(level=3), ZARR.Crc32cCodec()]},
        "gzip, crc32c": {"compressors": [ZARR.GzipCodec(level=5), ZARR.Crc32cCodec()]},
        "crc32c": {"compressors": ZARR.Crc32cCodec()},
        "lz4 bytes": {"compressors": blosc("lz4", "shuffle", size)},
        "lz4 bits": {"compressors": blosc("lz4", "bitshuffle", size)},
        "lz4 plain": {"compressors": blosc("lz4", "noshuffle", size)},
        "zstd bytes": {"compressors": blosc("zstd", "shuffle", size)},
        "zstd bits, crc32c": {"compressors": [blosc("zstd", "bitshuffle", size), ZARR.Crc32cCodec()]},
        "transpose, blosc": {
            "filters": ZARR.TransposeCodec(order=(2, 0, 1)),
            "compressors": blosc("lz4", "shuffle", size),
        },
        "big-endian, zstd": {"serializer": ZARR.BytesCodec(endian="big"), "compressors": ZARR.ZstdCodec()},
    }[name]


V3 = (
    *("zstd", "zstd, crc32c", "gzip, crc32c", "crc32c", "lz4 bytes", "lz4 bits", "lz4 plain", "zstd bytes"),
    *("zstd bits, crc32c", "transpose, blosc", "big-endian, zstd"),
)


def v2(name: str, size: int) -> dict[str, Any]:
    shuffle = {"filters": [numcodecs.Shuffle(size)]}
    return {
        "blosc lz4": {"compressors": numcodecs.Blosc("lz4", shuffle=1)},
        "blosc zstd bits, F": {"compressors": numcodecs.Blosc("zstd", shuffle=2), "order": "F"},
        "blosc zlib": {"compressors": numcodecs.Blosc("zlib", shuffle=1)},
        "zstd": {"compressors": numcodecs.Zstd(1)},
        "gzip": {"compressors": numcodecs.GZip(1)},
        "lz4": {"compressors": numcodecs.LZ4()},
        "shuffle, zlib": shuffle | {"compressors": numcodecs.Zlib(1)},
        "shuffle, lz4, F": shuffle | {"compressors": numcodecs.LZ4(), "order": "F"},
        "shuffle": shuffle | {"compressors": None},
    }[name] | {"zarr_format": 2}


V2 = (
    *("blosc lz4", "blosc zstd bits, F", "blosc zlib", "zstd", "gzip"),
    *("lz4", "shuffle, zlib", "shuffle, lz4, F", "shuffle"),
)
NOT_IN_TENSORSTORE = {"lz4", "zstd"}  # of v2, zstd because it refuses "checksum"; and it has no filters


def values(dtype: str) -> np.ndarray:
    """Much of it compresses; some chunks are nothing but noise, and stay as they are."""
    z, y, x = np.ogrid[tuple(map(slice, SHAPE))]
    smooth = (z * 3 + y // 2 + x // 7) % 100
    smooth[4:] += np.random.default_rng(0).integers(0, 100, smooth[4:].shape)
    return smooth.astype(dtype)


def written(path: Path, dtype: str, device: Device, options: dict[str, Any]) -> np.ndarray:
    """What the array must hold after a write of whole and partly covered chunks, and one of a part."""
    want = values(dtype)
    a = gpuzarr.create_array(path, shape=SHAPE, dtype=dtype, chunks=CHUNKS, fill_value=9, device=device, **options)
    a[:, :, :130] = want[:, :, :130]
    want[:, :, 130:] = 9
    want[3:7, ::5, 60:80] = a[3:7, ::5, 60:80] = values(dtype)[2:6, ::5, 50:70]
    np.testing.assert_array_equal(host_array(a[...]), want)
    return want


@pytest.mark.parametrize("shards", [None, SHARDS], ids=["plain", "shards"])
@pytest.mark.parametrize("chain", V3)
def test_v3(chain: str, shards: Any, device: Device, tmp_path: Path) -> None:
    for dtype in DTYPES[bool(shards) :: 2] if shards or not device.gpu else DTYPES:
        options = v3(chain, np.dtype(dtype).itemsize) | {"shards": shards}
        if np.dtype(dtype).itemsize == 1 and "big-endian" in chain:
            continue
        want = written(tmp_path / dtype, dtype, device, options)
        np.testing.assert_array_equal(zarr.open_array(tmp_path / dtype, mode="r")[...], want)
        np.testing.assert_array_equal(tensorstore_reads(tmp_path / dtype), want)
        np.testing.assert_array_equal(zarrs_reads(tmp_path / dtype), want)


@pytest.mark.filterwarnings("ignore:Array is unsupported")
@pytest.mark.parametrize("chain", V2)
def test_v2(chain: str, device: Device, tmp_path: Path) -> None:
    for dtype in DTYPES:
        want = written(tmp_path / dtype, dtype, device, v2(chain, np.dtype(dtype).itemsize))
        np.testing.assert_array_equal(zarr.open_array(tmp_path / dtype, mode="r")[...], want)
        if np.dtype(dtype).isnative and "F" not in chain and chain != "lz4":  # it refuses others
            np.testing.assert_array_equal(zarrs_reads(tmp_path / dtype), want)
        if chain not in NOT_IN_TENSORSTORE and "shuffle" not in chain:
            np.testing.assert_array_equal(tensorstore_reads(tmp_path / dtype), want)
