"""Datasets of dask arrays on a GPU: `meta`, blocks and results are arrays of CuPy, or of its stand-in."""

import pickle

import numpy as np
import pytest
import xarray as xr

from tests.hardware import host_array
from tests.integrations.xarray.weather import stored

pytest.importorskip("zarr")
da = pytest.importorskip("dask.array")
pytestmark = pytest.mark.filterwarnings("ignore")

NUMBERS = ["t2m", "rain", "count", "wet", "wind", "height"]
ARRAYS = [*NUMBERS, "total"]


@pytest.fixture(scope="module", params=[2, 3], ids=["v2", "v3"])
def path(request, tmp_path_factory):
    return stored(tmp_path_factory.mktemp("weather") / "weather.zarr", request.param)


@pytest.fixture(params=[{}, {"time": 10, "lon": 3}, "auto"], ids=["stored", "given", "auto"])
def ds(path, cupy_device, request):
    """The dataset as dask arrays, of which nothing is read yet."""
    dropped = ["note", "half"] if request.param == "auto" else []  # dask does not know the size of texts
    return xr.open_dataset(path, engine="gpuzarr", device=cupy_device, chunks=request.param, drop_variables=dropped)


@pytest.fixture(scope="module")
def theirs(path):
    """The same dataset in NumPy's memory, as xarray and zarr-python read it."""
    return xr.open_dataset(path, engine="zarr").load()


def assert_on_gpu(array, expected, cp):
    """A DataArray with these values, that is on the GPU."""
    data = array.data
    assert isinstance(data, cp.ndarray), type(data)
    assert (array.dims, data.dtype, data.shape) == (expected.dims, expected.dtype, expected.shape)
    np.testing.assert_allclose(host_array(data), expected.values, rtol=2e-5 if data.dtype == "f4" else 1e-12, atol=1e-6)


def test_meta_and_blocks(ds, cp, host_copies):
    for name in NUMBERS:
        array = ds[name].data
        assert isinstance(array, da.Array) and isinstance(array._meta, cp.ndarray)
        assert (array._meta.dtype, array._meta.shape) == (array.dtype, (0,) * array.ndim)
        block = array.blocks[(-1,) * array.ndim].compute(scheduler="synchronous")
        assert isinstance(block, cp.ndarray) and block.shape == tuple(sizes[-1] for sizes in array.chunks)
    assert host_copies == []
    assert f"chunktype={type(ds.wind.data._meta).__module__}.ndarray" in repr(ds.wind.data)


def test_blocks_are_chunks_as_stored(path, cupy_device):
    ds = xr.open_dataset(path, engine="gpuzarr", device=cupy_device, chunks={})
    assert ds.t2m.data.chunksize == (7, 2, 8) and ds.rain.data.chunksize == (24, 6, 4)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_loaded(ds, theirs, cp, host_copies, scheduler):
    loaded = ds.load(scheduler=scheduler)
    assert host_copies == []
    for name in ARRAYS:
        assert_on_gpu(loaded[name], theirs[name], cp)
    assert all(isinstance(each.data, np.ndarray) for each in loaded.coords.values())


COMPUTED = {
    "mean": lambda ds: ds[ARRAYS].mean(),
    "mean over time": lambda ds: ds[NUMBERS].mean("time"),
    "sum": lambda ds: ds[ARRAYS].sum(),
    "min": lambda ds: ds[NUMBERS].min("lat"),
    "max": lambda ds: ds[ARRAYS].max(),
    "count": lambda ds: ds[ARRAYS].count(),
    "any": lambda ds: ds[["wet"]].any("time"),
    "prod": lambda ds: ds[["wind"]].isel(time=slice(4)).prod("time"),
    "cumsum": lambda ds: ds[["wind"]].cumsum("time"),
    "arithmetic": lambda ds: ds[NUMBERS] * 2 + 1.0,
    "variables": lambda ds: (ds.wind - ds.height).to_dataset(name="d"),
    "comparisons": lambda ds: (ds[["wind", "rain"]] > 0.5) & ds.wet,
    "ufunc": lambda ds: np.sqrt(ds[["rain"]]),
    "outer": lambda ds: ds[NUMBERS].isel(time=[1, 30, 7], lat=slice(1, 4)),
    "pointwise": lambda ds: ds[["t2m"]].isel(time=xr.DataArray([1, 47], dims="p"), lon=xr.DataArray([7, 0], dims="p")),
    "labels": lambda ds: ds[NUMBERS].sel(time="2024-02-28", lat=[50, -50]),
    "groups": lambda ds: ds[["wind", "rain"]].groupby("time.day").mean(),
    "resample": lambda ds: ds[["wind"]].resample(time="6h").mean(),
    "where": lambda ds: ds[["rain"]].where(ds.rain > 1),
    "isnull": lambda ds: ds[["rain", "t2m"]].isnull(),
    "coarsen": lambda ds: ds[["wind"]].drop_vars("half", errors="ignore").coarsen(time=4, lat=2).mean(),
    "concat": lambda ds: xr.concat([ds[NUMBERS].isel(time=slice(9)), ds[NUMBERS].isel(time=slice(9, 20))], "time"),
    "merge": lambda ds: xr.merge([ds[["wind"]], ds[["rain"]]]),
    "to_array": lambda ds: ds[["wind", "rain"]].to_array().to_dataset(name="a"),
    "transpose": lambda ds: ds[NUMBERS].transpose("lon", ...),
    "rechunk": lambda ds: ds[["wind"]].chunk(time=5, lat=-1),
    "dot": lambda ds: xr.dot(ds.wind, ds.height, dim=("lat", "lon")).to_dataset(name="d"),
    "map_blocks": lambda ds: ds[["wind"]].map_blocks(lambda part: part * 2),
}


