"""Consolidated metadata says what is there, after whatever was changed, by whomever."""

from __future__ import annotations

import multiprocessing
import pickle
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr

NAMES = ("a", "b", "c")
STEPS = 25
STORES = ("folder", "mapping")


def view(group: Any) -> dict[str, Any]:
    """All that the metadata of the nodes below a group say."""
    found = {}
    for path, node in group.members(max_depth=None):
        shape = tuple(node.shape) if hasattr(node, "shape") else None
        found[path] = (shape, dict(node.attrs))
    assert all(group[path].path.endswith(path) for path in found)
    return found


def theirs(store: Any, folder: Path, **options: Any) -> dict[str, Any]:
    """What zarr-python sees."""
    if isinstance(store, dict):
        for key, value in store.items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(value)
    return view(zarr.open_group(folder, mode="r", **options))


def check(store: Any, zarr_format: Any, *held: Any) -> None:
    stored = view(gpuzarr.open_group(store, consolidated=False, zarr_format=zarr_format))
    assert view(gpuzarr.open_group(store, consolidated=True, zarr_format=zarr_format)) == stored
    for group in held:
        assert view(group) == stored


class Walk:
    """Random changes, through all kinds of objects that somebody may hold."""

    def __init__(self, store: Any, zarr_format: int, seed: int) -> None:
        self.store, self.zarr_format, self.random = store, zarr_format, random.Random(seed)
        gpuzarr.create_group(store, zarr_format=zarr_format)  # type: ignore[arg-type]
        gpuzarr.consolidate_metadata(store)
        self.summarised = gpuzarr.open_group(store, mode="r+", use_consolidated=True)
        self.plain = gpuzarr.open_group(store, mode="r+")

    def name(self) -> str:
        return "/".join(self.random.choices(NAMES, k=self.random.choice((1, 1, 2, 3))))

    def group(self) -> Any:
        """A group that was opened by the summary, below or beside it."""
        top = self.random.choice((self.summarised, self.summarised, self.plain))
        found = [top, *(node for _, node in top.members(max_depth=None) if isinstance(node, gpuzarr.Group))]
        return self.random.choice(found)

    def node(self) -> Any:
        top = self.group()
        return self.random.choice([top, *top.values()])

    def array(self) -> Any:
        arrays = [node for _, node in self.group().members(max_depth=None) if isinstance(node, gpuzarr.Array)]
        return self.random.choice(arrays) if arrays else self.group().create_array(self.name(), shape=1, dtype="i2")

    def steps(self) -> Iterator[str]:
        changes = [name for name in dir(self) if name.startswith("do_")]
        for _ in range(STEPS):
            name = self.random.choice(changes)
            try:
                getattr(self, name)()
            except gpuzarr.GpuZarrError as error:
                name = f"{name}: {error}"
            yield name

    def do_create_array(self) -> None:
        self.group().create_array(self.name(), shape=self.random.randrange(4), dtype="i2", overwrite=True)

    def do_keep_or_refuse(self) -> None:
        self.group().create_array(self.name(), shape=2, dtype="i2", attributes={"k": 1})

    def do_create_group(self) -> None:
        overwrite = self.random.random() < 0.3
        self.group().create_group(self.name(), attributes={"n": self.random.random()}, overwrite=overwrite)

    def do_require(self) -> None:
        group = self.group()
        if self.random.random() < 0.5:
            group.require_group(self.name())
        else:
            group.require_array(self.name(), shape=3, dtype="i2")

    def do_set(self) -> None:
        self.group()[self.name()] = np.arange(3)

    def do_set_what_cannot_be(self) -> None:
        self.group()[self.name()] = np.array([object()])

    def do_delete(self) -> None:
        del self.group()[self.name()]

    def do_attributes(self) -> None:
        self.node().attrs[self.random.choice(NAMES)] = self.random.random()

    def do_more_attributes(self) -> None:
        node = self.node()
        self.random.choice(
            (
                lambda: node.attrs.put({"p": self.random.random()}),
                lambda: node.update_attributes({"u": self.random.random()}),
                lambda: node.attrs.update({"v": "\ud800"}),
                node.attrs.clear,
                lambda: node.attrs.pop("a", None),
            )
        )()

    def do_resize(self) -> None:
        self.array().resize(self.random.randrange(5))

    def do_append(self) -> None:
        self.array().append([1, 2])

    def do_by_path(self) -> None:
        node = gpuzarr.open(self.store, self.name(), mode="r+", zarr_format=self.zarr_format)  # type: ignore[arg-type]
        node.attrs["by path"] = self.random.random()

    def do_save(self) -> None:
        gpuzarr.save_group(self.store, x=[1], y=[2], path=self.name(), zarr_format=self.zarr_format)  # type: ignore

    def do_make_by_path(self) -> None:
        create = gpuzarr.create_array
        create(self.store, name=self.name(), shape=7, dtype="u1", zarr_format=self.zarr_format)  # type: ignore[arg-type]

    def do_consolidate_a_member(self) -> None:
        gpuzarr.consolidate_metadata(self.store, self.group().path, zarr_format=self.zarr_format)  # type: ignore

    def do_open_again(self) -> None:
        if isinstance(self.store, dict):
            self.summarised = gpuzarr.open_group(self.store, mode="r+", use_consolidated=True)
        else:
            self.summarised = pickle.loads(pickle.dumps(self.summarised))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", STORES)
