"""Datasets of a GPU: what xarray computes with them stays there, and is what it computes with those of a CPU.

The arrays are those of CuPy, or of its stand-in, which refuses what CuPy refuses (`tests/cupy_stand_in`).
"""

import asyncio
import pickle

import numpy as np
import pytest
import xarray as xr
from xarray.core.indexing import ExplicitlyIndexed

from tests.hardware import host_array
from tests.integrations.xarray.weather import stored

pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore")

NUMBERS = ["t2m", "rain", "count", "wet", "wind", "height", "total"]
OTHERS = ["born", "note"]


@pytest.fixture(scope="module", params=[2, 3], ids=["v2", "v3"])
def path(request, tmp_path_factory):
    return stored(tmp_path_factory.mktemp("weather") / "weather.zarr", request.param)


@pytest.fixture
def ds(path, cupy_device):
    """The dataset, of which nothing is read yet."""
    return xr.open_dataset(path, engine="gpuzarr", device=cupy_device)


@pytest.fixture(scope="module")
def theirs(path):
    """The same dataset in NumPy's memory, as xarray and zarr-python read it."""
    return xr.open_dataset(path, engine="zarr").load()


def parts(result):
    """The variables of a result, by name."""
    if isinstance(result, xr.Dataset):
        return dict(result.variables)
    if isinstance(result, xr.DataArray):
        return {"": result.variable, **{name: each.variable for name, each in result.coords.items()}}
    return {number: each.variable for number, each in enumerate(result)}


def assert_same(ours, expected, cp):
    """Variables with the same values; those of numbers, apart from coordinates, are on the GPU."""
    of_ours, of_theirs = parts(ours), parts(expected)
    assert of_ours.keys() == of_theirs.keys()
    coordinates = set(getattr(expected, "coords", ()))
    for name, variable in of_ours.items():
        data, other = variable.data, of_theirs[name].data
        is_of_numpy = name in coordinates or other.dtype.kind in "MOT"
        assert isinstance(data, type(other) if is_of_numpy else cp.ndarray), name
        assert (variable.dims, data.dtype, data.shape) == (of_theirs[name].dims, other.dtype, other.shape), name
        if other.dtype.kind == "f":  # a GPU adds in another order
            np.testing.assert_allclose(host_array(data), other, rtol=2e-5 if other.dtype == "f4" else 1e-12, atol=1e-6)
        else:
            np.testing.assert_array_equal(host_array(data), other)


def points(ds):
    """Selects a point for each of three pairs of coordinates."""
    return ds.isel(time=xr.DataArray([1, 5, 47], dims="point"), lon=xr.DataArray([7, 2, 0], dims="point"))


SELECTED = {
    "all": lambda ds: ds,
    "one hour": lambda ds: ds.isel(time=3),
    "one element": lambda ds: ds.isel(time=-1, lat=2, lon=3),
    "slices": lambda ds: ds.isel(time=slice(3, 40, 5), lat=slice(None, None, -1)),
    "outer": lambda ds: ds.isel(time=[3, 1, 7], lat=[0, 2]),
    "pointwise": points,
    "twice": lambda ds: ds.isel(time=[5, 9, 1, 30]).isel(time=[3, 0], lon=slice(2, 5)),
    "by labels": lambda ds: ds.sel(lat=[-50, 50], lon=slice(5, 20), time="2024-02-28"),
    "nearest": lambda ds: ds.sel(lat=12, lon=[3, 31], method="nearest"),
    "mask": lambda ds: ds.isel(lat=np.array([True, False] * 3)),
    "head": lambda ds: ds.head(2),
    "dropped": lambda ds: ds.drop_sel(lat=-50),
    "turned": lambda ds: ds.transpose("lon", ...),
}


@pytest.mark.parametrize("select", SELECTED.values(), ids=SELECTED)
def test_selections_are_read_to_the_gpu(ds, theirs, cp, host_copies, select):
    chosen = select(ds)
    assert all(isinstance(chosen[name].variable._data, ExplicitlyIndexed) for name in NUMBERS)
    loaded = chosen.load()
    assert host_copies == []
    assert_same(loaded, select(theirs), cp)


@pytest.mark.parametrize("select", SELECTED.values(), ids=SELECTED)
def test_selections_of_what_is_read(ds, theirs, cp, host_copies, select):
    chosen = select(ds.load())
    assert host_copies == []
    assert_same(chosen, select(theirs), cp)


