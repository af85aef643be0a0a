"""Stores behind real servers: nginx, moto's S3 and Azurite. What each can do is done, and what it cannot is said."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.errors import ChangedError, GpuZarrError, NotFoundError, StoreError
from gpuzarr.stores.finding import resolve
from tests.laws import stores as laws
from tests.laws.stores import NewStore
from tests.servers.faults import Proxy, Steps
from tests.servers.real import S3, Azure, Web

pytest.importorskip("obstore")
VALUES = np.arange(48 * 40, dtype="<i4").reshape(48, 40)
SHARDED = {"chunks": (4, 20), "shards": (16, 40)}
TO_FOLDERS = {laws.names_and_objects_are_listed}  # what a web server cannot do
HEAVY = {laws.many_threads_read_at_once, laws.readers_see_whole_objects, laws.locks_let_one_in_at_a_time}
LARGE = {laws.the_corpus_is_read}
RACES = {laws.nothing_is_lost_where_versions_guard}  # which moto loses: it looks at a condition, and then writes
Place = tuple[str, dict[str, Any]]  # a URL, with the storage options that belong to it


@pytest.fixture(params=["S3", "Azure"])
def place(request: pytest.FixtureRequest) -> Place:
    """Where nothing is yet."""
    if request.param == "S3":
        s3: S3 = request.getfixturevalue("moto")
        return s3.bucket(), s3.options()
    azure: Azure = request.getfixturevalue("azurite")
    return azure.container(), azure.options()


def filled(place: Place, contents: dict[str, bytes]) -> Any:
    """The store at a place, with these objects and no others."""
    store = resolve.store(place[0] + "/some/where", place[1])
    store.delete_prefix("")
    for key, value in contents.items():
        store.set(key, value)
    return store


def in_folder(url: str, folder: Path, contents: dict[str, bytes]) -> Any:
    for key, value in contents.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(value)
    return resolve.store(url)


@pytest.mark.parametrize("law", [law for law in laws.store_laws() if law not in HEAVY | LARGE | RACES])
def test_object_store(law: Callable[[NewStore], None], place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those laws that are no matter of thousands of requests: the servers are slower than any client."""
    monkeypatch.setenv("GPUZARR_EXAMPLES", "5")
    law(lambda contents: filled(place, contents))


@pytest.mark.parametrize("law", [law for law in laws.store_laws(False) if law not in HEAVY | TO_FOLDERS])
def test_web_server(law: Callable[[NewStore], None], nginx: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUZARR_EXAMPLES", "20")
    url, folder = nginx.place()
    law(lambda contents: in_folder(url, folder, contents))


@pytest.mark.parametrize("layout", [SHARDED, {"chunks": (7, 9)}, {"chunks": (16, 40), "zarr_format": 2}])
def test_an_array_goes_there_and_back(layout: dict[str, Any], place: Place) -> None:
    url, options = place
    group = gpuzarr.create_group(f"{url}/g", storage_options=options, zarr_format=layout.get("zarr_format", 3))
    array = group.create_array("deep/a", data=VALUES, **layout)
    array[5:9, 3] = 7
    array.attrs["unit"] = "m"
    wanted = VALUES.copy()
    wanted[5:9, 3] = 7
    again = gpuzarr.open_group(f"{url}/g", storage_options=options)
    np.testing.assert_array_equal(again["deep/a"][...], wanted)
    np.testing.assert_array_equal(again["deep/a"][6:20, ::7], wanted[6:20, ::7])
    assert dict(again["deep/a"].attrs) == {"unit": "m"} and list(again) == ["deep"] and list(again["deep"]) == ["a"]
    assert again["deep/a"].nchunks_initialized == array.nchunks
    del group["deep"]
    with pytest.raises(NotFoundError, match="deep/a"):
        gpuzarr.open_array(f"{url}/g/deep/a", mode="r", storage_options=options)


def test_zarr_python_reads_what_was_written_and_the_reverse(place: Place) -> None:
    """By its own store over obstore."""
    zarr, obstore = pytest.importorskip("zarr"), pytest.importorskip("obstore")
    if not hasattr(zarr.storage, "ObjectStore"):
        pytest.skip("this zarr-python has no ObjectStore")
    url, options = place
    theirs = obstore.store.from_url(url, **options, client_options={"allow_http": True})
    gpuzarr.save_array(f"{url}/ours", VALUES, storage_options=options, **SHARDED)
    np.testing.assert_array_equal(zarr.open_array(zarr.storage.ObjectStore(theirs), path="ours")[...], VALUES)
    made = zarr.create_array(zarr.storage.ObjectStore(theirs), name="theirs", data=VALUES, **SHARDED)
    np.testing.assert_array_equal(gpuzarr.open(f"{url}/theirs", storage_options=options)[...], VALUES)
    np.testing.assert_array_equal(gpuzarr.open(made)[...], VALUES)


def test_a_web_server_needs_no_listing(nginx: Web) -> None:
    """Nodes are found by their paths; all of a group by its consolidated metadata."""
    url, folder = nginx.place()
    gpuzarr.open_group(folder, mode="w").create_array("a/b", data=VALUES, **SHARDED)
    np.testing.assert_array_equal(gpuzarr.open(f"{url}/a/b")[...], VALUES)
    np.testing.assert_array_equal(gpuzarr.open(url)["a/b"][...], VALUES)
    with pytest.raises(StoreError, match="consolidated"):
        list(gpuzarr.open(url))
    gpuzarr.consolidate_metadata(folder)
    group = gpuzarr.open(url)
    assert list(group) == ["a"] and list(group["a"]) == ["b"] and "b" in str(group.tree())
    np.testing.assert_array_equal(group["a/b"][30:, 3], VALUES[30:, 3])
    with pytest.raises(GpuZarrError, match="web server takes no objects"):
        group["a/b"][0] = 1


def test_who_may_not_read_is_told_how_to_be_nobody(azurite: Azure) -> None:
    """A public container is read by everybody, and a private one is refused with the name of what was asked for."""
    anonymous = {key: value for key, value in azurite.options().items() if key != "account_key"}
    for is_public in (True, False):
        url = azurite.container(is_public)
        gpuzarr.save_array(f"{url}/a", VALUES, storage_options=azurite.options())
        options = {**anonymous, "skip_signature": True}
        if is_public:
            np.testing.assert_array_equal(gpuzarr.open(f"{url}/a", storage_options=options)[...], VALUES)
            web = f"{azurite.url}/{url.removeprefix('az://')}/a"
            np.testing.assert_array_equal(gpuzarr.open_array(web)[...], VALUES)
        else:
            with pytest.raises(StoreError, match=r"zarr\.json"):
                gpuzarr.open_array(f"{url}/a", storage_options=options)


def test_a_signed_url_is_all_that_is_needed(azurite: Azure, tmp_path: Path) -> None:
    """Of an archive. The signature is in no message."""
    import obstore

    gpuzarr.save_array(tmp_path / "a", VALUES, **SHARDED)
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "a")
    url = azurite.container()
    store = obstore.store.from_url(url, **azurite.options(), client_options={"allow_http": True})
    obstore.put(store, "a.zip", (tmp_path / "a.zip").read_bytes())
    signed = obstore.sign(store, "GET", "a.zip", timedelta(hours=1))
    array = gpuzarr.open_array(signed)
    np.testing.assert_array_equal(array[...], VALUES)
    assert "sig=" in signed and "sig=" not in repr(array)
    with pytest.raises(GpuZarrError) as caught:
        gpuzarr.open_array(signed.replace("sig=", "sig=x"))
    assert "sig=" not in str(caught.value)


