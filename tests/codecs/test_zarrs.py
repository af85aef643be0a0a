"""The codecs of zarrs against bytes made by hand from the descriptions of their formats, and against damaged ones."""

from __future__ import annotations

import json
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find, parse
from gpuzarr.codecs.chain import Chain
from gpuzarr.dtypes import parse_v3
from gpuzarr.errors import CodecError, GpuZarrError, MetadataError
from tests.chunks import CPU, encoded_batch, whole

TEXT = np.dtypes.StringDType()
OBJECT = np.dtype(object)
LITTLE, BIG = ({"name": "bytes", "configuration": {"endian": end}} for end in ("little", "big"))
ZLIB = {"name": "numcodecs.zlib", "configuration": {"level": 1}}
WORDS = ["ab", "", "\u00e9"]
RAW = b"ab\xc3\xa9"


def vlen(**changes):
    plain = {"index_codecs": [LITTLE], "data_codecs": ["bytes"], "index_data_type": "uint32"}
    return find("zarrs.vlen", plain | changes)


def u64(number):
    return struct.pack("<Q", number)


AT_START = u64(16) + struct.pack("<4I", 0, 2, 2, 4) + RAW
AT_END = zlib.compress(RAW) + struct.pack(">4Q", 0, 2, 2, 4) + u64(32)
OPTIONS_END = {
    "index_location": "end",
    "index_data_type": "uint64",
    "index_codecs": [BIG],
    "data_codecs": ["bytes", ZLIB],
}


@pytest.mark.parametrize("dtype", [TEXT, OBJECT], ids=str)
@pytest.mark.parametrize("codec, chunk", [(vlen(), AT_START), (vlen(**OPTIONS_END), AT_END)])
def test_vlen_is_index_and_data(codec, chunk, dtype):
    wanted = WORDS if dtype == TEXT else [word.encode() for word in WORDS]
    spec = ChunkSpec((3,), dtype)
    assert codec.decode(encoded_batch(chunk, chunk, gap=3), spec, CPU).tolist() == [wanted, wanted]
    made = whole(codec.encode(np.array([wanted], dtype), spec, CPU))
    assert made == [chunk] or (chunk is AT_END and codec.decode(encoded_batch(*made), spec, CPU).tolist() == [wanted])


def test_vlen_of_nothing_has_no_data():
    codec, spec = vlen(data_codecs=["bytes", ZLIB]), ChunkSpec((2,), TEXT)
    chunk = u64(12) + bytes(12)
    assert whole(codec.encode(np.array([["", ""]], TEXT), spec, CPU)) == [chunk]
    assert codec.decode(encoded_batch(chunk), spec, CPU).tolist() == [["", ""]]
    with pytest.raises(CodecError):
        codec.decode(encoded_batch(chunk + zlib.compress(b"")), spec, CPU)


def index(*offsets):
    return u64(16) + struct.pack("<4I", *offsets)


@pytest.mark.parametrize(
    "bad",
    [
        *(AT_START[:cut] for cut in range(len(AT_START))),
        *(AT_START + b"x", index(0, 3, 2, 4) + RAW, index(0, 2, 2, 3) + RAW, index(0, 2, 2, 5) + RAW),
        *(index(0, 5, 5, 4) + RAW, index(0, 2, 3, 4) + RAW, index(0, 2, 2, 2**32 - 1) + RAW, index(0, 0, 0, 0) + RAW),
        *(u64(2**64 - 1) + AT_START[8:], u64(17) + AT_START[8:], u64(15) + AT_START[8:], u64(0) + AT_START[8:]),
        *(u64(21) + AT_START[8:], u64(20) + AT_START[8:], index(0, 2, 2, 4) + b"ab\xff\xfe"),
    ],
)
def test_vlen_of_damaged_chunks(bad):
    with pytest.raises(CodecError) as caught:
        vlen().decode(encoded_batch(AT_START, bad), ChunkSpec((3,), TEXT), CPU)
    assert caught.value.index == 1


