"""Laws of data types: every name parses, every fill value comes back, and zarr-python agrees."""

import json
import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.dtypes import parse_v2, parse_v3, stored_dtype
from gpuzarr.errors import MetadataError, UnsupportedError

FLOATS = [
    *("float16", "float32", "float64", "bfloat16", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"),
    *("float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz"),
    *("float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
]
INTS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64)]
POINT = {"name": "struct", "configuration": {"fields": [{"name": "x", "data_type": "float32"}]}}
STRUCT = {
    "name": "struct",
    "configuration": {
        "fields": [
            {"name": "p", "data_type": POINT},
            {
                "name": "t",
                "data_type": {"name": "numpy.datetime64", "configuration": {"unit": "ns", "scale_factor": 1}},
            },
            {"name": "s", "data_type": {"name": "null_terminated_bytes", "configuration": {"length_bytes": 3}}},
        ]
    },
}
OTHERS = [
    *("bool", "complex64", "complex128", "string", "bytes", "variable_length_bytes", "r8", "r24"),
    *(f"complex_{name}" for name in FLOATS),
    {"name": "fixed_length_utf32", "configuration": {"length_bytes": 12}},
    {"name": "null_terminated_bytes", "configuration": {"length_bytes": 5}},
    {"name": "raw_bytes", "configuration": {"length_bytes": 7}},
    {"name": "numpy.datetime64", "configuration": {"unit": "generic", "scale_factor": 1}},
    {"name": "numpy.datetime64", "configuration": {"unit": "μs", "scale_factor": 10}},
    {"name": "numpy.timedelta64", "configuration": {"unit": "s", "scale_factor": 1}},
    {"name": "optional", "configuration": {"name": "uint8", "configuration": {}}},
    {"name": "optional", "configuration": {"name": "optional", "configuration": {"name": "uint8"}}},
    {"name": "structured", "configuration": {"fields": [["a", "int32"], ["b", POINT]]}},
    STRUCT,
]


DOUBLES = np.random.default_rng(0).integers(0, 2**64, 500, np.uint64, endpoint=False)
DOUBLES[::2] |= np.uint64(0x7FF0000000000000)  # NaNs of all kinds


def raw(value, data_type):
    return value if data_type.variable else np.asarray(value, data_type.dtype).tobytes()


@pytest.mark.parametrize("document", [*INTS, *FLOATS, *OTHERS], ids=str)
def test_every_type_parses_and_its_default_fill_comes_back(document):
    data_type = parse_v3(document)
    assert data_type.to_json() == document
    assert data_type.dtype.isnative
    assert parse_v3({"name": document, "configuration": {}} if isinstance(document, str) else document) == data_type
    spelled = json.dumps(data_type.fill_to_json(data_type.default_fill()), allow_nan=False)
    back = data_type.fill_from_json(json.loads(spelled))
    assert raw(back, data_type) == raw(data_type.default_fill(), data_type)
    assert pickle.loads(pickle.dumps(data_type)) == data_type
    hash(data_type)


@pytest.mark.parametrize("name", FLOATS)
def test_every_bit_pattern_of_a_float_comes_back(name):
    data_type = parse_v3(name)
    size = data_type.dtype.itemsize
    bits = {"float4_": 4, "float6_": 6}.get(name[:7], 8 * size)
    some = np.random.default_rng(0).integers(0, 2**bits, 500, np.uint64, endpoint=False) if bits < 64 else DOUBLES
    patterns = np.concatenate([some, np.array([0, 2**bits - 1], np.uint64)]).astype(f"u{size}")
    for value in patterns.view(data_type.dtype):
        spelled = json.dumps(data_type.fill_to_json(value), allow_nan=False)
        assert data_type.fill_from_json(json.loads(spelled)).tobytes() == value.tobytes(), spelled


