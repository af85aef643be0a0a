"""CF decoding of each kind happens on the GPU, with the bits of xarray on a CPU, and copies nothing to the host."""

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from xarray import conventions
from xarray.core import indexing

import gpuzarr
from gpuzarr.integrations.xarray.lazy import StoredValues
from gpuzarr.integrations.xarray.placement import placed
from tests.conftest import examples
from tests.hardware import host_array
from tests.integrations.xarray.datasets import NUMBERS, marked
from tests.integrations.xarray.identical import assert_same_bits

pytest.importorskip("zarr")
pytest.importorskip("dask.array")
pytestmark = pytest.mark.filterwarnings("ignore")

KINDS = {  # the stored dtype, and attributes of CF
    "plain": ("f4", {}),
    "plain bools": ("?", {}),
    "complex": ("c8", {}),
    "big-endian": (">i2", {}),
    "scaled": ("i2", {"scale_factor": 0.01, "add_offset": 273.15}),
    "scaled in float32": ("u1", {"scale_factor": np.float32(0.1)}),
    "scaled by lists": ("i2", {"scale_factor": [0.5], "add_offset": [-7.0], "_FillValue": 3}),
    "only offset": ("i4", {"add_offset": -7}),
    "scaled floats": ("f4", {"scale_factor": 2.5, "add_offset": np.float64(1e-3)}),
    "fill of integers": ("i4", {"_FillValue": 3}),
    "fill of long integers": ("i8", {"_FillValue": 3}),
    "fill of floats": ("f4", {"_FillValue": 3.0}),
    "NaN": ("f8", {"_FillValue": np.nan}),
    "missing_value": ("f8", {"missing_value": 4.0}),
    "both": ("i2", {"_FillValue": 3, "missing_value": 3}),
    "several": ("i2", {"_FillValue": 3, "missing_value": [4, 5]}),
    "several of floats, scaled": ("f4", {"_FillValue": 3.0, "missing_value": 4.0, "scale_factor": 0.5}),
    "packed": ("u1", {"_FillValue": 3, "scale_factor": 0.5, "add_offset": 1.0}),
    "packed, big-endian": (">i2", {"_FillValue": 3, "scale_factor": 0.1}),
    "unsigned": ("i1", {"_Unsigned": "true"}),
    "unsigned with fill": ("i1", {"_Unsigned": "true", "_FillValue": -1, "scale_factor": 0.5}),
    "signed": ("u1", {"_Unsigned": "false"}),
    "bools": ("i1", {"dtype": "bool"}),
}
HOST_KINDS = {
    "times": ("i8", {"units": "days since 2000-01-01"}),
    "times with fill": ("f8", {"units": "hours since 2000-01-01", "_FillValue": 3.0}),
    "durations": ("i4", {"units": "seconds", "dtype": "timedelta64[ns]"}),
    "packed durations": ("i2", {"units": "hours", "dtype": "timedelta64[ns]", "scale_factor": 0.5}),
    "bytes": ("S3", {}),
    "texts": ("U3", {}),
    "characters": ("S1", {}),
}
SELECTIONS = {
    "all": {},
    "part": {"x": slice(1, None, 2), "y": slice(2)},
    "element": {"x": 3, "y": 1},
    "none": {"x": slice(0)},
    "outer": {"x": [5, 0, 3], "y": [1]},
    "pointwise": {"x": xr.DataArray([5, 0], dims="p"), "y": xr.DataArray([0, 1], dims="p")},
}


def values(dtype):
    """Small numbers, among them all that mark missing values."""
    numbers = np.array([[0, 1, 3], [4, 5, -1], [100, 3, 7], [2, -128, 127], [9, 4, 3], [3, 3, 3]])
    with np.errstate(all="ignore"):
        return (numbers % 2 if dtype == "?" else numbers).astype(dtype)


def stored(folder, dtype, attributes, zarr_format, encoding=None):
    """The path of a store with the variable `v`."""
    attributes = {n: np.array(v, dtype)[()] if n == "_FillValue" else v for n, v in attributes.items()}
    dataset = xr.Dataset({"v": (("x", "y"), values(dtype), attributes)})
    path = str(folder / "a.zarr")
    dataset.to_zarr(path, zarr_format=zarr_format, encoding={"v": {"chunks": (4, 2)} | (encoding or {})})
    return path


@pytest.fixture(params=[2, 3], ids=["v2", "v3"])
def zarr_format(request):
    return request.param


def decoded_by_xarray(path, use_zarr_fill_value_as_mask=None, **options):
    """The variable in NumPy's memory. The engine of xarray does not hand that one option on to its own store."""
    masks = {"use_zarr_fill_value_as_mask": use_zarr_fill_value_as_mask}
    return xr.open_dataset(xr.backends.ZarrStore.open_group(path, **masks), **options).v


