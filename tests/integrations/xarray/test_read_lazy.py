"""What is asked for of a lazy dataset is read by one call, and no other chunks are."""

from contextlib import contextmanager
from math import prod

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings

import gpuzarr
from gpuzarr.nodes.array import Array
from tests.conftest import examples
from tests.integrations.xarray.identical import assert_same_bits

SIZES = {"t": 7, "y": 5, "x": 6}
CHUNKS = (2, 3, 4)
VALUES = np.arange(7 * 5 * 6, dtype="int32").reshape(7, 5, 6)
CHUNK_OF = np.ravel_multi_index(np.indices(VALUES.shape) // np.array(CHUNKS).reshape(3, 1, 1, 1), (4, 2, 2))


def stored():
    """A dataset in memory, as xarray has it, and a store with the same."""
    made = xr.Dataset(
        {"v": (tuple(SIZES), VALUES), "packed": (tuple(SIZES), VALUES), "point": ((), 3)},
        {"t": np.arange(7) * 10, "x": list("abcdef")},
    )
    store = gpuzarr.create_group({})
    for name, each in made.variables.items():
        data = np.asarray(each.values)
        chunks = CHUNKS if data.ndim == 3 else data.shape
        array = store.create_array(str(name), data=data, chunks=chunks, dimension_names=each.dims)
        if name == "packed":
            array.attrs.put({"scale_factor": 0.5, "add_offset": 1.0})
    return made.assign(packed=made.packed * 0.5 + 1.0), store


@contextmanager
def reads():
    """The arrays whose elements are read, a member for each read."""
    found, read = [], Array.read_elements

    def noted(self, *args, **options):
        found.append(self)
        return read(self, *args, **options)

    Array.read_elements = noted
    try:
        yield found
    finally:
        Array.read_elements = read


@st.composite
def outer(draw, sizes):
    """Integers, slices, arrays, lists and masks, each for its own dimension."""
    chosen = {}
    for name, size in sizes.items():
        kind = draw(st.sampled_from(["none", "int", "slice", "array", "mask"]))
        index = st.integers(-size, size - 1) if size else st.nothing()
        if kind == "slice" or (kind == "int" and not size):
            chosen[name] = draw(st.slices(max(size, 1)))
        elif kind == "int":
            chosen[name] = draw(index | index.map(np.int64))
        elif kind == "array":
            chosen[name] = np.array(draw(st.lists(index, max_size=5 if size else 0)), dtype=int)
        elif kind == "mask":
            chosen[name] = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
    return chosen


@st.composite
def pointwise(draw, sizes):
    """Arrays with dimensions of their own for some dimensions, and slices for others."""
    shape = draw(st.lists(st.integers(0, 3), min_size=1, max_size=2))
    chosen = {}
    for name, size in sizes.items():
        kind = draw(st.sampled_from(["points", "points", "slice", "none"]))
        if kind == "points" and size:
            indices = draw(st.lists(st.integers(-size, size - 1), min_size=prod(shape), max_size=prod(shape)))
            made = xr.DataArray(np.array(indices, dtype=int).reshape(shape), dims=("p", "q")[: len(shape)])
            chosen[name] = made.isel(p=0) if draw(st.booleans()) and shape[0] else made
        elif kind == "slice":
            chosen[name] = draw(st.slices(max(size, 1)))
    return chosen


@st.composite
def steps(draw):
    """One or two selections, the second of the result of the first, as (dimension -> index)."""
    first = draw(outer(SIZES) | pointwise(SIZES))
    sizes = dict(xr.DataArray(VALUES, dims=tuple(SIZES)).isel(first).sizes)
    return (first, draw(outer(sizes))) if draw(st.booleans()) else (first,)


@pytest.mark.parametrize("name", ["v", "packed"])
@given(selections=steps())
@settings(max_examples=examples(50), deadline=None, suppress_health_check=list(HealthCheck))
def test_a_selection_is_one_read_of_its_chunks(name, selections):
    memory, store = stored()
    lazy, wanted = xr.open_dataset(store, engine="gpuzarr", device="cpu"), memory[name]
    ids, selected = xr.DataArray(CHUNK_OF, dims=tuple(SIZES)), lazy[name]
    for selection in selections:
        selected, wanted, ids = (each.isel(selection) for each in (selected, wanted, ids))
    with reads() as found:
        values = selected.values
    assert_same_bits(values, wanted.values)
    assert selected.dims == wanted.dims
    assert len(found) == 1
    assert found[0].last_read.asdict()["chunks"] == np.unique(ids.values).size


@pytest.mark.parametrize(
    "select",
    [
        lambda v: v.sel(t=30),
        lambda v: v.sel(t=slice(20, 40), x="c"),
        lambda v: v.sel(x=["f", "a", "a"]),
        lambda v: v.sel(t=31, method="nearest"),
        lambda v: v[0, 0, 0],
        lambda v: v[..., ::-1],
        lambda v: v[-1:0:-2, 4, [3, 1]],
        lambda v: v.isel(t=slice(0, 0)),
        lambda v: v.where(v.t > 30, drop=True),
        lambda v: v.transpose("x", "t", "y")[2],
        lambda v: v.head(t=2).T,
    ],
)
def test_ways_to_select(select):
    memory, store = stored()
    lazy = xr.open_dataset(store, engine="gpuzarr", device="cpu")
    wanted = select(memory.v)
    with reads() as found:
        selected = select(lazy.v)
        assert_same_bits(selected.values, wanted.values)
    xr.testing.assert_identical(selected, wanted)
    assert len(found) == 1


def test_nothing_but_indexes_is_read_at_opening():
    _, store = stored()
    with reads() as found:
        lazy = xr.open_dataset(store, engine="gpuzarr", device="cpu")
        assert "int32" in repr(lazy) and lazy.v.nbytes == VALUES.nbytes
        lazy.isel(y=slice(1, 3), t=[0, 3])
    assert sorted(array.path for array in found) == ["t", "x"]


def test_values_stay_once_they_are_loaded_unless_told_otherwise():
    _, store = stored()
    for cache, times in ((True, 1), (False, 2)):
        lazy = xr.open_dataset(store, engine="gpuzarr", device="cpu", cache=cache)
        with reads() as found:
            assert_same_bits(lazy.v.values, VALUES)
            assert_same_bits(lazy.v.values, VALUES)
        assert len(found) == times


def test_a_single_element_has_no_dimensions():
    _, store = stored()
    lazy = xr.open_dataset(store, engine="gpuzarr", device="cpu")
    assert lazy.point.shape == () and float(lazy.point) == 3
    assert int(lazy.v[6, 4, 5]) == VALUES[6, 4, 5]
    assert float(lazy.packed[0, 0, 1]) == 1.5
