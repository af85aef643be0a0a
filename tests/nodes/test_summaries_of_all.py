"""Whatever changes nodes, through whatever object: consolidated metadata says what is there, also to who was opened by
it before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import zarr

import gpuzarr
from tests.stores.own_store import OwnStore

Call = Callable[[Any, gpuzarr.Group], Any]  # of a store, and its group, opened by its summary


def documents(group: gpuzarr.Group) -> dict[str, Any]:
    return {"zarr_format": group.zarr_format, "node_type": "group", "attributes": {"x": 1}}


def below(store: Any, path: str, mode: Any = "r+") -> Any:
    """A node at a path, opened as a store of its own."""
    return gpuzarr.open(gpuzarr.storage.StorePath(store, path), mode=mode)


CALLS: dict[str, Call] = {
    "move": lambda s, g: g.move("a", "q/r"),
    "move within": lambda s, g: g["h"].move("b", "c/d"),
    "move out": lambda s, g: g.move("h/b", "b"),
    "copy": lambda s, g: g.copy("a", "q/r"),
    "copy of a group": lambda s, g: g.copy("h", "q"),
    "copy into": lambda s, g: g["h"].copy(g["a"], "z/y"),
    "copy to a group": lambda s, g: g.copy("a", g["h"]),
    "copy over": lambda s, g: g.copy("a", "h", overwrite=True),
    "gpuzarr.copy": lambda s, g: gpuzarr.copy(g["a"], g["h"], "new"),
    "copy_all": lambda s, g: gpuzarr.copy_all(g["h"], g["h"].create_group("sub")),
    "copy_store": lambda s, g: gpuzarr.copy_store(g.store, g.store, "h", "h/k"),
    "copy_store over": lambda s, g: gpuzarr.copy_store(g.store, g.store, "a", "h/b", if_exists="replace"),
    "create_hierarchy": lambda s, g: list(g["h"].create_hierarchy({"x/y": documents(g)})),
    "create_hierarchy over": lambda s, g: list(
        gpuzarr.create_hierarchy(store=s, nodes={"h": documents(g)}, overwrite=True)
    ),
    "resize": lambda s, g: g["h/b"].resize(9),
    "shape": lambda s, g: setattr(g["h/b"], "shape", (5,)),
    "append": lambda s, g: g["h/b"].append([1, 2]),
    "attributes": lambda s, g: g["h/b"].attrs.update(x=1),
    "attributes of a group": lambda s, g: g["h"].update_attributes({"x": 1}),
    "delete": lambda s, g: g["h"].__delitem__("b"),
    "set": lambda s, g: g["h"].__setitem__("n/m", [1, 2]),
    "over": lambda s, g: g["h"].create_group("b", overwrite=True),
    "require_groups": lambda s, g: g["h"].require_groups("u", "v/w"),
    "like": lambda s, g: g["h"].zeros_like("u", data=g["a"]),
    "save": lambda s, g: gpuzarr.save(s, x=[1], path="h/new"),
    "save_array": lambda s, g: gpuzarr.save_array(s, [1], path="h/new"),
    "save_group": lambda s, g: gpuzarr.save_group(s, y=[1], path="h"),
    "open": lambda s, g: gpuzarr.open(s, "h", mode="w"),
    "from_array": lambda s, g: gpuzarr.from_array(s, name="h/z", data=g["a"]),
}
OF_PARTS: dict[str, Call] = {
    "create_array": lambda s, g: gpuzarr.create_array(
        gpuzarr.storage.StorePath(s, "h"), name="n", shape=3, dtype="i4", zarr_format=g.zarr_format
    ),
    "from_store": lambda s, g: gpuzarr.Group.from_store(
        gpuzarr.storage.StorePath(s, "h"), overwrite=True, zarr_format=g.zarr_format
    ),
    "save": lambda s, g: gpuzarr.save(g["h/b"].store_path, [1, 2, 3], zarr_format=g.zarr_format),
    "resize": lambda s, g: below(s, "h/b").resize(8),
    "append": lambda s, g: gpuzarr.Array.open(g["h/b"].store_path).append([1]),
    "attributes": lambda s, g: below(s, "h").attrs.update(z=1),
    "delete": lambda s, g: below(s, "h").__delitem__("b"),
    "move": lambda s, g: below(s, "h").move("b", "c"),
    "copy_store": lambda s, g: gpuzarr.copy_store(g["a"].store_path, gpuzarr.storage.StorePath(s, "h/n")),
    "create_hierarchy": lambda s, g: list(below(s, "h").create_hierarchy({"x/y": documents(g)})),
}
STORES: dict[str, Callable[[Path], Any]] = {
    "folder": str,
    "folder of zarr-python": zarr.storage.LocalStore,
    "dict": lambda folder: {},
    "memory of zarr-python": lambda folder: zarr.storage.MemoryStore(),
    "URL": lambda folder: f"memory://{uuid4()}/part",
    "own": lambda folder: OwnStore(),
}


def view(group: gpuzarr.Group) -> list[Any]:
    return sorted((path, getattr(node, "shape", None), str(node.attrs)) for path, node in group.members(None))


def summarised(store: Any, zarr_format: Any) -> gpuzarr.Group:
    g = gpuzarr.create_group(store, zarr_format=zarr_format)
    g["a"], g["h/b"] = np.arange(2), np.arange(1)
    gpuzarr.consolidate_metadata(store)
    return gpuzarr.open_group(store, mode="r+", use_consolidated=True)


def check(store: Any, *held: gpuzarr.Group) -> None:
    stored = view(gpuzarr.open_group(store, use_consolidated=False))
    assert view(gpuzarr.open_group(store, use_consolidated=True)) == stored
    assert all(view(group) == stored for group in held)


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_all_that_changes_nodes(zarr_format: int, kind: str, tmp_path: Path) -> None:
    of_parts = {} if kind == "own" else {f"{name} of a part": call for name, call in OF_PARTS.items()}
    for name, call in (CALLS | of_parts).items():
        store = STORES[kind](tmp_path / name)
        group = summarised(store, zarr_format)
        other = gpuzarr.open_group(store, mode="r", use_consolidated=True)
        before = view(group)
        call(store, group)
        assert view(group) != before, name
        check(store, group, other)


def folders_of(folder: Path) -> dict[str, Callable[[str], Any]]:
    """The folders in a group, by other names: each as a store of its own."""
    (link := folder.with_name("link")).symlink_to(folder)
    return {
        "path": lambda path: f"{folder}/{path}",
        "link": lambda path: link / path,
        "around": lambda path: f"{folder}/../{folder.name}/{path}",
        "store": lambda path: gpuzarr.LocalStore(f"{folder}/{path}", fsync=True),
        "node of zarr-python": lambda path: zarr.open(folder, path=path, mode="r+"),
        "store of zarr-python": lambda path: zarr.storage.LocalStore(folder / path),
    }


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_folders_that_are_opened_as_stores(zarr_format: int, tmp_path: Path) -> None:
    group = summarised(tmp_path / "x", zarr_format)
    for i, (name, folder) in enumerate(folders_of(tmp_path / "x").items()):
        gpuzarr.open_array(folder("h/b"), mode="r+").resize(20 + i)
        gpuzarr.open_group(folder("h"), mode="r+").attrs["i"] = i
        assert group["h/b"].shape == (20 + i,) and group["h"].attrs["i"] == i, name
        check(tmp_path / "x", group)


def test_a_summary_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a folder of somebody else: the change is made, and a warning tells of the summary."""
    group = summarised(tmp_path / "x", 3)
    right, closed = os.access, (str(tmp_path / "x"), str(tmp_path / "x/zarr.json"))
    monkeypatch.setattr(
        os, "access", lambda path, *rest, **options: path not in closed and right(path, *rest, **options)
    )
    with pytest.warns(gpuzarr.errors.GpuZarrWarning, match="out of date now, as it cannot be written"):
        gpuzarr.open_array(tmp_path / "x/h/b", mode="r+").resize(5)
    assert gpuzarr.open_group(group.store, use_consolidated=False)["h/b"].shape == (5,) and group["h/b"].shape == (5,)


