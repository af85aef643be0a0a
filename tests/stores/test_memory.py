"""Stores in memory: those that a URL names, those of zarr-python, parts of stores, and the names of `zarr.storage`."""

from __future__ import annotations

import doctest
import pickle
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.storage

import gpuzarr
import gpuzarr.storage
from gpuzarr.devices.contract import Device
from gpuzarr.stores.finding.resolve import store as store_of
from tests.hardware import host_array
from tests.stores.shared_chunk import each_element_is_written_once

VALUES = np.arange(60, dtype="i4").reshape(6, 10)
HAS_MANAGED = hasattr(zarr.storage, "ManagedMemoryStore")


def managed(path: str = "") -> Any:
    """A new store in memory of zarr-python that has a name, or a part of one."""
    if not HAS_MANAGED:
        pytest.skip("this zarr-python has no ManagedMemoryStore")
    return zarr.storage.ManagedMemoryStore(path=path)


PLACES: dict[str, Callable[[Any], Any]] = {  # what both libraries take, and that means the same place
    "a store": lambda: zarr.storage.MemoryStore(),
    "a path in a store": lambda: zarr.storage.StorePath(zarr.storage.MemoryStore(), "a/b"),
    "a managed store": managed,
    "a part of a managed store": lambda: managed("a"),
    "a path in a part": lambda: zarr.storage.StorePath(managed("a"), "b"),
    "a wrapped store": lambda: zarr.storage.WrapperStore(zarr.storage.MemoryStore()),
    "a store that is logged": lambda: zarr.storage.LoggingStore(zarr.storage.MemoryStore()),
}
CHAINS: dict[str, dict[str, Any]] = {
    "v2": {"zarr_format": 2, "chunks": (2, 3)},
    "v3": {"zarr_format": 3, "chunks": (2, 3)},
    "shards": {"zarr_format": 3, "chunks": (2, 5), "shards": (4, 10)},
}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("place", PLACES)
def test_both_libraries_see_what_either_writes(place: str, chain: str, device: Device) -> None:
    where = PLACES[place]()
    a = gpuzarr.create_array(where, shape=(6, 10), dtype="i4", device=device, **CHAINS[chain])
    a[:4] = VALUES[:4]
    z = zarr.open_array(where, mode="r+")
    assert np.array_equal(z[:4], VALUES[:4])
    z[3:] = VALUES[3:]
    z.attrs["unit"] = "K"
    again = gpuzarr.open_array(where, mode="r+", device=device)
    assert np.array_equal(host_array(again[...]), VALUES) and again.attrs["unit"] == "K"
    again[0] = again[1]
    again.attrs["unit"] = "C"
    assert np.array_equal(zarr.open_array(where)[0], VALUES[1]) and zarr.open_array(where).attrs["unit"] == "C"


@pytest.mark.parametrize("place", PLACES)
def test_groups_of_either_are_those_of_the_other(place: str) -> None:
    where = PLACES[place]()
    zarr.create_group(where).create_group("theirs")
    gpuzarr.open_group(where, mode="r+").create_array("ours/x", shape=3, dtype="i4")
    assert sorted(gpuzarr.open_group(where)) == ["ours", "theirs"] == sorted(zarr.open_group(where).group_keys())
    del gpuzarr.open_group(where, mode="r+")["theirs"]
    assert list(zarr.open_group(where).group_keys()) == ["ours"]


def test_arrays_and_groups_of_zarr_python_are_places() -> None:
    group = zarr.create_group(zarr.storage.MemoryStore())
    array = group.create_array("a/x", shape=3, dtype="i4", fill_value=7)
    assert gpuzarr.open(array)[0] == 7 and gpuzarr.open(group)["a/x"].shape == (3,)
    assert gpuzarr.open(group, "a/x").path == "a/x" and list(gpuzarr.open(group["a"])) == ["x"]


def test_a_dict_that_both_write_to_stays_one_for_both() -> None:
    shared: dict[str, Any] = {}
    zarr.create_array(shared, data=VALUES, chunks=(2, 10))
    gpuzarr.open_array(shared, mode="r+")[0] = 9
    assert (zarr.open_array(shared)[0] == 9).all() and np.array_equal(gpuzarr.open(shared)[1:], VALUES[1:])


@pytest.mark.parametrize("read_only", [zarr.storage.MemoryStore, gpuzarr.storage.MemoryStore])
def test_a_store_that_is_read_only_is_not_written(read_only: Any) -> None:
    contents: dict[str, Any] = {}
    zarr.create_array(zarr.storage.MemoryStore(contents), data=VALUES)
    before = dict(contents)
    store = read_only(contents, read_only=True)
    assert np.array_equal(gpuzarr.open(store)[...], VALUES)
    for write in (
        lambda: gpuzarr.open(store, mode="r+"),
        lambda: gpuzarr.save(store, VALUES),
        lambda: gpuzarr.create_group(store, path="a"),
    ):
        with pytest.raises(gpuzarr.ReadOnlyError):
            write()
    assert contents == before


