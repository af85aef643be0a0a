"""Icechunk: repositories and sessions, committed or not, native and virtual chunks, time travel."""

from __future__ import annotations

import datetime
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.errors import StoreError
from gpuzarr.stores import icechunk as ours
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.ranges import MISSING
from tests.hardware import host_array
from tests.stores.forking import holds_in_child

icechunk = pytest.importorskip("icechunk")
IS_OLD = not hasattr(icechunk.IcechunkStore, "array_chunk_iterator")
listed = pytest.mark.skipif(IS_OLD, reason="this icechunk does not list chunks")
VALUES = np.random.default_rng(5).random((60, 40)).astype("f4")
ARRAYS: dict[str, dict[str, Any]] = {
    "native": {"chunks": (13, 17), "compressors": None},
    "sharded": {"chunks": (5, 5), "shards": (30, 20)},
    "in manifests": {"chunks": (4, 4)},
    "one chunk": {"chunks": (60, 40)},
}


def repository(folder: Path, **options: Any) -> Any:
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(folder)), **options)


def filled(folder: Path) -> Any:
    """A repository with arrays of all kinds, in a commit."""
    repo = repository(folder)
    session = repo.writable_session("main")
    group = gpuzarr.create_group(session.store)
    for name, options in ARRAYS.items():
        group.create_array(f"g/{name}", data=VALUES, **options)
    group.create_array("scalar", data=np.array(7, "i8"))
    group.create_array("none", shape=(6, 6), chunks=(2, 2), dtype="i2", fill_value=3)
    group.create_array("c/c", data=np.arange(9), chunks=(2,))
    session.commit("first")
    return repo


def check(group: gpuzarr.Group) -> None:
    for name in ARRAYS:
        array = group[f"g/{name}"]
        assert np.array_equal(host_array(array[...]), VALUES)
        assert np.array_equal(host_array(array[7:45, 3::7]), VALUES[7:45, 3::7])
    assert group["scalar"][()] == 7 and (host_array(group["none"][...]) == 3).all()
    assert host_array(group["c/c"][...]).tolist() == list(range(9))


def test_what_is_committed_is_read_everywhere(tmp_path: Path, device: Any) -> None:
    repo = filled(tmp_path / "r")
    session = repo.readonly_session("main")
    for thing in (repo, session, session.store, repo.writable_session("main"), repo.writable_session("main").store):
        check(gpuzarr.open_group(thing, device=device))
    theirs = zarr.open_group(session.store, mode="r")
    assert all(np.array_equal(theirs[f"g/{name}"][...], VALUES) for name in ARRAYS)
    group = gpuzarr.open_group(repo)
    assert sorted(group) == ["c", "g", "none", "scalar"] and group["g/native"].nchunks_initialized == 15
    assert np.array_equal(gpuzarr.open(zarr.open_group(session.store, mode="r")["g/native"])[...], VALUES)


@listed
def test_native_chunks_are_read_as_files(tmp_path: Path) -> None:
    session = filled(tmp_path / "r").readonly_session("main")
    store = gpuzarr.open_group(session).store
    assert store.chunks == LocalStore(tmp_path / "r" / "chunks", read_only=True)
    keys = ["g/native/c/0/0", "g/in manifests/c/0/0", "g/native/c/9/9", "zarr.json", "nothing", "scalar/c"]
    with store.open(keys) as objects:
        assert [length == MISSING for length in objects.lengths()] == [False, False, True, False, True, False]
        places = objects._places
    holders = store._table().holders()
    place, name = holders[int(places.holders[0])]
    assert place is store.chunks and (tmp_path / "r" / "chunks" / name).stat().st_size == 13 * 17 * 4
    os.remove(tmp_path / "r" / "chunks" / name)
    with pytest.raises(gpuzarr.GpuZarrError, match="g/native"):
        gpuzarr.open_group(session)["g/native"][0, 0]
    sizes = dict(gpuzarr.open_group(session).store.objects("g/native"))
    assert sizes["g/native/c/0/0"] == 13 * 17 * 4 and "g/native/zarr.json" in sizes and len(sizes) == 16


