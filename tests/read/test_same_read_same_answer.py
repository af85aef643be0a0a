"""What a read decodes, checks and returns depends on the stored bytes, the layout and the selection alone.

One chunk of an array is damaged. Whatever is read, however often, with which option, from which store, on which device:
the outcome of the same selection is always the same, the values or an error that names the same chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array

pytestmark = pytest.mark.damaging

c = zarr.codecs
CHAINS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {"compressors": [c.ZstdCodec(level=1)]},
    "zstd checksum": {"compressors": [c.ZstdCodec(level=1, checksum=True)]},
    "gzip": {"compressors": [c.GzipCodec(level=1)]},
    "blosc lz4": {"compressors": [c.BloscCodec(cname="lz4", shuffle="shuffle", typesize=2, blocksize=8192)]},
    "blosc zstd bits": {"compressors": [c.BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=2, blocksize=8192)]},
    "zstd crc32c": {"compressors": [c.ZstdCodec(level=1), c.Crc32cCodec()]},
    "transposed": {"filters": [c.TransposeCodec(order=(1, 0))], "compressors": [c.ZstdCodec(level=1)]},
    "v2 lz4": {"compressors": numcodecs.LZ4(), "zarr_format": 2},
    "v2 zlib shuffle": {"filters": [numcodecs.Shuffle(2)], "compressors": numcodecs.Zlib(1), "zarr_format": 2},
}
SIZES = {"small chunks": (32, 64), "chunks": (128, 256), "large chunks": (512, 512)}  # 4, 64 and 512 KiB
OPTIONS: list[dict[str, Any]] = [
    {},
    {"memory_limit": "4GiB"},
    {"memory_limit": "1MiB"},
    {"validate": "host"},
    {"io": "posix"},
]


def values(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (np.arange(np.prod(shape)).reshape(shape) // 5 % 3000 + rng.integers(0, 4, shape)).astype("u2")


def damages(good: bytes) -> Iterator[bytes]:
    """Half of a chunk (or a shard) that is right, and then: an end, a flipped byte, noise."""
    half, later = len(good) // 2, len(good) * 3 // 4
    yield good[:half]
    yield good[:later] + bytes([good[later] ^ 0x40]) + good[later + 1 :]
    yield good[:half] + bytes(255 - byte for byte in good[half : half + 64]) + good[half + 64 :]


def selections(chunk: tuple[int, ...], shape: tuple[int, ...]) -> list[Any]:
    """Of the first chunk the beginning, the end, all of it; a few chunks, points, steps, the whole array."""
    rows, columns = chunk
    return [
        np.s_[: rows // 8, : columns // 8],
        np.s_[rows - 2 : rows, 1:9],
        np.s_[:rows, :columns],
        np.s_[rows // 2 : rows + 3, : columns + 3],
        np.s_[: rows // 8 : 2, 3],
        ...,
    ]


def outcome(read: Callable[[], Any]) -> Any:
    """The values, or the chunk that is blamed."""
    try:
        return host_array(read())
    except gpuzarr.errors.ChunkError as error:
        return error.chunk


def same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) or isinstance(other, tuple):
        return bool(one == other) if isinstance(one, tuple) and isinstance(other, tuple) else False
    return bool(np.array_equal(one, other))


def in_memory(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("sharded", [False, True], ids=["chunks", "shards"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CHAINS)
def test_same_read_same_answer(name: str, size: str, sharded: bool, device: Device, tmp_path: Path) -> None:
    layout, chunk = dict(CHAINS[name]), SIZES[size]
    if sharded:
        if layout.get("zarr_format") == 2:
            pytest.skip("version 2 has no shards")
        layout["shards"] = (chunk[0] * 2, chunk[1] * 2)
    shape = (chunk[0] * 4, chunk[1] * 2)
    z = zarr.create_array(tmp_path / "a", shape=shape, dtype="u2", chunks=chunk, **layout)
    z[...] = values(shape)
    file = next(f for f in sorted((tmp_path / "a").rglob("*")) if f.is_file() and f.name in ("0", "0.0"))
    good = file.read_bytes()
    warm = gpuzarr.open_array(tmp_path / "a", device=device)
    warm[...]  # the indexes of shards are known
    for bad in damages(good):
        file.write_bytes(bad)
        for key in selections(chunk, shape):
            expected = outcome(lambda key=key: gpuzarr.open_array(tmp_path / "a", device="cpu")[key])
            found = {
                "warm": outcome(lambda key=key: warm[key]),
                "again": outcome(lambda key=key: warm[key]),
                "a dict": outcome(lambda key=key: gpuzarr.open_array(in_memory(tmp_path / "a"), device=device)[key]),
            }
            for options in OPTIONS:
                a = gpuzarr.open_array(tmp_path / "a", device=device, **options)
                found[f"cold, {options}"] = outcome(lambda a=a, key=key: a[key])
            different = [how for how, got in found.items() if not same(got, expected)]
            assert not different, f"{key}: {expected if isinstance(expected, tuple) else 'values'}, but {different}"
        file.write_bytes(good)
