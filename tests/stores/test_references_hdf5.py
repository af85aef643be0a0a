"""Files of HDF5 and NetCDF4 as stores: whatever h5py reads is read, with the same values."""

from __future__ import annotations

import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.errors import ChangedError, GpuZarrWarning, StoreError, StoreKindError, UnsupportedError
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.references.files import store_of_file
from gpuzarr.stores.references.hdf5 import chunks, table
from tests import corpus
from tests.conftest import examples
from tests.hardware import host_array
from tests.stores.forking import holds_in_child

h5py = pytest.importorskip("h5py")
hdf5plugin = pytest.importorskip("hdf5plugin")
rng = np.random.default_rng(11)
VALUES = rng.integers(-1000, 1000, (50, 33)).astype("<i4")


def opened(path: Any, name: str = "", **options: Any) -> Any:
    return gpuzarr.open(store_of_file(path), path=name, mode="r", **options)


def file_with(path: Path, **datasets: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file.create_dataset(name, **data)
    return path


# the corpus


def rows() -> list[dict[str, Any]]:
    path = corpus.ROOT / "expected_hdf5.json"
    return [row for row in json.loads(path.read_text()) if "sha256" in row] if path.exists() else []


REFUSED = {"vlen2.h5/vlen_str"} | {
    f"references.hdf5/{name}"
    for name in ("ref_dataset", "regionref_dataset", "chunked_ref_dataset", "chunked_regionref_dataset")
}
PADDED = {"obs", "phony_compound_var"}  # records with padding, which h5py keeps and Zarr does not


@corpus.needed
@pytest.mark.filterwarnings("ignore::gpuzarr.errors.GpuZarrWarning")
@pytest.mark.parametrize("name", sorted({row["file"] for row in rows()}))
def test_all_datasets_of_the_corpus_have_the_values_of_h5py(name: str) -> None:
    store = store_of_file(corpus.ROOT / name)
    for row in (row for row in rows() if row["file"] == name):
        path = row["dataset"]
        if f"{name.rpartition('/')[2]}/{path}" in REFUSED:
            with pytest.raises(UnsupportedError, match=r"HDF5: (records|references)"):
                gpuzarr.open(store, path=path, mode="r")
            continue
        array = gpuzarr.open(store, path=path, mode="r", device="cpu")
        if path in PADDED:
            with h5py.File(corpus.ROOT / name) as file:
                want = file[path][...]
            assert all(np.array_equal(array[...][field], want[field]) for field in want.dtype.names)
        else:
            assert corpus.digest(array[...]) == row["sha256"], path


# what h5py writes

FILTERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "deflate": {"compression": 4},
    "shuffle and deflate": {"compression": "gzip", "shuffle": True},
    "all of NetCDF4": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "fletcher32": {"fletcher32": True},
    "shuffle": {"shuffle": True},
    "blosc": dict(hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=1)),
    "blosc of bits": dict(hdf5plugin.Blosc(cname="zstd", clevel=3, shuffle=2)),
    "zstd": dict(hdf5plugin.Zstd(clevel=5)),
    "shuffle and zstd": {**dict(hdf5plugin.Zstd()), "shuffle": True},
    "bzip2": dict(hdf5plugin.BZip2()),
    "lz4": dict(hdf5plugin.LZ4()),
    "lz4 of small blocks": dict(hdf5plugin.LZ4(nbytes=100)),
    "bitshuffle": dict(hdf5plugin.Bitshuffle(cname="lz4")),
    "bitshuffle zstd": dict(hdf5plugin.Bitshuffle(cname="zstd", clevel=3)),
    "bitshuffle alone": dict(hdf5plugin.Bitshuffle(cname="none")),
    "bitshuffle of few": dict(hdf5plugin.Bitshuffle(nelems=64, cname="lz4")),
    "shuffle, then bitshuffle": {**dict(hdf5plugin.Bitshuffle(cname="lz4")), "shuffle": True},
    "lzf": {"compression": "lzf"},
    "shuffle and lzf": {"compression": "lzf", "shuffle": True},
    "scaleoffset": {"scaleoffset": 0},
    "szip": {"compression": "szip"},
}
BY_LIBRARY = {"scaleoffset", "szip"}


