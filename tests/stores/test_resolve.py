"""What a user may give as a store."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import os
import pickle
from collections.abc import Iterator, MutableMapping
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import numpy as np
import pytest

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.errors import NotFoundError, StoreError, StoreKindError
from gpuzarr.stores.finding.resolve import store
from gpuzarr.stores.identity import contains, identity
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.path import StorePath
from gpuzarr.stores.remote.options import translated
from gpuzarr.stores.remote.store import RemoteStore

VALUES = np.arange(24, dtype="i4").reshape(4, 6)
HERE = Path(__file__)


def test_choose(tmp_path: Path) -> None:
    folder = tmp_path
    assert store(str(folder)) == store(folder) == store(f"file://{folder}") == store(f"file://localhost{folder}")
    assert store(store(folder)) == LocalStore(folder) == store(f"FILE://{folder}") == store(f"file:{folder}")
    assert isinstance(store({}), MappingStore) and store(None).mapping == {} == store("memory://a").mapping
    assert store(PurePosixPath("/a")) == LocalStore("/a")
    assert store("file:///a%20b/%C3%A9#1") == LocalStore("/a b/é#1")
    assert store("/a%20b") == LocalStore("/a%20b")
    (tmp_path / "folder.zip").mkdir()
    assert store(tmp_path / "folder.zip") == LocalStore(tmp_path / "folder.zip")


REMOTE = {
    "s3://bucket/a": "s3://bucket/a",
    "s3a://bucket/a/": "s3a://bucket/a",
    "gs://bucket/a": "gs://bucket/a",
    "gcs://bucket/a": "gs://bucket/a",
    "abfs://container@account.dfs.core.windows.net/a": "abfs://container@account.dfs.core.windows.net/a",
    "https://user:password@host:80/a.zarr?key=secret": "https://host:80/a.zarr",
    "https://bucket.s3.amazonaws.com/a.zarr": "https://bucket.s3.amazonaws.com/a.zarr",
    "https://account.blob.core.windows.net/container/a.zarr": "https://account.blob.core.windows.net/container/a.zarr",
    "simplecache::memory://a": "simplecache::memory://a",
}


@pytest.mark.parametrize("url", REMOTE)
def test_urls_of_other_machines(url: str) -> None:
    found = store(url)
    assert isinstance(found, RemoteStore) and repr(found) == f"RemoteStore({REMOTE[url]!r})"
    assert store(StorePath(url, "x/y")).client == found.client.below("x/y")


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (3, "not int"),
        (b"/a", "not bytes"),
        ([], "not list"),
        ("file://host/a", "another host"),
        ("file://relative", "absolute"),
        ("nosuch://bucket/a", "scheme 'nosuch'"),
        (HERE, "is a file"),
        ("s3://", "names no bucket"),
        ("https://", "names no host"),
    ],
)
def test_choose_refuses(thing: Any, words: str) -> None:
    with pytest.raises(StoreKindError, match=words) as caught:
        store(thing)
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, StoreError)


MISTAKES = {
    "s3:/bucket/a": "did you mean 's3://bucket/a'",
    "s3:bucket/a": "did you mean 's3://bucket/a'",
    "https:/host/a": "did you mean 'https://host/a'",
    "wasb:/c/a": "did you mean 'abfs://c/a'",
    "memory:a": "did you mean 'memory://a'",
    "file:a": "did you mean 'file:///a'",
    "bucket.s3.amazonaws.com/a": "did you mean 'https://bucket.s3.amazonaws.com/a', or 's3://bucket/a'",
    "storage.googleapis.com/b/a": "did you mean 'https://storage.googleapis.com/b/a'",
    r"C:\data\a.zarr": "a path of Windows",
    "C:/data/a.zarr": "a path of Windows",
    r"\\server\share": "a path of Windows",
    "~/a.zarr": "expanduser",
    "$HOME/a.zarr": "expandvars",
    " s3://b/a": "blanks or quotes around it; did you mean 's3://b/a'",
    "'/a/b'": "did you mean '/a/b'",
    Path("s3://bucket/a"): "pathlib.Path makes one '/' of two.*did you mean 's3://bucket/a'",
    "simplecach::s3://b": "no protocol of fsspec is called 'simplecach'",
    Path("https://host/a"): "did you mean 'https://host/a'",
}


@pytest.mark.parametrize("thing", MISTAKES, ids=str)
def test_mistakes_get_a_hint(thing: Any) -> None:
    with pytest.raises(StoreKindError, match=MISTAKES[thing]):
        store(thing)


@pytest.mark.parametrize("name", ["a:b", "~", "s3:", "a|b", "x y", "a::b", "ä"])
def test_odd_names_of_folders(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is there is taken by its name, and so is any pathlib.Path."""
    monkeypatch.chdir(tmp_path)
    os.mkdir(name)
    assert store(Path(name)) == LocalStore(name)
    if "|" not in name:
        assert store(name) == LocalStore(name) == store(str(tmp_path / name)).__class__(name)