def test_a_url_names_the_same_memory_everywhere(request: pytest.FixtureRequest) -> None:
    url = f"memory://{request.node.name}"
    gpuzarr.save(f"{url}/a/b", VALUES)
    assert np.array_equal(gpuzarr.open(f"{url}/a/b/")[...], VALUES)
    assert np.array_equal(gpuzarr.open(url.replace("memory:", "MEMORY:"), "a/b")[...], VALUES)
    assert gpuzarr.open_group(f"{url}/c", mode="a").store.mapping is not None and sorted(store_of(url).names("")) == [
        "a",
        "c",
    ]
    gpuzarr.open_array(url, "a/b", mode="r+")[0] = 5
    assert gpuzarr.open(gpuzarr.storage.ManagedMemoryStore(request.node.name, path="a"), "b")[0, 0] == 5
    store_of(f"{url}/a").delete_prefix("")
    assert sorted(store_of(url).names("")) == ["c"]
    with pytest.raises(gpuzarr.NotFoundError, match=f"in MappingStore.'{url}/a/b'"):
        gpuzarr.open(f"{url}/a/b")
    with pytest.raises(gpuzarr.StoreError, match="not a path in a store"):
        gpuzarr.open(f"{url}/a/../b")


def test_parts_of_one_mapping_share_its_locks(request: pytest.FixtureRequest) -> None:
    """Whoever writes parts of a chunk, by whatever part of the store, loses nothing."""
    url = f"memory://{request.node.name}"
    gpuzarr.zeros(64, dtype="i4", chunks=64, store=url, path="a/b")
    arrays = [gpuzarr.open_array(url, "a/b", mode="r+"), gpuzarr.open_array(f"{url}/a", "b", mode="r+")]
    arrays += [gpuzarr.open_array(f"{url}/a/b", mode="r+"), gpuzarr.open_array(url, "/a/b/", mode="r+")]
    each_element_is_written_once(arrays)


def test_no_store_is_a_new_one_in_memory() -> None:
    stores = [store_of(None), store_of(None), gpuzarr.storage.MemoryStore(), gpuzarr.storage.MemoryStore(None)]
    stores += [gpuzarr.storage.MemoryStore(store_dict=None), gpuzarr.storage.ManagedMemoryStore()]
    for store in stores:
        gpuzarr.save(store, VALUES)
        assert store_of(store) is store and np.array_equal(gpuzarr.open(pickle.loads(pickle.dumps(store)))[...], VALUES)
    assert len({id(store.mapping) for store in stores}) == len(stores)
    contents: dict[str, bytes] = {}
    assert gpuzarr.storage.MemoryStore(store_dict=contents).mapping is contents
    with pytest.raises(gpuzarr.StoreError, match="not 5"):
        gpuzarr.storage.MemoryStore(5)


def test_a_path_in_a_store_is_a_store(tmp_path: Path) -> None:
    for whole in (tmp_path / "a.zarr", {}, gpuzarr.LocalStore(tmp_path / "b.zarr", fsync=True), "memory://of-paths"):
        place = gpuzarr.storage.StorePath(whole) / "a/" / "/b"
        gpuzarr.save(place, VALUES)
        assert place.path == "a/b" and np.array_equal(gpuzarr.open(whole, "a/b")[...], VALUES)
        assert place == gpuzarr.storage.StorePath(whole, "/a/b/") and "'a/b'" in str(place)
    for wrong in ("../a", 5, "a/./b"):
        with pytest.raises(gpuzarr.StoreError):
            gpuzarr.storage.StorePath({}, wrong)


def test_every_name_of_zarr_python_is_there() -> None:
    assert set(zarr.storage.__all__) | {"GpuMemoryStore"} <= set(gpuzarr.storage.__all__)
    assert gpuzarr.storage.LocalStore is gpuzarr.LocalStore


@pytest.mark.parametrize("name", ["GpuMemoryStore", "WrapperStore"])
def test_what_is_not_here_says_what_to_use(name: str) -> None:
    kind = getattr(gpuzarr.storage, name)
    for make in (kind, kind.from_url, kind.open):
        with pytest.raises(gpuzarr.UnsupportedError, match=f"there is no {name} here: "):
            make("s3://bucket", read_only=True)
    assert not isinstance(gpuzarr.storage.MemoryStore(), kind)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"gpuzarr": gpuzarr, "np": np}
    for thing in (gpuzarr.storage, gpuzarr.stores.mapping, gpuzarr.stores.path):
        assert not doctest.testmod(thing, extraglobs=names).failed


def test_a_mapping_that_others_change_meanwhile() -> None:
    """Nodes are listed, made and replaced while other threads change other keys of a dict."""
    store: dict[str, bytes] = {}
    gpuzarr.create_group(store)
    stop = threading.Event()

    def change() -> None:
        for i in count():
            store[f"other/{i % 5000}"] = b""
            store.pop(f"other/{(i + 2500) % 5000}", None)
            if stop.is_set():
                return

    threads = [threading.Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for i in range(60):
            gpuzarr.save_group(store, path="g", x=[i])
            gpuzarr.save(gpuzarr.storage.StorePath(store, "h"), [i])
            assert sorted(gpuzarr.open_group(store)) == ["g", "h"] and gpuzarr.load(store, path="g")["x"][0] == i
    finally:
        stop.set()
        for thread in threads:
            thread.join()
