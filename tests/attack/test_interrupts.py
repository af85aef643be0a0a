"""Ctrl-C at any place of a read, a write, a reader, a writer, a resize and a creation: it arrives, nothing is held
afterwards, and the next call works."""

from __future__ import annotations

import faulthandler
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from tests.attack.rounds import FACTOR, rounds
from tests.data import Stop, environ, partial_files
from tests.hardware import DEVICES, host_array, on
from tests.interrupting import Alarm, Held, Interrupted

VALUES = np.arange(1, 1025, dtype="i4").reshape(32, 32)
MOST_SECONDS = 120  # after which something hangs
PLACES = (20 if FACTOR == 1 else 60) * FACTOR  # of each kind of call


@dataclass(frozen=True)
class Calls:
    """What is interrupted. Each of them leaves the array with VALUES, or old ones that are the same."""

    a: gpuzarr.Array
    path: Path

    @property
    def values(self) -> Any:
        return on(self.a.device, VALUES)

    def read(self) -> None:
        host_array(self.a[...])
        self.a[3:20, 4:9]

    def write(self) -> None:
        self.a[...] = self.values
        self.a[3:20, 4:9] = self.values[3:20, 4:9]

    def reader(self) -> None:
        with self.a.reader(range(0, 32, 4)) as r:
            for values in r:
                host_array(values)

    def writer(self) -> None:
        with self.a.writer() as w:
            for i in range(0, 32, 4):
                w[i : i + 4] = self.values[i : i + 4]
            w.flush()
            w[0:4] = self.values[0:4]

    def resize(self) -> None:
        self.a.resize((40, 32))
        self.a.resize((32, 32))
        self.a.attrs["x"] = 1

    def create(self) -> None:
        gpuzarr.create_array(self.path / "other", shape=4, dtype="i4", overwrite=True)


CALLS = ["read", "write", "reader", "writer", "resize", "create"]


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    faulthandler.dump_traceback_later(MOST_SECONDS * FACTOR, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=["cpu", "emulated"])
def calls(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Any], Calls]:
    device = DEVICES[request.param]()

    def made(shards: Any) -> Calls:
        path = tmp_path / "a"
        a = gpuzarr.create_array(path, shape=(32, 32), dtype="i4", chunks=(8, 8), shards=shards, device=device)
        found = Calls(a, path)
        for name in (*CALLS, "write"):
            getattr(found, name)()
        return found

    return made


def check(calls: Calls, held: Held, name: str) -> None:
    """Nothing is held or left behind; the next call works."""
    held.check()
    assert not list(calls.path.rglob(".*")), "locks and partial files go"
    if name == "resize":
        calls.a.resize((32, 32))
    if name == "writer":  # values that had not come may be missing
        calls.write()
    np.testing.assert_array_equal(host_array(calls.a[...]), VALUES)


@pytest.mark.parametrize("shards", [None, (16, 16)])
@pytest.mark.parametrize("name", CALLS)
def test_at_any_line(name: str, shards: Any, calls: Callable[[Any], Calls]) -> None:
    """At lines that are spread over the call, others in each layout; all of them if there are enough rounds."""
    made = calls(shards)
    call, counted, held = getattr(made, name), Interrupted(0), Held(made.a.device)
    assert not counted(call)
    step = max(counted.lines / PLACES, 1)
    first = random.Random(f"{name} {shards}").uniform(1, step)
    for i in rounds("interrupts", range(int(counted.lines / step))):
        interrupt = Interrupted(int(first + i * step))
        assert interrupt(call) or interrupt.is_swallowed or interrupt.lines <= first + i * step
        check(made, held, name)


@pytest.mark.parametrize("shards", [None, (16, 16)])
def test_at_random_moments(shards: Any, calls: Callable[[Any], Calls]) -> None:
    """By a timer, as a user does it; an exception of any signal handler."""
    made, moments = calls(shards), random.Random(1)
    held, interrupted = Held(made.a.device), 0
    with Alarm() as alarm:
        for i in rounds("interrupts", range(40 * FACTOR)):
            name = CALLS[i % len(CALLS)]
            interrupted += alarm(moments.uniform(0.0001, 0.012), getattr(made, name))
            check(made, held, name)
    assert interrupted


@pytest.mark.parametrize("shards", [None, (16, 16)])
def test_another_process_can_lock_while_the_traceback_is_kept(shards: Any, tmp_path: Path) -> None:
    """As interactive shells keep it."""
    path, kept = tmp_path / "a", list[Stop]()
    a = gpuzarr.create_array(path, shape=(32, 32), dtype="i4", chunks=(8, 8), shards=shards, device="cpu")
    a[...] = VALUES
    for n in rounds("interrupts", range(1, 3000, max(97 // FACTOR, 1))):
        Interrupted(n, kept)(lambda: a.__setitem__((slice(3, 20), slice(4, 9)), 7))
    assert kept and not list(path.rglob(".*"))
    script = f"import gpuzarr; gpuzarr.open_array({str(path)!r}, mode='r+', device='cpu')[1:31, 1:31] = 8"
    subprocess.run([sys.executable, "-c", script], check=True, env=environ(), timeout=60)
    assert (a[1:31, 1:31] == 8).all() and not partial_files(path)
