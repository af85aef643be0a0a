"""The laws of stores, for every store: a row makes one that holds given objects."""

from __future__ import annotations

import atexit
import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr.core.buffer
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.memory import MemoryFileSystem

from benchmarks.latency_server import serving
from gpuzarr.stores import references
from gpuzarr.stores.local import permits
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.memory import Buffers, below
from gpuzarr.stores.part import PartStore
from gpuzarr.stores.parts import PartsStore
from gpuzarr.stores.remote.fsspec_client import FsspecClient
from gpuzarr.stores.remote.obstore_client import of_url
from gpuzarr.stores.remote.store import RemoteStore
from gpuzarr.stores.remote.zarr_client import ZarrClient
from gpuzarr.stores.zip import ZipStore
from tests.laws.stores import (
    NewStore,
    copies_by_pickle_read_the_same,
    store_laws,
    whole_objects_lie_where_they_are_wanted,
)
from tests.open_files import open_files
from tests.stores.own_store import OwnStore
from tests.stores.parts_tables import in_many_forms, in_one_file
from tests.stores.zarr_stores import reversed_store

KINDS = (bytes, bytearray, memoryview, lambda value: np.frombuffer(value, np.uint8))  # of a mapping's values


def in_folder(folder: Path, contents: dict[str, bytes], **options: Any) -> LocalStore:
    for key, value in contents.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(value)
    return LocalStore(folder, **options)


def of_mixed_values(contents: dict[str, bytes]) -> MappingStore:
    return MappingStore({key: KINDS[i % 4](value) for i, (key, value) in enumerate(contents.items())})


def part_of_a_mapping(contents: dict[str, bytes]) -> MappingStore:
    around = {"a": b"1", "ab/c": b"2", "a/bc": b"3"}
    return MappingStore(below({f"a/b/{key}": value for key, value in contents.items()} | around, "a/b"))


def as_buffer(value: bytes) -> Any:
    return zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(value)


def archive_of(store: ZipStore, contents: dict[str, bytes]) -> ZipStore:
    for key, value in contents.items():
        store.set(key, value)
    return store


def with_more(path: Path, contents: dict[str, bytes]) -> ZipStore:
    """Half of the members are in the archive before."""
    some = dict(list(contents.items())[::2])
    path.write_bytes(zipped(some | {"more": b"deleted"}))
    store = archive_of(ZipStore(path, mode="a"), {key: contents[key] for key in contents if key not in some})
    store.delete(["more"])
    return store


