"""zstd, gzip, zlib, lzma, bz2, lz4: legal streams that other software writes, and what only looks like one."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib

import cramjam
import numcodecs
import numpy as np
import pytest

from gpuzarr.batch import BytesSpec
from gpuzarr.codecs import find
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats.zstd_frame import walk
from tests.chunks import CPU, decode_bytes, encode_bytes, encoded_batch, v2

TEXT = bytes(np.random.default_rng(0).integers(0, 9, 300_000, dtype=np.uint8))
SKIPPABLE = struct.pack("<II", 0x184D2A53, 5) + b"notes"


def unsized(data: bytes) -> bytes:
    """A zstd frame that does not say its content size, as streaming writers make it."""
    stream = cramjam.zstd.Compressor()
    stream.compress(data)
    frame = bytes(stream.finish())
    assert walk(frame).nbytes is None
    return frame


def sized(data: bytes, checksum: bool = False) -> bytes:
    return bytes(numcodecs.Zstd(3, checksum).encode(data))


def zstd_chunks() -> dict[str, bytes]:
    half = len(TEXT) // 2
    return {
        "sized": sized(TEXT),
        "checksum": sized(TEXT, True),
        "unsized": unsized(TEXT),
        "two frames": sized(TEXT[:half]) + sized(TEXT[half:], True),
        "mixed frames": unsized(TEXT[:half]) + sized(TEXT[half:]),
        "skippable first": SKIPPABLE + sized(TEXT),
        "skippable last": sized(TEXT) + SKIPPABLE,
        "skippable last, unsized": unsized(TEXT) + SKIPPABLE,
        "empty frame last": sized(TEXT) + sized(b""),
    }


@pytest.mark.parametrize("name", zstd_chunks())
@pytest.mark.parametrize("nbytes", [len(TEXT), None])
@pytest.mark.parametrize("own", [True, False])
def test_zstd(name, nbytes, own, monkeypatch):
    if not own:  # where numcodecs does not show libzstd
        monkeypatch.setattr("gpuzarr.codecs.zstd.decoder", lambda: None)
    chunk, codec = zstd_chunks()[name], find("zstd", {"level": 3, "checksum": False})
    assert decode_bytes(codec, chunk, nbytes=nbytes) == [TEXT]
    for bad in (chunk[:-1], chunk + b"\0", chunk + b"\0\0\0\0", chunk + chunk[:9], chunk[:20], b""):
        with pytest.raises(CodecError) as caught:
            decode_bytes(codec, chunk, bad, nbytes=nbytes)
        assert caught.value.index == 1


def test_zstd_declared_size_is_not_believed():
    frame = bytearray(sized(b"a" * 300))
    assert frame[4] >> 5 == 0b011  # two bytes of content size, single segment
    lie = struct.pack("<IBQ", 0xFD2FB528, 0xE0, 1 << 40) + bytes(frame[7:])
    for nbytes in (None, 300, 1 << 40):
        with pytest.raises(CodecError, match=r"frame declares|zstd"):
            if nbytes != 1 << 40:
                decode_bytes(v2("zstd"), lie, nbytes=nbytes)
            else:
                walk(lie)


def test_zstd_dictionary_is_refused():
    with pytest.raises(CodecError, match="dictionary"):
        walk(struct.pack("<IBBBB", 0xFD2FB528, 0x21, 7, 4, 1) + b"\0\0")


def test_gzip_members_and_header_fields():
    named = io.BytesIO()
    with gzip.GzipFile("a name.txt", "wb", fileobj=named, mtime=7) as file:
        file.write(TEXT)
    joined = gzip.compress(TEXT[:9], 9) + gzip.compress(TEXT[9:], 1) + gzip.compress(b"")
    for codec in (find("gzip", {"level": 5}), v2("gzip"), find("numcodecs.gzip", {})):
        for nbytes in (len(TEXT), None):
            assert decode_bytes(codec, named.getvalue(), joined, nbytes=nbytes) == [TEXT, TEXT]


@pytest.mark.parametrize("name", ["gzip", "zlib"])
@pytest.mark.parametrize("level", range(1, 6))
def test_low_levels_are_small_enough(name, level):
    """They are ISA-L's: other bytes than zlib's, which zlib reads, and no more of them than its level 1 makes."""
    data = np.random.default_rng(0).integers(0, 9, 100_000, "u2").tobytes()
    [made] = encode_bytes(v2(name, level=level), data)
    assert (gzip if name == "gzip" else zlib).decompress(made) == data
    assert len(made) < 1.1 * len(zlib.compress(data, 1))


@pytest.mark.parametrize("level", [0, 6, 9])
def test_gzip_writes_what_numcodecs_writes_but_for_the_time(level):
    made = encode_bytes(v2("gzip", level=level), TEXT)[0]
    expected = bytes(numcodecs.GZip(level).encode(TEXT))
    assert made[:4] + made[8:] == expected[:4] + expected[8:]
    assert made[4:8] == bytes(4)


@pytest.mark.parametrize(
    "chunk",
    [
        zlib.compress(TEXT, 0),
        zlib.compress(TEXT, 9),
        zlib.compress(TEXT, 1),
    ],
)
def test_zlib(chunk):
    assert decode_bytes(v2("zlib"), chunk, nbytes=len(TEXT)) == [TEXT]


def test_zlib_small_window_and_strategies():
    for bits, strategy in ((9, 0), (12, zlib.Z_HUFFMAN_ONLY), (15, zlib.Z_RLE), (15, zlib.Z_FIXED)):
        stream = zlib.compressobj(6, zlib.DEFLATED, bits, 8, strategy)
        chunk = stream.compress(TEXT) + stream.flush()
        assert decode_bytes(v2("zlib"), chunk, nbytes=len(TEXT)) == [TEXT]


def test_a_bomb_does_not_take_memory():
    bomb = zlib.compress(bytes(1 << 26), 9)
    for name in ("zlib", "gzip", "bz2", "lzma"):
        packer = {"zlib": zlib.compress, "gzip": gzip.compress, "bz2": bz2.compress, "lzma": lzma.compress}[name]
        with pytest.raises(CodecError, match="more than"):
            decode_bytes(v2(name), packer(bytes(1 << 24)), nbytes=1000)
    assert len(bomb) < 1 << 17


def test_several_streams_of_bz2_and_xz():
    for name, packer in (("bz2", bz2.compress), ("lzma", lzma.compress)):
        assert decode_bytes(v2(name), packer(TEXT[:9]) + packer(TEXT[9:]), nbytes=len(TEXT)) == [TEXT]


def test_lzma_dictionary_is_bounded():
    with pytest.raises(MetadataError, match="dict_size"):
        v2("lzma", format=3, filters=[{"id": 33, "dict_size": 1 << 32}])


def test_lz4_declared_size_is_not_believed():
    chunk = struct.pack("<i", 1 << 30) + bytes(numcodecs.LZ4().encode(b"abc" * 9))[4:]
    for nbytes in (None, 27, 1 << 30):
        if nbytes != 1 << 30:
            with pytest.raises(CodecError, match="lz4"):
                decode_bytes(v2("lz4"), chunk, nbytes=nbytes)
    with pytest.raises(CodecError, match="-1"):
        decode_bytes(v2("lz4"), b"\xff\xff\xff\xff\0", nbytes=4)


@pytest.mark.parametrize("name", ["zlib", "bz2", "lzma", "lz4", "zstd", "base64"])
@pytest.mark.parametrize("data", [b"", b"a", TEXT[:1000]], ids=len)
def test_writes_what_numcodecs_writes(name, data):
    options = {"level": 6} if name == "zlib" else {}  # levels 1 to 5 are ISA-L's
    expected = bytes(numcodecs.get_codec({"id": name, **options}).encode(data)) if data else None
    made = encode_bytes(v2(name, **options), data)
    assert made == [expected] or not data
    assert decode_bytes(v2(name), *made, nbytes=len(data)) == [data]
    assert decode_bytes(v2(name), *made, nbytes=None) == [data]


@pytest.mark.parametrize("name", ["zlib", "gzip", "lz4", "zstd", "blosc", "crc32c", "shuffle", "crc32", "base64"])
def test_into_is_where_the_caller_says(name):
    parts = [TEXT[:400], TEXT[400:800]]
    codec = v2(name)
    stored = codec.encode(encoded_batch(*parts), BytesSpec(400), CPU)
    into = encoded_batch(bytes(400), bytes(400), gap=7)
    into = type(into)(into.data.copy(), into.starts[::-1].copy(), into.sizes)
    made = codec.decode(stored, BytesSpec(400), CPU, into)
    assert made is into
    assert [into[i].tobytes() for i in range(2)] == parts