@pytest.mark.parametrize("name", FILTERS)
def test_filters(name: str, tmp_path: Path) -> None:
    path = file_with(tmp_path / "f.h5", a={"data": VALUES, "chunks": (20, 10), **FILTERS[name]})
    store = store_of_file(path)
    array = gpuzarr.open(store, path="a", mode="r", device="cpu")
    assert np.array_equal(array[...], VALUES) and np.array_equal(array[7:31, ::3], VALUES[7:31, ::3])
    assert array.shape == VALUES.shape and array.chunks == (20, 10)
    assert store.table._arrays["a"].how.by_library == (name in BY_LIBRARY)


OF_A_GPU = ["plain", "all of NetCDF4", "szip", *(name for name in FILTERS if "bitshuffle" in name or "lz4" in name)]


@pytest.mark.parametrize("name", OF_A_GPU)
def test_a_gpu_decodes_them(name: str, tmp_path: Path, gpu: Any) -> None:
    path = file_with(tmp_path / "f.h5", a={"data": VALUES, "chunks": (20, 10), **FILTERS[name]})
    array = opened(path, "a", device=gpu)
    assert np.array_equal(host_array(array[...]), VALUES)
    assert np.array_equal(host_array(array[3:44, 5:]), VALUES[3:44, 5:])


