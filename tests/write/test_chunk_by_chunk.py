"""Large chunks written one by one on a CPU: the values of every chunk, and what goes wrong with one of them."""

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
from gpuzarr.errors import ChunkError, CodecError, StoreError
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.write import chunks as write_cached

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
def every_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small it is."""
    monkeypatch.setattr(write_cached, "LEAST", 0)


def is_used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls, right = [], write_cached._Lane.run
    monkeypatch.setattr(write_cached._Lane, "run", lambda lane, work: (calls.append(1), right(lane, work))[1])
    return calls


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), chain=st.sampled_from(CHAINS), empty=st.booleans())
def test_what_is_written_is_read(data: Any, chain: Any, empty: bool, every_chunk: None, tmp_path_factory: Any) -> None:
    """Whole arrays, and runs of whole chunks; edges that are cut off; chunks of the fill value; any strides."""
    shape = data.draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=11))
    chunks = tuple(data.draw(st.integers(1, 5)) for _ in shape)
    path = tmp_path_factory.mktemp("a")
    options = {"dtype": "<f4", "fill_value": 3, "config": {"write_empty_chunks": empty}} | chain
    a = gpuzarr.create_array(path, shape=shape, chunks=chunks, device="cpu", **options)
    want = np.full(shape, 3, a.dtype)
    for _ in range(2):
        begin = [c * data.draw(st.integers(0, n // c)) for n, c in zip(shape, chunks, strict=True)]
        region = tuple(slice(b, n) for b, n in zip(begin, shape, strict=True))
        value = data.draw(npst.arrays(a.dtype.newbyteorder("="), want[region].shape, elements=st.integers(2, 4)))
        value = value.copy(order="F") if data.draw(st.booleans()) else value
        want[region] = value
        a[region] = value
    np.testing.assert_array_equal(a[...], want)
    theirs = zarr.open_array(path, mode="r")
    np.testing.assert_array_equal(theirs[...], want)
    cells = [
        want[tuple(slice(i * c, i * c + c) for i, c in zip(at, chunks, strict=True))]
        for at in np.ndindex(*theirs.cdata_shape)
    ]
    assert empty or theirs.nchunks_initialized == sum((cell != 3).any() for cell in cells)


def test_only_large_chunks_go_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = is_used(monkeypatch)
    for side, used in ((32, False), (256, True)):
        a = gpuzarr.create_array(tmp_path / str(side), shape=(512, 512), chunks=(side, side), dtype="f4", device="cpu")
        a[...] = np.arange(512 * 512, dtype="f4").reshape(512, 512)
        assert bool(calls) == used
    report = a.last_write.asdict()
    assert report["chunks"] == 4 and {"gather", "encode", "store"} <= set(report["seconds"])
    assert report["stored_bytes"] == sum(f.stat().st_size for f in (tmp_path / "256" / "c").rglob("*") if f.is_file())


@pytest.mark.parametrize("fails", [CodecError("no", codec="bytes"), StoreError("no"), KeyboardInterrupt()])
def test_what_goes_wrong_stops_all_threads(
    fails: BaseException, every_chunk: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks are the old ones or the new ones; what a codec refuses is the fault of the chunk that it had."""
    a = gpuzarr.create_array(tmp_path, shape=(40, 6), chunks=(1, 6), dtype="i4", compressors=None, device="cpu")
    a[...] = 1
    right, done = LocalStore.set, []

    def stops(store: LocalStore, key: str, data: Any) -> None:
        done.append(key)
        if key == "c/7/0":
            raise fails
        right(store, key, data)

    if isinstance(fails, CodecError):
        monkeypatch.setattr(write_cached._Lane, "_turn", refuses_sevens(write_cached._Lane._turn, fails))
    else:
        monkeypatch.setattr(LocalStore, "set", stops)
    values = np.repeat(np.arange(40, dtype="i4"), 6).reshape(40, 6) + 100
    with pytest.raises(ChunkError if isinstance(fails, CodecError) else type(fails)) as caught:
        a[...] = values
    if isinstance(fails, CodecError):
        assert caught.value.chunk == (7, 0) and caught.value.codec == "bytes"
    now = gpuzarr.open_array(tmp_path, device="cpu")[...]
    assert ((now == 1) | (now == values)).all() and (now[7] == 1).all() and (now == 1).all(axis=1).sum() > 20
    assert not list(tmp_path.rglob("*.partial"))


def refuses_sevens(turn: Any, error: CodecError) -> Any:
    """`_Lane._turn` of a lane whose codec refuses the chunk that begins with 107."""

    def turned(lane: Any, part: Any) -> None:
        turn(lane, part)
        right = lane._encode

        def encode() -> Any:
            if lane._chunk.flat[0] == 107:
                raise error
            return right()

        lane._encode = encode

    return turned


@pytest.mark.parametrize("codec", ["zstd", "blosc"])
def test_by_address_or_not_the_bytes_are_the_same(codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one thread keeps of a library changes nothing, and neither does one whose functions are not shown."""
    values, files = np.arange(1 << 17, dtype="f4").reshape(4, -1).round(-1), {}
    for name, least in (("alone", 0), ("together", 1 << 40)):
        monkeypatch.setattr(write_cached, "LEAST", least)
        a = gpuzarr.create_array(
            tmp_path / name, shape=values.shape, chunks=(1, 1 << 15), dtype="f4", compressors=codec, device="cpu"
        )
        a[...] = values
        files[name] = {f.name: f.read_bytes() for f in sorted((tmp_path / name / "c").rglob("*")) if f.is_file()}
    assert files["alone"] == files["together"]