def test_two_who_write_parts_of_one_chunk_lose_nothing(moto: S3, faulty: Callable[[int], Proxy]) -> None:
    """While one changes its part, another writes the chunk: the put is refused, and the change is made again."""
    import obstore

    url, options = moto.bucket(), moto.options()
    proxy = faulty(moto.port)
    gpuzarr.save_array(f"{url}/a", VALUES, chunks=VALUES.shape, compressors=None, storage_options=options)
    other = VALUES.copy()
    other[40:] = -1
    store = obstore.store.from_url(url, **options, client_options={"allow_http": True})

    def meanwhile(said: Any) -> Steps:
        obstore.put(store, "a/c/0/0", other.tobytes())
        return [said.wire]

    array = gpuzarr.open_array(f"{url}/a", mode="r+", storage_options=moto.options(proxy.port))
    proxy.inject(meanwhile, "a/c/0/0", method="GET", times=1)
    array[:8] = 5
    other[:8] = 5
    assert proxy.rules[0].times == 0
    np.testing.assert_array_equal(gpuzarr.open_array(f"{url}/a", storage_options=options)[...], other)


WRITER = """
import sys, gpuzarr
endpoint, first = sys.argv[1], int(sys.argv[2])
options = {"endpoint": endpoint, "region": "us-east-1", "skip_signature": True}
array = gpuzarr.open_array("s3://bucket/a", mode="r+", storage_options=options)
for row in range(first, 16, 2):
    array[row] = row + 1000
"""


def test_two_processes_write_parts_of_one_shard(tmp_path: Path) -> None:
    """On the benchmarks' server, which looks at a condition and writes in one step; moto may be between the two."""
    gpuzarr.save_array(tmp_path / "bucket" / "a", VALUES[:16], chunks=(4, 40), shards=(16, 40))
    with serving(tmp_path, writable=True) as server:
        command = [sys.executable, "-c", WRITER, server.url]
        writers = [subprocess.Popen([*command, str(first)]) for first in (0, 1)]
        assert [writer.wait(60) for writer in writers] == [0, 0]
    found = gpuzarr.open_array(tmp_path / "bucket" / "a")[...]
    np.testing.assert_array_equal(found, np.broadcast_to(np.arange(16)[:, None] + 1000, found.shape))


def test_a_bucket_that_is_not_there_cannot_be_written(moto: S3) -> None:
    """At once: nobody has changed anything in it."""
    store = resolve.store(f"{moto.bucket()}-none/a", moto.options())
    with pytest.raises(StoreError, match=r"cannot write 'zarr.json' of .*NoSuchBucket") as caught:
        gpuzarr.create_array(store, shape=3, dtype="i4")
    assert not isinstance(caught.value, ChangedError)
    with pytest.raises(StoreError, match=r"cannot write 'x' of .*NoSuchBucket"):
        store.set("x", b"1")
