"""What is common to the metadata of both formats, and the documents of the corpus."""

import json
import pickle

import numpy as np
import pytest

from gpuzarr import metadata
from gpuzarr.dtypes import parse_v3
from gpuzarr.errors import MetadataError
from gpuzarr.metadata import v2 as metadata_v2
from gpuzarr.metadata import v3 as metadata_v3
from tests import corpus


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b"3", b'"a"', b"null", b"\xff{}", b"{'a': 1}", b'{"a": 1}}', b'{"a": +1}', b"\0"),
        *(b"[" * 100_000, b'{"a":' * 100_000, b'{"a": ' + b"9" * 5000 + b"}", '["a"]'.encode("utf-16")),
        *(b"\xff\xfe{", b'{"a": 1}\0'),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_json_object_is_refused_with_the_name_of_the_file(data):
    with pytest.raises(MetadataError, match=r"^a/zarr\.json: "):
        metadata.load_json(data, "a/zarr.json")


def test_bare_nan_and_infinity_are_read():
    document = metadata.load_json(b'{"a": NaN, "b": [Infinity, -Infinity]}', "x")
    assert np.isnan(document["a"])
    assert document["b"] == [np.inf, -np.inf]


@pytest.mark.parametrize("encoding", [f"utf-{name}" for name in ("8", "8-sig", "16", "16-le", "16-be", "32", "32-le")])
def test_every_encoding_of_json_is_read(encoding):
    text = '{"a": 1, "µ": "\U0001f600"}'
    assert metadata.load_json(text.encode(encoding), "x") == {"a": 1, "µ": "\U0001f600"}


def test_halves_of_surrogate_pairs_are_read():
    wanted = {"\ud800": "\udfff"}
    assert metadata.load_json(b'{"\\ud800": "\\udfff"}', "x") == wanted
    assert metadata.load_json('{"\ud800": "\udfff"}'.encode("utf-8", "surrogatepass"), "x") == wanted


@pytest.mark.parametrize("path", ["../x", "a/../b", "a//b", "./a", "a/."])
def test_paths_lead_nowhere_else(path):
    with pytest.raises(MetadataError, match="not the path of a node"):
        metadata.node_path(path, "x")


def test_chunk_keys():
    coords = np.array([[0, 1], [10, 2]])
    empty = np.zeros((1, 0), int)
    assert metadata.ChunkKeys("c", "/", "c").encode(coords) == ["c/0/1", "c/10/2"]
    assert metadata.ChunkKeys("", ".", "0").encode(coords) == ["0.1", "10.2"]
    assert metadata.ChunkKeys("c", ".", "c").encode(empty) == ["c"]
    assert metadata.ChunkKeys("", ".", "0").encode(empty) == ["0"]


def parse(row):
    path = row["path"]

    def load(name):
        return metadata.load_json(corpus.read(f"{path}/{name}") or b"{}", f"{path}/{name}")

    if row["format"] == "v2":
        return metadata_v2.parse_array(load(".zarray"), load(".zattrs"), f"{path}/.zarray")
    return metadata_v3.parse_array(load("zarr.json"), f"{path}/zarr.json")


@corpus.needed
@pytest.mark.parametrize("row", corpus.zarr_rows(), ids=lambda row: row["path"])
def test_every_document_of_the_corpus_parses(row):
    parsed = parse(row)
    assert list(parsed.shape) == row["shape"]
    pickle.loads(pickle.dumps(parsed))


@corpus.needed
def test_zarr_python_agrees_on_the_corpus():
    """Its dtype, fill value, chunk shape, attributes and chunk keys, of each array that it reads."""
    zarr = pytest.importorskip("zarr", "3.4")  # older ones know fewer codecs and types
    count = 0
    with zarr.config.set({"array.rectilinear_chunks": True}):
        for row in corpus.zarr_rows("directory"):
            if "zarr" in row["read_by"]:
                agrees(
                    parse(row), zarr.open_array(corpus.ROOT / row["path"], mode="r", zarr_format=int(row["format"][1]))
                )
                count += 1
    print(f"{count} arrays")


def agrees(ours, theirs):
    dtype = ours.data_type.dtype
    assert theirs.dtype == dtype if dtype.kind == "T" else theirs.dtype.newbyteorder("=") == dtype
    ones = (1,) * len(ours.shape)
    assert ours.chunk_keys.encode(np.array([ones], int)) == [theirs.metadata.encode_chunk_key(ones)]
    assert repr(ours.attributes) == repr(dict(theirs.attrs))
    if ours.regular:
        grid = theirs.metadata.chunk_grid if ours.zarr_format == 3 else theirs.metadata
        assert ours.chunk_shape == tuple(grid.chunk_shape if ours.zarr_format == 3 else grid.chunks)
    fill = theirs.metadata.dtype.default_scalar() if theirs.fill_value is None else theirs.fill_value
    if ours.data_type.variable:
        assert ours.fill_value == fill
    else:
        assert np.asarray(ours.fill_value, dtype).tobytes() == np.asarray(fill).astype(dtype).tobytes()


def conformance(pattern):
    return sorted((corpus.ROOT / "zarr_python_metadata/metadata").glob(pattern))


def json_of(file):
    return json.loads(file.read_text())


@corpus.needed
@pytest.mark.parametrize("file", conformance("v*/array/*.json"), ids=lambda file: file.stem)
def test_array_documents_of_zarr_python(file):
    document = json_of(file)
    parsed = (
        metadata_v3.parse_array(document, "x")
        if document["zarr_format"] == 3
        else metadata_v2.parse_array(document, {}, "x")
    )
    assert list(parsed.shape) == document["shape"]
    if "rectilinear" in file.stem:
        assert not parsed.regular
        assert all(
            axis.count == -(-axis.length // 50) for axis in parsed.axes if isinstance(axis, metadata.RegularAxis)
        )


@corpus.needed
@pytest.mark.parametrize("file", conformance("v3/data_type/*/fill_values.json"), ids=lambda file: file.parent.name)
def test_fill_values_of_zarr_python(file):
    document = file.parent / "data_type.json"
    name = {"raw": "r32"}.get(file.parent.name, file.parent.name)
    data_type = parse_v3(json_of(document) if document.exists() else name)
    for spelling in json_of(file).values():
        value = data_type.fill_from_json(spelling)
        again = data_type.fill_from_json(data_type.fill_to_json(value))
        assert again == value or np.asarray(again).tobytes() == np.asarray(value).tobytes()


@corpus.needed
@pytest.mark.parametrize("file", conformance("v3/group/*.json"), ids=lambda file: file.stem)
def test_group_documents_of_zarr_python(file):
    metadata_v3.parse_group(json_of(file), "x")
