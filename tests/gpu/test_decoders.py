"""Streams that a GPU decodes: of every encoder, level and form, to the values that went in; checksums that differ."""

import gzip as pygzip
import struct
import zlib

import cramjam
import numcodecs
import numpy as np
import pytest

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.errors import CodecError
from tests.chunks import KINDS, decode, plain

RNG = np.random.default_rng(11)


def crowded_target(device, count, nbytes):
    starts = 1 + np.arange(count, dtype=np.int64) * (nbytes + 3)
    return EncodedBatch(device.empty(int(count * (nbytes + 3) + 4)), starts, np.full(count, nbytes, np.int64))


ENCODERS = {
    "zstd": lambda b: [numcodecs.zstd.compress(b, level) for level in (-3, 1, 9, 19)],
    "zstd checksum": lambda b: [numcodecs.zstd.compress(b, 3, True)],
    "zstd many frames": lambda b: [b"".join(numcodecs.zstd.compress(p, 1) for p in (b[:9], b[9:]) if p)] if b else [],
    "zstd skippable": lambda b: [struct.pack("<II", 0x184D2A50, 3) + b"abc" + numcodecs.zstd.compress(b, 1)],
    "zstd unknown size": lambda b: [streamed_zstd(b)],
    "lz4": lambda b: [numcodecs.lz4.compress(b, a) for a in (1, 9)],
    "zlib": lambda b: [zlib.compress(b, level) for level in (0, 1, 6, 9)],
    "gzip": lambda b: [pygzip.compress(b, level) for level in (0, 1, 9)],
    "gzip named": lambda b: [named_gzip(b)],
    "gzip members": lambda b: [pygzip.compress(b[: len(b) // 2]) + pygzip.compress(b[len(b) // 2 :])],
}


def streamed_zstd(data):
    compressor = cramjam.zstd.Compressor(level=1)
    compressor.compress(data)
    return bytes(compressor.finish())


def named_gzip(data):
    body = pygzip.compress(data, 6)
    return body[:3] + bytes([body[3] | 8]) + body[4:10] + b"name\0" + body[10:]


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("nbytes", [0, 1, 127, 5000, 300_000])
def test_streams(device, name, nbytes):
    pairs = [(plain(nbytes, kind), kind) for kind in KINDS]
    chunks = [(p, encoded) for p, _ in pairs for encoded in ENCODERS[name](p)]
    codec = find(name.split()[0], {}, 2)
    assert codec.why_host(BytesSpec(nbytes)) is None
    got = decode(device, codec, [e for _, e in chunks], nbytes)
    assert got == [p for p, _ in chunks]


@pytest.mark.parametrize("name", ["zstd", "zstd checksum", "lz4", "zlib", "gzip"])
def test_streams_into_crowded_places(gpu, name):
    plains = [plain(5003, kind) for kind in KINDS]
    encoded = [ENCODERS[name](p)[0] for p in plains]
    assert decode(gpu, find(name.split()[0], {}, 2), encoded, 5003, crowded_target(gpu, 3, 5003)) == plains


def test_unknown_sizes_are_for_the_host():
    for name in ("zstd", "lz4", "zlib", "gzip", "blosc"):
        assert find(name, {}, 2).why_host(BytesSpec(None)) == "decoded size is not known from metadata"


@pytest.mark.damaging
@pytest.mark.parametrize("location", ["start", "end"])
def test_crc32c(device, location):
    codec = find("crc32c", {"location": location}, 2)
    plains = [plain(n, "mixed") for n in (0, 1, 5, 70001)]
    chunks = [bytes(numcodecs.get_codec({"id": "crc32c", "location": location}).encode(p)) for p in plains]
    assert decode(device, codec, chunks, None) == plains
    wrong = [chunks[0], chunks[1], chunks[2][:2] + bytes([chunks[2][2] ^ 1]) + chunks[2][3:], chunks[3]]
    with pytest.raises(CodecError, match="checksum") as caught:
        decode(device, codec, wrong, None)
    assert caught.value.index == 2


@pytest.mark.parametrize("width", [1, 2, 4, 7, 8])
def test_shuffle(device, width):
    codec = find("shuffle", {"elementsize": width}, 2)
    plains = [plain(width * 503, kind) for kind in KINDS]
    chunks = [bytes(numcodecs.Shuffle(width).encode(p)) for p in plains]
    assert decode(device, codec, chunks, width * 503) == plains
    if device.gpu:
        assert decode(device, codec, chunks, width * 503, crowded_target(device, 3, width * 503)) == plains


def blosc_chunks(cname, typesize, shuffle, nbytes, rng):
    """Chunks of one decoded size and any compression level and block size."""
    made = []
    for kind in KINDS:
        p = plain(nbytes, kind)
        element = np.frombuffer(p, f"V{typesize}") if nbytes % typesize == 0 and nbytes else np.frombuffer(p, np.uint8)
        blocksize, level = int(rng.choice([0, 0, 512, 1000, 4096])), int(rng.integers(0, 10))
        made.append((p, bytes(numcodecs.blosc.compress(element, cname.encode(), level, shuffle, blocksize))))
    return made


@pytest.mark.parametrize("cname", ["lz4", "lz4hc", "zstd", "zlib", "blosclz"])
@pytest.mark.parametrize("shuffle", [0, 1, 2])
def test_blosc(gpu, cname, shuffle):
    rng = np.random.default_rng(shuffle)
    codec = find("blosc", {}, 2)
    for typesize in (1, 2, 3, 4, 8, 12, 16, 17, 255):
        for nbytes in (0, 1, typesize * 16, typesize * 511 + 5, 50_000):
            pairs = blosc_chunks(cname, typesize, shuffle, nbytes, rng)
            assert decode(gpu, codec, [c for _, c in pairs], nbytes) == [p for p, _ in pairs], (typesize, nbytes)


def test_blosc_batches_of_every_kind_at_once(gpu):
    rng = np.random.default_rng(3)
    for _ in range(20):
        nbytes = int(rng.integers(1, 60_000))
        pairs = []
        for _ in range(6):
            cname = str(rng.choice(["lz4", "lz4hc", "zstd", "zlib", "blosclz"]))
            pairs += blosc_chunks(cname, int(rng.choice([1, 2, 4, 5, 8, 16, 40])), int(rng.integers(0, 3)), nbytes, rng)
        plains, chunks = [p for p, _ in pairs], [c for _, c in pairs]
        assert decode(gpu, find("blosc", {}, 2), chunks, nbytes) == plains
        assert decode(gpu, find("blosc", {}, 2), chunks, nbytes, crowded_target(gpu, len(chunks), nbytes)) == plains


def snappy_chunk(data, typesize):
    """A byte-shuffled Blosc chunk of one block of `typesize` snappy streams, as c-blosc with snappy writes it."""
    planes = np.frombuffer(data, np.uint8).reshape(-1, typesize).T
    streams = [bytes(cramjam.snappy.compress_raw(np.ascontiguousarray(p).tobytes())) for p in planes]
    body = b"".join(struct.pack("<i", len(s)) + s for s in streams)
    return struct.pack("<BBBBiiii", 2, 1, 1 | 2 << 5, typesize, len(data), len(data), 20 + len(body), 20) + body


def test_blosc_snappy(gpu):
    data = [plain(4096, "smooth"), bytes(4096), plain(4096, "mixed")]
    assert decode(gpu, find("blosc", {}, 2), [snappy_chunk(d, 4) for d in data], 4096) == data
