"""Whole reads on devices/cuda.py over the stub of CuPy: which stream does what, which GPU, and what a fork does."""

from __future__ import annotations

import multiprocessing
import os
import pickle

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.cuda import device as module
from gpuzarr.errors import DeviceError
from tests.data import LONG_ROWS as VALUES
from tests.stub_cuda import Stream


@pytest.fixture
def path(tmp_path):
    zarr.create_array(tmp_path / "a", shape=VALUES.shape, dtype="f4", chunks=(4, 256))[...] = VALUES
    return tmp_path / "a"


def test_copies_run_beside_and_results_on_the_callers_stream(cuda, path):
    mine = Stream(cuda.stream.xp, "mine")
    a = gpuzarr.open_array(path, device="cuda", memory_limit="400KiB")
    cuda.xp.made.clear()
    values = a.get(stream=mine)
    assert np.array_equal(cuda.download(values), VALUES)
    report = a.last_read.asdict()
    batches, copying = report["batches"], cuda._copying
    assert batches > 3 and not copying.waited
    waited = [event for event in mine.waited if event.startswith("copying")]
    assert waited == [f"copying {2 * i + 2}" for i in range(batches)]  # the end of each copy, in order
    memory = [name for name, _ in cuda.xp.made]
    assert memory[0] == "mine" and memory.count("copying") == batches and set(memory) == {"mine", "copying"}
    assert report["seconds"]["copy"] == pytest.approx(batches * 2e-3) and report["peak_bytes"] <= 400 << 10
    assert cuda.held.total == 0 and cuda._pins.kept_bytes > 0
    gpuzarr.release()
    assert cuda._pins.kept_bytes == 0 and "_pool" not in vars(cuda)
    assert np.array_equal(cuda.download(a[...]), VALUES)


@pytest.mark.parametrize("lanes", [2, 3])
def test_batches_that_are_decoded_at_once_have_streams_of_their_own(cuda, path, lanes):
    """Behind what the caller's stream has to do before, none behind another, and before what the caller does next."""
    mine, cuda.concurrent_batches = Stream(cuda.stream.xp, "mine"), lanes
    for name in ("copying", *(f"decoding {i}" for i in range(lanes))):
        cuda._streams[name].name = name
    a = gpuzarr.open_array(path, device="cuda", memory_limit="800KiB")
    cuda.xp.made.clear()
    values = a.get(stream=mine)
    assert np.array_equal(cuda.download(values), VALUES)
    report = a.last_read.asdict()
    assert report["batches"] > lanes + 1 and report["peak_bytes"] <= 800 << 10 and cuda.held.total == 0
    memory = [name for name, _ in cuda.xp.made]
    assert memory[0] == "mine" and memory.count("mine") == 1 and cuda._launch_lock._last is None
    for i in range(lanes):
        waited = cuda._streams[f"decoding {i}"].waited
        assert f"decoding {i}" in memory and waited[0] == "mine 1"
        assert {event.rpartition(" ")[0] for event in waited[1:]} == {"copying"}
    assert [event.rpartition(" ")[0] for event in mine.waited] == [f"decoding {i}" for i in range(lanes)]


@pytest.mark.parametrize("codec", ["zstd", "gzip", "blosc", "bits", "bz2"])
@pytest.mark.parametrize("where", ["gpu", "host"])
@pytest.mark.parametrize("concurrent", [1, 2])
def test_memory_that_is_really_taken_stays_within_the_limit(cuda, tmp_path, codec, where, concurrent):
    """Counted where it is allocated: device memory that lives, and all pinned memory that was ever locked."""
    values = np.random.default_rng(0).normal(size=(192, 4096)).round(1).astype("f4")
    compressors = {
        "zstd": zarr.codecs.ZstdCodec(),
        "gzip": zarr.codecs.GzipCodec(level=1),
        "blosc": zarr.codecs.BloscCodec(cname="zstd", shuffle="shuffle", typesize=4),
        "bits": zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=4),
        "bz2": zarr.codecs.numcodecs.BZ2(level=1),
    }[codec]
    path, limit, cuda.cost = tmp_path / codec, 2 << 20, Costs(where=where)
    cuda.concurrent_batches = concurrent
    zarr.create_array(path, shape=values.shape, dtype="f4", chunks=(8, 1024), compressors=compressors)[...] = values
    a, xp = gpuzarr.open_array(path, device="cuda", memory_limit=limit), cuda.stream.xp
    out = xp.empty(values.shape, "f4")
    before, xp.most, xp.pinned = xp.live, 0, 0
    found = a.get(..., out=out)
    assert a.last_read.asdict()["batches"] > 3
    assert (0.3 if concurrent == 1 else 0.2) * limit < xp.most - before + xp.pinned <= limit
    assert np.array_equal(cuda.download(found), values)


def test_pinned_buffers_wait_for_their_batch(cuda, path, monkeypatch):
    """A buffer is given back only after what was launched behind the copy out of it was seen to be done."""
    done, given = [], []
    fetch, give = module.Cuda.download_async, cuda._pins.give

    def fetching(self, data):
        wait = fetch(self, data)
        return lambda: (done.append(1), wait())[1]

    monkeypatch.setattr(module.Cuda, "download_async", fetching)
    monkeypatch.setattr(cuda._pins, "give", lambda buffer: (given.append(len(done)), give(buffer)))
    a = gpuzarr.open_array(path, device="cuda", memory_limit="400KiB")
    a[...]
    batches = a.last_read.asdict()["batches"]
    assert len(done) == batches and sorted(set(given)) == list(range(1, batches + 1)) and given == sorted(given)


