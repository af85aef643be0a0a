"""Members by which programs for zarr-python, and libraries that are given its nodes, know stores and metadata."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
import gpuzarr.storage

STORES: dict[str, Callable[[Path], Any]] = {
    "folder": lambda path: gpuzarr.storage.LocalStore(path / "store"),
    "memory": lambda path: gpuzarr.storage.MemoryStore(),
    "named memory": lambda path: gpuzarr.storage.ManagedMemoryStore(str(path)),
}


@pytest.mark.parametrize("kind", STORES)
def test_stores_are_closed(kind: str, tmp_path: Path) -> None:
    """In a `with` block and after it, and after `close`, a store and what was opened from it work as before."""
    with STORES[kind](tmp_path) as store:
        array = gpuzarr.create_array(store, name="a", data=np.arange(3))
    array[0] = 7
    store.close()
    group = gpuzarr.open_group(store, mode="r+")
    group.store.close()
    assert gpuzarr.open_array(store, path="a")[:].tolist() == group["a"][:].tolist() == [7, 1, 2]


@pytest.mark.parametrize("kind", STORES)
def test_stores_for_reading_only(kind: str, tmp_path: Path) -> None:
    store = STORES[kind](tmp_path)
    gpuzarr.save(store, np.arange(3))
    closed = store.with_read_only(True)
    assert (store.read_only, closed.read_only, closed.with_read_only().read_only) == (False, True, False)
    with pytest.raises(gpuzarr.ReadOnlyError):
        gpuzarr.open(closed, mode="r+")
    gpuzarr.open(closed.with_read_only(False), mode="r+")[0] = 5
    assert gpuzarr.open(closed)[:].tolist() == [5, 1, 2]


@pytest.mark.parametrize("given", [str, Path])
def test_folders_are_paths(given: Any, tmp_path: Path) -> None:
    """`store.root` and `os.fspath(store)` are the folder, which other libraries take; also after pickling."""
    store = gpuzarr.LocalStore(given(tmp_path / "store"))
    group = gpuzarr.open_group(store, mode="w")
    group["a"] = np.arange(3)
    for same in (store, pickle.loads(pickle.dumps(store)), copy.deepcopy(store), group.store):
        assert same.root == Path(os.fspath(same)) == tmp_path / "store"
        assert same == store and hash(same) == hash(store)
    assert (store.root / "a" / "zarr.json").is_file()
    assert zarr.open_group(group.store.root, mode="r")["a"][1] == 1  # type: ignore[index]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("shape", [(), (4,), (4, 6)])
def test_metadata(zarr_format: Any, shape: tuple[int, ...]) -> None:
    """What other libraries read of `metadata` and `info` is what zarr-python says of the same array."""
    store: dict[str, Any] = {}
    ours: Any = gpuzarr.create_array(
        store, shape=shape, chunks=(2,) * len(shape) or "auto", dtype="i4", zarr_format=zarr_format
    )
    theirs: Any = zarr.open_array({k: zarr.core.buffer.cpu.Buffer.from_bytes(v) for k, v in store.items()}, mode="r")
    at = (1,) * len(shape)
    for name in ("node_type", "ndim", "shape", "zarr_format", "dimension_separator"):
        if hasattr(theirs.metadata, name):
            assert getattr(ours.metadata, name) == getattr(theirs.metadata, name), name
    assert ours.metadata.chunk_grid.chunk_shape == theirs.metadata.chunk_grid.chunk_shape
    assert ours.metadata.encode_chunk_key(at) == theirs.metadata.encode_chunk_key(at)
    if zarr_format == 3:
        for name in ("name", "separator"):
            wanted = getattr(theirs.metadata.chunk_key_encoding, name)
            assert getattr(ours.metadata.chunk_key_encoding, name) == wanted
    for name in ("_zarr_format", "_shape", "_read_only", "_order", "_fill_value"):
        assert getattr(ours.info, name) == getattr(zarr.zeros(shape, dtype="i4", zarr_format=zarr_format).info, name)
    assert gpuzarr.group(zarr_format=zarr_format).info._zarr_format == zarr_format
    assert gpuzarr.group(zarr_format=zarr_format).metadata.node_type == "group"


def test_metadata_of_rectilinear_grids() -> None:
    a = gpuzarr.create_array({}, shape=(10, 4), dtype="i4", chunks=[[3, 7], [2, 2]])
    assert a.metadata.chunk_grid.chunk_shapes[0] == (3, 7)
    assert not hasattr(a.metadata.chunk_grid, "chunk_shape")


def test_facts_are_copied_and_missing_ones_are_attribute_errors() -> None:
    info = gpuzarr.zeros(3).info
    for same in (copy.copy(info), copy.deepcopy(info), pickle.loads(pickle.dumps(info))):
        assert same._shape == (3,)
    assert not hasattr(info, "_no_such_fact") and not hasattr(info, "shape")


@pytest.mark.parametrize("call", [gpuzarr.open, gpuzarr.open_array, gpuzarr.open_group, gpuzarr.load])
@pytest.mark.parametrize("mode", ["r", "r+", "a", "w", "w-"])
def test_modes_by_position(call: Any, mode: str, tmp_path: Path) -> None:
    """zarr-python 2 took the mode second, which is the path here: the error says so, and nothing is made."""
    gpuzarr.save_group(tmp_path, x=np.arange(3))
    with pytest.raises(gpuzarr.NotFoundError, match=f"mode='{mode.replace('+', '[+]')}'"):
        call(tmp_path, mode)
    gpuzarr.save_group(tmp_path, **{mode: np.arange(3)})
    assert gpuzarr.open(tmp_path, mode)[1] == 1  # type: ignore[index]
    with pytest.raises(gpuzarr.NotFoundError) as caught:
        gpuzarr.open_group(tmp_path)[f"no/{mode}"]
    assert "mode=" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:create_dataset")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_datasets(zarr_format: Any) -> None:
    """`create_dataset` takes data together with their shape and a dtype to cast them to."""
    data = np.arange(6, dtype="i2").reshape(2, 3)
    options: tuple[dict[str, Any], ...] = ({}, {"shape": (2, 3)}, {"dtype": "f4"}, {"shape": (2, 3), "dtype": "f4"})
    for given in options:
        made = gpuzarr.group(zarr_format=zarr_format).create_dataset("a", data=data, chunks=(1, 3), **given)
        np.testing.assert_array_equal(made[:], data)
        assert (made.dtype, made.chunks) == (np.dtype(given.get("dtype", "i2")), (1, 3))
    group = gpuzarr.group(zarr_format=zarr_format)
    with pytest.raises(gpuzarr.ArgumentError, match="shape"):
        group.create_dataset("a", data=data, shape=(3, 2))
    assert list(group) == []


def test_annotations() -> None:
    def of_a_user(a: gpuzarr.Array[Any], b: gpuzarr.Array[Any] | gpuzarr.Group) -> None: ...  # type: ignore[misc]

    assert eval("gpuzarr.Array[int] | None", {"gpuzarr": gpuzarr}).__args__[0].__origin__ is gpuzarr.Array


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_missing_members_are_told_with_those_that_are_there(zarr_format: Any, tmp_path: Path) -> None:
    group = gpuzarr.open_group(tmp_path / "store", mode="w", zarr_format=zarr_format)
    group["temperature"], group["a/wind"] = np.arange(3), np.arange(3)
    told = {"temprature": "what is in it: 'a', 'temperature'", "a/wnd/u": "what is at 'a': 'wind'"}
    for name, members in told.items():
        with pytest.raises(gpuzarr.NotFoundError, match=members):
            group[name]
    with pytest.raises(gpuzarr.NotFoundError, match="nothing is there"):
        gpuzarr.open_group(tmp_path / "empty", mode="w", zarr_format=zarr_format)["x/y"]
    with pytest.raises(gpuzarr.NotFoundError, match="create_array"):
        gpuzarr.open_array(tmp_path / "nowhere")
