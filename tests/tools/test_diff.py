"""`gpuzarr.tools.diff`: what NumPy says of both arrays as wholes, on every device, and what two trees have."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import gpuzarr
from gpuzarr.errors import ArgumentError, NotFoundError
from gpuzarr.tools import diff
from gpuzarr.tools.diff_values import compare
from tests.conftest import examples

DTYPES = ["?", "i1", "u1", "i2", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "M8[s]", "S3", "U2"]


def values_of(a, b, device="cpu", chunks=None, tolerance=0.0):
    """What `diff` says of the values of two arrays that hold these."""
    chunks = chunks or [tuple(max(n, 1) for n in values.shape) for values in (a, b)]
    pair = [
        gpuzarr.create_array({}, data=values, chunks=size, device=device)
        for values, size in zip((a, b), chunks, strict=True)
    ]
    found = diff(*pair, compare="values", tolerance=tolerance)
    return found.nodes[0].values if found else None


def expected(a, b, tolerance=0.0):
    """Count, first index and the largest difference of numbers, by Python's own numbers, one by one."""
    count, first, largest = 0, None, None
    for index in np.ndindex(a.shape):
        x, y = a[index].item(), b[index].item()
        if x == y or (x != x and y != y):
            continue
        apart = abs(x - y) if not isinstance(x, bool) else None
        if apart is not None and apart <= tolerance:
            continue
        count, first = count + 1, first or index
        if apart is not None and apart == apart:
            largest = apart if largest is None else max(largest, apart)
    return (count, first, largest) if count else None


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_as_python_compares(thresholds, data):
    thresholds("gpuzarr.tools", BLOCK_BYTES=64, PIECE_ELEMENTS=data.draw(st.sampled_from([1, 3, 1 << 18])))
    dtype = np.dtype(data.draw(st.sampled_from(["?", "i1", "u2", "i8", "u8", "f4", "f8"])))
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=3, max_side=6))
    a = data.draw(arrays.arrays(dtype, shape))
    b = np.where(data.draw(arrays.arrays(bool, shape)), a, data.draw(arrays.arrays(dtype, shape)))
    tolerance = data.draw(st.sampled_from([0.0, 1.0, 1e3]))
    chunks = [tuple(data.draw(st.integers(1, n)) for n in shape) for _ in range(2)]
    found = values_of(a, b, chunks=chunks, tolerance=tolerance)
    told = found and (found.count, found.first, found.largest)
    assert told == expected(a, b, tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_element_differs(device, dtype):
    a = np.arange(60).reshape(4, 15).astype(dtype)
    b = a.copy()
    b[2, 7] = np.zeros((), dtype) if a[2, 7] != np.zeros((), dtype) else np.ones((), dtype)
    assert values_of(a, a.copy(), device) is None
    found = values_of(a, b, device, chunks=[(3, 4), (2, 15)])
    assert (found.count, found.size, found.first) == (1, 60, (2, 7))
    assert found.a == str(a[2, 7]) and found.b == str(b[2, 7])
    number = np.dtype(dtype).kind in "iufc"
    assert found.largest == (abs(a[2, 7].item() - b[2, 7].item()) if number else None)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "int4", "uint4"])
def test_small_numbers(name):
    a = np.array([1, 2, 3]).astype(getattr(ml_dtypes, name))
    b = np.array([1, 2, 5]).astype(a.dtype)
    assert values_of(a, a.copy()) is None
    found = values_of(a, b)
    assert (found.count, found.first, found.largest) == (1, (2,), 2)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_differences_of_integers_are_exact(device, dtype):
    limits = np.iinfo(dtype)
    a, b = np.array([limits.min, 0], dtype), np.array([limits.max, 0], dtype)
    assert values_of(a, b, device).largest == 2**64 - 1
    assert values_of(b, a, device).largest == 2**64 - 1


def test_nan_infinity_and_zero(device):
    a = np.array([np.nan, np.inf, 0.0, np.nan, 1.0, -np.inf])
    b = np.array([np.nan, np.inf, -0.0, 2.0, 1.5, np.inf])
    found = values_of(a, b, device)
    assert (found.count, found.first, found.largest) == (3, (3,), np.inf)
    assert values_of(a[:4], b[:4], device).largest is None
    assert values_of(a, b, device, tolerance=1e9).count == 2


def test_not_a_time_equals_itself(device):
    a = np.array(["NaT", "2020-01-01"], "M8[s]")
    assert values_of(a, a.copy(), device) is None
    assert values_of(a, np.array(["NaT", "NaT"], "M8[s]"), device).count == 1


def test_structs_and_strings():
    a = np.array([(1, np.nan), (2, 3.0)], [("n", "i4"), ("x", "f4")])
    b = a.copy()
    assert values_of(a, b) is None
    b["x"][1] = 4
    assert (values_of(a, b).count, values_of(a, b).first) == (1, (1,))
    words = np.array(["a", "bb", ""], object)
    left = gpuzarr.create_array({}, shape=3, dtype=str)
    right = gpuzarr.create_array({}, shape=3, dtype=str)
    left[:], right[:] = words, words
    assert not diff(left, right)
    right[1] = "c"
    assert diff(left, right).nodes[0].values.first == (1,)


def test_arrays_of_two_dtypes_are_compared_by_their_numbers(device):
    a = gpuzarr.array(np.arange(6, dtype="i2"), device=device)
    b = gpuzarr.array(np.arange(6, dtype="f8"), device=device)
    assert not diff(a, b, compare="values")
    assert [field.name for field in diff(a, b, compare="data").nodes[0].fields] == ["data_type", "fill_value"]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_arrays_without_axes_or_elements(device, shape):
    a = np.full(shape, 3)
    assert values_of(a, a.copy(), device) is None
    found = values_of(a, a + 1, device)
    assert (found and found.first) == (() if shape == () else None)


