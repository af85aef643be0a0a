"""Ctrl-C in calls that wait for answers of a store far away: no other thread waits for ever, and no worker is lost."""

from __future__ import annotations

import faulthandler
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.stores.remote.client import Asked, Deliver
from gpuzarr.stores.remote.store import RemoteStore
from gpuzarr.stores.spread import POOL, each
from tests.attack.rounds import FACTOR, rounds
from tests.interrupting import PACKAGE, Alarm, Interrupted
from tests.stores.counting_client import CountingClient

WITHIN = (PACKAGE, threading.__file__)  # locks of Python's own, too
MOST_SECONDS = 60  # after which something hangs
VALUES = np.arange(1, 1025, dtype="i4").reshape(32, 32)


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    faulthandler.dump_traceback_later(MOST_SECONDS * FACTOR, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def check_workers() -> None:
    """All workers that were started are idle, soon, and no call waits for one."""
    workers, end = POOL.value._workers, time.monotonic() + 10
    while (len(workers.idle) < len(workers.started) or workers.waiting) and time.monotonic() < end:
        time.sleep(0.002)
    assert len(workers.idle) == len(workers.started) and not workers.waiting


@dataclass(frozen=True, eq=False)
class SlowClient(CountingClient):
    def fetch(self, asked: Sequence[Asked], deliver: Deliver) -> None:
        time.sleep(0.002)
        super().fetch(asked, deliver)


@pytest.mark.parametrize("objects", [1, 6])
def test_answers_that_threads_wait_for(objects: int) -> None:
    """At each line, also of Python's `threading`."""
    store, keys = RemoteStore(SlowClient()), [f"k{i % objects}" for i in range(6)]
    for key in set(keys):
        store.set(key, key.encode() * 100)

    def read() -> None:
        with store.open(keys) as opened:
            fill = opened.reader([(i, 0, 200, 0, 200) for i in range(6)])

            def take(i: int) -> None:
                fill(i, memoryview(data := bytearray(200)))
                assert data == keys[i].encode() * 100

            each(take, range(6), 3)

    read()
    counted = Interrupted(0, within=WITHIN)
    assert not counted(read)
    for n in rounds("interrupts", range(1, counted.lines + 1, max(3 // FACTOR, 1))):
        Interrupted(n, within=WITHIN)(read)
        read()
        check_workers()


def calls_of(a: gpuzarr.Array) -> list[Callable[[], Any]]:
    """Calls that leave VALUES as they are."""

    def windows() -> None:
        with a.reader(range(0, 32, 4)) as r:
            assert len(list(r)) == 8

    def write() -> None:
        a[...] = VALUES
        a[3:20, 4:9] = VALUES[3:20, 4:9]

    return [lambda: a[...], lambda: a[3:20, 4:9], write, windows]


@pytest.mark.parametrize("shards", [None, (16, 16)])
def test_at_random_moments(shards: Any, tmp_path: Path) -> None:
    """Over real sockets; others read what was written, whenever the writer was interrupted."""
    pytest.importorskip("obstore")
    moments, interrupted = random.Random(1), 0
    with serving(tmp_path, latency_ms=2, writable=True) as server, Alarm() as alarm:
        (tmp_path / "b").mkdir()
        options = {"endpoint": server.url, "region": "x", "access_key_id": "a", "secret_access_key": "b"}
        layout: dict[str, Any] = {"shape": (32, 32), "dtype": "i4", "chunks": (8, 8), "shards": shards}
        a = gpuzarr.create_array("s3://b/a", **layout, device="cpu", storage_options=options)
        a[...] = VALUES
        for i in rounds("interrupts", range(32 * FACTOR)):
            call = calls_of(a)[i % 4]
            interrupted += alarm(moments.uniform(0.0001, 0.02), call)
            np.testing.assert_array_equal(a[...], VALUES)
            check_workers()
    assert interrupted
