"""What is written for zarr-python does the same here: values, documents, chunks, and who raises."""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs.numcodecs as of_numcodecs
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from tests.data import documents
from tests.hardware import host_array

ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
pytestmark = pytest.mark.skipif(ZARR < (3, 2), reason="this zarr-python says it as it did before")
SNIPPETS = {
    "open makes an array": """
z = zarr.open("a", mode="w", shape=(10, 10), chunks=(5, 5), dtype="i4"); z[:] = 1
R = zarr.open("a", mode="a", shape=(3,))[0], zarr.open_array("a", mode="r+", shape=(10, 10)).shape
""",
    "open makes one of v2": """
z = zarr.open_array("a", mode="w", shape=(4,), dtype="<i4", zarr_format=2, fill_value=7); R = z[:]
""",
    "of the default dtype": 'R = zarr.open_array("a", mode="w-", shape=3)[:]',
    "groups": """
g = zarr.group("a"); g.create_array("b/c", shape=3, dtype="f4", chunks=2); g.create_group("d", attributes={"e": 1})
R = [k for k, _ in sorted(g.members(max_depth=None))], g.nmembers(), g.nmembers(None), len(zarr.group("a")), g["b"].path
R += sorted(g.group_keys()), sorted(g["b"].array_keys()), len(list(g.group_values())), len(list(g.array_values()))
""",
    "a group anew": 'zarr.group("a").create_group("b"); R = len(zarr.group("a", overwrite=True, attributes={"c": 1}))',
    "group of values": """
g = zarr.create_group("a", zarr_format=2); s = {"shape": (3,), "chunks": (3,)}
R = g.zeros(name="z", **s)[:], g.ones(name="o", **s)[:], g.full(name="f", fill_value=4, **s)[:]
R += (g.empty(name="e", **s).shape,)
""",
    "functions": """
s = {"chunks": (2, 2)}
R = zarr.zeros((3, 4), store="z", **s)[:], zarr.ones((3, 4), dtype="u1", **s)[:], zarr.full((2,), 7, chunks=2)[:]
R += zarr.empty((3,), dtype="S3").shape, zarr.array([1, 2])[:]
R += (zarr.create((2, 2), store="c", path="x/y", dtype="i2")[:],)
""",
    "attributes": """
g = zarr.create_group("a"); z = g.create_array("b", shape=(3,), dtype="i4")
R = dict(z.update_attributes({"c": [1, 2]}).attrs), dict(g.update_attributes({"d": {"e": None}}).attrs)
R += (z.attrs.asdict(),)
""",
    "selections": """
z = zarr.create_array("a", data=np.arange(60).reshape(10, 6), chunks=(3, 4)); m = np.arange(60).reshape(10, 6) % 7 == 0
R = z.get_basic_selection((slice(1, 3), 2)), z.get_basic_selection(), z.get_orthogonal_selection(([0, 2], slice(None)))
R += z.get_coordinate_selection(([0, 2], [1, 3])), z.get_mask_selection(m), z.get_block_selection((1, slice(0, 2)))
z.set_basic_selection((0, slice(None)), 5); z.set_orthogonal_selection(([1, 3], [1, 3]), [[-1, -2], [-3, -4]])
z.set_coordinate_selection(([5, 6], [1, 3]), [8, 9]); z.set_mask_selection(m, -7); z.set_block_selection((2, 1), 3)
R += (z[:],)
""",
    "what is stored": """
z = zarr.create_array("a", shape=(10, 10), dtype="i4", chunks=(5, 5)); z[:7, :3] = 1
s = zarr.create_array("b", shape=(10, 10), dtype="i4", chunks=(2, 2), shards=(4, 4)); s[0] = 1
R = z.nchunks_initialized, z.nchunks, z.cdata_shape, s.nchunks_initialized, s.cdata_shape, z.nbytes_stored() > 0
""",
    "from_array": """
z = zarr.create_array("a", data=np.arange(60).reshape(10, 6), chunks=(2, 3), shards=(4, 6), fill_value=5,
    dimension_names=("x", None))
y = zarr.from_array("b", data=z); x = zarr.from_array("c", data=np.arange(4), chunks=(2,), zarr_format=2)
R = y[:], x[:], zarr.from_array("d", data=z, write_data=False)[:], y.shards
""",
    "save": """
zarr.save_group("a", np.arange(3), b=np.ones(2)); zarr.save("c", np.arange(4))
zarr.save_array("d", np.arange(3), zarr_format=2)
R = zarr.load("c"), zarr.open_group("a", mode="r")["b"][:]
""",
    "consolidated": """
g = zarr.create_group("a"); g.create_array("b", data=np.arange(3)); zarr.consolidate_metadata("a")
R = [list(g.keys()) for g in (zarr.open_consolidated("a"), zarr.open_group("a", mode="r", use_consolidated=True),
    zarr.open_group("a", mode="r", use_consolidated=False))]
""",
    "config": """
z = zarr.create_array("a", data=np.zeros(4), chunks=(2,), config={"write_empty_chunks": True, "order": "C"}); R = z[:]
""",
    "stores": """
import zarr as real
z = zarr.create_array(real.storage.LocalStore("a"), name="b", data=np.arange(3), storage_options=None)
R = z[:], zarr.open_array(real.open_group("a")["b"].store_path, mode="r")[:]
""",
    "chunks": """
R = [zarr.create_array({}, shape=(9, 7), dtype="i4", chunks=c).chunks for c in (np.int32(3), [2, np.int64(3)])]
""",
}


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.newbyteorder("=").str, value.shape, value.tolist()
    return [plain(member) for member in value] if isinstance(value, list | tuple) else value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SNIPPETS)