@pytest.mark.parametrize("name", INTS)
def test_integers_keep_to_their_range(name):
    data_type = parse_v3(name)
    bits = int(name.lstrip("uint"))
    low, high = (0, 2**bits - 1) if name[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for number in (low, high, 1):
        assert int(data_type.fill_from_json(number)) == number
        assert data_type.fill_to_json(data_type.fill_from_json(number)) == number
    assert int(data_type.fill_from_json(1.0)) == 1
    for wrong in (low - 1, high + 1, True, 0.5, "1", None, [1], float("nan"), float("inf"), 10**400):
        with pytest.raises(MetadataError, match="fill value"):
            data_type.fill_from_json(wrong)


@pytest.mark.parametrize(
    ("document", "spelling", "wanted"),
    [
        ("float32", "0x7fc00000", np.uint32(0x7FC00000).tobytes()),
        ("float32", "0x7fa00000", np.uint32(0x7FA00000).tobytes()),
        ("float32", "NaN", np.uint32(0x7FC00000).tobytes()),
        ("float64", "-Infinity", np.float64(-np.inf).tobytes()),
        ("float32", float("nan"), np.float32("nan").tobytes()),  # the bare word
        ("float32", -0.0, np.float32(-0.0).tobytes()),
        ("bfloat16", "0x3f80", b"\x80\x3f"),
        ("float8_e5m2", "0x3c", b"\x3c"),
        ("complex64", [1.5, "NaN"], np.array([1.5, np.nan], "f4").tobytes()),
        ("complex64", ["0x7fc00000", "0x00000000"], np.array([np.nan, 0], "f4").tobytes()),
        ("complex_float16", [1, 2], np.array([1, 2], "f2").tobytes()),
        ("r24", [1, 2, 3], b"\1\2\3"),
        ("r24", "AQID", b"\1\2\3"),
        ("bytes", [1, 2, 3], b"\1\2\3"),
        ("variable_length_bytes", "AQID", b"\1\2\3"),
        ("bytes", [], b""),
        ("string", "héllo 世界", "héllo 世界"),
        (OTHERS[-4], [3], b"\1\3"),
        (OTHERS[-4], None, b"\0\0"),
        (OTHERS[-3], [None], b"\1\0\0"),
        (STRUCT, {"p": {"x": 1.0}, "t": "NaT", "s": "YWI="}, np.float32(1).tobytes() + b"\0" * 7 + b"\x80ab\0"),
        (POINT, "AACAPw==", np.float32(1).tobytes()),
    ],
)
def test_spellings_of_fill_values(document, spelling, wanted):
    data_type = parse_v3(document)
    assert raw(data_type.fill_from_json(spelling), data_type) == wanted


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        *[
            ("float32", wrong)
            for wrong in ("1.5", "nan", "0x7fc0", "0x7fc0_000", "0xzzzzzzzz", None, True, [], 10**400)
        ],
        *[("float4_e2m1fn", wrong) for wrong in ("NaN", "Infinity", "0x10", "0xff")],
        *[("bool", wrong) for wrong in (0, 1, "true", None)],
        *[("complex64", wrong) for wrong in (1.0, [1], [1, 2, 3], "12", [True, 0])],
        *[("r24", wrong) for wrong in ([1, 2], [1, 2, 256], [1, 2, -1], [1, 2, True], "AQI=", "A", 0, "AQI\u00e4")],
        *[("string", wrong) for wrong in (0, None, [])],
        *[("bytes", wrong) for wrong in (0, "*", [1.5], {})],
        *[(OTHERS[-8], wrong) for wrong in ("2020-01-01", 2**63, 0.5, None)],
        *[(OTHERS[-4], wrong) for wrong in (3, [], [1, 2], [None], [256])],
        *[(POINT, wrong) for wrong in ({"y": 1}, {"x": "a"}, "AA==", 0, [1.0])],
    ],
)
def test_wrong_fill_values_are_refused(document, wrong):
    with pytest.raises(MetadataError):
        parse_v3(document).fill_from_json(wrong)


