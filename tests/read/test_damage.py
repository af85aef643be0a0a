"""Damaged chunks: an error that names the chunk in every case that can be seen, never wrong data, on every device."""

from __future__ import annotations

import json
from collections.abc import Callable
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
Damage = Callable[[bytes], bytes]


def flipped(data: bytes) -> bytes:
    at = 3 * len(data) // 5
    return data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


DAMAGES: dict[str, Damage] = {
    "flipped": flipped,
    "truncated": lambda data: data[: len(data) // 2],
    "last byte cut": lambda data: data[:-1],
    "junk appended": lambda data: data + b"junk" * 5,
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "zeros": lambda data: bytes(len(data)),
}
c = zarr.codecs
CHAINS: dict[str, tuple[dict[str, Any], bool]] = {  # how to create the array; whether a flipped bit can be seen
    "raw": ({"compressors": None}, False),
    "zstd": ({"compressors": [c.ZstdCodec()]}, False),
    "zstd checksum": ({"compressors": [c.ZstdCodec(checksum=True)]}, True),
    "gzip": ({"compressors": [c.GzipCodec()]}, True),
    "blosc lz4": ({"compressors": [c.BloscCodec(cname="lz4", shuffle="shuffle")]}, False),
    "blosc zstd": ({"compressors": [c.BloscCodec(cname="zstd", shuffle="bitshuffle")]}, False),
    "crc32c": ({"compressors": [c.Crc32cCodec()]}, True),
    "zstd crc32c": ({"compressors": [c.ZstdCodec(), c.Crc32cCodec()]}, True),
    "v2 zlib": ({"zarr_format": 2, "compressors": numcodecs.Zlib()}, True),
    "v2 lz4": ({"zarr_format": 2, "compressors": numcodecs.LZ4()}, False),
    "v2 bz2": ({"zarr_format": 2, "compressors": numcodecs.BZ2()}, True),
    "v2 lzma": ({"zarr_format": 2, "compressors": numcodecs.LZMA()}, True),
    "v2 fletcher32": ({"zarr_format": 2, "filters": [numcodecs.Fletcher32()], "compressors": None}, True),
    "v2 shuffle zlib": ({"zarr_format": 2, "filters": [numcodecs.Shuffle(4)], "compressors": numcodecs.Zlib()}, True),
}


def written(path: Path, **options: Any) -> np.ndarray:
    want = np.random.default_rng(1).integers(0, 30, (24, 40)).astype("i4")
    zarr.create_array(path, shape=want.shape, dtype="i4", chunks=(8, 20), **options)[...] = want
    return want


def damage(path: Path, how: Damage) -> None:
    path.write_bytes(how(path.read_bytes()))


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("chain", CHAINS)
def test_chunk(chain: str, how: str, device: Device, tmp_path: Path) -> None:
    options, sees_flips = CHAINS[chain]
    want = written(tmp_path / "a", **options)
    damage(tmp_path / "a" / ("1.1" if "v2" in chain else "c/1/1"), DAMAGES[how])
    a = gpuzarr.open_array(tmp_path / "a", device=device)
    np.testing.assert_array_equal(host_array(a[:8]), want[:8])
    if how == "zeros" and chain in ("raw", "v2 fletcher32"):
        return  # zeros are right: the sum of zeros is zero
    if how == "flipped" and not sees_flips:
        try:  # an error or a value, but nothing worse
            a[...]
        except gpuzarr.ChunkError as error:
            assert error.chunk == (1, 1)
        return
    with pytest.raises(gpuzarr.ChunkError) as caught:
        a[...]
    error = caught.value
    assert error.chunk == (1, 1) and error.key.endswith(("c/1/1", "1.1")) and str(tmp_path) in error.store
    np.testing.assert_array_equal(host_array(a[16:]), want[16:])  # the device is as good as before


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("location", ["start", "end"])
def test_shard(location: str, how: str, device: Device, tmp_path: Path) -> None:
    sharding = c.ShardingCodec(chunk_shape=(4, 10), codecs=[c.BytesCodec(), c.ZstdCodec()], index_location=location)
    want = np.random.default_rng(1).integers(0, 30, (24, 40)).astype("i4")
    options = {"serializer": sharding, "compressors": None}
    z = zarr.create_array(tmp_path / "a", shape=want.shape, dtype="i4", chunks=(8, 20), **options)
    z[...] = want
    damage(tmp_path / "a/c/1/1", DAMAGES[how])
    a = gpuzarr.open_array(tmp_path / "a", device=device)
    np.testing.assert_array_equal(host_array(a[:8]), want[:8])
    if (how == "junk appended" and location == "start") or how == "flipped":
        return  # what lies beyond the index's ranges is not the reader's business; a flip in zstd is not seen
    with pytest.raises(gpuzarr.ChunkError) as caught:
        a[...]
    assert caught.value.key.endswith("c/1/1")
    assert (2, 2) <= caught.value.chunk <= (3, 3)


def test_a_shard_index_that_lies(tmp_path: Path, device: Device) -> None:
    """An index with a right checksum but impossible entries."""
    import google_crc32c

    sharding = c.ShardingCodec(chunk_shape=(4,), codecs=[c.BytesCodec(), c.ZstdCodec()])
    z = zarr.create_array(tmp_path / "a", shape=(8,), dtype="i4", chunks=(8,), serializer=sharding, compressors=None)
    z[...] = range(1, 9)
    path = tmp_path / "a/c/0"
    good = path.read_bytes()
    for lie in [(2**63, 8), (8, 2**63), (2**64 - 1, 5), (10**15, 10), (0, 10**12), (5, 2**62 - 1)]:
        index = bytearray(good[-36:-4])
        index[16:32] = np.array(lie, "<u8").tobytes()
        path.write_bytes(good[:-36] + index + np.uint32(google_crc32c.value(bytes(index))).tobytes())
        with pytest.raises(gpuzarr.ChunkError) as caught:
            gpuzarr.open_array(tmp_path / "a", device=device)[...]
        assert caught.value.key.endswith("c/0")


@pytest.mark.parametrize("name", ["zarr.json", ".zarray"])
@pytest.mark.parametrize("how", DAMAGES)
def test_metadata(name: str, how: str, tmp_path: Path) -> None:
    written(tmp_path / "a", zarr_format=3 if name == "zarr.json" else 2)
    damage(tmp_path / "a" / name, DAMAGES[how])
    try:
        gpuzarr.open(tmp_path / "a", device="cpu")
        assert how == "flipped"
    except gpuzarr.MetadataError as error:
        assert name in str(error)


def test_a_blosc_block_is_no_larger_than_its_chunk(tmp_path: Path, device: Device) -> None:
    """As c-blosc has it: not on one device, and yes on another."""
    for level in (0, 5):  # a copy, and what is compressed
        path = tmp_path / str(level)
        written(path, zarr_format=2, compressors=numcodecs.Blosc("lz4", level))
        damage(path / "1.1", lambda data: data[:8] + (8 * 20 * 4 + 4).to_bytes(4, "little") + data[12:])
        with pytest.raises(gpuzarr.ChunkError, match="block size"):
            gpuzarr.open_array(path, device=device)[...]


def test_a_filter_behind_one_that_makes_bytes(tmp_path: Path, device: Device) -> None:
    written(tmp_path / "a", zarr_format=2, compressors=None, filters=[numcodecs.CRC32(), numcodecs.Delta("u1")])
    damage(tmp_path / "a/1.1", lambda data: data[:-1])
    with pytest.raises(gpuzarr.ChunkError) as caught:
        gpuzarr.open_array(tmp_path / "a", device=device)[...]
    assert caught.value.chunk == (1, 1) and caught.value.codec.endswith("delta")


def test_sizes_that_an_index_lies_about_are_not_allocated(tmp_path: Path, device: Device) -> None:
    index = [c.BytesCodec()]
    sharding = c.ShardingCodec(chunk_shape=(1024,), codecs=[c.BytesCodec(), c.ZstdCodec()], index_codecs=index)
    options = {"chunks": (4096,), "serializer": sharding, "compressors": None}
    zarr.create_array(tmp_path / "a", shape=(1 << 15,), dtype="i4", **options)[...] = np.arange(1 << 15)
    for size in (1 << 46, 1 << 61):
        for shard in range(8):
            damage(tmp_path / f"a/c/{shard}", lambda data, size=size: data[:-8] + size.to_bytes(8, "little"))
        with pytest.raises(gpuzarr.ChunkError):
            gpuzarr.open_array(tmp_path / "a", device=device).get(memory_limit="1MiB")


def test_more_memory_than_there_is(tmp_path: Path, device: Device) -> None:
    document = tmp_path / "a/zarr.json"
    for change in ({"shape": [1 << 50, 40]}, {"chunk_grid": chunk_grid(1 << 50, 20)}):
        written(tmp_path / "a", overwrite=True)
        document.write_text(json.dumps(json.loads(document.read_text()) | change))
        with pytest.raises(gpuzarr.GpuZarrError, match=r"a'") as caught:
            gpuzarr.open_array(tmp_path / "a", device=device)[...]
        assert isinstance(caught.value, MemoryError | ValueError)


def chunk_grid(*shape: int) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": shape}}


def test_a_chunk_of_too_many_bytes_is_never_allocated(tmp_path: Path, device: Device) -> None:
    """Declared sizes that no chunk of this array can have."""
    written(tmp_path / "a", zarr_format=2, compressors=numcodecs.Blosc("lz4"))
    path = tmp_path / "a" / "0.0"
    data = bytearray(path.read_bytes())
    data[4:8] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(gpuzarr.ChunkError):
        gpuzarr.open_array(tmp_path / "a", device=device)[...]
    bomb = numcodecs.Zstd(1).encode(np.zeros(1 << 26, "u1"))
    document = json.loads((tmp_path / "a" / ".zarray").read_text()) | {"compressor": {"id": "zstd", "level": 1}}
    (tmp_path / "a" / ".zarray").write_text(json.dumps(document))
    path.write_bytes(bomb)
    with pytest.raises(gpuzarr.ChunkError):
        gpuzarr.open_array(tmp_path / "a", device=device)[...]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.5])
