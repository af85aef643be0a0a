"""What says that it is read-only is refused when it is opened for writing, and is as before; reading works."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import tempfile
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr

NOBODY = 65534


class OnlyReads(Mapping[str, bytes]):
    """A mapping of one's own, which is not mutable."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents

    def __getitem__(self, key: str) -> bytes:
        return self.contents[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.contents)

    def __len__(self) -> int:
        return len(self.contents)


class Says(dict[str, bytes]):
    """A mutable mapping with words of its own, such as the mappers of fsspec have."""

    def __init__(self, contents: dict[str, bytes], **attributes: Any) -> None:
        super().__init__(contents)
        self.__dict__.update(attributes)


class ReadOnlyDict(dict[str, bytes]):
    pass


def theirs(folder: Path) -> Any:
    return zarr.storage.LocalStore(folder, read_only=True)


ON_FILES: dict[str, Callable[[Path], Any]] = {
    "ours": lambda folder: gpuzarr.LocalStore(folder, read_only=True),
    "ours, pickled": lambda folder: pickle.loads(pickle.dumps(gpuzarr.LocalStore(folder, read_only=True))),
    "ours, copied": lambda folder: copy.deepcopy(gpuzarr.LocalStore(folder, read_only=True)),
    "store of zarr-python": theirs,
    "made read-only": lambda folder: zarr.storage.LocalStore(folder).with_read_only(True),
    "pickled": lambda folder: pickle.loads(pickle.dumps(theirs(folder))),
    "wrapped": lambda folder: zarr.storage.WrapperStore(theirs(folder)),
    "wrapped twice": lambda folder: zarr.storage.WrapperStore(zarr.storage.WrapperStore(theirs(folder))),
    "path in a store": lambda folder: zarr.storage.StorePath(theirs(folder)),
    "group": lambda folder: zarr.open_group(folder, mode="r"),
    "of a class of one's own": lambda folder: type("Mine", (zarr.storage.LocalStore,), {})(folder, read_only=True),
}
IN_MEMORY: dict[str, Callable[[dict[str, bytes]], Any]] = {
    "proxy": MappingProxyType,
    "of one's own": OnlyReads,
    "chain": lambda contents: ChainMap(MappingProxyType(contents), {}),  # type: ignore[arg-type]
    "its word": lambda contents: Says(contents, read_only=True),
    "its other word": lambda contents: Says(contents, readonly=True),
    "its name": ReadOnlyDict,
    "mode": lambda contents: Says(contents, mode="r"),
    "archive": lambda contents: Says(contents, fs=SimpleNamespace(mode="r")),
    "archive in a folder": lambda contents: Says(contents, fs=SimpleNamespace(fs=SimpleNamespace(mode="r"))),
    "http": lambda contents: Says(contents, fs=type("Http", (), {"protocol": ("http", "https")})()),
    "cached http": lambda contents: Says(
        contents, fs=SimpleNamespace(fs=type("Http", (), {"protocol": ("http", "https")})())
    ),
    "reference": lambda contents: Says(contents, fs=type("Reference", (), {"protocol": "reference"})()),
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "r+": lambda store: gpuzarr.open(store, mode="r+"),
    "a": lambda store: gpuzarr.open(store, mode="a"),
    "a below": lambda store: gpuzarr.open(store, "new", mode="a"),
    "w": lambda store: gpuzarr.open(store, mode="w"),
    "w-": lambda store: gpuzarr.open(store, "new", mode="w-"),
    "w- where something is": lambda store: gpuzarr.open(store, mode="w-"),
    "member": lambda store: gpuzarr.open_array(store, "a", mode="r+"),
    "by its summary": lambda store: gpuzarr.open_group(store, mode="r+", use_consolidated=True),
    "group": lambda store: gpuzarr.group(store),
    "create_group": lambda store: gpuzarr.create_group(store, path="new"),
    "create_array": lambda store: gpuzarr.create_array(store, name="new", shape=3, dtype="i4"),
    "the same array": lambda store: gpuzarr.create_array(store, name="a", shape=4, dtype="i8"),
    "create": lambda store: gpuzarr.zeros(3, store=store, path="new"),
    "array": lambda store: gpuzarr.array([1], store=store, path="new"),
    "from_array": lambda store: gpuzarr.from_array(store, data=np.arange(3), name="new"),
    "save": lambda store: gpuzarr.save(store, np.arange(3)),
    "save_array": lambda store: gpuzarr.save_array(store, np.arange(3), path="a"),
    "save_group": lambda store: gpuzarr.save_group(store, x=np.arange(3)),
    "consolidate": lambda store: gpuzarr.consolidate_metadata(store),
}


def filled(store: Any, zarr_format: Any) -> None:
    gpuzarr.save_group(store, a=np.arange(4), b=np.ones(2), zarr_format=zarr_format)
    gpuzarr.consolidate_metadata(store)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() if file.is_file() else b"" for file in folder.rglob("*")}


def check(store: Any, contents: Callable[[], dict[str, bytes]]) -> None:
    before = contents()
    for name, call in CALLS.items():
        with pytest.raises(gpuzarr.ReadOnlyError, match=r"read.?only|cannot be changed|mode 'r'|only reads"):
            print(name, call(store))
        assert contents() == before, name
    assert gpuzarr.open_array(store, "a")[...].tolist() == [0, 1, 2, 3]
    assert gpuzarr.open_group(store).read_only and gpuzarr.load(store)["b"].tolist() == [1, 1]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ON_FILES)