def test_vlen_believes_no_sizes():
    codec = vlen(**OPTIONS_END)
    last = 2**63
    for chunk in (
        *(AT_END[:cut] for cut in range(len(AT_END))),
        zlib.compress(RAW) + struct.pack(">4Q", 0, 2, 2, last) + u64(32),
        zlib.compress(RAW) + struct.pack(">4Q", 0, 2, 2, 2**31 - 1) + u64(32),
        zlib.compress(RAW) + struct.pack(">4Q", 2**64 - 1, 2, 2, 4) + u64(32),
    ):
        with pytest.raises(CodecError):
            codec.decode(encoded_batch(chunk), ChunkSpec((3,), TEXT), CPU)


@given(st.binary(max_size=60))
def test_vlen_of_anything(junk):
    for codec in (vlen(), vlen(**OPTIONS_END), find("zarrs.vlen_v2", {})):
        for dtype in (TEXT, OBJECT):
            with suppress(CodecError):
                assert codec.decode(encoded_batch(junk), ChunkSpec((2,), dtype), CPU).shape == (1, 2)


@pytest.mark.parametrize(
    "changes",
    [
        *({"index_data_type": "uint16"}, {"index_location": "middle"}, {"more": 1}, {"index_codecs": 3}),
        *({"index_codecs": []}, {"data_codecs": []}, {"index_codecs": ["bytes"]}, {"index_codecs": ["crc32c", LITTLE]}),
        {"data_codecs": [{"name": "transpose", "configuration": {"order": [1, 0]}}, "bytes"]},
    ],
    ids=str,
)
def test_bad_configurations_of_vlen(changes):
    with pytest.raises(MetadataError):
        vlen(**changes).encoded(ChunkSpec((3,), TEXT))


def test_vlen_writes_only_texts_and_bytes():
    with pytest.raises(CodecError):
        vlen().encode(np.array([[5]], object), ChunkSpec((1,), OBJECT), CPU)
    for name in ("f4", "U3", "V3"):
        with pytest.raises(MetadataError):
            vlen().encoded(ChunkSpec((3,), np.dtype(name)))