def test_files_that_are_not_there() -> None:
    for name in ("/nowhere/a.nc", "/nowhere/a.json", "/nowhere/a.tif"):
        with pytest.raises(NotFoundError, match="there is no file"):
            store(name)


# storage_options


def test_options_that_nothing_would_use() -> None:
    for thing in ("/a", {}, "memory://a", LocalStore("/a"), fsspec.get_mapper("memory://a")):
        with pytest.raises(StoreKindError, match="storage_options"):
            store(thing, {"anon": True})
        assert store(thing, {}) is not None
    for options in (3, "anon", [1]):
        with pytest.raises(StoreKindError, match="must be a dict"):
            store("s3://b", options)


TRANSLATED = {
    ("s3://b", "anon=True"): {"skip_signature": True},
    ("s3://b", "key='k', secret='s', token='t'"): {
        "access_key_id": "k",
        "secret_access_key": "s",
        "session_token": "t",
    },
    ("s3://b", "endpoint_url='http://h:9000', use_ssl=False"): {
        "endpoint": "http://h:9000",
        "client_options": {"allow_http": True},
    },
    ("s3://b", "client_kwargs={'endpoint_url': 'https://h', 'region_name': 'r'}"): {
        "endpoint": "https://h",
        "region": "r",
    },
    ("s3://b", "config_kwargs={'s3': {'addressing_style': 'virtual'}, 'connect_timeout': 5}"): {
        "virtual_hosted_style_request": True,
        "client_options": {"connect_timeout": "5s"},
    },
    ("s3://b", "skip_signature=True, region='r', default_fill_cache=False, asynchronous=True"): {
        "skip_signature": True,
        "region": "r",
    },
    ("s3://b", "requester_pays=True, key=None"): {"request_payer": True},
    ("gs://b", "token='anon', project='p'"): {"skip_signature": True},
    ("gs://b", "token={'type': 'service_account'}"): {"service_account_key": '{"type": "service_account"}'},
    ("gs://b", f"token={str(HERE)!r}"): {"application_credentials": str(HERE)},
    ("gs://b", "token='google_default'"): {},
    ("az://c", "account_name='n', account_key='k'"): {"account_name": "n", "account_key": "k"},
    ("az://c", "sas_token='s', anon=False"): {"sas_key": "s", "skip_signature": False},
    ("abfs://c", "connection_string='AccountName=n;AccountKey=aA==;EndpointSuffix=x'"): {
        "account_name": "n",
        "account_key": "aA==",
    },
    ("https://h", "headers={'A': 'b'}, block_size=5"): {"client_options": {"default_headers": {"A": "b"}}},
    ("https://h", "client_kwargs={'headers': {'A': 'b'}}"): {"client_options": {"default_headers": {"A": "b"}}},
}


