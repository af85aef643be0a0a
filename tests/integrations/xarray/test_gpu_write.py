"""`gpuzarr.to_zarr` writes what is on a GPU from there, as xarray and zarr-python would write it from a CPU."""

import numpy as np
import pytest
import xarray as xr

import gpuzarr
from tests.integrations.xarray.identical import same
from tests.integrations.xarray.weather import ENCODINGS, stored, weather

pytest.importorskip("zarr")
da = pytest.importorskip("dask.array")
pytestmark = pytest.mark.filterwarnings("ignore")

TEXTS = ["note", "half"]  # which xarray does not write back to Zarr v2: zarr-python finds no such data type there


@pytest.fixture(scope="module", params=[2, 3], ids=["v2", "v3"])
def zarr_format(request):
    return request.param


@pytest.fixture(scope="module")
def path(zarr_format, tmp_path_factory):
    return stored(tmp_path_factory.mktemp("weather") / "weather.zarr", zarr_format)


@pytest.fixture(params=[None, {}], ids=["memory", "dask"])
def ds(path, cupy_device, request):
    """The dataset on the GPU: in memory, or as dask arrays."""
    opened = xr.open_dataset(path, engine="gpuzarr", device=cupy_device, chunks=request.param, drop_variables=TEXTS)
    return opened.load() if request.param is None else opened


def read_by_xarray(place, **options):
    return xr.open_dataset(place, engine="zarr", drop_variables=TEXTS, **options).load()


def assert_same_stores(ours, theirs):
    """Two stores hold the same, decoded or not, and as they are encoded."""
    for options in ({}, {"decode_cf": False}):
        mine, other = read_by_xarray(ours, **options), read_by_xarray(theirs, **options)
        xr.testing.assert_identical(mine.drop_encoding(), other.drop_encoding())
        for name in other.variables:
            assert mine[name].dtype == other[name].dtype
            for key in ("chunks", "shards", "_FillValue", "scale_factor", "dtype"):
                assert same(mine[name].encoding.get(key), other[name].encoding.get(key)), (name, key)


def test_written_again(ds, path, tmp_path, cupy_device, host_copies, zarr_format):
    gpuzarr.to_zarr(ds, tmp_path / "a.zarr", device=cupy_device, zarr_format=zarr_format)
    assert host_copies == []
    chunks = {} if isinstance(ds.wind.data, da.Array) else None
    theirs = xr.open_dataset(path, engine="zarr", chunks=chunks, drop_variables=TEXTS)
    theirs.to_zarr(tmp_path / "theirs.zarr", zarr_format=zarr_format)
    assert_same_stores(tmp_path / "a.zarr", tmp_path / "theirs.zarr")


def test_packed_on_the_gpu(ds, tmp_path, cupy_device, host_copies, zarr_format):
    weather().to_zarr(tmp_path / "theirs.zarr", encoding=ENCODINGS, zarr_format=zarr_format)
    fresh = ds.drop_encoding()
    if isinstance(fresh.wind.data, da.Array):
        fresh = fresh.chunk(time=-1, lat=-1, lon=-1)
    gpuzarr.to_zarr(fresh, tmp_path / "a.zarr", encoding=ENCODINGS, device=cupy_device, zarr_format=zarr_format)
    assert host_copies == []
    packed = read_by_xarray(tmp_path / "a.zarr", mask_and_scale=False)
    expected = read_by_xarray(tmp_path / "theirs.zarr", mask_and_scale=False)
    for name in ENCODINGS:
        np.testing.assert_array_equal(packed[name].values, expected[name].values)
        assert packed[name].dtype == expected[name].dtype and packed[name].attrs.keys() == expected[name].attrs.keys()


@pytest.mark.parametrize("chunks", [None, {}])
def test_a_result_is_written(path, tmp_path, cupy_device, host_copies, chunks):
    def computed(ds):
        return (ds[["wind", "rain"]].where(ds.wet) * 2).groupby("time.day").max().drop_encoding()

    result = computed(xr.open_dataset(path, engine="gpuzarr", device=cupy_device, chunks=chunks))
    gpuzarr.to_zarr(result.wind, tmp_path / "one.zarr", device=cupy_device)
    gpuzarr.to_zarr(result, tmp_path / "a.zarr", device=cupy_device)
    assert host_copies == []
    xr.testing.assert_allclose(read_by_xarray(tmp_path / "a.zarr"), computed(read_by_xarray(path)))
    xr.testing.assert_allclose(read_by_xarray(tmp_path / "one.zarr").wind, computed(read_by_xarray(path)).wind)


def test_appended_and_replaced(path, tmp_path, cupy_device, host_copies, zarr_format):
    place, options = tmp_path / "a.zarr", {"device": cupy_device}
    ds = xr.open_dataset(path, engine="gpuzarr", drop_variables=TEXTS, **options).load().drop_encoding()
    gpuzarr.to_zarr(ds.isel(time=slice(20)), place, zarr_format=zarr_format, **options)
    gpuzarr.to_zarr(ds.isel(time=slice(20, 48)), place, append_dim="time", **options)
    part = (ds[["wind"]] * 2).isel(time=slice(20)).drop_vars(list(ds.coords))
    gpuzarr.to_zarr(part, place, region={"time": slice(20)}, **options)
    assert host_copies == []
    found, expected = read_by_xarray(place), read_by_xarray(path)
    expected.wind[:20] *= 2
    xr.testing.assert_identical(found.drop_encoding(), expected.drop_encoding())


def test_shards_are_encoded_on_the_gpu(path, tmp_path, cupy_device, host_copies):
    ds = xr.open_dataset(path, engine="gpuzarr", device=cupy_device).load()[["wind", "rain"]].drop_encoding()
    encoding = {"wind": {"chunks": (12, 3, 4), "shards": (24, 6, 8)}}
    gpuzarr.to_zarr(ds, tmp_path / "a.zarr", encoding=encoding, device=cupy_device, zarr_format=3)
    assert host_copies == []
    found = read_by_xarray(tmp_path / "a.zarr")
    assert found.wind.encoding["shards"] == (24, 6, 8)
    xr.testing.assert_identical(found.drop_encoding(), read_by_xarray(path)[["wind", "rain"]].drop_encoding())
