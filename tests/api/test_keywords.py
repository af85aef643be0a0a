"""Keywords of functions that make and open nodes: older ones say what today's say; unknown ones change nothing."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import numcodecs
import numpy as np
import pytest

import gpuzarr
from gpuzarr.nodes import keywords
from gpuzarr.nodes.create import create_array as function_of_parameters

A = np.arange(6).reshape(2, 3)
Store = dict[str, bytes]
CREATORS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "create_array": lambda s, k: gpuzarr.create_array(s, shape=3, dtype="i4", **k),
    "create": lambda s, k: gpuzarr.create(3, store=s, **k),
    "zeros": lambda s, k: gpuzarr.zeros(3, store=s, **k),
    "ones": lambda s, k: gpuzarr.ones(3, store=s, **k),
    "empty": lambda s, k: gpuzarr.empty(3, store=s, **k),
    "full": lambda s, k: gpuzarr.full(3, 7, store=s, **k),
    "array": lambda s, k: gpuzarr.array(A, store=s, **k),
    "array of an array": lambda s, k: gpuzarr.array(gpuzarr.zeros(3), store=s, **k),
    "from_array": lambda s, k: gpuzarr.from_array(s, data=A, **k),
    "zeros_like": lambda s, k: gpuzarr.zeros_like(A, store=s, **k),
    "ones_like": lambda s, k: gpuzarr.ones_like(A, store=s, **k),
    "empty_like": lambda s, k: gpuzarr.empty_like(A, store=s, **k),
    "full_like": lambda s, k: gpuzarr.full_like(A, store=s, **{"fill_value": 1} | k),
    "open_like": lambda s, k: gpuzarr.open_like(A, "", store=s, **k),
    "open": lambda s, k: gpuzarr.open(s, mode="w", shape=3, **k),
    "open_array": lambda s, k: gpuzarr.open_array(s, mode="a", shape=3, **k),
    "save_array": lambda s, k: gpuzarr.save_array(s, A, **k),
    **{
        f"Group.{name}": lambda s, k, name=name, how=how: getattr(gpuzarr.group(s), name)("a", **how | k)
        for name, how in {
            "create_array": {"shape": 3, "dtype": "i4"},
            "create": {"data": A},
            "zeros": {"shape": 3},
            "ones": {"shape": 3},
            "empty": {"shape": 3},
            "full": {"shape": 3, "fill_value": 1},
            "zeros_like": {"data": A},
            "ones_like": {"data": A},
            "empty_like": {"data": A},
            "full_like": {"data": A, "fill_value": 1},
            "require_array": {"shape": 3},
        }.items()
    },
}
OPENERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "group": lambda s, k: gpuzarr.group(s, **k),
    "group anew": lambda s, k: gpuzarr.group(s, overwrite=True, **k),
    "open_group": lambda s, k: gpuzarr.open_group(s, mode="w", **k),
    "open_consolidated": lambda s, k: gpuzarr.open_consolidated(s, **k),
    "create_group": lambda s, k: gpuzarr.create_group(s, overwrite=True, **k),
}


def test_the_lists_of_keywords_are_those_of_the_functions() -> None:
    found = {name for name in inspect.signature(function_of_parameters).parameters if name != "older"}
    assert found == set(keywords.PARAMETERS)
    opened = set(inspect.signature(gpuzarr.open).parameters) - {"store", "new"}
    assert opened | {"use_consolidated", "zarr_version"} == set(keywords.OPENED)


@pytest.mark.parametrize("function", [*CREATORS, *OPENERS])
@pytest.mark.parametrize("wrong, near", [("attribuets", "attributes"), ("zarr_fromat", "zarr_format"), ("xyz", "")])
def test_unknown_keywords_are_refused_before_anything_is_touched(function: str, wrong: str, near: str) -> None:
    store: Store = {}
    if function in OPENERS or function in ("open", "save_array"):
        gpuzarr.save_group(store, a=[1, 2])
        gpuzarr.consolidate_metadata(store)
    if function.startswith("Group."):
        gpuzarr.group(store)
    before = dict(store)
    call = (CREATORS | OPENERS)[function]
    with pytest.raises(gpuzarr.ArgumentError, match=f"keyword argument {wrong!r}") as caught:
        call(store, {wrong: 1})
    if near and function != "open_consolidated":
        assert re.search(f"did you mean '{near}'", str(caught.value))
    assert store == before


@pytest.mark.parametrize("function", [name for name in CREATORS if name.split(".")[-1].startswith(("zeros", "ones"))])
def test_what_a_function_gives_itself_is_not_given_twice(function: str) -> None:
    with pytest.raises(gpuzarr.ArgumentError, match="full"):
        CREATORS[function]({}, {"fill_value": 5})


@pytest.mark.parametrize("function", [name for name in CREATORS if "array of an" not in name])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "older, now",
    [
        ({"compressor": None}, {"compressors": None}),
        ({"compressor": numcodecs.GZip(3)}, {"compressors": numcodecs.GZip(3)}),
        ({"compressor": "auto"}, {}),
        ({"chunk_shape": 1}, {"chunks": 1}),
        ({"write_empty_chunks": True}, {"config": {"write_empty_chunks": True}}),
        (
            {"write_empty_chunks": True, "config": {"safe": False}},
            {"config": {"write_empty_chunks": True, "safe": False}},
        ),
        ({"dimension_separator": "/"}, {"chunk_key_encoding": ("v2", "/")}),
        ({"codecs": ["bytes", "crc32c"]}, {"serializer": "bytes", "compressors": ["crc32c"]}),
        ({"read_only": False, "chunk_store": None, "synchronizer": None, "meta_array": None}, {}),
    ],
    ids=lambda keywords: ",".join(keywords),
)
def test_older_keywords_say_what_others_say(function: str, zarr_format: Any, older: Any, now: Any) -> None:
    if {"dimension_separator": 2, "codecs": 3}.get(next(iter(older)), zarr_format) != zarr_format:
        pytest.skip("of the other version")
    version: dict[str, Any] = {} if function.startswith("Group.") else {"zarr_format": zarr_format}
    made = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for options in (older, now):
            store: Store = {}
            if not version:
                gpuzarr.group(store, zarr_format=zarr_format)
            array = CREATORS[function](store, version | options)
            made.append((store, getattr(array, "config", None)))
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"compressor": None, "compressors": "gzip"},
        {"chunk_shape": 2, "chunks": 2},
        {"codecs": ["bytes"], "compressors": "gzip"},
        {"codecs": ["bytes"], "zarr_format": 2},
        {"dimension_separator": "/"},
        {"dimension_separator": "/", "chunk_key_encoding": ("v2", "."), "zarr_format": 2},
        {"object_codec": numcodecs.JSON()},
        {"read_only": True},
        {"chunk_store": {}},
        {"mode": "r"},
        {"mode": "x"},
    ],
    ids=lambda wrong: ",".join(wrong),
)
@pytest.mark.parametrize("function", ["create", "zeros", "array", "full_like", "save_array"])
def test_what_cannot_be_meant_is_refused(function: str, wrong: dict[str, Any]) -> None:
    store: Store = {}
    with pytest.raises(gpuzarr.ArgumentError):
        CREATORS[function](store, wrong)
    assert not store


@pytest.mark.parametrize("name", keywords.NEEDLESS)
def test_keywords_without_effect_are_told(name: str) -> None:
    for call in (CREATORS["zeros"], OPENERS["group"]):
        with pytest.warns(RuntimeWarning, match=f"{name} is not yet implemented"):
            call({}, {name: True})


@pytest.mark.parametrize("function", ["create", "zeros", "array", "empty_like"])
def test_modes_of_creators(function: str) -> None:
    store: Store = {}
    CREATORS[function](store, {"mode": "w-"})
    before = dict(store)
    with pytest.raises(FileExistsError):
        CREATORS[function](store, {"mode": "w-"})
    with pytest.raises(FileExistsError):
        CREATORS[function](store, {"attributes": {"a": 1}})
    assert store == before
    assert dict(CREATORS[function](store, {"mode": "w", "attributes": {"a": 1}}).attrs) == {"a": 1}


@pytest.mark.parametrize("save", [gpuzarr.save, gpuzarr.save_group, gpuzarr.save_array])
def test_options_of_stores_are_no_arrays(save: Any) -> None:
    store: Store = {}
    save(store, [1, 2], storage_options=None)
    assert "storage_options/zarr.json" not in store
    before = dict(store)
    with pytest.raises(gpuzarr.StoreError, match="storage_options"):
        save(store, [3], storage_options={"anon": True})
    assert store == before


@pytest.mark.parametrize("save", [gpuzarr.save, gpuzarr.save_group])
@pytest.mark.parametrize(
    "option",
    [{"mode": "w"}, {"overwrite": True}, {"chunks": (2, 2)}, {"compressor": None}, {"dtype": "i4"}, {"x": "text"}],
)
def test_options_of_arrays_are_no_arrays(save: Any, option: dict[str, Any]) -> None:
    store: Store = {}
    gpuzarr.save(store, [1, 2])
    before = dict(store)
    with pytest.raises(TypeError, match=next(iter(option))):
        save(store, a=[3], **option)
    assert store == before
    gpuzarr.save(store, chunks=np.arange(2), a=[3], b=7)  # arrays, whatever their names
    assert list(gpuzarr.open(store)) == ["a", "b", "chunks"]


def test_sizes_of_other_types_are_type_errors() -> None:
    for wrong in (
        {"shape": (2.5, 3)},
        {"shape": "3"},
        {"chunks": (1.5, 2)},
        {"chunks": "x"},
        {"chunks": (1, 2), "shards": (2.0, 2)},
    ):
        with pytest.raises(TypeError, match=list(wrong)[-1]):
            gpuzarr.create_array({}, **{"shape": (2, 4), "dtype": "i4"} | wrong)


def test_data_are_broadcast_and_cast() -> None:
    assert gpuzarr.create((2, 3), data=[1, 2, 3], dtype="i2")[...].tolist() == [[1, 2, 3]] * 2
    assert gpuzarr.array([1, 2], dtype="f4", shape=2)[...].dtype == "f4"
    store: Store = {}
    for wrong in ({"shape": 3}, {"dtype": "no dtype"}, {"dtype": "i4", "data": [np.nan]}):
        with pytest.raises(ValueError):
            gpuzarr.create(2, store=store, **wrong) if "data" in wrong else gpuzarr.array([1, 2], store=store, **wrong)
    assert not store