def test_stores_of_files(kind: str, zarr_format: int, tmp_path: Path) -> None:
    filled(tmp_path, zarr_format)
    check(ON_FILES[kind](tmp_path), lambda: files_of(tmp_path))


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_parts_of_mappings(kind: str) -> None:
    contents: dict[str, bytes] = {}
    gpuzarr.create_group(contents)
    filled(gpuzarr.storage.StorePath(contents, "part"), 3)
    store = IN_MEMORY[kind](contents)
    for part in (gpuzarr.storage.StorePath(store, "part"), gpuzarr.storage.StorePath(store) / "part"):
        check(part, lambda: dict(store))
        a = gpuzarr.Array.open(part / "a")
        with pytest.raises(gpuzarr.ReadOnlyError):
            a[0] = 1


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", IN_MEMORY)
def test_mappings(kind: str, zarr_format: int) -> None:
    contents: dict[str, bytes] = {}
    filled(contents, zarr_format)
    store = IN_MEMORY[kind](contents)
    check(store, lambda: dict(store))


def test_what_does_not_say_so_is_written(tmp_path: Path) -> None:
    stores = {
        "wrapped": zarr.storage.WrapperStore(zarr.storage.LocalStore(tmp_path / "a")),
        "chain": ChainMap({}, MappingProxyType({})),  # type: ignore[arg-type]
        "mode": Says({}, mode="r+", read_only=False),
        "memory": Says({}, fs=type("Memory", (), {"protocol": "memory"})()),
    }
    for name, store in stores.items():
        gpuzarr.save_group(store, a=np.arange(3))
        gpuzarr.open_array(store, "a", mode="r+")[0] = 7
        assert gpuzarr.load(store)["a"].tolist() == [7, 1, 2], name


def test_archives_of_fsspec(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    filled(tmp_path / "a", 3)
    archive = shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "a")
    store = fsspec.filesystem("zip", fo=archive).get_mapper("")
    check(store, lambda: files_of(tmp_path))


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A folder, and a user whom permissions concern, unlike root."""
    folder = Path(tempfile.mkdtemp())
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        os.chmod(folder, 0o777)
        for inner, _, _ in os.walk(folder):
            os.chmod(inner, 0o777)
        shutil.rmtree(folder)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_folders_without_permission(zarr_format: int) -> None:
    with as_nobody() as folder:
        (root := folder / "root").mkdir(mode=0o777)
        filled(root, zarr_format)
        for folders in ([root, root / "a"], [root / "a"]):
            for each in folders:
                each.chmod(0o555)
            before = files_of(root)
            calls = CALLS if len(folders) == 2 else {name: CALLS[name] for name in ("member", "save_array")}
            for name, call in calls.items():
                with pytest.raises(gpuzarr.ReadOnlyError, match="no permission"):
                    print(name, call(root))
                assert files_of(root) == before, name
            assert gpuzarr.open_array(root, "a")[...].tolist() == [0, 1, 2, 3]
            for each in folders:
                each.chmod(0o777)
        (root / "a").chmod(0o555)
        a = gpuzarr.open_group(root, mode="r+")["a"]
        assert a.read_only and a[0] == 0
        with pytest.raises(gpuzarr.ReadOnlyError, match="no permission"):
            a[0] = 1
        folder.chmod(0o555)
        with pytest.raises(gpuzarr.ReadOnlyError, match="no permission"):
            gpuzarr.save(folder / "new" / "store", np.arange(2))


@pytest.mark.parametrize("name", ["zarr.json", ".zattrs", ".zarray"])
def test_documents_without_permission(name: str) -> None:
    """Another file could be renamed over it; but who took the permission away wants it to stay."""
    with as_nobody() as folder:
        filled(folder, 3 if name == "zarr.json" else 2)
        (folder / "a" / name).chmod(0o444)
        before = files_of(folder)
        calls: dict[str, Callable[[], Any]] = {
            "r+": lambda: gpuzarr.open(folder, "a", mode="r+"),
            "w": lambda: gpuzarr.open(folder, "a", mode="w", shape=3),
            "save": lambda: gpuzarr.save(folder, np.arange(3), path="a"),
            "member": lambda: gpuzarr.open_group(folder, mode="r+")["a"].attrs.update(x=1),
            "resize": lambda: gpuzarr.open_group(folder, mode="r+")["a"].resize(2),
            "delete": lambda: gpuzarr.open_group(folder, mode="r+").__delitem__("a"),
        }
        for kind, call in calls.items():
            with pytest.raises(gpuzarr.ReadOnlyError):
                print(kind, call())
            assert files_of(folder) == before, kind


def test_a_file_that_another_process_makes_just_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After it was found that it may not be written, as it is not there, and before it was looked for."""
    values = np.arange(4)
    gpuzarr.save_array(tmp_path, values, chunks=4)
    chunk, is_file = tmp_path / "c" / "0", os.path.isfile
    chunk.unlink()

    def made(path: Any) -> bool:
        if str(path) == str(chunk):
            chunk.touch()
        return is_file(path)

    monkeypatch.setattr("os.path.isfile", made)
    gpuzarr.open_array(tmp_path, mode="r+")[...] = values
    assert chunk.stat().st_size