def test_after_any_change_it_says_what_is_there(kind: str, zarr_format: int, seed: int, tmp_path: Path) -> None:
    store: Any = {} if kind == "mapping" else tmp_path / "store"
    walk = Walk(store, zarr_format, seed)
    for i, step in enumerate(walk.steps()):
        print(i, step)
        check(store, zarr_format, walk.summarised, walk.plain)
        if i % 20 == 19:
            folder = tmp_path / str(i) if kind == "mapping" else store
            seen = theirs(store, folder, use_consolidated=True, zarr_format=zarr_format)
            assert seen == theirs(store, folder, use_consolidated=False, zarr_format=zarr_format)


def changes(group: Any, number: int) -> None:
    """What one of several workers does, with members of its own and the attributes of a node that all have."""
    for i in range(5):
        group.create_array(f"w{number}/n{i}/x", shape=1, dtype="i2").append([i])
        group[f"w{number}/n{i}"].attrs["i"] = i
        group["shared"].attrs[f"{number}.{i}"] = i
    del group[f"w{number}/n0"]


def summarised(store: Any, zarr_format: Any) -> Any:
    gpuzarr.create_group(store, zarr_format=zarr_format).create_group("shared")
    gpuzarr.consolidate_metadata(store)
    return gpuzarr.open_group(store, mode="r+", use_consolidated=True)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", STORES)
def test_several_threads_lose_nothing(kind: str, zarr_format: int, tmp_path: Path) -> None:
    store: Any = {} if kind == "mapping" else tmp_path
    group = summarised(store, zarr_format)
    threads = [threading.Thread(target=changes, args=(group, number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(store, zarr_format, group)
    assert len(group["shared"].attrs) == 20 and len(group.members(max_depth=None)) == 1 + 4 * 9


def work(store: Path, number: int) -> None:
    changes(gpuzarr.open_group(store, mode="r+", use_consolidated=True), number)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_several_processes_lose_nothing(zarr_format: int, tmp_path: Path) -> None:
    summarised(tmp_path, zarr_format)
    processes = [multiprocessing.get_context("spawn").Process(target=work, args=(tmp_path, i)) for i in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    check(tmp_path, zarr_format)
    assert len(gpuzarr.open_consolidated(tmp_path).members(max_depth=None)) == 1 + 2 * 9


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_each_summary_above_a_node_is_kept(zarr_format: Any) -> None:
    store: dict[str, bytes] = {}
    gpuzarr.create_array(store, name="a/b/c", shape=1, dtype="i2", zarr_format=zarr_format)
    for path in ("a/b", "a", ""):
        gpuzarr.consolidate_metadata(store, path)
    gpuzarr.open_array(store, "a/b/c", mode="r+").resize(5)
    gpuzarr.open_group(store, mode="r+").create_group("a/b/d/e", attributes={"k": 1})
    gpuzarr.open_group(store, "a", mode="r+").attrs["own"] = 1
    for path in ("a/b", "a", ""):
        by_summary, plain = (gpuzarr.open_group(store, path, consolidated=c) for c in (True, False))
        assert view(by_summary) == view(plain) and view(plain), path
        assert by_summary.attrs == plain.attrs
    assert gpuzarr.open_consolidated(store)["a"].attrs == {"own": 1}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_summary_that_is_gone(zarr_format: Any) -> None:
    """As when another program writes the document of the group: who was opened by it sees what is there."""
    store: dict[str, bytes] = {}
    group = summarised(store, zarr_format)
    if zarr_format == 2:
        del store[".zmetadata"]
    else:
        store["zarr.json"] = b'{"zarr_format": 3, "node_type": "group"}'
    group["new"] = [1]
    assert view(group) == view(gpuzarr.open_group(store, consolidated=False))
    assert "new" in group and gpuzarr.open_group(store, mode="r").metadata.consolidated is None


class Counted(dict[str, bytes]):
    """A mapping that counts how often a value is asked for."""

    count = 0

    def __getitem__(self, key: str) -> bytes:
        self.count += 1
        return super().__getitem__(key)


def test_without_a_summary_nothing_is_asked_for_to_write_values() -> None:
    store = Counted()
    a = gpuzarr.create_array(store, name="g/a", shape=4, dtype="i2", chunks=2)
    store.count = 0
    a[...] = 1
    assert store.count == 0
    a.attrs["k"] = 1
    assert store.count <= 1 + 2  # the document itself, and those of the groups above


@pytest.mark.parametrize("document", [b"{", b"5", b'{"zarr_consolidated_format": 1, "metadata": 5}'])
def test_a_broken_summary_is_left_alone(document: bytes) -> None:
    store: dict[str, bytes] = {}
    gpuzarr.save_group(store, a=[1], zarr_format=2)
    store[".zmetadata"] = document
    gpuzarr.open_group(store, mode="r+")["a"].attrs["k"] = 1
    del gpuzarr.open_group(store, mode="r+")["a"]
    assert store[".zmetadata"] == document
