"""Documents spelled otherwise: what zarr-python opens is opened with the same values, and stored in the right form."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.core.buffer import cpu
from zarr.storage import MemoryStore

import gpuzarr
from gpuzarr.metadata import v2, v3
from tests import nasty
from tests.metadata.anything import places

pytestmark = pytest.mark.filterwarnings("ignore")  # zarr-python warns of much of this
Store = dict[str, bytes]
VALUES = np.arange(20).reshape(5, 4)
RECORD = np.array([(1, (b"x", 4)), (3, (b"y", 4)), (5, (b"z", 9))], [("a", "<i2"), ("b", [("c", "S2"), ("d", "<i8")])])
FLAT = np.array([(1, 2.5), (3, 4.5), (5, 6.5)], [("a", "<i2"), ("b", "<f4")])
ZSTD, BLOSC = numcodecs.Zstd(3), numcodecs.Blosc("lz4")
SHUFFLE = {"name": "numcodecs.shuffle", "configuration": {"elementsize": 2}}
ZLIB = {"name": "numcodecs.zlib", "configuration": {"level": 3}}
GZIP = {"name": "gzip", "configuration": {"level": 3}}
TRANSPOSE = {"name": "transpose", "configuration": {"order": [1, 0]}}
ROUNDED = {"name": "numcodecs.bitround", "configuration": {"keepbits": 3}}


def is_doubtful(name: str, path: str, value: Any) -> bool:
    """Whether zarr-python takes a value although it is in doubt what it means. It must be a typed error."""
    if path == "fill_value":  # of a bool: every text is true there
        return name.endswith("bool") and value in ("False", "false", "", 2, [False])
    field = path.rpartition(".")[2]
    if field in ("shape", "chunks", "chunk_shape"):
        return value in ({}, "")
    if field in ("keepbits", "elementsize", "attributes"):
        return value in (3.5, -2, "")
    if field == "dtype":
        return value is None or (isinstance(value, str) and value.endswith("\n"))
    return False


DTYPES = ("bool", "<i2", "<f4", "<c8", "<M8[ns]", "<U3", "S3", "V4")
OF_DTYPE = [f"v{zarr_format} {dtype}" for zarr_format in (2, 3) for dtype in DTYPES]


def arrays() -> dict[str, Any]:
    """Arguments of `zarr.create_array`, and the values."""
    found: dict[str, Any] = {}
    for dtype in DTYPES:
        values = VALUES.astype("i4").view("V4") if dtype == "V4" else VALUES.astype("i8").astype(dtype)
        found[f"v2 {dtype}"] = {"values": values, "zarr_format": 2, "compressors": None}
        found[f"v3 {dtype}"] = {"values": values, "compressors": None}
    text = np.array(["a", "bc", ""], np.dtypes.StringDType())
    for zarr_format in (2, 3):
        found[f"v{zarr_format} text"] = {"values": text, "dtype": str, "zarr_format": zarr_format}
        found[f"v{zarr_format} flat"] = {"values": FLAT, "zarr_format": zarr_format}
        found[f"v{zarr_format} one axis"] = {"values": np.arange(3), "zarr_format": zarr_format}
        found[f"v{zarr_format} no axis"] = {"values": np.array(3.0), "zarr_format": zarr_format}
    found["v2 zstd"] = {"values": VALUES, "zarr_format": 2, "compressors": ZSTD}
    found["v2 blosc"] = {"values": VALUES, "zarr_format": 2, "compressors": BLOSC}
    found["v2 delta"] = {"values": VALUES, "zarr_format": 2, "filters": [numcodecs.Delta("<i8")]}
    found["v3 shards"] = {"values": VALUES, "chunks": (2, 2), "shards": (4, 4), "compressors": [GZIP]}
    found["v3 shuffle"] = {"values": VALUES.astype("i2"), "compressors": [SHUFFLE, ZLIB]}
    found["v3 filters"] = {"values": VALUES.astype("f4"), "filters": [TRANSPOSE, ROUNDED], "compressors": None}
    return found


@cache
def store(name: str) -> Store:
    """A store of zarr-python with that array, without its last chunk."""
    options = dict(arrays()[name])
    values = options.pop("values")
    made = MemoryStore(files := {})
    chunks = {"chunks": (2, 3)[: values.ndim]} if values.ndim else {}
    zarr.create_array(made, shape=values.shape, **{"dtype": values.dtype, **chunks, **options})[...] = values
    found = {key: value.to_bytes() for key, value in files.items()}
    if len(objects := sorted(set(found) - {"zarr.json", ".zarray", ".zattrs"})) > 1:
        del found[objects[-1]]
    return found


def spellings(value: Any) -> Iterator[Any]:
    """Other values that might stand for this one."""
    numbers = (0, 1, 0.0, "0", True, False, None, [], "", 2**70, "NaN", "nan", "1.5", "1e3", "0x7fc00000", "0x7e00")
    if value is None:
        yield from (0, "", [], {}, "null", False)
    elif isinstance(value, bool):
        yield from (int(value), str(value), str(value).lower(), None, float(value), [value], 2, "")
    elif isinstance(value, int | float):
        yield from (value, float(value), str(value), f"{value}.0", [value], -value, value + 0.5, *numbers)
    elif isinstance(value, str):
        yield from (value.upper(), {"name": value}, [value], "", None, 0, 1, value + " ", value + "\n", "QUJD", "abcd")
    elif isinstance(value, list):
        yield from (None, [], {}, "", 0, value[:1], [*value, *value[-1:]], value[:-1], [value], str(value), *value[:1])
    elif isinstance(value, dict):
        yield from (None, {}, [], "", *({**value, "x": x} for x in (1, None, {"must_understand": False})))
        yield from ({**value, "must_understand": x} for x in (True, False))
        yield from ({name: member for name, member in value.items() if name != without} for without in value)
        if "name" in value:
            inside = value.get("configuration") or {}
            yield from (value["name"], {**value, "configuration": None}, {**value, "id": value["name"]})
            identity = {"id": value["name"].removeprefix("numcodecs.")}
            yield from ({**value, "configuration": {**inside, **more}} for more in ({"x": 1}, identity))
            yield {"name": value["name"], **inside}


def mutated(name: str) -> Iterator[tuple[str, Any, Store]]:
    """Each place of the document, a value for it, and the store; of arrays that differ in their dtype, its places."""
    files = store(name)
    key = "zarr.json" if "zarr.json" in files else ".zarray"
    document = json.loads(files[key])
    of_dtype = ("dtype", "data_type", "fill_value")
    for path in places(document):
        if name in OF_DTYPE and path[:1] and path[0] not in of_dtype:
            continue
        value = document
        for step in path:
            value = value[step]
        for other in spellings(value):
            changed = copy.deepcopy(document)
            if path:
                at = changed
                for step in path[:-1]:
                    at = at[step]
                at[path[-1]] = other
            yield ".".join(map(str, path)), other, {**files, key: json.dumps(changed if path else other).encode()}


def theirs(files: Store) -> Any:
    """The array as zarr-python opens it, and its values; None where it does not."""
    buffers = {key: cpu.Buffer.from_bytes(value) for key, value in files.items()}
    try:
        return (found := zarr.open_array(MemoryStore(buffers), mode="r")), np.asarray(found[...])
    except Exception:
        return None


def plain(value: Any) -> Any:
    """A value that can be compared."""
    array = np.asarray(value)
    if value is None or array.dtype.kind in "OTUS":
        return None if value is None else array.tolist()
    return array.astype(array.dtype.newbyteorder("<")).tobytes(), array.shape


@pytest.mark.parametrize("name", arrays())
def test_what_zarr_python_opens_is_opened_with_the_same_values(name: str) -> None:
    opened = 0
    for path, value, files in mutated(name):
        if (found := theirs(files)) is None:
            continue
        said = f"{path} is {value!r:.200}"
        if is_doubtful(name, path, value):
            with pytest.raises(gpuzarr.MetadataError):
                gpuzarr.open_array(dict(files), mode="r", device="cpu")
            continue
        array, values = found
        ours = gpuzarr.open_array(dict(files), mode="r", device="cpu")
        assert ours.shape == array.shape, said
        fill_value = array.fill_value
        if isinstance(fill_value, np.str_ | np.bytes_ | np.void) and array.dtype.names is None:  # as arrays hold it
            fill_value = np.array(fill_value).astype(array.dtype)[()]
        assert plain(ours.fill_value) == plain(fill_value), said
        assert plain(ours[...]) == plain(values), said
        assert dict(ours.attrs) == dict(array.attrs), said
        opened += 1
    assert opened > 4


def reopened(files: Store) -> dict[str, Any]:
    """The document after a change of the attributes and of the shape, which zarr-python must then read."""
    array = gpuzarr.open_array(files, mode="r+", device="cpu")
    before = plain(array[...])
    array.attrs["k"] = 1
    array.resize([n + 1 for n in array.shape])
    array.resize([n - 1 for n in array.shape])
    assert plain(array[...]) == plain(gpuzarr.open(files)[...]) == before
    found = theirs(files)
    assert plain(found[1]) == before if found else "|V3" in str(files) and zarr.__version__ < "3.2"
    return json.loads(files["zarr.json"] if "zarr.json" in files else files[".zarray"])


BYTES = {"name": "bytes"}
GRID = {"name": "regular", "configuration": {"chunk_shape": [2, 3]}}
RIGHT_V3: list[tuple[dict[str, Any], dict[str, Any]]] = [  # members as they are found, and as they are stored
    (
        {"shape": 20, "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": 3}}},
        {"shape": [20], "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3]}}},
    ),
    (
        {"shape": [20, True], "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, True]}}},
        {"shape": [20, 1], "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, 1]}}},
    ),
    ({"chunk_grid": {**GRID, "x": 1, "configuration": {"chunk_shape": [2, 3], "y": {}}}}, {"chunk_grid": GRID}),
    (
        {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
        {"chunk_key_encoding": {"name": "v2", "configuration": {"separator": "/"}}},
    ),
    ({"fill_value": "7"}, {"fill_value": 7}),
    ({"fill_value": True}, {"fill_value": 1}),
    ({"data_type": "bool", "fill_value": 0, "codecs": [BYTES]}, {"fill_value": False, "codecs": [BYTES]}),
    ({"data_type": "bool", "fill_value": None, "codecs": [BYTES]}, {"fill_value": False}),
    ({"data_type": "float64", "fill_value": "nan"}, {"fill_value": "NaN"}),
    ({"data_type": "float64", "fill_value": "1.5"}, {"fill_value": 1.5}),
    ({"attributes": None}, {"attributes": {"k": 1}}),
    (
        {"consolidated_metadata": None, "storage_transformers": None},
        {"consolidated_metadata": ..., "storage_transformers": ...},
    ),
    ({"codecs": [{"name": "bytes"}]}, {"codecs": [nasty.LITTLE]}),
    (
        {"codecs": ["bytes", {"name": "numcodecs.zlib", "configuration": {"id": "zlib", "level": "3"}}]},
        {"codecs": [nasty.LITTLE, ZLIB]},
    ),
    ({"codecs": ["bytes", {"name": "numcodecs.shuffle", "configuration": {}}]}, {"codecs": [nasty.LITTLE, SHUFFLE]}),
    (
        {"codecs": [{**nasty.LITTLE, "x": None}, {"name": "crc32c", "configuration": {"id": "crc32c"}}]},
        {"codecs": [nasty.LITTLE, {"name": "crc32c", "configuration": {}}]},
    ),
    ({"zarr_format": 3.0}, {"zarr_format": 3}),
]


@pytest.mark.parametrize(("found", "stored"), RIGHT_V3, ids=str)
def test_v3_is_stored_in_the_right_form(found: dict[str, Any], stored: dict[str, Any]) -> None:
    document = nasty.array((20, 20), (2, 3)) | found
    after = reopened({"zarr.json": json.dumps(document).encode()})
    for name, value in stored.items():
        assert after.get(name, ...) == value and type(after.get(name, ...)) is type(value)


RIGHT_V2: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"shape": 5, "chunks": 2}, {"shape": [5], "chunks": [2]}),
    ({"compressor": {"id": "zstd", "level": "3"}}, {"compressor": {"id": "zstd", "level": 3}}),
    ({"compressor": {"id": "zlib", "level": 3.0}}, {"compressor": {"id": "zlib", "level": 3}}),
    ({"compressor": {"id": "zlib", "level": None}}, {"compressor": {"id": "zlib"}}),
    ({"compressor": {"id": "blosc", "cname": "?", "clevel": True}}, {"compressor": {"id": "blosc", "clevel": 1}}),
    ({"filters": [{"id": "shuffle", "elementsize": 2.0}]}, {"filters": [{"id": "shuffle", "elementsize": 2}]}),
    ({"filters": {}}, {"filters": None}),
    ({"dimension_separator": None}, {"dimension_separator": "."}),
    ({"dtype": "int16"}, {"dtype": "<i2"}),
    ({"dtype": "datetime64[ns]"}, {"dtype": "<M8[ns]"}),
    (
        {"dtype": [["a", "|i1"], ["", "|V3"], ["b", "<i4"]], "fill_value": None},
        {"dtype": [["a", "|i1"], ["f1", "|V3"], ["b", "<i4"]], "fill_value": None},
    ),
    ({"dtype": [[["title", "a"], "|i1"]], "fill_value": None}, {"dtype": [["a", "|i1"]]}),
    ({"zarr_format": 2.0}, {"zarr_format": 2}),
]


@pytest.mark.parametrize(("found", "stored"), RIGHT_V2, ids=str)
def test_v2_is_stored_in_the_right_form(found: dict[str, Any], stored: dict[str, Any]) -> None:
    after = reopened({".zarray": json.dumps(nasty.array_v2() | found).encode(), ".zattrs": b"{}"})
    for name, value in stored.items():
        assert after[name] == value and type(after[name]) is type(value)


def test_a_right_document_stays_as_it_is() -> None:
    right = nasty.array(codecs=[nasty.shards((1, 1)), "crc32c"])
    assert v3.parse_array(right, "x").document is right
    assert v2.parse_array(right_v2 := nasty.array_v2(), {}, "x").document is right_v2
    assert v3.parse_group(nasty.GROUP, "x").document is nasty.GROUP


@pytest.mark.parametrize("endian", [{}, {"configuration": {}}, {"configuration": {"endian": None}}])
@pytest.mark.parametrize("where", ["chunks", "shards", "index"])
def test_bytes_without_endian_are_little_endian(where: str, endian: dict[str, Any]) -> None:
    """As zarr-python 3.1 writes structs."""
    options = {"chunks": (2,), "shards": (4,)} if where != "chunks" else {"chunks": (2,)}
    made = gpuzarr.create_array(files := {}, shape=3, dtype=FLAT.dtype, compressors=None, **options)
    made[...] = FLAT
    document = json.loads(files["zarr.json"])
    at = (
        document["codecs"]
        if where == "chunks"
        else document["codecs"][0]["configuration"]["codecs" if where == "shards" else "index_codecs"]
    )
    at[0] = {"name": "bytes", **endian}
    files["zarr.json"] = json.dumps(document).encode()
    assert gpuzarr.open(files)[...].tolist() == FLAT.tolist()
    gpuzarr.open(files, mode="r+").attrs["k"] = 1
    assert '"endian": "little"' in files["zarr.json"].decode().replace("\n", "")
    assert gpuzarr.open(files)[...].tolist() == FLAT.tolist()


def test_edges_in_a_regular_grid_are_a_rectilinear_grid() -> None:
    """As zarr-python 3.2 wrote them."""
    document = nasty.array((5, 4), (2, [1, 3]))
    array = gpuzarr.open(files := {"zarr.json": json.dumps(document).encode()}, mode="r+")
    array[...] = VALUES
    array.attrs["k"] = 1
    grid = json.loads(files["zarr.json"])["chunk_grid"]
    assert grid == {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [2, [1, 3]]}}
    assert gpuzarr.open(files)[...].tolist() == VALUES.tolist()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-le"])
@pytest.mark.parametrize("name", ["v2 <i2", "v3 <i2"])
def test_documents_in_other_encodings(name: str, encoding: str) -> None:
    files = dict(store(name))
    for key in set(files) & {"zarr.json", ".zarray", ".zattrs"}:
        files[key] = files[key].decode().encode(encoding)
    found = theirs(files)
    assert found is None or plain(gpuzarr.open(files)[...]) == plain(found[1])
    wanted = gpuzarr.open(store(name))[...]
    gpuzarr.open(files, mode="r+").attrs["é"] = "ü"
    assert np.array_equal(gpuzarr.open(files)[...], wanted) and dict(gpuzarr.open(files).attrs) == {"é": "ü"}


def tree(group: Any) -> Any:
    """The attributes of a group, and what is below it."""
    members = sorted(group.members(max_depth=None), key=lambda member: member[0])
    return dict(group.attrs), [(name, dict(node.attrs), getattr(node, "shape", None)) for name, node in members]


@cache
def groups(zarr_format: int, is_consolidated: bool) -> Store:
    group = zarr.create_group(store := MemoryStore(files := {}), zarr_format=zarr_format, attributes={"a": 1})
    group.create_array("x", shape=(4,), dtype="i4")
    group.create_group("g", attributes={"b": 2}).create_array("y", shape=(3,), dtype="f4")
    if is_consolidated:
        zarr.consolidate_metadata(store)
    return {key: value.to_bytes() for key, value in files.items()}


ODD_GROUPS: list[tuple[int, bool, str, dict[str, Any]]] = [
    (2, False, ".zgroup", {"x": 1}),
    (2, True, ".zmetadata", {"zarr_consolidated_format": ...}),
    (2, True, ".zmetadata", {"zarr_consolidated_format": True}),
    (2, True, ".zmetadata", {"zarr_consolidated_format": 1.0}),
    (3, False, "zarr.json", {"zarr_format": ...}),
    (3, False, "zarr.json", {"attributes": None}),
    (3, False, "zarr.json", {"attributes": ...}),
    (3, True, "zarr.json", {"consolidated_metadata": {}}),
    (3, True, "zarr.json", {"consolidated_metadata": None}),
]


@pytest.mark.parametrize(("zarr_format", "is_consolidated", "key", "change"), ODD_GROUPS, ids=str)
def test_groups(zarr_format: int, is_consolidated: bool, key: str, change: dict[str, Any]) -> None:
    files = dict(groups(zarr_format, is_consolidated))
    document = json.loads(files[key]) | change
    files[key] = json.dumps({name: value for name, value in document.items() if value is not ...}).encode()
    buffers = {name: cpu.Buffer.from_bytes(value) for name, value in files.items()}
    wanted = tree(zarr.open_group(MemoryStore(buffers), mode="r"))
    assert tree(gpuzarr.open_group(dict(files), mode="r")) == wanted
    group = gpuzarr.open_group(files, mode="r+")
    group.attrs["k"] = 1
    assert tree(gpuzarr.open_group(files)) == ({**wanted[0], "k": 1}, wanted[1])
    if key == "zarr.json":
        assert json.loads(files[key])["zarr_format"] == 3 and isinstance(json.loads(files[key])["attributes"], dict)


def test_null_consolidated_metadata_of_an_array() -> None:
    files = dict(groups(3, False))
    files["x/zarr.json"] = json.dumps(json.loads(files["x/zarr.json"]) | {"consolidated_metadata": None}).encode()
    assert tree(gpuzarr.open_group(files)) == tree(gpuzarr.open_group(dict(groups(3, False))))
    gpuzarr.open(files, "x", mode="r+").attrs["k"] = 1
    assert "consolidated_metadata" not in json.loads(files["x/zarr.json"])


def test_attributes_in_consolidated_metadata_of_v2_that_are_nothing() -> None:
    files = dict(groups(2, True))
    document = json.loads(files[".zmetadata"])
    document["metadata"] |= {"x/.zattrs": None, "g/.zattrs": []}
    files[".zmetadata"] = json.dumps(document).encode()
    group = gpuzarr.open_group(files)
    assert dict(group["x"].attrs) == dict(group["g"].attrs) == {}
