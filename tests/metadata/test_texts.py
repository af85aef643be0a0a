"""Any text that JSON can carry is kept, also half a surrogate pair; anything else is refused, and nothing changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from tests.conftest import examples

HALF = "\ud800"
TEXTS = [HALF, "\udfff\ud800", "a\udc00", "\0", "\x7f\x80", "\u2028", "\U0010ffff", '"\\/', "", " "]
TEXT = st.text(st.characters(codec=None, categories=("Cs", "Cc", "Lu", "So", "Zl")), max_size=4)
JSON = st.recursive(
    TEXT | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
NOT_JSON = [
    b"x",
    {1: 2},
    {"a": {b"k": 1}},
    object(),
    {1},
    np.datetime64(1, "s"),
    1j,
    range(3),
    bytearray(b"x"),
    np.void(b"x"),
]
Make = Callable[[], Any]


@pytest.fixture(params=["mapping", "folder"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes stores, empty ones."""
    paths = (tmp_path / str(i) for i in range(10**6))
    return dict if request.param == "mapping" else lambda: next(paths)


def as_read(value: Any) -> Any:
    """A value as every reader of JSON finds it: two halves beside each other are a pair."""
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("zarr_format", [2, 3])
@settings(max_examples=examples(40))
@given(attributes=st.dictionaries(TEXT, JSON, max_size=3))
def test_attributes_are_kept(zarr_format: int, attributes: dict[str, Any]) -> None:
    attributes = as_read(attributes)
    array = gpuzarr.create_array(
        store := {}, shape=4, chunks=2, dtype="i4", attributes=attributes, zarr_format=zarr_format
    )
    array.resize(3)
    array.append([1, 2])
    assert dict(gpuzarr.open(store).attrs) == dict(array.attrs) == attributes
    gpuzarr.open(store, mode="r+").attrs["k"] = 1
    assert dict(gpuzarr.open(store).attrs) == {**attributes, "k": 1}
    group = gpuzarr.create_group(below := {}, attributes=attributes, zarr_format=zarr_format)
    group.attrs.update(attributes)
    gpuzarr.consolidate_metadata(below)
    assert dict(gpuzarr.open_consolidated(below).attrs) == attributes


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_others_read_attributes_and_what_others_wrote_is_kept(zarr_format: int, tmp_path: Path) -> None:
    attributes = as_read({text: [text, {text: text}] for text in TEXTS})
    gpuzarr.create_array(tmp_path / "a", shape=4, dtype="i4", attributes=attributes, zarr_format=zarr_format)
    assert dict(zarr.open(tmp_path / "a", mode="r").attrs) == attributes
    made = zarr.create_array(tmp_path / "b", shape=(4,), dtype="i4", attributes=attributes, zarr_format=zarr_format)
    made[...] = 1
    array = gpuzarr.open(tmp_path / "b", mode="r+")
    array.resize(6)
    array.append([3])
    array.attrs["k"] = 1
    theirs = zarr.open(tmp_path / "b", mode="r")
    assert dict(theirs.attrs) == {**attributes, "k": 1}
    assert theirs[...].tolist() == [1, 1, 1, 1, 0, 0, 3]
    for text in (str(array.info), repr(array), repr(array.attrs)):
        assert text


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", [text for text in TEXTS if text and "\0" not in text])
def test_names_of_fields_and_dimensions_are_kept(name: str, zarr_format: int, new: Make) -> None:
    store = new()
    dtype = np.dtype([(name, "<i4"), ("other", "S3")])
    names = {"dimension_names": [name]} if zarr_format == 3 else {"attributes": {"_ARRAY_DIMENSIONS": [name]}}
    made = gpuzarr.create_array(
        store, shape=3, chunks=2, dtype=dtype, fill_value=(7, b"x"), zarr_format=zarr_format, **names
    )
    made[:1] = np.array([(1, b"y")], dtype)
    made.resize(4)
    array = gpuzarr.open(store)
    assert list(array.dtype.names) == as_read([name, "other"])
    assert list(array.dimension_names) == as_read([name])
    assert array[...].tolist() == [(1, b"y"), (7, b"x"), (7, b"x"), (7, b"x")]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("text", [text for text in TEXTS if not text.endswith("\0")])
def test_fill_values_of_fixed_length_are_kept(text: str, zarr_format: int, new: Make) -> None:
    store = new()
    gpuzarr.create_array(store, shape=3, chunks=2, dtype="U3", fill_value=text, zarr_format=zarr_format).resize(4)
    assert gpuzarr.open(store).fill_value == as_read(text)
    assert gpuzarr.open(store)[...].tolist() == [as_read(text)] * 4


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_fill_value_that_strings_cannot_hold(zarr_format: int, new: Make) -> None:
    """It is refused in a new array; an array of others that has one can be used as far as it is not needed."""
    store: Any = {}
    with pytest.raises(gpuzarr.MetadataError, match="fill_value"):
        gpuzarr.create_array(store, shape=3, dtype=str, fill_value=HALF, zarr_format=zarr_format)
    assert not store
    made = gpuzarr.create_array(store, shape=4, chunks=2, dtype=str, fill_value="x", zarr_format=zarr_format)
    made[:2] = ["a", "b"]
    key = "zarr.json" if zarr_format == 3 else ".zarray"
    store[key] = json.dumps(json.loads(store[key]) | {"fill_value": HALF}).encode()
    array = gpuzarr.open(store, mode="r+")
    assert array.fill_value == HALF and array[:2].tolist() == ["a", "b"]
    for use in (
        lambda: array[...],
        lambda: array[2:],
        lambda: array.vindex[[0, 3]],
        lambda: array.__setitem__(slice(2, 3), "c"),
        lambda: gpuzarr.from_array({}, data=array),
    ):
        with pytest.raises(gpuzarr.MetadataError, match=r"fill.value"):
            use()
    array[2:] = ["c", "d"]
    array.resize(3)
    assert array[...].tolist() == ["a", "b", "c"]
    assert json.loads(store[key])["fill_value"] == HALF


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("value", NOT_JSON, ids=lambda value: type(value).__name__)
def test_what_is_not_json_is_refused_and_nothing_changes(value: Any, zarr_format: int) -> None:
    store: Any = {}
    array = gpuzarr.create_array(store, shape=2, dtype="i4", attributes={"k": 1}, zarr_format=zarr_format)
    before = dict(store)
    for use in (
        lambda: gpuzarr.create_array(
            store, shape=3, dtype="i4", attributes={"a": value}, overwrite=True, zarr_format=zarr_format
        ),
        lambda: gpuzarr.create_group(store, attributes={"a": value}, overwrite=True, zarr_format=zarr_format),
        lambda: array.attrs.update(a=value),
        lambda: array.attrs.put({"a": [value]}),
        lambda: array.attrs.__setitem__("a", {"b": value}),
        lambda: array.update_attributes({"a": value}),
    ):
        with pytest.raises(gpuzarr.MetadataError):
            use()
        assert store == before and dict(array.attrs) == {"k": 1}
