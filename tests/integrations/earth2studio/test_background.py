"""Writing while the model computes: copies, errors that come later, and backends that nobody closes."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.earth2studio import ZarrBackend
from gpuzarr.errors import GpuZarrWarning
from tests.data import environ

STEPS = {"lead_time": np.arange(8)}
COORDS = STEPS | {"lat": np.arange(16.0)}


class Flaky(dict[str, bytes]):
    """A store that refuses objects whose keys begin with `refused`."""

    refused: tuple[str, ...] = ()

    def __setitem__(self, key: str, value: bytes) -> None:
        if key.startswith(self.refused):
            raise OSError("no space left")
        super().__setitem__(key, value)


def step(io: ZarrBackend, i: int, names: list[str] | None = None, value: float | None = None) -> None:
    names = names or ["t"]
    values = np.full((1, 16), i + 1 if value is None else value, "float32")
    io.write([values] * len(names), COORDS | {"lead_time": STEPS["lead_time"][i : i + 1]}, names)


@pytest.mark.parametrize("shards", [{}, {"lead_time": 4}])
def test_memory_may_be_used_again(shards: dict[str, int], tmp_path: Path) -> None:
    values = np.zeros((1, 16), "float32")
    with ZarrBackend(tmp_path, STEPS, shard_coords=shards, blocking=False) as io:
        for i in range(8):
            values[:] = i
            io.write(values, COORDS | {"lead_time": STEPS["lead_time"][i : i + 1]}, "t")
        values[:] = -1
    np.testing.assert_array_equal(gpuzarr.open(tmp_path)["t"][:, 3], np.arange(8))


def test_blocking_writes_are_stored_when_they_return() -> None:
    io = ZarrBackend(None, STEPS)
    step(io, 2)
    step(io, 4, ["t", "t"])
    assert not io._writers.are_open and gpuzarr.open(io.store)["t"][:, 0].tolist() == [0, 0, 3, 0, 5, 0, 0, 0]


def test_the_backend_flushes_before_it_reads(tmp_path: Path) -> None:
    io = ZarrBackend(tmp_path, STEPS, shard_coords={"lead_time": 8}, blocking=False)
    for i in range(3):
        step(io, i)
        np.testing.assert_array_equal(io["t"][:, 0], [*range(1, i + 2), *[0] * (7 - i)])
    step(io, 7)
    io.close()
    assert gpuzarr.open(tmp_path)["t"][:, 0].tolist() == [1, 2, 3, 0, 0, 0, 0, 8]
    step(io, 5)  # a backend that was closed may go on
    assert io["t"][5, 0] == 6


def test_shards_are_written_once(tmp_path: Path) -> None:
    """A shard is a file when it is full, and no earlier."""
    with ZarrBackend(tmp_path, STEPS, shard_coords={"lead_time": 4}) as io:
        for i in (0, 1, 4, 2):
            step(io, i)
        assert not list((tmp_path / "t").rglob("c/*/0"))
        step(io, 3)
    assert {file.parent.name for file in (tmp_path / "t").rglob("c/*/0")} == {"0", "1"}


@pytest.mark.parametrize("shards", [{}, {"lead_time": 4}])
def test_a_failure_is_raised_by_a_later_call(shards: dict[str, int]) -> None:
    store = Flaky()
    io = ZarrBackend(store, STEPS, shard_coords=shards, blocking=False, zarr_codecs=None)
    io.add_array(COORDS, ["t", "u"])
    step(io, 0, ["t", "u"])
    io.flush()
    store.refused = ("t/c", "u/c")
    with pytest.raises(OSError, match="no space left"):
        for i in range(1, 8):
            step(io, i, ["t", "u"])
        io.close()
    with suppress(OSError):  # of the other array
        io.close()
    store.refused = ()
    for i in range(8):
        step(io, i, ["t", "u"])
    io.close()
    for name in "tu":
        np.testing.assert_array_equal(io[name][:, 0], np.arange(1, 9))


def test_all_arrays_are_flushed_where_one_fails() -> None:
    store = Flaky()
    io = ZarrBackend(store, STEPS, shard_coords={"lead_time": 8}, blocking=False)
    step(io, 0, ["t", "u", "v"])
    store.refused = ("u/c",)
    with pytest.raises(OSError, match="no space left"):
        io.flush()
    assert io["t"][0, 0] == io["v"][0, 0] == 1 and io["u"][0, 0] == 0


def test_a_value_that_is_refused_costs_no_other() -> None:
    io = ZarrBackend(None, STEPS, shard_coords={"lead_time": 8}, blocking=False)
    io.add_array(COORDS, "t", dtype="int16")
    step(io, 0)
    with pytest.raises(gpuzarr.ValueKindError, match=r"NaN|nan|int16"):
        step(io, 1, value=np.nan)
    step(io, 2)
    assert io["t"][:3, 0].tolist() == [1, 0, 3]


def test_an_error_in_the_block_is_the_one_raised() -> None:
    store = Flaky()
    with pytest.raises(ZeroDivisionError), ZarrBackend(store, STEPS, blocking=False) as io:
        io.add_array(COORDS, "t")
        store.refused = ("t/c",)
        step(io, 0)
        raise ZeroDivisionError


def test_arrays_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, writer = [], gpuzarr.Array.writer

    def noted(self: Any, max_inflight: Any, **options: Any) -> Any:
        limits.append(max_inflight)
        return writer(self, max_inflight, **options)

    monkeypatch.setattr(gpuzarr.Array, "writer", noted)
    with ZarrBackend(None, STEPS, blocking=False, max_inflight=4000) as io:
        step(io, 0, ["a", "b", "c", "d"])
    assert limits == [1000] * 4


def test_what_a_dropped_backend_was_given_is_stored() -> None:
    store: dict[str, bytes] = {}
    io = ZarrBackend(store, STEPS, shard_coords={"lead_time": 8}, blocking=False)
    step(io, 3)
    before = set(threading.enumerate())
    with pytest.warns(GpuZarrWarning, match=r"a ZarrBackend was not closed; call its close\(\)"):
        del io
        gc.collect()
    for thread in set(threading.enumerate()) - before:
        if not thread.daemon:
            thread.join()
    assert gpuzarr.open(store)["t"][:, 0].tolist() == [0, 0, 0, 4, 0, 0, 0, 0]


def test_what_was_given_before_the_end_of_the_process_is_stored(tmp_path: Path) -> None:
    program = f"""
