"""File systems and mappers of fsspec as stores."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.implementations.zip import ZipFileSystem
from fsspec.mapping import FSMap

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.errors import StoreKindError
from gpuzarr.stores.finding.resolve import store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.remote import retry
from gpuzarr.stores.remote.client import Answer, Asked
from gpuzarr.stores.remote.fsspec_client import FsspecClient
from gpuzarr.stores.remote.store import RemoteStore
from tests.laws.stores import NewStore, store_laws

VALUES = np.arange(1, 25, dtype="i4").reshape(4, 6)


class Far(AsyncFileSystem):
    """Files in `files`, of which each request is noted, and that can fail: `errors` has what the next ones raise."""

    protocol = "far"
    cachable = False

    def __init__(self, files: dict[str, bytes] | None = None, knows_ranges: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.files: dict[str, bytes] = {} if files is None else files
        self.knows_ranges, self.calls, self.errors = knows_ranges, list[str](), list[Exception]()
        self.flying = self.most_flying = 0

    async def _cat_ranges(self, paths: Any, *arguments: Any, **options: Any) -> Any:
        self.calls.append(f"cat_ranges {len(paths)}")
        return await super()._cat_ranges(paths, *arguments, **options)

    async def _cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
        import asyncio

        self.flying += 1
        self.most_flying = max(self.flying, self.most_flying)
        await asyncio.sleep(0.001)
        self.flying -= 1
        if self.errors:
            raise self.errors.pop()
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path][start:end] if self.knows_ranges else self.files[path]

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        self.calls.append("info")
        if path not in self.files:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(self.files[path]), "type": "file"}

    async def _ls(self, path: str, detail: bool = True, **_: Any) -> Any:
        self.calls.append("ls")
        start = f"{path}/" if path else ""
        names = {start + key[len(start) :].partition("/")[0] for key in self.files if key.startswith(start)}
        found = [
            {
                "name": name,
                "size": len(self.files.get(name, b"")),
                "type": "file" if name in self.files else "directory",
            }
            for name in sorted(names)
        ]
        if not found:
            raise FileNotFoundError(path)
        return found if detail else [each["name"] for each in found]

    async def _pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        self.files[path] = value

    async def _rm_file(self, path: str, **_: Any) -> None:
        if self.files.pop(path, None) is None:
            raise FileNotFoundError(path)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0)


@pytest.fixture
def far() -> Far:
    """An array of 24 chunks, at "b/a"."""
    fs = Far()
    gpuzarr.create_array(FSMap("b/a", fs), data=VALUES, chunks=(1, 1), compressors=None)
    fs.calls.clear()
    return fs


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL at which a server has it."""
    folder = tmp_path_factory.mktemp("web")
    gpuzarr.save_group(folder / "g.zarr", a=VALUES)
    gpuzarr.consolidate_metadata(folder / "g.zarr")
    with serving(folder) as server:
        yield folder, server.url


def test_a_read_is_one_call_for_all_ranges(far: Far) -> None:
    a = gpuzarr.open(far.get_mapper("b/a"), device="cpu")
    far.calls.clear()
    assert np.array_equal(a[...], VALUES) and far.most_flying > 12
    assert far.calls == ["cat_ranges 24"]
    assert "96 bytes in 24 requests" in str(a.last_read)


def test_sizes_and_counts_fetch_nothing(far: Far) -> None:
    a = gpuzarr.open(far.get_mapper("b/a"), device="cpu")
    far.calls.clear()
    assert (a.nchunks_initialized, a.nbytes_stored()) == (24, 96 + len(far.files["b/a/zarr.json"]))
    assert "cat_ranges" not in " ".join(far.calls)


def test_a_shard_is_read_by_ranges() -> None:
    fs = Far()
    data = np.arange(4096, dtype="i4")
    a = gpuzarr.create_array(FSMap("s", fs), data=data, chunks=64, shards=4096, compressors=None)
    assert len(fs.files["s/c/0"]) > 4 * 4096
    a = gpuzarr.open(fs.get_mapper("s"), device="cpu")
    assert np.array_equal(a[64:128], data[64:128])


def test_what_may_pass_is_tried_again(far: Far) -> None:
    a = gpuzarr.open(far.get_mapper("b/a"), device="cpu")
    far.calls.clear()
    far.errors = [ConnectionResetError("reset"), TimeoutError(), status(503), status(429)]
    assert np.array_equal(a[...], VALUES)
    assert far.calls == ["cat_ranges 24", "cat_ranges 4"]


def status(code: int) -> Exception:
    error = Exception(f"{code}, from https://user:password@host/path?secret=1")
    error.status = code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("error", [PermissionError("no"), status(403), RuntimeError("wrong"), *[status(500)] * 1])