def assert_decoded(path, device, cp, host_copies, **options):
    """Each selection, read at once or block by block, is on the GPU, with the bits that xarray has."""
    theirs = decoded_by_xarray(path, **options)
    for select in SELECTIONS.values():
        expected = theirs.isel(select).values
        for chunks in (None, {}, {"x": 5, "y": 3}):
            ours = xr.open_dataset(path, engine="gpuzarr", device=device, chunks=chunks, **options).v
            assert ours.dtype == theirs.dtype
            loaded = ours.isel(select).compute().data
            assert isinstance(loaded, cp.ndarray) and host_copies == []
            assert_same_bits(host_array(loaded), np.asarray(expected))
            host_copies.clear()


@pytest.mark.parametrize(("dtype", "attributes"), KINDS.values(), ids=KINDS)
def test_decoded_on_the_gpu(tmp_path, cupy_device, cp, host_copies, zarr_format, dtype, attributes):
    assert_decoded(stored(tmp_path, dtype, attributes, zarr_format), cupy_device, cp, host_copies)


@pytest.mark.parametrize("dtype", ["i4", "f4", "u1", "i8"])
def test_fill_values_of_zarr_mask(tmp_path, cupy_device, cp, host_copies, dtype):
    encoding = {"fill_value": np.dtype(dtype).type(3)}
    path = stored(tmp_path, dtype, {}, 3, encoding)
    assert_decoded(path, cupy_device, cp, host_copies, use_zarr_fill_value_as_mask=True)
    assert_decoded(path, cupy_device, cp, host_copies)


def test_what_is_not_to_be_decoded(tmp_path, cupy_device, cp, host_copies, zarr_format):
    path = stored(tmp_path, "i2", {"_FillValue": 3, "scale_factor": 0.1}, zarr_format)
    assert_decoded(path, cupy_device, cp, host_copies, mask_and_scale=False)
    assert_decoded(path, cupy_device, cp, host_copies, decode_cf=False)


def decoded(variable):
    """A variable as xarray decodes it; or the error that it raises."""
    try:
        return conventions.decode_cf_variable("v", variable)
    except Exception as error:
        return error


@given(data=st.data(), shape=st.sampled_from([(), (5,), (2, 3), (0, 2)]))
@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
def test_any_attributes(cupy_device, cp, host_copies, data, shape):
    dtype = np.dtype(data.draw(st.sampled_from(NUMBERS)))
    attributes = data.draw(marked(dtype))
    few = st.integers(0, 3).map(dtype.type) | npst.from_dtype(dtype)
    stored_values, names = data.draw(npst.arrays(dtype, shape, elements=few)), tuple("xyz"[: len(shape)])
    theirs = decoded(xr.Variable(names, stored_values, attributes))
    lazy = indexing.LazilyIndexedArray(StoredValues(gpuzarr.array(stored_values, device="cpu")))
    ours = decoded(xr.Variable(names, lazy, attributes))
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs)
        return
    ours = placed({"v": ours}, set(), cupy_device)["v"]
    assert (ours.dtype, ours.attrs.keys()) == (theirs.dtype, theirs.attrs.keys())
    try:
        expected = theirs.values
    except Exception as error:
        with pytest.raises(type(error)):
            ours.load()
        return
    host_copies.clear()  # of what is shown of an example before
    loaded = ours.load().data
    assert host_copies == []
    if expected.dtype.kind in "biufc" and not {"units", "dtype"} & attributes.keys():  # else there may be times between
        assert isinstance(loaded, cp.ndarray)
    assert_same_bits(host_array(loaded), np.asarray(expected))


def test_groups_of_a_tree(tmp_path, cupy_device, cp, host_copies, zarr_format):
    packed = xr.Dataset({"v": ("x", values("i2").ravel(), {"_FillValue": np.int16(3), "scale_factor": 0.5})})
    tree = xr.DataTree.from_dict({"/": packed, "/a/b": packed.isel(x=slice(5)).rename(x="y")})
    tree.to_zarr(tmp_path / "a.zarr", zarr_format=zarr_format)
    theirs = xr.open_datatree(tmp_path / "a.zarr", engine="zarr")
    ours = xr.open_datatree(tmp_path / "a.zarr", engine="gpuzarr", device=cupy_device).load()
    assert host_copies == []
    for path in ("/v", "/a/b/v"):
        assert isinstance(ours[path].data, cp.ndarray)
        assert_same_bits(host_array(ours[path].data), theirs[path].values)


@pytest.mark.parametrize(("dtype", "attributes"), HOST_KINDS.values(), ids=HOST_KINDS)
def test_times_and_texts_are_decoded_on_the_cpu(tmp_path, cupy_device, host_copies, zarr_format, dtype, attributes):
    path = stored(tmp_path, dtype, attributes, zarr_format)
    theirs = xr.open_dataset(path, engine="zarr").v
    for select in SELECTIONS.values():
        ours = xr.open_dataset(path, engine="gpuzarr", device=cupy_device).v.isel(select, missing_dims="ignore").load()
        assert type(ours.data) is np.ndarray
        assert_same_bits(ours.values, theirs.isel(select, missing_dims="ignore").values)
    assert host_copies == []
