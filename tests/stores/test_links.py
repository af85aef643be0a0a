"""Symbolic links in a folder's store: read through, removed themselves, and nothing behind them is changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import LinkedError, StoreError
from gpuzarr.stores.local import folders
from gpuzarr.stores.local.store import LocalStore
from tests.attack.rounds import FACTOR
from tests.conftest import examples

OLD = np.arange(1, 65, dtype="i4").reshape(8, 8)
NEW = -OLD
TARGETS = ("folder", "array", "file", "zarr.json", "nothing", "itself", "the store")
PLACES = (
    *("a", "g/a", "g", "a/c", "a/c/0", "a/c/0/0", "a/zarr.json", "a/link", "a/c/link", ".a.lock", "a/c/0/.0.lock"),
    *("a/.zarr.json.1-1-1.partial", "g/a/c", "g/zarr.json", "g/.a.lock", "zarr.json", ".zarr.json.lock"),
)


def contents(folder: Path) -> dict[str, Any]:
    """All that is in a folder: bytes of files, targets of links, None for folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


def outside(path: Path) -> Path:
    """A folder that nobody may touch, with an array that is linked into the store."""
    out = path / "out"
    (out / "folder").mkdir(parents=True)
    (out / "folder/precious").write_bytes(b"precious")
    (out / "file").write_bytes(b"precious")
    gpuzarr.save_array(out / "array", OLD, chunks=(4, 4))
    shutil.copy(out / "array/zarr.json", out / "zarr.json")
    return out


def linked(root: Path, out: Path, place: str, target: str) -> None:
    """Put a link in the place of something in the store."""
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to({"itself": path, "the store": root}.get(target, out / target))


def group(root: Path) -> gpuzarr.Group:
    return gpuzarr.open_group(root, mode="r+", device="cpu")


def array(root: Path) -> gpuzarr.Array:
    return gpuzarr.open_array(root, "a", mode="r+", device="cpu")


OPERATIONS: dict[str, Callable[[Path], Any]] = {
    "overwrite a": lambda root: gpuzarr.create_array(root, name="a", shape=5, dtype="i4", overwrite=True),
    "save a": lambda root: gpuzarr.save(root, NEW, path="a"),
    "save all": lambda root: gpuzarr.save(root, a=NEW, b=NEW),
    "overwrite g": lambda root: gpuzarr.create_group(root, path="g", overwrite=True),
    "overwrite g/a": lambda root: gpuzarr.create_array(root, name="g/a", data=NEW, overwrite=True),
    "make g/a/b/c": lambda root: gpuzarr.create_group(root, path="g/a/b/c"),
    "delete a": lambda root: group(root).__delitem__("a"),
    "delete g": lambda root: group(root).__delitem__("g"),
    "delete g/a": lambda root: group(root).__delitem__("g/a"),
    "delete link": lambda root: group(root).__delitem__("a/link"),
    "set a": lambda root: group(root).__setitem__("a", NEW),
    "write a": lambda root: array(root).set(..., NEW),
    "write a part": lambda root: array(root).set((slice(1, 6), 3), 0),
    "erase a": lambda root: array(root).set(..., 0),
    "resize a": lambda root: array(root).resize((3, 3)),
    "append to a": lambda root: array(root).append(NEW),
    "attributes of a": lambda root: array(root).attrs.update(k=1),
    "consolidate": lambda root: gpuzarr.consolidate_metadata(root),
    "set": lambda root: LocalStore(str(root)).set("a/c/0/0", b"new"),
    "sink": lambda root: LocalStore(str(root)).create("a/c/0/0").write(b"new", 0),
    "delete": lambda root: LocalStore(str(root)).delete(["a", "a/c", "a/c/0/0", "a/link", "g/zarr.json"]),
    "delete prefix": lambda root: LocalStore(str(root)).delete_prefix("a"),
    "delete link prefix": lambda root: LocalStore(str(root)).delete_prefix("a/link/folder"),
    "delete everything": lambda root: LocalStore(str(root)).delete_prefix(""),
}