def test_what_stays_is_an_error_that_names_key_and_place(error: Exception, far: Far) -> None:
    a = gpuzarr.open(far.get_mapper("b/a"), device="cpu")
    far.errors = [error] * 200
    with pytest.raises(gpuzarr.StoreError, match=r"cannot read 'c/\d/\d' of 'far://b/a'") as caught:
        a[...]
    assert "password" not in str(caught.value) and "secret" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_missing_object_is_no_error(far: Far) -> None:
    del far.files["b/a/c/0/0"]
    assert gpuzarr.open(far.get_mapper("b/a"), device="cpu")[0, 0] == 0
    with pytest.raises(gpuzarr.NotFoundError):
        gpuzarr.open(far.get_mapper("b/none"))


def test_what_else_means_missing(far: Far) -> None:
    """As where who may not list a bucket may not know either that an object is not there."""
    far.errors = [PermissionError("no")] * 200
    with pytest.raises(gpuzarr.StoreError, match="cannot read"):
        store(far.get_mapper("b/a")).get("c/0/0")
    for held in (
        store(FSMap("b/a", far, missing_exceptions=(PermissionError,))),
        gpuzarr.storage.FsspecStore(far, path="b/a", allowed_exceptions=(PermissionError,)),
        pickle.loads(pickle.dumps(store(FSMap("b/a", far, missing_exceptions=(PermissionError,))))),
    ):
        if held.client.fs is far:
            assert held.get("c/0/0") is None
        assert PermissionError in held.client.missing


def test_answers(far: Far) -> None:
    far.files["b/k"] = b"0123456789"
    assert answers(
        far, [Asked("k"), Asked("k", 2, 3), Asked("k", -4), Asked("k", 8, 5), Asked("none"), Asked("k", 3)]
    ) == [*(b"0123456789", b"234", b"6789", b"89", None, b"3456789")]
    assert answers(far, [Asked("k", 0, 0), Asked("none", 0, 0), Asked("k", 10, 1)]) == [b"", None, b""]
    assert whole(far, Asked("k", most=10)) == Answer(b"0123456789", 10)
    assert whole(far, Asked("k", most=9)) == Answer(None, 10)
    assert whole(far, Asked("k", 0, 0)) == Answer(b"", 10)


def test_a_server_without_ranges_answers_with_the_whole_object() -> None:
    fs = Far({"b/k": b"0123456789"}, knows_ranges=False)
    assert answers(fs, [Asked("k", 2, 3), Asked("k", -4), Asked("k", 0, 10)]) == [b"234", b"6789", b"0123456789"]


def answers(fs: Any, asked: list[Asked]) -> list[bytes | None]:
    found: list[Answer | None] = [None] * len(asked)
    FsspecClient.of(fs, "b").fetch(asked, found.__setitem__)
    return [None if each is None else bytes(each.data) for each in found]


def whole(fs: Any, asked: Asked) -> Answer | None:
    found: list[Answer | None] = []
    FsspecClient.of(fs, "b").fetch([asked], lambda _, answer: found.append(answer))
    return found[0]


def test_names_are_no_patterns() -> None:
    fs = Far()
    g = gpuzarr.create_group(FSMap("b", fs))
    for name in ("a*", "a[b]", "ab", "a?"):
        g[name] = [1, 2]
    assert list(g) == ["a*", "a?", "a[b]", "ab"]
    del g["a*"]
    assert list(g) == ["a?", "a[b]", "ab"] and g["a[b]"][1] == 2


def test_files_of_this_machine_are_read_as_such(tmp_path: Path) -> None:
    folder = LocalStore(str(tmp_path))
    assert store(fsspec.get_mapper(str(tmp_path))) == folder == store(fsspec.get_mapper(f"file://{tmp_path}"))
    nested = DirFileSystem(str(tmp_path.parent), LocalFileSystem())
    assert store(FSMap(tmp_path.name, nested)) == folder
    gpuzarr.save(tmp_path / "a", VALUES)
    assert np.array_equal(gpuzarr.open(LocalFileSystem(), str(tmp_path / "a"), device="cpu")[...], VALUES)


def test_file_systems_have_nodes_at_paths() -> None:
    fs = MemoryFileSystem()
    gpuzarr.save(fs, VALUES, path="bucket/of/this/test")
    assert np.array_equal(gpuzarr.open(fs, "bucket/of/this/test", device="cpu")[...], VALUES)
    assert fs.exists("/bucket/of/this/test/zarr.json")


def test_a_mapper_that_changes_what_it_reads_is_a_mapping() -> None:
    class Backwards(FSMap):
        def __getitem__(self, key: str, default: Any = None) -> bytes:
            return super().__getitem__(key, default)[::-1]

    assert isinstance(store(Backwards("b", Far())), MappingStore)


def test_asynchronous_file_systems_are_made_anew() -> None:
    fs = Far({"b/k": b"0"}, asynchronous=True)
    assert store(FSMap("b", fs)).get("k") == b"0"


