"""The reads and writes of a process take turns on a device, and share its memory limit."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.integrations.dask import turns
from gpuzarr.nodes.array import Array
from tests.hardware import on

da = pytest.importorskip("dask.array")
THREADS, LIMIT = 12, 1 << 20


class Gate:
    """Stands before each call: counts how many are within, and lets none out until no more come in."""

    def __init__(self, most: int) -> None:
        self.changed, self.within, self.highest, self.limits = threading.Condition(), 0, 0, list[int]()
        self.most = most

    def __call__(self, limit: int) -> None:
        with self.changed:
            self.within += 1
            self.highest = max(self.highest, self.within)
            self.limits.append(limit)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.highest >= self.most, timeout=20)
            self.within -= 1


@pytest.fixture
def read_gate(device: Device, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate before each read of an array."""
    gate, read = Gate(turns.at_once(device)), Array.read_elements

    def gated(self: Array, elements: Any, fields: Any = None, out: Any = None, options: Any = None, **more: Any) -> Any:
        if 0 not in elements.shape:
            gate(options.memory_limit)
        return read(self, elements, fields, out, options, **more)

    monkeypatch.setattr(Array, "read_elements", gated)
    return gate


def test_reads_together_hold_no_more_than_one(device: Device, read_gate: Gate) -> None:
    values = np.arange(64.0)
    a = gpuzarr.create_array({}, data=on(device, values), chunks=1, device=device)
    a = Array(a.store, a.path, a.metadata, device, options=a.options.changed(memory_limit=LIMIT))
    total = gpuzarr.to_dask(a).map_blocks(lambda block: block).compute(scheduler="threads", num_workers=THREADS)
    np.testing.assert_array_equal(device.download(total) if device.gpu else total, values)
    assert read_gate.highest == turns.at_once(device) < THREADS and len(read_gate.limits) == 64
    assert turns.at_once(device) * max(read_gate.limits) <= LIMIT


def test_blocks_of_xarray_take_turns_too(device: Device, read_gate: Gate, tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    gpuzarr.create_array(tmp_path, name="v", data=np.arange(64.0), chunks=1, dimension_names=["x"])
    lazy = xr.open_dataset(tmp_path, engine="gpuzarr", chunks={}, device=device, memory_limit=LIMIT)["v"].data
    read_gate.limits.clear()
    total = lazy.map_blocks(lambda block: block).compute(scheduler="threads", num_workers=THREADS)
    np.testing.assert_array_equal(device.download(total) if device.gpu else total, np.arange(64.0))
    assert read_gate.highest == turns.at_once(device) < THREADS and len(read_gate.limits) == 64
    assert turns.at_once(device) * max(read_gate.limits) <= LIMIT


def test_writes_of_a_gpu_take_turns(gpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, write = Gate(turns.at_once(gpu)), Array.set

    def gated(self: Array, selection: Any, value: Any, **options: Any) -> None:
        gate(options["memory_limit"])
        write(self, selection, value, **options)

    monkeypatch.setattr(Array, "set", gated)
    x = da.arange(64.0, chunks=1)
    write_all = gpuzarr.from_dask(x, {}, chunks=1, device=gpu, compute=False)
    assert write_all.compute(scheduler="threads", num_workers=THREADS) == 64
    assert gate.highest == turns.at_once(gpu)
    assert turns.at_once(gpu) * max(gate.limits) <= gpu.write_limit


def test_elements_of_any_length_keep_the_limit_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may allow for a long element, which a share would not; so there is one such read at a time."""
    gate, read = Gate(1), Array.read_elements

    def gated(self: Array, elements: Any, fields: Any, out: Any, options: Any, **more: Any) -> Any:
        gate(options.memory_limit)
        return read(self, elements, fields, out, options, **more)

    a = gpuzarr.create_array({}, data=np.array(["a"] * 30, np.dtypes.StringDType()), chunks=1, device="cpu")
    a = Array(a.store, a.path, a.metadata, "cpu", options=a.options.changed(memory_limit=LIMIT))
    x = gpuzarr.to_dask(a)
    monkeypatch.setattr(Array, "read_elements", gated)
    assert x.compute(scheduler="threads", num_workers=THREADS).tolist() == ["a"] * 30
    assert gate.highest == 1 and set(gate.limits) == {LIMIT}


def test_turns_come_back_after_errors(device: Device) -> None:
    def fail(share: int) -> None:
        raise KeyboardInterrupt

    for _ in range(3 * turns.at_once(device)):
        with pytest.raises(KeyboardInterrupt):
            turns.in_turn(device, "test", 100, fail)
        with pytest.raises(KeyboardInterrupt):
            turns.alone(device, "test", 100, fail)
    assert turns.in_turn(device, "test", 100, lambda share: share) == max(100 // turns.at_once(device), 1)
    assert turns.alone(device, "test", 100, lambda share: share) == 100


def test_a_nested_call_of_another_kind_does_not_wait(device: Device) -> None:
    within = turns.in_turn(device, "read", 8, lambda _: turns.in_turn(device, "write", 8, lambda share: share))
    assert within == max(8 // turns.at_once(device), 1)


def test_who_needs_all_waits_for_those_with_shares(device: Device) -> None:
    """And none begins beside it."""
    events, within, go = list[str](), threading.Event(), threading.Event()

    def share(limit: int) -> None:
        within.set()
        go.wait(20)
        events.append("share")

    first = threading.Thread(target=turns.in_turn, args=(device, "test", LIMIT, share))
    first.start()
    within.wait(20)
    second = threading.Thread(target=turns.alone, args=(device, "test", LIMIT, lambda limit: events.append("all")))
    second.start()
    second.join(0.1)
    assert not events and second.is_alive()
    go.set()
    first.join(20)
    second.join(20)
    assert events == ["share", "all"]
    turns.in_turn(device, "test", LIMIT, share)
    assert events[-1] == "share"
