"""What is read from the store that it is written to: it has the values of its source, wherever that lies."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.memory import below
from tests.hardware import host_array
from tests.stores_of_tests import KINDS, objects

FORMATS: Any = [2, 3]
VALUES = np.arange(1, 61).reshape(6, 10)
LAYOUT: dict[str, Any] = {"chunks": (4, 3), "attributes": {"unit": "K"}}
NEW: dict[str, Any] = {"chunks": (5, 2), "overwrite": True}
Call = Callable[[Any, str, Any, Any], Any]  # of a store, a path, the source, a version of Zarr


@lru_cache(2)
def content(path: str, version: Any, device: Any) -> dict[str, bytes]:
    """What lies in a store that is filled."""
    store = MappingStore({})
    filled(store, path, version, device)
    return objects(store)


def like(kind: str, folder: Path, path: str, version: Any, device: Any) -> tuple[Any, gpuzarr.Array]:
    """Another store that is filled, made once for all calls; and its array, which can be written."""
    store = KINDS[kind](folder)
    for key, data in content(path, version, device).items():
        store.set(key, data)
    return store, gpuzarr.open_array(store, path, mode="r+", device=device)


def filled(store: Any, path: str, version: Any, device: Any) -> gpuzarr.Array:
    """An array at a path, with others beside it if it is not the root."""
    for beside in ("beside", "g/beside") if path else ():
        gpuzarr.create_array(store, name=beside, data=VALUES, zarr_format=version)
    return gpuzarr.create_array(store, name=path, data=VALUES, zarr_format=version, device=device, **LAYOUT)


CALLS: dict[str, Call] = {
    "from_array": lambda s, p, a, v: gpuzarr.from_array(s, name=p, data=a, overwrite=True),
    "from_array, other chunks": lambda s, p, a, v: gpuzarr.from_array(s, name=p, data=a, **NEW),
    "from_array, other version": lambda s, p, a, v: gpuzarr.from_array(s, name=p, data=a, zarr_format=5 - v, **NEW),
    "from_array, sliced only": lambda s, p, a, v: gpuzarr.from_array(s, name=p, data=Sliced(a), **NEW),
    "create_array": lambda s, p, a, v: gpuzarr.create_array(s, name=p, data=a, zarr_format=v, **NEW),
    "create_array of a list": lambda s, p, a, v: gpuzarr.create_array(s, name=p, data=list(host_array(a[...])), **NEW),
    "array": lambda s, p, a, v: gpuzarr.array(a, store=s, path=p, **NEW),
    "save": lambda s, p, a, v: gpuzarr.save(s, a, path=p),
    "save_array": lambda s, p, a, v: gpuzarr.save_array(s, a, path=p, chunks=(5, 2)),
    "open": lambda s, p, a, v: gpuzarr.open(s, p, mode="w", data=a),
    "open_array": lambda s, p, a, v: gpuzarr.open_array(s, p, mode="w", data=a, chunks=(5, 2)),
    "group": lambda s, p, a, v: gpuzarr.open_group(s, mode="r+").__setitem__(p, a),
}
GROUPS: dict[str, Call] = {
    "save_group": lambda s, p, a, v: gpuzarr.save_group(s, path=p, x=a, **{"y/z": a}),
    "save": lambda s, p, a, v: gpuzarr.save(s, a, path=p, x=a),
}


class Sliced:
    """An array of which nothing is known but its shape and dtype, until it is sliced."""

    def __init__(self, a: Any) -> None:
        self.a, self.shape, self.dtype = a, a.shape, a.dtype

    def __getitem__(self, selection: Any) -> Any:
        return host_array(self.a[selection])


def check(store: Any, path: str, unharmed: dict[str, bytes], *gone: str) -> None:
    np.testing.assert_array_equal(gpuzarr.open_array(store, path, device="cpu")[...], VALUES)
    now = objects(store)
    assert not [key for key in now if ".partial" in key or ".lock" in key]
    assert all(now[key] == value for key, value in unharmed.items() if not key.startswith(gone))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize(
    ("source", "target"), [("g/a", "g/a"), ("", ""), ("g/a", "g"), ("g/a", ""), ("g/a", "g/b"), ("g/h/a", "g")]
)
def test_the_values_are_those_of_the_source(
    source: str, target: str, version: Any, kind: str, device: Device, tmp_path: Path
) -> None:
    """The source is what is replaced, or lies in it; else it stays."""
    for i, (name, call) in enumerate(CALLS.items()):
        if (name == "group" and not target) or (name.endswith("other version") and target):
            continue
        store, a = like(kind, tmp_path / str(i), source, version, device)
        before = objects(store)
        if "other version" in name and target:  # the group above is of this one
            with pytest.raises(gpuzarr.ArgumentError, match=f"of Zarr v{version}"):
                call(store, target, a, version)
            assert objects(store) == before
            continue
        call(store, target, a, version)
        check(store, target, before, target)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("target", ["g", "g/a", "", "g/new"])
def test_groups_of_what_they_replace(target: str, version: Any, kind: str, tmp_path: Path) -> None:
    for i, call in enumerate(GROUPS.values()):
        store, a = like(kind, tmp_path / str(i), "g/a", version, "cpu")
        before = objects(store)
        call(store, target, a, version)
        check(store, f"{target}/x", before, target)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", FORMATS)
def test_an_array_has_no_members(version: Any, kind: str, tmp_path: Path) -> None:
    """A target below the source is refused, and nothing is touched."""
    for name, call in CALLS.items():
        store, a = like(kind, tmp_path / name, "g/a", version, "cpu")
        before = objects(store)
        for target in ("g/a/b", "g/a/c", "g/a/c/0", "g/a/0"):
            with pytest.raises(gpuzarr.ExistsError):
                call(store, target, a, version)
            assert objects(store) == before


def spellings(folder: Path) -> dict[str, Any]:
    """The same folder by other names."""
    (link := folder.with_name("link")).symlink_to(folder)
    return {
        "path": str(folder),
        "slash": f"{folder}/",
        "relative": os.path.relpath(folder),
        "around": f"{folder}/../{folder.name}",
        "link": link,
        "URL": f"file://{folder}",
        "zarr": zarr.storage.LocalStore(folder),
        "mapper": fsspec.get_mapper(str(folder)),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", FORMATS)
def test_a_folder_has_many_names(version: Any, tmp_path: Path) -> None:
    filled(folder := tmp_path / "x", "", version, "cpu")
    for name, there in spellings(folder).items():
        for number in range(3):
            for call in ("from_array, other chunks", "save", "from_array"):
                source = (gpuzarr.open(folder), zarr.open_array(folder, mode="r"), gpuzarr.open(there))[number]
                CALLS[call](there, "", source, version)
                np.testing.assert_array_equal(gpuzarr.open(folder)[...], VALUES, name)


@pytest.mark.parametrize("kind", KINDS)
def test_an_array_is_not_lost_to_an_empty_one(kind: str, tmp_path: Path) -> None:
    """write_data=False: the place of a group that holds the source is refused; the source itself can be emptied."""
    store = KINDS[kind](tmp_path)
    a = filled(store, "g/a", 3, "cpu")
    before = objects(store)
    for target in ("g", ""):
        with pytest.raises(gpuzarr.ArgumentError, match="would be lost"):
            gpuzarr.from_array(store, name=target, data=a, write_data=False, overwrite=True)
        assert objects(store) == before
    assert gpuzarr.from_array(store, name="g/a", data=a, write_data=False)[0, 0] == 1, "it is kept"
    assert objects(store) == before
    assert gpuzarr.from_array(store, name="g/b", data=a, write_data=False, overwrite=True).shape == a.shape
    check(store, "g/a", before)
    empty = gpuzarr.from_array(store, name="g/a", data=a, write_data=False, overwrite=True)
    assert empty.metadata == a.metadata and (empty[...] == a.fill_value).all()


@pytest.mark.parametrize("of", ["folder", "mapper", "memory"])
def test_a_store_within_an_array_is_not_overwritten(of: str, tmp_path: Path) -> None:
    """Its folders are those of chunks, whatever is given as a store."""
    if of == "memory":
        root: Any = {}
        inner: Any = below(root, "c")
    else:
        root, inner = tmp_path / "x", tmp_path / "x/c"
        inner = fsspec.get_mapper(str(inner)) if of == "mapper" else inner
    a = gpuzarr.create_array(root, data=VALUES, **LAYOUT)
    for call in ("save", "from_array", "create_array", "open"):
        for there, path in ((inner, ""), (inner, "0")):
            with pytest.raises(gpuzarr.ExistsError, match="has chunks of the array"):
                CALLS[call](there, path, a, 3)
            np.testing.assert_array_equal(gpuzarr.open_array(root)[...], VALUES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shards", [None, (4, 6)])
def test_other_arrays_of_the_same_place(kind: str, shards: Any, device: Device, tmp_path: Path) -> None:
    """They remember no index of a shard that is no more: of an old array, of a failed call, of a new one."""
    store = KINDS[kind](tmp_path)
    layout: dict[str, Any] = {"chunks": (2, 3), "shards": shards, "device": device, "overwrite": True}
    made = [gpuzarr.create_array(store, name="a", data=VALUES, **layout)]
    for i in range(1, 5):
        made += [gpuzarr.open_array(store, "a", device=device), gpuzarr.open_array(store, "a", mode="r+")]
        for a in made:
            np.testing.assert_array_equal(host_array(a[...]), VALUES * i)
        with pytest.raises(RuntimeError):
            gpuzarr.from_array(store, name="a", data=Failing(VALUES * 100), **layout)
        for a in made:
            np.testing.assert_array_equal(host_array(a[...]), VALUES * i)
        made.append(gpuzarr.from_array(store, name="a", data=VALUES * (i + 1), **layout))


class Failing(Sliced):
    def __getitem__(self, selection: Any) -> Any:
        if selection[0].start:
            raise RuntimeError("no more values")
        return super().__getitem__(selection)