def test_after_an_error_the_host_waits_before_buffers_are_used_again(cuda, path, monkeypatch):
    waited = []
    a = gpuzarr.open_array(path, device="cuda", memory_limit="400KiB")
    calls = []

    def decompress(self, *streams):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        right(self, *streams)

    right = module.Cuda.decompress
    with monkeypatch.context() as patch:
        patch.setattr(module.Cuda, "decompress", decompress)
        patch.setattr(Stream, "synchronize", lambda self: waited.append(self.name))
        patch.setattr(cuda._pins, "give", lambda buffer: waited.append("given"))
        with pytest.raises(KeyboardInterrupt):
            a[...]
    assert waited[:2] == ["copying", "caller's"] and "given" in waited[2:]
    assert cuda.held.total == 0 and not cuda._launch_lock._lock.locked()
    assert np.array_equal(cuda.download(a[...]), VALUES)


def test_a_gpu_that_stopped_gives_no_buffers_back(cuda, path, monkeypatch):
    def stopped(self):
        raise cuda.xp.cuda.runtime.CUDARuntimeError("an illegal memory access")

    a = gpuzarr.open_array(path, device="cuda", memory_limit="400KiB")
    with monkeypatch.context() as patch:
        patch.setattr("tests.stub_cuda.Event.synchronize", stopped)
        patch.setattr(Stream, "synchronize", stopped)
        with pytest.raises(DeviceError, match="stopped"):
            a[...]
    assert cuda.held.total == 0 and cuda._pins.kept_bytes == 0


def test_no_pinned_memory_is_no_memory(cuda, path, monkeypatch):
    def refused(nbytes):
        error = cuda.xp.cuda.runtime.CUDARuntimeError("out of memory")
        error.status = 2
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(cuda.xp.cuda, "PinnedMemory", refused)
        patch.setattr(cuda.xp.cuda, "alloc_pinned_memory", refused)
        with pytest.raises(MemoryError, match=r"no 4 bytes of pinned memory"):
            cuda.download(cuda.upload(np.arange(4, dtype="u1")))
        with pytest.raises(MemoryError, match=r"no .* bytes of pinned memory") as caught:
            gpuzarr.open_array(path, device="cuda")[...]
    assert isinstance(caught.value, gpuzarr.GpuZarrError) and str(path) in str(caught.value)
    assert np.array_equal(cuda.download(gpuzarr.open_array(path, device="cuda")[...]), VALUES)


def test_what_has_no_axes_is_downloaded(cuda):
    found = cuda.download(cuda.upload(np.array(7, "u2")))
    assert found.shape == () and found == 7


def test_the_current_gpu_is_meant(cuda, path):
    runtime = cuda.xp.cuda.runtime
    runtime.setDevice(1)
    assert [gpuzarr.open_array(path, device=name).device.name for name in ("cuda", "auto", "cuda:0")] == [
        "cuda:1",
        "cuda:1",
        "cuda:0",
    ]
    a = gpuzarr.open_array(path)
    runtime.setDevice(0)
    cuda.xp.made.clear()
    assert np.array_equal(a.device.download(a[...]), VALUES)
    assert {gpu for _, gpu in cuda.xp.made} == {1} and runtime.current == 0
    assert a.device.memory_limit == 1 << 18


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_a_fork_there_is_a_clear_error(cuda, path):
    a = gpuzarr.open_array(path, device="cuda")
    a[...]
    answer, send = os.pipe()
    if (child := os.fork()) == 0:
        said = []
        for use in (
            lambda: a[...],
            lambda: cuda.upload(np.zeros(3)),
            lambda: cuda.empty(3),
            lambda: cuda.on().__enter__(),
        ):
            try:
                use()
                said.append("nothing")
            except DeviceError as error:
                said.append(str(error))
        os.write(send, "\n".join(said).encode())
        os._exit(0)
    os.close(send)
    said = os.read(answer, 10000).decode().splitlines()
    os.close(answer)
    assert os.waitpid(child, 0)[1] == 0
    assert len(said) == 4 and all("before the fork" in line and "spawn" in line for line in said)
    assert np.array_equal(cuda.download(a[...]), VALUES)


def _reads(array, total):
    assert float(array[...].sum()) == total


def test_spawned_processes_read_pickled_arrays(path):
    a = gpuzarr.open_array(path, device="cpu", memory_limit="400KiB")
    process = multiprocessing.get_context("spawn").Process(target=_reads, args=(a, float(a[...].sum())))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert pickle.loads(pickle.dumps(a)).options == a.options


def test_warmup(cuda, monkeypatch):
    gpuzarr.warmup("cpu")
    gpuzarr.warmup(cuda)
    names = {name for _, name, _ in cuda._functions}
    assert {"place", "place_planes_1", "place_planes_4"} < names
    assert {"unshuffle", "bitunshuffle", "crc32", "adler32_sums", "copy", "bad_status", "bad_checksum"} <= names
