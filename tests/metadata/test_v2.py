"""Documents of Zarr v2, translated to the model of v3."""

import copy
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.errors import MetadataError, UnsupportedError
from gpuzarr.metadata import ChunkKeys, RegularAxis
from gpuzarr.metadata import v2 as metadata_v2
from tests.metadata.anything import JSON, places

ARRAY = {
    "zarr_format": 2,
    "shape": [10, 20],
    "chunks": [4, 20],
    "dtype": "<i4",
    "compressor": {"id": "zlib", "level": 1},
    "fill_value": 7,
    "order": "C",
    "filters": [{"id": "shuffle", "elementsize": 4}],
    "dimension_separator": ".",
}
DELTA = {"id": "delta", "dtype": "<i4", "astype": "<i2"}


def parse(attributes=None, **changes):
    document = {key: value for key, value in {**copy.deepcopy(ARRAY), **changes}.items() if value is not ...}
    return metadata_v2.parse_array(document, attributes or {}, "store/a/.zarray")


def kinds(parsed):
    return [codec.kind for codec in parsed.codecs]


def chain(**changes):
    """The class names of the chain of codecs."""
    return [type(codec).__name__ for codec in parse(**changes).codecs]


def test_an_array():
    parsed = parse({"_ARRAY_DIMENSIONS": ["y", "x"], "_NCZARR_ATTR": {"types": {}}})
    assert (parsed.shape, parsed.chunk_shape) == ((10, 20), (4, 20))
    assert (parsed.zarr_format, parsed.order, parsed.fill_value) == (2, "C", 7)
    assert parsed.chunk_keys == ChunkKeys("", ".", "0")
    assert parsed.dimension_names == ("y", "x")
    assert parsed.attributes == {"_ARRAY_DIMENSIONS": ["y", "x"], "_NCZARR_ATTR": {"types": {}}}
    assert kinds(parsed) == ["array->bytes", "bytes->bytes", "bytes->bytes"]
    assert parsed.document == ARRAY


def test_what_peers_leave_out():
    parsed = parse(compressor=..., filters=..., order=..., fill_value=..., dimension_separator=...)
    assert (parsed.order, parsed.fill_value, kinds(parsed)) == ("C", 0, ["array->bytes"])


def test_slash_keys_null_fills_and_nczarr_members():
    parsed = parse(dimension_separator="/", fill_value=None, _nczarr_array={"dimrefs": ["/d0"]})
    assert parsed.chunk_keys == ChunkKeys("", "/", "0")
    assert parsed.fill_value == 0


def test_chunk_size_0_is_read_as_1():
    assert parse(shape=[0, 20], chunks=[0, 20]).axes[0] == RegularAxis(0, 1)


@pytest.mark.parametrize("names", [["y"], "yx", [1, 2], None, ["y", "x", "z"]])
def test_array_dimensions_that_do_not_fit_are_passed_over(names):
    assert parse({"_ARRAY_DIMENSIONS": names}).dimension_names is None


def test_order_f_is_a_transpose_in_front():
    parsed = parse(order="F")
    assert kinds(parsed)[:2] == ["array->array", "array->bytes"]
    assert tuple(parsed.codecs[0].order) == (1, 0)
    assert parsed.order == "F"
    assert kinds(parse(shape=[10], chunks=[4], order="F"))[0] == "array->bytes"


@pytest.mark.parametrize(
    ("dtype", "endian"),
    [("<i4", "little"), (">i4", "big"), ("|u1", "little"), ("<u1", "little"), (">U3", "big"), ("|S3", "little")],
)
def test_the_byte_order_of_the_dtype_is_that_of_the_bytes_codec(dtype, endian):
    codec = parse(dtype=dtype, filters=None, fill_value=None).codecs[0]
    assert (codec.endian, codec.stored) == (endian, None)


def test_records():
    mixed = parse(dtype=[["a", "<i4"], ["b", ">f8"]], filters=None, fill_value=None)
    assert mixed.codecs[0].stored == np.dtype([("a", "<i4"), ("b", ">f8")])
    assert mixed.data_type.dtype.isnative
    big = parse(dtype=[["a", ">i4", [2]], ["b", "|S3"]], filters=None, fill_value=0)
    assert (big.codecs[0].endian, big.codecs[0].stored) == ("big", None)


@pytest.mark.parametrize(
    ("codec_id", "kind"),
    [("vlen-utf8", "T"), ("vlen-bytes", "O"), ("vlen-array", "O"), ("json2", "O"), ("msgpack2", "O")],
)
def test_objects(codec_id, kind):
    member = {"id": codec_id, "dtype": "<i4"} if codec_id == "vlen-array" else {"id": codec_id}
    parsed = parse(dtype="|O", filters=[member], fill_value=None)
    assert parsed.data_type.dtype.kind == kind
    assert kinds(parsed) == ["array->bytes", "bytes->bytes"]
    assert parsed.fill_value == ({"vlen-utf8": "", "vlen-bytes": b""}.get(codec_id))