COMPUTED = {
    "mean": lambda ds: ds[NUMBERS].mean(),
    "mean over time": lambda ds: ds[NUMBERS].mean("time"),
    "sum": lambda ds: ds[NUMBERS].sum("lat"),
    "least sum": lambda ds: ds.rain.sum("time", min_count=45),
    "std": lambda ds: ds[NUMBERS].std("time"),
    "var": lambda ds: ds[["t2m", "wind"]].var("time", ddof=1),
    "min": lambda ds: ds[NUMBERS].min("lon"),
    "max": lambda ds: ds[NUMBERS].max(),
    "median": lambda ds: ds[["rain", "wind"]].median("time"),
    "count": lambda ds: ds[NUMBERS].count("time"),
    "prod": lambda ds: ds[["count", "wind"]].isel(time=slice(0, 3)).prod("time"),
    "any": lambda ds: ds.wet.any("time"),
    "all": lambda ds: ds.wet.all(),
    "argmax": lambda ds: ds.rain.argmax("time"),
    "cumsum": lambda ds: ds[["rain", "count"]].cumsum("time"),
    "without skipping NaN": lambda ds: ds.rain.mean("time", skipna=False),
    "numbers": lambda ds: 1 - ds[NUMBERS] * 2.0,
    "numbers of NumPy": lambda ds: ds[["rain", "wind"]] * np.float32(3) + np.int64(1),
    "reflected": lambda ds: 2 / (ds.wind + 10),
    "powers": lambda ds: -(ds.wind**2) // 3,
    "variables": lambda ds: ds.wind - ds.height * ds.total,
    "comparisons": lambda ds: (ds.wind > ds.rain) & ds.wet,
    "ufunc": lambda ds: np.sqrt(ds[["rain", "height"]]),
    "function": lambda ds: xr.apply_ufunc(lambda values: values * 2, ds.wind),
    "astype": lambda ds: ds.wind.astype("f4"),
    "round": lambda ds: ds.wind.round(1),
    "clip": lambda ds: ds.wind.clip(0, 1),
    "isnull": lambda ds: ds[["t2m", "rain", "count"]].isnull(),
    "where": lambda ds: ds[["rain", "count"]].where(ds.wet),
    "where else": lambda ds: ds.rain.where(ds.rain > 1, 0),
    "xr.where": lambda ds: xr.where(ds.wind > 0, ds.wind, -1.0),
    "fillna": lambda ds: ds[["t2m", "rain"]].fillna(0),
    "groups of days": lambda ds: ds[["wind", "rain", "count"]].groupby("time.day").mean(),
    "groups of hours": lambda ds: ds[["rain"]].groupby("time.hour").sum(),
    "groups of labels": lambda ds: ds.wind.groupby("half").max(),
    "groups of bins": lambda ds: ds.wind.groupby_bins("lat", [-60, 0, 60]).std(),
    "anomalies": lambda ds: ds.t2m.groupby("time.hour") - ds.t2m.groupby("time.hour").mean(),
    "mapped groups": lambda ds: ds.wind.groupby("half").map(lambda group: group - group.min("time")),
    "resample": lambda ds: ds[["wind", "rain"]].resample(time="6h").mean(),
    "resample sum": lambda ds: ds["count"].resample(time="1D").sum(),
    "coarsen": lambda ds: ds.wind.drop_vars("half").coarsen(time=4, lat=2).mean(),
    "rolling mean": lambda ds: ds.wind.rolling(time=3).mean(),
    "rolling sum": lambda ds: ds.rain.rolling(time=4, min_periods=1, center=True).sum(),
    "rolling windows": lambda ds: ds.wind.rolling(time=3, lat=2).construct(time="t", lat="l"),
    "dot": lambda ds: xr.dot(ds.wind, ds.height, dim=("lat", "lon")),
    "corr": lambda ds: xr.corr(ds.wind, ds.rain, dim="time"),
    "to_array": lambda ds: ds[["wind", "rain"]].to_array(),
    "stack": lambda ds: ds.wind.stack(place=("lat", "lon")).drop_vars(["place", "lat", "lon"]),
    "expand_dims": lambda ds: ds.wind.expand_dims(member=3),
    "broadcast": lambda ds: xr.broadcast(ds.height, ds.wind),
    "reindex": lambda ds: ds[["wind", "count"]].reindex(lat=[-50, 0, 50]),
    "shift": lambda ds: ds[["wind", "count"]].shift(time=2),
    "roll": lambda ds: ds.wind.roll(time=2),
    "pad": lambda ds: ds.wind.pad(lat=1),
    "diff": lambda ds: ds.wind.diff("time"),
    "integrate": lambda ds: ds.wind.integrate("lat"),
    "sortby": lambda ds: ds.wind.sortby("lat", ascending=False).load(),
    "assign": lambda ds: ds[["wind", "rain"]].assign(both=lambda each: each.wind + each.rain),
    "merge": lambda ds: xr.merge([ds[["wind"]], ds[["rain"]]]).load(),
    "new axis": lambda ds: xr.concat([ds.load().wind, ds.load().wind * 2], "member"),
    "concat": lambda ds: xr.concat(
        [ds.load()[NUMBERS].isel(time=slice(9)), ds[NUMBERS].isel(time=slice(9, 20))], "time"
    ),
    "copy": lambda ds: ds.load().copy(deep=True),
}


