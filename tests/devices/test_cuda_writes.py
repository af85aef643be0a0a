"""Whole writes on devices/cuda.py over the stub of CuPy: which stream does what, and when buffers go back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.cuda.streams import Streams
from gpuzarr.errors import DeviceError
from gpuzarr.nodes import writing
from gpuzarr.nodes.inputs import as_value
from gpuzarr.write.batches import Batches
from tests.data import LONG_ROWS as VALUES
from tests.emulator.arrays import DeviceArray, Tensor
from tests.stub_cuda import Stream


@pytest.fixture
def array(cuda, tmp_path):
    zarr.create_array(tmp_path / "a", shape=VALUES.shape, dtype="f4", chunks=(4, 256))
    return gpuzarr.open_array(tmp_path / "a", device="cuda", mode="r+", memory_limit="3MiB")


def stored(array):
    return zarr.open_array(array.store.root, mode="r")[...]


def test_copies_leave_on_a_stream_of_their_own_behind_what_encodes(cuda, array):
    mine, leaving = Stream(cuda.stream.xp, "mine"), cuda._streams["leaving"]
    value = cuda.upload(VALUES)
    array.set(..., value, stream=mine)
    assert np.array_equal(stored(array), VALUES)
    report = array.last_write.asdict()
    assert report["batches"] >= 4 and report["write_behind_depth"] == 2
    assert len(leaving.waited) == report["batches"] and all(event.startswith("mine") for event in leaving.waited)
    assert leaving.recorded == 2 * report["batches"]  # begin and end of each copy
    assert not [event for event in mine.waited if event.startswith("copying")]  # nobody waits for them but the host
    assert set(report["seconds"]) == {"call", "gather", "encode", "copy", "store"}
    assert report["seconds"]["copy"] == pytest.approx(report["batches"] * 2e-3)
    assert cuda.held.total == 0 and cuda._pins.kept_bytes > 0
    gpuzarr.release()
    assert "write_limit" not in vars(cuda)


def test_threads_sleep_while_they_wait(cuda, array, monkeypatch):
    """CUDA would have them look again and again, on cores that others store with."""
    waited = []
    monkeypatch.setattr("tests.stub_cuda.Event.synchronize", lambda event: waited.append(event.block))
    array[...] = cuda.upload(VALUES)
    written, batches = waited[:], array.last_write.asdict()["batches"]  # which waits for the last copies' times
    assert written == 3 * batches * [True]  # flags, sizes and the copy of each batch
    waited.clear()
    array[...]
    assert waited and not any(waited)


def test_pinned_buffers_wait_until_they_are_stored(cuda, array, monkeypatch):
    events, give, store = [], cuda._pins.give, Batches.store

    def storing(self, batch, encoded, which):
        store(self, batch, encoded, which)
        events.append("stored")

    monkeypatch.setattr(Batches, "store", storing)
    monkeypatch.setattr(cuda._pins, "give", lambda buffer: (events.append("given"), give(buffer)))
    array[...] = cuda.upload(VALUES)
    given = 0
    for event in events:  # the buffers of batch n go back when n batches are stored, at the earliest
        given += event == "given"
        if event == "given":
            assert events[: events.index("given")].count("stored") >= 1
    assert given and events[-1] == "given"
    assert events.count("stored") == array.last_write.asdict()["batches"]


def test_a_gpu_that_stopped_is_said_once_and_nothing_is_held(cuda, array, monkeypatch):
    def stopped(self):
        raise cuda.xp.cuda.runtime.CUDARuntimeError("an illegal memory access")

    value = cuda.upload(VALUES)
    with monkeypatch.context() as patch:
        patch.setattr("tests.stub_cuda.Event.synchronize", stopped)
        patch.setattr(Stream, "synchronize", stopped)
        with pytest.raises(DeviceError, match="stopped"):
            array[...] = value
    assert cuda.held.total == 0 and cuda._pins.kept_bytes == 0


def test_a_writer_has_its_own_stream_behind_the_copies(cuda, array):
    writing = cuda._streams["writing"]
    with array.writer() as w:
        for z in range(0, 64, 16):
            w[z : z + 16] = cuda.upload(VALUES[z : z + 16])
    assert np.array_equal(stored(array), VALUES)
    waited = [event for event in writing.waited if event.startswith("caller's")]
    assert len(waited) == 4 and waited == sorted(set(waited), key=waited.index) and writing.recorded


def test_streams_are_the_same_for_all_and_outlive_a_release(cuda):
    """Else a writer would wait for a copy on one stream, and write on another."""
    before = cuda._copying, cuda._streams["leaving"], cuda._streams["writing"]
    cuda.xp.freed.clear()
    gpuzarr.release()
    assert (cuda._copying, cuda._streams["leaving"], cuda._streams["writing"]) == before
    assert len(cuda.xp.freed) == 3  # what CuPy keeps for them, nobody else could use
    with ThreadPoolExecutor(8) as pool:
        made = Streams(lambda: (time.sleep(0.01), object()))
        assert len(set(pool.map(lambda _: id(made["copying"]), range(8)))) == 1


def test_a_value_of_the_host_may_be_changed_when_the_call_returns(cuda, monkeypatch):
    """From pinned memory a copy to the device is not done when CUDA returns."""
    events, put = [], DeviceArray.set
    monkeypatch.setattr(DeviceArray, "set", lambda *args: (events.append("begun"), put(*args)))
    monkeypatch.setattr(Stream, "synchronize", lambda stream: events.append("waited"))
    as_value(VALUES, VALUES.dtype, VALUES.shape, cuda)
    assert events == ["begun", "waited"]


def test_a_writer_looks_at_values_on_their_gpu(cuda, array, monkeypatch):
    seen, runtime = [], cuda.xp.cuda.runtime
    monkeypatch.setattr(runtime, "current", 1)
    look = lambda *args: (seen.append(runtime.current), as_value(*args))[1]  # noqa: E731
    monkeypatch.setattr(writing, "as_value", look)
    with array.writer() as w:
        w[...] = VALUES
    assert seen == [0] and runtime.current == 1
    assert np.array_equal(stored(array), VALUES)


def test_a_value_of_another_gpu_is_refused(cuda, array, monkeypatch):
    """What makes it there is on streams that nothing here waits for."""

    def address(self, data):
        raise DeviceError("an array of cuda:1 cannot be used by cuda:0")

    value = cuda.upload(VALUES)
    monkeypatch.setattr(type(cuda), "address", address)
    for other in (value, Tensor(VALUES, 2)):
        with pytest.raises(DeviceError, match="of cuda:1"):
            as_value(other, VALUES.dtype, VALUES.shape, cuda)


def test_a_writer_is_done_with_the_memory_of_others_when_it_returns(cuda, array, monkeypatch):
    """torch or JAX may use it again at once, on streams of theirs; what is CuPy's is in the order of the stream."""
    waited = []
    monkeypatch.setattr(cuda, "seconds", lambda begin, end: waited.append(end.name))
    with array.writer() as w:
        w[:16] = Tensor(VALUES[:16], 2)
        w[16:32] = cuda.upload(VALUES[16:32])
        assert len(waited) == 1
        w[32:] = VALUES[32:]
    assert len(waited) == 2
    assert all(event.startswith("caller's") for event in waited)
    assert np.array_equal(stored(array), VALUES)


@pytest.mark.parametrize("where", [1, 3, 2])
def test_arrays_of_others_by_dlpack(tmp_path, gpu, where):
    """Of host memory (1), of pinned memory (3), of a GPU (2): CuPy itself takes only the last."""
    if gpu.name != "emulated" and where == 2:
        pytest.skip("the memory is not on a GPU")
    a = gpuzarr.create_array(tmp_path / "a", shape=(6, 5), dtype="f4", chunks=(4, 4), device=gpu)
    values = np.arange(30, dtype="f4").reshape(6, 5)
    a[...] = Tensor(values, where)
    assert np.array_equal(zarr.open_array(tmp_path / "a", mode="r")[...], values)
