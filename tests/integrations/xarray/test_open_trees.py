"""Groups below groups, several stores at once, and what is asked of arrays that xarray cannot name."""

import json

import numpy as np
import pytest
import xarray as xr
from xarray.backends.zarr import ZarrStore

import gpuzarr
from gpuzarr.integrations.xarray.store import GpuZarrStore
from tests.integrations.xarray.folders import objects
from tests.integrations.xarray.identical import assert_identical, assert_identical_variables, assert_same_bits
from tests.n5 import attributes, below, dataset

zarr = pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore")


def tree():
    """A tree of datasets, in which children inherit a coordinate."""
    root = xr.Dataset({"r": ("x", [1.0, 2.0])}, {"x": [10, 20]}, {"title": "root"})
    child = xr.Dataset({"c": (("x", "y"), np.arange(6, dtype="i2").reshape(2, 3))}, {"y": list("abc")})
    return xr.DataTree.from_dict({"/": root, "/a": child, "/a/b": xr.Dataset({"s": 3}), "/empty": xr.Dataset()})


@pytest.fixture(params=[2, 3])
def stored(request, tmp_path):
    """The path of a tree that xarray has written."""
    tree().to_zarr(tmp_path / "tree.zarr", zarr_format=request.param)
    return tmp_path / "tree.zarr"