import numpy as np
from gpuzarr.earth2studio import ZarrBackend
steps = {{"lead_time": np.arange(8)}}
io = ZarrBackend({str(tmp_path)!r}, steps, shard_coords={{"lead_time": 8}}, blocking=False)
for i in range(3):
    io.write(np.full((1, 5000), i + 1.0), {{"lead_time": np.array([i]), "x": np.arange(5000)}}, "t")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ(), timeout=100
    )
    assert "a ZarrBackend was not closed" in done.stderr and "Traceback" not in done.stderr
    np.testing.assert_array_equal(gpuzarr.open(tmp_path)["t"][:, -1], [1, 2, 3, 0, 0, 0, 0, 0])


def test_a_blocking_write_raises_what_fails_and_writes_the_other_arrays() -> None:
    store = Flaky()
    io = ZarrBackend(store, STEPS)
    io.add_array(COORDS, ["t", "u", "v"])
    store.refused = ("u/c",)
    with pytest.raises(OSError, match="no space left"):
        step(io, 0, ["t", "u", "v"])
    assert not io._writers.are_open
    found = gpuzarr.open(dict(store))
    assert [found[name][0, 0] for name in "tuv"] == [1, 0, 1]


def test_two_processes_fill_the_same_shards(tmp_path: Path) -> None:
    """Also those who make the arrays: neither loses what the other has written."""
    program = """
import sys, numpy as np
from gpuzarr.earth2studio import ZarrBackend
steps = {"lead_time": np.arange(8)}
with ZarrBackend(sys.argv[1], steps, shard_coords={"lead_time": 4}, blocking=False) as io:
    for i in range(int(sys.argv[2]), 8, 2):
        io.write(np.full((1, 16), i + 1.0), {"lead_time": np.array([i]), "lat": np.arange(16.0)}, "t")
"""
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(rank)], env=environ()) for rank in (0, 1)
    ]
    assert [process.wait(100) for process in started] == [0, 0]
    np.testing.assert_array_equal(gpuzarr.open(tmp_path)["t"][:, 7], np.arange(1, 9))


def test_a_coordinate_that_another_process_is_storing_is_awaited() -> None:
    """Its metadata are there before its values."""
    store: dict[str, bytes] = {}
    ZarrBackend(store, STEPS).add_array(COORDS, "t")
    values = store.pop("lead_time/c/0")
    timer = threading.Timer(0.2, store.__setitem__, ("lead_time/c/0", values))
    timer.start()
    io = ZarrBackend(store, STEPS)
    timer.join()
    step(io, 2)
    assert io["t"][:, 0].tolist() == [0, 0, 3, 0, 0, 0, 0, 0]
