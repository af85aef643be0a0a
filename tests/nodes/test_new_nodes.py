"""New arrays and groups, what changes them, and what zarr-python finds then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs.numcodecs import LZ4

import gpuzarr
from gpuzarr.codecs.zstd import Zstd
from gpuzarr.creation.shapes import chunk_shape, shard_shape
from gpuzarr.read.memory import parse_bytes


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_groups(zarr_format: Any, tmp_path: Path) -> None:
    root = gpuzarr.create_group(tmp_path, zarr_format=zarr_format, attributes={"a": 1})
    sub = root.create_group("sub/deep", attributes={"b": 2})
    x = sub.create_array("x", shape=(4,), dtype="i2", chunks=(2,))
    x[...] = 3
    root["y"] = np.arange(3)
    assert root.require_group("sub").name == "/sub" and root.require_array("y", shape=(3,), dtype="i8").shape == (3,)
    with pytest.raises(gpuzarr.ExistsError):
        root.require_group("y")
    with pytest.raises(gpuzarr.ExistsError):
        root.require_array("y", shape=(4,), dtype="i8")
    with pytest.raises(gpuzarr.ExistsError):
        root.create_array("y/z", shape=(4,), dtype="i8")
    assert root.keys() == ["sub", "y"]
    theirs = zarr.open_group(tmp_path, mode="r")
    assert (
        sorted(theirs) == ["sub", "y"] and theirs["sub/deep"].attrs["b"] == 2 and (theirs["sub/deep/x"][...] == 3).all()
    )
    del root["sub"]
    assert root.keys() == ["y"] and not (tmp_path / "sub").exists()
    with pytest.raises(KeyError):
        del root["sub"]
    with pytest.raises(gpuzarr.ReadOnlyError):
        gpuzarr.open_group(tmp_path).create_group("z")


def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "g"
    for mode in ("r", "r+"):
        with pytest.raises(FileNotFoundError):
            gpuzarr.open(path, mode=mode)
    assert gpuzarr.open(path, mode="a").keys() == []
    gpuzarr.open(path, mode="r+")["x"] = np.arange(3)
    assert gpuzarr.open(path, mode="a").keys() == ["x"] and not gpuzarr.open(path, "x", mode="r+").read_only
    with pytest.raises(FileExistsError):
        gpuzarr.open(path, mode="w-")
    assert gpuzarr.open(path, mode="w").keys() == [] and gpuzarr.open(tmp_path / "h", mode="w-").keys() == []


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_attributes(zarr_format: Any, tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=(2,), dtype="i4", zarr_format=zarr_format, attributes={"a": 1})
    if zarr_format == 3:  # what others put there stays
        document = json.loads((tmp_path / "zarr.json").read_text()) | {"hello": {"must_understand": False}}
        (tmp_path / "zarr.json").write_text(json.dumps(document))
    other = gpuzarr.open_array(tmp_path, mode="r+")
    a.attrs["b"] = [np.float32(1.5), float("nan"), {"c": np.arange(2)}]
    other.attrs.update({"d": float("-inf"), "e": "é"})
    del a.attrs["a"]
    want = {"b": [1.5, "NaN", {"c": [0, 1]}], "d": "-Infinity", "e": "é"}
    assert a.attrs == want == gpuzarr.open_array(tmp_path).attrs.asdict() == dict(zarr.open_array(tmp_path).attrs)
    if zarr_format == 3:
        assert "hello" in json.loads((tmp_path / "zarr.json").read_text())
    with pytest.raises(gpuzarr.MetadataError):
        a.attrs["x"] = object()
    a.attrs.put({"only": 1})
    assert a.attrs == {"only": 1} == gpuzarr.open_array(tmp_path).attrs


@pytest.mark.parametrize("options", [{}, {"shards": (4, 4)}, {"zarr_format": 2}], ids=["v3", "shards", "v2"])
def test_resize_and_append(options: dict[str, Any], tmp_path: Path) -> None:
    want = np.arange(60, dtype="i4").reshape(10, 6)
    a = gpuzarr.create_array(tmp_path, data=want, chunks=(2, 2), device="cpu", **options)
    assert a.append(want[:3]) == (13, 6) and a.append(np.ones((13, 1), "i4"), axis=-1) == (13, 7)
    want = np.concatenate([np.concatenate([want, want[:3]]), np.ones((13, 1), "i4")], axis=1)
    np.testing.assert_array_equal(a[...], want)
    np.testing.assert_array_equal(zarr.open_array(tmp_path)[...], want)
    with pytest.raises(gpuzarr.ValueKindError):
        a.append(np.ones((2, 3)))
    files = len(list(tmp_path.rglob("*")))
    a.resize((4, 3))
    assert len(list(tmp_path.rglob("*"))) < files
    np.testing.assert_array_equal(gpuzarr.open_array(tmp_path)[...], want[:4, :3])
    a.resize((12, 12))
    assert (a[4:] == 0).all() and zarr.open_array(tmp_path).shape == (12, 12)
    with pytest.raises(ValueError):
        a.resize((3,))


def test_resize_of_a_huge_grid_takes_no_memory() -> None:
    store: dict[str, bytes] = {}
    a = gpuzarr.create_array(store, shape=(1 << 40, 4), dtype="u1", chunks=(1 << 22, 4))
    a[5] = 1
    a.resize((1 << 39, 4))
    assert (a[5] == 1).all() and a.shape == (1 << 39, 4)


def test_two_who_append_both_get_a_place(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=(0,), dtype="i4", chunks=(4,), device="cpu")
    b = gpuzarr.open_array(tmp_path, mode="r+", device="cpu")
    for i in range(3):
        a.append(np.full(3, i))
        b.append(np.full(3, 10 + i))
    np.testing.assert_array_equal(b[...], np.repeat([0, 10, 1, 11, 2, 12], 3))


def test_save_and_load(tmp_path: Path) -> None:
    gpuzarr.save(tmp_path / "one", np.arange(3))
    gpuzarr.save(tmp_path / "many", np.arange(3), x=np.ones((2, 2)))
    assert (gpuzarr.load(tmp_path / "one") == np.arange(3)).all()
    many = gpuzarr.load(tmp_path / "many")
    assert sorted(many) == ["arr_0", "x"] and (many["x"] == 1).all()
    assert (zarr.open_group(tmp_path / "many", mode="r")["arr_0"][...] == np.arange(3)).all()
    with pytest.raises(ValueError):
        gpuzarr.save(tmp_path / "none")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidate_metadata(zarr_format: Any, tmp_path: Path) -> None:
    root = gpuzarr.create_group(tmp_path, zarr_format=zarr_format)
    root.create_array("a/b", shape=(3,), dtype="f4", attributes={"c": 1})
    assert gpuzarr.consolidate_metadata(tmp_path)["a/b"].attrs == {"c": 1}
    theirs = zarr.open_consolidated(tmp_path, zarr_format=zarr_format)
    assert theirs["a/b"].shape == (3,)
    root.create_array("new", shape=(3,), dtype="f4")
    assert gpuzarr.open(tmp_path, mode="a").keys() == ["a", "new"]


def test_writer(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=(20, 10), dtype="f4", chunks=(5, 5), device="cpu")
    batch = np.empty((2, 10), "f4")
    with a.writer(max_inflight="1KiB") as w:
        for i in range(0, 20, 2):
            batch[...] = i
            w[i : i + 2] = batch  # its memory is used again
        w[3, 3] = 7
        w[...] = np.add.outer(np.arange(20), np.zeros(10))  # more than may wait
        w[0, 0] = -1
        w.flush()
        assert a[0, 0] == -1
    want = np.repeat(np.arange(20.0)[:, None], 10, axis=1)
    want[0, 0] = -1
    np.testing.assert_array_equal(a[...], want)
    with pytest.raises(gpuzarr.ClosedError):
        w[0] = 1
    with a.writer() as w, pytest.raises(gpuzarr.ValueKindError):
        w[0] = np.zeros(3)


def test_errors_of_a_writer_surface(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=(4,), dtype="f4", chunks=(2,), device="cpu")
    (tmp_path / "c").write_bytes(b"")  # a file where a folder should be
    with pytest.raises(gpuzarr.StoreError), a.writer() as w:
        w[:2] = 1
    w = a.writer(8)
    w[:2] = np.ones(2, "f4")
    with pytest.raises((gpuzarr.StoreError, gpuzarr.ClosedError)):
        for _ in range(3):
            w[2:] = np.ones(2, "f4")


def test_amounts_of_bytes() -> None:
    assert [parse_bytes(x) for x in (7, "7", "2GiB", "1.5 kB", "3M")] == [7, 7, 2 << 30, 1500, 3_000_000]
    with pytest.raises(ValueError, match="max_inflight must be a number of bytes"):
        parse_bytes("many", "max_inflight")


def test_automatic_shapes() -> None:
    chunks = chunk_shape("auto", (512, 2048, 2048), 2)
    assert 256 << 10 <= np.prod(chunks) * 2 <= 1 << 20
    shards = shard_shape("auto", chunks, (512, 2048, 2048), 2)
    assert shards is not None and 100 << 20 <= np.prod(shards) * 2 <= 256 << 20
    assert all(s % c == 0 for s, c in zip(shards, chunks, strict=True))
    assert chunk_shape("auto", (3, 0), 4) == (3, 1) and chunk_shape((-1, 2), (5, 5), 4) == (5, 2)
    assert shard_shape("auto", (2, 2), (5, 5), 4) == (6, 6)
    for wrong in ((3,), (0, 1), "big"):
        with pytest.raises(gpuzarr.MetadataError):
            chunk_shape(wrong, (5, 5), 4)
    with pytest.raises(gpuzarr.MetadataError):
        shard_shape((3, 4), (2, 2), (5, 5), 4)


@pytest.mark.parametrize(
    "codec",
    [Zstd(level=3), zarr.codecs.ZstdCodec(level=3), numcodecs.Zstd(3), {"name": "zstd", "configuration": {"level": 3}}],
    ids=["gpuzarr", "zarr", "numcodecs", "dict"],
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_codecs_of_everybody(codec: Any, zarr_format: Any) -> None:
    a = gpuzarr.create_array({}, data=np.arange(9), compressors=codec, zarr_format=zarr_format, device="cpu")
    document = a.metadata.document
    member = document["compressor"] if zarr_format == 2 else document["codecs"][-1]["configuration"]
    assert member["level"] == 3 and (a[...] == np.arange(9)).all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("first", [zarr, gpuzarr], ids=["zarr", "gpuzarr"])
def test_what_is_there_is_welcome_if_it_means_the_same(zarr_format: Any, first: Any, tmp_path: Path) -> None:
    """Whoever made it, and whatever attributes and summaries were added since: a script may run twice."""
    layout: dict[str, Any] = {"shape": (6, 4), "dtype": "f4", "chunks": (2, 2), "fill_value": float("nan")}
    if zarr_format == 3:
        layout |= {"shards": (4, 4), "dimension_names": ("y", None), "compressors": LZ4()}
    else:
        layout |= {"order": "F", "compressors": numcodecs.Zlib(1), "filters": [numcodecs.Delta("f4")]}
    root = first.create_group(tmp_path, zarr_format=zarr_format, attributes={"a": 1})
    root.create_array("x", attributes={"b": [1]}, **layout)[...] = 7
    root.attrs["more"] = root["x"].attrs["more"] = {"c": None}
    first.consolidate_metadata(tmp_path)
    for _ in range(2):
        again = gpuzarr.create_group(tmp_path, zarr_format=zarr_format, attributes={"a": 1}, device="cpu")
        x = again.create_array("x", attributes={"b": (1,)}, **layout)
        assert (x[...] == 7).all() and x.attrs == {"b": [1], "more": {"c": None}} and again.attrs["more"] == {"c": None}
    other: list[dict[str, Any]] = [{"shape": (6, 5)}, {"dtype": "f8"}, {"fill_value": 0}, {"compressors": None}]
    other += [{"attributes": {"b": 2}}, {"attributes": {"new": None}}]
    with pytest.raises(gpuzarr.ArgumentError, match=f"is of Zarr v{zarr_format}"):
        again.create_array("x", shape=3, dtype="f4", zarr_format=5 - zarr_format)
    for options in other:
        with pytest.raises(gpuzarr.ExistsError):
            again.create_array("x", **{**layout, **({"filters": "auto"} if "dtype" in options else {}), **options})
    with pytest.raises(gpuzarr.ExistsError):
        gpuzarr.create_group(tmp_path, zarr_format=zarr_format, attributes={"a": 2})
    with pytest.raises(gpuzarr.ExistsError):
        gpuzarr.create_group(tmp_path, path="x", zarr_format=zarr_format)


def test_what_cannot_be_created() -> None:
    wrong: list[dict[str, Any]] = [
        {"shape": (2,)},
        {"shape": (-1,), "dtype": "i4"},
        {"shape": (2,), "dtype": "nothing"},
        {"shape": (2,), "dtype": "i4", "fill_value": "x"},
        {"shape": (2,), "dtype": "i4", "compressors": "nothing"},
        {"shape": (2,), "dtype": "i4", "compressors": 5},
        {"shape": (2,), "dtype": "i4", "compressors": {"name": "zstd", "level": 3}},
        {"shape": (2,), "dtype": "i4", "shards": (2,), "chunks": (1,), "zarr_format": 2},
        {"shape": (2,), "dtype": "i4", "dimension_names": ("a", "b")},
        {"shape": (2,), "dtype": "i4", "name": "../x"},
        {"shape": (2,), "dtype": "i4", "attributes": {"a": object()}},
    ]
    for options in wrong:
        store: dict[str, bytes] = {}
        with pytest.raises(ValueError):
            gpuzarr.create_array(store, **options)
        assert not store
