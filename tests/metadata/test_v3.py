"""Documents of Zarr v3: the good are read as the spec says, the bad are refused by file and field."""

import copy
import pickle
from contextlib import suppress

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.errors import MetadataError, UnsupportedError
from gpuzarr.metadata import ChunkKeys, RectilinearAxis, RegularAxis
from gpuzarr.metadata import v3 as metadata_v3
from tests.metadata.anything import JSON, places

ARRAY = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [10, 20],
    "data_type": "float32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 20]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": "NaN",
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    "attributes": {"unit": "K"},
    "dimension_names": ["y", None],
    "storage_transformers": [],
}
GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {"a": 1}}


def array(**changes):
    """The array's document with some members changed, or left out (`...`)."""
    return {key: value for key, value in {**copy.deepcopy(ARRAY), **changes}.items() if value is not ...}


def parse(**changes):
    return metadata_v3.parse_array(array(**changes), "store/a/zarr.json")


def grid(*chunk_shapes):
    return {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": list(chunk_shapes)}}


def test_an_array():
    parsed = parse()
    assert parsed.shape == (10, 20)
    assert parsed.axes == (RegularAxis(10, 4), RegularAxis(20, 20))
    assert parsed.chunk_shape == (4, 20)
    assert [axis.count for axis in parsed.axes] == [3, 1]
    assert parsed.data_type.dtype == np.float32
    assert np.isnan(parsed.fill_value)
    assert parsed.chunk_keys == ChunkKeys("c", "/", "c")
    assert [codec.names[0] for codec in parsed.codecs] == ["bytes"]
    assert parsed.attributes == {"unit": "K"}
    assert parsed.dimension_names == ("y", None)
    assert (parsed.order, parsed.zarr_format, parsed.size) == ("C", 3, 200)
    assert parsed.document == ARRAY


def test_what_may_be_left_out():
    parsed = parse(attributes=..., dimension_names=..., storage_transformers=...)
    assert parsed.attributes == {}
    assert parsed.dimension_names is None


@pytest.mark.parametrize(
    ("document", "keys"),
    [
        ("default", ChunkKeys("c", "/", "c")),
        ({"name": "default"}, ChunkKeys("c", "/", "c")),
        ({"name": "default", "configuration": {"separator": "."}}, ChunkKeys("c", ".", "c")),
        ("v2", ChunkKeys("", ".", "0")),
        ({"name": "v2", "configuration": {"separator": "/"}}, ChunkKeys("", "/", "0")),
    ],
    ids=str,
)
def test_chunk_key_encodings(document, keys):
    assert parse(chunk_key_encoding=document).chunk_keys == keys


@pytest.mark.parametrize("coords", [(), (7,), (1, 20, 300)])
@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize("name", ["default", "v2"])
def test_the_key_of_one_chunk_is_that_of_zarr_python(name, separator, coords):
    document = {"name": name, "configuration": {"separator": separator}}
    theirs = zarr.create_array({}, shape=(1,) * len(coords), dtype="u1", chunk_key_encoding=document).metadata
    ours = parse(chunk_key_encoding=document).chunk_key_encoding
    assert ours.encode_chunk_key(coords) == theirs.chunk_key_encoding.encode_chunk_key(coords)


def test_short_hand_names():
    parsed = parse(data_type={"name": "uint8", "configuration": {}}, codecs=["bytes"], fill_value=3)
    assert parsed.fill_value == 3
    assert len(parsed.codecs) == 1


def test_chunk_size_0_is_read_as_1():
    parsed = parse(shape=[0, 20], chunk_grid={"name": "regular", "configuration": {"chunk_shape": [0, 20]}})
    assert parsed.axes[0] == RegularAxis(0, 1)
    assert parsed.axes[0].count == 0


def test_no_dimensions():
    parsed = parse(shape=[], chunk_grid={"name": "regular", "configuration": {"chunk_shape": []}}, dimension_names=[])
    assert (parsed.axes, parsed.size, parsed.dimension_names) == ((), 1, ())


def test_a_huge_array_costs_nothing():
    chunks = {"name": "regular", "configuration": {"chunk_shape": [1000, 1]}}
    assert parse(shape=[2**62, 2**63 - 1], chunk_grid=chunks).axes[0].count == -(-(2**62) // 1000)


@pytest.mark.parametrize(
    ("axis", "wanted"),
    [
        (5, RegularAxis(10, 5)),
        ([4, 4, 2], RectilinearAxis(10, (0, 4, 8, 10))),
        ([[3, 2], 4], RectilinearAxis(10, (0, 3, 6, 10))),
        ([[1, 10]], RectilinearAxis(10, tuple(range(11)))),
        ([4, 8], RectilinearAxis(10, (0, 4, 12))),
        ([4, 6, 5, 5], RectilinearAxis(10, (0, 4, 10))),  # the array has shrunk
    ],
    ids=str,
)
def test_rectilinear_grids(axis, wanted):
    parsed = parse(chunk_grid=grid(axis, [20]))
    assert parsed.axes == (wanted, RectilinearAxis(20, (0, 20)))
    assert not parsed.regular


def test_a_rectilinear_axis_of_no_elements_has_no_chunks():
    assert parse(shape=[0, 20], chunk_grid=grid([5], 20)).axes[0].count == 0


@pytest.mark.parametrize(("order", "wanted"), [([1, 0], "F"), ([0, 1], "C"), ("F", "F"), ("C", "C")], ids=str)
def test_order(order, wanted):
    transpose = {"name": "transpose", "configuration": {"order": order}}
    assert parse(codecs=[transpose, *ARRAY["codecs"]]).order == wanted


def test_extra_members_that_need_not_be_understood():
    assert parse(mine={"must_understand": False, "x": 1}).shape == (10, 20)


WRONG = [
    *[
        ("zarr_format", value)
        for value in (..., 2, 3.5, "3", True, None, "https://purl.org/zarr/spec/protocol/core/3.0")
    ],
    *[("node_type", value) for value in (..., None, "group", "Array", 3, ["array"])],
    *[("shape", value) for value in (..., None, 10, [10, -1], [10, 2.0], [10, 2**63], ["10", 20], [1] * 65, [10])],
    *[("data_type", value) for value in (..., None, "<f4", "float", {"type": "float32"}, ["float32"], 3)],
    *[("chunk_grid", value) for value in (..., None, "regular", {"type": "regular", "chunk_shape": [4, 20]}, [4, 20])],
    ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [4]}}),
    ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [4, -20]}}),
    ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [2**40, 2**40]}}),
    ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [4, 20], "x": {"must_understand": True}}}),
    ("chunk_grid", {"name": "hexagonal", "configuration": {}}),
    ("chunk_grid", {"name": "rectilinear", "configuration": {"chunk_shapes": [5, 20]}}),
    ("chunk_grid", {"name": "rectilinear", "configuration": {"kind": "file", "chunk_shapes": [5, 20]}}),
    *[("chunk_grid", grid(value, 20)) for value in ([5, 4], [], 0, [0, 10], [[5, 0], 10], [[5, 2, 1]], [[[5, 2], 1]])],
    *[
        ("chunk_grid", grid(value, 20))
        for value in ([[1, 2**40]], [[2**62, 4]], [False, 10], [5.5, 5], "ten", None, {}, [None])
    ],
    ("chunk_grid", grid([5, 5])),
    *[
        ("chunk_key_encoding", value)
        for value in (..., None, "v1", {"name": "default", "configuration": {"separator": "-"}})
    ],
    *[
        ("chunk_key_encoding", value)
        for value in ({"separator": "/"}, {"name": "v2", "configuration": {"sep": "/"}}, "/", 3)
    ],
    ("chunk_key_encoding", {"name": "default", "configuration": {"separator": ["/"]}}),
    *[("fill_value", value) for value in (..., None, "none", "0x7f", [], {})],
    *[
        ("codecs", value)
        for value in (..., None, [], {}, "bytes", [3], [{"configuration": {}}], [{"name": "endian"}], ["x"])
    ],
    *[("attributes", value) for value in ([1], "a", 3)],
    *[("dimension_names", value) for value in (["y"], ["y", "x", "z"], ["y", 3], "yx", 3)],
    *[("storage_transformers", value) for value in ([{"name": "manifest"}], {"a": 1}, "x", [[]])],
    *[("extra", value) for value in (None, 1, {}, {"must_understand": True}, {"must_understand": 0}, {"name": "x"})],
    ("compressor", {"codec": "gzip"}),  # of the old draft
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=str)
def test_wrong_documents_are_refused_by_file_and_field(field, value):
    with pytest.raises(MetadataError) as caught:
        parse(**{field: value})
    assert str(caught.value).startswith("store/a/zarr.json: ")
    assert field in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("data_type", "float128", "float128"),
        ("chunk_grid", {"name": "hexagonal", "configuration": {"side": 3}}, "hexagonal"),
        ("chunk_key_encoding", {"name": "fanout"}, "fanout"),
        ("storage_transformers", [{"name": "manifest"}], "manifest"),
        ("codecs", ["bytes", {"name": "brotli", "configuration": {"q": 11}}], "brotli"),
        ("codecs", ["bytes", {"name": "brotli", "must_understand": False}], "brotli"),
    ],
)
def test_what_nobody_here_knows_is_unsupported_by_name(field, value, name):
    with pytest.raises(UnsupportedError, match=name):
        parse(**{field: value})