def test_upath() -> None:
    upath = pytest.importorskip("upath")
    place = upath.UPath("memory://place/of/upath")
    gpuzarr.save(place / "a", VALUES)
    assert isinstance(store(place), RemoteStore) and (place / "a" / "zarr.json").exists()
    assert np.array_equal(gpuzarr.open(place, "a", device="cpu")[...], VALUES)
    assert store(upath.UPath("/a/b")) == LocalStore("/a/b")


@pytest.mark.parametrize("law", store_laws(False), ids=lambda law: law.__name__)
def test_archives_keep_the_laws(law: Callable[[NewStore], None], tmp_path: Path) -> None:
    def new(contents: dict[str, bytes]) -> RemoteStore:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for key, value in contents.items():
                archive.writestr(key, value)
        return RemoteStore(FsspecClient.of(ZipFileSystem(str(tmp_path / "a.zip")), ""))

    law(new)


def test_what_only_reads_says_so(tmp_path: Path, web: tuple[Path, str]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    for fs in (ZipFileSystem(str(tmp_path / "a.zip")), fsspec.filesystem("http")):
        with pytest.raises(gpuzarr.ReadOnlyError):
            gpuzarr.save(FSMap(web[1], fs), VALUES)


def test_chains(tmp_path: Path, web: tuple[Path, str]) -> None:
    pytest.importorskip("aiohttp")
    options = {"simplecache": {"cache_storage": str(tmp_path / "cache")}}
    g = gpuzarr.open(f"simplecache::{web[1]}/g.zarr", storage_options=options, device="cpu")
    assert np.array_equal(g["a"][...], VALUES) and len(os.listdir(tmp_path / "cache")) > 1


def test_a_missing_chunk_is_missing_alone(tmp_path: Path) -> None:
    """Where a cache raises the error of one file for a whole batch."""
    fs = MemoryFileSystem()
    gpuzarr.create_array(FSMap("/holes", fs), data=VALUES, chunks=(1, 1), compressors=None)
    fs.rm_file("/holes/c/1/1")
    options = {"simplecache": {"cache_storage": str(tmp_path)}}
    found = gpuzarr.open("simplecache::memory://holes", storage_options=options, device="cpu")[...]
    assert found[1, 1] == 0 and (found != VALUES).sum() == 1


def test_files_behind_a_cache(tmp_path: Path) -> None:
    gpuzarr.save(tmp_path / "a.zip", VALUES)
    MemoryFileSystem().pipe_file("/behind/a.zip", (tmp_path / "a.zip").read_bytes())
    for url in ("simplecache::memory://behind/a.zip", "zip::simplecache::memory://behind/a.zip"):
        assert np.array_equal(gpuzarr.open(url, device="cpu")[...], VALUES)


def test_http(web: tuple[Path, str]) -> None:
    pytest.importorskip("aiohttp")
    mapper = fsspec.get_mapper(f"{web[1]}/g.zarr")
    g = gpuzarr.open(mapper, device="cpu")
    assert list(g) == ["a"] and np.array_equal(g["a"][2:], VALUES[2:])
    assert repr(g.store) == f"RemoteStore('{web[1]}/g.zarr')"
    assert answers(fsspec.filesystem("http"), []) == []
    found: list[Answer | None] = []
    client = FsspecClient.of(fsspec.filesystem("http"), f"{web[1]}/g.zarr")
    client.fetch([Asked("zarr.json", 1 << 20, 9), Asked("none")], lambda _, answer: found.append(answer))
    assert sorted(found, key=str) == [Answer(b""), None]
    with pytest.raises(gpuzarr.StoreError, match="tells no names"):
        store(mapper).names("a")


def test_pickles_and_forks() -> None:
    fs = MemoryFileSystem()
    gpuzarr.save(FSMap("/forked", fs), VALUES)
    a = gpuzarr.open(FSMap("/forked", fs), device="cpu")
    assert np.array_equal(pickle.loads(pickle.dumps(a))[...], VALUES)
    assert store(FSMap("/forked", fs)) == store(fs.get_mapper("forked"))
    assert hash(store(FSMap("/forked", fs))) == hash(store(fs.get_mapper("forked")))


def test_a_forked_process_has_a_file_system_of_its_own(web: tuple[Path, str]) -> None:
    pytest.importorskip("aiohttp")
    a = gpuzarr.open(fsspec.get_mapper(f"{web[1]}/g.zarr"), "a", device="cpu")
    a[...]
    if (child := os.fork()) == 0:
        try:
            os._exit(0 if np.array_equal(a[...], VALUES) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("nosuchscheme://a", {}, "nobody knows the scheme 'nosuchscheme'"),
        ("htps://a/b", {}, "did you mean https://"),
        ("zip::nosuchscheme://a", {}, "nosuchscheme"),
        ("memory://a", {"x": 1}, "'x'"),
    ],
)
def test_refused(url: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(StoreKindError, match=words):
        store(url, options)