def fill(root: Path) -> None:
    gpuzarr.save_group(root, a=OLD)
    gpuzarr.create_array(root, name="a", data=OLD, chunks=(4, 4), overwrite=True)
    gpuzarr.create_array(root, name="g/a", data=OLD, chunks=(4, 4), shards=(8, 8))


def test_nothing_outside_is_changed(tmp_path: Path) -> None:
    """Whatever is linked to whatever, and whatever is called; an error is a typed one."""
    store, out = tmp_path / "store", outside(tmp_path)
    before = contents(out)

    @settings(max_examples=examples(60) * FACTOR, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(TARGETS)), min_size=1, max_size=3),
        st.lists(st.sampled_from(list(OPERATIONS)), min_size=1, max_size=3),
    )
    def law(links: list[tuple[str, str]], operations: list[str]) -> None:
        shutil.rmtree(store, ignore_errors=True)
        fill(store)
        for place, target in links:
            if not any(above.is_symlink() for above in (store / place).parents):
                linked(store, out, place, target)
        assert contents(out) == before
        for name in operations:
            with suppress(gpuzarr.GpuZarrError):
                OPERATIONS[name](store)
            assert contents(out) == before, name

    law()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("place", ["a", "a/c", "a/c/0", "a/c/0/0", "a/zarr.json", "a/link", "a/c/link", ".a.lock"])
def test_what_is_overwritten_is_whole_then(place: str, target: str, tmp_path: Path) -> None:
    root, out = tmp_path / "store", outside(tmp_path)
    fill(root)
    linked(root, out, place, target)
    before = contents(out)
    gpuzarr.create_array(root, name="a", data=NEW, chunks=(4, 4), overwrite=True)
    np.testing.assert_array_equal(gpuzarr.open(root, "a")[...], NEW)
    assert contents(out) == before and not any(path.is_symlink() for path in root.rglob("*"))
    del group(root)["a"]
    assert "a" not in group(root) and not (root / "a").exists()


def test_links_are_read_through(tmp_path: Path) -> None:
    root, out = tmp_path / "store", outside(tmp_path)
    fill(root)
    linked(root, out, "b", "array")
    shutil.move(root / "a/c", out / "c")
    (root / "a/c").symlink_to(out / "c")
    before = contents(out)
    g = group(root)
    for name in ("a", "b"):
        np.testing.assert_array_equal(g[name][...], OLD)
        with pytest.raises(StoreError, match=r"is a symbolic link, .* open what it leads to by its own path"):
            g[name][...] = NEW
        with pytest.raises(StoreError, match="is a symbolic link"):
            g[name][1:3, 2] = 5
    assert list(g) == ["a", "b", "g"] and contents(out) == before
    a = gpuzarr.open(out / "array", mode="r+")
    a[...] = NEW
    np.testing.assert_array_equal(g["b"][...], NEW)
    del g["b"]
    assert list(group(root)) == ["a", "g"] and (out / "array/zarr.json").exists()


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "root").symlink_to("there")
    gpuzarr.save(tmp_path / "root", a=OLD)
    gpuzarr.save(tmp_path / "root", a=NEW)
    np.testing.assert_array_equal(gpuzarr.open(tmp_path / "there", "a")[...], NEW)
    assert (tmp_path / "root").is_symlink()


