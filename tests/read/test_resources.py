"""The engine: memory within its limit, nothing left behind by what goes wrong, reports that tell what was done."""

from __future__ import annotations

import gc
import json
import pickle
import threading
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest

import gpuzarr
from gpuzarr import native
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cuda.pinned import Pinned, rounded
from gpuzarr.gpu import place as gpu_place
from gpuzarr.read import batches
from gpuzarr.read.batch_in_files import InFiles
from gpuzarr.read.memory import parse_bytes
from tests.data import V2, V3, Stop, field, write
from tests.hardware import held, host_array


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path / "small", "zstd", field(True))


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("name", [*V3, *V2])
def test_memory_stays_within_its_limit(name: str, noise: bool, tmp_path: Path, gpu: Device) -> None:
    values = field(noise)
    path = write(tmp_path / "a", name, values)
    batches = []
    for limit in ("320KiB", 5 << 17):
        a = gpuzarr.open_array(path, device=gpu, memory_limit=limit)
        np.testing.assert_array_equal(host_array(a[...]), values)
        report = a.last_read.asdict()
        assert 0 < report["peak_bytes"] <= parse_bytes(limit)
        assert report["peak_bytes"] <= a.explain().planned_bytes <= parse_bytes(limit)
        batches.append(report["batches"])
        assert held(gpu) == 0
    assert batches[0] > batches[1] > 1 and batches[0] >= 5


@pytest.mark.parametrize("limit", [1, 20000])
def test_a_chunk_that_needs_more_is_read_alone(limit: int, small: Path, gpu: Device) -> None:
    a = gpuzarr.open_array(small, device=gpu)
    np.testing.assert_array_equal(host_array(a.get(memory_limit=limit)), field(True))
    report = a.last_read.asdict()
    assert report["batches"] == report["chunks"] == 90 and report["prefetch_depth"] == 0
    assert limit < report["peak_bytes"] < 120_000


def test_chunks_stored_larger_than_any_encoder_makes_them(tmp_path: Path, gpu: Device) -> None:
    values = field(False)
    path = write(tmp_path / "a", "v2 blosc", values)
    for (
        file
    ) in path.iterdir():  # numcodecs' blosc does not mind what follows, zstd frames may be followed by skippable ones
        if not file.name.startswith("."):
            frame = numcodecs.zstd.compress(numcodecs.blosc.decompress(file.read_bytes()), 1)
            file.write_bytes(frame + b"\x50\x2a\x4d\x18" + (60_000).to_bytes(4, "little") + bytes(60_000))
    metadata = json.loads((path / ".zarray").read_text()) | {"compressor": {"id": "zstd", "level": 1}}
    (path / ".zarray").write_text(json.dumps(metadata))
    a = gpuzarr.open_array(path, device=gpu, memory_limit="1MiB")
    np.testing.assert_array_equal(host_array(a[...]), values)
    assert a.last_read.asdict()["peak_bytes"] <= 1 << 20 and held(gpu) == 0


@pytest.mark.parametrize("chunks", [(1 << 10,), (1 << 17,)])
def test_a_result_is_gone_when_nobody_uses_it(chunks: tuple[int, ...], tmp_path: Path, device: Device) -> None:
    """At once, and not when garbage is collected: a loop that reads has one result at a time."""
    a = gpuzarr.create_array(tmp_path / "a", data=np.arange(1 << 19), chunks=chunks, device=device)
    gc.collect()
    gc.disable()
    try:
        for select in (..., slice(1 << 17), slice(3, 1 << 18, 2)):
            result = a[select]
            gone = weakref.ref(result)
            del result
            assert gone() is None, select
    finally:
        gc.enable()


def test_limits_are_numbers_of_bytes(small: Path) -> None:
    assert [parse_bytes(x) for x in (5, "5", "2 KiB", "1.5MiB", "3MB")] == [5, 5, 2048, 3 << 19, 3 * 10**6]
    for wrong in ("", "x", "5 XB", 0, -1, 1.5, True, "0"):
        with pytest.raises(ValueError, match="memory_limit"):
            gpuzarr.open(small, memory_limit=wrong, device="cpu")
    with pytest.raises(ValueError, match="validate"):
        gpuzarr.open(small, validate="no", device="cpu")  # type: ignore[arg-type]


def test_a_limit_on_the_cpu_makes_more_batches(small: Path) -> None:
    a = gpuzarr.open_array(small, device="cpu", memory_limit="64KiB")
    np.testing.assert_array_equal(a[...], field(True))
    assert a.explain().batches > gpuzarr.open_array(small, device="cpu").explain().batches
    assert a.explain().planned_bytes <= 64 << 10


