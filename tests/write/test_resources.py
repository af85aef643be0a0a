"""How a write runs: memory within its limit, storing beside encoding, nothing left of what went wrong, true reports."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.codecs.bz2 import Bz2
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError
from gpuzarr.read.memory import parse_bytes
from gpuzarr.stores.local.store import LocalSink, LocalStore
from gpuzarr.write import batches
from gpuzarr.write.batches import Batches
from tests.data import V2, V3, Stop, create, field, partial_files
from tests.hardware import held, host_array, on


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("name", [*V3, *V2])
def test_memory_stays_within_its_limit(name: str, noise: bool, tmp_path: Path, gpu: Device) -> None:
    values, counts = field(noise), []
    for limit in ("3MiB", 12 << 20):
        create(tmp_path / str(limit), name, gpu)
        a = gpuzarr.open_array(tmp_path / str(limit), device=gpu, mode="r+", memory_limit=limit)
        a[...] = on(gpu, values)
        np.testing.assert_array_equal(zarr.open_array(tmp_path / str(limit), mode="r")[...], values)
        report, planned = a.last_write.asdict(), a.explain_write()
        assert 0 < report["peak_bytes"] <= planned.planned_bytes <= planned.memory_limit == parse_bytes(limit)
        assert report["batches"] == planned.batches and report["write_behind_depth"] == planned.write_behind_depth
        assert report["fetched_bytes"] <= planned.bus_bytes + 16 * report["chunks"] + 4096
        counts.append(report["batches"])
        assert held(gpu) == 0
        a[1:47, :, 3] = on(gpu, values[1:47, :, 3] + 1)  # and where chunks are read first
        report, planned = a.last_write.asdict(), a.explain_write((slice(1, 47), slice(None), 3))
        assert report["partial_objects"] and 0 < report["peak_bytes"] <= planned.planned_bytes <= planned.memory_limit
        assert report["batches"] == planned.batches and held(gpu) == 0
        np.testing.assert_array_equal(
            zarr.open_array(tmp_path / str(limit), mode="r")[1:47, :, 3], values[1:47, :, 3] + 1
        )
    assert counts[0] >= max(counts[1], 3)
    assert counts[1] >= 3 or gpu.batch_bytes > 12 << 20  # a GPU's batches are large, and this limit may ask for one


@pytest.mark.parametrize("limit", [1, 100_000])
def test_a_chunk_that_needs_more_is_written_alone(limit: int, tmp_path: Path, gpu: Device) -> None:
    a = create(tmp_path, "zstd", gpu)
    a.set(..., on(gpu, field(True)), memory_limit=limit)
    report = a.last_write.asdict()
    assert report["batches"] == report["chunks"] == 90 and report["write_behind_depth"] == 0
    assert limit < report["peak_bytes"] < 400_000 and held(gpu) == 0
    np.testing.assert_array_equal(host_array(a[...]), field(True))


@pytest.mark.parametrize("name", ["zstd", "sharded", "host codec"])
def test_a_batch_is_encoded_while_others_are_stored(
    name: str, tmp_path: Path, gpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch is not stored before two more are encoded: who did one after the other would wait for ever."""
    a = create(tmp_path, name, gpu)
    encoded, lock = threading.Semaphore(0), threading.Lock()
    encoding, first = Chain.encoding, []

    def waiting(store: Any) -> Any:
        def storing(*arguments: Any) -> None:
            with lock:
                is_first = not first
                first.append(threading.current_thread())
            if is_first:
                assert all(encoded.acquire(timeout=20) for _ in range(3)), "nothing is encoded beside it"
            store(*arguments)

        return storing

    def counting(self: Chain, *arguments: Any) -> Any:
        done = encoding(self, *arguments)
        encoded.release()
        return done

    with monkeypatch.context() as patch:
        for place in (LocalStore, LocalSink):
            patch.setattr(place, "write", waiting(place.write))
        patch.setattr(Chain, "encoding", counting)
        a.set(..., on(gpu, field(True)), memory_limit="16MiB")
    assert a.last_write.asdict()["write_behind_depth"] == 2 and threading.main_thread() not in first
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], field(True))