@pytest.mark.parametrize(("url", "options"), TRANSLATED)
def test_options_of_other_packages(url: str, options: str) -> None:
    assert translated(url, eval(f"dict({options})"))[1] == TRANSLATED[url, options]


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("s3://b", {"profile": "p"}, "'profile' is not supported: give credential_provider"),
        ("s3://b", {"anon": True, "skip_signature": False}, "twice"),
        ("s3://b", {"client_kwargs": {"nothing": 1}}, "nothing"),
        ("s3://b", {"client_kwargs": 3}, "is a dict, not 3"),
        ("gs://b", {"token": "/no/such/file"}, "token"),
        ("gs://b", {"requester_pays": True}, "requester_pays"),
        ("https://h", {"client_kwargs": {"auth": 1}}, "auth"),
    ],
)
def test_options_without_an_equal(url: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(StoreKindError, match=words):
        store(url, options)


def test_unknown_options_are_named() -> None:
    with pytest.raises(StoreError, match="nosuch"):
        store("s3://b/a", {"nosuch": 1})


def test_secrets_stay_where_they_are() -> None:
    found = store("s3://b/a", {"key": "k", "secret": "hidden", "endpoint_url": "https://u:hidden@h"})
    assert "hidden" not in repr(found)
    with pytest.raises(StoreKindError) as caught:
        store("/a", {"secret": "hidden"})
    assert "hidden" not in str(caught.value)


def test_every_function_takes_them(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    with serving(tmp_path, writable=True) as server:
        o = {"endpoint_url": server.url, "anon": True, "region": "us-east-1"}
        gpuzarr.save("s3://bucket/a", VALUES, storage_options=o)
        for way in (gpuzarr.open, gpuzarr.open_array, gpuzarr.load):
            assert np.array_equal(way("s3://bucket/a", storage_options=o, device="cpu")[...], VALUES)
        gpuzarr.save_group("s3://bucket/g", x=VALUES, storage_options=o)
        gpuzarr.save_array("s3://bucket/b", VALUES, storage_options=o)
        gpuzarr.create_array("s3://bucket/g", name="y", data=VALUES, storage_options=o)
        gpuzarr.create_array("s3://bucket/g|zarr3:", name="z", data=VALUES, storage_options=o)
        gpuzarr.create(3, store="s3://bucket/g", path="w", storage_options=o)
        gpuzarr.from_array("s3://bucket/g", name="v", data=VALUES, storage_options=o)
        gpuzarr.zeros((2,), store="s3://bucket/g", path="u", storage_options=o)
        gpuzarr.create_group("s3://bucket/g", path="t", storage_options=o)
        g = gpuzarr.consolidate_metadata("s3://bucket/g", storage_options=o)
        assert sorted(g) == ["t", "u", "v", "w", "x", "y", "z"]
        assert sorted(gpuzarr.open_consolidated("s3://bucket/g", storage_options=o)) == sorted(g)
        assert gpuzarr.Group.open("s3://bucket/g", storage_options=o)["x"].shape == VALUES.shape
        assert gpuzarr.Array.open("s3://bucket/b", storage_options=o).shape == VALUES.shape
        gpuzarr.Group.from_store("s3://bucket/h", storage_options=o)
        dict(
            gpuzarr.create_hierarchy(
                store="s3://bucket/i", nodes={"": {"zarr_format": 3, "node_type": "group"}}, storage_options=o
            )
        )
        assert gpuzarr.copy_store("s3://bucket/a", {}, storage_options=o)[0] == 2
        assert gpuzarr.copy_store({"k": b"1"}, "s3://bucket/j", dest_storage_options=o)[0] == 1
        assert gpuzarr.open_like(VALUES, "l", store="s3://bucket/g", storage_options=o).shape == VALUES.shape
        assert (tmp_path / "bucket" / "j" / "k").read_bytes() == b"1"


# things of other libraries


def test_stores_of_obstore(tmp_path: Path) -> None:
    obstore = pytest.importorskip("obstore")
    gpuzarr.save(tmp_path / "a", VALUES)
    assert store(obstore.store.LocalStore(str(tmp_path))) == LocalStore(str(tmp_path))
    memory = obstore.store.MemoryStore()
    gpuzarr.save(memory, VALUES, path="a")
    assert np.array_equal(gpuzarr.open(memory, "a", device="cpu")[...], VALUES)
    assert repr(store(obstore.store.S3Store("b", prefix="p", skip_signature=True))) == "RemoteStore('s3://b/p')"


def test_stores_with_the_names_of_zarr_python() -> None:
    obstore = pytest.importorskip("obstore")
    fs = fsspec.filesystem("memory")
    storage = gpuzarr.storage
    made = [
        storage.FsspecStore(fs, path="/of/test_resolve"),
        storage.FsspecStore.from_url("memory://of/test_resolve"),
        storage.FsspecStore.from_mapper(fs.get_mapper("/of/test_resolve")),
    ]
    assert made[0] == made[1] == made[2] == store(fs.get_mapper("/of/test_resolve"))
    made.append(storage.ObjectStore(obstore.store.MemoryStore()))
    for each in made[2:]:
        gpuzarr.save(each, VALUES)
        assert np.array_equal(gpuzarr.open(each, device="cpu")[...], VALUES)
        only_read = each.with_read_only(True)
        with pytest.raises(gpuzarr.ReadOnlyError):
            gpuzarr.open(only_read, mode="r+")
    assert (
        storage.FsspecStore(fs, True).read_only
        and storage.ObjectStore(obstore.store.MemoryStore(), read_only=True).read_only
    )
    for wrong in (3, {}, "s3://b"):
        for make in (storage.FsspecStore, storage.ObjectStore):
            with pytest.raises(StoreKindError, match="takes a"):
                make(wrong)


def test_a_store_that_logs(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    logger, text = logging.getLogger("gpuzarr.stores"), io.StringIO()
    handler: logging.Handler = logging.StreamHandler(text)
    logger.addHandler(handler)
    request.addfinalizer(lambda handler=handler: (logger.removeHandler(handler), logger.setLevel(logging.NOTSET)))
    logger.setLevel(logging.DEBUG)
    for held in ({}, tmp_path / "a", fsspec.get_mapper("memory://logged")):
        logged = gpuzarr.storage.LoggingStore(held)
        gpuzarr.save(logged, VALUES, path="a")
        text.truncate(0)
        a = gpuzarr.open(StorePath(logged, "a"))
        assert f"get('a/zarr.json') of {logged.store!r}: " in text.getvalue()
        assert repr(pickle.loads(pickle.dumps(logged))).startswith("LoggedStore(")
        assert np.array_equal(a[...], VALUES)
    assert "open(<1 of " in text.getvalue()
    records: list[logging.LogRecord] = []
    handler = logging.Handler("WARNING")
    handler.emit = records.append  # type: ignore[method-assign]
    for level in ("INFO", "ERROR"):
        gpuzarr.storage.LoggingStore({}, level, handler).names("")
    assert [record.getMessage()[:9] for record in records] == ["names('')"]
    with pytest.raises(gpuzarr.ArgumentError, match="log_level"):
        gpuzarr.storage.LoggingStore({}, "nothing")


# mappings


class Far(dict):  # type: ignore[type-arg]
    """A mapping that knows sizes, and notes what is got."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.got: list[str] = []

    def __getitem__(self, key: str) -> bytes:
        self.got.append(key)
        return super().__getitem__(key)

    def getsize(self, key: str) -> int:
        return len(super().__getitem__(key))


def test_sizes_that_a_mapping_tells() -> None:
    far = Far({"a/zarr.json": b"{}", "a/c/0": b"123", "b": b"1"})
    for held in (MappingStore(far), store(StorePath(far, "a"))):
        assert dict(held.objects("")) in ({"a/zarr.json": 2, "a/c/0": 3, "b": 1}, {"zarr.json": 2, "c/0": 3})
    assert not far.got


def test_values_are_got_by_threads_where_that_is_allowed() -> None:
    import threading

    class Slow(dict):  # type: ignore[type-arg]
        together = threading.Barrier(4)

        def __getitem__(self, key: str) -> bytes:
            if "/c/" in f"/{key}":
                self.together.wait(20)
            return super().__getitem__(key)

    held: dict[str, bytes] = {}
    gpuzarr.create_array(held, data=np.arange(1, 9), chunks=1)
    a = gpuzarr.open(gpuzarr.storage.MemoryStore(Slow(held), concurrency=4), device="cpu")
    assert np.array_equal(a[...], np.arange(1, 9))


def test_a_table_of_digests_is_a_mapping_as_any_other() -> None:
    """Keys and digests in a CSV file; the values are kept by their digests, each once."""

    class Table(MutableMapping[str, bytes]):
        def __init__(self) -> None:
            self.rows, self.values_by_digest = "key,digest\n", dict[str, bytes]()

        def _digests(self) -> dict[str, str]:
            return {row["key"]: row["digest"] for row in csv.DictReader(io.StringIO(self.rows))}

        def _keep(self, digests: dict[str, str]) -> None:
            self.rows = "key,digest\n" + "".join(f"{key},{digest}\n" for key, digest in digests.items())

        def __getitem__(self, key: str) -> bytes:
            return self.values_by_digest[self._digests()[key]]

        def __setitem__(self, key: str, value: bytes) -> None:
            digest = hashlib.sha256(value).hexdigest()
            self.values_by_digest[digest] = value
            self._keep(self._digests() | {key: digest})

        def __delitem__(self, key: str) -> None:
            digests = self._digests()
            del digests[key]
            self._keep(digests)

        def __iter__(self) -> Iterator[str]:
            return iter(self._digests())

        def __len__(self) -> int:
            return len(self._digests())

    table = Table()
    a = gpuzarr.create_array(table, data=np.tile([1, 2], 5), chunks=2)
    assert np.array_equal(gpuzarr.open(table, device="cpu")[...], np.tile([1, 2], 5))
    assert a.nchunks_initialized == 5 and len(table.values_by_digest) == 2


def test_errors_of_mappings_name_the_key() -> None:
    class Broken(dict):  # type: ignore[type-arg]
        def __getitem__(self, key: str) -> bytes:
            raise RuntimeError("no connection")

    with pytest.raises(StoreError, match=r"cannot read 'zarr.json' of MappingStore\(Broken.*no connection"):
        gpuzarr.open(Broken())


# where things lie


def test_the_same_place_by_several_names() -> None:
    pytest.importorskip("obstore")
    o = {"skip_signature": True}
    assert identity(store("s3://b/x", o), "a/c") == identity(store("s3://b", o), "x/a/c")
    assert contains((store("s3://b/x", o), ""), (store("s3://b", o), "x/a"))
    assert not contains((store("s3://b/x", o), ""), (store("s3://b", o), "xa"))
    other = store("s3://b/x", {**o, "endpoint": "https://elsewhere"})
    assert identity(other, "a") != identity(store("s3://b/x", o), "a")
    fs = fsspec.filesystem("memory")
    assert identity(store(fs.get_mapper("/p")), "q") == identity(store(fs), "p/q")


def test_remote_stores_are_pickled() -> None:
    for url in ("s3://b/a", "https://h/a", "simplecache::memory://a"):
        assert repr(pickle.loads(pickle.dumps(store(url)))) == repr(store(url))
