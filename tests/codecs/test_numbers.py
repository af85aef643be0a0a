"""The codecs of arrays against numcodecs, and against plain statements of the extensions' rules."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import ml_dtypes
import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError
from tests.chunks import CPU, encoded_batch, spec_of, v2, whole

RNG = np.random.default_rng(5)
CASES = [
    ({"id": "delta", "dtype": "<i4"}, "i4"),
    ({"id": "delta", "dtype": "<i4", "astype": "<i2"}, "i4"),
    ({"id": "delta", "dtype": ">u2", "astype": ">u2"}, ">u2"),
    ({"id": "delta", "dtype": "<f8", "astype": "<f4"}, "f8"),
    ({"id": "delta", "dtype": "<i8"}, "M8[s]"),
    ({"id": "delta", "dtype": "int16"}, "i2"),
    ({"id": "fixedscaleoffset", "offset": 10, "scale": 100, "dtype": "<f8", "astype": "<i2"}, "f8"),
    ({"id": "fixedscaleoffset", "offset": 10, "scale": 100, "dtype": "<f4", "astype": "u1"}, "f4"),
    ({"id": "fixedscaleoffset", "offset": 1000, "scale": 10, "dtype": "<f8", "astype": "<f4"}, "f8"),
    ({"id": "fixedscaleoffset", "offset": 10.5, "scale": 0.1, "dtype": ">f4"}, ">f4"),
    ({"id": "quantize", "digits": 2, "dtype": "<f4"}, "f4"),
    ({"id": "quantize", "digits": -1, "dtype": "<f8", "astype": "<f2"}, "f8"),
    ({"id": "astype", "encode_dtype": "<i8", "decode_dtype": "<i4"}, "i4"),
    ({"id": "astype", "encode_dtype": ">f4", "decode_dtype": "<f8"}, "f8"),
    ({"id": "bitround", "keepbits": 3}, "f4"),
    ({"id": "bitround", "keepbits": 0}, "f8"),
    ({"id": "bitround", "keepbits": 10}, "f2"),
    ({"id": "packbits"}, "b1"),
    ({"id": "categorize", "labels": ["1", "2", "7"], "dtype": "<U2", "astype": "u1"}, "U2"),
]


def values(dtype: str, layout: str) -> np.ndarray:
    """A batch of 3 chunks of shape (5, 7), C-ordered, F-ordered, or not contiguous."""
    numbers = RNG.integers(0, 90, (3, 5, 7)) if np.dtype(dtype).kind != "b" else RNG.integers(0, 2, (3, 5, 7))
    batch = (numbers / 7 if np.dtype(dtype).kind == "f" else numbers).astype(dtype)
    if layout == "F":
        return np.ascontiguousarray(batch.transpose(0, 2, 1)).transpose(0, 2, 1)
    return np.repeat(batch, 2, axis=2)[:, :, ::2] if layout == "strided" else batch


@pytest.mark.parametrize("layout", ["C", "F", "strided"])
@pytest.mark.parametrize("config, dtype", CASES, ids=str)
def test_as_numcodecs(config, dtype, layout):
    codec = v2(config["id"], **{key: value for key, value in config.items() if key != "id"})
    library = numcodecs.get_codec(dict(config))
    batch = values(dtype, layout)
    spec = spec_of(batch)
    after = codec.encoded(spec)
    made = codec.encode(batch.astype(spec.dtype), spec, CPU)
    assert made.dtype == after.dtype and made.shape == (3, *after.shape)
    decoded = codec.decode(made, spec, CPU)
    for i in range(3):
        expected = np.asarray(library.encode(np.ascontiguousarray(batch[i])))
        stored = made[i].reshape(-1).astype(expected.dtype) if config["id"] != "bitround" else made[i]
        assert stored.tobytes() == expected.tobytes()
        back = np.asarray(library.decode(expected)).reshape(-1).view(batch.dtype)
        assert (decoded[i].reshape(-1) == back.astype(spec.dtype)).all()
    swapped = made.astype(made.dtype.newbyteorder("S"))
    assert (codec.decode(swapped, spec, CPU) == decoded).all()


def test_v3_names_and_missing_configurations():
    for name in ("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3", "packbits", "zlib", "gzip", "bz2"):
        assert find(f"numcodecs.{name}", {}).names
    spec = ChunkSpec((4,), np.dtype("f4"))
    assert find("numcodecs.quantize", {"digits": 2}).encoded(spec).dtype == "f4"
    assert find("numcodecs.fixedscaleoffset", {"offset": 0, "scale": 10, "astype": "u1"}).encoded(spec).dtype == "u1"
    assert find("numcodecs.astype", {"encode_dtype": "<i8"}).encoded(spec).dtype == "i8"
    for name, bad in (("delta", {}), ("delta", {"dtype": "x9"}), ("delta", {"dtype": "O"}), ("astype", {})):
        with pytest.raises(MetadataError, match=name):
            find(f"numcodecs.{name}", bad)


def test_bitround_of_whole_numbers_and_bfloat16():
    batch = np.array([[0, 1, 200, 255, 0b1011_0111]], np.uint8)
    codec = find("bitround", {"keepbits": 3})
    assert codec.encode(batch, spec_of(batch), CPU).tolist() == [[0, 1, 192, 224, 0b1100_0000]]
    halves = np.array([[1.0, 1.09, 3.3]], ml_dtypes.bfloat16)
    assert codec.encode(halves, spec_of(halves), CPU).tolist() == [[1.0, 1.125, 3.25]]
    assert halves.tolist() != [[1.0, 1.125, 3.25]]  # the input is left alone
    with pytest.raises(MetadataError, match="bitround"):
        codec.encoded(ChunkSpec((2,), np.dtype("U2")))


def test_reshape():
    batch = np.arange(240).reshape(2, 2, 3, 4, 5)
    for shape, expected in (
        ([[0, 1], [2], 5], (6, 4, 5)),
        ([-1], (120,)),
        ([2, -1, [3]], (2, 12, 5)),
        ([120, 1], (120, 1)),
    ):
        codec = find("reshape", {"shape": shape})
        assert codec.encoded(spec_of(batch)).shape == expected
        made = codec.encode(batch, spec_of(batch), CPU)
        assert made.shape == (2, *expected) and (codec.decode(made, spec_of(batch), CPU) == batch).all()
    for bad in ([[1], [0]], [[1, 0], 10], [-1, -1], [0], ["a"], [2.0], 3, [[-1]]):
        with pytest.raises(MetadataError, match="reshape"):
            find("reshape", {"shape": bad})
    for bad in ([7], [[0], [2], 15], [[9]], [7, -1], [-1, [1]]):
        with pytest.raises(MetadataError, match="reshape"):
            find("reshape", {"shape": bad}).encoded(spec_of(batch))


def test_packbits_is_least_bit_first_as_zarrs_writes_it():
    mask = np.array([[True, True, False, True]])  # from the data of zarrs' `optional` codec
    assert whole(find("packbits", {}).encode(mask, spec_of(mask), CPU)) == [b"\x0b"]


@pytest.mark.parametrize("padding", ["none", "first_byte", "last_byte"])
@pytest.mark.parametrize(
    "dtype",
    [
        "b1",
        "i1",
        "u2",
        "i4",
        "f4",
        "f8",
        "c8",
        "int2",
        "uint2",
        "int4",
        "uint4",
        "float6_e2m3fn",
        "bfloat16",
        "complex32",
    ],
)
def test_packbits_round_trip(dtype, padding):
    if dtype == "complex32" and not hasattr(ml_dtypes, dtype):
        pytest.skip("ml_dtypes before 0.6 has no complex32")
    dtype = np.dtype(getattr(ml_dtypes, dtype)) if hasattr(ml_dtypes, dtype) else np.dtype(dtype)
    batch = RNG.integers(0, 2, (3, 11)).astype(dtype)
    batch = -batch if dtype.name.startswith("int") else batch
    codec = find("packbits", {"padding_encoding": padding})
    made = codec.encode(batch, spec_of(batch), CPU)
    assert (made.sizes == codec.encoded(spec_of(batch)).nbytes).all()
    assert codec.decode(made, spec_of(batch), CPU).tobytes() == batch.tobytes()


@given(st.integers(0, 15), st.integers(0, 15), st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=9))
def test_packbits_of_some_bits(first, last, numbers):
    batch = np.array([numbers], np.int16)
    if last < first:
        with pytest.raises(MetadataError, match="packbits"):
            find("packbits", {"first_bit": first, "last_bit": last}).encoded(spec_of(batch))
        return
    codec = find("packbits", {"first_bit": first, "last_bit": last})
    made = codec.decode(codec.encode(batch, spec_of(batch), CPU), spec_of(batch), CPU)
    width = last - first + 1
    for number, found in zip(numbers, made[0].tolist(), strict=True):
        kept = (number >> first) & ((1 << width) - 1)
        signed = kept - (1 << width) if kept >> (width - 1) else kept
        assert found == signed << first if signed << first >= -(2**15) else True


ROUND = {
    "nearest-even": round,
    "towards-zero": math.trunc,
    "towards-positive": math.ceil,
    "towards-negative": math.floor,
    "nearest-away": lambda x: math.trunc(x + (Fraction(1, 2) if x >= 0 else -Fraction(1, 2))),
}


@settings(deadline=None)
@given(
    st.sampled_from(sorted(ROUND)),
    st.sampled_from(["clamp", "wrap", "error"]),
    st.sampled_from(["int8", "uint8", "int4", "uint16", "int64", "uint64"]),
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-300, 300).map(lambda i: i / 2)),
)
def test_cast_value_to_whole_numbers(rounding, beyond, target, numbers):
    batch = np.array([numbers], np.float64).reshape(1, -1)
    configuration = {"data_type": target, "rounding": rounding}
    codec = find("cast_value", configuration | ({} if beyond == "error" else {"out_of_range": beyond}))
    bits, signed = int(target.lstrip("uint")), target[0] == "i"
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    rounded = [int(ROUND[rounding](Fraction(number))) for number in numbers]
    expected = [min(max(n, low), high) if beyond == "clamp" else (n - low) % (high - low + 1) + low for n in rounded]
    if beyond == "error" and rounded != expected:
        with pytest.raises(CodecError, match="range"):
            codec.encode(batch, spec_of(batch), CPU)
        return
    assert [int(n) for n in codec.encode(batch, spec_of(batch), CPU)[0]] == expected


def test_cast_value_rules():
    floats = np.array([[1.0, np.nan, np.inf, -np.inf]])
    spec = ChunkSpec((4,), np.dtype("f8"), np.float64("nan"))
    maps = {"encode": [["NaN", 99], ["Infinity", 100]], "decode": [[99, "NaN"], [100, "Infinity"]]}
    codec = find("cast_value", {"data_type": "int8", "out_of_range": "clamp", "scalar_map": maps})
    stored = codec.encode(floats, spec, CPU)
    assert stored.tolist() == [[1, 99, 100, -128]] and codec.encoded(spec).fill_value == 99
    assert np.array_equal(codec.decode(stored, spec, CPU), [[1, np.nan, np.inf, -128]], equal_nan=True)
    with pytest.raises(CodecError, match="NaN"):
        find("cast_value", {"data_type": "int8", "out_of_range": "clamp"}).encode(floats, spec, CPU)
    with pytest.raises(CodecError, match="infinite"):
        find("cast_value", {"data_type": "int8", "out_of_range": "wrap"}).encode(floats[:, 2:], spec, CPU)
    narrow = find("cast_value", {"data_type": "float16"})
    with pytest.raises(CodecError, match="range") as caught:
        narrow.encode(np.array([[1.0], [1e9]]), ChunkSpec((1,), np.dtype("f8")), CPU)
    assert caught.value.index == 1
    clamped = find("cast_value", {"data_type": "float8_e4m3fnuz", "out_of_range": "clamp"})
    assert clamped.encode(floats[:, 2:], spec, CPU).astype("f4").tolist() == [[240, -240]]
    for bad in ({}, {"data_type": "string"}, {"data_type": "int8", "rounding": "up"}, {"data_type": "int8", "x": 1}):
        with pytest.raises(MetadataError, match="cast_value"):
            find("cast_value", bad)
    with pytest.raises(MetadataError, match="wrap"):
        find("cast_value", {"data_type": "float32", "out_of_range": "wrap"})


@pytest.mark.parametrize("which", ["encode", "decode"])
@pytest.mark.parametrize("target", ["int8", "uint64", "float32"])
@pytest.mark.parametrize("source", ["i2", "u1", "f8"])
def test_a_map_of_cast_value_has_values_of_both_dtypes(source, target, which):
    """Only floats have NaN, infinities and fractions; and 300 is no int8."""
    before, after = (np.dtype(source), np.dtype(target)) if which == "encode" else (np.dtype(target), np.dtype(source))

    def has(dtype: np.dtype, value: object) -> bool:
        return dtype.kind == "f" or (value == 300 and np.iinfo(dtype).max >= 300)

    spec = ChunkSpec((1,), np.dtype(source), np.dtype(source).type(0))
    for value in ("NaN", "Infinity", "-Infinity", 0.5, 300, "300"):
        for pair, fits in (
            ([value, 1], has(before, 300 if value == "300" else value)),
            ([1, value], has(after, 300 if value == "300" else value)),
        ):
            codec = find("cast_value", {"data_type": target, "scalar_map": {which: [pair]}})
            if fits:
                codec.encoded(spec)
            else:
                with pytest.raises(MetadataError, match=r"cast_value.* is no "):
                    codec.encoded(spec)


def test_scale_offset():
    spec = ChunkSpec((3,), np.dtype("f4"), np.float32(5))
    codec = find("scale_offset", {"offset": 5, "scale": 0.1})
    batch = np.array([[5, 15, "nan"]], "f4")
    stored = codec.encode(batch, spec, CPU)
    assert stored.dtype == "f4" and stored[0, :2].tolist() == [0, 1] and codec.encoded(spec).fill_value == 0
    assert np.array_equal(codec.decode(stored, spec, CPU), batch, equal_nan=True)
    whole_spec = ChunkSpec((2,), np.dtype("u1"))
    codec = find("scale_offset", {"offset": 2, "scale": 3})
    assert codec.encode(np.array([[2, 12]], "u1"), whole_spec, CPU).tolist() == [[0, 30]]
    assert codec.decode(np.array([[0, 30]], "u1"), whole_spec, CPU).tolist() == [[2, 12]]
    for bad in ([[1, 12]], [[2, 100]]):
        with pytest.raises(CodecError, match="range"):
            codec.encode(np.array(bad, "u1"), whole_spec, CPU)
    with pytest.raises(CodecError, match="multiple") as caught:
        codec.decode(np.array([[3, 3], [1, 3]], "u1"), whole_spec, CPU)
    assert caught.value.index == 1
    for bad in ({"offset": 0.5}, {"scale": 0}, {"offset": -1}, {"offset": "x"}):
        with pytest.raises(MetadataError, match="scale_offset"):
            find("scale_offset", bad).encoded(whole_spec)


@pytest.mark.parametrize("dtype", ["i1", "u8", "f2", "f4", "f8", ml_dtypes.bfloat16])
@pytest.mark.parametrize("scale", [0, 0.0, -0.0, "0", "0x0", 1e-320, False])
def test_a_scale_of_0_is_refused(scale, dtype):
    if scale != 1e-320 or dtype != "f8":  # where it is not 0
        with pytest.raises(MetadataError, match="scale_offset"):
            find("scale_offset", {"scale": scale}).encoded(ChunkSpec((1,), np.dtype(dtype)))


@pytest.mark.parametrize("dtype", ["c8", "c16", "?", "M8[s]", "V4", "U2", [("a", "i4")]])
def test_scale_offset_takes_integers_and_floats_alone(dtype):
    with pytest.raises(MetadataError, match="takes integers and floats"):
        find("scale_offset", {"scale": 2}).encoded(ChunkSpec((1,), np.dtype(dtype)))
    with pytest.raises(gpuzarr.MetadataError, match="takes integers and floats"):
        gpuzarr.create_array({}, shape=3, dtype=dtype, filters={"name": "scale_offset", "configuration": {"scale": 2}})


def test_numbers_as_text_are_taken_as_zarr_python_takes_them():
    spec = ChunkSpec((1,), np.dtype("f4"), np.float32(3))
    for scale, offset in (("2", "1"), ("2.0", True), (2, "1e0")):
        assert find("scale_offset", {"scale": scale, "offset": offset}).encoded(spec).fill_value == 4


def n5_block(array: np.ndarray, mode: int = 0, ndim: int = 2) -> bytes:
    header = struct.pack(">HH", mode, ndim) + struct.pack(">2I", *array.shape)
    return header + array.T.astype(">u2").tobytes()


def test_n5_blocks_may_be_cut_but_are_never_larger_than_a_chunk():
    inner = [
        {"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "bytes", "configuration": {"endian": "big"}},
    ]
    codec, spec = find("n5_default", {"codecs": inner}), ChunkSpec((3, 4), np.dtype("u2"), np.uint16(9))
    array = np.arange(30, dtype="u2").reshape(5, 6)
    assert whole(codec.encode(array[None, :3, :4], spec, CPU)) == [n5_block(array[:3, :4])]
    full, cut = codec.decode(encoded_batch(*map(n5_block, (array[:3, :4], array[:2, :4]))), spec, CPU)
    assert (full == array[:3, :4]).all()
    assert (cut[:2] == array[:2, :4]).all() and (cut[2] == 9).all()
    huge = struct.pack(">HHII", 0, 2, 2**32 - 1, 2**32 - 1)
    array, padded = array[:3, :4], n5_block(array)
    for bad in (n5_block(array, mode=1), n5_block(array, ndim=3), padded, huge, n5_block(array)[:11], b""):
        with pytest.raises(CodecError, match="n5_default") as caught:
            codec.decode(encoded_batch(n5_block(array), bad), spec, CPU)
        assert caught.value.index == 1
    for wrong in (
        [],
        ["bytes"],
        inner[:1],
        [*inner, "crc32c", "crc32c"],
        [inner[0], {"name": "bytes", "configuration": {"endian": "little"}}],
    ):
        with pytest.raises(MetadataError, match="n5_default"):
            find("n5_default", {"codecs": wrong})


def test_astype_of_texts_names_the_bad_chunk():
    codec = v2("astype", encode_dtype="S3", decode_dtype="<i4")
    batch = np.array([[b"1", b"22"], [b"3", b"x"]])
    with pytest.raises(CodecError, match="astype") as caught:
        codec.decode(batch.astype("S3"), ChunkSpec((2,), np.dtype("i4")), CPU)
    assert caught.value.index == 1


def test_zfp_expert_is_said_to_be_unsupported():
    with pytest.raises(UnsupportedError, match="expert"):
        find("zfp", {"mode": "expert", "minbits": 1, "maxbits": 13, "maxprec": 19, "minexp": -2})