@pytest.mark.parametrize(
    "document",
    [
        *("float", "int128", "r7", "r0", "r", "r99999999999", "<f8", "", "complex", "complex_int8", "Float32", "int1"),
        *(None, 3, [], {}, {"name": 3}, {"name": "int8", "configuration": {"a": 1}}, {"name": "int8", "x": 1}),
        {"name": "fixed_length_utf32", "configuration": {"length_bytes": 5}},
        {"name": "fixed_length_utf32", "configuration": {"length_bytes": -4}},
        {"name": "null_terminated_bytes", "configuration": {"length_bytes": 2**40}},
        {"name": "raw_bytes", "configuration": {"length_bytes": 0}},
        {"name": "raw_bytes", "configuration": {"length_bytes": True}},
        *("raw_bytes", "numpy.datetime64", "struct", "optional"),
        {"name": "numpy.datetime64", "configuration": {"unit": "minutes", "scale_factor": 1}},
        {"name": "numpy.datetime64", "configuration": {"unit": ["s"], "scale_factor": 1}},
        {"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 0}},
        {"name": "struct", "configuration": {"fields": []}},
        {"name": "struct", "configuration": {"fields": [["a", "int8"], ["a", "int8"]]}},
        {"name": "struct", "configuration": {"fields": [["", "int8"]]}},
        {"name": "struct", "configuration": {"fields": [[3, "int8"]]}},
        {"name": "struct", "configuration": {"fields": [["a", "string"]]}},
        {"name": "struct", "configuration": {"fields": [[f"f{i}", "r8589934560"] for i in range(4)]}},
        {"name": "data-type-of-the-old-draft", "fallback": None},
    ],
    ids=str,
)
def test_wrong_types_are_refused(document):
    with pytest.raises(MetadataError):
        parse_v3(document)


def test_unknown_names_are_unsupported_and_named():
    with pytest.raises(UnsupportedError, match="float128"):
        parse_v3("float128")


@pytest.mark.parametrize(
    "descr",
    [
        *("|b1", "|i1", "|u1", "<u1", "<i2", ">i2", "<u4", ">u8", "<f2", ">f4", "<f8", "<c8", ">c16"),
        *("|S5", "<U4", ">U13", "|V7", "<M8[ns]", ">M8[s]", "<m8[10us]", "<M8[3h]", "<M8"),
        [["a", "<i4"], ["b", ">f8"], ["c", "|S3"]],
        [["x", "<f4"], ["coords", "<i4", [3]], ["in", [["u", ">u2", [2, 2]], ["v", "|b1"]]]],
        [["one", "<i4", 3]],
    ],
    ids=str,
)
def test_v2_types_are_those_of_numpy(descr):
    def numpy(one):
        if isinstance(one, str):
            return np.dtype(one)
        return np.dtype(
            [
                (name, numpy(part), *((n,) if isinstance(n, int) else tuple(n) for n in rest))
                for name, part, *rest in one
            ]
        )

    data_type, stored = parse_v2(descr)
    assert stored == numpy(descr)
    assert data_type.dtype == numpy(descr).newbyteorder("=")
    zeros = np.ones(1, data_type.dtype)[0] if data_type.family != "string" else ""
    spelled = json.loads(json.dumps(data_type.fill_to_json(zeros, 2, stored)))
    assert data_type.fill_from_json(spelled, 2, stored).tobytes() == zeros.tobytes()
    assert data_type.fill_from_json(None, 2, stored).tobytes() == data_type.default_fill().tobytes()


@pytest.mark.parametrize(
    ("descr", "codec", "spelling", "wanted"),
    [
        ("|b1", None, 1, np.bool_(True)),
        ("<i4", None, "7", np.int32(7)),
        ("<f8", None, "NaN", np.float64("nan")),
        (">f4", None, "1.5", np.float32(1.5)),
        ("<c8", None, 2, np.complex64(2)),
        ("|S5", None, "YWI=", np.bytes_(b"ab")),
        ("|S5", None, "x", np.bytes_(b"x")),
        ("|S5", None, 0, np.bytes_(b"")),
        ("<U4", None, "abc", np.str_("abc")),
        ("<U4", None, 0, np.str_("")),
        ("<M8[D]", None, "NaT", np.datetime64("NaT", "D")),
        ("<M8[D]", None, None, np.datetime64("NaT", "D")),
        ("<M8[D]", None, "2020-01-01", np.datetime64("2020-01-01")),
        ("|O", "vlen-utf8", 0, "0"),  # as zarr-python has it
        ("|O", "vlen-utf8", None, ""),
        ("|O", "vlen-bytes", "", b""),
        ("|O", "vlen-bytes", "YWI=", b"ab"),
        ("|O", "json2", None, None),
        ("|O", "json2", [1, "a"], [1, "a"]),
    ],
)
def test_v2_fill_values_are_read_with_tolerance(descr, codec, spelling, wanted):
    data_type, stored = parse_v2(descr, codec)
    value = data_type.fill_from_json(spelling, 2, stored)
    assert type(value) is type(wanted)
    assert value == wanted or value != value


def test_v2_record_fill_is_in_the_byte_order_of_the_file():
    data_type, stored = parse_v2([["a", ">i4"], ["b", "<i2"]])
    assert data_type.fill_from_json("AAAAAQIA", 2, stored).item() == (1, 2)


@pytest.mark.parametrize(
    "descr",
    [
        *(
            "",
            "i4,f4",
            "(3)i4",
            "<f16",
            "<f3",
            "<i3",
            "|O",
            "<i4[s]",
            "<M8[x]",
            "<M4[s]",
            "|S0",
            "<U0",
            "|S",
            "x",
            "<i4\n",
        ),
        *(None, 4, {}, [], [[]], [["a"]], [["a", "<i4", [0]]], [["a", "<i4", [2**40, 2**40]]], [["a", "|O"]]),
        *("|S99999999999", "|V4294967296", "<U2147483647", [["a", "<i4", -1]], [["a", "<i4", "3"]], [[1, "<i4"]]),
        *([["a", "<i4"], ["a", "<i4"]], [["a", "<i4", [1] * 65]], [["a", "<f8", [2**28]], ["b", "<f8", [2**28]]]),
    ],
    ids=str,
)
def test_wrong_v2_types_are_refused(descr):
    with pytest.raises(MetadataError):
        parse_v2(descr)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "0x00", "AA=="]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*INTS, *FLOATS, *OTHERS]), JSON, st.sampled_from([2, 3]))
