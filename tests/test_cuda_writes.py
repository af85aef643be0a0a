"""Whole writes on devices/cuda.py over the stub of CuPy: which stream does what, and when buffers go back."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.errors import DeviceError
from gpuzarr.write import Writing
from tests.test_cuda import Stream, stub  # noqa: F401
from tests.test_cuda_reads import VALUES, cuda  # noqa: F401


@pytest.fixture
def array(cuda, tmp_path):  # noqa: F811
    zarr.create_array(tmp_path / "a", shape=VALUES.shape, dtype="f4", chunks=(4, 256))
    return gpuzarr.open_array(tmp_path / "a", device="cuda", mode="r+", memory_limit="3MiB")


def stored(array):
    return zarr.open_array(array.store.root, mode="r")[...]


def test_copies_leave_on_a_stream_of_their_own_behind_what_encodes(cuda, array):  # noqa: F811
    mine, leaving = Stream(cuda.stream.xp, "mine"), cuda._leaving
    value = cuda.upload(VALUES)
    array.set(..., value, stream=mine)
    assert np.array_equal(stored(array), VALUES)
    report = array.last_write.asdict()
    assert report["waves"] >= 4 and report["waves_behind"] == 2
    assert len(leaving.waited) == report["waves"] and all(event.startswith("mine") for event in leaving.waited)
    assert leaving.recorded == 2 * report["waves"]  # begin and end of each copy
    assert not [event for event in mine.waited if event.startswith("copying")]  # nobody waits for them but the host
    assert set(report["seconds"]) == {"call", "gather", "encode", "copy", "store"}
    assert report["seconds"]["copy"] == pytest.approx(report["waves"] * 2e-3)
    assert cuda.held.total == 0 and cuda._pins.kept > 0
    gpuzarr.release()
    assert not {"_leaving", "_writing", "write_limit"} & set(vars(cuda))


def test_pinned_buffers_wait_until_they_are_stored(cuda, array, monkeypatch):  # noqa: F811
    events, give, store = [], cuda._pins.give, Writing._store_on_threads

    def storing(self, wave, slab, which):
        store(self, wave, slab, which)
        events.append("stored")

    monkeypatch.setattr(Writing, "_store_on_threads", storing)
    monkeypatch.setattr(cuda._pins, "give", lambda buffer: (events.append("given"), give(buffer)))
    array[...] = cuda.upload(VALUES)
    given = 0
    for event in events:  # the buffers of wave n go back when n waves are stored, at the earliest
        given += event == "given"
        if event == "given":
            assert events[: events.index("given")].count("stored") >= 1
    assert given and events[-1] == "given"
    assert events.count("stored") == array.last_write.asdict()["waves"]


def test_a_gpu_that_stopped_is_said_once_and_nothing_is_held(cuda, array, monkeypatch):  # noqa: F811
    def stopped(self):
        raise cuda.xp.cuda.runtime.CUDARuntimeError("an illegal memory access")

    value = cuda.upload(VALUES)
    with monkeypatch.context() as patch:
        patch.setattr("tests.test_cuda.Event.synchronize", stopped)
        patch.setattr(Stream, "synchronize", stopped)
        with pytest.raises(DeviceError, match="stopped"):
            array[...] = value
    assert cuda.held.total == 0 and cuda._pins.kept == 0


def test_a_writer_has_its_own_stream_behind_the_copies(cuda, array):  # noqa: F811
    writing = cuda._writing
    with array.writer() as w:
        for z in range(0, 64, 16):
            w[z : z + 16] = cuda.upload(VALUES[z : z + 16])
    assert np.array_equal(stored(array), VALUES)
    waited = [event for event in writing.waited if event.startswith("caller's")]
    assert len(waited) == 4 and waited == sorted(set(waited), key=waited.index) and writing.recorded
