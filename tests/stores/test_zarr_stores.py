"""Stores of zarr-python: which are read directly, and what others are asked."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.storage
from zarr.core.buffer import cpu
from zarr.core.sync import sync

import gpuzarr
from gpuzarr.errors import StoreError
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.remote.client import Asked
from gpuzarr.stores.remote.store import RemoteStore
from gpuzarr.stores.remote.zarr_client import ZarrClient
from tests.hardware import host_array
from tests.stores.forking import holds_in_child
from tests.stores.shared_chunk import each_element_is_written_once
from tests.stores.zarr_stores import Reversed, reversed_store

VALUES = np.random.default_rng(2).random((50, 60)).astype("f4")
NUMBERS = count()
LAYOUTS: dict[str, dict[str, Any]] = {
    "v2": {"zarr_format": 2, "chunks": (7, 13)},
    "v3": {"zarr_format": 3, "chunks": (7, 13)},
    "shards": {"zarr_format": 3, "chunks": (5, 6), "shards": (25, 30)},
}


class Plain(zarr.storage.LocalStore):  # type: ignore[misc]
    """A class of a user's own, whose objects are those of a LocalStore."""

    def describe(self) -> str:
        return "mine"


class Slow(zarr.storage.WrapperStore):  # type: ignore[misc]
    """Waits before each answer, and notes how many wait at once."""

    now = most = 0

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        await self.wait()
        return await self._store.get(key, prototype, byte_range)

    async def set(self, key: str, value: Any) -> None:
        await self.wait()
        await self._store.set(key, value)

    async def wait(self) -> None:
        Slow.now += 1
        Slow.most = max(Slow.most, Slow.now)
        try:
            await asyncio.sleep(0.002)
        finally:
            Slow.now -= 1


class Broken(zarr.storage.WrapperStore):  # type: ignore[misc]
    """Fails for some objects."""

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        if key.endswith("c/3"):
            raise ConnectionError("the line is dead")
        return await self._store.get(key, prototype, byte_range)


class WithoutRanges(zarr.storage.WrapperStore):  # type: ignore[misc]
    """Answers every request with the whole object."""

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        return await self._store.get(key, prototype)


def by_fsspec(folder: Path) -> Any:
    fsspec = pytest.importorskip("fsspec")
    return (
        zarr.storage.FsspecStore.from_url(f"file://{folder}", storage_options={"auto_mkdir": True}) if fsspec else None
    )


def in_memory_by_fsspec(folder: Path) -> Any:
    pytest.importorskip("fsspec")
    return zarr.storage.FsspecStore.from_url(f"memory://{folder.name}-{next(NUMBERS)}")


def by_obstore(folder: Path) -> Any:
    return zarr.storage.ObjectStore(pytest.importorskip("obstore.store").LocalStore(str(folder), mkdir=True))


DIRECT: dict[str, tuple[Callable[[Path], Any], type]] = {
    "a folder": (zarr.storage.LocalStore, LocalStore),
    "a class made from that of folders": (Plain, LocalStore),
    "memory": (lambda _: zarr.storage.MemoryStore(), MappingStore),
    "logged": (lambda folder: zarr.storage.LoggingStore(zarr.storage.LocalStore(folder)), LocalStore),
    "wrapped": (lambda folder: zarr.storage.WrapperStore(zarr.storage.LocalStore(folder)), LocalStore),
    "files by fsspec": (by_fsspec, LocalStore),
    "files by obstore": (by_obstore, LocalStore),
    "memory by fsspec": (in_memory_by_fsspec, RemoteStore),
}


def cached(_: Path) -> Any:
    """What zarr-python reads by its cache; the cache has a lock that is bound to an event loop."""
    store = pytest.importorskip("zarr.experimental.cache_store").CacheStore
    return store(zarr.storage.MemoryStore(), cache_store=zarr.storage.MemoryStore())


ASKED: dict[str, Callable[[Path], Any]] = {
    "a user's own": lambda folder: Reversed(zarr.storage.LocalStore(folder)),
    "one that waits": lambda _: Slow(zarr.storage.MemoryStore()),
    "wrapped": lambda folder: zarr.storage.WrapperStore(Reversed(zarr.storage.LocalStore(folder))),
    "one that caches": cached,
    "a path in one": lambda folder: zarr.storage.StorePath(Reversed(zarr.storage.LocalStore(folder)), "a/b"),
}


@pytest.mark.parametrize("name", DIRECT)
def test_stores_in_disguise_are_read_directly(name: str, tmp_path: Path) -> None:
    make, kind = DIRECT[name]
    theirs = make(tmp_path / "s")
    found = store_of(theirs)
    assert type(found) is kind and not isinstance(getattr(found, "client", None), ZarrClient)
    zarr.create_array(theirs, name="g/x", data=VALUES, chunks=(9, 9))
    array = gpuzarr.open_array(theirs, "g/x", mode="r+")
    assert np.array_equal(array[...], VALUES)
    array[3] = 8
    assert (zarr.open_array(theirs, path="g/x", mode="r")[3] == 8).all()
    assert np.array_equal(gpuzarr.open(zarr.open_group(theirs, path="g", mode="r"))["x"][4:], VALUES[4:])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ASKED)