def test_array_filters_come_before_bytes():
    parsed = parse(filters=[DELTA, {"id": "shuffle", "elementsize": 2}])
    assert kinds(parsed) == ["array->array", "array->bytes", "bytes->bytes", "bytes->bytes"]
    big = parse(dtype=">i4", filters=[{"id": "delta", "dtype": ">i4", "astype": ">i2"}])
    assert big.codecs[1].endian == "big"
    crossed = parse(filters=[{"id": "astype", "encode_dtype": ">i2", "decode_dtype": "<i4"}])
    assert crossed.codecs[1].endian == "big"


def test_array_filters_after_bytes_work_on_a_flat_view():
    assert chain(filters=[{"id": "shuffle", "elementsize": 4}, DELTA])[-2] == "FlatFilter"


def test_filters_that_view_the_array_as_another_type_work_on_a_flat_view():
    times = parse(dtype="<M8[ns]", filters=[{"id": "delta", "dtype": "<i8"}], fill_value=None)
    assert [type(codec).__name__ for codec in times.codecs][:2] == ["Bytes", "FlatFilter"]
    swapped = parse(dtype=">i4", filters=[DELTA])
    assert swapped.codecs[0].endian == "big"
    assert swapped.codecs[1].before == np.dtype("<i4")


WRONG = [
    *[("zarr_format", value) for value in (..., 3, 2.5, "2", None, True)],
    *[("shape", value) for value in (..., None, 10, [10, -1], [10, 2.0], [True, "1"], [2**63, 1], [10])],
    *[("chunks", value) for value in (..., None, True, 4, [4], [4, -1], [4, "20"], [2**40, 2**40])],
    *[("dtype", value) for value in (..., None, "float", "i4,i4", "<f16", 3, [], {}, "|O", [["a", "|O"]])],
    *[("order", value) for value in ("A", None, 3, ["C"])],
    *[("dimension_separator", value) for value in ("-", " ", 0, ["."])],
    *[("fill_value", value) for value in ("abc", 2**40, 0.5, [], {}, "NaN", float("nan"))],
    *[("compressor", value) for value in ("zlib", [], 3, {"level": 1}, {"id": 3}, {"id": "lzo"})],
    *[("filters", value) for value in ("shuffle", {"id": "shuffle"}, 3, [3], ["shuffle"], [{}], [{"id": "szip"}])],
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=str)
def test_wrong_documents_are_refused_by_file_and_field(field, value):
    with pytest.raises(MetadataError) as caught:
        parse(**{field: value})
    message = str(caught.value)
    assert message.startswith("store/a/.zarray: ")
    assert field in message or (isinstance(value, dict | list) and "codec" in message)


@pytest.mark.parametrize("document", [None, 3, [], "x", {}], ids=str)
def test_what_is_no_document_is_refused(document):
    with pytest.raises(MetadataError):
        metadata_v2.parse_array(document, {}, "x")
    with pytest.raises(MetadataError):
        metadata_v2.parse_group(document, {}, "x")
    with pytest.raises(MetadataError):
        metadata_v2.parse_consolidated(document, "x")
    with pytest.raises(MetadataError):
        metadata_v2.parse_array(ARRAY, document if document not in (None, [], {}) else [1], "x")


def test_unknown_codecs_are_unsupported_by_name_and_configuration():
    with pytest.raises(UnsupportedError, match=r"lzo.*speed"):
        parse(compressor={"id": "lzo", "speed": 9})


def test_groups():
    parsed = metadata_v2.parse_group({"zarr_format": 2, "_nczarr_group": {}}, {"a": 1}, "x")
    assert (parsed.zarr_format, parsed.attributes) == (2, {"a": 1})


@pytest.mark.parametrize("order", [1, -1])
def test_consolidated_nodes_in_any_order(order):
    files = {
        ".zgroup": {"zarr_format": 2},
        ".zattrs": {"title": "t"},
        "a/b/.zarray": ARRAY,
        "a/b/.zattrs": {"unit": "K"},
        "bad/.zarray": {},
        "lonely/.zattrs": {},
    }
    nodes = metadata_v2.parse_consolidated(
        {"zarr_consolidated_format": 1, "metadata": dict(list(files.items())[::order])}, ".zmetadata"
    )
    assert sorted(nodes) == ["", "a/b", "bad"]
    assert nodes[""].attributes == {"title": "t"}
    assert nodes["a/b"].attributes == {"unit": "K"}
    with pytest.raises(MetadataError, match=r"^\.zmetadata: bad/\.zarray: zarr_format"):
        nodes["bad"]


@pytest.mark.parametrize(
    "change", [{"zarr_consolidated_format": 2}, {"zarr_consolidated_format": "2"}, {"metadata": []}]
)
def test_wrong_consolidated_metadata(change):
    with pytest.raises(MetadataError):
        metadata_v2.parse_consolidated({"zarr_consolidated_format": 1, "metadata": {}, **change}, ".zmetadata")


RICH = {**ARRAY, "filters": [DELTA, {"id": "shuffle", "elementsize": 2}]}


@given(st.sampled_from(list(places(RICH))[1:]), JSON, st.booleans())
def test_any_change_gives_an_array_or_a_metadata_error(place, value, remove):
    document = copy.deepcopy(RICH)
    target = document
    for key in place[:-1]:
        target = target[key]
    if remove:
        del target[place[-1]]
    else:
        target[place[-1]] = value
    with suppress(MetadataError):
        metadata_v2.parse_array(document, {}, "x")