def test_a_session_sees_its_own_changes(tmp_path: Path) -> None:
    """Before and after commits, by both libraries; others see them once they are committed."""
    repo = filled(tmp_path / "r")
    session = repo.writable_session("main")
    array = gpuzarr.open_group(session, mode="r+")["g/native"]
    assert np.array_equal(array[...], VALUES)
    array[3:5, 10:20] = 9
    expected = VALUES.copy()
    expected[3:5, 10:20] = 9
    assert np.array_equal(array[...], expected) and np.array_equal(zarr.open(session.store)["g/native"][...], expected)
    assert np.array_equal(gpuzarr.open_group(repo)["g/native"][...], VALUES)
    session.commit("second")
    assert np.array_equal(array[...], expected) and np.array_equal(gpuzarr.open(repo)["g/native"][...], expected)
    again = repo.writable_session("main")
    array = gpuzarr.open_group(again, mode="r+")["g/native"]
    zarr.open_group(again.store, mode="r+")["g/native"][0] = 1
    assert (array[0] == 1).all() and np.array_equal(array[1:], expected[1:])
    again.discard_changes()
    assert np.array_equal(array[...], expected)
    with pytest.raises(gpuzarr.ReadOnlyError):
        gpuzarr.open_group(repo, mode="r+")


def test_nodes_are_made_replaced_moved_and_deleted(tmp_path: Path) -> None:
    repo = filled(tmp_path / "r")
    session = repo.writable_session("main")
    group = gpuzarr.open_group(session, mode="r+")
    group.create_array("g/native", data=VALUES[:7], overwrite=True)
    group.create_group("new").create_array("deep/a", data=[1, 2, 3])
    group["new/deep/a"].append([4])
    group.move("g/one chunk", "new/moved")
    group.attrs["title"] = "a test"
    del group["g/sharded"]
    session.commit("changed")
    found = gpuzarr.open_group(repo)
    assert np.array_equal(found["g/native"][...], VALUES[:7]) and found.attrs["title"] == "a test"
    assert np.array_equal(found["new/moved"][...], VALUES) and "g/one chunk" not in found
    assert found["new/deep/a"][...].tolist() == [1, 2, 3, 4] and "g/sharded" not in found
    theirs = zarr.open_group(repo.readonly_session("main").store, mode="r")
    assert theirs["new/deep/a"][...].tolist() == [1, 2, 3, 4] and np.array_equal(theirs["new/moved"][...], VALUES)


