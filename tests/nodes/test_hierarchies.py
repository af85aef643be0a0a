"""Hierarchies, copies and moves: all of it is there afterwards, or nothing has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.buffer import default_buffer_prototype

import gpuzarr

ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
PATHS = st.dictionaries(st.lists(st.sampled_from("abc"), max_size=4).map("/".join), st.booleans(), max_size=6)


def document(zarr_format: Any, is_array: bool) -> dict[str, Any]:
    made = gpuzarr.zeros(3, zarr_format=zarr_format) if is_array else gpuzarr.group(zarr_format=zarr_format)
    return made.metadata.to_dict() | {"attributes": {"n": int(is_array)}}


def of_zarr(store: dict[str, bytes]) -> Any:
    """The same objects in a store of zarr-python."""
    make = default_buffer_prototype().buffer.from_bytes
    return zarr.storage.MemoryStore({key: make(data) for key, data in store.items()})


def above(path: str) -> set[str]:
    parts = path.split("/") if path else []
    return {"/".join(parts[:i]) for i in range(len(parts))}


@settings(max_examples=40, deadline=None)
@given(nodes=PATHS, zarr_format=st.sampled_from([2, 3]), below=st.sampled_from(["", "g"]), old=st.booleans())
def test_a_hierarchy_is_made_whole_or_not_at_all(
    nodes: dict[str, bool], zarr_format: Any, below: str, old: bool
) -> None:
    store: dict[str, bytes] = {}
    g = gpuzarr.group(store, path=below, zarr_format=zarr_format) if old or below else None
    before, documents = dict(store), {path: document(zarr_format, is_array) for path, is_array in nodes.items()}
    fits = not any(nodes.get(up) for path in nodes for up in above(path)) and not (g is not None and "" in nodes)
    make = (
        (lambda: g.create_hierarchy(documents))
        if g is not None
        else lambda: gpuzarr.create_hierarchy(store=store, nodes=documents)
    )
    if not fits:
        with pytest.raises(gpuzarr.GpuZarrError):
            make()
        assert store == before
        return
    made = dict(make())
    between = {up for path in nodes for up in above(path)} - ({""} if g is not None else set())
    assert made.keys() == {*nodes, *between}
    for path, node in made.items():
        assert isinstance(node, gpuzarr.Array) == nodes.get(path, False)
        assert dict(node.attrs) == ({"n": int(nodes[path])} if path in nodes else {})
        assert node == gpuzarr.open(store, f"{below}/{path}")
        zarr.open(of_zarr(store), mode="r", path=f"{below}/{path}".strip("/"))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_exists_is_kept_or_named(zarr_format: Any) -> None:
    store: dict[str, bytes] = {}
    g = gpuzarr.group(store, zarr_format=zarr_format, attributes={"kept": 1})
    g["a/x"], g["b"] = [1, 2], [3, 4]
    before = dict(store)
    for nodes in ({"a": False}, {"c": True, "b": True}, {"b/d": True}):
        with pytest.raises(gpuzarr.GpuZarrError, match=r"there is a node at|is an array"):
            g.create_hierarchy({path: document(zarr_format, kind) for path, kind in nodes.items()})
        assert store == before
    made = dict(g.create_hierarchy({path: document(zarr_format, True) for path in ("a/y", "b")}, overwrite=True))
    assert sorted(made) == ["a/y", "b"] and g["a/x"][:].tolist() == [1, 2] and g["b"].shape == (3,)
    assert dict(gpuzarr.open(store).attrs) == {"kept": 1}


def test_nodes_that_do_not_fit_together_are_refused() -> None:
    three, two = document(3, True), document(2, True)
    for nodes in ({"a": three, "b": two}, {"a": three, "/a/": three}, {"a": 5}, {"../a": three}, [three], {"a": {}}, 5):
        store: dict[str, bytes] = {}
        with pytest.raises(gpuzarr.GpuZarrError):
            gpuzarr.create_hierarchy(store=store, nodes=nodes)  # type: ignore[arg-type]
        assert not store
    with pytest.raises(gpuzarr.ArgumentError, match="version"):
        gpuzarr.group().create_hierarchy({"a": two})


@pytest.mark.skipif(ZARR < (3, 4), reason="as this zarr-python writes documents")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_metadata_of_zarr_python_is_taken(zarr_format: Any) -> None:
    theirs = zarr.create_array({}, shape=(4, 4), dtype="i2", chunks=(2, 2), fill_value=7, zarr_format=zarr_format)
    group = zarr.group({}, zarr_format=zarr_format, attributes={"a": [1]})
    made = dict(gpuzarr.create_hierarchy(store={}, nodes={"g": group.metadata, "g/a": theirs.metadata}))
    assert made["g/a"][...].tolist() == theirs[...].tolist() and dict(made["g"].attrs) == {"a": [1]}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ["mapping", "folder"])
def test_copies_and_moves(zarr_format: Any, kind: str, tmp_path: Path) -> None:
    stores: list[Any] = [{}, {}] if kind == "mapping" else [tmp_path / "a", tmp_path / "b"]
    g, other = (gpuzarr.group(store, zarr_format=zarr_format) for store in stores)
    want = np.arange(10)
    for name in ("x", "y/z"):
        g.create_array(name, data=want, chunks=(3,), attributes={"name": name})
    g.move("x", "u/v")
    assert "x" not in g and (g["u/v"][:] == want).all() and dict(g["u/v"].attrs) == {"name": "x"}
    assert (g.copy("u/v", "w")[:] == want).all() and (g.copy(g["y"], other)["z"][:] == want).all()
    assert gpuzarr.copy(g["w"], other, "n")[:2] == (1, 0) and (other["n"][:] == want).all()
    for call in (lambda: g.copy("w", "u"), lambda: g.move("w", "y"), lambda: gpuzarr.copy(g["w"], other, "n")):
        with pytest.raises(gpuzarr.ExistsError):
            call()
    assert gpuzarr.copy(g["u"], other, "n", if_exists="skip") == (0, 2, 0) and other["n"].shape == (10,)
    assert gpuzarr.copy(g["u"], other, "n", if_exists="replace", dry_run=True)[0] == 2 and other["n"].shape == (10,)
    assert gpuzarr.copy(g["u"], other, "n", if_exists="replace")[0] == 2 and (other["n/v"][:] == want).all()
    third = gpuzarr.group(zarr_format=zarr_format)
    copied, skipped, nbytes = gpuzarr.copy_all(g, third)
    assert (copied, skipped) == (g.nmembers(None), 0) and nbytes > 0
    assert [path for path, _ in third.members(None)] == [path for path, _ in g.members(None)]
    for wrong in (lambda: g.move("nothing", "q"), lambda: g.copy("nothing", "q")):
        with pytest.raises(gpuzarr.NotFoundError):
            wrong()
    with pytest.raises(gpuzarr.ReadOnlyError):
        gpuzarr.open_group(stores[0]).move("w", "q")


@pytest.mark.parametrize("if_exists", ["raise", "replace", "skip"])
def test_objects_of_a_store_are_copied(if_exists: str, tmp_path: Path) -> None:
    source: dict[str, bytes] = {}
    gpuzarr.save(source, np.arange(6), path="a/b")
    assert gpuzarr.copy_store(source, tmp_path, source_path="a")[0] == 3 and gpuzarr.open(tmp_path, "b").shape == (6,)
    gpuzarr.save(source, np.arange(3), path="a/c")
    call = lambda: gpuzarr.copy_store(source, tmp_path, source_path="a", if_exists=if_exists)  # noqa: E731
    if if_exists == "raise":
        with pytest.raises(gpuzarr.ExistsError):
            call()
        assert not (tmp_path / "c").exists()
        return
    assert call()[:2] == ((5, 0) if if_exists == "replace" else (2, 3)) and gpuzarr.open(tmp_path, "c").shape == (3,)