GONE: dict[str, Call] = {
    "open": lambda s, g: gpuzarr.open_group(s, mode="w", zarr_format=g.zarr_format),
    "save": lambda s, g: gpuzarr.save(s, [1, 2]),
    "delete": lambda s, g: g.__delitem__("h"),
    "overwrite": lambda s, g: gpuzarr.create_group(s, path="h", overwrite=True),
    "overwrite with an array": lambda s, g: g.create_array("h", data=[1], overwrite=True),
    "create_hierarchy": lambda s, g: list(g.create_hierarchy({"h": documents(g)}, overwrite=True)),
    "move": lambda s, g: g.move("h", "k"),
    "copy": lambda s, g: g.copy("g", "h", overwrite=True),
    "overwrite above": lambda s, g: gpuzarr.save_group(s, h=[1], zarr_format=g.zarr_format),
}


@pytest.mark.parametrize("kind", [kind for kind in STORES if kind != "own"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_groups_that_are_no_more(zarr_format: int, kind: str, tmp_path: Path) -> None:
    """Who was opened by a summary that was deleted, or replaced, shows what is there."""
    for name, call in GONE.items():
        store = STORES[kind](tmp_path / name)
        top = summarised(store, zarr_format)
        top["g/b/c"] = [1, 2, 3]
        gpuzarr.consolidate_metadata(store, "h")
        inner = gpuzarr.open_group(store, "h", mode="r+", use_consolidated=True)
        of_a_part = gpuzarr.open_group(gpuzarr.storage.StorePath(store, "h"), mode="r+", use_consolidated=True)
        call(store, top)
        try:
            stored = view(gpuzarr.open_group(store, "h", use_consolidated=False))
        except gpuzarr.GpuZarrError:  # it is an array, or nothing
            stored = []
        assert view(inner) == view(of_a_part) == view(top["h"] if "h" in top and stored else inner) == stored, name


@pytest.mark.parametrize("kind", [kind for kind in STORES if kind != "own"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_parts_of_a_store_are_of_the_version_of_their_group(zarr_format: Any, kind: str, tmp_path: Path) -> None:
    store = STORES[kind](tmp_path / "x")
    group = summarised(store, zarr_format)
    for i, place in enumerate((group.store_path, gpuzarr.storage.StorePath(store, "h"))):
        calls: dict[str, Callable[[Any], Any]] = {
            "save": lambda s: gpuzarr.save(s, [1]),
            "create_array": lambda s: gpuzarr.create_array(s, shape=3, dtype="i4"),
            "create_group": lambda s: gpuzarr.create_group(s),
            "group": lambda s: gpuzarr.group(s),
            "open": lambda s: gpuzarr.open(s, mode="a"),
            "save_group": lambda s: gpuzarr.save_group(s, x=[1]),
        }
        for name, call in calls.items():
            call(part := place / f"{name}{i}")
            assert gpuzarr.open(part).zarr_format == zarr_format, name
            with pytest.raises(gpuzarr.ArgumentError, match="the group above"):
                gpuzarr.create_array(place / f"{name}{i}-other", shape=3, dtype="i4", zarr_format=5 - zarr_format)
            check(store, group)


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_group_itself(zarr_format: int, kind: str, tmp_path: Path) -> None:
    group = summarised(STORES[kind](tmp_path), zarr_format)
    group.attrs["k"] = 1
    for path in ("", "/"):
        same = group[path]
        assert isinstance(same, gpuzarr.Group) and same.attrs == {"k": 1} and view(same) == view(group)
    same["new"] = [1]
    assert "new" in group and "" in group
    made = dict(group.create_hierarchy({"x/y": documents(group)}))
    assert {"x", "x/y"} <= set(made) and view(group) == view(same)
