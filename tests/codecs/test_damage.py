"""Damaged chunks, of every codec: cut anywhere, followed by rubbish, empty, with bits flipped.

A CodecError that names the chunk, and nothing else; of a flipped bit, where no checksum sees it, another value.
"""

from __future__ import annotations

import numpy as np
import pytest

from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.errors import CodecError
from tests.chunks import CPU, encoded_batch, v2, whole

NUMBERS = (np.arange(24, dtype="<i4") * 37 % 11).reshape(4, 6)
TEXT = b"".join(b"%d times, " % (i % 7) for i in range(15))

COMPRESSORS = {
    "zlib": v2("zlib"),
    "gzip": v2("gzip"),
    "bz2": v2("bz2"),
    "lzma": v2("lzma"),
    "lzma alone": v2("lzma", format=2),
    "lzma raw": v2("lzma", format=3, filters=[{"id": 33, "preset": 1}]),
    "lz4": v2("lz4"),
    "zstd": v2("zstd"),
    "zstd checksum": v2("zstd", checksum=True),
    **{f"blosc {c}": v2("blosc", cname=c, shuffle=0) for c in ("lz4", "blosclz", "lz4hc", "zlib", "zstd")},
    "blosc copied": v2("blosc", clevel=0),
    "base64": v2("base64"),
    **{name: v2(name) for name in ("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3")},
}
CHECKED = {
    "zlib",
    "gzip",
    "bz2",
    "lzma",
    "zstd checksum",
    "crc32",
    "crc32c",
    "adler32",
    "fletcher32",
    "jenkins_lookup3",
}

OBJECTS = np.array(["", "a", "öß", "日本", "x" * 9, "end"], object).reshape(2, 3)
BYTES = np.array([b"", b"a", b"\xff\0", b"long" * 3, b"", b"e"], object)
ARRAYS = np.empty(3, object)
ARRAYS[:] = [np.array([1, 2, 3], "i2"), np.array([], "i2"), np.array([7], "i2")]
FLOATS = np.linspace(0, 1, 64, dtype="f4").reshape(8, 8) ** 2
ARRAY_CODECS = {
    "bytes": (find("bytes", {"endian": "big"}), NUMBERS),
    "packbits": (find("packbits", {"padding_encoding": "first_byte"}), NUMBERS % 2 == 0),
    "vlen-utf8": (v2("vlen-utf8"), OBJECTS),
    "vlen-bytes": (v2("vlen-bytes"), BYTES),
    "vlen-array": (v2("vlen-array", dtype="<i2"), ARRAYS),
    "json2": (v2("json2"), OBJECTS),
    "msgpack2": (v2("msgpack2"), OBJECTS),
    "pcodec": (v2("pcodec"), NUMBERS),
    "zfpy": (v2("zfpy", mode=4, tolerance=1e-3), FLOATS),
    "zfpy rate": (v2("zfpy", mode=2, rate=8), FLOATS),
    "zfp": (find("zfp", {"mode": "reversible"}), FLOATS),
    "n5_default": (
        find(
            "n5_default",
            {
                "codecs": [
                    {"name": "transpose", "configuration": {"order": [1, 0]}},
                    {"name": "bytes", "configuration": {"endian": "big"}},
                    {"name": "gzip", "configuration": {"level": 1}},
                ]
            },
        ),
        NUMBERS,
    ),
}


def cases() -> list:
    made = [pytest.param(codec, BytesSpec(len(TEXT)), TEXT, name, id=name) for name, codec in COMPRESSORS.items()]
    made += [
        pytest.param(codec, ChunkSpec(array.shape, array.dtype), array, name, id=name)
        for name, (codec, array) in ARRAY_CODECS.items()
    ]
    return made


def encoded(codec, spec, value) -> bytes:
    if isinstance(value, bytes):
        return whole(codec.encode(encoded_batch(value), spec, CPU))[0]
    batch = np.empty((1, *value.shape), value.dtype)
    batch[0] = value
    return whole(codec.encode(batch, spec, CPU))[0]


def decode(codec, spec, *chunks: bytes) -> list:
    made = codec.decode(encoded_batch(*chunks, gap=1), spec, CPU)
    return whole(made) if isinstance(spec, BytesSpec) else list(made)


def refused(codec, spec, good: bytes, bad: bytes) -> bool:
    """Whether the bad chunk is refused, and by its index."""
    try:
        decode(codec, spec, good, bad, good)
    except CodecError as error:
        assert error.index == 1, error
        assert len(str(error)) > 5
        return True
    return False


def equal(one, other) -> bool:
    if isinstance(one, bytes):
        return one == other
    if one.dtype == object:
        return all(np.array_equal(a, b) for a, b in zip(one.reshape(-1), other.reshape(-1), strict=True))
    return np.allclose(one, other, atol=0.02)


@pytest.mark.parametrize("codec, spec, value, name", cases())
def test_round_trip_and_damage(codec, spec, value, name):
    good = encoded(codec, spec, value)
    assert all(equal(made, value) for made in decode(codec, spec, good, good))
    if isinstance(spec, BytesSpec):
        assert decode(codec, BytesSpec(None), good, good) == [value, value]
    for length in range(len(good)):
        assert refused(codec, spec, good, good[:length]), f"cut to {length} of {len(good)}"
    for junk in (b"\0", b"\xff", b"junk", b"\0" * 8, good[:3], b"\xa5" * 16):
        if name == "zfpy" and len(junk) == 8:
            continue  # zfp does not say how much it read: a single word cannot always be told from its own
        assert refused(codec, spec, good, good + junk), f"followed by {junk!r}"


@pytest.mark.parametrize("codec, spec, value, name", cases())
def test_flipped_bits(codec, spec, value, name):
    good = encoded(codec, spec, value)
    for each in (spec, BytesSpec(None)) if isinstance(spec, BytesSpec) else (spec,):
        for bit in range(0, 8 * len(good), 1 if name in CHECKED else 3):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            if not refused(codec, each, good, bytes(bad)):
                made = decode(codec, each, bytes(bad))[0]
                assert name not in CHECKED or equal(made, value), f"bit {bit}"
                assert len(made) == len(value) or each == BytesSpec(None)


@pytest.mark.parametrize("name", [name for name in COMPRESSORS if name not in ("base64",)])
def test_random_bytes(name):
    rng = np.random.default_rng(1)
    codec = COMPRESSORS[name]
    good = encoded(codec, BytesSpec(len(TEXT)), TEXT)
    for _ in range(100):
        at, length = int(rng.integers(len(good))), int(rng.integers(1, 8))
        bad = good[:at] + rng.bytes(length) + good[at + length :]
        for spec in (BytesSpec(len(TEXT)), BytesSpec(None)):
            refused(codec, spec, good, bad)


@pytest.mark.parametrize("name", ["zlib", "gzip", "bz2", "lzma", "zstd", "lz4", "blosc lz4"])
def test_other_size_than_expected(name):
    codec = COMPRESSORS[name]
    good = encoded(codec, BytesSpec(len(TEXT)), TEXT)
    for nbytes in (0, 1, len(TEXT) - 1, len(TEXT) + 1, 10 * len(TEXT)):
        with pytest.raises(CodecError) as caught:
            decode(codec, BytesSpec(nbytes), good)
        assert caught.value.index == 0