def test_a_scale_that_is_no_whole_number(value: float, tmp_path: Path) -> None:
    written(tmp_path / "a")
    path = tmp_path / "a/zarr.json"
    document = json.loads(path.read_text())
    document["codecs"].insert(0, {"name": "scale_offset", "configuration": {"scale": value, "offset": 0}})
    path.write_text(json.dumps(document))
    with pytest.raises(gpuzarr.MetadataError, match="scale_offset"):
        gpuzarr.open_array(tmp_path / "a", device="cpu")


@pytest.mark.parametrize(
    "codec",
    [
        {"id": "fixedscaleoffset", "offset": 10**400, "scale": 1, "dtype": "<f4", "astype": "<f4"},
        {"id": "delta", "dtype": "<M8[s]"},
    ],
    ids=["fixedscaleoffset", "delta"],
)
def test_filters_whose_numbers_do_not_fit(codec: dict[str, Any], device: Device, tmp_path: Path) -> None:
    written(tmp_path / "a", zarr_format=2, compressors=None)
    document = json.loads((tmp_path / "a" / ".zarray").read_text())
    (tmp_path / "a" / ".zarray").write_text(json.dumps(document | {"filters": [codec], "dtype": "<i4"}))
    with pytest.raises((gpuzarr.ChunkError, gpuzarr.MetadataError), match=codec["id"]):
        gpuzarr.open_array(tmp_path / "a", device=device)[...]


def test_a_refusal_stands_where_the_host_has_no_memory(
    gpu: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU cannot decide about what a GPU refused: the chunk is named all the same."""

    def no_memory(*_: object) -> None:
        raise MemoryError

    z = zarr.create_array(tmp_path / "a", shape=(64,), dtype="i4", chunks=(16,), compressors=[zarr.codecs.ZstdCodec()])
    z[...] = np.arange(64)
    file = tmp_path / "a" / "c" / "2"
    file.write_bytes(file.read_bytes()[:10])
    monkeypatch.setattr(gpuzarr.read, "_read_on_cpu", no_memory)
    with pytest.raises(gpuzarr.ChunkError) as caught:
        gpuzarr.open_array(tmp_path / "a", device=gpu)[...]
    assert caught.value.chunk == (2,)
