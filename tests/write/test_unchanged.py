"""Writers of parts of the same chunk or shard, in a store without locks but with conditional puts: nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.stores import tries
from tests.data import environ
from tests.hardware import DEVICES, host_array, on
from tests.write.many_writers import LAYOUTS, ROWS, WRITE_ROWS, Unguarded, Unlocked, opened, remote, write_rows

INTERFERING = threading.Lock()


def at_once(store: Any, device: Any, writers: int = 4, with_writer: bool = False) -> None:
    with ThreadPoolExecutor(writers) as pool:
        some = [(opened(store, device), range(i, 32, writers)) for i in range(writers)]
        for done in [pool.submit(write_rows, a, rows, with_writer) for a, rows in some]:
            done.result()


@pytest.mark.parametrize("with_writer", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["cpu", "emulated"])
def test_nothing_is_lost(name: str, layout: str, with_writer: bool) -> None:
    store = Unlocked()
    gpuzarr.create_array(store, shape=(32, 16), dtype="i4", **LAYOUTS[layout])
    at_once(store, DEVICES[name](), with_writer=with_writer)
    np.testing.assert_array_equal(gpuzarr.open(store)[...], ROWS)


def test_without_conditional_puts_something_is_lost() -> None:
    """So the test above can fail."""
    store = Unguarded()
    gpuzarr.create_array(store, shape=(32, 16), dtype="i4", chunks=(32, 16))
    at_once(store, DEVICES["cpu"](), writers=8)
    assert (gpuzarr.open(store)[...] == 0).any()


@dataclass(frozen=True, repr=False)
class Interfering(Unlocked):
    """Somebody else writes row 31 between the reading and the writing of an object, the first `times`."""

    times: list[int] = field(default_factory=lambda: [0])

    def set_if_unchanged(self, key: str, data: Any, version: Any) -> bool:
        self.interfere()
        return super().set_if_unchanged(key, data, version)

    def interfere(self) -> None:
        with INTERFERING:
            if self.times[0]:
                opened(Unlocked(self.values), "cpu")[31] = self.times[0]
                self.times[0] -= 1


def made(layout: str, times: int) -> Interfering:
    store = Interfering()
    gpuzarr.create_array(store, shape=(32, 16), dtype="i4", **LAYOUTS[layout])
    store.times[0] = times
    return store


@pytest.mark.parametrize("with_writer", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_who_comes_second_writes_again(layout: str, with_writer: bool, device: Any) -> None:
    store = made(layout, 3)
    a = opened(store, device)
    write_rows(a, range(31), with_writer)
    if not with_writer:
        assert store.times == [0]
    found = host_array(a[...])
    np.testing.assert_array_equal(found[:31], ROWS[:31])
    assert (found[31] == 1).all() or with_writer
    assert a.last_write is not None


def test_who_never_comes_first_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "MAX_TRIES", 5)
    store = made("chunks", 1000)
    with pytest.raises(gpuzarr.StoreError, match=r"'c/0/0' of OwnStore at .* is replaced by others faster .* 5 tries"):
        opened(store, "cpu")[3] = 1
    assert store.times == [990], "two chunks, five tries"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_becomes_empty_stays_an_object(layout: str, device: Any) -> None:
    """As no store deletes an object only if it is unchanged; what was no object does not become one."""
    store = Unlocked()
    a = gpuzarr.create_array(store, shape=(32, 16), dtype="i4", device=device, **LAYOUTS[layout])
    a[3] = 0
    assert list(store.values) == ["zarr.json"]
    a[3] = 7
    keys = list(store.values)
    a[3] = 0
    assert list(store.values) == keys and len(keys) > 1
    assert (host_array(a[...]) == 0).all()
    a[...] = 0
    assert list(store.values) == ["zarr.json"]


def test_what_is_written_whole_is_put_over_others() -> None:
    store = made("chunks", 1000)
    a = opened(replace(store, times=[1000]), "cpu")
    a[...] = on(a.device, ROWS)
    assert opened(store, "cpu")[0, 0] == 1


@pytest.mark.parametrize("layout", ["chunks", "shards"])
def test_processes_lose_nothing_in_an_object_store(layout: str, tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    with serving(tmp_path, latency_ms=2, writable=True) as server:
        gpuzarr.create_array(remote(server.url), shape=(32, 16), dtype="i4", **LAYOUTS[layout])
        command = [sys.executable, "-c", WRITE_ROWS, server.url]
        children = [subprocess.Popen([*command, str(i)], env=environ()) for i in range(2)]
        assert [child.wait(60) for child in children] == [0, 0]
        np.testing.assert_array_equal(gpuzarr.open(remote(server.url))[...], ROWS)


@pytest.mark.parametrize(
    ("layout", "selection", "most"), [("chunks", 3, 4), ("shards", 3, 2), ("shards", slice(9, 19), 2)]
)
def test_an_object_is_changed_by_two_requests(layout: str, selection: Any, most: int, tmp_path: Path) -> None:
    """It is got and put, whatever is changed in it; so no index is asked for before its chunks."""
    (tmp_path / "bucket").mkdir()
    with serving(tmp_path, writable=True) as server:
        a = gpuzarr.create_array(remote(server.url), data=ROWS, **LAYOUTS[layout])
        server.stats()
        a[selection] = 5
        found = server.stats()
        assert found.requests == most
        said = a.last_write.asdict()
        assert said["requests"] == said["puts"] == most // 2 and said["read_bytes"] == found.body_bytes
        assert said["put_bytes"] >= said["stored_bytes"] and said["conflicts"] == 0
        expected = ROWS.copy()
        expected[selection] = 5
        np.testing.assert_array_equal(a[...], expected)


def test_what_is_overwritten_of_a_large_shard_is_not_got(tmp_path: Path, thresholds: Any) -> None:
    thresholds("gpuzarr.write", MAX_SPARED_BYTES=0)
    (tmp_path / "bucket").mkdir()
    values = np.random.default_rng(1).integers(0, 99, (64, 64), dtype="i8")
    with serving(tmp_path, writable=True) as server:
        a = gpuzarr.create_array(remote(server.url), data=values, chunks=(8, 64), shards=(64, 64), compressors=None)
        server.stats()
        a[:56] = 5
        found = server.stats()
        assert found.requests == 3 and found.body_bytes < 2 * 8 * 64 * 8
        assert a.last_write.asdict()["read_bytes"] == found.body_bytes
        np.testing.assert_array_equal(a[56:], values[56:])
