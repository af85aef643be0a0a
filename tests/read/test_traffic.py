"""`last_read` tells what came from the store: no byte more or less than the store has given."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array
from tests.stores.own_store import OwnStore

SHAPE = (96, 80)
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (32, 32)},
    "uncompressed": {"chunks": (32, 32), "compressors": None},
    "shards": {"chunks": (16, 16), "shards": (48, 32)},
    "uncompressed shards": {"chunks": (16, 16), "shards": (48, 32), "compressors": None},
}
KINDS = {
    "batch by batch": {"MAX_FEW_CHUNKS": 0},
    "chunk by chunk": {"MIN_REGION_CHUNK_BYTES": 1, "MIN_LONE_CHUNK_BYTES": 1},
}
SELECTIONS: list[Any] = [np.s_[:], np.s_[3:70, 20:50], np.s_[40, ::3], np.s_[:8, :8], np.s_[5:5]]


class Counted(dict[str, bytes]):
    """A dict that counts what is got from it."""

    requests = nbytes = 0

    def __getitem__(self, key: str) -> bytes:
        self.requests += 1
        value = super().__getitem__(key)
        self.nbytes += len(value)
        return value


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, thresholds: Any) -> str:
    """Both kinds of work."""
    thresholds("gpuzarr.read", **KINDS[request.param])
    return str(request.param)


def told(a: gpuzarr.Array) -> tuple[Any, Any]:
    assert a.last_read is not None
    said = a.last_read.asdict()
    return said["requests"], said["read_bytes"]


def values() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 50, SHAPE).astype("i4")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_mapping_gave(layout: str, kind: str, device: Device) -> None:
    store = Counted()
    gpuzarr.create_array(store, data=values(), **LAYOUTS[layout])
    a = gpuzarr.open_array(store, device=device)
    for selection in SELECTIONS:
        before = store.requests, store.nbytes
        assert np.array_equal(host_array(a[selection]), values()[selection])
        assert told(a) == (store.requests - before[0], store.nbytes - before[1])
    assert "came from the store: 0 bytes in 0 requests" in str(a.last_read)


@pytest.mark.skipif(sys.platform != "linux", reason="the system counts what a thread reads")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_the_system_read_of_files(layout: str, kind: str, loops: str, tmp_path: Path) -> None:
    gpuzarr.create_array(tmp_path, data=values(), **LAYOUTS[layout])
    a = gpuzarr.open_array(tmp_path, device="cpu")
    a[:0], system()
    alone = system()
    overhead = tuple(now - then for now, then in zip(system(), alone, strict=True))
    for selection in SELECTIONS * 2:
        before = system()
        a[selection]
        found = tuple(now - then - more for now, then, more in zip(system(), before, overhead, strict=True))
        assert told(a) == found, (selection, overhead)


def system() -> tuple[int, int]:
    """Calls and bytes that this thread has read so far."""
    facts = dict(line.split(": ") for line in Path("/proc/thread-self/io").read_text().splitlines())
    return int(facts["syscr"]), int(facts["rchar"])


def test_reads_at_the_same_time_do_not_mix(kind: str, tmp_path: Path) -> None:
    store = gpuzarr.create_group(tmp_path)
    arrays = [
        store.create_array(f"a{i}", data=values()[: 20 * i + 20], chunks=(16, 16), shards=(48, 32)) for i in range(4)
    ]
    arrays = [gpuzarr.open_array(tmp_path, path=a.path, device="cpu") for a in arrays]
    for a in arrays:
        a[...]
    alone = []
    for a in arrays:
        a[...]
        alone.append(told(a))

    def read_often(a: gpuzarr.Array) -> set[tuple[Any, Any]]:
        found = set()
        for _ in range(30):
            a[...]
            found.add(told(a))
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read_often, arrays)) == [{each} for each in alone]


def test_nobody_counts() -> None:
    a = gpuzarr.create_array(OwnStore(), data=values(), chunks=(16, 16))
    a[...]
    assert told(a) == (None, None) and "came from" not in str(a.last_read)


def test_a_mapping_without_the_wanted_bytes_gives_all_of_a_shard() -> None:
    """What `stored_bytes` does not tell: of a mapping that has no ranges a shard comes whole."""
    store: MutableMapping[str, bytes] = {}
    a = gpuzarr.create_array(store, data=values(), chunks=(16, 16), shards=(96, 80), compressors=None)
    a[:16, :16]
    assert a.last_read is not None and a.last_read.asdict()["stored_bytes"] == 16 * 16 * 4
    assert told(a)[1] >= len(store["c/0/0"])
