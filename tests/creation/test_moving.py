"""Nodes that are moved and copied: all that belongs to them, byte by byte, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.creation import copy, move
from gpuzarr.stores import moving
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from tests.stores_of_tests import KINDS, objects

FORMATS: Any = [2, 3]


def filled(store: Any, zarr_format: Any) -> Any:
    """A store with a group g that has an array a, a group h and in it an array b."""
    g = gpuzarr.create_group(store, path="g", attributes={"title": "é"}, zarr_format=zarr_format)
    g.create_array("a", data=np.arange(60).reshape(6, 10), chunks=(4, 3), attributes={"unit": "K"})
    g.create_array("h/b", data=np.arange(6.0), chunks=(2,), **({"shards": (4,)} if zarr_format == 3 else {}))
    return store


def below(found: dict[str, bytes], path: str) -> dict[str, bytes]:
    start = f"{path}/" if path else ""
    return {key[len(start) :]: value for key, value in found.items() if key.startswith(start)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize(("source", "target"), [("g", "x/y"), ("g/a", "g/h/c"), ("g/h", "h"), ("g/a", "a")])
def test_a_moved_node_is_the_same(source: str, target: str, zarr_format: Any, kind: str, tmp_path: Path) -> None:
    store = filled(KINDS[kind](tmp_path), zarr_format)
    before = objects(store)
    move(store, source, target)
    after = objects(store)
    assert below(after, target) == below(before, source) and not below(after, source)
    rest = {key for key in after if not key.startswith(f"{target}/")} & set(before)
    assert all(after[key] == before[key] for key in rest)
    node = gpuzarr.open(store, target)
    assert isinstance(node, gpuzarr.Group) or (node[...] == np.arange(60).reshape(6, 10)).all()
    assert target in gpuzarr.open_group(store), "the groups above are made"


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize(("source", "target"), [("g", "x/y"), ("g/h", ""), ("", "all"), ("g/a", "a")])
def test_a_copy_is_the_same(
    source: str, target: str, zarr_format: Any, kind: str, to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MAX_PIECE_BYTES", 7)
    store, other = filled(KINDS[kind](tmp_path / "1"), zarr_format), KINDS[to](tmp_path / "2")
    before = objects(store)
    copy(store, source, other, target)
    assert objects(store) == before
    assert below(objects(other), target) == below(before, source)
    assert not target or target in gpuzarr.open_group(other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_within_a_store(kind: str, tmp_path: Path) -> None:
    """Also into itself: of what was there when it began."""
    store = filled(KINDS[kind](tmp_path), 3)
    before = objects(store)
    copy(store, "g", store, "g/copy")
    copy(store, "", store, "all")
    after = objects(store)
    assert below(after, "g/copy") == below(before, "g") and all(after[key] == before[key] for key in before)
    assert below(after, "all") == {key: value for key, value in after.items() if not key.startswith("all/")}
    copy(store, "g/h", store, "g", overwrite=True)
    assert below(objects(store), "g") == below(before, "g/h")
    assert (gpuzarr.open(store, "g/b")[...] == np.arange(6)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zarr_format", FORMATS)
def test_what_cannot_be_moved_or_copied(zarr_format: Any, kind: str, tmp_path: Path) -> None:
    store = filled(KINDS[kind](tmp_path), zarr_format)
    gpuzarr.create_group(store, path="x", zarr_format=zarr_format)
    before = objects(store)
    for source, target, error in [
        ("none", "y", gpuzarr.NotFoundError),
        ("g", "x", gpuzarr.ExistsError),
        ("g", "g/a/z", gpuzarr.GpuZarrError),
        ("x", "g/a/z", gpuzarr.ExistsError),
        ("g/a", "g/a", gpuzarr.GpuZarrError),
    ]:
        with pytest.raises(error):
            move(store, source, target)
        with pytest.raises(error):
            copy(store, source, store, target)
        assert objects(store) == before
    for source, target in [("", "y"), ("g", ""), ("g", "g/y"), ("g", "g")]:
        with pytest.raises(gpuzarr.ArgumentError):
            move(store, source, target)
        assert objects(store) == before


def merged(store: Any) -> gpuzarr.Group:
    """A store with arrays whose values tell where they were, at a/x, a/a/x, a/a/a/x and b/x."""
    g = gpuzarr.create_group(store)
    for i, path in enumerate(("a/x", "a/a/x", "a/a/a/x", "b/x")):
        g.create_array(path, data=np.full(4, i), chunks=2)
    return g


@pytest.mark.parametrize("if_exists", ["replace", "skip"])
@pytest.mark.parametrize("kind", ["local", "mapping", "parts"])
def test_objects_are_copied_as_they_were(kind: str, if_exists: str, tmp_path: Path) -> None:
    """Or not at all, where one would be replaced before it is copied; however the places are called."""
    for source, target in [
        ("a", "a/a"),
        ("a/a", "a"),
        ("a", ""),
        ("", "a"),
        ("a", "b"),
        ("a", "b/x"),
        ("", "c"),
        ("a", "a"),
    ]:
        root = tmp_path / f"{source} to {target}".replace("/", "-")
        store: Any = MappingStore({}) if kind == "mapping" else LocalStore(str(root))
        merged(store)
        before = objects(store)
        try:
            if kind == "parts":
                gpuzarr.copy_store(root / source, root / target, if_exists=if_exists)
            else:
                gpuzarr.copy_store(store, store, source, target, if_exists=if_exists)
        except gpuzarr.ArgumentError as error:
            assert "before it is copied" in str(error) and objects(store) == before
            assert (source != target and f"{source}/a".startswith(target)) or f"{target}/a".startswith(source)
        else:
            copies = {f"{target}/{key}".strip("/"): value for key, value in below(before, source).items()}
            assert objects(store) == ({**before, **copies} if if_exists == "replace" else {**copies, **before})


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_copied_all_or_none(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, store = merged(MappingStore({})), KINDS[kind](tmp_path)
    dest = gpuzarr.create_group(store)
    dest["a"], dest["b"] = [1], [2]
    before, right = objects(store), moving.copy

    def full(old: Any, key: str, new: Any, to: str) -> None:
        if key.startswith("b/"):
            raise gpuzarr.StoreError("No space left on device")
        right(old, key, new, to)

    with monkeypatch.context() as patch:
        patch.setattr(moving, "copy", full)
        with pytest.raises(gpuzarr.StoreError):
            gpuzarr.copy_all(source, dest, if_exists="replace")
    assert objects(store) == before
    assert gpuzarr.copy_all(source, dest, if_exists="skip")[:2] == (0, 8) and objects(store) == before
    assert gpuzarr.copy_all(source, dest, if_exists="replace", dry_run=True)[:2] == (8, 0) and objects(store) == before
    assert gpuzarr.copy_all(source, dest, if_exists="replace")[:2] == (8, 0)
    assert [dest["a/a/x"][0], dest["b/x"][0]] == [1, 3] and not [key for key in objects(store) if "partial" in key]


def test_a_group_is_no_copy_of_itself(tmp_path: Path) -> None:
    """No name, as that of a root, is no member: nothing takes the place of the group with all that is in it."""
    g, other = merged({}), merged(tmp_path / "other")
    before = objects(g.store), objects(other.store)
    for call in (
        lambda: g.copy("a", "", overwrite=True),
        lambda: other.copy(g, other, overwrite=True),
        lambda: gpuzarr.copy(g, other, if_exists="replace"),
    ):
        with pytest.raises(gpuzarr.ArgumentError, match="names no member"):
            call()
        assert (objects(g.store), objects(other.store)) == before


@pytest.mark.parametrize("version", FORMATS)
def test_nodes_of_zarr_python_are_copied(version: Any, tmp_path: Path) -> None:
    theirs = zarr.open_group(tmp_path, mode="w", zarr_format=version)
    theirs.create_array("h/a", data=np.arange(5), chunks=(2,))
    memory = zarr.group(zarr.storage.MemoryStore(), zarr_format=version)
    memory.create_array("h/a", data=np.arange(5), chunks=(2,))
    g = gpuzarr.group({}, zarr_format=version)
    for i, node in enumerate((theirs["h"], theirs["h/a"], theirs, memory["h/a"], memory)):
        copy_of = g.copy(node, str(i))
        values = copy_of if isinstance(copy_of, gpuzarr.Array) else dict(copy_of.members(None))[("h/a", "a")[i == 0]]
        assert values[...].tolist() == [0, 1, 2, 3, 4]
    for wrong in (np.arange(3), None, 5, object()):
        with pytest.raises(gpuzarr.ArgumentError):
            g.copy(wrong, "x")


def test_nodes_are_no_stores() -> None:
    g = merged({})
    for node in (g, g["a/x"]):
        for call in (
            gpuzarr.open,
            gpuzarr.load,
            gpuzarr.group,
            lambda s: gpuzarr.save(s, [1]),
            gpuzarr.consolidate_metadata,
        ):
            with pytest.raises(gpuzarr.errors.StoreKindError, match="give its store_path"):
                call(node)