@pytest.mark.parametrize("where", ["a", "a/c", "a/c/0"])
@pytest.mark.parametrize("moment", range(12))
def test_a_folder_that_becomes_a_link_meanwhile(
    moment: int, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two system calls of a deletion."""
    root, out = tmp_path / "store", outside(tmp_path)
    fill(root)
    shutil.copytree(root / "a", out / "a")
    before, calls = contents(out), 0

    def then(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == moment + 1 and (root / where).exists():
                (root / where).rename(tmp_path / "moved")
                (root / where).symlink_to(out / where)
            return call(*arguments, **options)

        return counted

    for name in ("open", "scandir", "unlink", "rmdir", "close"):
        monkeypatch.setattr(folders.os, name, then(getattr(os, name)))
    try:
        LocalStore(str(root)).delete_prefix("a")
    except StoreError as error:
        assert "is a symbolic link" in str(error) or "was moved while it was deleted" in str(error)
    monkeypatch.undo()
    assert contents(out) == before


@pytest.mark.parametrize(
    "key", ["..", "../out", "a/../../out", "/etc", "a//b", "", ".", "a/.", "./a", "a/", "nul\0", "a/\0/b"]
)
def test_keys_that_lead_out_change_nothing(key: str, tmp_path: Path) -> None:
    outside(tmp_path)
    root = tmp_path / "store"
    fill(root)
    before, store = contents(tmp_path), LocalStore(str(root))
    calls: list[Callable[[], Any]] = [
        lambda: store.set(key, b"x"),
        lambda: store.create(key).write(b"x", 0),
        lambda: store.locked([key]).__enter__(),
    ]
    for call in calls:
        with pytest.raises(StoreError):
            call()
    for call in (lambda: store.delete([key]), lambda: store.delete_prefix(key) if key else None):
        with suppress(StoreError):
            call()
    assert contents(tmp_path) == before
    for name in (key, f"{key}/x") if key.strip("/") not in ("", "a", "a//b", "etc") else ():
        with pytest.raises(gpuzarr.GpuZarrError):
            gpuzarr.create_array(root, name=name, shape=1, dtype="i4")
        with pytest.raises(gpuzarr.GpuZarrError):
            group(root)[name]
    assert contents(tmp_path) == before


@pytest.mark.parametrize("count", [1, 20])
def test_links_that_lead_out_are_refused_on_request(count: int, tmp_path: Path, loops: str) -> None:
    """To a file, to a folder, by several steps; also if only one of many objects is behind one. Others are read."""
    out, root = outside(tmp_path), tmp_path / "store"
    gpuzarr.save_group(root, a=OLD, b=OLD, **{f"g/{i}": OLD for i in range(count)})
    (root / "b/c/0").rename(root / "b/elsewhere")
    (root / "b/c/0").symlink_to("../elsewhere")
    (root / "linked").symlink_to(out / "array")
    (root / "a/zarr.json").unlink()
    (root / "a/zarr.json").symlink_to(root / "a/step")
    (root / "a/step").symlink_to(out / "zarr.json")
    plain, strict = LocalStore(root), LocalStore(root, follow_symlinks=False)
    assert plain.get("linked/zarr.json") and plain.get("a/zarr.json") and plain.names("linked")
    assert np.array_equal(gpuzarr.open(strict, path="b", device="cpu")[...], OLD)
    for key in ("linked/zarr.json", "a/zarr.json", "linked/c/0/0"):
        with pytest.raises(LinkedError, match=r"cannot read .* a symbolic link leads out of the folder, to .*out"):
            strict.get(key)
    for listed in (strict.names, lambda prefix: list(strict.objects(prefix))):
        with pytest.raises(LinkedError):
            listed("linked")
    with pytest.raises(LinkedError):
        gpuzarr.open(strict, path="linked")
    inner = root / "g/0/c/0/0"
    inner.rename(out / "chunk")
    inner.symlink_to(out / "chunk")
    for a in (gpuzarr.open_array(each, path="g/0", device="cpu") for each in (strict, plain)):
        if a.store is plain:
            assert a[0, 0] == 1
            continue
        for selection in (np.s_[0, 0], np.s_[...]):
            with pytest.raises(LinkedError, match="'g/0/c/0/0' of LocalStore"):
                a[selection]
        with pytest.raises(LinkedError):
            gpuzarr.read_many([(gpuzarr.open_array(strict, path=f"g/{i}", device="cpu"), ...) for i in range(count)])


def test_a_root_that_is_a_link_is_no_link_out(tmp_path: Path) -> None:
    gpuzarr.save_group(tmp_path / "real", a=OLD)
    (tmp_path / "link").symlink_to("real")
    store = LocalStore(tmp_path / "link", follow_symlinks=False)
    assert np.array_equal(gpuzarr.open(store, path="a", device="cpu")[...], OLD)
    assert sorted(store.names("")) == ["a", "zarr.json"]
