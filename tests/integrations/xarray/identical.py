"""Compare datasets that two engines opened: values to the bit, and all that xarray notes about variables."""

import numpy as np

OF_PLACES = ("source",)  # encodings that name a place


def assert_identical(ours, theirs):
    """Two datasets are the same: names, dimensions, attributes, encodings, indexes and values.

    Not their order: zarr-python lists a folder in any order.
    """
    assert set(ours.variables) == set(theirs.variables)
    assert set(ours.coords) == set(theirs.coords)
    assert dict(ours.sizes) == dict(theirs.sizes)
    assert same(dict(ours.attrs), dict(theirs.attrs))
    assert {name: type(index) for name, index in ours.xindexes.items()} == {
        name: type(index) for name, index in theirs.xindexes.items()
    }
    for name in theirs.indexes:
        assert ours.indexes[name].equals(theirs.indexes[name])
        assert ours.indexes[name].dtype == theirs.indexes[name].dtype
    for name in theirs.variables:
        assert_identical_variables(ours.variables[name], theirs.variables[name], name)


def assert_identical_variables(ours, theirs, name=None):
    """Two variables are the same, to the bit."""
    assert ours.dims == theirs.dims, name
    assert ours.dtype == theirs.dtype, (name, ours.dtype, theirs.dtype)
    assert (ours.dtype.metadata or {}) == (theirs.dtype.metadata or {}), name
    assert same(dict(ours.attrs), dict(theirs.attrs)), (name, ours.attrs, theirs.attrs)
    mine, other = ({k: v for k, v in each.encoding.items() if k not in OF_PLACES} for each in (ours, theirs))
    if other.get("shards"):  # ours are to be read as a whole
        other["preferred_chunks"] = dict(zip(other["preferred_chunks"], other["shards"], strict=True))
    assert same(mine, other), (name, mine, other)
    assert_same_bits(ours.values, theirs.values, name)


def assert_same_bits(ours, theirs, name=None):
    """Two arrays of NumPy have the same dtype, shape and bits, those of NaNs apart."""
    assert type(ours) is type(theirs), (name, type(ours), type(theirs))
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), name
    if ours.dtype.kind in "OT":
        assert same(ours.tolist(), theirs.tolist()), (name, ours, theirs)
        return
    assert bits(ours) == bits(theirs), (name, ours, theirs)


def bits(values):
    """The bytes of an array, in which all NaNs are the same."""
    if values.dtype.kind == "c":
        return bits(values.real.copy()), bits(values.imag.copy())
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values)
    return values.tobytes()


def same(ours, theirs):
    """Whether two values of attributes or encodings are the same, with the same types within."""
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(same(a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(ours, np.ndarray):
        return ours.dtype == theirs.dtype and ours.shape == theirs.shape and same(ours.tolist(), theirs.tolist())
    if isinstance(ours, np.dtype):
        return ours == theirs
    return bool(ours == theirs) or bool(ours != ours and theirs != theirs)
