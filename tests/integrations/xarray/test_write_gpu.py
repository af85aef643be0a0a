"""Datasets of a GPU are scaled, masked and compressed there: nothing of them is copied to the host as values."""

import numpy as np
import pytest
import xarray as xr

import gpuzarr
from tests.integrations.xarray.stores import contents, without_defaults
from tests.integrations.xarray.weather import weather

pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore")
VALUES = ["t2m", "rain", "count", "wet", "wind", "height", "total"]

ENCODINGS = {
    "plain": {},
    "chunks": {"chunks": (6, 3, 8)},
    "shards": {"chunks": (6, 3, 4), "shards": (12, 6, 8)},
    "packed": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32768},
    "scaled": {"scale_factor": 0.1},
    "filled": {"_FillValue": -1.0},
    "missing": {"missing_value": -1.0},
    "integers": {"dtype": "i4", "_FillValue": -7},
    "unsigned": {"dtype": "i2", "_Unsigned": "true", "_FillValue": -1, "scale_factor": 0.1},
    "single": {"dtype": "f4"},
}


def on_gpu(ds, cp, is_chunked):
    """The dataset with values on the GPU; those of three dimensions in blocks of dask, if wanted."""
    made = ds.copy()
    for name in VALUES:
        made[name] = ds[name].copy(data=cp.asarray(ds[name].data))
        if is_chunked and ds[name].ndim == 3:
            import dask.array as da

            blocks = da.from_array(made[name].data, chunks=(12, 6, 8), asarray=False)
            made[name] = ds[name].copy(data=blocks)
    return made


@pytest.fixture
def ds():
    return weather().drop_encoding()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["arrays", "blocks"])
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_values_are_encoded_where_they_are(ds, cp, cupy_device, host_copies, tmp_path, encoding, is_chunked):
    given = on_gpu(ds, cp, is_chunked)
    host_copies.clear()
    gpuzarr.to_zarr(given, tmp_path / "ours", encoding={"t2m": encoding}, device=cupy_device)
    assert host_copies == []
    (ds.chunk(time=12) if is_chunked else ds).to_zarr(
        tmp_path / "theirs", encoding={"t2m": encoding}, safe_chunks=False
    )
    ours, theirs = (xr.open_dataset(tmp_path / name, engine="zarr").load() for name in ("ours", "theirs"))
    xr.testing.assert_identical(ours, theirs)
    if is_chunked:  # then the chunks are those of the blocks, wherever the encoding has none
        names = without_defaults(contents(tmp_path / "ours"))
        assert {name for name in names if name.startswith("wind")} == {
            name for name in without_defaults(contents(tmp_path / "theirs")) if name.startswith("wind")
        }


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_regions_and_appending(ds, cp, cupy_device, host_copies, tmp_path, zarr_format):
    names = ["t2m", "rain", "wind"]
    encoding = {"t2m": ENCODINGS["packed"], "rain": {"chunks": (24, 6, 8)}}
    options = {"device": cupy_device}
    first = ds.isel(time=slice(24))[names].drop_vars(["half", "area"])
    gpuzarr.to_zarr(first, tmp_path / "a", encoding=encoding, zarr_format=zarr_format, **options)
    given = on_gpu(ds, cp, False)[names].drop_vars(["half", "area"])
    host_copies.clear()
    gpuzarr.to_zarr(given.isel(time=slice(24, 48)), tmp_path / "a", append_dim="time", **options)
    region = {"time": slice(5, 9), "lat": slice(2, 4)}
    new = given.isel(time=slice(30, 34), lat=slice(0, 2)).drop_vars(["time", "lat", "lon"])
    gpuzarr.to_zarr(new, tmp_path / "a", region=region, **options)
    assert host_copies == []
    expected = ds[names].drop_vars(["half", "area"]).copy(deep=True)
    for name in names:
        expected[name][region] = ds[name].isel(time=slice(30, 34), lat=slice(0, 2)).values
    found = xr.open_dataset(tmp_path / "a", engine="zarr").load()
    xr.testing.assert_allclose(found, expected)  # t2m is packed
    xr.testing.assert_identical(found.drop_vars("t2m"), expected.drop_vars("t2m"))


def test_what_the_engine_has_read_is_written_again(ds, cp, cupy_device, host_copies, tmp_path):
    """Also lazily: what is written is read as it is needed, on the GPU."""
    ds.to_zarr(tmp_path / "a", encoding={"t2m": ENCODINGS["packed"]})
    for chunks in (None, {}):
        opened = xr.open_dataset(tmp_path / "a", engine="gpuzarr", device=cupy_device, chunks=chunks)
        opened.gpuzarr.to_zarr(tmp_path / "b", mode="w", device=cupy_device)
        assert host_copies == []
        found, given = (xr.open_dataset(tmp_path / name, engine="zarr").load() for name in "ba")
        xr.testing.assert_identical(found, given)


def test_index_coordinates_and_texts_are_encoded_on_the_cpu(ds, cp, cupy_device, tmp_path):
    made = gpuzarr.to_zarr(on_gpu(ds, cp, False), tmp_path / "a", device=cupy_device)
    devices = {}
    for name in ("time", "lat", "note", "wind"):
        devices[name] = made._open_existing_array(name=name).device.gpu
    assert devices == {"time": False, "lat": False, "note": False, "wind": True}
    np.testing.assert_array_equal(xr.open_dataset(tmp_path / "a", engine="zarr").time, ds.time)
