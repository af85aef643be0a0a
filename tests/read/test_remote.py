"""Reads from a place where each request takes long: the values of a folder, few requests, many of them in flight."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from benchmarks.latency_server import LatencyServer, serving
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ChunkError, GpuZarrError, StoreError
from tests.hardware import host_array

SHAPE = (96, 80)
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (16, 32)},
    "uncompressed": {"chunks": (16, 32), "compressors": None},
    "v2": {"chunks": (16, 32), "zarr_format": 2, "compressors": "zlib"},
    "shards": {"chunks": (16, 16), "shards": (48, 32)},
    "uncompressed shards": {"chunks": (16, 16), "shards": (48, 32), "compressors": None},
}
KINDS = {
    "batch by batch": {"MAX_FEW_CHUNKS": 0},
    "chunk by chunk": {"MIN_REGION_CHUNK_BYTES": 1, "MIN_LONE_CHUNK_BYTES": 1},
}
SELECTIONS: list[Any] = [np.s_[:], np.s_[3:70, 20:50], np.s_[40, ::3], np.s_[:8, :8], np.s_[::-1, [3, 70, 5]]]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, thresholds: Any) -> str:
    """Both kinds of work."""
    thresholds("gpuzarr.read", **KINDS[request.param])
    return str(request.param)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LatencyServer]:
    """A web server of the folder of the test."""
    with serving(tmp_path, writable=True) as started:
        yield started


def values() -> np.ndarray:
    found = np.random.default_rng(0).integers(1, 50, SHAPE).astype("i4")
    found[32:64, :40] = 0  # chunks that are not stored, and one that is in part
    return found


def stored_size(array: gpuzarr.Array) -> int:
    return int(array.nbytes_stored())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_and_counts(layout: str, kind: str, device: Device, tmp_path: Path, server: LatencyServer) -> None:
    local = gpuzarr.create_array(tmp_path / "a", data=values(), **LAYOUTS[layout])
    a = gpuzarr.open_array(f"{server.url}/a", device=device)
    for selection in SELECTIONS * 2:
        server.stats()
        found = host_array(a[selection])
        assert found.dtype == values().dtype and np.array_equal(found, values()[selection])
        counted, said = server.stats(), a.last_read.asdict()  # type: ignore[union-attr]
        missing = counted.body_bytes - said["read_bytes"]  # bodies of answers that say that there is no such object
        assert said["requests"] == counted.requests and 0 <= missing <= 40 * counted.requests
        assert said["read_bytes"] <= stored_size(local)
    assert a.get_many([np.s_[0], np.s_[90:]])[1].shape == (6, 80)


@pytest.mark.parametrize("layout", ["chunks", "shards"])
def test_neighbours_in_a_shard_are_one_request(layout: str, kind: str, tmp_path: Path, server: LatencyServer) -> None:
    local = gpuzarr.create_array(tmp_path / "a", data=values() + 1, **LAYOUTS[layout])
    a = gpuzarr.open_array(f"{server.url}/a")
    server.stats()
    assert np.array_equal(a[:32, :32], values()[:32, :32] + 1)
    assert server.stats().requests == 2  # chunks, or the index of a shard and some of its chunks
    assert np.array_equal(a[:32, :32], values()[:32, :32] + 1)
    assert server.stats().requests == (2 if layout == "chunks" else 1)  # the index is known
    assert np.array_equal(a[48:, :32], values()[48:, :32] + 1)
    assert server.stats().requests == (3 if layout == "chunks" else 1)  # all of a shard, with its index
    assert stored_size(local) > 0


def test_many_requests_are_in_flight(kind: str, tmp_path: Path) -> None:
    gpuzarr.create_array(tmp_path / "a", data=np.arange(2000), chunks=20)
    arrays = gpuzarr.create_group(tmp_path / "g")
    for i in range(40):
        arrays.create_array(f"v{i}", data=np.arange(7) + i)
    gpuzarr.consolidate_metadata(tmp_path / "g")
    with serving(tmp_path, latency_ms=50) as server:
        a, g = gpuzarr.open(f"{server.url}/a"), gpuzarr.open(f"{server.url}/g")
        server.stats()
        assert np.array_equal(a[:], np.arange(2000))
        assert server.stats().connections > 50
        found = gpuzarr.read_many([(array, ...) for _, array in g.arrays()])
        assert sorted(each[0] for each in found) == list(range(40))
        assert server.stats().connections > 10


def test_what_another_process_writes_is_seen(kind: str, tmp_path: Path, server: LatencyServer) -> None:
    """Also where an index of a shard is known, and says that there is no such chunk, or where it lies."""
    local = gpuzarr.create_array(tmp_path / "a", shape=64, dtype="i4", chunks=8, shards=32)
    local[:8] = 1
    a = gpuzarr.open_array(f"{server.url}/a")
    assert a[:].tolist() == [1] * 8 + [0] * 56
    local[16:24] = 2
    assert a[16:24].tolist() == [2] * 8
    local[:] = np.arange(64)
    assert a[8:40].tolist() == list(range(8, 40))
    local[56:] = 5
    assert a[56:].tolist() == [5] * 8


def test_an_object_that_is_too_large_is_not_fetched(kind: str, tmp_path: Path, server: LatencyServer) -> None:
    gpuzarr.create_array(tmp_path / "a", data=np.ones(100, "u1"), chunks=100, compressors=None)
    (tmp_path / "a" / "c" / "0").write_bytes(bytes(30_000_000))
    a = gpuzarr.open_array(f"{server.url}/a")
    server.stats()
    with pytest.raises(ChunkError, match=r"30000000.*100|100.*30000000"):
        a[:]
    with pytest.raises(StoreError, match=r"'zarr.json'.*bytes, and a document has at most"):
        os.truncate(tmp_path / "a" / "zarr.json", 1 << 30)  # zeros that no disk has to hold
        gpuzarr.open_array(f"{server.url}/a")


def test_damage_is_told_as_of_a_folder(kind: str, tmp_path: Path, server: LatencyServer) -> None:
    local = gpuzarr.create_array(tmp_path / "a", data=values(), **LAYOUTS["shards"])
    shard = tmp_path / "a" / "c" / "0" / "1"
    for damaged in (shard.read_bytes()[:-9], shard.read_bytes()[:2] + bytes(300) + shard.read_bytes()[302:], b"x"):
        shard.write_bytes(damaged)
        a = gpuzarr.open_array(f"{server.url}/a")
        with pytest.raises(GpuZarrError) as there:
            local[:]
        with pytest.raises(type(there.value)) as here:
            a[:]
        reasons = [str(caught.value).rpartition(":")[2] for caught in (here, there)]
        assert str(a.store) in str(here.value) and reasons[0] == reasons[1]
        found, failures = a.get_many([np.s_[:48, :32], np.s_[:48, 32:64]], on_error="fill")
        assert np.array_equal(found[0], values()[:48, :32]) and failures and failures[0].error.args


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_is_told_at_once(tmp_path: Path, server: LatencyServer) -> None:
    gpuzarr.create_array(tmp_path / "a", data=np.arange(100), chunks=10)
    a = gpuzarr.open_array(f"{server.url}/a")
    assert a[5] == 5
    if (child := os.fork()) == 0:
        signal.alarm(20)
        try:
            a[:]
        except StoreError as error:
            os._exit(0 if "spawn" in str(error) else 1)
        except BaseException:
            os._exit(2)
        os._exit(3)
    assert os.waitpid(child, 0)[1] == 0 and a[7] == 7


def test_only_what_is_wanted_of_an_uncompressed_chunk(thresholds: Any, tmp_path: Path, server: LatencyServer) -> None:
    """From the first to the last wanted element; of a missing chunk nothing, and one of a wrong size is damage."""
    thresholds("gpuzarr.read", **KINDS["chunk by chunk"])
    local = gpuzarr.create_array(tmp_path / "a", data=values() + 1, chunks=(48, 80), compressors=None, fill_value=9)
    (tmp_path / "a" / "c" / "1" / "0").unlink()
    a = gpuzarr.open_array(f"{server.url}/a")
    server.stats()
    for selection in (np.s_[5:8], np.s_[40:60, 3], np.s_[50:52], np.s_[7, 7]):
        assert np.array_equal(a[selection], local[selection])
    assert server.stats().body_bytes < 0.3 * local[:48].nbytes
    (tmp_path / "a" / "c" / "0" / "0").write_bytes(b"x" * 9000)
    for damaged in (local, a):
        with pytest.raises(ChunkError, match="9000"):
            damaged[5:8]
