"""Copies equal their source, in whatever version of Zarr, layout and store; what cannot be is an error that says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError
from gpuzarr.tools import copy, diff
from gpuzarr.tools.copying.values import equal_bits
from tests.conftest import examples
from tests.copies import everything, facts, files_of
from tests.hardware import host_array

zarr = pytest.importorskip("zarr")

DTYPES = ["?", "i1", ">i2", "<u4", "i8", "f2", ">f4", "f8", "c8", "U3", "S4", "M8[s]", "m8[10ms]", "V5"]
COMPRESSORS: list[Any] = [
    None,
    [{"id": "zstd", "level": 1}],
    [{"id": "gzip", "level": 1}],
    [{"id": "blosc", "cname": "lz4", "clevel": 3, "shuffle": 1}],
    [{"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 2}],
    [{"id": "zlib", "level": 1}],
    [{"id": "bz2", "level": 1}],
]
NAMES = ["time", "y", "x"]


def values_of(dtype: np.dtype, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Values that differ, with runs of zeros."""
    bits = np.random.default_rng(seed).integers(0, 256, (*shape, max(dtype.itemsize, 1)), np.uint8)
    bits[np.random.default_rng(seed + 1).random(shape) < 0.5] = 0
    if dtype.kind == "b":
        return bits[..., 0] > 127
    if dtype.kind == "U":
        return np.array([["", "a", "bc", "é"][n % 4] for n in bits[..., 0].ravel()], dtype).reshape(shape)
    if dtype.kind == "f" or dtype.kind == "c":
        return (bits[..., 0].astype("f8") - 100).astype(dtype)
    return np.ascontiguousarray(bits).view(dtype).reshape(shape)


@st.composite
def arrays(draw: st.DrawFn) -> tuple[dict[str, Any], np.ndarray]:
    """Parameters of `create_array`, and values."""
    version, dtype = draw(st.sampled_from([2, 3])), np.dtype(draw(st.sampled_from(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 9), max_size=3)))
    chunks = tuple(draw(st.integers(1, 5)) for _ in shape)
    options: dict[str, Any] = {"zarr_format": version, "dtype": dtype, "shape": shape, "chunks": chunks}
    options["compressors"] = draw(st.sampled_from(COMPRESSORS))
    options["attributes"] = draw(st.sampled_from([{}, {"units": "K", "scale": [1.5, None, float("nan")]}]))
    if dtype.kind in "iuf":
        options["fill_value"] = draw(st.sampled_from([0, 1, 7]))
    if version == 2:
        options["order"] = draw(st.sampled_from(["C", "F"]))
        if draw(st.booleans()):
            options["attributes"] = {**options["attributes"], "_ARRAY_DIMENSIONS": NAMES[: len(shape)]}
    else:
        options["dimension_names"] = draw(st.sampled_from([None, NAMES[: len(shape)]]))
        if shape and draw(st.booleans()):
            options["shards"] = tuple(n * draw(st.integers(1, 2)) for n in chunks)
        if len(shape) > 1 and draw(st.booleans()):
            order = list(range(len(shape)))[::-1]
            options["filters"] = [{"name": "transpose", "configuration": {"order": order}}]
    return options, values_of(dtype, shape, draw(st.integers(0, 99)))


