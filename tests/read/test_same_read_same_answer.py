"""What a read decodes, checks and returns depends on the stored bytes, the layout and the selection alone.

One chunk of an array is damaged. Whatever is read, however often, with which option, from which store, on which device:
the outcome of the same selection is always the same, the values or an error that names the same chunk.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.aged import age
from tests.hardware import host_array

pytestmark = pytest.mark.damaging

c = zarr.codecs
CHAINS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {"compressors": [c.ZstdCodec(level=1)]},
    "zstd checksum": {"compressors": [c.ZstdCodec(level=1, checksum=True)]},
    "gzip": {"compressors": [c.GzipCodec(level=1)]},
    "blosc lz4": {"compressors": [c.BloscCodec(cname="lz4", shuffle="shuffle", typesize=2, blocksize=1024)]},
    "blosc zstd bits": {"compressors": [c.BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=2, blocksize=2048)]},
    "zstd crc32c": {"compressors": [c.ZstdCodec(level=1), c.Crc32cCodec()]},
    "transposed": {"filters": [c.TransposeCodec(order=(1, 0))], "compressors": [c.ZstdCodec(level=1)]},
    "big-endian": {"compressors": None, "serializer": c.BytesCodec(endian="big")},
    "blosc copied": {"compressors": [c.BloscCodec(cname="lz4", clevel=0, typesize=2)]},
    "v2 lz4": {"compressors": numcodecs.LZ4(), "zarr_format": 2},
    "v2 bz2 delta": {"filters": [numcodecs.Delta("<u2")], "compressors": numcodecs.BZ2(1), "zarr_format": 2},
    "v2 zlib shuffle": {"filters": [numcodecs.Shuffle(2)], "compressors": numcodecs.Zlib(1), "zarr_format": 2},
}
SIZES = {"small chunks": (16, 32), "chunks": (32, 64), "large chunks": (96, 128)}  # 1, 4 and 24 KiB
THRESHOLDS = {
    "MIN_REGION_CHUNK_BYTES": 2 << 10,
    "MIN_LONE_CHUNK_BYTES": 16 << 10,
    "MAX_REGION_CHUNKS": 4,
    "MAX_FEW_CHUNKS": 2,
}
MANY_BLOCKS = (320, 448)  # 280 KiB: more than two blocks of zstd, and beyond the thresholds as they are
DAMAGES = 3
LAYOUTS = ("chunks", "shards", "shards, index first")
OF_MANY_BLOCKS = [  # each chain with and without shards, whose indexes lie here and there
    *(("zstd", "chunks"), ("zstd checksum", "chunks"), ("blosc lz4", "chunks")),
    *(("zstd", "shards"), ("zstd checksum", "shards, index first"), ("blosc lz4", "shards")),
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"memory_limit": "4GiB"},
    {"memory_limit": "1MiB"},
    {"validate": "host"},
    {"io": "posix"},
]


def pairwise() -> Iterator[tuple[str, str, str]]:
    """Each chain with each size, each chain with each layout that it may have, and each size with each layout."""
    for number, name in enumerate(CHAINS):
        for other, size in enumerate(SIZES):
            yield name, size, "chunks" if "v2" in name else LAYOUTS[(number + other) % 2]


@cache
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


def copy(a: gpuzarr.Array) -> gpuzarr.Array:
    """The array as another process gets it, where nothing was read before."""
    return pickle.loads(pickle.dumps(a))


def in_memory(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def read_ahead(a: gpuzarr.Array, keys: list[Any]) -> list[Any]:
    """The outcomes of a reader, which reads several keys together, up to an error."""
    found: list[Any] = []
    with a.reader(keys) as r:
        while not found or not isinstance(found[-1], tuple):
            try:
                found.append(host_array(next(r)))
            except StopIteration:
                break
            except gpuzarr.ChunkError as error:
                found.append(error.chunk)
    return found


@pytest.mark.parametrize(("name", "size", "layout"), pairwise())
def test_same_read_same_answer(
    name: str, size: str, layout: str, device: Device, tmp_path: Path, thresholds: Any
) -> None:
    thresholds("gpuzarr.read", **THRESHOLDS)
    check(tmp_path / "a", name, SIZES[size], layout, device)


@pytest.mark.parametrize(("name", "layout"), OF_MANY_BLOCKS)
def test_so_it_is_of_chunks_of_many_blocks(name: str, layout: str, device: Device, tmp_path: Path) -> None:
    check(tmp_path / "a", name, MANY_BLOCKS, layout, device)


def check(path: Path, name: str, chunk: tuple[int, int], layout: str, device: Device) -> None:
    """Damage a chunk in several ways; compare each read with one by the CPU that nothing came before.

    Each option is tried with each selection, and with each damage, in turns.
    """
    options = dict(CHAINS[name])
    shape = (chunk[0] * 3, chunk[1] * 2)
    if layout != "chunks":
        place = "start" if "first" in layout else "end"
        options["shards"] = {"shape": (chunk[0] * 2, chunk[1] * 2), "index_location": place}
        options["compressors"] = options["compressors"] or ()
    gpuzarr.create_array(path, data=values(shape), chunks=chunk, device="cpu", **options)
    file = next(f for f in sorted(path.rglob("*")) if f.is_file() and f.name in ("0", "0.0"))
    good = file.read_bytes()
    warm, kept = gpuzarr.open_array(path, device=device), in_memory(path)
    cached = gpuzarr.open_array(path, device=device, cache="64MiB")
    age(path)
    warm_dict = gpuzarr.open_array(kept, device=device)
    warm[...], warm_dict[...], cached[...]  # the indexes of shards are known, and chunks are kept
    cold = {f"cold, {some}": gpuzarr.open_array(path, device=device, **some) for some in OPTIONS}
    cold["cold dict"] = gpuzarr.open_array(kept, device=device)
    assert same(outcome(lambda: warm[...]), values(shape))
    for damage, bad in enumerate(damages(good)):
        file.write_bytes(bad)
        age(path)
        kept[str(file.relative_to(path))] = bad
        right, wrong = list[Any](), list[Any]()
        for place, key in enumerate(selections(chunk, shape)):
            expected = outcome(lambda key=key: gpuzarr.open_array(path, device="cpu")[key])
            arrays = {
                "warm": warm,
                "again": warm,
                "cached": cached,
                "cached, again": cached,
                "warm dict": warm_dict,
                "opened": gpuzarr.open_array(path, device=device),
            }
            turns = (number for number in range(len(cold)) if (number + damage + place) % DAMAGES == 0)
            arrays |= {how: copy(cold[how]) for how in map(list(cold).__getitem__, turns)}
            found = {how: outcome(lambda a=a, key=key: a[key]) for how, a in arrays.items()}
            found["opened, again"] = outcome(lambda a=arrays["opened"], key=key: a[key])
            different = [how for how, got in found.items() if not same(got, expected)]
            assert not different, f"{key}: {expected if isinstance(expected, tuple) else 'values'}, but {different}"
            (wrong if isinstance(expected, tuple) else right).append((key, expected))
        for key, expected in wrong:
            in_order = [*right, *right, (key, expected)]
            found_in_order = read_ahead(copy(cold["cold, {}"]), [key for key, _ in in_order])
            assert len(found_in_order) == len(in_order), f"a reader refuses what is right, before {key}"
            assert all(same(got, right) for got, (_, right) in zip(found_in_order, in_order, strict=True)), key
        file.write_bytes(good)
        kept[str(file.relative_to(path))] = good
