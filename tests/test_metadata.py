"""What is common to the metadata of both formats, and the documents of the corpus."""

import pickle

import numpy as np
import pytest

from gpuzarr import metadata, metadata_v2, metadata_v3
from gpuzarr.errors import MetadataError
from tests import corpus


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b"3", b'"a"', b"null", b"\xff{}", b"{'a': 1}", b'{"a": 1}}', b'{"a": +1}', b"\0"),
        *(b"[" * 100_000, b'{"a":' * 100_000, b'{"a": ' + b"9" * 5000 + b"}", '{"a": 1}'.encode("utf-16")),
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


def test_a_byte_order_mark_is_passed_over():
    assert metadata.load_json(b'\xef\xbb\xbf{"a": 1}', "x") == {"a": 1}


@pytest.mark.parametrize("path", ["../x", "a/../b", "a//b", "./a", "a/."])
def test_paths_lead_nowhere_else(path):
    with pytest.raises(MetadataError, match="no path of a node"):
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
    zarr = pytest.importorskip("zarr")
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
        assert np.asarray(ours.fill_value).tobytes() == np.asarray(fill).astype(dtype).tobytes()
