"""`gpuzarr.to_zarr` beside the `to_zarr` of xarray: the same documents, values, modes and errors."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import gpuzarr
import gpuzarr.xarray
from tests.integrations.xarray.stores import contents, without_defaults
from tests.integrations.xarray.weather import ENCODINGS, weather

zarr = pytest.importorskip("zarr")
ROOT = Path(gpuzarr.__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=[2, 3], ids=["v2", "v3"])
def zarr_format(request):
    return request.param


@pytest.fixture
def ds():
    return weather()


def read(place, **options):
    return xr.open_dataset(place, engine="zarr", chunks=None, **options).load()


def test_the_store_is_that_of_xarray(ds, zarr_format, tmp_path):
    ds.to_zarr(tmp_path / "theirs", zarr_format=zarr_format, encoding=ENCODINGS)
    gpuzarr.to_zarr(ds, tmp_path / "ours", zarr_format=zarr_format, encoding=ENCODINGS)
    assert without_defaults(contents(tmp_path / "ours")) == without_defaults(contents(tmp_path / "theirs"))
    xr.testing.assert_identical(read(tmp_path / "ours"), ds)


def test_what_is_written_otherwise_than_by_xarray(tmp_path):
    """The defaults of codecs and chunks are those of `gpuzarr.create_array`."""
    ds = xr.Dataset({"a": ("x", np.arange(10.0**6))})
    gpuzarr.to_zarr(ds, tmp_path / "2", zarr_format=2)
    gpuzarr.to_zarr(ds, tmp_path / "3")
    old, new = (gpuzarr.open(tmp_path / version, "a") for version in "23")
    made = gpuzarr.zeros(10**6, dtype="f8")
    assert old.chunks == new.chunks == made.chunks
    assert old.compressor.codec_id == "zstd" and new.compressors == made.compressors


def test_shards(ds, tmp_path):
    gpuzarr.to_zarr(ds, tmp_path / "a", encoding={"wind": {"chunks": (6, 3, 8), "shards": (24, 6, 8)}})
    wind = gpuzarr.open(tmp_path / "a", "wind")
    assert wind.shards == (24, 6, 8) and wind.chunks == (6, 3, 8) and wind.dimension_names == ds.wind.dims
    xr.testing.assert_identical(read(tmp_path / "a"), ds)
    again = xr.open_dataset(tmp_path / "a", engine="gpuzarr")
    gpuzarr.to_zarr(again, tmp_path / "b")
    assert gpuzarr.open(tmp_path / "b", "wind").shards == (24, 6, 8)


def test_all_that_xarray_writes_has_an_accessor(ds, tmp_path):
    tree = xr.DataTree.from_dict({"/": ds[["height"]], "/below/it": ds[["note"]]})
    ds.gpuzarr.to_zarr(tmp_path / "a")
    ds.wind.gpuzarr.to_zarr(tmp_path / "b", "w", encoding={"wind": {"chunks": (8, 6, 8)}})
    tree.gpuzarr.to_zarr(tmp_path / "c")
    xr.testing.assert_identical(read(tmp_path / "a"), ds)
    xr.testing.assert_identical(xr.open_dataarray(tmp_path / "b", engine="zarr"), ds.wind)
    xr.testing.assert_identical(xr.open_datatree(tmp_path / "c", engine="zarr").load(), tree)


def test_the_accessor_exists_without_a_word_about_it(tmp_path):
    """Whoever has used `gpuzarr.to_zarr`, or opened anything with xarray, has it; `import gpuzarr` loads no xarray."""
    for first in ("gpuzarr.to_zarr", "import gpuzarr.xarray", "xarray.backends.list_engines()"):
        code = (
            f"import gpuzarr, sys\nassert 'xarray' not in sys.modules\nimport xarray\n{first}\nxarray.Dataset().gpuzarr"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", [None, "time", "wind"])
def test_an_array_keeps_its_name(ds, tmp_path, name):
    array = ds.wind.rename(name)
    gpuzarr.to_zarr(array, tmp_path / "a")
    xr.testing.assert_identical(xr.open_dataarray(tmp_path / "a", engine="zarr"), array)


def test_a_store_in_memory_is_the_default(ds):
    made = gpuzarr.to_zarr(ds[["wind"]])
    xr.testing.assert_identical(xr.open_dataset(made.zarr_group.store, engine="gpuzarr", device="cpu"), ds[["wind"]])


def test_groups_and_modes(ds, tmp_path):
    gpuzarr.to_zarr(ds, tmp_path / "a", group="one/two")
    gpuzarr.to_zarr(ds[["height"]], tmp_path / "a", group="other", mode="a")
    with pytest.raises(gpuzarr.errors.ExistsError):
        gpuzarr.to_zarr(ds, tmp_path / "a", group="other")
    gpuzarr.to_zarr(ds[["note"]], tmp_path / "a", group="other", mode="w")
    assert set(read(tmp_path / "a", group="other").data_vars) == {"note"}
    xr.testing.assert_identical(read(tmp_path / "a", group="one/two"), ds)


def test_consolidated_metadata(ds, tmp_path):
    for consolidated, expected in ((None, True), (True, True), (False, False)):
        gpuzarr.to_zarr(ds, tmp_path / "a", mode="w", consolidated=consolidated)
        assert ("consolidated_metadata" in json.loads((tmp_path / "a" / "zarr.json").read_text())) == expected


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_group_that_exists_is_found_by_the_metadata_consolidated_at_the_root(ds, zarr_format, tmp_path):
    options = {"group": "one/two", "consolidated": True}
    gpuzarr.to_zarr(ds[["height"]], tmp_path / "a", zarr_format=zarr_format, **options)
    gpuzarr.to_zarr(ds[["height"]] * 2, tmp_path / "a", mode="r+", **options)
    assert (read(tmp_path / "a", group="one/two")["height"] == ds["height"] * 2).all()


def test_archives_are_complete(ds, tmp_path):
    gpuzarr.to_zarr(ds, str(tmp_path / "a.zip"))
    xr.testing.assert_identical(xr.open_dataset(tmp_path / "a.zip", engine="gpuzarr", device="cpu"), ds)


def test_empty_chunks(tmp_path):
    ds = xr.Dataset({"a": ("x", np.zeros(6))})
    for empty in (True, False):
        for given in ({"write_empty_chunks": empty}, {"encoding": {"a": {"write_empty_chunks": empty}}}):
            options = {"encoding": {"a": {}}} | given
            options["encoding"]["a"] |= {"chunks": (2,), "fill_value": 0.0}
            gpuzarr.to_zarr(ds, tmp_path / "a", mode="w", **options)
            assert gpuzarr.open(tmp_path / "a", "a").nchunks_initialized == (3 if empty else 0)
    with pytest.raises(ValueError, match="write_empty_chunks"):
        gpuzarr.to_zarr(ds, tmp_path / "b", write_empty_chunks=True, encoding={"a": {"write_empty_chunks": False}})


class TestDask:
    def test_blocks_are_written_when_they_are_computed(self, ds, tmp_path):
        made = gpuzarr.to_zarr(ds.chunk(time=12), tmp_path / "a", compute=False)
        assert np.isnan(read(tmp_path / "a").wind).all()
        made.compute()
        xr.testing.assert_identical(read(tmp_path / "a"), ds)

    def test_processes(self, ds, tmp_path):
        import dask

        with dask.config.set(scheduler="processes", num_workers=2):
            gpuzarr.to_zarr(ds[["wind", "t2m"]].chunk(time=12), tmp_path / "a")
        xr.testing.assert_identical(read(tmp_path / "a"), ds[["wind", "t2m"]])

    def test_workers_of_a_cluster(self, ds, tmp_path):
        pytest.importorskip("distributed")
        from tests.integrations.dask.cluster import client

        made = gpuzarr.to_zarr(ds[["wind", "t2m"]].chunk(time=12), tmp_path / "a", compute=False)
        with client() as workers, workers.cluster:
            workers.compute(made).result(timeout=60)
        xr.testing.assert_identical(read(tmp_path / "a"), ds[["wind", "t2m"]])

    def test_blocks_that_share_a_shard_are_refused(self, ds, tmp_path):
        encoding = {"wind": {"chunks": (6, 6, 8), "shards": (24, 6, 8)}}
        with pytest.raises(ValueError, match="would overlap multiple Dask chunks"):
            gpuzarr.to_zarr(ds.wind.chunk(time=12), tmp_path / "a", encoding=encoding)
        gpuzarr.to_zarr(ds.wind.chunk(time=12), tmp_path / "b", encoding=encoding, align_chunks=True)
        xr.testing.assert_identical(read(tmp_path / "b").wind, ds.wind)

    def test_arrays_without_elements(self, tmp_path):
        ds = xr.Dataset({"a": (("x", "y"), np.empty((5, 0)))}).chunk(x=2)
        gpuzarr.to_zarr(ds, tmp_path / "a")
        xr.testing.assert_identical(read(tmp_path / "a"), ds.compute())
        assert ds.a.chunks is not None


ERRORS = {
    "nothing of xarray": (lambda ds: {"data": np.zeros(3)}, gpuzarr.errors.ArgumentError),
    "a device": (lambda ds: {"device": "tpu"}, gpuzarr.errors.DeviceError),
    "a mode": (lambda ds: {"mode": "x"}, ValueError),
    "a mode to append": (lambda ds: {"mode": "w", "append_dim": "time"}, ValueError),
    "a region to overwrite": (lambda ds: {"mode": "w", "region": "auto"}, ValueError),
    "a name": (lambda ds: {"data": ds.rename(wind="")}, ValueError),
    "an encoding": (lambda ds: {"encoding": {"wind": {"colour": 3}}}, ValueError),
    "a group of a tree": (lambda ds: {"data": xr.DataTree(ds), "group": "a"}, NotImplementedError),
    "an encoding of a tree": (lambda ds: {"data": xr.DataTree(ds), "encoding": {"/no": {}}}, ValueError),
    "what appends to a tree": (lambda ds: {"data": xr.DataTree(ds), "append_dim": "time"}, NotImplementedError),
}


@pytest.mark.parametrize("given, error", ERRORS.values(), ids=ERRORS)
def test_errors_come_before_anything_is_written(ds, tmp_path, given, error):
    options = {"data": ds, "store": tmp_path / "a"} | given(ds)
    with pytest.raises(error):
        gpuzarr.to_zarr(**options)
    if "encoding" not in options:
        assert not (tmp_path / "a").exists()


def test_what_is_given_is_not_changed(ds, tmp_path):
    chunked = ds.chunk(time=12)
    encodings = {name: dict(each.encoding) for name, each in chunked.variables.items()}
    encoding = {name: dict(each) for name, each in ENCODINGS.items() if name != "t2m"}
    gpuzarr.to_zarr(chunked, tmp_path / "a", encoding=encoding, safe_chunks=False)
    assert encodings == {name: dict(each.encoding) for name, each in chunked.variables.items()}
    assert chunked.wind.chunks is not None and chunked.attrs == ds.attrs
    xr.testing.assert_identical(chunked.compute(), ds)


def test_zarr_python_is_not_needed(ds, tmp_path):
    ds.drop_vars(["note", "half"]).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    code = """if True:
        import sys
        sys.modules["zarr"] = None
        import xarray, gpuzarr
        folder = sys.argv[1]
        ds = xarray.open_dataset(f"{folder}/a.nc", engine="h5netcdf")
        for version in (2, 3):
            place = f"{folder}/{version}.zarr"
            gpuzarr.to_zarr(ds, place, zarr_format=version)
            gpuzarr.to_zarr(ds, place, append_dim="time")
            again = xarray.open_dataset(place, engine="gpuzarr", device="cpu")
            gpuzarr.to_zarr(again.isel(time=slice(0, 48)), place, mode="a", group="a")
            again = xarray.open_dataset(place, engine="gpuzarr", group="a", device="cpu")
            xarray.testing.assert_equal(again, ds)
    """
    pytest.importorskip("h5netcdf")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=ROOT)


def test_a_misspelt_variable_is_found_before_anything_is_written(ds, tmp_path):
    with pytest.raises(KeyError, match="none of the variables"):
        gpuzarr.to_zarr(ds, tmp_path / "new", encoding={"no such": {}})
    assert not (tmp_path / "new").exists()


def test_what_to_do_where_something_exists_is_told(ds, tmp_path):
    gpuzarr.to_zarr(ds, tmp_path / "a")
    with pytest.raises(gpuzarr.ExistsError, match='mode="w" replaces it'):
        gpuzarr.to_zarr(ds, tmp_path / "a")
