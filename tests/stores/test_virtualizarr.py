"""VirtualiZarr: files that xarray wrote, read through its manifests, and what it makes of them for others."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.parts import PartsStore
from tests.hardware import host_array

xr = pytest.importorskip("xarray")
virtualizarr = pytest.importorskip("virtualizarr")
h5netcdf = pytest.importorskip("h5netcdf")
registry = pytest.importorskip("obspec_utils.registry")
obstore = pytest.importorskip("obstore.store")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A NetCDF4 file with variables of many kinds."""
    rng = np.random.default_rng(3)
    values = rng.random((12, 30, 40)).astype("f4")
    dataset = xr.Dataset(
        {
            "t": (("time", "y", "x"), values),
            "plain": (("y", "x"), np.arange(1200.0).reshape(30, 40)),
            "big": (("x",), np.arange(40).astype(">i4")),
            "scalar": ((), np.int32(5)),
        },
        coords={"time": np.arange(12, dtype="i8")},
        attrs={"title": "a test"},
    )
    encoding = {"t": {"chunksizes": (1, 10, 20), "zlib": True, "shuffle": True}}
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding)
    return tmp_path / "a.nc"


def manifests(file: Path, stores: dict[str, Any] | None = None) -> Any:
    """The ManifestStore of a file."""
    reach = registry.ObjectStoreRegistry(stores or {"file://": obstore.LocalStore()})
    return virtualizarr.parsers.HDFParser()(url=file.as_uri(), registry=reach)


ARRAYS = ("t", "plain", "big", "time")


def check(group: gpuzarr.Group, file: Path, names: tuple[str, ...] = (*ARRAYS, "scalar")) -> None:
    with xr.open_dataset(file, engine="h5netcdf") as expected:
        for name in names:
            found = host_array(group[name][...])
            assert np.array_equal(found, expected[name].values) and found.dtype.kind == expected[name].dtype.kind
        assert np.array_equal(host_array(group["t"][3:9, 5:25, 7]), expected["t"].values[3:9, 5:25, 7])
        assert group.attrs["title"] == "a test"


def test_a_manifest_store_is_read_in_its_files(file: Path, device: Any) -> None:
    group = gpuzarr.open_group(manifests(file), device=device)
    check(group, file)
    holders = group.store.table.holders()
    assert {key for _, key in holders} == {str(file)[1:]}, "the ManifestStore was asked for chunks"
    check(pickle.loads(pickle.dumps(group)), file)
    with pytest.raises(gpuzarr.ReadOnlyError):
        gpuzarr.open_group(manifests(file), mode="r+")


def test_what_a_manifest_store_holds(file: Path) -> None:
    store = store_of(manifests(file))
    assert isinstance(store, PartsStore)
    assert store.names("") == ["big", "plain", "scalar", "t", "time", "zarr.json"]
    assert store.names("t") == ["c", "zarr.json"] and store.names("t/c/11") == ["0", "1", "2"]
    assert store.names("none") == store.names("t/c/12") == []
    sizes = dict(store.objects("t"))
    assert len(sizes) == 12 * 3 * 2 + 1 and sizes.keys() == {key for key in dict(store.objects("")) if key[:2] == "t/"}
    assert dict(store.objects("t/c/11")) == {key: n for key, n in sizes.items() if key.startswith("t/c/11/")}
    keys = ["t/c/0/0/0", "t/c/12/0/0", "t/c/0/0", "t/c/0/0/x", "none/zarr.json", "scalar/c", "t/zarr.json", "zarr.json"]
    with store.open(keys) as objects:
        assert [length > 0 for length in objects.lengths()] == [True, *[False] * 4, *[True] * 3]
    assert len(store.get("t/c/0/0/0")) == sizes["t/c/0/0/0"] and store.get("none/zarr.json") is None


