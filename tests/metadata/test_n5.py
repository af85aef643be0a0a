"""N5: its documents become those of v3, its folders are groups, and nothing is written to it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.cli.info import describe
from gpuzarr.devices.contract import Device
from gpuzarr.errors import UnsupportedCallError
from gpuzarr.metadata import n5
from tests import corpus
from tests.conftest import examples
from tests.hardware import host_array
from tests.n5 import attributes, below, dataset

ROWS = [row for row in corpus.rows() if row["format"] == "n5"]
VALUES = np.arange(35, dtype="uint8").reshape(7, 5)
GOOD = attributes(VALUES, (3, 2))


def test_the_corpus(device: Device) -> None:
    """Datasets by tensorstore and by Java, of versions 1 to 4."""
    if not ROWS:
        pytest.skip("the corpus is not here")
    wrong = []
    for row in ROWS:
        a = gpuzarr.open_array(corpus.ROOT / row["path"], device=device, zarr_format=None)
        known = row.get("sha256") or next(r["sha256"] for r in ROWS if r["path"] == "n5/backward/data-2.5.1.n5/raw")
        if (list(a.shape), a.dtype.name, corpus.digest(host_array(a[...]))) != (row["shape"], row["dtype"], known):
            wrong.append(row["path"])
    assert len(ROWS) > 20 and not wrong


@corpus.needed
def test_a_document_beside_that_of_v3_says_the_same() -> None:
    place = corpus.ROOT / "zarr_extensions/n5_default/zstd_array"
    document = json.loads((place / "zarr.json").read_text())
    made = n5.parse(json.loads((place / "attributes.json").read_text()), "x").document
    assert {name: made[name] for name in document} == document


@pytest.mark.parametrize(
    "compression, codec",
    [
        ({"type": "raw"}, None),
        ("raw", None),
        ({"type": "gzip"}, {"name": "gzip", "configuration": {"level": -1}}),
        ({"type": "gzip", "level": 5.0, "useZlib": False}, {"name": "gzip", "configuration": {"level": 5}}),
        ({"type": "gzip", "useZlib": True}, {"name": "numcodecs.zlib", "configuration": {"level": -1}}),
        ({"type": "bzip2", "blockSize": 1}, {"name": "numcodecs.bz2", "configuration": {"level": 1}}),
        ({"type": "xz"}, {"name": "numcodecs.lzma", "configuration": {"format": 1, "preset": 6}}),
        ({"type": "lz4", "blockSize": 4096}, {"name": "gpuzarr.n5_lz4", "configuration": {"block_bytes": 4096}}),
        (
            {"type": "zstd", "level": -5, "nbWorkers": 0},
            {"name": "zstd", "configuration": {"level": -5, "checksum": False}},
        ),
    ],
    ids=str,
)
def test_compressions(compression: Any, codec: Any) -> None:
    parsed = n5.parse({**GOOD, "compression": compression}, "x")
    (outer,) = parsed.document["codecs"]
    assert outer["configuration"]["codecs"][2:] == ([codec] if codec else [])


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"dimensions": [7, -5]}, r"dimensions\[1\] must be an integer from 0"),
        ({"dimensions": "7"}, "dimensions must be a list"),
        ({"blockSize": [3]}, "blockSize must have 2 members"),
        ({"blockSize": [3, 2.5]}, r"blockSize\[1\] must be an integer"),
        ({"blockSize": [2**40, 2**40]}, "more bytes than a machine can address"),
        ({"dataType": "string"}, "dataType 'string' is not supported"),
        ({"dataType": "object"}, "dataType 'object' is not supported"),
        ({"dataType": "complex64"}, "dataType 'complex64' is unknown"),
        ({"dataType": ["uint8"]}, "is unknown"),
        ({"compression": {"type": "jpeg"}}, "compression: type 'jpeg' is unknown"),
        ({"compression": {"type": ["gzip"]}}, "compression: type"),
        ({"compression": {"level": 5}}, "compression: type is missing"),
        ({"compression": 7}, "compression: it must be a JSON object"),
        ({"compression": {"type": "gzip", "level": 99}}, "compression: level must be an integer"),
        ({"compression": {"type": "blosc", "shuffle": 3}}, "compression: shuffle must be"),
        ({"n5": "5.0.0"}, "version 5.0.0; versions up to 4"),
        ({"n5": "new"}, "n5 must be a version"),
    ],
    ids=str,
)
def test_wrong_documents(change: dict[str, Any], problem: str) -> None:
    store = {"a/attributes.json": json.dumps(GOOD | change).encode()}
    with pytest.raises(gpuzarr.MetadataError, match=problem) as caught:
        gpuzarr.open(store, "a")
    assert "'a/attributes.json' of MappingStore" in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=examples(150), deadline=None)
@given(st.dictionaries(st.sampled_from([*GOOD, "n5", "axes", "x"]), JSON))
def test_any_document_is_parsed_or_refused(change: dict[str, Any]) -> None:
    try:
        gpuzarr.open({"attributes.json": json.dumps(GOOD | change).encode()}, device="cpu")
    except gpuzarr.MetadataError as error:
        assert "attributes.json" in str(error)


def test_properties_and_attributes() -> None:
    more = {"n5": "4.0.0", "axes": ["x", "y"], "pixelResolution": {"unit": "nm", "dimensions": [4, 4]}}
    a = gpuzarr.open_array({"attributes.json": json.dumps(GOOD | more).encode()}, device="cpu")
    assert (a.shape, a.chunks, a.fill_value, a.zarr_format, a.read_only) == ((7, 5), (3, 2), 0, 3, True)
    assert a.dimension_names == ("x", "y")
    assert a.attrs.asdict() == {name: more[name] for name in ("axes", "pixelResolution")}
    assert pickle.loads(pickle.dumps(a)).metadata == a.metadata
    old = {name: value for name, value in GOOD.items() if name not in ("blockSize", "compression")}
    old |= {"compressionType": "gzip", "_ARRAY_DIMENSIONS": ["y", "x"]}  # by xarray, whose axes are those of NumPy
    a = gpuzarr.open_array({"attributes.json": json.dumps(old).encode()}, device="cpu")
    assert (a.chunks, a.dimension_names) == ((7, 5), ("x", "y"))


def container() -> dict[str, bytes]:
    """A root with a version, a group with attributes, one without a document, and one of Zarr beside it."""
    return {
        "attributes.json": b'{"n5": "4.0.0", "made": "today"}',
        "a/attributes.json": b'{"name": "a"}',
        **below("a/b/c/raw", dataset(VALUES, (3, 2))),
        **below("gzip", dataset(VALUES, (3, 2), "gzip")),
        "notes/read.me": b"",
    }


@pytest.fixture(params=["mapping", "local"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "mapping":
        return container()
    for key, data in container().items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(data)
    return tmp_path


def test_folders_are_groups(root: Any) -> None:
    group = gpuzarr.open(root, device="cpu")
    assert group.attrs.asdict() == {"made": "today"} and group["a"].attrs.asdict() == {"name": "a"}
    assert [name for name, _ in group.members(max_depth=None)] == ["a", "a/b", "a/b/c", "a/b/c/raw", "gzip", "notes"]
    assert group.tree().lines[1:3] == gpuzarr.open(root, device="cpu").tree().lines[1:3]
    for path in ("a/b/c/raw", "gzip"):
        np.testing.assert_array_equal(group[path][...], VALUES)
        np.testing.assert_array_equal(gpuzarr.open(root, path, device="cpu")[...], VALUES)
    assert list(gpuzarr.open(root, "a/b")) == ["c"]
    assert list(pickle.loads(pickle.dumps(group["a"]))["b"]) == ["c"]
    for node in (group, group["gzip"]):
        assert node.info.asdict()["Format"] == describe(node)["format"] == "N5"
    assert (group["gzip"].nchunks, group["gzip"].nchunks_initialized) == (9, 9)
    for nothing in ("gzip/0", "a/b/c/raw/0/0", "x", "notes/read.me/x", "attributes.json"):
        assert nothing not in group
        with pytest.raises(gpuzarr.NotFoundError):
            gpuzarr.open(root, nothing)


def test_a_root_without_a_document() -> None:
    store = {key: data for key, data in container().items() if key != "attributes.json"}
    assert list(gpuzarr.open(store)) == ["a", "gzip"]
    with pytest.raises(gpuzarr.NotFoundError):
        gpuzarr.open({"a/b": b"", "c": b""})


def test_an_array_of_zarr_in_a_group_of_n5() -> None:
    inner: dict[str, bytes] = {}
    gpuzarr.save(inner, VALUES)
    group = gpuzarr.open(container() | below("a/zarr", inner))
    assert (group["a/zarr"].metadata.foreign, group["a/zarr"].shape, group["gzip"].metadata.foreign) == (
        None,
        (7, 5),
        "N5",
    )


def test_zarr_comes_first() -> None:
    store = dataset(VALUES, (3, 2))
    inner: dict[str, bytes] = {}
    gpuzarr.save(inner, VALUES + 1)
    assert gpuzarr.open(store | inner)[0, 0] == 1
    assert gpuzarr.open_array(store | inner, zarr_format=3, mode="r+").read_only is False
    for zarr_format in (2, 3):
        with pytest.raises(gpuzarr.NotFoundError, match=f"no Zarr v{zarr_format}"):
            gpuzarr.open(store, zarr_format=zarr_format)


def test_nothing_is_written(root: Any) -> None:
    group = gpuzarr.open(root)
    for write in (
        lambda: gpuzarr.open(root, mode="a"),
        lambda: gpuzarr.open(root, "gzip", mode="r+"),
        lambda: gpuzarr.open(root, mode="w"),
        lambda: gpuzarr.create_array(root, name="new", shape=3, dtype="u1"),
        lambda: gpuzarr.create_group(root, path="gzip/new"),
        lambda: gpuzarr.save(root, VALUES),
        lambda: gpuzarr.consolidate_metadata(root),
        lambda: group.create_group("new"),
        lambda: group["gzip"].resize((9, 9)),
        lambda: group["gzip"].__setitem__(0, 1),
    ):
        with pytest.raises(gpuzarr.ReadOnlyError, match=r"of N5, which is only read: copy its arrays .*from_array"):
            write()
    with pytest.raises(gpuzarr.ReadOnlyError):
        group["gzip"].attrs["x"] = 1
    with pytest.raises(UnsupportedCallError, match="byte by byte"):
        gpuzarr.copy_all(group, gpuzarr.group())
    if isinstance(root, dict):
        assert root == container()


def test_in_a_group_of_zarr_that_is_written() -> None:
    store = below("inside", container())
    group = gpuzarr.group(store)
    assert group["inside"].read_only and group["inside/gzip"].read_only
    with pytest.raises(gpuzarr.ReadOnlyError):
        group["inside"].create_group("x")


def test_a_copy_is_an_array_of_zarr() -> None:
    a = gpuzarr.open_array(dataset(VALUES, (3, 2), "gzip"))
    for copied in (gpuzarr.from_array({}, data=a), gpuzarr.create_array({}, data=a), gpuzarr.array(a)):
        names = [codec["name"] for codec in copied.metadata.document["codecs"]]
        assert names == ["bytes", "zstd"]
        np.testing.assert_array_equal(host_array(copied[...]), VALUES)