OURS = {"engine": "gpuzarr", "device": "cpu"}
OPTIONS = [
    {},
    {"consolidated": True},
    {"consolidated": False},
    {"group": "a"},
    {"group": "/a/"},
    {"chunks": {}},
    {"drop_variables": ["c"]},
    {"mask_and_scale": False, "decode_times": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_trees(stored, options):
    theirs = xr.open_datatree(stored, engine="zarr", **options)
    ours = xr.open_datatree(stored, **OURS, **options)
    assert sorted(ours.groups) == sorted(theirs.groups)
    for path in theirs.groups:
        assert_identical(ours[path].to_dataset(inherit=False), theirs[path].to_dataset(inherit=False))
    if not options:
        xr.testing.assert_identical(ours, tree())


@pytest.mark.parametrize("options", [option for option in OPTIONS if "group" not in option], ids=str)
def test_groups(stored, options):
    theirs = xr.open_groups(stored, engine="zarr", **options)
    ours = xr.open_groups(stored, **OURS, **options)
    assert ours.keys() == theirs.keys()
    for path in theirs:
        assert_identical(ours[path], theirs[path])


@pytest.mark.parametrize("group", ["a", "/a/b"])
def test_groups_below_a_group(stored, group):
    ours, theirs = xr.open_groups(stored, **OURS, group=group), xr.open_groups(stored, engine="zarr", group=group)
    assert ours.keys() == theirs.keys()


def test_trees_are_open_groups_too(stored):
    xr.testing.assert_identical(xr.open_datatree(gpuzarr.open_group(stored), **OURS), tree())


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_metadata_that_are_consolidated_at_the_root(tmp_path, zarr_format):
    made = xr.Dataset({"v": ("x", [1, 2])})
    made.to_zarr(tmp_path / "a.zarr", group="some/group", zarr_format=zarr_format, consolidated=True)
    for consolidated in (None, True, False):
        found = xr.open_dataset(tmp_path / "a.zarr", **OURS, group="some/group", consolidated=consolidated)
        xr.testing.assert_identical(found, made)
    alone = {key[11:]: data for key, data in objects(tmp_path / "a.zarr").items() if key.startswith("some/group/")}
    store = {f"in/{key}": data for key, data in alone.items()}
    xr.testing.assert_identical(xr.open_dataset(store, **OURS, group="in"), made)
    with pytest.raises(gpuzarr.errors.MetadataError, match=r"'/in' .* has no consolidated metadata"):
        xr.open_dataset(store, **OURS, group="in", consolidated=True)


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_several_stores(tmp_path, zarr_format, parallel):
    pytest.importorskip("dask.array")
    paths = []
    for i in range(3):
        made = xr.Dataset({"v": (("t", "x"), np.arange(6.0).reshape(2, 3) + i)}, {"t": [2 * i, 2 * i + 1]})
        made.v.encoding = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -9}
        paths.append(tmp_path / f"{i}.zarr")
        made.to_zarr(paths[-1], zarr_format=zarr_format)
    together = {"combine": "nested", "concat_dim": "t", "parallel": parallel}
    with xr.open_mfdataset(paths, **OURS, **together) as ours, xr.open_mfdataset(paths, engine="zarr", **together) as b:
        assert ours.v.chunks == b.v.chunks
        xr.testing.assert_identical(ours.load(), b.load())
    by_coordinates = xr.open_mfdataset(str(tmp_path / "*.zarr"), **OURS, combine="by_coords")
    assert by_coordinates.t.values.tolist() == list(range(6))


@pytest.mark.parametrize("masks", [None, True, False])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_fill_values_as_masks(tmp_path, zarr_format, masks):
    data = {"i": np.array([0, 1, 7], "i2"), "f": np.array([0.0, 7.0, np.nan]), "u": np.array([7, 2, 3], "u1")}
    group = zarr.open_group(tmp_path / "f.zarr", mode="w", zarr_format=zarr_format)
    for name, values in data.items():
        names = {"dimension_names": ("x",)} if zarr_format == 3 else {"attributes": {"_ARRAY_DIMENSIONS": ["x"]}}
        group.create_array(name, data=values, fill_value=7, **names)
    store = ZarrStore.open_group(tmp_path / "f.zarr", consolidated=False, use_zarr_fill_value_as_mask=masks)
    theirs, ours = (
        xr.open_dataset(store),
        xr.open_dataset(tmp_path / "f.zarr", **OURS, use_zarr_fill_value_as_mask=masks),
    )
    assert_identical(ours, theirs)
    is_marked = masks or (masks is None and zarr_format == 2)
    assert np.isnan(ours.i.values).tolist() == [False, False, True] if is_marked else ours.i.dtype == "i2"
    same = xr.open_datatree(tmp_path / "f.zarr", **OURS, use_zarr_fill_value_as_mask=masks)
    assert_identical(same.to_dataset(), theirs)


def test_hidden_attributes_of_netcdf(tmp_path):
    group = zarr.open_group(tmp_path / "n.zarr", mode="w", zarr_format=2, attributes={"_nc3_strict": 1, "kept": 2})
    own = {"_NCProperties": "x", "_nczarr_attrs": {"types": {}}, "_ARRAY_DIMENSIONS": ["x"], "units": "m"}
    group.create_array("v", data=np.arange(3), attributes=own)
    theirs, ours = (xr.open_dataset(tmp_path / "n.zarr", **each) for each in ({"engine": "zarr"}, OURS))
    assert_identical(ours, theirs)
    assert (dict(ours.attrs), dict(ours.v.attrs)) == ({"kept": 2}, {"units": "m"})


def test_dimensions_of_nczarr(tmp_path):
    zarr.open_group(tmp_path / "n.zarr", mode="w", zarr_format=2).create_array("v", data=np.ones((2, 3)))
    document = json.loads((tmp_path / "n.zarr/v/.zarray").read_text())
    document["_NCZARR_ARRAY"] = {"dimrefs": ["/lat", "/g/lon"], "storage": "chunked"}
    (tmp_path / "n.zarr/v/.zarray").write_text(json.dumps(document))
    ours = xr.open_dataset(tmp_path / "n.zarr", **OURS)
    assert ours.v.dims == ("lat", "lon")
    assert_identical_variables(ours.v.variable, xr.open_dataset(tmp_path / "n.zarr", engine="zarr").v.variable)


def test_axes_without_names(tmp_path):
    group = gpuzarr.create_group(tmp_path / "a.zarr")
    group.create_array("v", data=np.ones((2, 3)), dimension_names=["x", None])
    theirs, ours = (xr.open_dataset(tmp_path / "a.zarr", **each) for each in ({"engine": "zarr"}, OURS))
    assert ours.v.dims == theirs.v.dims == ("x", None)


def test_conflicting_lengths(tmp_path):
    group = gpuzarr.create_group(tmp_path / "a.zarr")
    group.create_array("v", data=np.ones(2), dimension_names=["x"])
    group.create_array("w", data=np.ones(3), dimension_names=["x"])
    for each in ({"engine": "zarr"}, OURS):
        with pytest.raises(ValueError, match="conflicting sizes for dimension 'x'"):
            xr.open_dataset(tmp_path / "a.zarr", **each)
    with pytest.raises(ValueError, match=r"conflicting lengths for dimension x \(3 != 2\)"):
        GpuZarrStore(gpuzarr.open_group(tmp_path / "a.zarr", device="cpu"), "r").get_dimensions()


def test_arrays_of_n5():
    values = np.arange(12, dtype="i2").reshape(4, 3)
    objects = below("v", dataset(values, (2, 2)))
    document = attributes(values, (2, 2)) | {"axes": ["x", "y"], "scale_factor": 0.5}
    found = xr.open_dataset(objects | {"v/attributes.json": json.dumps(document).encode()}, **OURS)
    assert found.v.dims == ("x", "y")
    assert_same_bits(found.v.values, values * np.float64(0.5))
