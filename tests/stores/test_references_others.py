"""References and files of other programs: xarray, kerchunk, VirtualiZarr, fsspec, tifffile, scipy, eccodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import MetadataError, StoreError, UnsupportedError
from gpuzarr.stores import references
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.references.files import store_of_file
from gpuzarr.stores.references.parquet import ParquetTable
from tests.conftest import examples
from tests.hardware import host_array

rng = np.random.default_rng(3)
TEMPERATURE = rng.normal(280, 5, (24, 30, 40)).round(2).astype("<f4")
KERCHUNK = "ignore::UserWarning:kerchunk"


HOURS = {"units": "hours since 2000-01-01", "dtype": "f8"}


def netcdf(path: Path, first: int = 0, steps: int = 5, has_text: bool = True) -> Path:
    """A file as xarray writes it, with chunks that are shuffled, deflated and checked."""
    xarray, _ = pytest.importorskip("xarray"), pytest.importorskip("h5netcdf")
    times = np.datetime64("2000-01-01", "ns") + np.arange(first, first + 24).astype("m8[h]")
    made = xarray.Dataset(
        {
            "t": (("time", "y", "x"), TEMPERATURE + first, {"units": "K"}),
            "packed": (("time", "y", "x"), np.where(TEMPERATURE > 290, np.nan, TEMPERATURE.round(1))),
            "station": ("y", np.array([f"station {i}" for i in range(30)], object)),
        },
        {"time": times, "y": np.arange(30.0), "x": np.arange(40, dtype=">f4")},
        {"title": "a test"},
    )
    chunked = {"zlib": True, "shuffle": True, "chunksizes": (steps, 10, 40)}
    packed = {"dtype": "int16", "scale_factor": 0.1, "_FillValue": -32767}
    made = made if has_text else made.drop_vars("station")
    encoding = {"t": {**chunked, "fletcher32": True}, "packed": {**chunked, **packed}, "time": HOURS}
    # so that kerchunk tells the times of several files apart
    made.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


def test_netcdf_of_xarray(tmp_path: Path, device: Any) -> None:
    import xarray

    path = netcdf(tmp_path / "x.nc")
    group = gpuzarr.open(store_of_file(path), mode="r", device=device)
    assert np.array_equal(host_array(group["t"][...]), TEMPERATURE)
    assert np.array_equal(host_array(group["t"][3:20:4, 11]), TEMPERATURE[3:20:4, 11])
    assert dict(group.attrs) == {"title": "a test"} and group["t"].attrs["units"] == "K"
    with xarray.open_dataset(path, decode_cf=False) as want:
        assert sorted(group) == sorted(map(str, want.variables))
        for name, variable in want.variables.items():
            array = group[str(name)]
            assert array.attrs["_ARRAY_DIMENSIONS"] == list(variable.dims)
            assert host_array(array[...]).tolist() == variable.values.tolist()
            assert array.attrs.get("scale_factor") == variable.attrs.get("scale_factor")
    assert group["packed"].fill_value == -32767


def test_xarray_reads_the_same_from_our_documents(tmp_path: Path) -> None:
    """The documents are those that xarray expects of Zarr, with the conventions of NetCDF."""
    import xarray

    path = netcdf(tmp_path / "x.nc")
    store = store_of_file(path)
    held = {key: store.get(key) for key, _ in store.objects("")}
    for key, value in held.items():
        (tmp_path / "copy" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / key).write_bytes(value or b"")
    with (
        xarray.open_dataset(path) as want,
        xarray.open_zarr(tmp_path / "copy", consolidated=False, chunks=None) as found,
    ):
        xarray.testing.assert_equal(found.drop_vars("station"), want.drop_vars("station"))
        assert found.station.values.tolist() == want.station.values.tolist()


@pytest.mark.filterwarnings(KERCHUNK, "ignore:.*fastparquet.*", "ignore:Numcodecs codecs are not")
@pytest.mark.parametrize("form", ["json", "parquet"])
@pytest.mark.parametrize("maker", ["kerchunk", "VirtualiZarr"])
def test_references_of_netcdf_made_by_others(maker: str, form: str, tmp_path: Path, device: Any) -> None:
    """kerchunk leaves out what has a checksum."""
    path = netcdf(tmp_path / "x.nc", has_text=maker == "kerchunk")  # which VirtualiZarr does not take
    target = tmp_path / ("refs.json" if form == "json" else "refs.parquet")
    if maker == "kerchunk":
        made = by_kerchunk(path)
        if form == "json":
            target.write_text(json.dumps(made))
        else:
            as_parquet(made, target, record_size=7)
    else:
        by_virtualizarr(path, target, form)
    store = references.store_of(LocalStore(tmp_path), target.name)
    assert isinstance(store.table, ParquetTable) == (form == "parquet")
    ours, theirs = (gpuzarr.open(each, mode="r", device=device) for each in (store_of_file(path), store))
    for name in ("packed", "x", "y", *(("t",) if maker == "VirtualiZarr" else ())):
        assert np.array_equal(host_array(theirs[name][...]), host_array(ours[name][...]))
        assert np.array_equal(host_array(theirs[name][5:9]), host_array(ours[name][5:9]))


def by_kerchunk(path: Path) -> Any:
    hdf = pytest.importorskip("kerchunk.hdf")
    return hdf.SingleHdf5ToZarr(str(path), inline_threshold=200, error="ignore").translate()


def by_virtualizarr(path: Path, target: Path, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("fastparquet")
    virtualizarr, obstore = pytest.importorskip("virtualizarr"), pytest.importorskip("obstore")
    from obspec_utils.registry import ObjectStoreRegistry

    registry = ObjectStoreRegistry({"file://": obstore.store.LocalStore()})
    found = virtualizarr.open_virtual_dataset(
        f"file://{path}", registry=registry, parser=virtualizarr.parsers.HDFParser()
    )
    found.vz.to_kerchunk(str(target), format=form, **({"record_size": 7} if form == "parquet" else {}))


def as_parquet(made: Any, target: Path, record_size: int) -> None:
    """Write references as kerchunk does."""
    mapper = pytest.importorskip("fsspec.implementations.reference").LazyReferenceMapper
    pytest.importorskip("pyarrow")
    out = mapper.create(str(target), record_size=record_size, engine="pyarrow")
    for key in sorted(made["refs"], key=lambda key: "/.z" not in key and not key.startswith(".z")):
        out[key] = made["refs"][key]
    out.flush()


@pytest.mark.filterwarnings(KERCHUNK)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_many_files_as_one_array_by_kerchunk(tmp_path: Path) -> None:
    combine = pytest.importorskip("kerchunk.combine")
    made = [by_kerchunk(netcdf(tmp_path / f"{i}.nc", 24 * i, steps=6)) for i in range(3)]
    whole = combine.MultiZarrToZarr(made, concat_dims=["time"], identical_dims=["x", "y", "station"]).translate()
    (tmp_path / "all.json").write_text(json.dumps(whole))
    one = gpuzarr.open(references.store_of(LocalStore(tmp_path), "all.json"), mode="r", device="cpu")
    parts = [gpuzarr.open(store_of_file(tmp_path / f"{i}.nc"), mode="r", device="cpu") for i in range(3)]
    assert one["packed"].shape == (72, 30, 40)
    assert np.array_equal(one["packed"][...], np.concatenate([part["packed"][...] for part in parts]))


# parquet


def parquet_of(folder: Path, refs: dict[str, Any], record_size: int = 4) -> references.PartsStore:
    as_parquet({"refs": refs}, folder / "refs.parquet", record_size)
    return references.store_of(LocalStore(folder), "refs.parquet")


ZARRAY = {
    "zarr_format": 2,
    "shape": [10, 30],
    "chunks": [1, 10],
    "dtype": "|u1",
    "fill_value": 9,
    "order": "C",
    "compressor": None,
    "filters": None,
}
BYTES = np.arange(200, dtype=np.uint8)


@settings(max_examples=examples(30), deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 9), st.integers(0, 2)),
        st.sampled_from(["range", "whole", "raw", "base64"]),
        max_size=30,
    ),
    st.integers(1, 9),
)
def test_parquet_has_what_json_has(
    tmp_path_factory: pytest.TempPathFactory, chunks: dict[tuple[int, int], str], size: int
) -> None:
    folder = tmp_path_factory.mktemp("parquet")
    (folder / "data").write_bytes(BYTES.tobytes())
    refs: dict[str, Any] = {".zgroup": '{"zarr_format": 2}', "a/.zarray": json.dumps(ZARRAY)}
    for (i, j), kind in chunks.items():
        (folder / f"{i}.{j}").write_bytes(BYTES[i : i + 10].tobytes())
        refs[f"a/{i}.{j}"] = {
            "range": ["data", 10 * i, 10],
            "whole": [f"{i}.{j}"],
            "raw": "x" * 10,
            "base64": "base64:AQIDBAUGBwgJCg==",
        }[kind]
    (folder / "refs.json").write_text(json.dumps(refs))
    plain = references.store_of(LocalStore(folder), "refs.json")
    packed = parquet_of(folder, refs, size)
    keys = [*refs, "a/9.2", "a/10.0", "a/0.3", "a/x", "a/0", "b", "a/01.0"]
    assert [packed.get(key) for key in keys[2:]] == [plain.get(key) for key in keys[2:]]
    assert set(packed.names("a")) == set(plain.names("a")) and packed.names("") == [".zgroup", ".zmetadata", "a"]
    assert {**dict(packed.objects("a")), "a/.zarray": 0} == {**dict(plain.objects("a")), "a/.zarray": 0}
    arrays = [gpuzarr.open(store, mode="r", device="cpu")["a"] for store in (plain, packed)]
    assert np.array_equal(*(array[...] for array in arrays)) and np.array_equal(*(array[3:7, 5] for array in arrays))


def test_files_of_parquet_are_read_when_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(BYTES.tobytes())
    refs = {"a/.zarray": json.dumps(ZARRAY)} | {f"a/{i}.{j}": ["data", i, 10] for i in range(10) for j in range(3)}
    store = parquet_of(tmp_path, refs)
    assert gpuzarr.open(store, path="a", mode="r")[0, :12].tolist() == [*range(10), 0, 1]
    assert list(store.table._kept) == [("a", 0)]
    (tmp_path / "refs.parquet/a/refs.5.parq").unlink()
    assert gpuzarr.open(store, path="a", mode="r")[7, 0] == 9  # the fill value
    again = __import__("pickle").loads(__import__("pickle").dumps(store))
    assert again.get("a/1.1") == store.get("a/1.1") == BYTES[1:11].tobytes()


def test_a_grid_of_any_size_is_listed_at_once(tmp_path: Path) -> None:
    """Not one file of references after another, of those that it might have."""
    (tmp_path / "data").write_bytes(BYTES.tobytes())
    parquet_of(tmp_path, {"a/.zarray": json.dumps(ZARRAY), "a/0.1": ["data", 0, 10]})
    index = json.loads((tmp_path / "refs.parquet/.zmetadata").read_text())
    index["metadata"]["a/.zarray"]["shape"] = [10**15, 30]
    (tmp_path / "refs.parquet/.zmetadata").write_text(json.dumps(index))
    (tmp_path / f"refs.parquet/a/refs.{10**17}.parq").write_bytes(b"beyond the grid")
    store = references.store_of(LocalStore(tmp_path), "refs.parquet")
    assert dict(store.objects("a")).keys() == {"a/.zarray", "a/0.1"}
    assert store.names("a") == [".zarray", "0.1"]


def test_wrong_parquet_is_refused(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "data").write_bytes(BYTES.tobytes())
    parquet_of(tmp_path, {"a/.zarray": json.dumps(ZARRAY), "a/0.0": ["data", 0, 10]})
    file = tmp_path / "refs.parquet/a/refs.0.parq"
    columns: dict[str, Any] = {"path": ["data"] * 4, "offset": [0] * 4, "size": [10] * 4, "raw": [None] * 4}
    for wrong in (
        {"offset": [-1] * 4},
        {"size": [2**63 - 1] * 4, "offset": [1] * 4},
        {"path": [3] * 4},
        {"offset": ["a"] * 4},
        {name: value * 2 for name, value in columns.items()},
        {"raw": [b"base64:!"] * 4},
    ):
        pq.write_table(pa.table({**columns, **wrong}), file)
        again = references.store_of(LocalStore(tmp_path), "refs.parquet")
        with pytest.raises(MetadataError, match=r"refs\.0\.parq"):
            again.get("a/0.0")
    file.write_bytes(b"PAR1" * 9)
    with pytest.raises(MetadataError, match=r"refs\.0\.parq.* no parquet file"):
        references.store_of(LocalStore(tmp_path), "refs.parquet").get("a/0.0")
    for document in ("[]", "{}", '{"metadata": 3}', '{"metadata": {"a/.zarray": {"shape": [-1]}}}'):
        (tmp_path / "refs.parquet/.zmetadata").write_text(document)
        with pytest.raises(MetadataError, match=r"zmetadata|refs\.parquet"):
            references.store_of(LocalStore(tmp_path), "refs.parquet")
    slashed = {"metadata": {"a/.zarray": {**ZARRAY, "dimension_separator": "/"}}}
    (tmp_path / "refs.parquet/.zmetadata").write_text(json.dumps(slashed))
    with pytest.raises(UnsupportedError, match="dimension_separator"):
        references.store_of(LocalStore(tmp_path), "refs.parquet")


# other formats


@pytest.mark.filterwarnings(KERCHUNK)
def test_netcdf3(tmp_path: Path, device: Any) -> None:
    scipy, _ = pytest.importorskip("scipy.io"), pytest.importorskip("kerchunk")
    with scipy.netcdf_file(tmp_path / "3.nc", "w") as file:
        file.createDimension("t", None)
        file.createDimension("x", 5)
        file.createVariable("a", "f4", ("t", "x"))[:3] = np.arange(15).reshape(3, 5)
        file.createVariable("b", "i2", ("x",))[:] = np.arange(5)
    group = gpuzarr.open(store_of_file(tmp_path / "3.nc"), mode="r", device=device)
    assert host_array(group["a"][...]).tolist() == np.arange(15).reshape(3, 5).tolist()
    assert host_array(group["b"][...]).tolist() == list(range(5))


TIFFS: dict[str, dict[str, Any]] = {
    "plain strips": {"rowsperstrip": 16},
    "tiles": {"tile": (32, 32), "compression": "zlib"},
    "big-endian": {"tile": (32, 32), "byteorder": ">"},
    "differences": {"tile": (32, 32), "compression": "zlib", "predictor": True},
    "LZW": {"tile": (32, 32), "compression": "lzw"},
    "zstd": {"tile": (32, 32), "compression": "zstd"},
}


@pytest.mark.parametrize("name", TIFFS)
def test_tiff(name: str, tmp_path: Path) -> None:
    tifffile, _ = pytest.importorskip("tifffile"), pytest.importorskip("imagecodecs")
    values = rng.integers(0, 1000, (3, 64, 96)).astype("u2")
    tifffile.imwrite(tmp_path / "i.tif", values, photometric="minisblack", **TIFFS[name])
    array = gpuzarr.open(store_of_file(tmp_path / "i.tif"), mode="r", device="cpu")
    assert np.array_equal(array[...], values) and np.array_equal(array[1, 5:50, ::7], values[1, 5:50, ::7])


def test_tiff_of_several_images(tmp_path: Path) -> None:
    tifffile, _ = pytest.importorskip("tifffile"), pytest.importorskip("imagecodecs")
    with tifffile.TiffWriter(tmp_path / "i.tif") as file:
        for i in range(2):
            file.write(np.full((64, 32 * (i + 1)), i, "u1"), tile=(32, 32), compression="zlib")
    group = gpuzarr.open(store_of_file(tmp_path / "i.tif"), mode="r", device="cpu")
    assert [group[str(i)].shape for i in range(2)] == [(64, 32), (64, 64)] and (group["1"][...] == 1).all()


@pytest.mark.filterwarnings(KERCHUNK)
@pytest.mark.filterwarnings("ignore::UserWarning:cfgrib")
def test_grib(tmp_path: Path) -> None:
    eccodes, _ = pytest.importorskip("eccodes"), pytest.importorskip("cfgrib")
    message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    count = eccodes.codes_get(message, "numberOfValues")
    eccodes.codes_set_values(message, np.arange(count, dtype=float))
    with open(tmp_path / "g.grib2", "wb") as file:
        eccodes.codes_write(message, file)
    eccodes.codes_release(message)
    group = gpuzarr.open(store_of_file(tmp_path / "g.grib2"), mode="r", device="cpu")
    assert np.allclose(group["t"][...].reshape(-1), np.arange(count), atol=0.01)
    assert group["latitude"][0] == 60 and "time" in group


def test_damaged_files_of_other_formats(tmp_path: Path) -> None:
    for data in (b"CDF\1" + b"\xff" * 40, b"II*\0" + b"\xff" * 40, b"GRIB" + bytes(40)):
        (tmp_path / "f").write_bytes(data)
        with pytest.raises(StoreError, match="'f' of"):
            store_of_file(tmp_path / "f")
    (tmp_path / "f").write_bytes(b"CDF\5" + bytes(40))
    with pytest.raises(UnsupportedError, match="CDF-5"):
        store_of_file(tmp_path / "f")
