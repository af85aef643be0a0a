"""Chunks written one by one on a CPU: the values of every chunk, and what goes wrong with one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings

import gpuzarr
from gpuzarr.codecs.chain import Chain
from gpuzarr.errors import ChunkError, CodecError, StoreError
from gpuzarr.stores.local.overwriter import Overwriter
from gpuzarr.stores.local.store import LocalSink

CHAINS: list[dict[str, Any]] = [
    {"compressors": None},
    {"compressors": "zstd"},
    {"compressors": {"name": "blosc", "configuration": {"cname": "lz4", "shuffle": "bitshuffle"}}},
    {"compressors": "gzip"},
    {"compressors": ["zstd", "crc32c"]},
    {"compressors": None, "dtype": ">i2"},
    {"compressors": [numcodecs.Blosc("zstd")], "zarr_format": 2, "order": "F"},
    {"compressors": [numcodecs.Zstd(3)], "filters": [numcodecs.Delta("<i4")], "zarr_format": 2, "dtype": "<i4"},
]


@pytest.fixture
def every_chunk(thresholds: Any) -> None:
    """However small it is. Those of more than 32 bytes are encoded where they lie, if they lie together."""
    thresholds("gpuzarr.write", MIN_LONE_CHUNK_BYTES=0, MAX_COPIED_CHUNK_BYTES=32)


def place(data: Any, shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[str, Any]:
    """A region of whole chunks, any region, indices along each axis, or points."""
    kinds = ["chunks", "region", "oindex", "vindex"] if shape and 0 not in shape else ["chunks", "region"]
    kind = data.draw(st.sampled_from(kinds))
    if kind == "chunks":
        begin = [c * data.draw(st.integers(0, n // c)) for n, c in zip(shape, chunks, strict=True)]
        return kind, tuple(slice(b, n) for b, n in zip(begin, shape, strict=True))
    if kind == "region":
        ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
        return kind, tuple(slice(a, b, data.draw(st.sampled_from([1, 1, 2]))) for a, b in ends)
    if kind == "oindex":
        return kind, tuple(np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1)))) for n in shape)
    return kind, tuple(np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=3, max_size=3))) for n in shape)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), chain=st.sampled_from(CHAINS), empty=st.booleans(), sharded=st.booleans())
def test_what_is_written_is_read(
    data: Any, chain: Any, empty: bool, sharded: bool, every_chunk: None, tmp_path_factory: Any
) -> None:
    """Any selection; edges that are cut off; chunks of the fill value; any strides; shards."""
    shape = data.draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=11))
    chunks = tuple(data.draw(st.integers(1, 5)) for _ in shape)
    path = tmp_path_factory.mktemp("a")
    options = {"dtype": "<f4", "fill_value": 3, "config": {"write_empty_chunks": empty}} | chain
    if sharded and "zarr_format" not in chain and shape:
        options["shards"] = tuple(c * data.draw(st.integers(1, 3)) for c in chunks)
    a = gpuzarr.create_array(path, shape=shape, chunks=chunks, device="cpu", **options)
    want = np.full(shape, 3, a.dtype)
    for _ in range(3):
        kind, where = place(data, shape, chunks)
        index = np.ix_(*where) if kind == "oindex" else where
        value = data.draw(npst.arrays(a.dtype.newbyteorder("="), want[index].shape, elements=st.integers(2, 4)))
        value = value.copy(order="F") if data.draw(st.booleans()) else value
        want[index] = value = 2 if kind == "vindex" else value
        (getattr(a, kind) if kind in ("oindex", "vindex") else a)[where] = value
    np.testing.assert_array_equal(a[...], want)
    theirs = zarr.open_array(path, mode="r")
    np.testing.assert_array_equal(theirs[...], want)
    cells = [
        want[tuple(slice(i * c, i * c + c) for i, c in zip(at, chunks, strict=True))]
        for at in np.ndindex(*theirs.cdata_shape)
    ]
    if not empty and "shards" not in options:
        assert theirs.nchunks_initialized == sum((cell != 3).any() for cell in cells)


@pytest.mark.parametrize("shards", [None, (512, 512)])
def test_only_large_chunks_go_one_by_one(shards: Any, tmp_path: Path) -> None:
    for side, work in ((32, "batch by batch"), (256, "chunk by chunk")):
        layout = {"chunks": (side, side), "shards": shards, "dtype": "f4", "device": "cpu"}
        a = gpuzarr.create_array(tmp_path / str(side), shape=(512, 512), **layout)
        a[...] = np.arange(512 * 512, dtype="f4").reshape(512, 512)
        assert a.explain_write().work == work and (work in str(a.explain_write())) == (side == 256)
    report, files = a.last_write.asdict(), [f for f in (tmp_path / "256" / "c").rglob("*") if f.is_file()]
    assert report["chunks"] == 4 and {"gather", "encode", "store"} <= set(report["seconds"])
    assert report["stored_bytes"] == sum(f.stat().st_size for f in files) - (4 * 16 + 4 if shards else 0)
    a[3:7] = 1
    report = a.last_write.asdict()
    assert report["chunks"] == 2 and report["old_bytes"] > 0 and "load" in report["seconds"]


@pytest.mark.parametrize("side", [16, 1024], ids=["batch by batch", "chunk by chunk"])
@pytest.mark.parametrize("compressors", [None, "zstd", "blosc"])
def test_the_value_stays_the_callers(compressors: Any, side: int, tmp_path: Path) -> None:
    """Chunks that lie together in it are not copied: a write changes nothing there, and keeps nothing of it."""
    for store in (tmp_path, {}):
        layout = {"chunks": (side // 2, side), "compressors": compressors, "dtype": "i4", "device": "cpu"}
        a = gpuzarr.create_array(store, shape=(4 * side, side), **layout)
        value = np.arange(4 * side * side, dtype="i4").reshape(4 * side, side)
        value.flags.writeable = False
        a[...] = value
        np.testing.assert_array_equal(value.ravel(), np.arange(value.size))
        value.flags.writeable = True
        value[...] = -1
        np.testing.assert_array_equal(a[...].ravel(), np.arange(value.size))


@pytest.mark.parametrize("fails", [CodecError("no", codec="bytes"), StoreError("no"), KeyboardInterrupt()])
def test_what_goes_wrong_stops_all_threads(
    fails: BaseException, every_chunk: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks are the old ones or the new ones; what a codec refuses is the fault of the chunk that it had."""
    a = gpuzarr.create_array(tmp_path, shape=(40, 6), chunks=(1, 6), dtype="i4", compressors=None, device="cpu")
    a[...] = 1
    right, done = Overwriter.__call__, []

    def stops(overwriter: Overwriter, key: str, data: Any) -> None:
        done.append(key)
        if key == "c/7/0":
            raise fails
        right(overwriter, key, data)

    if isinstance(fails, CodecError):
        monkeypatch.setattr(Chain, "encoder", refuses_sevens(Chain.encoder, fails))
    else:
        monkeypatch.setattr(Overwriter, "__call__", stops)
    values = np.repeat(np.arange(40, dtype="i4"), 6).reshape(40, 6) + 100
    with pytest.raises(ChunkError if isinstance(fails, CodecError) else type(fails)) as caught:
        a[...] = values
    if isinstance(fails, CodecError):
        assert caught.value.chunk == (7, 0) and caught.value.codec == "bytes"
    now = gpuzarr.open_array(tmp_path, device="cpu")[...]
    assert ((now == 1) | (now == values)).all() and (now[7] == 1).all() and (now == 1).all(axis=1).sum() > 20
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("region", [slice(None), slice(1, 39)], ids=["whole", "partial"])
@pytest.mark.parametrize("fails", [CodecError("no", codec="bytes"), StoreError("no"), KeyboardInterrupt()])
def test_what_goes_wrong_leaves_the_old_shards(
    fails: BaseException, region: slice, every_chunk: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout: dict[str, Any] = {"chunks": (1, 6), "shards": (8, 6), "dtype": "i4", "compressors": None, "device": "cpu"}
    a = gpuzarr.create_array(tmp_path, shape=(40, 6), **layout)
    a[...] = 1
    right = LocalSink.write

    def stops(sink: LocalSink, data: Any, offset: int) -> None:
        if bytes(memoryview(data))[:4] == np.int32(107).tobytes():
            raise fails
        right(sink, data, offset)

    if isinstance(fails, CodecError):
        monkeypatch.setattr(Chain, "encoder", refuses_sevens(Chain.encoder, fails))
    else:
        monkeypatch.setattr(LocalSink, "write", stops)
    values = np.repeat(np.arange(40, dtype="i4"), 6).reshape(40, 6) + 100
    with pytest.raises(ChunkError if isinstance(fails, CodecError) else type(fails)) as caught:
        a[region] = values[region]
    if isinstance(fails, CodecError):
        assert caught.value.chunk == (7, 0) and caught.value.codec == "bytes"
    now = gpuzarr.open_array(tmp_path, device="cpu")[...]
    for shard, new in zip(now.reshape(5, 8, 6), values.reshape(5, 8, 6), strict=True):
        assert (shard == 1).all() or (shard[1:-1] == new[1:-1]).all()
    assert (now[:8] == 1).all()
    assert not [file for file in tmp_path.rglob(".*") if file.name.endswith((".partial", ".lock"))]


def refuses_sevens(right: Any, error: CodecError) -> Any:
    """`Chain.encoder` of a codec that refuses the chunk that begins with 107."""

    def encoder(chain: Chain) -> Any:
        encode = right(chain)

        def encoded(chunk: np.ndarray) -> Any:
            if chunk.flat[0] == 107:
                raise error
            return encode(chunk)

        return encoded

    return encoder


@pytest.mark.parametrize("shards", [None, (4, 6)])
def test_a_damaged_old_chunk_is_blamed_and_stays(shards: Any, every_chunk: None, tmp_path: Path) -> None:
    layout: dict[str, Any] = {"chunks": (1, 6), "shards": shards, "dtype": "i4", "compressors": "zstd"}
    a = gpuzarr.create_array(tmp_path, shape=(8, 6), device="cpu", **layout)
    a[...] = np.arange(48).reshape(8, 6)
    file = tmp_path / ("c/0/0" if shards else "c/2/0")
    damaged = file.read_bytes().replace(b"\x28\xb5\x2f\xfd", b"\x00" * 4)
    file.write_bytes(damaged)
    with pytest.raises(ChunkError) as caught:
        a[2, 1:3] = 5
    assert caught.value.chunk == (2, 0) and file.read_bytes() == damaged


@pytest.mark.parametrize("codec", ["zstd", "blosc"])
def test_by_address_or_not_the_bytes_are_the_same(codec: str, tmp_path: Path, thresholds: Any) -> None:
    """What one thread keeps of a library changes nothing, and neither does one whose functions are not shown."""
    values, files = np.arange(1 << 17, dtype="f4").reshape(4, -1).round(-1), {}
    for name, least in (("alone", 0), ("together", 1 << 40)):
        thresholds("gpuzarr.write", MIN_LONE_CHUNK_BYTES=least)
        a = gpuzarr.create_array(
            tmp_path / name, shape=values.shape, chunks=(1, 1 << 15), dtype="f4", compressors=codec, device="cpu"
        )
        a[...] = values
        files[name] = {f.name: f.read_bytes() for f in sorted((tmp_path / name / "c").rglob("*")) if f.is_file()}
    assert files["alone"] == files["together"]
