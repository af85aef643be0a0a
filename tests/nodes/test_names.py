"""Names of nodes: refused before anything is written, or of use to everybody. And nodes in groups of their version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from tests.conftest import examples

DOCUMENTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
USED = (
    *(
        "c",
        "0",
        "0.0",
        "1/2",
        "c/0",
        "__x",
        "__init__.py",
        "a\\b",
        "a//b",
        "/a",
        "a/",
        "//a//",
        ".h",
        "A",
        "a",
        "a ",
        "a.",
    ),
    *(" a", "a%20b", "a#b?c", "a:b", "é", "e\u0301", "日本", "😀", "a\nb", "\t", "\x7f", "*", "~", "-", "x" * 255),
    *("é" * 127, "字" * 85, "/".join("abc"), "zarr.jsonx", "Zarr.json", "x.partial", "x.lock", "partial", ".zattrs.x"),
)
NEVER = (
    *DOCUMENTS,
    *(
        "a/zarr.json",
        "zarr.json/b",
        "a/.zgroup/b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "../a",
        "...",
        "a/....",
        "",
        "/",
        "//",
    ),
    *("a\0b", "\0", "a\ud800", "\udc80", "\udfff/a", ".x.partial", ".x.lock", ".lock", "a/.x.partial/b", "\\", ".\\a"),
    *(0, 1.5, b"a", None, ("a",), np.int64(3)),
)
NOT_IN_FILES = ("x" * 256, "é" * 128, "字" * 86, "a/" + "y" * 300 + "/b", "y/" * 2100 + "y", ("z" * 200 + "/") * 20)
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "create_array": lambda group, name: group.create_array(name, shape=2, dtype="i4"),
    "overwrite": lambda group, name: group.create_array(name, shape=2, dtype="i4", overwrite=True),
    "create_group": lambda group, name: group.create_group(name),
    "require_group": lambda group, name: group.require_group(named(name)),
    "require_array": lambda group, name: group.require_array(named(name), shape=2, dtype="i4"),
    "zeros": lambda group, name: group.zeros(name, shape=2),
    "set": lambda group, name: group.__setitem__(name, np.arange(2)),
    "a": lambda group, name: gpuzarr.open(group.store, named(name), mode="a"),
    "w": lambda group, name: gpuzarr.open(group.store, named(name), mode="w"),
    "w-": lambda group, name: gpuzarr.open(group.store, named(name), mode="w-", shape=2),
    "save": lambda group, name: gpuzarr.save(group.store, np.arange(2), path=named(name)),
    "save_group": lambda group, name: gpuzarr.save_group(group.store, np.arange(2), path=named(name)),
    "member": lambda group, name: gpuzarr.save_group(group.store, path="deep", **{named(name): np.arange(2)}),
    "from_array": lambda group, name: gpuzarr.from_array(group.store, data=np.arange(2), name=named(name)),
    "hierarchy": lambda group, name: list(
        group.create_hierarchy(
            {each: {"zarr_format": group.zarr_format, "node_type": "group"} for each in ("fine", named(name))}
        )
    ),
}


def named(name: Any) -> Any:
    """A name that does not mean the root, which these calls may make."""
    return name if name is not None and str(name).strip("/\\") else ("nothing", "but", "a tuple")


def new(kind: str, folder: Path, zarr_format: Any) -> tuple[Any, Any, Callable[[], dict[str, bytes]]]:
    """A store, a group in it, and a function that says what the store holds."""
    store: Any = {} if kind == "mapping" else folder
    group = gpuzarr.create_group(store, zarr_format=zarr_format)
    group["there"] = np.arange(3)
    if kind == "mapping":
        return store, group, lambda: dict(store)
    return store, group, lambda: {str(f): f.read_bytes() if f.is_file() else b"" for f in folder.rglob("*")}


def theirs(store: Any, **options: Any) -> Any:
    if not isinstance(store, dict):
        return zarr.open_group(store, mode="r+", **options)
    buffer = zarr.core.buffer.default_buffer_prototype().buffer.from_bytes
    return zarr.open_group(
        zarr.storage.MemoryStore({key: buffer(value) for key, value in store.items()}), mode="r+", **options
    )


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ["folder", "mapping"])
def test_names_that_are_used(kind: str, zarr_format: int, tmp_path: Path) -> None:
    for i, name in enumerate(
        (*USED, np.str_("n"), PurePosixPath("p/q"), *(NOT_IN_FILES[:4] if kind == "mapping" else ()))
    ):
        store, group, _ = new(kind, tmp_path / str(i), zarr_format)
        group[name] = np.arange(3)
        path = str(name).replace("\\", "/").strip("/").replace("//", "/")
        first = path.partition("/")[0]
        for each in (group, gpuzarr.open_group(store, mode="r+")):
            assert each[name][...].tolist() == [0, 1, 2] and each[name].path == path and name in each
            assert sorted(each) == sorted([first, "there"]) and path in dict(each.members(max_depth=None))
            assert first in str(each.tree()) or not first.isprintable()
        gpuzarr.consolidate_metadata(store)
        other = theirs(store)
        key = str(name)
        assert other[key][:].tolist() == [0, 1, 2] and sorted(other.keys()) == sorted([first, "there"])
        for members in (dict(other.members(max_depth=None)), dict(gpuzarr.open_consolidated(store).members(None))):
            assert path in members
        if isinstance(store, dict):  # of which they have a copy
            other = theirs(store, use_consolidated=False)
            del other[key]
            assert key not in other
        del group[name]
        assert name not in group and name not in gpuzarr.open_consolidated(store)
        with pytest.raises(gpuzarr.NotFoundError):
            del group[name]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ["folder", "mapping"])
def test_names_that_are_refused(kind: str, zarr_format: int, call: str, tmp_path: Path) -> None:
    """Also where something is kept of stores, which is told what has changed: there is a cache."""
    cache = gpuzarr.ChunkCache(1)
    _, group, contents = new(kind, tmp_path / "s", zarr_format)
    before = contents()
    for name in (*NEVER, *(NOT_IN_FILES if kind == "folder" else ())):
        if call == "member" and not isinstance(named(name), str):
            continue
        with pytest.raises(gpuzarr.ArgumentError):
            print(repr(name)[:80], CALLS[call](group, name))
        assert contents() == before, name
    assert cache.nbytes == 0
    for name in NEVER + NOT_IN_FILES:
        try:
            assert name not in group or not str(name).strip("/\\")
            assert group.get(name) is None or not str(name).strip("/\\")
        except gpuzarr.ArgumentError:
            pass


@settings(max_examples=examples(40), deadline=None)
@given(st.text(st.characters(), max_size=8), st.sampled_from((2, 3)))
def test_any_text_is_a_name_or_refused(name: str, zarr_format: Any) -> None:
    store: dict[str, bytes] = {}
    group = gpuzarr.create_group(store, zarr_format=zarr_format)
    before = dict(store)
    try:
        made = group.create_array(name, shape=1, dtype="i4")
    except gpuzarr.ArgumentError:
        assert store == before
        return
    assert list(group) == [made.path.partition("/")[0]]
    assert theirs(store)[name].shape == group[name].shape == (1,)
    del group[name]
    assert name not in group


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_nodes_of_others_are_opened_whatever_their_names_are(zarr_format: Any, tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path, mode="w", zarr_format=zarr_format)
    names = ["...", "a\udc80", *((".zarray", ".zgroup", ".zattrs") if zarr_format == 3 else ("zarr.json",))]
    for name in names:
        group.create_array(name, shape=2, dtype="i4")[:] = 7
    ours = gpuzarr.open_group(tmp_path, mode="r+")
    assert sorted(ours) == sorted(names)
    for name in names:
        assert ours[name][...].tolist() == [7, 7]
        ours[name].attrs["k"] = 1
        del ours[name]
        assert name not in ours
    ours["x"] = [1]
    assert list(ours) == ["x"]


MAKE: dict[str, Callable[..., Any]] = {
    "create_array": lambda store, path, **v: gpuzarr.create_array(store, name=path, shape=2, dtype="i4", **v),
    "create_group": lambda store, path, **v: gpuzarr.create_group(store, path=path, **v),
    "zeros": lambda store, path, **v: gpuzarr.zeros(2, store=store, path=path, **v),
    "array": lambda store, path, **v: gpuzarr.array([1], store=store, path=path, **v),
    "like": lambda store, path, **v: gpuzarr.zeros_like(gpuzarr.zeros(3), store=store, path=path, **v),
    "open_like": lambda store, path, **v: gpuzarr.open_like(gpuzarr.zeros(3), path, store=store, **v),
    "from_array": lambda store, path, **v: gpuzarr.from_array(store, data=np.arange(2), name=path, **v),
    "from array of v3": lambda store, path, **v: gpuzarr.from_array(store, data=gpuzarr.zeros(3), name=path, **v),
    "from array of v2": lambda store, path, **v: gpuzarr.from_array(
        store, data=gpuzarr.zeros(3, zarr_format=2), name=path, **v
    ),
    "save": lambda store, path, **v: gpuzarr.save(store, np.arange(2), path=path, **v),
    "save_group": lambda store, path, **v: gpuzarr.save_group(store, np.arange(2), path=path, **v),
    "a": lambda store, path, **v: gpuzarr.open(store, path, mode="a", **v),
    "w": lambda store, path, **v: gpuzarr.open(store, path, mode="w", **v),
    "w-": lambda store, path, **v: gpuzarr.open(store, path, mode="w-", shape=2, **v),
    "group": lambda store, path, **v: gpuzarr.group(store, path=path, **v),
    "member": lambda store, path, **v: gpuzarr.open_group(store, mode="r+").create_array(
        path, shape=2, dtype="i4", **v
    ),
    "member by zeros": lambda store, path, **v: gpuzarr.open_group(store, mode="r+").zeros(path, shape=2, **v),
}


@pytest.mark.parametrize("call", MAKE)
@pytest.mark.parametrize("above", [2, 3])
def test_a_node_is_of_the_version_of_the_group_above(above: Any, call: str) -> None:
    """Another one would not be found there by a listing. And if none is asked for, it is that."""
    for path in ("a", "g/a", "g/new/a"):
        for overwrite in ({}, {"overwrite": True}) if call in ("create_array", "create_group", "zeros") else ({},):
            store: dict[str, bytes] = {}
            gpuzarr.create_group(store, zarr_format=above, path="g")
            before = dict(store)
            with pytest.raises(gpuzarr.ArgumentError, match=f"of Zarr v{above}"):
                MAKE[call](store, path, zarr_format=5 - above, **overwrite)
            assert store == before
            MAKE[call](store, path, **overwrite)
            node = gpuzarr.open_group(store)[path]
            assert node.zarr_format == above and path in dict(gpuzarr.open_group(store).members(max_depth=None))
    for version in (2, 3):
        store = {}
        if "member" not in call:
            MAKE[call](store, "a/b", zarr_format=version)
            assert {gpuzarr.open(store, path).zarr_format for path in ("", "a", "a/b")} == {version}


def test_the_root_may_change_its_version_and_may_have_two() -> None:
    store: dict[str, bytes] = {}
    gpuzarr.save_group(store, a=[1], zarr_format=2)
    gpuzarr.save_group(store, b=[1], zarr_format=3)
    assert list(gpuzarr.open_group(store)) == ["b"] and ".zgroup" not in store
    gpuzarr.create_array(store, name="b", shape=2, dtype="i4", overwrite=True)
    store[".zgroup"] = b'{"zarr_format": 2}'
    for zarr_format in (2, 3):
        gpuzarr.create_array(store, name=f"v{zarr_format}", shape=2, dtype="i4", zarr_format=zarr_format)
    assert gpuzarr.create_array(store, name="c", shape=2, dtype="i4").zarr_format == 3
    assert sorted(gpuzarr.open_group(store)) == ["b", "c", "v2", "v3"]


@pytest.mark.parametrize("depth", [-1, -2, np.int64(-1), -(2**63)])
def test_negative_depths_are_refused(depth: int) -> None:
    group = gpuzarr.group()
    group["a"] = [1]
    for call in (group.members, group.nmembers, lambda n: group.members(max_depth=n), lambda n: group.tree(level=n)):
        with pytest.raises(ValueError, match="-"):
            call(depth)