def test_other_stores_are_asked(name: str, layout: str, tmp_path: Path, device: Any) -> None:
    theirs = ASKED[name](tmp_path / "s")
    array = gpuzarr.create_array(theirs, shape=VALUES.shape, dtype="f4", device=device, **LAYOUTS[layout])
    array[:30] = VALUES[:30]
    other = zarr.open_array(theirs, mode="r+")
    assert np.array_equal(other[:30], VALUES[:30]) and (other[30:] == 0).all()
    other[30:] = VALUES[30:]
    other.attrs["unit"] = "K"
    again = gpuzarr.open_array(theirs, mode="r+", device=device)
    assert isinstance(again.store, RemoteStore) and again.attrs["unit"] == "K"
    assert np.array_equal(host_array(again[...]), VALUES)
    assert np.array_equal(host_array(again[3:44, 5::9]), VALUES[3:44, 5::9])
    assert again.nchunks_initialized == again.nchunks
    again[10:20, 7] = -1
    assert (zarr.open_array(theirs, mode="r")[10:20, 7] == -1).all()


@pytest.mark.filterwarnings("ignore::gpuzarr.errors.GpuZarrWarning")
def test_parts_of_one_store_share_its_locks() -> None:
    """Whoever writes parts of a chunk, by whatever part of the store, loses nothing."""
    theirs = Slow(zarr.storage.MemoryStore())
    gpuzarr.create_array(theirs, name="a/b", shape=64, dtype="i4", chunks=64)
    places = [(theirs, "a/b"), (zarr.storage.StorePath(theirs, "a"), "b"), (zarr.storage.StorePath(theirs, "a/b"), "")]
    places.append((Slow(theirs._store), "a/b"))
    arrays = [gpuzarr.open_array(store, path, mode="r+") for store, path in places]
    each_element_is_written_once(arrays)
    assert store_of(theirs) == store_of(theirs) != store_of(Slow(zarr.storage.MemoryStore()))


def test_a_bucket_is_read_directly(moto: Any) -> None:
    obstore = pytest.importorskip("obstore.store")
    bucket = moto.bucket()
    theirs = zarr.storage.ObjectStore(
        obstore.from_url(f"{bucket}/a", **moto.options(), client_options={"allow_http": True})
    )
    zarr.create_array(theirs, name="g/x", data=VALUES, chunks=(20, 20))
    array = gpuzarr.open_array(theirs, "g/x", mode="r+")
    assert repr(array.store) == f"RemoteStore('{moto.url}/{bucket[5:]}/a')"
    array[3] = 8
    assert (zarr.open_array(theirs, path="g/x", mode="r")[3] == 8).all() and np.array_equal(array[4:], VALUES[4:])
    assert np.array_equal(gpuzarr.open(zarr.open_group(theirs, path="g", mode="r"))["x"][4:], VALUES[4:])


def test_a_class_that_changes_what_is_read_is_not_gone_around() -> None:
    theirs = reversed_store({"zarr.json": b"}{"})
    assert theirs._store._store_dict["zarr.json"].to_bytes() == b"{}" and store_of(theirs).get("zarr.json") == b"}{"
    assert store_of(zarr.storage.LoggingStore(theirs)).get("zarr.json") == b"}{"


def test_many_are_asked_at_once() -> None:
    theirs = Slow(zarr.storage.MemoryStore())
    Slow.most = 0
    gpuzarr.create_array(theirs, data=VALUES, chunks=(2, 1))
    assert 16 < Slow.most <= 64
    Slow.most = 0
    assert np.array_equal(gpuzarr.open(theirs)[...], VALUES) and 16 < Slow.most <= 64


def test_groups_are_made_moved_and_deleted() -> None:
    theirs = reversed_store({})
    group = gpuzarr.create_group(theirs)
    group.create_array("a/x", data=VALUES, chunks=(20, 20))
    group.create_array("a/x", data=VALUES[:9], overwrite=True)
    group.move("a", "b")
    assert sorted(group) == ["b"] and np.array_equal(zarr.open_group(theirs, mode="r")["b/x"][...], VALUES[:9])
    del group["b"]
    assert sorted(gpuzarr.open_group(theirs)) == []


@pytest.mark.parametrize("wrap", [lambda store: store, zarr.storage.WrapperStore, zarr.storage.LoggingStore, Reversed])
def test_a_store_that_is_read_only_is_not_written(wrap: Any, tmp_path: Path) -> None:
    writable = wrap(zarr.storage.LocalStore(tmp_path / "s"))
    gpuzarr.save(writable, VALUES)
    for theirs in (wrap(zarr.storage.LocalStore(tmp_path / "s", read_only=True)), zarr.open_array(writable, mode="r")):
        assert np.array_equal(gpuzarr.open(theirs)[...], VALUES)
        with pytest.raises(gpuzarr.ReadOnlyError):
            gpuzarr.open(theirs, mode="r+")