@pytest.mark.parametrize("value", [300, -1, 0.5, "300", "0.5"])
def test_a_fill_value_out_of_range_is_refused(value):
    with pytest.raises(MetadataError, match="fill_value"):
        parse(data_type="uint8", fill_value=value)


@pytest.mark.parametrize("document", [None, 3, [], "x", {}, {3: 4}], ids=str)
def test_what_is_no_document_is_refused(document):
    for read in (metadata_v3.parse_array, metadata_v3.parse_group, metadata_v3.parse_node):
        with pytest.raises(MetadataError):
            read(document, "x")


def test_codecs_nested_without_end_are_refused():
    codec = {"name": "bytes"}
    for _ in range(20_000):
        codec = {
            "name": "sharding_indexed",
            "configuration": {"chunk_shape": [1], "codecs": [codec], "index_codecs": []},
        }
    with pytest.raises(MetadataError):
        parse(codecs=[codec])
    struct = "int8"
    for _ in range(20_000):
        struct = {"name": "struct", "configuration": {"fields": [["a", struct]]}}
    with pytest.raises(MetadataError):
        parse(data_type=struct)


def test_key_encodings_of_other_packages(monkeypatch):
    class Fanout:
        def __init__(self, configuration):
            self.most = configuration["most"]

        @classmethod
        def load(cls):
            return cls

    monkeypatch.setattr(metadata_v3, "_other_encodings", lambda: {"fanout": Fanout})
    assert parse(chunk_key_encoding={"name": "fanout", "configuration": {"most": 3}}).chunk_keys.most == 3
    with pytest.raises(MetadataError, match=r"fanout.*most"):
        parse(chunk_key_encoding={"name": "fanout"})