def test_other_shapes_are_not_compared():
    found = diff(gpuzarr.zeros(3), gpuzarr.zeros(4), compare="values")
    assert [(field.name, field.a, field.b) for field in found.nodes[0].fields] == [("shape", [3], [4])]
    assert found.elements == 0


def tree(store, **changes):
    root = gpuzarr.create_group(store, attributes={"title": "t", **changes.get("attributes", {})})
    root.create_group("g").create_array("x", data=np.arange(10.0), chunks=changes.get("chunks", 5))
    root.create_array("y", shape=(4, 4), dtype="u1", dimension_names=changes.get("names", ("r", "c")))
    return root


def test_equal_trees(tmp_path):
    assert not diff(tree({}), tree(str(tmp_path / "a")))
    found = diff(tree({}), str(tmp_path / "a"))
    assert (found.compared, found.elements, found.asdict()["equal"]) == (4, 26, True)


def test_facts_of_trees():
    other = tree({}, attributes={"title": "u", "more": [1]}, chunks=2, names=None)
    other["g"].create_group("new")
    other["g/x"][3] = 0
    found = {node.path: node for node in diff(tree({}), other).nodes}
    assert sorted(found) == ["", "g/new", "g/x", "y"]
    assert [(f.name, f.a, f.b) for f in found[""].fields] == [
        ('attributes["title"]', "t", "u"),
        ('attributes["more"]', None, [1]),
    ]
    assert found["g/new"].only_in == "b"
    assert [f.name for f in found["g/x"].fields] == ["chunks"] and found["g/x"].values.largest == 3.0
    assert [(f.name, f.a, f.b) for f in found["y"].fields] == [("dimension_names", ["r", "c"], None)]
    assert sorted(node.path for node in diff(tree({}), other, compare="values").nodes) == ["g/new", "g/x"]


def test_nothing_and_null_are_two():
    a, b = (gpuzarr.create_group({}, attributes=given) for given in ({"x": None}, {}))
    (field,) = diff(a, b).nodes[0].fields
    assert (field.name, field.a, field.only_in) == ('attributes["x"]', None, "a")
    assert not diff(a, gpuzarr.create_group({}, attributes={"x": None}))


@pytest.mark.parametrize("pair", [("M8[s]", "M8[ms]"), ("S3", "S4"), ("U1", "U2"), ("i2,i4", "i2,i8")])
def test_types_of_one_name(pair):
    a, b = (gpuzarr.create_array({}, shape=2, dtype=dtype) for dtype in pair)
    assert diff(a, b, compare="data").nodes[0].fields[0].name == "data_type"


def test_names_of_axes_are_an_attribute_in_v2():
    names = ["y", "x"]
    old = {"zarr_format": 2, "attributes": {"_ARRAY_DIMENSIONS": names}}
    a = gpuzarr.create_array({}, shape=(2, 2), dtype="i4", **old)
    b = gpuzarr.create_array({}, shape=(2, 2), dtype="i4", dimension_names=names)
    assert not diff(a, b, compare="data")
    b.attrs["_ARRAY_DIMENSIONS"] = ["x", "y"]
    assert diff(a, b, compare="data")


def test_of_several_versions_and_layouts(tmp_path):
    values = np.random.default_rng(0).integers(0, 9, (20, 12)).astype("u2")
    old = gpuzarr.create_array(str(tmp_path / "v2"), data=values, chunks=(5, 5), zarr_format=2, compressors="gzip")
    new = gpuzarr.create_array({}, data=values, chunks=(2, 3), shards=(10, 6))
    assert not diff(old, new, compare="data")
    assert {"zarr_format", "chunks", "shards", "codecs"} == {field.name for field in diff(old, new).nodes[0].fields}


def test_an_array_and_a_group_differ():
    found = diff(gpuzarr.zeros(3), tree({}), compare="values")
    assert found.nodes[0].fields[0].name == "kind" and found.compared == 1


def test_what_cannot_be_read_is_told_beside_the_rest():
    one, store = tree({}), {}
    tree(store)["y"][0] = 1
    store["g/x/zarr.json"] = b"{"
    store["y/c/0/0"] = b"damaged"
    found = diff(one, gpuzarr.open_group(store))
    assert [node.path for node in found.nodes] == ["g/x", "y"] and len(found.errors) == 2
    assert "zarr.json" in found.errors[0] and "(0, 0)" in found.errors[1]


def test_progress_counts_all_elements():
    told = []
    diff(tree({}), tree({}), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (26, 26)


def test_an_interrupt_ends_it(monkeypatch):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diff(tree({}), tree({}), progress=interrupt)


def test_each_block_is_whole_chunks_of_the_larger_ones(thresholds):
    thresholds("gpuzarr.tools", BLOCK_BYTES=80)
    a, b = (gpuzarr.array(np.arange(40.0), chunks=size) for size in (20, 4))
    steps = []
    assert compare(a, b, 0, steps.append) is None
    assert steps == [20, 20]


@pytest.mark.parametrize(
    "wrong", [{"compare": "some"}, {"tolerance": -1}, {"tolerance": float("nan")}, {"tolerance": "x"}]
)
def test_wrong_arguments(wrong):
    with pytest.raises(ArgumentError):
        diff(gpuzarr.zeros(3), gpuzarr.zeros(3), **wrong)


def test_nothing_there(tmp_path):
    with pytest.raises(NotFoundError):
        diff(gpuzarr.zeros(3), str(tmp_path / "none"))
