"""A GPU always has the next batch's work before the host waits for anything of a batch; and what goes wrong behind
it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.data import SHAPE, V2, create, field, partial_files
from tests.hardware import held, host_array, on

SECONDS = 10  # after which a wait is in the way of what it waits for
FLAGS, SIZES, CHECKS = np.uint32, np.uint64, np.int32  # what a batch fetches


class Watch:
    """Holds every wait for something of a batch until the next batch is launched, and fails if that never comes."""

    def __init__(self, device: Any, patch: pytest.MonkeyPatch) -> None:
        self.launched: Counter[str] = Counter()
        self.waits: list[tuple[Any, bool]] = []  # what was waited for, and whether it was by the launching thread
        self._fetched: Counter[Any] = Counter()
        self._batches, self._change = 0, threading.Condition()
        self._run, self._fetch, self._compress = device.run, device.download_async, device.compress
        self._kernel = device.kernel
        for name in ("run", "download_async", "compress", "kernel"):
            patch.setattr(device, name, getattr(self, name))

    def run(self, load: Any, finish: Any, batches: Any, trace: Any = None) -> None:
        batches = list(batches)
        self._batches = len(batches)
        self.launched.clear()
        self._fetched.clear()
        self._run(load, finish, batches, trace)

    def kernel(self, file: str, name: str, width: int | None = None) -> Any:
        found = self._kernel(file, name, width)
        return lambda *launch: (found(*launch), self._count(name))

    def compress(self, *streams: Any) -> Any:
        made = self._compress(*streams)
        self._count("compress")
        return made

    def _count(self, name: str) -> None:
        with self._change:
            self.launched[name] += 1
            self._change.notify_all()

    def download_async(self, data: Any) -> Callable[[], np.ndarray]:
        done, kind = self._fetch(data), data.dtype.type
        number = self._fetched[kind]
        self._fetched[kind] += 1
        return lambda: (self._wait(kind, number), done())[1]

    def _wait(self, kind: Any, batch: int) -> None:
        name, least = ("fill_differs" if kind is FLAGS else "compress"), min(batch + 2, self._batches)
        self.waits.append((kind, threading.current_thread() is threading.main_thread()))
        with self._change:
            assert self._change.wait_for(lambda: self.launched[name] >= least, SECONDS), f"{name} of {batch} waits"
            if kind is FLAGS:  # the GPU has the batch before to encode meanwhile
                assert self.launched["compress"] >= batch


@pytest.fixture(params=["emulated", "stub"])
def both(request: pytest.FixtureRequest, gpu: Device) -> Iterator[Any]:
    """The emulated device, and devices/cuda.py on the stub of CuPy."""
    if gpu.name != "emulated":
        pytest.skip("a real GPU keeps its order of launches to itself")
    yield gpu if request.param == "emulated" else request.getfixturevalue("cuda")


@pytest.mark.parametrize("name", ["zstd", "blosc-zstd", "crc32c", "sharded", "transpose", *V2])
def test_the_next_batch_is_launched_before_the_host_waits(
    name: str, both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = create(tmp_path, name, both)
    value, limit = on(both, field(True)), 2 << 20
    with monkeypatch.context() as patch:
        watch = Watch(both, patch)
        a.set(..., value, memory_limit=limit)
    report = a.last_write.asdict()
    assert report["batches"] >= 4 and report["write_behind_depth"] >= 1 and report["peak_bytes"] <= limit
    assert watch.waits.count((FLAGS, True)) == watch.waits.count((SIZES, False)) == report["batches"]
    assert len(watch.waits) == 2 * report["batches"] and held(both) == 0
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], field(True))


@pytest.mark.parametrize("name", ["zstd", "sharded"])
def test_so_it_is_where_old_chunks_are_read(
    name: str, both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = create(tmp_path, name, both)
    a[...] = on(both, field(True))
    value, limit = on(both, field(True)[1:47, :, 3] + 1), 2 << 20
    with monkeypatch.context() as patch:
        watch = Watch(both, patch)
        a.set((slice(1, 47), slice(None), 3), value, memory_limit=limit)
    report = a.last_write.asdict()
    assert report["batches"] >= 4 and report["old_bytes"] and report["peak_bytes"] <= limit
    assert watch.waits.count((SIZES, False)) == watch.waits.count((CHECKS, False)) == report["batches"]
    expected = field(True)
    expected[1:47, :, 3] += 1
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], expected)


@pytest.mark.parametrize("name", ["zstd", "raw", "sharded", "v2 blosc", "host codec"])
@pytest.mark.parametrize("limit", [1, "4MiB"])
def test_empty_chunks_are_neither_encoded_nor_stored(limit: Any, name: str, tmp_path: Path, gpu: Device) -> None:
    values = np.full(SHAPE, 7, "<f4")
    values[::9, ::11, ::17] = 1
    values[8:24] = 7  # and whole batches of nothing else
    a = create(tmp_path, name, gpu)
    a.set(..., on(gpu, values), memory_limit=limit)
    report = a.last_write.asdict()
    cells = values.reshape(6, 8, 5, 8, 40)
    is_empty = sum(
        bool((cells[z, :, y, :, x : x + 16] == 7).all()) for z in range(6) for y in range(5) for x in range(0, 40, 16)
    )
    assert 0 < is_empty == report["empty_chunks"] < report["chunks"] == 90 and held(gpu) == 0
    streams = sum(report["streams"].values())
    assert streams == (90 - is_empty) * streams // max(90 - is_empty, 1)
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], values)


@pytest.mark.parametrize("kind", [FLAGS, SIZES, CHECKS])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_wait_that_fails_leaves_nothing_behind(
    kind: Any, error: type[BaseException], both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = create(tmp_path, "sharded", both)
    a[...] = on(both, field(False))
    value, calls, right = on(both, field(True)[1:47, :, 3]), Counter[Any](), both.download_async

    def fetch(data: Any) -> Callable[[], np.ndarray]:
        calls[data.dtype.type] += 1
        if data.dtype.type is not kind or calls[kind] != 3:
            return right(data)

        def stop() -> np.ndarray:
            raise error

        return stop

    with monkeypatch.context() as patch:
        patch.setattr(both, "download_async", fetch)
        with pytest.raises(error):
            a.set((slice(1, 47), slice(None), 3), value, memory_limit="2MiB")
    assert held(both) == 0 and not partial_files(tmp_path)
    np.testing.assert_array_equal(np.delete(host_array(a[...]), 3, 2), np.delete(field(False), 3, 2))
    a.set((slice(1, 47), slice(None), 3), value, memory_limit="2MiB")
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[1:47, :, 3], field(True)[1:47, :, 3])


@pytest.mark.parametrize("name", ["zstd", "crc32c", "sharded"])
def test_a_batch_that_nvcomp_refuses_is_encoded_on_the_host(
    name: str, gpu: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if gpu.name != "emulated":
        pytest.skip("nvCOMP does not fail on demand")
    from tests.emulator.library import Library

    a = create(tmp_path, name, gpu)
    one, seen = Library.compressor.one, []

    def fail(form: str, source: Any, target: Any, options: Any) -> Any:
        seen.append(form)
        return (1, 7) if len(seen) == 20 else one(form, source, target, options)

    monkeypatch.setattr(Library.compressor, "one", fail)
    a.set(..., on(gpu, field(True)), memory_limit="2MiB")
    assert 0 < a.last_write.asdict()["host_chunks"] < 90 and held(gpu) == 0
    seen.clear()
    a.set((slice(1, 47), slice(1, None), 3), on(gpu, field(True)[1:47, 1:, 3] + 1), memory_limit="2MiB")
    assert a.last_write.asdict()["host_chunks"] > 0 and held(gpu) == 0
    expected = field(True)
    expected[1:47, 1:, 3] += 1
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], expected)


def test_the_damaged_old_chunk_is_blamed(tmp_path: Path, device: Device) -> None:
    """Of those that are there, when others of the batch are missing."""
    a = create(tmp_path, "zstd", device)
    a[8:, 8:] = on(device, field(True)[8:, 8:])
    damaged = tmp_path / "c/3/2/1"
    encoded = bytearray(damaged.read_bytes())
    encoded[4:] = bytes(len(encoded) - 4)
    damaged.write_bytes(encoded)
    with pytest.raises(gpuzarr.ChunkError) as caught:
        a[25:26] = 3
    assert caught.value.chunk == (3, 2, 1) and caught.value.key == "c/3/2/1"
    assert damaged.read_bytes() == encoded
    assert not device.gpu or held(device) == 0


@pytest.mark.parametrize("name", ["zstd", "gzip", "crc32c", "raw", "v2 blosc", "host codec", "transpose"])
def test_memory_that_is_allocated_stays_within_the_limit(name: str, cuda: Any, tmp_path: Path) -> None:
    """Counted where it is allocated: device memory that lives, and all pinned memory that was ever locked."""
    a, xp, limit = create(tmp_path, name, cuda), cuda.stream.xp, 2 << 20
    values = field(True)
    values[::3] = 7
    values[::16] = 7
    value = on(cuda, values)
    before, xp.most, xp.pinned = xp.live, 0, 0
    a.set(..., value, memory_limit=limit)
    assert a.last_write.asdict()["batches"] >= 3
    assert 0.1 * limit < xp.most - before + xp.pinned <= limit
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], values)