@pytest.mark.parametrize("compute", COMPUTED.values(), ids=COMPUTED)
def test_what_is_computed_stays_on_the_gpu(path, cupy_device, theirs, cp, host_copies, compute):
    result = compute(xr.open_dataset(path, engine="gpuzarr", device=cupy_device, chunks={}))
    expected = compute(theirs)
    assert host_copies == [] and any(isinstance(each.data, da.Array) for each in result.data_vars.values())
    done = result.compute()
    assert host_copies == [] and set(done.data_vars) == set(expected.data_vars)
    for name in expected.data_vars:
        assert_on_gpu(done[name], expected[name], cp)


def test_deviations(path, cupy_device, theirs, cp, host_copies):
    """In which dask itself selects by arrays of bools."""
    result = xr.open_dataset(path, engine="gpuzarr", device=cupy_device, chunks={})[NUMBERS].std("lat").compute()
    assert set(host_copies) == {"mask"}
    for name in NUMBERS:
        assert_on_gpu(result[name], theirs[name].std("lat"), cp)


def test_functions_of_dask(path, cupy_device, theirs, cp, host_copies):
    ds = xr.open_dataset(path, engine="gpuzarr", device=cupy_device, chunks={})
    wind, height, values = ds.wind.data, ds.height.data, theirs.wind.values
    results = {
        "tensordot": (da.tensordot(wind, height, axes=2), np.tensordot(values, theirs.height.values, axes=2)),
        "einsum": (da.einsum("tij,ij->t", wind, height), np.einsum("tij,ij->t", values, theirs.height.values)),
        "overlap": (wind.map_overlap(lambda part: part + 1, depth=1, boundary="reflect"), values + 1),
        "concatenate": (da.concatenate([wind, wind]), np.concatenate([values, values])),
        "stack": (da.stack([wind, wind]), np.stack([values, values])),
        "take": (da.take(wind, [3, 1], axis=1), values[:, [3, 1]]),
        "nanmean": (da.nanmean(wind, axis=0), values.mean(0)),
    }
    done = {name: ours.compute() for name, (ours, _) in results.items()}
    assert host_copies == []
    for name, (_, expected) in results.items():
        assert isinstance(done[name], cp.ndarray), name
        np.testing.assert_allclose(host_array(done[name]), expected, rtol=1e-12)


def test_many_files(tmp_path, theirs, cupy_device, cp, host_copies):
    for begin in (0, 20):
        theirs.isel(time=slice(begin, begin + 20)).reset_encoding().to_zarr(tmp_path / f"{begin}.zarr")
    places = sorted(map(str, tmp_path.iterdir()))
    options = {"combine": "nested", "concat_dim": "time", "data_vars": "minimal", "coords": "minimal"}
    ds = xr.open_mfdataset(places, engine="gpuzarr", device=cupy_device, compat="override", **options)
    assert all(isinstance(ds[name].data._meta, cp.ndarray) for name in NUMBERS)
    result = ds.t2m.mean("time").compute()
    assert host_copies == []
    assert_on_gpu(result, theirs.t2m.isel(time=slice(40)).mean("time"), cp)


def test_lazy_values_are_chunked_later(path, cupy_device, theirs, cp, host_copies):
    ds = xr.open_dataset(path, engine="gpuzarr", device=cupy_device)
    for part in (ds, ds.isel(time=slice(3, 40, 2), lat=[4, 1])):
        chunked = part[NUMBERS].chunk(time=7)
        assert isinstance(chunked.t2m.data._meta, cp.ndarray) and not part.t2m.variable._in_memory
    loaded = chunked.compute()
    assert host_copies == []
    for name in NUMBERS:
        assert_on_gpu(loaded[name], theirs.isel(time=slice(3, 40, 2), lat=[4, 1])[name], cp)


def test_to_the_host(ds, theirs):
    assert isinstance(ds.rain.as_numpy().data, np.ndarray)
    np.testing.assert_array_equal(ds.rain.to_numpy(), theirs.rain.values)
    assert isinstance(ds.rain.data.to_backend("numpy").compute(), np.ndarray)


def test_graphs_are_pickled(ds, theirs, cp, host_copies):
    made = pickle.loads(pickle.dumps(ds))
    result = made.t2m.mean("lat").compute(scheduler="threads")
    assert host_copies == []
    assert_on_gpu(result, theirs.t2m.mean("lat"), cp)


def test_nothing_is_read_to_be_shown(ds, host_copies):
    assert "dask.array" in repr(ds) and "dask" in ds._repr_html_() and ds.wind.data._repr_html_()
    assert host_copies == []


@pytest.mark.parametrize("use", [lambda ds: ds.rain.fillna(0), lambda ds: ds.wind.rolling(time=3).mean()])
@pytest.mark.xfail(
    strict=True, raises=TypeError, reason="xarray makes NumPy arrays of numbers beside dask arrays of CuPy"
)
def test_numbers_that_xarray_puts_into_graphs(path, cupy_device, use):
    use(xr.open_dataset(path, engine="gpuzarr", device=cupy_device, chunks={})).compute()
