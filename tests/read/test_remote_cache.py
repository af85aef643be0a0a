"""The cache of decoded chunks over a remote store: what is asked for, and when."""

from __future__ import annotations

import pickle
import time
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.read import confirmed
from tests.hardware import host_array
from tests.stores.counting_client import CountingClient, remote

SHAPE = (96, 80)
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (32, 32)},
    "shards": {"chunks": (16, 16), "shards": (48, 32)},
}
KINDS = {
    "batch by batch": {"MAX_FEW_CHUNKS": 0},
    "chunk by chunk": {"MIN_REGION_CHUNK_BYTES": 1, "MIN_LONE_CHUNK_BYTES": 1},
}
Case = tuple[gpuzarr.Array, CountingClient, np.ndarray]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, thresholds: Any) -> str:
    """Both kinds of work."""
    thresholds("gpuzarr.read", **KINDS[request.param])
    return str(request.param)


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def case(layout: str, device: Device, cache: Any, **options: Any) -> Case:
    """An array with a cache, the client of its store, and its values."""
    data = np.random.default_rng(0).integers(1, 50, SHAPE).astype("i4")
    store, client = remote(**options)
    gpuzarr.create_array(store, data=data, device="cpu", **LAYOUTS[layout])
    a = gpuzarr.open_array(store, device=device, cache=cache)
    client.forget()
    return a, client, data


def changed(a: gpuzarr.Array, data: np.ndarray, rows: slice) -> None:
    """Have another one change some rows: of another process, as it were."""
    data[rows] += 1
    twin = pickle.loads(pickle.dumps(a.store.client.values))
    other, client = remote(values=twin)
    gpuzarr.open_array(other, mode="r+", device="cpu")[rows] = data[rows]
    a.store.client.values.update(client.values)


def chunk_keys(keys: list[str]) -> set[str]:
    return {key for key in keys if key.startswith("c/")}


def test_nothing_is_fetched_twice_and_every_read_asks(layout: str, kind: str, device: Device) -> None:
    a, client, data = case(layout, device, "1MiB")
    assert np.array_equal(host_array(a[...]), data)
    assert not client.looks and chunk_keys(client.asked) == chunk_keys(list(client.values))
    client.forget()
    assert np.array_equal(host_array(a[...]), data)
    objects = chunk_keys(list(client.values))
    assert not client.asked and set(client.looks) == objects and a.cache is not None
    assert (a.cache.hits, a.cache.misses) == (len(a.cache), len(a.cache))
    assert a.last_read is not None
    assert (a.last_read.asdict()["requests"], a.last_read.asdict()["read_bytes"]) == (len(client.looks), 0)


def test_what_another_one_changes_is_seen(layout: str, kind: str, device: Device) -> None:
    a, client, data = case(layout, device, "1MiB")
    for rows in (slice(0, 5), slice(50, 96), slice(0, 96), slice(3, 4)):
        a[...]
        changed(a, data, rows)
        client.forget()
        assert np.array_equal(host_array(a[...]), data)
        assert chunk_keys(client.asked)
        client.values.pop("c/1/1", None)
        data[LAYOUTS[layout].get("shards", (32, 32))[0] :][: LAYOUTS[layout].get("shards", (32, 32))[0], 32:64] = 0
        assert np.array_equal(host_array(a[...]), data)


def test_objects_of_which_nothing_is_kept_are_not_asked_for(layout: str, kind: str, device: Device) -> None:
    a, client, data = case(layout, device, "1MiB")
    a[:10, :10]
    client.forget()
    assert np.array_equal(host_array(a[...]), data)
    assert set(client.looks) <= {"c/0/0"}


@pytest.mark.parametrize("age", [60, "infinity"])
def test_what_is_trusted_costs_no_request(age: Any, layout: str, kind: str, device: Device) -> None:
    a, client, data = case(layout, device, gpuzarr.ChunkCache("1MiB", age))
    a[...]
    client.forget()
    for _ in range(3):
        assert np.array_equal(host_array(a[...]), data)
    assert not client.asked and not client.looks
    before = data.copy()
    changed(a, data, slice(0, 96))
    assert np.array_equal(host_array(a[...]), before), "it may be old"
    a.refresh()
    assert np.array_equal(host_array(a[...]), data)


def test_trust_ends(layout: str, kind: str, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    a, _client, data = case(layout, device, gpuzarr.ChunkCache("1MiB", 60))
    a[...]
    changed(a, data, slice(0, 96))
    now = time.monotonic()
    monkeypatch.setattr(confirmed.time, "monotonic", lambda: now + 61)
    assert np.array_equal(host_array(a[...]), data)


def test_what_this_process_writes_is_seen_at_once(layout: str, kind: str, device: Device) -> None:
    a, _client, data = case(layout, device, gpuzarr.ChunkCache("1MiB", "infinity"))
    a[...]
    data[10:50] = 7
    gpuzarr.open_array(a.store, mode="r+", device="cpu")[10:50] = 7
    assert np.array_equal(host_array(a[...]), data)


def test_parts_of_an_object_are_of_one_version(kind: str, device: Device) -> None:
    """A chunk of a shard is trusted, and its neighbour is read of a newer shard: then both are read again."""
    a, _client, data = case("shards", device, gpuzarr.ChunkCache("1MiB", "infinity"))
    a[:16, :16]
    changed(a, data, slice(0, 48))
    found = host_array(a[:48, :32])
    rest = found.copy()
    rest[:16, :16] = data[:16, :16]
    assert np.array_equal(rest, data[:48, :32])
    if device.gpu:
        assert np.array_equal(found, data[:48, :32])


def test_a_place_without_versions(layout: str, kind: str, device: Device) -> None:
    a, client, data = case(layout, device, "1MiB", tells_versions=False)
    for _ in range(2):
        assert np.array_equal(host_array(a[...]), data)
    assert a.cache is not None and len(a.cache) == a.cache.hits == 0 and not client.looks


def test_a_place_without_versions_that_is_trusted(
    layout: str, kind: str, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as was said, and not longer."""
    a, client, data = case(layout, device, gpuzarr.ChunkCache("1MiB", 60), tells_versions=False)
    assert np.array_equal(host_array(a[...]), data)
    client.forget()
    assert np.array_equal(host_array(a[...]), data) and not client.asked and not client.looks
    a.refresh()
    changed(a, data, slice(0, 96))
    assert np.array_equal(host_array(a[...]), data)
    changed(a, data, slice(3, 90))
    now = time.monotonic()
    monkeypatch.setattr(confirmed.time, "monotonic", lambda: now + 61)
    assert np.array_equal(host_array(a[...]), data)


def test_few_versions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmed, "MAX_OBJECTS", 3)
    some = confirmed.Confirmed()
    for i in range(5):
        some.add(("x", "a"), [f"c/{i}"], [i], time.monotonic())
    assert some.recent(("x", "a"), [f"c/{i}" for i in range(5)], 60) == [None, None, 2, 3, 4] and len(some) == 3
    some.forget(("x", ""))
    assert not len(some)


@pytest.mark.parametrize("age", [-1, float("nan"), True, "1h", None])
def test_no_age(age: Any) -> None:
    with pytest.raises(gpuzarr.errors.ArgumentError, match="max_age_seconds must be a number of seconds, or 'inf"):
        gpuzarr.ChunkCache(100, age)


def test_a_cache_is_sent_with_its_rule() -> None:
    copy = pickle.loads(pickle.dumps(gpuzarr.ChunkCache(100, 2.5)))
    assert (copy.max_bytes, copy.max_age_seconds) == (100, 2.5)