DTYPES = [
    *("?", "i1", "u1", "<i2", ">i2", "<u4", ">u4", "<i8", ">u8", "<f2", ">f4", "<f8", "<c8", ">c16", "S5", "V3"),
    [("a", "<i2"), ("b", ">f8"), ("c", "S3")],
    [("a", "<i2"), ("b", [("x", "<f4"), ("y", "<f4", (2, 3))])],
    np.dtype([("a", "i1"), ("b", "<f8")], align=True),
    h5py.enum_dtype({"low": 1, "high": 2}, "<u2"),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", [{}, {"chunks": (3,)}, {"chunks": (3,), "compression": 1, "shuffle": True}], ids=str)
def test_dtypes(dtype: Any, layout: dict[str, Any], tmp_path: Path) -> None:
    dtype = np.dtype(dtype)
    values = np.frombuffer(bytes(range(1, 1 + 7 * dtype.itemsize)), np.uint8).view(dtype.newbyteorder("="))
    values = values.astype(bool) if dtype.kind == "b" else values
    path = file_with(tmp_path / "f.h5", a={"data": values.astype(dtype), **layout})
    with h5py.File(path) as file:
        want = file["a"][...]
    found = opened(path, "a", device="cpu")[...]
    names = dtype.names or [...]
    assert all(np.array_equal(found[name], want[name]) for name in names)


def test_types_that_hdf5_converts(tmp_path: Path) -> None:
    """Their stored bytes are not those of any type of NumPy."""
    with h5py.File(tmp_path / "f.h5", "w") as file:
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_fields(31, 24, 7, 0, 24)
        kind.set_ebias(63)
        space = h5py.h5s.create_simple((5,))
        h5py.h5d.create(file.id, b"odd", kind, space).write(space, space, np.arange(5, dtype="f4"))
        padded = h5py.h5t.C_S1.copy()
        padded.set_size(6)
        padded.set_strpad(h5py.h5t.STR_SPACEPAD)
        text = h5py.h5d.create(file.id, b"spaces", padded, space)
        text.write(space, space, np.array([b"ab", b"c", b"", b"defghi", b" x"], "S6"))
    with h5py.File(tmp_path / "f.h5") as file:
        for name in ("odd", "spaces"):
            assert opened(tmp_path / "f.h5", name)[...].tolist() == file[name][...].tolist()


def test_texts_and_sequences_of_any_length(tmp_path: Path) -> None:
    texts = np.array([f"ä{i}" * (i % 7) for i in range(40)], object).reshape(8, 5)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("text", data=texts, dtype=h5py.string_dtype(), chunks=(3, 2), compression=1)
        file.create_dataset("flat", data=texts, dtype=h5py.string_dtype())
        lists = file.create_dataset("lists", (5,), dtype=h5py.vlen_dtype("<i4"), chunks=(2,))
        for i in range(5):
            lists[i] = range(i)
        file.create_dataset("none", (4,), dtype=h5py.string_dtype(), chunks=(2,))
    group = opened(tmp_path / "f.h5", device="cpu")
    assert group["text"][...].tolist() == group["flat"][...].tolist() == texts.tolist()
    assert group["text"][2:5, 1].tolist() == texts[2:5, 1].tolist()
    assert [each.tolist() for each in group["lists"][...]] == [list(range(i)) for i in range(5)]
    assert group["none"][...].tolist() == [""] * 4


def test_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "PIECE_BYTES", 2000)
    with h5py.File(tmp_path / "f.h5", "w", userblock_size=1024) as file:
        file["scalar"], file["flat"], file["text"] = 7.5, VALUES, "one"
        file["long"] = np.arange(1009)  # a prime number
        file["deep"] = np.arange(3 * 5 * 700).reshape(3, 5, 700)
        file.create_dataset("unwritten", (7, 3), "f4", fillvalue=np.nan)
        file.create_dataset("holes", (100, 3), "i2", chunks=(10, 3), fillvalue=-1)[50:60] = 1
        file.create_dataset("empty", (0, 3), "i2", chunks=(10, 3), maxshape=(None, 3))
        smaller = file.create_dataset("smaller", data=VALUES, chunks=(7, 9), maxshape=(None, None), compression=1)
        smaller.resize((20, 11))
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((5,))
        h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I32BE, space, layout).write(
            space, space, np.arange(5, dtype="i4")
        )
        file["nothing"] = h5py.Empty("f4")
    with pytest.warns(GpuZarrWarning, match="1 members of 'f.h5' .*'nothing': no values at all"):
        group = opened(tmp_path / "f.h5", device="cpu")
    assert sorted(group) == sorted(
        ("scalar", "flat", "text", "long", "deep", "unwritten", "holes", "empty", "smaller", "compact")
    )
    with h5py.File(tmp_path / "f.h5") as file:
        for name in group:
            want = file[name].asstr()[()] if name == "text" else file[name][()]
            np.testing.assert_array_equal(group[name][...], want)
    assert group["flat"].chunks == (10, 33) and group["deep"].chunks == (1, 1, 175) and group["long"].chunks == (1009,)
    assert group["holes"].nchunks_initialized == 1


def test_chunks_that_were_written_without_filters(tmp_path: Path) -> None:
    """Each chunk says which filters it went through."""
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = file.create_dataset("a", (40, 33), "<i4", chunks=(20, 33), compression=1, shuffle=True, fletcher32=True)
        made[...] = VALUES[:40]
        shuffled = VALUES[20:40].view(np.uint8).reshape(-1, 4).T.tobytes()
        made.id.write_direct_chunk((20, 0), shuffled, 0b110)
    with h5py.File(tmp_path / "f.h5") as file:
        assert np.array_equal(file["a"][...], VALUES[:40])
    assert np.array_equal(opened(tmp_path / "f.h5", "a", device="cpu")[...], VALUES[:40])