def test_groups():
    parsed = metadata_v3.parse_group(GROUP, "zarr.json")
    assert (parsed.attributes, parsed.consolidated, parsed.zarr_format) == ({"a": 1}, None, 3)
    assert metadata_v3.parse_node(GROUP, "zarr.json") == parsed
    assert metadata_v3.parse_group({"zarr_format": 3, "node_type": "group"}, "x").attributes == {}
    assert metadata_v3.parse_group({**GROUP, "mine": {"must_understand": False}}, "x").attributes == {"a": 1}


def consolidated(metadata, **more):
    inline = {"kind": "inline", "must_understand": False, "metadata": metadata, **more}
    return metadata_v3.parse_group({**GROUP, "consolidated_metadata": inline}, "zarr.json")


@pytest.mark.parametrize("order", [1, -1])
def test_consolidated_nodes_in_any_order(order):
    members = {"a": GROUP, "a/b": ARRAY, "c": ARRAY}
    nodes = consolidated(dict(list(members.items())[::order])).consolidated
    assert sorted(nodes) == ["a", "a/b", "c"]
    assert len(nodes) == 3
    assert nodes["a/b"].shape == (10, 20)
    assert nodes["a"].attributes == {"a": 1}
    assert nodes["c"] is nodes["c"]
    assert "b" not in nodes
    with pytest.raises(KeyError):
        nodes["b"]


def test_a_broken_consolidated_node_hides_no_other():
    nodes = consolidated({"good": ARRAY, "bad": array(codecs=["brotli"])}).consolidated
    assert nodes["good"].shape == (10, 20)
    with pytest.raises(UnsupportedError, match=r"zarr\.json: consolidated_metadata: bad: .*brotli"):
        nodes["bad"]


@pytest.mark.parametrize("value", [3, [1], {"kind": None}, {"kind": "inline"}, {"kind": "parquet", "metadata": {}}])
def test_wrong_consolidated_metadata(value):
    with pytest.raises(MetadataError, match="consolidated_metadata"):
        metadata_v3.parse_group({**GROUP, "consolidated_metadata": value}, "zarr.json")


@pytest.mark.parametrize("value", [None, {}, []])
def test_empty_consolidated_metadata_is_none(value):
    assert metadata_v3.parse_group({**GROUP, "consolidated_metadata": value}, "x").consolidated is None


@given(st.sampled_from(list(places(ARRAY))[1:]), JSON, st.booleans())
def test_any_change_gives_an_array_or_a_metadata_error(place, value, remove):
    document = copy.deepcopy(ARRAY)
    target = document
    for key in place[:-1]:
        target = target[key]
    if remove:
        del target[place[-1]]
    else:
        target[place[-1]] = value
    with suppress(MetadataError):
        metadata_v3.parse_node(document, "x")


def test_groups_pickle_with_their_nodes():
    nodes = pickle.loads(pickle.dumps(consolidated({"a": ARRAY}))).consolidated
    assert nodes["a"].shape == (10, 20)