@pytest.mark.parametrize("compute", COMPUTED.values(), ids=COMPUTED)
def test_what_is_computed_stays_on_the_gpu(ds, theirs, cp, host_copies, compute):
    result = compute(ds)
    assert host_copies == []
    assert_same(result, compute(theirs), cp)


def test_xarray_itself_asks_for_a_few_numbers(ds, theirs, cp, host_copies):
    """Whether weights are numbers, and which of the labels have missing values."""
    weighted, dropped = ds.wind.weighted(ds.height).mean(("lat", "lon")), ds.rain.dropna("time", how="all")
    assert host_copies == ["__bool__", "get"]
    assert_same(weighted, theirs.wind.weighted(theirs.height).mean(("lat", "lon")), cp)
    assert_same(dropped, theirs.rain.dropna("time", how="all"), cp)


def test_coordinates_meet_data_when_they_are_brought_to_the_gpu(ds, theirs, cp, host_copies):
    """xarray keeps coordinates in NumPy's memory, and CuPy's arrays do not meet them."""

    def weighed(ds, asarray):
        weights = np.cos(np.deg2rad(ds.lat))
        return (ds.wind * weights.copy(data=asarray(weights.data))).where(
            ds.area.copy(data=asarray(ds.area.data)) > 0.5
        )

    result = weighed(ds, cp.asarray)
    assert host_copies == []
    assert_same(result, weighed(theirs, np.asarray), cp)
    with pytest.raises(TypeError):
        ds.wind * ds.area


@pytest.mark.xfail(strict=True, raises=TypeError, reason="xarray makes NumPy arrays of lazy values that it joins")
def test_what_is_joined_need_not_be_loaded(ds, cp):
    assert isinstance(
        xr.concat([ds.wind.isel(time=slice(9)), ds.wind.isel(time=slice(9, 20))], "time").data, cp.ndarray
    )


def test_nothing_is_read_to_be_shown(ds, cp, host_copies):
    shown, html = repr(ds), ds._repr_html_()
    assert "t2m" in shown and "weather" in html and ds.nbytes and ds.t2m.encoding and repr(ds.t2m)
    assert ds.t2m.encoding["dtype"] == np.dtype("int16")
    assert host_copies == [] and all(isinstance(ds[name].variable._data, ExplicitlyIndexed) for name in NUMBERS)


def test_what_is_read_is_shown(ds, theirs):
    loaded = ds.load()
    assert repr(loaded.total).splitlines()[0] == repr(theirs.total).splitlines()[0]
    assert "2.5" in repr(loaded.total) and "wind" in loaded._repr_html_()


def test_coordinates_times_and_texts_are_of_numpy(ds, cp, host_copies):
    ds.load()
    for name in [*ds.coords, *OTHERS]:
        assert isinstance(ds[name].data, np.ndarray), name
    assert host_copies == []


def test_as_numpy_copies_to_the_host(ds, theirs, host_copies):
    copied = ds.as_numpy()
    assert set(host_copies) == {"get"} and len(host_copies) == len(NUMBERS)
    xr.testing.assert_identical(copied.reset_encoding(), theirs.reset_encoding())
    np.testing.assert_array_equal(ds.rain.to_numpy(), theirs.rain.values)
    assert ds.as_numpy().to_dataframe().shape == theirs.to_dataframe().shape


def test_values_are_refused(ds):
    """`.values` is a NumPy array, which CuPy makes of none of its own arrays unless it is told to."""
    with pytest.raises(TypeError, match="Implicit conversion"):
        _ = ds.wind.values


def test_one_element_is_a_number_on_demand(ds, theirs):
    assert ds.total.item() == 2.5
    assert float(ds.wind.max().data) == theirs.wind.values.max()


def test_a_pickled_dataset_is_read_where_it_is_unpickled(ds, theirs, cp, host_copies):
    made = pickle.loads(pickle.dumps(ds))
    assert isinstance(made.wind.variable._data, ExplicitlyIndexed)
    loaded = made.load()
    assert host_copies == []
    assert_same(loaded, theirs, cp)


def test_loaded_by_coroutines(ds, theirs, cp, host_copies):
    async def load():
        await ds.load_async()

    asyncio.run(load())
    assert host_copies == []
    assert_same(ds, theirs, cp)


def test_reindex_reads_only_what_it_selects(ds, theirs, cp):
    chosen = ds.wind.isel(time=0).reindex(lat=[50, 51])
    assert_same(chosen, theirs.wind.isel(time=0).reindex(lat=[50, 51]), cp)
    values = ds.wind.variable._data
    while not hasattr(values, "steps"):
        values = values.array
    assert values.stored.last_read.result_bytes == 2 * 8 * 8