def test_time_travel(tmp_path: Path) -> None:
    place = tmp_path / "r"
    repo = repository(place)
    snapshots = []
    for number in range(3):
        session = repo.writable_session("main")
        gpuzarr.create_array(session.store, data=np.full(1000, number), overwrite=True)
        snapshots.append(session.commit(f"number {number}"))
    repo.create_tag("one", snapshots[1])
    repo.create_branch("zero", snapshots[0])
    for which, number in (
        ({"snapshot": snapshots[0]}, 0),
        ({"tag": "one"}, 1),
        ({"branch": "zero"}, 0),
        ({"branch": "main"}, 2),
        ({}, 2),
    ):
        for where in (str(place), place.as_uri()):
            assert gpuzarr.open(ours.of_location(where, **which))[5] == number
    for snapshot, number in zip(snapshots, range(3), strict=True):
        assert gpuzarr.open(repo.readonly_session(snapshot_id=snapshot))[5] == number
    for wrong in ({"branch": "none"}, {"tag": "none"}, {"snapshot": "1CECHNKREP0F1RSTCMT0"[::-1]}):
        with pytest.raises(gpuzarr.StoreError, match="cannot open the Icechunk repository"):
            ours.of_location(str(place), **wrong)
    with pytest.raises(gpuzarr.StoreError, match="no Icechunk repository"):
        ours.of_location(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_copies_by_pickle_read_the_same(tmp_path: Path) -> None:
    repo = filled(tmp_path / "r")
    group = gpuzarr.open_group(repo)
    check(group)
    check(pickle.loads(pickle.dumps(group)))
    writable = gpuzarr.open_group(repo.writable_session("main"), mode="r+")
    with pytest.raises(ValueError, match="fork"):
        pickle.dumps(writable)


def test_a_repository_in_memory(device: Any) -> None:
    repo = icechunk.Repository.create(icechunk.in_memory_storage())
    session = repo.writable_session("main")
    gpuzarr.save(session.store, VALUES, path="x")
    session.commit("x")
    assert np.array_equal(host_array(gpuzarr.open(repo, "x", device=device)[...]), VALUES)


class Virtual:
    """A repository with an array whose chunks are parts of two files. `authorized`: what it is opened with."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, [folder / "data" / "f.bin", folder / "data" / "g.bin"]
        (folder / "data").mkdir()
        self.values = np.arange(4000, dtype="f4")
        for i, file in enumerate(self.files):
            file.write_bytes(b"head" + self.values[2000 * i :][:2000].tobytes())
        self.prefix = f"file://{folder}/data/"
        self.storage = icechunk.local_filesystem_storage(str(folder / "r"))
        config = icechunk.RepositoryConfig.default()
        container = icechunk.VirtualChunkContainer(self.prefix, icechunk.local_filesystem_store(str(folder / "data")))
        config.set_virtual_chunk_container(container)
        self.repo = icechunk.Repository.create(self.storage, config=config)

    def write(self, url: Callable[[Path], str] = Path.as_uri, **options: Any) -> None:
        session = self.repo.writable_session("main")
        zarr.create_array(
            session.store, name="v", shape=(4000,), chunks=(500,), dtype="f4", compressors=None, filters=None
        )
        for i in range(8):
            place = {"location": url(self.files[i // 4]), "offset": 4 + 2000 * (i % 4), "length": 2000}
            session.store.set_virtual_ref(f"v/c/{i}", **place, **options)
        session.commit("virtual")

    def session(self, is_authorized: bool = True) -> Any:
        allowed = {self.prefix: icechunk.containers_credentials({self.prefix: None})[self.prefix]} if IS_OLD else None
        if not IS_OLD:
            allowed = {self.prefix: icechunk.credentials.LocalFileSystemAccess}
        options = {"authorize_virtual_chunk_access": allowed} if is_authorized else {}
        return icechunk.Repository.open(self.storage, **options).readonly_session("main")


@pytest.fixture
def virtual(tmp_path: Path) -> Virtual:
    return Virtual(tmp_path)


@listed
def test_virtual_chunks_are_read_in_their_files(virtual: Virtual, device: Any) -> None:
    virtual.write()
    array = gpuzarr.open(virtual.session(), "v", device=device)
    assert np.array_equal(host_array(array[...]), virtual.values)
    assert np.array_equal(host_array(array[777:3500]), virtual.values[777:3500])
    holders = array.store._table().holders()
    assert [holders[i][1] for i in range(2)] == [str(file)[1:] for file in virtual.files]
    assert len(holders) == 2, "the session was asked for chunks"


@listed
def test_nothing_is_read_that_the_session_refuses(virtual: Virtual) -> None:
    virtual.write()
    with pytest.raises(gpuzarr.StoreError, match="authorize"):
        gpuzarr.open(virtual.session(False), "v")[...]


@listed
@pytest.mark.parametrize("odd", ["data/../data/{}", "data/%66.bin", "data/./{}"])
def test_the_session_is_asked_for_what_is_not_plain(virtual: Virtual, odd: str) -> None:
    """A URL with "..", "//" or escapes may mean another file to Icechunk: what it reads or refuses, so do we."""
    try:
        virtual.write(lambda file: f"file://{virtual.folder}/{odd.format(file.name)}")
    except icechunk.IcechunkError:
        return  # it takes no such URL
    array = gpuzarr.open(virtual.session(), "v")
    theirs = zarr.open_array(virtual.session().store, path="v", mode="r")
    try:
        expected = theirs[...]
    except Exception:
        with pytest.raises(gpuzarr.StoreError):
            array[...]
    else:
        assert np.array_equal(array[...], expected)
    assert not any("%" in key or "." in key.split("/") for _, key in array.store._table().holders())


@listed
def test_files_that_were_changed_are_refused(virtual: Virtual) -> None:
    """Where a reference has a checksum: before the first read, and after one."""
    virtual.write(checksum=datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2))
    array = gpuzarr.open(virtual.session(), "v")
    assert np.array_equal(array[...], virtual.values)
    later = datetime.datetime.now().timestamp() + 100
    virtual.files[1].write_bytes(b"other" * 4000)
    os.utime(virtual.files[1], (later, later))
    for again in (array, gpuzarr.open(virtual.session(), "v")):
        assert np.array_equal(again[:2000], virtual.values[:2000])
        with pytest.raises(gpuzarr.StoreError, match=r"v/c/\d.*checksum"):
            again[...]


@listed
def test_files_that_were_changed_are_read_where_nothing_forbids_it(virtual: Virtual) -> None:
    virtual.write()
    array = gpuzarr.open(virtual.session(), "v")
    assert np.array_equal(array[...], virtual.values)
    virtual.files[1].write_bytes(b"head" + (-virtual.values[2000:]).tobytes())
    assert np.array_equal(array[2000:], -virtual.values[2000:])
    virtual.files[1].write_bytes(b"too short")
    with pytest.raises(gpuzarr.GpuZarrError, match="v/c/4"):
        array[...]
    os.remove(virtual.files[1])
    with pytest.raises(gpuzarr.StoreError):
        array[...]


def test_a_repository_in_a_bucket(moto: Any, device: Any) -> None:
    place, options = f"{moto.bucket()}/a/repository", moto.options()
    secrets = {"access_key_id": "a", "secret_access_key": "b", "region": "us-east-1", "allow_http": True}
    bucket = place.split("/")[2]
    where = {"bucket": bucket, "prefix": "a/repository", "endpoint_url": moto.url, "force_path_style": True}
    repo = icechunk.Repository.create(icechunk.s3_storage(**where, **secrets))
    session = repo.writable_session("main")
    gpuzarr.create_array(session.store, name="x", data=VALUES, chunks=(20, 20), compressors=None)
    session.commit("x")
    for group in (
        gpuzarr.open_group(f"{place}|icechunk:", storage_options=options, device=device),
        gpuzarr.open_group(f"{place}|icechunk:@branch.main/", storage_options=options, device=device),
        gpuzarr.open_group(repo, device=device),
    ):
        assert np.array_equal(host_array(group["x"][...]), VALUES)
        assert np.array_equal(host_array(group["x"][3:33, 5]), VALUES[3:33, 5])
    store = ours.of_location(place, storage_options=options)
    if not IS_OLD:
        with store.open(["x/c/0/0"]) as objects:
            assert objects.lengths() == [20 * 20 * 4]
        assert [holder for holder, _ in store._table().holders()] == [store.chunks] * 6
    with pytest.raises(gpuzarr.StoreError, match="cannot open the Icechunk repository 's3://"):
        ours.of_location(f"{place}/none", storage_options=options)


@listed
def test_virtual_chunks_in_a_web_server(nginx: Any, tmp_path: Path, device: Any) -> None:
    """They are read there, while the file is what it was when the session was seen to read it."""
    url, folder = nginx.place()
    values = np.arange(4000, dtype="f4")
    (folder / "f.bin").write_bytes(b"head" + values.tobytes())
    config = icechunk.RepositoryConfig.default()
    store = icechunk.http_store({"allow_http": "true"})
    config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(f"{url}/", store))
    storage = icechunk.local_filesystem_storage(str(tmp_path / "r"))
    session = icechunk.Repository.create(storage, config=config).writable_session("main")
    zarr.create_array(session.store, name="v", shape=(4000,), chunks=(500,), dtype="f4", compressors=None, filters=None)
    for i in range(8):
        session.store.set_virtual_ref(f"v/c/{i}", f"{url}/f.bin", offset=4 + 2000 * i, length=2000)
    session.commit("virtual")
    allowed = {f"{url}/": icechunk.credentials.HttpAccess}
    repo = icechunk.Repository.open(storage, authorize_virtual_chunk_access=allowed)
    array = gpuzarr.open(repo, "v", device=device)
    for factor in (1, -1):
        (folder / "f.bin").write_bytes(b"head" + (factor * values).tobytes())
        assert np.array_equal(host_array(array[...]), factor * values)
        assert np.array_equal(host_array(array[777:3500]), factor * values[777:3500])
        (holder, key), *others = array.store._table().holders()
        assert repr(holder).startswith(f"RemoteStore('http://127.0.0.1:{nginx.port}") and key.endswith("/f.bin")
        assert not others, "the session was asked for chunks"
        os.utime(folder / "f.bin", (1, 1))
    (folder / "f.bin").unlink()
    with pytest.raises(gpuzarr.StoreError):
        array[...]
    with pytest.raises(gpuzarr.StoreError, match="authorize"):
        gpuzarr.open(icechunk.Repository.open(storage), "v")[...]


def test_a_forked_child_is_told_that_it_cannot_ask(tmp_path: Path) -> None:
    """It would wait for ever for threads that only its parent has. What is known is read."""
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "r")))
    session = repository.writable_session("main")
    gpuzarr.create_array(session.store, name="a", shape=8, chunks=2, dtype="i4", device="cpu")[...] = range(8)
    session.commit("made")
    group = gpuzarr.open(repository.readonly_session("main"), device="cpu")
    array = group["a"]
    assert array[:2].tolist() == [0, 1]
    has_manifests = hasattr(session.store, "array_chunk_iterator")  # of Icechunk 2, which are known then
    calls: list[Any] = [
        lambda: list(group),
        lambda: gpuzarr.open(repository),
        lambda: gpuzarr.open(tmp_path / "r"),
        lambda: gpuzarr.open(session.store, mode="r+")["a"].resize(9),
    ]

    def claim() -> bool:
        for call in calls:
            with pytest.raises(StoreError, match="in a forked process: icechunk was used before"):
                call()
        return not has_manifests or bool((array[2:] == range(2, 8)).all())

    assert holds_in_child(claim)