def zipped(contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive, as Python makes it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for key, value in contents.items():
            archive.writestr(key, value)
    return made.getvalue()


def of_bytes(path: Path, data: bytes) -> ZipStore:
    path.write_bytes(data)
    return ZipStore(path)


def by_obstore(folder: Path, contents: dict[str, bytes]) -> RemoteStore:
    """Objects behind a server with S3's API, which has the folder above this one."""
    in_folder(folder / "a" / "b", contents)
    options = {"endpoint": server(folder.parent), "region": "us-east-1", "skip_signature": True}
    return RemoteStore(of_url(f"s3://{folder.name}/a", options).below("b"))


@cache
def server(folder: Path) -> str:
    """The URL of a server that runs to the end of this process."""
    context = serving(folder, writable=True)
    atexit.register(context.__exit__, None, None, None)
    return context.__enter__().url


def of_references(folder: Path, contents: dict[str, bytes]) -> PartsStore:
    """Objects that are ranges of a file, whole files, or in the document itself, in turns."""
    refs: dict[str, Any] = {}
    for i, (key, value) in enumerate(contents.items()):
        (folder / f"{i}.bin").write_bytes(b"???" * (i % 3 == 0) + value + b"!" * (i % 3 == 0))
        in_file = [f"{i}.bin", 3, len(value)] if i % 3 == 0 else [f"{i}.bin"]
        refs[key] = in_file if i % 3 < 2 else f"base64:{base64.b64encode(value).decode()}"
    (folder / "refs.json").write_text(json.dumps({"version": 1, "refs": refs}))
    return references.store_of(LocalStore(folder), "refs.json")


def by_fsspec(folder: Path, contents: dict[str, bytes], is_async: bool) -> RemoteStore:
    """Objects in the memory of fsspec, at a place of their own; by its asynchronous methods, which work in a loop."""
    fs = MemoryFileSystem()
    for key, value in contents.items():
        fs.pipe_file(f"{folder}/a/b/{key}", value)
    return RemoteStore(FsspecClient.of(AsyncFileSystemWrapper(fs) if is_async else fs, f"{folder}/a").below("b"))


def part_of_ones_own(contents: dict[str, bytes]) -> PartStore:
    around = {"a": b"1", "ab/c": b"2", "a/bc": b"3"}
    held = {f"a/b/{key}": value for key, value in contents.items()} | around
    return PartStore(OwnStore({key: (0, value) for key, value in held.items()}), "a/b")


STORES: dict[str, Callable[[Path, dict[str, bytes]], Any]] = {
    "local": in_folder,
    "local, short requests": lambda folder, contents: in_folder(folder, contents, coalesce_gap=0, coalesce_size=100),
    "local, a file at a time": in_folder,
    "local, to the disk": lambda folder, contents: in_folder(folder, contents, fsync=True),
    "mapping": lambda _, contents: MappingStore(dict(contents)),
    "a part of a mapping": lambda _, contents: part_of_a_mapping(contents),
    "a dict of zarr-python": lambda _, contents: MappingStore(
        Buffers({key: as_buffer(contents[key]) for key in contents})
    ),
    "of zarr-python, and a user's own": lambda _, contents: RemoteStore(ZarrClient(reversed_store(contents))),
    "remote, by obstore": by_obstore,
    "remote, by fsspec": lambda folder, contents: by_fsspec(folder, contents, False),
    "remote, by fsspec in a loop": lambda folder, contents: by_fsspec(folder, contents, True),
    "a part of one's own": lambda _, contents: part_of_ones_own(contents),
    "of one's own": lambda _, contents: OwnStore({key: (0, value) for key, value in contents.items()}),
}
STORES |= {
    "an archive that grows": lambda folder, contents: with_more(folder / "a.zip", contents),
    "an archive of compressed members": lambda folder, contents: archive_of(
        ZipStore(folder / "a.zip", mode="x", compression=8), contents
    ),
}
READ_ONLY: dict[str, Callable[[Path, dict[str, bytes]], Any]] = {
    "mapping of many kinds": lambda _, contents: of_mixed_values(contents),
    "parts of a file": lambda folder, contents: PartsStore(in_one_file(LocalStore(folder), contents)),
    "an archive in memory": lambda _, contents: ZipStore.of(MappingStore({"a/b.zip": zipped(contents)}), "a/b.zip"),
    "an archive of others": lambda folder, contents: of_bytes(folder / "b.zip", zipped(contents, zipfile.ZIP_DEFLATED)),
    "parts in many forms": lambda folder, contents: PartsStore(
        in_many_forms([LocalStore(folder), MappingStore({}), LocalStore(folder / "other")], contents)
    ),
    "references": of_references,
}
# neighbours lie in one object, and are read as one
JOINED = (
    "parts of a file",
    *(name for name in STORES | READ_ONLY if name.startswith("an archive")),
)
EXCEPT = {
    ("mapping of many kinds", copies_by_pickle_read_the_same),  # memoryviews cannot be pickled
    *((name, whole_objects_lie_where_they_are_wanted) for name in JOINED),
}


@pytest.fixture
def new(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewStore]:
    """Make a store, and see that it leaves no file open."""
    name = request.param
    if name == "remote, by obstore":
        server(tmp_path.parent)  # which stays open
    if name == "local, a file at a time":
        monkeypatch.setattr(permits, "allowed", lambda: 0)
    free, before = permits.PERMITS.value.free, open_files()
    made: list[Any] = []

    def make(contents: dict[str, bytes]) -> Any:
        made.append((STORES | READ_ONLY)[name](tmp_path, contents))
        return made[-1]

    yield make
    for store in made:
        getattr(store, "close", lambda: None)()
    assert open_files() == before and permits.PERMITS.value.free == free


@pytest.mark.parametrize(
    ("new", "law"),
    [(name, law) for name in STORES for law in store_laws() if (name, law) not in EXCEPT],
    indirect=["new"],
)
def test_store(law: Callable[[NewStore], None], new: NewStore) -> None:
    law(new)


@pytest.mark.parametrize(
    ("new", "law"),
    [(name, law) for name in READ_ONLY for law in store_laws(False) if (name, law) not in EXCEPT],
    indirect=["new"],
)
def test_store_that_is_read(law: Callable[[NewStore], None], new: NewStore) -> None:
    law(new)
