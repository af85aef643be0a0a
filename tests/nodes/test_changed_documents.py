"""Documents that cannot be written, and documents that are other ones since their node was opened."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gpuzarr
from tests import nasty

LONE = "\ud800"
UNWRITABLE = [10**4300, -(10**5000), nasty.cycle(), nasty.deep(3000), {1: 2}, {None: 1}, object(), b"x", {1, 2}, 1j]
UNWRITABLE += [np.array([1j]), np.zeros(2, "M8[s]"), {"a": [{"b": object()}]}, [float("nan"), {2: 3}]]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_half_a_surrogate_pair_is_kept(zarr_format):
    store = {}
    given = {LONE: LONE, "\\": "\\" + LONE, "pair": "\U0001f600", "list": [LONE * 3]}
    a = gpuzarr.create_array(store, name="a", shape=4, dtype="i4", zarr_format=zarr_format, attributes=given)
    a.resize(5)
    a.attrs["k"] = LONE
    g = gpuzarr.open(store, mode="r+", zarr_format=zarr_format)
    g.attrs.update({LONE: 1})
    gpuzarr.consolidate_metadata(store, zarr_format=zarr_format)
    for consolidated in (True, False):
        group = gpuzarr.open_group(store, consolidated=consolidated, zarr_format=zarr_format)
        assert dict(group.attrs) == {LONE: 1}
        assert dict(group["a"].attrs) == given | {"k": LONE}
        assert group["a"].shape == (5,)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("value", UNWRITABLE, ids=lambda value: type(value).__name__)
def test_what_is_no_json_changes_nothing(value, zarr_format):
    store = {}
    a = gpuzarr.create_array(store, name="a", shape=2, dtype="i4", zarr_format=zarr_format, attributes={"k": 1})
    a[...] = 1
    g, before = gpuzarr.open(store, mode="r+"), dict(store)
    for refused in (
        lambda: a.attrs.update(k=value, n=1),
        lambda: a.attrs.put({"k": value}),
        lambda: a.attrs.__setitem__("k", value),
        lambda: g.update_attributes({"x": [value]}),
        lambda: g.create_group("b/c", attributes={"k": value}),
        lambda: g.create_group("a", attributes={"k": value}, overwrite=True),
        lambda: g.create_array("b/c", shape=1, dtype="i4", attributes={"k": value}),
        lambda: g.create_array("a", shape=1, dtype="i4", attributes={"k": value}, overwrite=True),
        lambda: gpuzarr.create_group(store, path="b/c", zarr_format=zarr_format, attributes={"k": value}),
        lambda: gpuzarr.open(store, "d/e", mode="a", attributes={"k": value}),
        lambda: gpuzarr.open(store, "a", mode="w", shape=1, attributes={"k": value}),
    ):
        with pytest.raises(gpuzarr.MetadataError):
            refused()
        assert store == before
        assert dict(a.attrs) == {"k": 1}


CHANGES = {
    "attributes": [5, "x", [["k", 1]]],
    "node_type": [None, "array", "group", "x", [], 3],
    "zarr_format": [None, 2, True, "3"],
    "shape": [None, 5, [-1], [2, "x"]],
    "codecs": [None, [], [5], {}],
    "chunk_grid": [None, [], {"name": []}],
    "data_type": [None, 5, "int8", "string"],
    "fill_value": [None, [], "x"],
    "consolidated_metadata": [5, [], {"kind": "inline"}],
    "dimension_names": [5, [1]],
    "x": [1],
}


@pytest.mark.parametrize(("member", "value"), [(m, v) for m, values in CHANGES.items() for v in values])
def test_a_document_that_is_wrong_by_now_is_refused(member, value):
    store = nasty.of(zarr_json=nasty.GROUP, a__zarr_json=nasty.array(), g__zarr_json=nasty.GROUP)
    root = gpuzarr.open(store, mode="r+", device="cpu")
    for name, node in (("a", root["a"]), ("g", root["g"])):
        found = json.loads(store[key := f"{name}/zarr.json"])
        if found.get(member, 0) == value:
            continue
        store[key] = json.dumps(found | {member: value}).encode()
        before = dict(store)
        uses = [lambda: node.attrs.update(k=1), lambda: node.attrs.put({})]  # noqa: B023
        if name == "a":
            uses += [lambda: node.resize((9, 9)), lambda: node.append(np.zeros((1, 4)))]  # noqa: B023
            uses += [lambda: root.create_array("a", shape=(5, 4), dtype="i2", chunks=(2, 3), attributes={"k": 1})]
        else:
            uses += [lambda: root.create_group("g", attributes={"k": 1})]
        for use in uses:
            try:
                use()
            except gpuzarr.GpuZarrError:
                assert store == before
            else:
                assert member in (
                    "data_type",
                    "fill_value",
                    "shape",
                    "x",
                    "dimension_names",
                    "consolidated_metadata",
                ) or (name == "g" or (member == "attributes" and not value)), f"{member} {value!r}"
                before = dict(store)


@pytest.mark.parametrize("attributes", [5, "x", [1]])
def test_attributes_that_are_no_object_by_now_are_refused(attributes):
    store = nasty.of(zarr_json=nasty.GROUP, a__zarr_json=nasty.array(), g__zarr_json=nasty.GROUP)
    root = gpuzarr.open(store, mode="r+", device="cpu")
    nodes = root["a"], root["g"]
    store |= nasty.of(
        a__zarr_json=nasty.array(attributes=attributes), g__zarr_json=nasty.GROUP | {"attributes": attributes}
    )
    for node in nodes:
        with pytest.raises(gpuzarr.MetadataError, match="attributes"):
            node.attrs["k"] = 1
    with pytest.raises(gpuzarr.MetadataError, match="attributes"):
        root.create_group("g", attributes={"k": 1})


@pytest.mark.parametrize("attributes", [None, []])
def test_attributes_that_are_nothing_are_empty(attributes):
    store = nasty.of(zarr_json=nasty.GROUP, a__zarr_json=nasty.array(attributes=attributes))
    store |= nasty.of(g__zarr_json=nasty.GROUP | {"attributes": attributes})
    root = gpuzarr.open(store, mode="r+", device="cpu")
    assert root.require_group("g").attrs.asdict() == root["a"].attrs.asdict() == {}
    for node in (root["a"], root.create_group("g", attributes={})):
        node.attrs["k"] = 1
        assert json.loads(store[f"{node.path}/zarr.json"])["attributes"] == {"k": 1}


def test_a_node_of_another_kind_by_now_keeps_its_attributes():
    store = nasty.of(zarr_json=nasty.GROUP, a__zarr_json=nasty.array(), g__zarr_json=nasty.GROUP)
    root = gpuzarr.open(store, mode="r+", device="cpu")
    a, g = root["a"], root["g"]
    store["a/zarr.json"], store["g/zarr.json"] = store["g/zarr.json"], store["a/zarr.json"]
    before = dict(store)
    for change in (
        lambda: a.attrs.update(k=1),
        lambda: g.attrs.update(k=1),
        lambda: a.resize(5),
        lambda: a.append([1]),
    ):
        with pytest.raises(gpuzarr.GpuZarrError):
            change()
    assert store == before


def test_an_array_of_another_shape_by_now_is_not_appended_to():
    store = nasty.of(zarr_json=nasty.array((4, 4)))
    a = gpuzarr.open(store, mode="r+", device="cpu")
    for shape, chunks in (((4, 5), (2, 2)), ((4,), (2,)), ((4, 4, 4), (2, 2, 2))):
        store |= nasty.of(zarr_json=nasty.array(shape, chunks))
        before = dict(store)
        with pytest.raises(gpuzarr.ValueKindError):
            a.append(np.ones((1, 4)))
        assert store == before


def test_an_array_that_was_deleted_has_no_attributes():
    store = {}
    a = gpuzarr.create_array(store, name="a", shape=2, dtype="i4", zarr_format=2)
    del gpuzarr.open(store, mode="r+")["a"]
    with pytest.raises(gpuzarr.NotFoundError):
        a.attrs["k"] = 1
    assert not any(key.startswith("a/") for key in store)


def test_a_document_that_is_nested_deeply_grows_no_faster_than_what_is_in_it():
    deep = [nasty.deep(300)] * 200
    store = {}
    a = gpuzarr.create_array(store, shape=2, dtype="i4", attributes={"deep": deep})
    assert len(store["zarr.json"]) < 5 * len(json.dumps(deep))
    a.attrs["k"] = 1
    assert gpuzarr.open(store).attrs["deep"] == deep