@pytest.mark.filterwarnings("ignore:Numcodecs codecs")
@settings(max_examples=examples(60), deadline=None)
@given(arrays(), st.sampled_from([None, 2, 3]), st.booleans())
def test_a_copy_equals_its_source(made: tuple[dict[str, Any], np.ndarray], version: Any, decodes: bool) -> None:
    options, values = made
    source: dict[str, bytes] = {}
    dest: dict[str, bytes] = {}
    a = gpuzarr.create_array(source, device="cpu", **options)
    a[...] = values
    shards: Any = {"shards": None} if version == 2 else {}
    on_error: Any = "fill" if decodes else "raise"
    report = copy(a, dest, zarr_format=version, verify=True, device="cpu", on_error=on_error, **shards)
    b = gpuzarr.open_array(dest, device="cpu")
    assert report.verified and b.zarr_format == (version or a.zarr_format)
    is_turned = a.ndim > 1 and not a.shards  # within shards, order is a filter
    assert equal_bits(a[...], b[...]) and facts(a, is_turned) == facts(b, is_turned) and a.chunks == b.chunks
    assert not [key for key in dest if "journal" in key]
    assert not diff(a, b, compare="data")
    if options["dtype"].kind != "V":
        theirs = zarr.open_array(zarr.storage.MemoryStore({k: _buffer(v) for k, v in dest.items()}), mode="r")
        assert equal_bits(np.asarray(theirs[...]).astype(a.dtype), np.asarray(a[...], a.dtype))


def _buffer(data: bytes) -> Any:
    return zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(bytes(data))