INTERLEAVED = struct.pack("<II2sII2s", 3, 2, b"ab", 0, 2, b"\xc3\xa9")
CONTAINERS = ["vlen-utf8", "vlen-bytes", "vlen-array", "numcodecs.vlen-array", "zarrs.vlen_v2", "vlen_v2"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_interleaved_elements_are_of_the_arrays_type(name):
    codec = find(name, {})
    for dtype, wanted in ((TEXT, WORDS), (OBJECT, [b"ab", b"", b"\xc3\xa9"])):
        spec = ChunkSpec((3,), dtype)
        assert codec.decode(encoded_batch(INTERLEAVED), spec, CPU).tolist() == [wanted]
        assert whole(codec.encode(np.array([wanted], dtype), spec, CPU)) == [INTERLEAVED]
        for bad in (*(INTERLEAVED[:cut] for cut in range(len(INTERLEAVED))), INTERLEAVED + b"\0"):
            with pytest.raises(CodecError):
                codec.decode(encoded_batch(bad), spec, CPU)
    assert (
        codec.decode(encoded_batch(INTERLEAVED.replace(b"\xc3", b"\xff")), ChunkSpec((3,), OBJECT), CPU)[0, 2]
        == b"\xff\xa9"
    )


def test_squeeze_drops_axes_of_one():
    codec = find("zarrs.squeeze", {})
    for shape, squeezed in (((2, 1, 3), (2, 3)), ((1, 1), (1,)), ((), (1,)), ((4,), (4,)), ((1, 5), (5,))):
        spec = ChunkSpec(shape, np.dtype("i4"), np.int32(7))
        assert codec.encoded(spec) == ChunkSpec(squeezed, spec.dtype, spec.fill_value)
        batch = np.arange(2 * int(np.prod(shape)), dtype="i4").reshape(2, *shape)
        made = codec.encode(batch, spec, CPU)
        assert made.shape == (2, *squeezed) and (codec.decode(made, spec, CPU) == batch).all()
    with pytest.raises(MetadataError):
        find("zarrs.squeeze", {"axis": 0})


@pytest.mark.parametrize("name, bits", [("float8_e4m3", 8), ("float6_e2m3fn", 6), ("bfloat16", 16), ("uint2", 2)])
def test_packbits_puts_the_parts_one_after_another(name, bits):
    for document, parts in ((name, 1), (f"complex_{name}", 2)) if "float" in name else ((name, 1),):
        dtype = parse_v3(document).dtype
        raw = np.random.default_rng(3).integers(0, 2**bits, 5 * parts).astype(f"u{-(-bits // 8)}")
        number = sum(int(value) << (bits * i) for i, value in enumerate(raw))
        chunk = number.to_bytes(-(-5 * parts * bits // 8), "little")
        spec, batch = ChunkSpec((5,), dtype), raw.view(dtype).reshape(1, 5)
        assert whole(find("packbits", {}).encode(batch, spec, CPU)) == [chunk]
        assert find("packbits", {}).decode(encoded_batch(chunk), spec, CPU).tobytes() == raw.tobytes()


def optional_of(inner, data):
    document = {"name": "zarrs.optional", "configuration": {"name": inner} if isinstance(inner, str) else inner}
    return document, {"name": "zarrs.optional", "configuration": {"mask_codecs": ["packbits"], "data_codecs": [data]}}


TEXT_OR_NOT, CODEC = optional_of("string", "vlen-utf8")
TWICE, CODEC_TWICE = optional_of(TEXT_OR_NOT, CODEC)
ELEMENTS = struct.pack("<II2sI", 2, 2, b"ab", 0)
OPTIONAL = u64(1) + u64(len(ELEMENTS)) + b"\x05" + ELEMENTS


def test_optional_texts():
    spec = ChunkSpec((4,), parse_v3(TEXT_OR_NOT).dtype)
    (codec,) = parse([CODEC])
    made = codec.decode(encoded_batch(OPTIONAL), spec, CPU)
    assert made[0].tolist() == [(True, "ab"), (False, ""), (True, ""), (False, "")]
    assert whole(codec.encode(made, spec, CPU)) == [OPTIONAL]
    for cut in range(len(OPTIONAL)):
        with pytest.raises(CodecError):
            codec.decode(encoded_batch(OPTIONAL[:cut]), spec, CPU)
    twice = u64(1) + u64(len(OPTIONAL)) + b"\x1e" + OPTIONAL
    made = parse([CODEC_TWICE])[0].decode(encoded_batch(twice), ChunkSpec((5,), parse_v3(TWICE).dtype), CPU)
    inner = [(True, "ab"), (False, ""), (True, ""), (False, "")]
    assert made[0].tolist() == [(False, (False, "")), *((True, item) for item in inner)]


@pytest.mark.parametrize("fill, wanted", [(None, (False, "")), (["hi"], (True, "hi"))])
def test_a_store_of_optional_texts(tmp_path, fill, wanted):
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [6],
        "data_type": TEXT_OR_NOT,
        "fill_value": fill,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}},
        "chunk_key_encoding": {"name": "default"},
        "codecs": ["https://codec.zarrs.dev/array_to_array/squeeze", CODEC, ZLIB],
        "attributes": {},
    }
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "0").write_bytes(zlib.compress(OPTIONAL))
    array = gpuzarr.open_array(tmp_path, device="cpu")
    assert array[:].tolist() == [(True, "ab"), (False, ""), (True, ""), (False, ""), wanted, wanted]


@given(st.binary(max_size=80))
def test_optionals_of_anything(junk):
    for document, codec in ((TEXT_OR_NOT, CODEC), (TWICE, CODEC_TWICE)):
        chain = Chain.build(parse([codec]), ChunkSpec((3,), parse_v3(document).dtype))
        try:
            assert chain.decode(encoded_batch(junk), CPU).shape == (1, 3)
        except GpuZarrError as error:
            assert isinstance(error, CodecError)