@pytest.mark.parametrize("error", [Stop, OSError])
@pytest.mark.parametrize("place", ["load", "gather", "gathered", "emptiness", "encode", "complete", "store"])
@pytest.mark.parametrize("name", ["zstd", "sharded"])
def test_what_goes_wrong_leaves_nothing_behind(
    name: str, place: str, error: type[BaseException], tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = create(tmp_path, name, device)
    a[...] = on(device, field(False))
    owner: Any = Batches if hasattr(Batches, place) else batches
    right, calls, lock = getattr(owner, place), [], threading.Lock()

    def stops(*arguments: Any) -> Any:
        with lock:
            calls.append(1)
            number = len(calls)
        if number == 3:
            raise error
        return right(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, place, stops)
        with pytest.raises(error):
            a.set(..., on(device, field(True)), memory_limit="6MiB")
    assert not device.gpu or held(device) == 0
    assert not partial_files(tmp_path)
    now = np.moveaxis(host_array(a[...]).reshape(6, 8, 5, 8, 40), 2, 1)
    old, new = (np.moveaxis(field(noise).reshape(6, 8, 5, 8, 40), 2, 1) for noise in (False, True))
    for i in np.ndindex(6, 5):  # every chunk is the old or the new one
        for x in (slice(0, 16), slice(16, 32), slice(32, 40)):
            cell = now[i][..., x]
            assert np.array_equal(cell, old[i][..., x]) or np.array_equal(cell, new[i][..., x])
    a[...] = on(device, field(True))
    np.testing.assert_array_equal(host_array(a[...]), field(True))


def test_chunks_are_blamed_wherever_they_are_encoded(
    tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bz2 encodes on threads of the host, behind the copy."""
    a = create(tmp_path, "host codec", device)
    values = field(True)
    values[16:24, 32:, 16:32] = -1
    right = Bz2.encode

    def encode(self: Bz2, chunks: Any, spec: Any, where: Any) -> Any:
        for i in range(len(chunks)):
            if (np.asarray(chunks[i]).view("<f4") == -1).all():
                raise CodecError("it is -1", i)
        return right(self, chunks, spec, where)

    monkeypatch.setattr(Bz2, "encode", encode)
    with pytest.raises(gpuzarr.ChunkError, match=r"chunk \(2, 4, 1\) of.*bz2\): it is -1") as caught:
        a[...] = on(device, values)
    assert caught.value.chunk == (2, 4, 1) and caught.value.key == "c/2/4/1"
    assert not device.gpu or held(device) == 0


def test_a_store_that_refuses_is_named_once(tmp_path: Path, gpu: Device) -> None:
    a = create(tmp_path, "zstd", gpu)
    (tmp_path / "c/3").parent.mkdir(exist_ok=True)
    (tmp_path / "c/3").write_bytes(b"a file where a folder must be")
    with pytest.raises(gpuzarr.StoreError, match="cannot write 'c/3/"):
        a[...] = on(gpu, field(True))
    assert held(gpu) == 0 and not partial_files(tmp_path)


@pytest.mark.parametrize("name", ["zstd", "sharded", "v2 zlib"])
def test_reports_and_plans(name: str, tmp_path: Path, device: Device) -> None:
    a = create(tmp_path, name, device)
    assert a.last_write is None
    a[:16] = on(device, field(True)[:16])
    said = a.last_write.asdict()
    assert json.loads(json.dumps(said)) is not None and {"gather", "encode", "store", "call"} <= set(said["seconds"])
    objects = (1, 1, 1) if name == "sharded" else (30, 0, 0)  # a shard reaches beyond the array: what is there stays
    assert (said["chunks"], said["whole_objects"], said["partial_objects"], said["locks"]) == (30, *objects)
    assert said["value_bytes"] == 16 * 40 * 40 * 4 and said["old_bytes"] == 0
    assert (
        sum(f.stat().st_size for f in tmp_path.rglob("c/**/*") if f.is_file()) >= said["stored_bytes"] or "v2" in name
    )
    where = device.name if device.gpu else "cpu"
    codec = "zlib" if name == "v2 zlib" else "zstd"
    assert said["codecs"][-1][0].endswith(codec) and said["codecs"][-1][1] == where
    if device.gpu:
        assert said["streams"] == {"deflate" if codec == "zlib" else codec: 30} and "copy" in said["seconds"]
        assert said["fetched_bytes"] >= said["stored_bytes"] and "over the bus" in str(a.last_write)
    a[4:17, :8] = 3
    said, planned = a.last_write.asdict(), a.explain_write((slice(4, 17), slice(0, 8)))
    assert (planned.whole_objects, planned.partial_objects) == (said["whole_objects"], said["partial_objects"])
    assert said["partial_objects"] == said["locks"] == planned.locks == (4 if name == "sharded" else 6)
    assert said["batches"] == planned.batches and said["old_bytes"] > 0 and said["chunks"] == planned.chunks == 9
    assert planned.codecs == tuple(said["codecs"]) and planned.gpu_encode == "yes" and planned.because == ""
    assert json.loads(json.dumps(planned.asdict())) is not None and f"{planned.locks} locks" in str(planned)
    assert str(said["old_bytes"]) in str(a.last_write)


def test_the_plan_says_why_the_host_encodes(tmp_path: Path, gpu: Device) -> None:
    a = create(tmp_path / "a", "host codec", gpu)
    planned = a.explain_write(0)
    assert planned.gpu_encode == "no" and "bz2" in planned.because and planned.because in str(planned)
    assert planned.codecs[-1][1] == "cpu"
    large = gpuzarr.create_array(
        tmp_path / "b",
        shape=(5 << 20,),
        dtype="f4",
        chunks=(5 << 20,),
        compressors=numcodecs.LZ4(),
        zarr_format=2,
        device=gpu,
    )
    assert "at most 16777216 bytes" in large.explain_write().because
    text = gpuzarr.create_array(tmp_path / "c", shape=(5,), dtype="str", device=gpu)
    assert text.explain_write().gpu_encode == "no" and "CuPy has no dtype" in text.explain_write().because


def test_a_writer_holds_no_more_than_it_may(tmp_path: Path, gpu: Device) -> None:
    a = create(tmp_path, "sharded", gpu)
    with a.writer(max_inflight="2MiB") as w:
        for z in range(0, 48, 16):
            w[z : z + 16] = on(gpu, field(True)[z : z + 16])
    assert a.last_write.asdict()["memory_limit"] == 2 << 20 >= a.last_write.asdict()["peak_bytes"]
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], field(True))