@pytest.mark.parametrize("most", [0, 10**9])
def test_chunks_are_looked_for_one_by_one_or_all_at_once(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MANY_CHUNKS", 0)
    monkeypatch.setattr(table, "MAX_LOOKED", most)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = file.create_dataset("a", (50, 33), "<i4", chunks=(7, 9), maxshape=(None, None), **FILTERS["shuffle"])
        made[10:, 5:] = VALUES[10:, 5:]
        made.resize((45, 30))
        want = made[...]
    store = store_of_file(tmp_path / "f.h5")
    array = gpuzarr.open(store, path="a", mode="r", device="cpu")
    assert np.array_equal(array[20:22, 7], want[20:22, 7]) and array[44, 29] == want[44, 29]
    assert np.array_equal(array[...], want) and bool(store.table._located) == (not most)
    assert array[0, 0] == 0  # of a chunk that is not there


@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_any_shape_and_selection(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 9), max_size=3)))
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(">i4")
    layout: dict[str, Any] = {}
    if shape and data.draw(st.booleans()):
        layout = {"chunks": tuple(data.draw(st.integers(1, side)) for side in shape), "compression": 1}
    path = file_with(tmp_path_factory.mktemp("any") / "f.h5", a={"data": values, **layout})
    where = tuple(slice(*sorted(data.draw(st.tuples(*[st.integers(0, side)] * 2)))) for side in shape)
    assert np.array_equal(opened(path, "a", device="cpu")[where], values[where])


# groups, attributes, links