@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_rechunked_in_part_and_within_little_memory(data: st.DataObject) -> None:
    options, values = data.draw(arrays())
    a = gpuzarr.create_array({}, device="cpu", **options)
    a[...] = values
    part = tuple(
        data.draw(st.one_of(st.slices(n), st.integers(0, n - 1)) if n else st.just(slice(None))) for n in a.shape
    )
    expected = values[part]
    chunks = tuple(data.draw(st.integers(1, 4)) for _ in range(np.ndim(expected)))
    shards = tuple(n * data.draw(st.integers(1, 3)) for n in chunks) or None
    dest: dict[str, bytes] = {}
    copy(
        a,
        dest,
        selection=part,
        chunks=chunks,
        shards=shards,
        zarr_format=3,
        memory_limit=data.draw(st.sampled_from([1, 200, "1MiB"])),
        workers=data.draw(st.integers(1, 3)),
        verify=True,
        device="cpu",
    )
    b = gpuzarr.open_array(dest, device="cpu")
    assert equal_bits(np.asarray(b[...], a.dtype), np.asarray(expected, a.dtype))
    assert b.chunks == chunks and b.shards == shards
    names = a.dimension_names
    if names:
        kept = tuple(n for n, each in zip(names, part, strict=True) if isinstance(each, slice))
        assert (b.dimension_names or ()) == kept


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A hierarchy of v2 with consolidated metadata, of arrays of several kinds."""
    path = tmp_path / "tree.zarr"
    root = gpuzarr.create_group(path, zarr_format=2, attributes={"title": "a test"})
    image = np.arange(2 * 30 * 20, dtype="u2").reshape(2, 30, 20)
    options = {"attributes": {"_ARRAY_DIMENSIONS": ["t", "y", "x"], "unit": "K"}, "chunks": (1, 16, 16)}
    root.create_array("images/raw", data=image, **options)
    root.create_array("images/late", shape=(40, 3), dtype="f4", chunks=(7, 3), fill_value=np.nan)[8:13] = 1
    root.create_array("text", data=np.array(["a", "b", "ccc"], "U3"), attributes={"_ARRAY_DIMENSIONS": ["name"]})
    root.create_group("empty", attributes={"n": 1})
    gpuzarr.consolidate_metadata(path)
    return path


@pytest.mark.parametrize("name", ["folder.zarr", "archive.zarr.zip"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_hierarchy(tree: Path, tmp_path: Path, version: Any, name: str) -> None:
    dest = tmp_path / name
    report = copy(tree, dest, zarr_format=version, verify=True)
    assert everything(dest) == everything(tree)
    assert gpuzarr.open_group(dest, consolidated=True)["images/raw"].dimension_names == ("t", "y", "x")
    assert {node.path for node in report.nodes} == {f"/{path}" for path in everything(tree)}
    arrays = [node for node in report.nodes if node.kind == "array"]
    assert len(arrays) == 3 and all(node.method == "stored bytes" for node in arrays)
    back = tmp_path / "back.zarr"
    copy(dest, back, zarr_format=2, verify=True)
    assert everything(back) == everything(tree)
    assert gpuzarr.open(back)["images/raw"].attrs["_ARRAY_DIMENSIONS"] == ["t", "y", "x"]


def test_without_changes_all_bytes_stay(tree: Path, tmp_path: Path) -> None:
    copy(tree, tmp_path / "same.zarr")
    old, new = files_of(tree), files_of(tmp_path / "same.zarr")
    assert {k: v for k, v in new.items() if not _is_document(k)} == {
        k: v for k, v in old.items() if not _is_document(k)
    }
    assert {k: json.loads(v) for k, v in new.items() if _is_document(k)} == {
        k: json.loads(v) for k, v in old.items() if _is_document(k)
    }


def _is_document(key: str) -> bool:
    return Path(key).name in (".zarray", ".zgroup", ".zattrs", ".zmetadata")


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ((), ("images",), {"", "text", "empty"}),
        (("images/r*",), (), {"", "images", "images/raw"}),
        (("images",), ("*/late",), {"", "images", "images/raw"}),
        (("/text/",), (), {"", "text"}),
        (("*t*",), (), {"", "images", "images/late", "text", "empty"}),
    ],
)
def test_some_nodes(tree: Path, include: Any, exclude: Any, expected: set[str]) -> None:
    dest: dict[str, bytes] = {}
    copy(tree, dest, include=include, exclude=exclude, verify=True)
    assert everything(dest) == {path: found for path, found in everything(tree).items() if path in expected}


def test_sizes_by_the_names_of_axes(tree: Path) -> None:
    dest: dict[str, bytes] = {}
    copy(
        tree,
        dest,
        zarr_format=3,
        chunks={"y": 5, "x": 10},
        shards={"t": 2, "y": 10, "x": 20},
        selection={"x": slice(3, 9)},
    )
    g = gpuzarr.open_group(dest)
    assert g["images/raw"].chunks == (1, 5, 10) and g["images/raw"].shards == (2, 10, 20)
    assert g["images/late"].chunks == (7, 3) and g["text"].shards is None
    np.testing.assert_array_equal(host_array(g["images/raw"][...]), gpuzarr.open(tree)["images/raw"][:, :, 3:9])


def test_on_devices(device: Device, tree: Path, tmp_path: Path) -> None:
    copy(tree, tmp_path / "new", include=["images"], zarr_format=3, chunks="auto", compressors="zstd", device=device)
    for name in ("images/raw", "images/late"):
        a, b = (gpuzarr.open(place, device="cpu")[name] for place in (tree, tmp_path / "new"))
        assert equal_bits(a[...], b[...])


def test_strings_and_records(tmp_path: Path) -> None:
    g = gpuzarr.create_group(tmp_path / "a", zarr_format=3)
    g.create_array("text", shape=7, dtype="string", chunks=3)[...] = np.array(list("abcdéfg"), object)
    g.create_array("raw", shape=4, dtype="bytes", chunks=3)[...] = np.array([b"", b"a", b"bc", b"d"], object)
    record = np.dtype([("n", "i4"), ("x", "f8")])
    g.create_array("record", data=np.array([(1, 2.5), (3, -1)], record), chunks=1)
    for old, new, version in (("a", "b", 2), ("b", "c", 3), ("c", "d", None)):
        copy(tmp_path / old, tmp_path / new, zarr_format=version, verify=True)
    for name in g:
        a, b = g[name], gpuzarr.open(tmp_path / "d")[name]
        assert a.dtype == b.dtype and a[...].tolist() == b[...].tolist()
    np.testing.assert_array_equal(zarr.open(tmp_path / "b")["text"][:], list("abcdéfg"))


@pytest.mark.parametrize(
    ("dtype", "rounding", "out_of_range", "expected"),
    [
        ("int16", "nearest-even", "error", [0, 2, 2, -2, 300]),
        ("int16", "nearest-away", "error", [1, 2, 3, -3, 300]),
        ("int16", "towards-zero", "error", [0, 1, 2, -2, 300]),
        ("uint8", "nearest-even", "clamp", [0, 2, 2, 0, 255]),
        ("uint8", "nearest-even", "wrap", [0, 2, 2, 254, 44]),
        ("float32", "nearest-even", "error", [0.5, 1.5, 2.5, -2.5, 300]),
    ],
)
def test_casts(dtype: str, rounding: Any, out_of_range: Any, expected: list[float]) -> None:
    a = gpuzarr.array(np.array([0.5, 1.5, 2.5, -2.5, 300.0]), chunks=2, attributes={"n": 1})
    dest: dict[str, bytes] = {}
    copy(a, dest, dtype=dtype, rounding=rounding, out_of_range=out_of_range, verify=True)
    b = gpuzarr.open_array(dest)
    assert b.dtype == dtype and b[...].tolist() == expected and b.attrs["n"] == 1


def test_what_is_not_cast() -> None:
    a = gpuzarr.array(np.array([1.0, 300.0]), chunks=1)
    with pytest.raises(gpuzarr.errors.ValueKindError, match=r"array '/', in \[1:2\] of the copy: .*range of uint8"):
        copy(a, {}, dtype="uint8", workers=1, memory_limit=1)
    with pytest.raises(gpuzarr.errors.ArgumentError, match="array '/' cannot be cast"):
        copy(gpuzarr.array(np.array(["a"])), {}, dtype="uint8")
    with pytest.raises(gpuzarr.MetadataError, match=r"its fill value, .*nan.*: .*give another fill value"):
        copy(gpuzarr.array(np.ones(3), fill_value=np.nan), {}, dtype="uint8")
    dest: dict[str, bytes] = {}
    copy(gpuzarr.array(np.ones(3), fill_value=np.nan), dest, dtype="uint8", fill_value=9)
    assert gpuzarr.open_array(dest).fill_value == 9 and gpuzarr.open_array(dest)[...].tolist() == [1, 1, 1]


def test_bools_are_numbers() -> None:
    dest: dict[str, bytes] = {}
    copy(gpuzarr.array(np.array([True, False, True])), dest, dtype="float32", verify=True)
    assert gpuzarr.open_array(dest)[...].tolist() == [1.0, 0.0, 1.0]


def test_what_is_missing_keeps_its_value_under_another_fill_value() -> None:
    a = gpuzarr.create_array({}, shape=6, chunks=2, dtype="i2", fill_value=5)
    a[:2] = 1
    dest: dict[str, bytes] = {}
    copy(a, dest, fill_value=0, verify=True)
    b = gpuzarr.open_array(dest)
    assert b.fill_value == 0 and b[...].tolist() == [1, 1, 5, 5, 5, 5]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"shape": 8, "dtype": "bfloat16", "chunks": 4}, "array '/' .*Zarr v2 has no data type for bfloat16"),
        ({"shape": 8, "dtype": "i4", "chunks": [[1, 7]]}, "array '/' .*no chunks of several sizes"),
        ({"shape": 8, "dtype": "i4", "chunks": 2, "shards": 4}, "array '/' .*it has shards.*--shards none"),
        (
            {
                "shape": (2, 3, 4),
                "dtype": "i4",
                "filters": [{"name": "transpose", "configuration": {"order": [1, 0, 2]}}],
            },
            "array '/' .*no codec 'transpose'",
        ),
        ({"shape": (2, 2), "dtype": "i4", "dimension_names": ["a", None]}, "array '/' .*some of its axes have names"),
        (
            {
                "shape": 4,
                "dtype": "f4",
                "filters": [{"name": "cast_value", "configuration": {"data_type": "float64"}}],
            },
            "array '/' .*Zarr v2 has no codec 'cast_value'",
        ),
    ],
)
def test_what_zarr_v2_lacks(options: dict[str, Any], problem: str) -> None:
    dest: dict[str, bytes] = {}
    with pytest.raises(gpuzarr.MetadataError, match=problem):
        copy(gpuzarr.create_array({}, **options), dest, zarr_format=2)
    assert not dest


def test_what_zarr_v3_lacks() -> None:
    a = gpuzarr.create_array({}, shape=3, dtype=object, zarr_format=2, filters=[{"id": "json2"}])
    with pytest.raises(gpuzarr.MetadataError, match=r"array '/' .*Zarr v3 has no data type"):
        copy(a, {}, zarr_format=3)


def test_filters_of_both_versions(tmp_path: Path) -> None:
    filters = [{"id": "delta", "dtype": "<i4"}]
    a = gpuzarr.create_array(tmp_path / "a", data=np.arange(9, dtype="i4"), zarr_format=2, filters=filters, chunks=4)
    copy(a, tmp_path / "b", zarr_format=3, verify=True)
    copy(tmp_path / "b", tmp_path / "c", zarr_format=2, verify=True)
    assert json.loads((tmp_path / "c/.zarray").read_text())["filters"][0]["id"] == "delta"
    np.testing.assert_array_equal(zarr.open(tmp_path / "c")[:], np.arange(9))
    b = gpuzarr.open_array(tmp_path / "b")
    assert [codec.name for codec in b.filters] == ["numcodecs.delta"]


def test_a_dry_run_writes_nothing(tree: Path, tmp_path: Path) -> None:
    report = copy(tree, tmp_path / "new.zarr", zarr_format=3, chunks={"y": 8}, dry_run=True)
    assert report.dry_run and not (tmp_path / "new.zarr").exists()
    raw = next(node for node in report.nodes if node.path == "/images/raw")
    assert raw.chunks == (1, 8, 16) and raw.objects == 2 * 4 * 2 and raw.nbytes == 2400 and raw.method == "values"
    assert copy(tree, tmp_path / "new.zip", dry_run=True).nodes and not (tmp_path / "new.zip").exists()
    with pytest.raises(gpuzarr.ExistsError):
        copy(tree / "text", tree, path="images", dry_run=True)


def test_damaged_chunks(tmp_path: Path) -> None:
    values = np.arange(100, dtype="i4")
    gpuzarr.create_array(tmp_path / "a", data=values, chunks=10, fill_value=-1)
    for name in ("3", "7"):
        (tmp_path / "a/c" / name).write_bytes(b"no zstd")
    with pytest.raises(gpuzarr.ChunkError, match=r"chunk \(3,\)"):
        copy(tmp_path / "a", tmp_path / "b", chunks=25, workers=1)
    with pytest.raises(gpuzarr.ChunkError, match=r"chunk \(3,\)"):
        copy(tmp_path / "a", tmp_path / "c", verify=True)
    report = copy(
        tmp_path / "a", tmp_path / "d", chunks=25, selection=slice(None, None, -1), on_error="fill", verify=True
    )
    expected = values.copy()
    expected[30:40] = expected[70:80] = -1
    np.testing.assert_array_equal(gpuzarr.load(tmp_path / "d"), expected[::-1])
    assert len(report.damaged) == 2 and "chunk (3,)" in " ".join(report.damaged)
    same = copy(tmp_path / "a", tmp_path / "e", on_error="fill", verify=True)
    np.testing.assert_array_equal(gpuzarr.load(tmp_path / "e"), expected)
    assert len(same.damaged) == 2


def test_a_difference_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpuzarr.save_array(tmp_path / "a", np.arange(100), chunks=10)
    from gpuzarr.tools.copying import copying

    made = copying._Run.make_nodes

    def and_damaged(self: Any) -> None:
        made(self)
        gpuzarr.open_array(tmp_path / "b", mode="r+")[55] = 0

    monkeypatch.setattr(copying._Run, "make_nodes", and_damaged)
    with pytest.raises(
        gpuzarr.StoreError,
        match=r"differs from the source in \[0:100\]: 1 elements, first at \[55\]",
    ):
        copy(tmp_path / "a", tmp_path / "b", verify=True)


def test_other_formats(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "x", data=np.arange(60, dtype=">i2").reshape(6, 10), chunks=(4, 4), compression="gzip", shuffle=True
        )
        file["x"].attrs["unit"] = "K"
    for version in (2, 3):
        dest = tmp_path / f"{version}.zarr"
        copy(tmp_path / "a.h5", dest, zarr_format=version, verify=True)
        x = zarr.open(dest)["x"]
        np.testing.assert_array_equal(x[...], np.arange(60).reshape(6, 10))
        assert x.attrs["unit"] == "K" and x.chunks == (4, 4)


def test_n5(tmp_path: Path) -> None:
    stored = np.arange(7 * 9, dtype=">u2")
    (tmp_path / "a.n5/x/0/0").parent.mkdir(parents=True)
    (tmp_path / "a.n5/attributes.json").write_text(json.dumps({"n5": "2.0.0"}))
    document = {"dimensions": [7, 9], "blockSize": [7, 9], "dataType": "uint16", "compression": {"type": "raw"}}
    (tmp_path / "a.n5/x/attributes.json").write_text(json.dumps(document | {"unit": "K"}))
    header = np.array([0, 2], ">u2").tobytes() + np.array([7, 9], ">u4").tobytes()
    (tmp_path / "a.n5/x/0/0").write_bytes(header + stored.tobytes())
    for version in (2, 3):
        copy(tmp_path / "a.n5", tmp_path / str(version), zarr_format=version, verify=True)
        x = gpuzarr.open(tmp_path / str(version))["x"]
        values = host_array(gpuzarr.open(tmp_path / "a.n5")["x"][...])
        assert x.attrs["unit"] == "K" and x.shape == (7, 9) and values.sum() == stored.sum()
        np.testing.assert_array_equal(zarr.open(tmp_path / str(version))["x"][...], values)


def test_a_web_server_lists_nothing(tmp_path: Path) -> None:
    options: dict[str, Any] = {"chunks": (4, 4), "attributes": {"unit": "K"}}
    a = gpuzarr.create_array(tmp_path / "a.zarr", shape=(16, 12), dtype="i4", **options)
    a[3:9] = 5
    with serving(tmp_path) as server:
        copy(f"{server.url}/a.zarr", tmp_path / "same.zarr", verify=True)
        copy(f"{server.url}/a.zarr", tmp_path / "other.zarr", chunks=(16, 6), shards=(16, 12), verify=True)
    assert files_of(tmp_path / "same.zarr") == files_of(tmp_path / "a.zarr")
    np.testing.assert_array_equal(gpuzarr.load(tmp_path / "other.zarr"), a[...])


@pytest.mark.filterwarnings("ignore:The data type")
def test_what_is_written_of_records_of_zarr_python_it_reads(tmp_path: Path) -> None:
    """The type `structured`, of which versions before 3.2 know fill values as base64 alone."""
    values = np.array([(1, 2.5), (3, np.nan), (0, 0)], [("a", "<i4"), ("b", "<f8")])
    z = zarr.create_array(str(tmp_path / "a"), shape=3, chunks=2, dtype=values.dtype)
    z[...] = values
    copy(tmp_path / "a", tmp_path / "b", chunks=(3,), verify=True)
    theirs = zarr.open_array(str(tmp_path / "b"))
    assert theirs[...].tobytes() == values.tobytes() and theirs.fill_value == z.fill_value


def test_chunks_that_are_chosen_take_shards_that_are(tmp_path: Path) -> None:
    a = gpuzarr.create_array({}, data=np.arange(9), chunks=3, shards=9)
    assert copy(a, tmp_path / "b", chunks="auto", verify=True).verified
    with pytest.raises(MetadataError, match="give shards, too"):
        copy(a, tmp_path / "c", chunks=2)