@pytest.mark.parametrize("error", [Stop, OSError])
@pytest.mark.parametrize("stage", ["files", "fetch", "decode", "place", "complete"])
def test_an_interrupt_leaves_nothing_behind(
    stage: str, error: type[BaseException], small: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stage == "complete" and not device.gpu:
        pytest.skip("on the CPU nothing is left to complete")
    if stage == "files" and (device.gpu or native.library() is None):
        pytest.skip("the C library works on the CPU alone, where there is one")
    if stage != "files":
        monkeypatch.setattr(native, "library", lambda: None)
    a = gpuzarr.open_array(small, device=device, memory_limit="400KiB")
    on_cpu = {"fetch": (batches, "fetch_all"), "decode": (Chain, "decode"), "place": (batches, "assign")}
    on_cpu["files"] = InFiles, "_run"
    on_gpu = {"fetch": (batches, "fetch_all"), "decode": (batches, "decoded"), "place": (gpu_place, "place")}
    owner, name = (on_gpu | {"complete": (device, "checked")} if device.gpu else on_cpu)[stage]
    right, calls = getattr(owner, name), []

    def stops(work: Any, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise error
        return work(*arguments)

    def checked() -> Any:
        """What completes a launch: that is what stops, not that it is asked for."""
        return (complete := right()) and partial(stops, complete)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, checked if stage == "complete" else lambda *arguments: stops(right, *arguments))
        with pytest.raises(error):
            a[...]
    assert not device.gpu or held(device) == 0
    np.testing.assert_array_equal(host_array(a[...]), field(True))


def test_threads_read_at_once(small: Path, device: Device) -> None:
    a = gpuzarr.open_array(small, device=device, memory_limit="600KiB")
    results: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: results.append(host_array(a[...]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(np.array_equal(result, field(True)) for result in results)
    assert not device.gpu or held(device) == 0


def test_reports(small: Path, device: Device) -> None:
    a = gpuzarr.open_array(small, device=device, memory_limit="600KiB")
    assert a.last_read is None
    a[:20]
    said, text = a.last_read.asdict(), str(a.last_read)
    assert json.loads(json.dumps(said)) is not None
    assert said["chunks"] == 45 and said["batches"] == a.explain(slice(20)).batches
    assert said["stored_bytes"] > 45 * 2000 and said["result_bytes"] == 20 * 40 * 40 * 4
    where = device.name if device.gpu else "cpu"
    assert ("zstd", where) in said["codecs"] and f"zstd on {where}" in text
    assert {"storage", "decode", "place"} <= set(said["seconds"]) and said["limited_by"] in text
    if device.gpu:
        assert (
            said["streams"] == {"zstd": 45} and said["sent_bytes"] > said["stored_bytes"] and "copy" in said["seconds"]
        )
    planned = a.explain(slice(20))
    assert str(planned.memory_limit) in str(planned) and planned.asdict()["prefetch_depth"] == planned.prefetch_depth
    assert pickle.loads(pickle.dumps(gpuzarr.open_array(small, device="cpu"))).last_read is None


@pytest.mark.damaging
def test_validate_on_the_host(small: Path, gpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(gpu), "decompress", None)  # a call would be an error
    a = gpuzarr.open_array(small, device=gpu, validate="host")
    np.testing.assert_array_equal(host_array(a[...]), field(True))
    assert "validate='host'" in a.explain().because and ("zstd", "cpu") in a.last_read.asdict()["codecs"]
    damaged = next(small.rglob("c/1/*/*"))
    damaged.write_bytes(damaged.read_bytes()[:-5] + b"worse")
    with pytest.raises(gpuzarr.ChunkError, match="codec zstd"):
        a[...]
    assert held(gpu) == 0


@pytest.mark.damaging
def test_crc32c_is_compared_before_anything_is_decoded(
    tmp_path: Path, gpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a", "crc32c", field(True))
    damaged = path / "c/2/1/0"
    data = bytearray(damaged.read_bytes())
    data[100] ^= 1
    damaged.write_bytes(data)
    monkeypatch.setattr(type(gpu), "decompress", None)
    with pytest.raises(gpuzarr.ChunkError, match=r"chunk \(2, 1, 0\).*codec crc32c") as caught:
        gpuzarr.open_array(path, device=gpu)[16:24]
    assert caught.value.codec == "crc32c"


def test_pinned_buffers_are_used_again() -> None:
    made: list[int] = []
    pins = Pinned(lambda nbytes: (made.append(nbytes), np.empty(nbytes, np.uint8))[1], max_kept_bytes=100_000)
    first = pins.take(30_000)
    assert pins.take(30_000) is not first
    pins.give(first)
    assert pins.take(29_999) is first and made == [rounded(30_000)] * 2
    for buffer in [pins.take(60_000) for _ in range(3)]:
        pins.give(buffer)
    assert pins.kept_bytes <= 100_000
    pins.give(last := pins.take(50_000))
    assert pins.kept_bytes <= 100_000 and pins.take(50_000) is last  # the sizes of reads long past make room
    pins.give(pins.take(200_000))
    assert pins.kept_bytes <= 100_000
    pins.clear()
    assert pins.kept_bytes == 0
    for nbytes in range(1, 100_000, 77):
        assert nbytes <= rounded(nbytes) <= max(4096, nbytes * 9 / 8)