def test_groups_attributes_and_dimensions(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        a = file.create_dataset("g/h/a", data=VALUES)
        x = file.create_dataset("g/x", data=np.arange(50.0))
        x.make_scale("x")
        a.dims[0].attach_scale(x)
        hidden = file.create_dataset("g/y", data=np.zeros(33))
        hidden.make_scale("This is a netCDF dimension but not a netCDF variable.        33")
        a.dims[1].attach_scale(hidden)
        file["square"] = np.zeros((4, 4))
        for name, value in ATTRIBUTES.items():
            a.attrs[name] = value
        a.attrs["a reference"], a.attrs["empty"] = file["g"].ref, h5py.Empty("f4")
        file["g"].attrs["title"] = np.bytes_(b"Gro\xdf")
    group = opened(tmp_path / "f.h5")
    array = group["g/h/a"]
    assert sorted(group["g"]) == ["h", "x"] and group["g"].attrs["title"] == "Groß"
    assert group["g/y"].shape == (33,)  # by name it can be opened
    found = dict(array.attrs)
    assert found.pop("_ARRAY_DIMENSIONS") == ["x", "y"]
    assert array.metadata.dimension_names == ("x", "y") if hasattr(array.metadata, "dimension_names") else True
    assert {name: (value if value == value else "NaN") for name, value in found.items()} == {
        "text": "one",
        "bytes": "two",
        "number": 3,
        "one of one": 1.5,
        "list": [1, 2],
        "texts": ["a", "b"],
        "missing": "NaN",
        "flag": True,
    }
    assert group["square"].attrs["_ARRAY_DIMENSIONS"] == ["phony_dim_0", "phony_dim_1"]


ATTRIBUTES = {
    "text": "one",
    "bytes": np.bytes_(b"two"),
    "number": np.int16(3),
    "one of one": np.array([1.5]),
    "list": np.array([1, 2]),
    "texts": np.array(["a", "b"], object),
    "missing": np.nan,
    "flag": True,
}


def test_links_are_followed_where_that_is_allowed(tmp_path: Path) -> None:
    inner, outer = tmp_path / "in", tmp_path / "out"
    inner.mkdir()
    outer.mkdir()
    file_with(outer / "o.h5", a={"data": VALUES})
    file_with(inner / "beside.h5", a={"data": VALUES + 1}, b={"data": VALUES, "chunks": (9, 9), "compression": 1})
    with h5py.File(inner / "f.h5", "w") as file:
        file["here"] = VALUES + 2
        group = file.create_group("g")
        group["again"], group["up"] = h5py.SoftLink("/here"), h5py.SoftLink("/g")
        group["itself"], group["none"] = h5py.SoftLink("itself"), h5py.SoftLink("/nowhere")
        file["loop"] = group
        group["root"] = file["/"]
        file["beside"], file["lost"] = h5py.ExternalLink("beside.h5", "b"), h5py.ExternalLink("no.h5", "a")
        file["whole"], file["out"] = h5py.ExternalLink("beside.h5", "/"), h5py.ExternalLink("../out/o.h5", "a")
        file["through"] = h5py.SoftLink("/whole/a")
        file["dark"] = h5py.SoftLink("/far/a")
        file["far"] = h5py.ExternalLink(str(outer / "o.h5"), "/")
    with pytest.warns(GpuZarrWarning, match="cannot be read.*outside of their own folder"):
        found = opened(inner / "f.h5", device="cpu")
    assert sorted(found) == ["beside", "g", "here", "loop", "through", "whole"]
    assert sorted(found["g"]) == ["again"]
    for name, want in {"beside": VALUES, "whole/a": VALUES + 1, "through": VALUES + 1, "g/again": VALUES + 2}.items():
        assert np.array_equal(found[name][...], want), name
    for name in ("out", "dark", "far"):
        with pytest.raises(UnsupportedError, match="allow"):
            found[name]
    allowed = gpuzarr.open(store_of_file(inner / "f.h5", allow=outer), mode="r", device="cpu")
    assert all(np.array_equal(allowed[name][...], VALUES) for name in ("out", "dark", "far/a"))


def test_datasets_with_bytes_in_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    file_with(tmp_path / "o.h5", a={"data": np.arange(4)})
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("external", (4,), "i4", external=[(str(tmp_path / "secret"), 0, 16)])
        layout = h5py.VirtualLayout((4,), "i8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "o.h5"), "a", (4,))
        file.create_virtual_dataset("virtual", layout)
        file["own"] = np.arange(8)
        layout = h5py.VirtualLayout((4,), "i8")
        layout[:] = h5py.VirtualSource(file["own"])[::2]
        file.create_virtual_dataset("of itself", layout)
    with pytest.warns(GpuZarrWarning, match="2 members"):
        group = opened(tmp_path / "f.h5")
    assert group["of itself"][...].tolist() == [0, 2, 4, 6]
    for name, reason in {"external": "external storage", "virtual": "o.h5"}.items():
        with pytest.raises(UnsupportedError, match=rf"HDF5: .*other files.*{reason}"):
            group[name]


# stores


def test_files_in_any_store_and_copies_by_pickle(tmp_path: Path) -> None:
    path = file_with(
        tmp_path / "f.h5",
        a={"data": VALUES, "chunks": (20, 10), "compression": 1, "shuffle": True},
        b={"data": VALUES, "chunks": (9, 9), "scaleoffset": 0},
    )
    stores = store_of_file(path), store_of_file(MappingStore({"x/f.h5": path.read_bytes()}), "x/f.h5")
    for store in (*stores, *(pickle.loads(pickle.dumps(store)) for store in stores)):
        group = gpuzarr.open(store, mode="r", device="cpu")
        assert sorted(group) == ["a", "b"] and "f.h5" in repr(store)
        assert np.array_equal(group["a"][...], VALUES) and np.array_equal(group["b"][...], VALUES)
        sizes = dict(store.objects(""))
        assert sizes["b/0.0"] == 9 * 9 * 4 and sizes["a/0.0"] == len(store.get("a/0.0"))
        assert zlib.decompress(store.get("a/0.0"))[:1] is not None
        assert "0.0" in store.names("a") and store.names("") == [".zattrs", ".zgroup", "a", "b"]
    assert stores[0].table is store_of_file(path).table  # read once
    assert len(pickle.dumps(stores[0])) < 1000


def test_a_file_far_away_is_read_in_few_requests(tmp_path: Path) -> None:
    """As many bytes come as are wanted, and the blocks of a MiB that say where."""
    noise = rng.integers(0, 2**31, (40, 100, 1000)).astype("i4")
    many = {f"g{i}": {"data": VALUES, "chunks": (20, 10), "compression": 1} for i in range(20)}
    data = {"data": noise, "chunks": (1, 100, 1000)}
    file_with(tmp_path / "bucket/f.h5", a=data, b={"data": VALUES, "chunks": (9, 9), "scaleoffset": 0}, **many)
    with serving(tmp_path) as server:
        options = {"endpoint": server.url, "region": "us-east-1", "skip_signature": True}
        group = gpuzarr.open("s3://bucket/f.h5", mode="r", device="cpu", storage_options=options)
        assert len(list(group)) == 22
        opened = server.stats()
        assert opened.requests <= 8 and opened.body_bytes < 3 << 20
        assert np.array_equal(group["a"][7, 5:9], noise[7, 5:9])
        one = server.stats()
        assert one.requests <= 4 and one.body_bytes < 2 << 20
        assert np.array_equal(group["b"][...], VALUES)
        assert server.stats().requests <= 4
        assert all(np.array_equal(group[name][...], VALUES) for name in many)
        assert server.stats().requests <= 3 * len(many)


def test_a_file_that_is_replaced_is_not_read_as_the_old_one(tmp_path: Path) -> None:
    def write(values: np.ndarray) -> None:
        new = file_with(
            tmp_path / "new.h5",
            a={"data": values, "chunks": (20, 10), "compression": 1},
            b={"data": values, "chunks": (9, 9), "scaleoffset": 0},
        )
        new.rename(tmp_path / "f.h5")

    write(VALUES)
    old = opened(tmp_path / "f.h5", device="cpu")
    assert np.array_equal(old["a"][:5], VALUES[:5])
    write(VALUES[::-1])
    for name in "ab":
        with pytest.raises(ChangedError, match=r"f\.h5.*open it again"):
            old[name][...]
        assert np.array_equal(opened(tmp_path / "f.h5", name)[...], VALUES[::-1])


def test_a_refresh_changes_nothing_where_the_file_is_the_same(tmp_path: Path) -> None:
    path = file_with(tmp_path / "f.h5", a={"data": VALUES, "chunks": (20, 10)})
    group = opened(path, device="cpu")
    for node in (group["a"], group):
        node.refresh()
        assert np.array_equal(group["a"][...], VALUES)
    file_with(tmp_path / "new.h5", a={"data": VALUES, "chunks": (9, 9)}).rename(path)
    with pytest.raises(ChangedError, match=r"f\.h5.*open it again"):
        group["a"].refresh()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_reads(tmp_path: Path) -> None:
    group = opened(file_with(tmp_path / "f.h5", a={"data": VALUES}, b={"data": VALUES, "scaleoffset": 0}))
    assert np.array_equal(group["b"][...], VALUES)
    assert holds_in_child(lambda: all(np.array_equal(group[name][...], VALUES) for name in "ab"))


def test_what_is_no_file_of_hdf5(tmp_path: Path) -> None:
    (tmp_path / "text.nc").write_text("hello")
    (tmp_path / "cut.nc").write_bytes(file_with(tmp_path / "f.h5", a={"data": VALUES}).read_bytes()[:900])
    with pytest.raises(StoreKindError, match=r"'text.nc' .* no file of a format that is known: GRIB, HDF5"):
        store_of_file(tmp_path / "text.nc")
    with pytest.raises(StoreError, match=r"cannot read 'cut.nc'"):
        store_of_file(tmp_path / "cut.nc")
    with pytest.raises(StoreError, match="there is no file"):
        store_of_file(tmp_path / "none.nc")


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7000), st.integers(0, 255)), min_size=1, max_size=5))
def test_damaged_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    data = {"data": VALUES[:, :9], "chunks": (20, 5), "compression": 1}
    whole = bytearray(file_with(folder / "f.h5", a=data, b={"data": VALUES[0]}, c={"data": "text"}).read_bytes())
    for at, value in damage:
        whole[at % len(whole)] = value
    (folder / "f.h5").write_bytes(whole)
    try:
        store = store_of_file(LocalStore(folder), "f.h5")
        for key, _ in store.objects(""):
            store.get(key)
        gpuzarr.open(store, path="a", mode="r", device="cpu")[...]
    except gpuzarr.GpuZarrError:
        pass
