"""Whatever `gpuzarr.open` takes, the engine opens."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import xarray as xr

import gpuzarr
from tests.integrations.xarray.folders import objects
from tests.integrations.xarray.identical import assert_identical, assert_same_bits

zarr = pytest.importorskip("zarr")


def sample():
    """A small dataset with data, times and texts."""
    times = np.arange("2001-01-01", "2001-01-05", dtype="M8[D]").astype("M8[ns]")
    values = np.arange(12, dtype="float32").reshape(4, 3)
    made = xr.Dataset({"v": (("t", "x"), values)}, {"t": times, "x": list("abc")}, {"title": "sample"})
    made["packed"] = made.v.copy()
    made.packed.encoding = {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -1}
    return made


@pytest.fixture
def stored(tmp_path):
    """The path of a store that xarray has written."""
    sample().to_zarr(tmp_path / "a.zarr", zarr_format=2)
    return tmp_path / "a.zarr"


def opened(place, **options):
    return xr.open_dataset(place, engine="gpuzarr", device="cpu", **options)


def assert_sample(found):
    """What was opened is `sample()`."""
    xr.testing.assert_identical(found.load(), sample())


def zipped(folder):
    """The path of a zip with what is in a folder."""
    return shutil.make_archive(str(folder), "zip", folder)


def in_fsspec(folder):
    fsspec = pytest.importorskip("fsspec")
    return fsspec.get_mapper(f"file://{folder}")


def in_obstore(folder):
    return pytest.importorskip("obstore.store").LocalStore(str(folder))


def in_zarr_python(folder):
    return zarr.storage.LocalStore(folder)


def in_its_memory(folder):
    buffer = zarr.core.buffer.default_buffer_prototype().buffer
    return zarr.storage.MemoryStore({key: buffer.from_bytes(data) for key, data in objects(folder).items()})


def in_its_zip(folder):
    return zarr.storage.ZipStore(zipped(folder), mode="r")


def in_its_fsspec(folder):
    pytest.importorskip("fsspec")
    return zarr.storage.FsspecStore.from_url(f"file://{folder}", storage_options={"auto_mkdir": False})


PLACES = {
    "text": str,
    "slash": lambda folder: f"{folder}/",
    "pathlib": pathlib.Path,
    "url": lambda folder: f"file://{folder}",
    "dict": objects,
    "zip": zipped,
    "pipeline": lambda folder: f"file://{zipped(folder)}|zip:",
    "LocalStore": lambda folder: gpuzarr.storage.LocalStore(str(folder)),
    "group": lambda folder: gpuzarr.open_group(folder, device="cpu"),
    "store of a group": lambda folder: gpuzarr.open_group(folder, device="cpu").store,
    "fsspec": in_fsspec,
    "obstore": in_obstore,
    "zarr.LocalStore": in_zarr_python,
    "zarr.MemoryStore": in_its_memory,
    "zarr.ZipStore": in_its_zip,
    "zarr.FsspecStore": in_its_fsspec,
}


@pytest.mark.parametrize("kind", PLACES)
def test_places(stored, kind):
    assert_sample(opened(PLACES[kind](stored)))


def test_relative_paths(stored, monkeypatch):
    monkeypatch.chdir(stored.parent)
    monkeypatch.setenv("HOME", str(stored.parent))
    assert_sample(opened("a.zarr"))
    assert_sample(opened("./a.zarr/"))
    assert_sample(opened("~/a.zarr"))


def test_relative_paths_stay_where_they_were(stored, monkeypatch, tmp_path):
    monkeypatch.chdir(stored.parent)
    found = opened("a.zarr")
    os.mkdir(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert_sample(found)


def test_urls(stored):
    gpuzarr.open_group("memory://xread", mode="w", zarr_format=2).store.mapping.update(objects(stored))
    assert_sample(opened("memory://xread"))
    with pytest.raises(gpuzarr.errors.StoreKindError, match="are for URLs of other machines"):
        opened(stored, storage_options={"anon": True})


def test_groups_below(tmp_path):
    sample().to_zarr(tmp_path / "b.zarr", group="one/two")
    assert_sample(opened(tmp_path / "b.zarr", group="one/two"))
    assert_sample(opened(tmp_path / "b.zarr", group="/one/two/"))
    assert_sample(opened(gpuzarr.open_group(tmp_path / "b.zarr", device="cpu"), group="one/two"))
    assert_sample(opened(gpuzarr.open_group(tmp_path / "b.zarr", device="cpu")["one"], group="two"))


def test_references_of_kerchunk(stored, tmp_path):
    document = {"version": 1, "refs": {}}
    for key, data in objects(stored).items():
        whole = [f"file://{stored}/{key}", 0, len(data)]
        document["refs"][key] = data.decode() if key.rpartition("/")[2].startswith(".z") else whole
    beside = {"allow": [f"{stored}/"]}
    (tmp_path / "a.zarr/refs.json").write_text(json.dumps(document))
    assert_sample(opened(tmp_path / "a.zarr/refs.json"))
    assert_sample(opened(document, storage_options=beside))
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs/refs.json").write_text(json.dumps(document))
    assert_sample(opened(tmp_path / "refs/refs.json", storage_options=beside))


@pytest.mark.parametrize("name", ["a.nc", "a.h5"])
def test_files_of_netcdf(tmp_path, name):
    pytest.importorskip("h5netcdf")
    pytest.importorskip("h5py")
    made = sample().assign_coords(level=("y", [1, 2])).assign(scalar=3.5)
    made.v.encoding = {"chunksizes": (2, 2), "zlib": True, "shuffle": True, "_FillValue": np.float32(-99)}
    made.to_netcdf(tmp_path / name, engine="h5netcdf")
    with xr.open_dataset(tmp_path / name, engine="h5netcdf") as theirs:
        ours = opened(tmp_path / name)
        assert set(ours.variables) == set(theirs.variables)
        xr.testing.assert_identical(ours.load(), theirs.load())
        for variable in theirs.variables:
            if ours[variable].dtype.kind != "T":  # texts are what xarray's engine for Zarr makes of them
                assert_same_bits(ours[variable].values, theirs[variable].values, variable)


def test_sessions_of_icechunk(tmp_path):
    icechunk = pytest.importorskip("icechunk")
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "repository")))
    session = repository.writable_session("main")
    sample().to_zarr(session.store, zarr_format=3, consolidated=False)
    session.commit("a sample")
    readable = repository.readonly_session("main")
    assert_identical(opened(readable.store), xr.open_dataset(readable.store, engine="zarr", consolidated=False))
    assert_sample(opened(readable))


def test_arrays_without_names_of_dimensions(tmp_path):
    gpuzarr.create_array(tmp_path / "n.zarr", name="a", data=np.zeros((2, 3)))
    with pytest.raises(KeyError, match=r"'a'.* is missing the `dimension_names` metadata"):
        opened(tmp_path / "n.zarr")


def test_what_is_no_dataset(tmp_path, stored):
    with pytest.raises(FileNotFoundError, match=r"missing\.zarr"):
        opened(tmp_path / "missing.zarr")
    with pytest.raises(FileNotFoundError, match="'nothing'"):
        opened(stored, group="nothing")
    with pytest.raises(FileNotFoundError, match=r"gpuzarr\.Array .* is an array, not a group"):
        opened(stored, group="v")
    with pytest.raises(gpuzarr.errors.DeviceError, match="'tpu'"):
        xr.open_dataset(stored, engine="gpuzarr", device="tpu")
    with pytest.raises(gpuzarr.errors.ArgumentError, match="takes no memory_limit"):
        opened(gpuzarr.open_group(stored, device="cpu"), memory_limit="1MiB")
    with pytest.raises(FileNotFoundError, match="is an array, not a group"):
        opened(gpuzarr.open(stored, "v", device="cpu"))
    with pytest.raises(TypeError, match="no_such_option"):
        opened(stored, no_such_option=1)


def test_datasets_are_closed_like_others(stored):
    with opened(stored) as found:
        assert_sample(found)
    found = opened(stored)
    found.close()
    assert_sample(found)  # nothing is held open