def test_any_json_is_a_fill_value_or_a_metadata_error(document, value, zarr_format):
    with suppress(MetadataError):
        parse_v3(document).fill_from_json(value, zarr_format)


@given(JSON)
def test_any_json_is_a_data_type_or_a_metadata_error(document):
    for parse in (parse_v3, parse_v2):
        with suppress(MetadataError):
            parse(document)
    stored_dtype(document)


@pytest.mark.parametrize("descr", ["int32", "<i2", "f4", ">f8", "bool", "|b1", "<M8[ns]"])
def test_filters_name_plain_dtypes(descr):
    assert stored_dtype(descr) == np.dtype(descr)


@pytest.mark.parametrize("descr", [None, 3, "i4,f8", "(2)i4", "x", "[", [["a", "<i4"]], "a" * 100])
def test_what_is_no_plain_dtype_is_none(descr):
    assert stored_dtype(descr) is None


def test_elements_of_gigabytes_are_refused() -> None:
    """Before a fill value is made of them."""
    with pytest.raises(UnsupportedError, match="2000000000"):
        parse_v2("|S2000000000")
    with pytest.raises(UnsupportedError, match="1073741824"):
        parse_v3({"name": "null_terminated_bytes", "configuration": {"length_bytes": 1 << 30}})
    with pytest.raises(UnsupportedError, match="134217728"):
        parse_v3("r1073741824")