def test_archives(tmp_path: Path) -> None:
    """One that is only read is read directly; one that is written is asked, as it has no table of contents yet."""
    with zarr.storage.ZipStore(tmp_path / "a.zip", mode="w") as theirs:
        zarr.create_array(theirs, name="x", data=VALUES, chunks=(9, 9))
        assert isinstance(store_of(theirs), RemoteStore)
        assert np.array_equal(gpuzarr.open(theirs, "x")[...], VALUES)
        gpuzarr.save(theirs, VALUES, path="y")
    assert "y/zarr.json" in zipfile.ZipFile(tmp_path / "a.zip").namelist()
    theirs = zarr.storage.ZipStore(tmp_path / "a.zip", mode="r")
    assert not isinstance(store_of(theirs), RemoteStore)
    assert np.array_equal(gpuzarr.open(theirs, "x")[...], gpuzarr.open(theirs, "y")[...])


def test_errors_name_the_store_and_the_key(device: Any) -> None:
    theirs = Broken(zarr.storage.MemoryStore())
    gpuzarr.create_array(theirs, data=np.arange(100), chunks=(10,))
    array = gpuzarr.open(theirs, device=device)
    assert host_array(array[:30]).tolist() == list(range(30))
    with pytest.raises(gpuzarr.StoreError, match=r"cannot read 'c/3' of .*WrapperStore.*: the line is dead") as caught:
        array[...]
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_ranges_that_are_not_obeyed_are_errors() -> None:
    theirs = WithoutRanges(zarr.storage.MemoryStore())
    gpuzarr.create_array(theirs, data=VALUES, chunks=(5, 6), shards=(25, 30))
    with pytest.raises(gpuzarr.StoreError, match="bytes came for a range of"):
        gpuzarr.open(theirs)[0, 0]


def test_a_store_that_lists_nothing_is_read() -> None:
    class Silent(Reversed):
        supports_listing = False

    theirs = Silent(zarr.storage.MemoryStore())
    zarr.create_array(theirs, data=VALUES, chunks=(10, 10))
    assert np.array_equal(gpuzarr.open(theirs)[...], VALUES)
    with pytest.raises(gpuzarr.StoreError, match="does not support"):
        store_of(theirs).names("")


def test_the_loop_of_zarr_python_cannot_wait_for_itself() -> None:
    theirs = reversed_store({"k": b"value"})

    async def inside() -> Any:
        return store_of(theirs).get("k")

    with pytest.raises(gpuzarr.StoreError, match="another thread"):
        sync(inside())
    assert asyncio.run(inside()) == b"value"


def test_what_is_interrupted_delivers_nothing_more() -> None:
    """The requests that wait are given up before the interrupt is raised."""
    theirs = Slow(zarr.storage.MemoryStore())
    for i in range(300):
        sync(theirs.set(f"k{i}", cpu.Buffer.from_bytes(b"value")))
    delivered: list[int] = []
    client = ZarrClient(theirs, concurrency=2)

    def interrupt() -> None:
        while len(delivered) < 10:
            time.sleep(0.001)
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)  # who waits wakes up; of a process any thread may take the signal

    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            client.fetch([Asked(f"k{i}") for i in range(300)], lambda i, _: delivered.append(i))
    finally:
        signal.signal(signal.SIGINT, before)
    count = len(delivered)
    thread.join()
    sync(asyncio.sleep(0.02))
    assert 10 <= count == len(delivered) < 300
    assert client.tried([Asked("k0"), Asked("none")])[1] is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_reads() -> None:
    theirs = reversed_store({})
    gpuzarr.create_array(theirs, data=VALUES, chunks=(10, 10))
    array = gpuzarr.open(theirs, device="cpu")
    assert np.array_equal(array[...], VALUES)
    if (child := os.fork()) == 0:
        os._exit(0 if np.array_equal(array[...], VALUES) else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_wait_for_threads_of_obstore(tmp_path: Path) -> None:
    """Also where a store of obstore is inside of one that nobody knows."""
    obstore = pytest.importorskip("obstore")

    class Own(zarr.storage.WrapperStore):  # type: ignore[type-arg]
        async def get(self, *args: Any, **options: Any) -> Any:
            return await super().get(*args, **options)

    a = gpuzarr.create_array(tmp_path / "a", shape=4, chunks=2, dtype="i4", device="cpu")
    a[...] = range(4)
    there = gpuzarr.open(
        Own(zarr.storage.ObjectStore(obstore.store.LocalStore(str(tmp_path / "a")))), mode="r", device="cpu"
    )
    assert there[:2].tolist() == [0, 1]

    def claim() -> bool:
        with pytest.raises(StoreError, match="obstore was used before the fork"):
            there[2:]
        return True

    assert holds_in_child(claim)