def test_snippets(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for module in (zarr, gpuzarr):
        folder = tmp_path / module.__name__
        folder.mkdir()
        monkeypatch.chdir(folder)
        names: dict[str, Any] = {"zarr": module, "np": np}
        exec(SNIPPETS[name], names)
        files = {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}
        nodes = {str(f.relative_to(folder)): documents(f) for f in [folder, *folder.rglob("*")] if f.is_dir()}
        found.append((plain(names["R"]), files, {} if name == "consolidated" else nodes))
    assert found[0] == found[1]


# random arrays, random selections


def _options(r: random.Random) -> dict[str, Any]:
    ndim, zarr_format = r.choice([0, 1, 2, 2, 3]), r.choice([2, 3, 3])
    chunks = tuple(r.randint(1, 6) for _ in range(ndim))
    dtype = r.choice(["?", "i1", ">i2", "u8", "f2", ">f4", "f8", "c8", "S3", "U4", "M8[s]", "m8[ms]", str])
    options = {"shape": tuple(r.choice([0, 1, 5, 7, 12]) for _ in chunks), "chunks": chunks, "dtype": dtype}
    one: list[Any] = [None, "auto", numcodecs.Zlib(1), numcodecs.Blosc("lz4"), {"id": "gzip", "level": 1}]
    many: list[Any] = [None, "auto", of_numcodecs.LZ4(), [BloscCodec(cname="lz4"), Crc32cCodec()], ZstdCodec(level=2)]
    options["compressors"] = r.choice(
        one if zarr_format == 2 else [*many, {"name": "gzip", "configuration": {"level": 1}}]
    )
    extra: dict[str, Any] = {
        "attributes": {"a": {"ü": [1, None, True, 2.5]}},
        "config": {"write_empty_chunks": True},
        "chunk_key_encoding": {"name": "v2", "separator": "/"},
    }
    if zarr_format == 3:
        axes = tuple(r.sample(range(ndim), ndim))
        extra |= {"filters": TransposeCodec(order=axes), "dimension_names": ["x"] * ndim}
        extra |= {"shards": tuple(n * r.randint(1, 3) for n in chunks)}
        extra |= {} if dtype is str else {"serializer": BytesCodec(endian="big")}
    else:
        extra["order"] = "F"
    return options | {"zarr_format": zarr_format} | {key: extra[key] for key in extra if r.random() < 0.3}


def _values(r: random.Random, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.random.default_rng(r.randrange(1 << 30)).integers(0, 100, shape)
    return numbers.astype("U").astype(np.dtypes.StringDType()) if dtype is str else numbers.astype("i8").astype(dtype)


def _member(r: random.Random, length: int) -> Any:
    end = slice(r.randint(0, length), r.randint(0, length + 2))
    kinds: list[Any] = [slice(None), end, slice(None, None, 3), slice(-3, None), slice(None, -1)]
    if length:
        points = [r.randint(-length, length - 1) for _ in range(3)]
        mask = np.array([True] + [r.random() < 0.5 for _ in range(length - 1)])
        kinds += [points[0], np.int64(points[1]), sorted({p % length for p in points}), mask]
    return r.choice(kinds)


def _selection(r: random.Random, shape: tuple[int, ...]) -> tuple[str, Any]:
    way = r.choice(["", "", "oindex", "vindex"])
    if way == "vindex":
        if not shape or 0 in shape:
            return "", ...
        flat = r.sample(range(int(np.prod(shape))), k=min(3, int(np.prod(shape))))
        return way, tuple(np.unravel_index(flat, shape))
    members = tuple(_member(r, n) for n in shape)
    lists = sum(isinstance(m, list | np.ndarray) for m in members)
    return ("oindex" if lists else way), members


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(6))
def test_random_arrays(seed: int, device: Device, tmp_path: Path) -> None:
    """Created, written, resized and appended to alike, with the same documents; each reads what the other stored."""
    for case in range(5 if device.gpu else 12):
        r = random.Random(f"{seed} {case}")
        options, here = _options(r), tmp_path / str(case)
        theirs = zarr.create_array(here / "theirs", **options)
        ours = gpuzarr.create_array(here / "ours", device=device, **options)
        for step in range(6):
            if step == 3 and theirs.ndim:
                new = tuple(max(0, n + r.choice([-2, 0, 3])) for n in theirs.shape)
                theirs.resize(new), ours.resize(new)
            if step == 5 and theirs.ndim:
                more = _values(r, options["dtype"], (*theirs.shape[:-1], 2))
                assert theirs.append(more, axis=theirs.ndim - 1) == ours.append(more, axis=-1)
            way, where = _selection(r, theirs.shape)
            pair = [getattr(a, way) if way else a for a in (theirs, ours)]
            shape = np.shape(pair[0][where])
            value = _values(r, options["dtype"], r.choice([shape, shape[1:], ()]))
            if value.ndim == len(shape) or isinstance(where, tuple):
                value = np.broadcast_to(value, shape)  # zarr-python does not broadcast everywhere
            pair[0][where], pair[1][where] = value, value
            np.testing.assert_array_equal(host_array(pair[1][where]), np.asarray(pair[0][where]))
        want, names = np.asarray(theirs[...]), documents(here / "theirs")
        if np.dtype(options["dtype"]).kind not in "mM":  # whose NaT is spelled otherwise
            assert documents(here / "ours") == names
        np.testing.assert_array_equal(np.asarray(zarr.open_array(here / "ours", mode="r")[...]), want)
        np.testing.assert_array_equal(host_array(gpuzarr.open_array(here / "theirs", device=device)[...]), want)


# where zarr-python would not do it, or would not tell


@pytest.mark.parametrize("way", ["", "oindex", "vindex", "blocks"])
def test_fields_of_a_selection_are_written(way: str, device: Device) -> None:
    want = np.zeros(6, [("f", "S3"), ("g", "i4"), ("h", "f4")])
    a = gpuzarr.create_array({}, data=want, chunks=(3,), device=device)
    where: Any = {"": slice(1, 4), "blocks": slice(1, 2)}.get(way, np.array([4, 1, 3]))
    inside = slice(3, 6) if way == "blocks" else where
    (getattr(a, way) if way else a)["g", where] = [7, 8, 9]
    a.set_basic_selection(slice(0, 2), np.array([(b"x", 2.5)] * 2, [("f", "S3"), ("h", "f4")]), fields=["f", "h"])
    want["g"][inside], want["f"][:2], want["h"][:2] = [7, 8, 9], b"x", 2.5
    np.testing.assert_array_equal(host_array(a[...]), want)
    for fields in ("g", ["f", "h"]):
        np.testing.assert_array_equal(
            host_array(a.get_orthogonal_selection(([4, 0],), fields=fields)), want[fields][[4, 0]]
        )


@pytest.mark.parametrize("options", [{}, {"shards": (4, 8)}, {"zarr_format": 2}], ids=["v3", "shards", "v2"])
def test_rows_are_read_a_chunk_at_a_time(options: dict[str, Any], device: Device) -> None:
    want = np.random.default_rng(0).random((11, 8))
    store: dict[str, bytes] = {}
    gpuzarr.create_array(store, data=want, chunks=(2, 8), device=device, **options)
    a = gpuzarr.open_array(store, device=device)
    found = iter(a)
    first = [host_array(next(found)) for _ in range(2)]
    store.update(dict.fromkeys([key for key in store if not key.endswith((".json", ".zarray", ".zattrs"))], b""))
    if options.get("shards"):
        first += [host_array(next(found)) for _ in range(2)]
    np.testing.assert_array_equal(first, want[: len(first)])
    for shape in ((0, 3), (5,), (5, 0), (3, 2, 2)):
        values = np.arange(np.prod(shape)).reshape(shape)
        same = gpuzarr.create_array({}, data=values, chunks=2, device=device)
        assert [host_array(row).tolist() for row in same] == [row.tolist() for row in values]


@pytest.mark.parametrize("dtype, value", [(str, "é"), (bytes, b"x"), ("S3", b"abc"), ("M8[s]", np.datetime64("2020"))])
@pytest.mark.parametrize("shards", [None, ()])
def test_the_only_element(dtype: Any, value: Any, shards: Any, device: Device) -> None:
    a = gpuzarr.create_array({}, shape=(), dtype=dtype, shards=shards, device=device)
    a[()] = [value] if dtype is str else value
    assert a[()] == value == gpuzarr.open_array(a.store, device=device)[...]


def test_a_chain_that_cannot_be_is_not_created() -> None:
    wrong: list[dict[str, Any]] = [
        {"dtype": bytes, "serializer": BytesCodec()},
        {"dtype": "S3", "filters": [numcodecs.Shuffle(2)], "zarr_format": 2},
        *({"dtype": "i4", "chunks": chunks} for chunks in (True, None, "3", 2.0, (1, 1), (None,))),
        *({"dtype": "i4", "shards": shards} for shards in (True, "big", 2.0, (2, 2))),
        *({"dtype": "i4", "shape": shape} for shape in ("3", 2.0, (2.5,), None, [[1]], True)),
        {"dtype": "i4", "dimension_names": ["x"], "zarr_format": 2},
        *({"dtype": "i4", "chunk_key_encoding": key} for key in ("v3", {"separator": "."}, ("default", "-"))),
        {"dtype": "i4", "config": {"write_empty": True}},
        {"dtype": "i4", "config": {"read_missing_chunks": False}},
        {"dtype": "i4", "storage_options": {"anon": True}},
    ]
    for options in wrong:
        store: dict[str, bytes] = {}
        with pytest.raises(ValueError):
            gpuzarr.create_array(store, **{"chunks": (7,), "shape": (7,)} | options)
        assert not store
    a = gpuzarr.create_array({}, shape=7, dtype="i4")
    for shape in ("3", 2.5, (2.5,), (1, 1), -1):
        with pytest.raises(ValueError):
            a.resize(shape)
    assert a.shape == gpuzarr.open_array(a.store).shape == (7,)


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    for thing in (object(), 3, b"bytes", zarr.storage.ZipStore):
        with pytest.raises(TypeError, match="a store is a path"):
            gpuzarr.open(thing)
    with pytest.raises(TypeError, match="are for URLs of other machines"):
        gpuzarr.open(tmp_path, storage_options={"anon": True})
    with pytest.raises(FileNotFoundError, match="there is no archive"):
        gpuzarr.open(tmp_path / "a.zip")
    in_zip = zarr.storage.ZipStore(tmp_path / "b.zip", mode="w")
    assert list(gpuzarr.open(zarr.create_group(in_zip))) == list(gpuzarr.open(in_zip)) == []


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_all_objects_of_a_store(zarr_format: Any, tmp_path: Path) -> None:
    memory: dict[str, bytes] = {}
    for store in (memory, tmp_path):
        g = gpuzarr.create_group(store, zarr_format=zarr_format)
        for name in ("a/b", "c", "c.d"):
            g.create_array(name, data=np.arange(5), chunks=(2,), compressors=None)
    (tmp_path / ".x.partial").write_bytes(b"left by a killed process")
    for prefix in ("", "a", "a/b", "c", "nothing"):
        wanted = {key: len(value) for key, value in memory.items() if not prefix or key.startswith(f"{prefix}/")}
        assert dict(MappingStore(memory).objects(prefix)) == dict(LocalStore(str(tmp_path)).objects(prefix)) == wanted


def test_an_order_that_means_nothing_is_told() -> None:
    with pytest.warns(RuntimeWarning, match="transpose"):
        gpuzarr.create_array({}, shape=(3, 3), dtype="i4", order="F")


def test_open_deletes_nothing_by_mistake(tmp_path: Path) -> None:
    gpuzarr.create_array(tmp_path / "a", data=np.arange(3))
    for wrong in ({"mode": "w"}, {"mode": "w-"}, {"mode": "w", "dtype": "i4"}, {"mode": "w", "shap": 3}):
        with pytest.raises((ValueError, TypeError)):
            gpuzarr.open_array(tmp_path / "a", **wrong)
    for mode in ("r", "r+", "w"):
        with pytest.raises(ValueError, match="dtype"):
            gpuzarr.open(tmp_path / "a", mode=mode, dtype="i4")
    with pytest.raises(FileNotFoundError, match="nothing is there"):
        gpuzarr.open_array(tmp_path / "b", mode="a")
    assert not (tmp_path / "b").exists() and (gpuzarr.load(tmp_path / "a") == np.arange(3)).all()
    with pytest.raises(FileNotFoundError, match="what is there: 'a'"):
        gpuzarr.open(tmp_path)


def test_masked_elements_have_no_value() -> None:
    a = gpuzarr.create_array({}, shape=(3,), dtype="i4", device="cpu")
    a[...] = np.ma.masked_array([1, 2, 3], mask=False)
    for masked in (np.ma.masked_array([4, 5, 6], mask=[0, 1, 0]), np.ma.masked):
        with pytest.raises(gpuzarr.ValueKindError, match="filled"):
            a[...] = masked
    assert a[...].tolist() == [1, 2, 3]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_attributes_are_what_is_stored(zarr_format: Any) -> None:
    a = gpuzarr.create_array({}, shape=3, dtype="i4", zarr_format=zarr_format)
    mine = [1]
    a.attrs.update(a=mine, b=np.float32(1.5), c=(1, np.arange(2)), d={"e": np.bool_(True)})
    mine.append(2)
    assert a.attrs.asdict() == {"a": [1], "b": 1.5, "c": [1, [0, 1]], "d": {"e": True}}
    assert json.loads(json.dumps(dict(a.attrs))) == gpuzarr.open_array(a.store).attrs


@pytest.mark.parametrize(
    "options", [{}, {"zarr_format": 2, "order": "F"}, {"shards": (4, 4)}], ids=["v3", "v2", "shards"]
)
def test_codecs_go_from_one_array_to_another(options: dict[str, Any]) -> None:
    chain = {"filters": [of_numcodecs.Delta(dtype="int32")], "compressors": [GzipCodec(level=3)], "dtype": "i4"}
    if options.get("zarr_format") == 2:
        chain = {"filters": [numcodecs.Delta("i4")], "compressors": numcodecs.Zlib(3), "dtype": ">i4"}
    a = gpuzarr.create_array({}, shape=(8, 8), chunks=(2, 2), **chain, **options)
    serializer = {} if a.serializer is None else {"serializer": a.serializer}
    same = {"filters": a.filters, "compressors": a.compressors, "dtype": chain["dtype"]} | serializer
    assert gpuzarr.create_array({}, shape=(8, 8), chunks=(2, 2), **same, **options).metadata == a.metadata
    facts = a.info_complete().asdict()
    assert facts["Compressors"] == a.compressors and facts["No. bytes stored"] == a.nbytes_stored()
    assert str(a.info) == repr(a.info) and "Chunk shape        : (2, 2)" in str(a.info_complete())


@pytest.mark.parametrize("other", [2, 3])
def test_from_array_keeps_what_it_can(other: Any, device: Device) -> None:
    layouts: list[dict[str, Any]] = [
        {"dtype": ">i4", "filters": [numcodecs.Delta(">i4")], "compressors": numcodecs.Zlib(1), "zarr_format": 2},
        {"dtype": "i4", "order": "F", "compressors": None, "zarr_format": 2},
        {"dtype": "i4", "shards": (4, 4), "dimension_names": ("y", "x"), "compressors": [GzipCodec(level=1), "crc32c"]},
        {"dtype": str, "compressors": None},
        {"dtype": np.dtype([("a", "i1"), ("b", "f8")], align=True)},
    ]
    for layout in layouts:
        a = gpuzarr.create_array({}, shape=(6, 5), chunks=(2, 2), device=device, **layout)
        a[:3] = 7 if layout["dtype"] is str or np.dtype(layout["dtype"]).names is None else (7, 7.5)
        same = gpuzarr.from_array({}, data=a, device=device)
        moved = gpuzarr.from_array({}, data=a, zarr_format=other, device=device)
        assert same.metadata == a.metadata and moved.zarr_format == other and moved.chunks == a.chunks == (2, 2)
        for made in (same, moved):
            np.testing.assert_array_equal(host_array(made[...]), host_array(a[...]))


def test_from_array_takes_what_can_be_sliced(tmp_path: Path) -> None:
    want = np.arange(60.0).reshape(10, 6)
    sources: list[Any] = [want, want.tolist(), np.asfortranarray(want)]
    sources += [make({}, data=want, chunks=(3, 4)) for make in (zarr.create_array, gpuzarr.create_array)]
    sources += [gpuzarr.create_array({}, data=want, chunks=(3, 4), zarr_format=2, order="F")]
    for i, data in enumerate(sources):
        for zarr_format in (2, 3):
            made = gpuzarr.from_array(
                tmp_path / str(zarr_format), data=data, name=str(i), zarr_format=zarr_format, chunks="keep"
            )
            np.testing.assert_array_equal(zarr.open_array(made.store.root, path=made.path, mode="r")[:], want)
            assert made.chunks == ((3, 4) if i > 2 else (10, 6))


def test_data_types_of_zarr_python() -> None:
    import zarr.dtype as types

    for given in (types.Int8(), types.DateTime64(unit="s", scale_factor=10), types.VariableLengthUTF8()):
        assert gpuzarr.create_array({}, shape=3, dtype=given).dtype == zarr.create_array({}, shape=3, dtype=given).dtype
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = gpuzarr.create_array({}, shape=3, dtype=types.VariableLengthBytes())
    assert found.metadata.data_type.name == "variable_length_bytes"
