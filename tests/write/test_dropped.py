"""Writers and sinks that nobody closes: nothing of them is left, and nothing is written any more."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.stores.local.overwriter import Overwriter
from gpuzarr.stores.local.store import LocalStore
from tests.attack.rounds import FACTOR
from tests.data import environ, partial_files
from tests.open_files import open_files

SHARDED = {"shape": (128, 128), "dtype": "i4", "chunks": (32, 32), "shards": (128, 128)}
WAIT_SECONDS = 20


def until(done: Any) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + WAIT_SECONDS
    while not done() and time.monotonic() < end:
        time.sleep(0.001)
    assert done()


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_dropped_writer_leaves_nothing(tmp_path: Path, device: Device) -> None:
    """However much it has been given, and whatever its thread does just then."""
    gc.collect()
    gc.freeze()  # what other tests have imported is not to be looked at each time
    files = len(open_files())
    for i in range(20 * FACTOR):
        gpuzarr.create_array(tmp_path / str(i), **SHARDED)
        w = gpuzarr.open_array(tmp_path / str(i), mode="r+", device=device).writer()
        for at in range(0, 96, 32)[: i % 4]:
            w[at : at + 32] = 5
        if i % 2:
            w[100, 100] = 7
        if i % 3:
            until(lambda w=w: all(task.is_done for task, _ in w._waiting))
        with pytest.warns(ResourceWarning, match="a writer was dropped"):
            del w
            gc.collect()
    until(lambda: not partial_files(tmp_path))
    until(lambda: len(open_files()) <= files)
    left = {file.name for file in tmp_path.rglob("*") if file.is_file()}
    assert left == {"zarr.json"}


def test_what_waits_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends what it is about, and nothing else."""
    a = gpuzarr.create_array(tmp_path, shape=64, dtype="i4", chunks=1)
    may_go, right = threading.Event(), Overwriter.__call__

    def overwrite(self: Overwriter, key: str, data: Any) -> None:
        assert may_go.wait(WAIT_SECONDS)
        right(self, key, data)

    monkeypatch.setattr(Overwriter, "__call__", overwrite)
    w = a.writer()
    for i in range(20):
        w[i] = 5
    tasks = [task for task, _ in w._waiting]
    with pytest.warns(ResourceWarning):
        del w
        gc.collect()
    may_go.set()
    until(lambda: all(task.is_done for task in tasks))
    assert np.count_nonzero(a[...]) <= 1


def test_a_closed_writer_warns_of_nothing(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, **SHARDED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        w = a.writer()
        w[0:32] = 5
        w.close()
        del w
        gc.collect()
        with pytest.raises(ZeroDivisionError), a.writer() as w:
            w[32:64] = 1 // 0
        del w
        gc.collect()
    assert a[0, 0] == 5 and not partial_files(tmp_path)


def test_a_dropped_sink_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    sink = store.create("c/0")
    sink.write(b"half", 0)
    assert partial_files(tmp_path)
    with pytest.warns(ResourceWarning, match=r"c/0' was neither committed nor aborted"):
        del sink
        gc.collect()
    assert not partial_files(tmp_path) and store.get("c/0") is None


END = """
import gpuzarr, numpy as np, os, sys
a = gpuzarr.create_array(sys.argv[1], shape=(128, 128), dtype="i4", chunks=(32, 32), shards=(128, 128))
w = a.writer()
w[0:32] = 5
sink = a.store.create("x")
sink.write(b"half", 0)
if sys.argv[2] == "fork" and os.fork() == 0:
    sys.exit()  # with finalizers, in the child: what is its parent's stays
if sys.argv[2] == "fork":
    os.wait()
    assert any(name.endswith(".partial") for name in os.listdir(sys.argv[1]))
    w.close()
    sink.commit()
if sys.argv[2] == "error":
    raise SystemExit("the end")
"""


@pytest.mark.parametrize("how", ["end", "error", "fork"])
def test_the_end_of_the_process_leaves_nothing(how: str, tmp_path: Path) -> None:
    quiet = "ignore:This process:DeprecationWarning"  # of Python 3.12, for a fork beside threads
    command = [sys.executable, "-W", quiet, "-c", END, str(tmp_path), how]
    done = subprocess.run(command, env=environ(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.replace("the end\n", "")) == (how == "error", "")
    assert not partial_files(tmp_path)
    if how == "fork":
        assert (tmp_path / "x").read_bytes() == b"half" and gpuzarr.open(tmp_path)[0, 0] == 5