def test_groups_and_missing_chunks(file: Path) -> None:
    """A tree of manifests, of which one has no chunks but one."""
    whole = manifests(file)
    array = whole._group.arrays["t"]
    shape = array.manifest.shape_chunk_grid
    paths, offsets, lengths = (np.array(column) for column in _columns(array.manifest))
    paths[:] = ""
    paths[2, 1, 0] = file.as_uri()
    thin = virtualizarr.manifests.ChunkManifest.from_arrays(
        paths=paths.reshape(shape), offsets=offsets.reshape(shape), lengths=lengths.reshape(shape)
    )
    inner = virtualizarr.manifests.ManifestGroup(
        arrays={"thin": virtualizarr.manifests.ManifestArray(metadata=array.metadata, chunkmanifest=thin)}
    )
    outer = virtualizarr.manifests.ManifestGroup(arrays={}, groups={"inner": inner})
    group = gpuzarr.open_group(virtualizarr.manifests.ManifestStore(outer, registry=whole._registry))
    assert sorted(group) == ["inner"] and sorted(group["inner"]) == ["thin"]
    found = group["inner/thin"]
    full = gpuzarr.open_group(whole)["t"][...]
    expected = np.full_like(full, found.fill_value)
    expected[2, 10:20, 0:20] = full[2, 10:20, 0:20]
    np.testing.assert_array_equal(found[...], expected)
    assert found.nchunks_initialized == 1


def _columns(manifest: Any) -> tuple[Any, Any, Any]:
    return manifest._paths, manifest._offsets, manifest._lengths


def test_a_place_that_the_registry_does_not_know_is_an_error(file: Path) -> None:
    whole = manifests(file)
    other = registry.ObjectStoreRegistry({"s3://bucket": obstore.MemoryStore()})
    lost = virtualizarr.manifests.ManifestStore(whole._group, registry=other)
    group = gpuzarr.open_group(lost)
    with pytest.raises(gpuzarr.StoreError, match="t/c/0/0/0"):
        group["t"][0, 0, 0]


def test_bytes_in_the_memory_of_obstore(file: Path) -> None:
    import obstore as obs

    memory = obstore.MemoryStore()
    obs.put(memory, "data/a.nc", file.read_bytes())
    reach = registry.ObjectStoreRegistry({"memory://": memory})
    group = gpuzarr.open_group(virtualizarr.parsers.HDFParser()(url="memory:///data/a.nc", registry=reach))
    check(group, file)


def test_through_icechunk(file: Path, device: Any) -> None:
    """Virtual references in a repository."""
    icechunk = pytest.importorskip("icechunk")
    prefix = f"file://{file.parent}/"
    config = icechunk.RepositoryConfig.default()
    container = icechunk.VirtualChunkContainer(prefix, icechunk.local_filesystem_store(str(file.parent)))
    config.set_virtual_chunk_container(container)
    storage = icechunk.local_filesystem_storage(str(file.parent / "repository"))
    access = getattr(getattr(icechunk, "credentials", None), "LocalFileSystemAccess", None)
    repo = icechunk.Repository.create(storage, config=config, authorize_virtual_chunk_access={prefix: access})
    session = repo.writable_session("main")
    with virtualizarr.open_virtual_dataset(
        file.as_uri(),
        registry=registry.ObjectStoreRegistry({"file://": obstore.LocalStore()}),
        parser=virtualizarr.parsers.HDFParser(),
    ) as dataset:
        dataset.vz.to_icechunk(session.store)
    session.commit("virtual")
    check(gpuzarr.open_group(repo, device=device), file)


def test_through_kerchunk(file: Path, device: Any) -> None:
    """A JSON file of references."""
    pytest.importorskip("ujson")
    with virtualizarr.open_virtual_dataset(
        file.as_uri(),
        registry=registry.ObjectStoreRegistry({"file://": obstore.LocalStore()}),
        parser=virtualizarr.parsers.HDFParser(),
    ) as dataset:
        dataset.vz.to_kerchunk(str(file.parent / "a.json"), format="json")
    assert "refs" in json.loads((file.parent / "a.json").read_text())
    # VirtualiZarr 2.8 gives the chunk of a scalar the key "scalar/", where no reader looks for it
    check(gpuzarr.open_group(str(file.parent / "a.json"), device=device), file, ARRAYS)
