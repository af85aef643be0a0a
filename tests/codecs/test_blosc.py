"""Blosc against c-blosc (numcodecs) on random chunks: by the codec, and by the stream table with plain decoders."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numcodecs
import numpy as np
import pytest
from cramjam import snappy
from numcodecs import blosc, lz4, zstd

from gpuzarr.batch import BytesSpec
from gpuzarr.codecs.blosc import Blosc
from gpuzarr.cpu import blosc_snappy
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats import blosc_frame
from tests.chunks import CPU, decode_bytes, encode_bytes, encoded_batch, whole

SIZES = (0, 1, 15, 100, 127, 128, 129, 1000, 4096, 30011, 65536, 70001)
CNAMES = ("blosclz", "lz4", "lz4hc", "zlib", "zstd")


def random_chunk(rng: np.random.Generator, nbytes: int) -> bytes:
    values = np.cumsum(rng.integers(0, 1 << int(rng.integers(0, 9)), nbytes // 4 + 1, dtype=np.int32))
    return values.astype([np.int32, np.float32][int(rng.integers(2))]).tobytes()[:nbytes]


def compress(rng: np.random.Generator, data: bytes, cname: str | None = None) -> bytes:
    """By c-blosc, with any options; `typesize` as it allows for this size."""
    typesize = int(rng.choice([1, 2, 3, 4, 7, 8, 12, 16, 17, 255, 256, int(rng.integers(1, 301))]))
    source = np.frombuffer(data, f"V{typesize}") if data and len(data) % typesize == 0 else np.frombuffer(data, "u1")
    name = (cname or str(rng.choice(CNAMES))).encode()
    blocksize = int(rng.choice([0, 0, 0, 1024, 4096, 5000]))
    return bytes(blosc.compress(source, name, int(rng.integers(0, 10)), int(rng.integers(0, 3)), blocksize))


def blosclz(source: bytes, nbytes: int) -> bytes:
    """A plain FastLZ-like decoder, byte by byte."""
    out, at, control = bytearray(), 1, source[0] & 31
    while True:
        if control >= 32:
            length, offset = (control >> 5) - 1, (control & 31) << 8
            while length >= 6 and (more := source[at]) is not None:
                length, at = length + more, at + 1
                if more != 255:
                    break
            code, at = source[at], at + 1
            back = offset + code + 1
            if code == 255 and offset == 31 << 8:
                back, at = (source[at] << 8) + source[at + 1] + 8192, at + 2
            for _ in range(length + 3):
                out.append(out[-back])
        else:
            out += source[at : at + control + 1]
            at += control + 1
        if at >= len(source):
            return bytes(out)
        control, at = source[at], at + 1


def decoded_stream(codec: int, source: bytes, nbytes: int) -> bytes:
    if codec == blosc_frame.LZ4:
        return lz4.decompress(struct.pack("<I", nbytes) + source)
    if codec == blosc_frame.ZSTD:
        return zstd.decompress(source)
    return zlib.decompress(source) if codec == blosc_frame.ZLIB else blosclz(source, nbytes)


def by_table(chunks: list[bytes], nbytes: int) -> list[bytes]:
    """Decode by `blosc_frame.parse`, one stream after another."""
    batch = encoded_batch(*chunks, gap=5)
    streams = blosc_frame.parse(batch, nbytes)
    headers = streams.headers
    planes = [np.zeros(nbytes, np.uint8) for _ in chunks]
    for i in range(len(streams.chunk)):
        chunk, source, target = (int(field[i]) for field in (streams.chunk, streams.source, streams.target))
        stored = batch.data[source : source + int(streams.size[i])].tobytes()
        size = int(streams.nbytes[i])
        made = stored if streams.raw[i] else decoded_stream(int(headers.codec[chunk]), stored, size)
        assert len(made) == size
        planes[chunk][target : target + size] = np.frombuffer(made, np.uint8)
    made = []
    for chunk, plane in enumerate(planes):
        out, blocksize = np.empty_like(plane), int(headers.blocksize[chunk])
        for start in range(0, nbytes, blocksize):
            block = slice(start, start + blocksize)
            shuffle, typesize = int(headers.shuffle[chunk]), int(headers.typesize[chunk])
            blosc_snappy._unshuffled(plane[block], out[block], shuffle, typesize)
        made.append(out.tobytes())
    return made


@pytest.mark.parametrize("seed", range(12))
def test_random_chunks(seed):
    rng = np.random.default_rng(seed)
    for _ in range(30):
        nbytes = int(rng.choice(SIZES))
        data = [random_chunk(rng, nbytes) for _ in range(5)]
        chunks = [compress(rng, part) for part in data]
        assert decode_bytes(Blosc(), *chunks, nbytes=nbytes) == data
        assert decode_bytes(Blosc(), *chunks, nbytes=None) == data
        if nbytes <= 30011:
            assert by_table(chunks, nbytes) == data


def snappy_chunk(data: bytes, typesize: int, blocksize: int, shuffle: int) -> bytes:
    """As c-blosc with snappy writes it; `shuffle` 0, 1 (byte) or 2 (bit)."""
    flags, blocksize = 2 << 5 | {0: 0, 1: 1, 2: 4}[shuffle], min(blocksize, len(data))
    body, starts = b"", []
    count = -(-len(data) // blocksize)
    for start in range(0, len(data), blocksize):
        block = data[start : start + blocksize]
        starts.append(16 + 4 * count + len(body))
        moved = numcodecs_shuffled(block, typesize, shuffle)
        split = typesize if typesize <= 16 and len(block) == blocksize and blocksize // typesize >= 128 else 1
        size = len(block) // split
        for part in range(split):
            plain = moved[part * size : (part + 1) * size]
            packed = bytes(snappy.compress_raw(plain))
            packed = plain if len(packed) >= len(plain) else packed
            body += struct.pack("<i", len(packed)) + packed
    table = struct.pack(f"<{count}i", *starts)
    return struct.pack("<BBBBiii", 2, 1, flags, typesize, len(data), blocksize, 16 + len(table + body)) + table + body


def numcodecs_shuffled(block: bytes, typesize: int, shuffle: int) -> bytes:
    n = len(block) // typesize
    head, tail = np.frombuffer(block[: n * typesize], np.uint8), block[n * typesize :]
    if shuffle == 1 and typesize > 1:
        return head.reshape(n, typesize).T.tobytes() + tail
    if shuffle == 2 and n % 8 == 0:
        bits = np.unpackbits(head.reshape(n, typesize, 1), axis=2, bitorder="little")
        return np.packbits(bits.transpose(1, 2, 0), axis=2, bitorder="little").tobytes() + tail
    return block


@pytest.mark.parametrize("shuffle", [0, 1, 2])
def test_snappy(shuffle):
    rng = np.random.default_rng(shuffle)
    for _ in range(20):
        typesize, nbytes = int(rng.choice([1, 2, 4, 8, 3, 20])), int(rng.choice([200, 4096, 30011]))
        blocksize = max(4096 // typesize * typesize, 1)
        data = [random_chunk(rng, nbytes) for _ in range(3)]
        chunks = [snappy_chunk(part, typesize, blocksize, shuffle) for part in data]
        chunks[1] = compress(rng, data[1])
        assert decode_bytes(Blosc(), *chunks, nbytes=nbytes) == data
        with pytest.raises(CodecError) as caught:
            decode_bytes(Blosc(), chunks[0], chunks[1], chunks[2][:-1], nbytes=nbytes)
        assert caught.value.index == 2


@pytest.mark.parametrize("cname", CNAMES)
@pytest.mark.parametrize("typesize", [1, 2, 4, 8, 24])
def test_writes_what_numcodecs_writes(cname, typesize):
    data = np.random.default_rng(0).integers(0, 50, 24 * 2000, dtype=np.uint8)
    for shuffle in (-1, 0, 1, 2):
        codec = Blosc(cname, 4, shuffle, typesize=typesize)
        expected = bytes(numcodecs.Blosc(cname, 4, shuffle).encode(data.view(f"V{typesize}")))
        assert whole(codec.encode(encoded_batch(data.tobytes()), BytesSpec(data.nbytes), CPU)) == [expected]


@pytest.mark.parametrize("shuffle", [0, 1, 2])
@pytest.mark.parametrize("typesize", [1, 2, 4, 17])
def test_snappy_is_written(shuffle, typesize):
    """In frames of the shape that c-blosc gives those of lz4."""
    rng, lz4_byte, snappy_byte = np.random.default_rng(typesize), 1 << 5, 2 << 5
    for nbytes in (0, 1, 127, 128, 1000, 50_001, 300_000):
        data = random_chunk(rng, nbytes // typesize * typesize)
        for clevel in (0, 5):
            codec = Blosc("snappy", clevel, shuffle, typesize=typesize)
            (made,), (other,) = encode_bytes(codec, data), encode_bytes(replace(codec, cname="lz4"), data)
            plain = made[2] & 2 or other[2] & 2
            assert plain or made[:12] == other[:2] + bytes([other[2] ^ lz4_byte ^ snappy_byte]) + other[3:12]
            assert decode_bytes(codec, made, nbytes=len(data)) == [data] and len(made) <= len(data) + 16
            if not made[2] & 2:
                blocksize = struct.unpack_from("<i", made, 8)[0]
                assert made[16:] == snappy_chunk(data, typesize, blocksize, shuffle)[16:]


def test_header_is_compared_with_stored_size():
    chunk = compress(np.random.default_rng(0), b"abcd" * 1000)
    for bad in (chunk[:-1], chunk + b"\0", chunk[:16], b"", chunk[:15]):
        with pytest.raises(CodecError, match="blosc") as caught:
            decode_bytes(Blosc(), chunk, bad, nbytes=4000)
        assert caught.value.index == 1
    with pytest.raises(CodecError, match="3999"):
        decode_bytes(Blosc(), chunk, nbytes=3999)


def test_configurations():
    assert Blosc(shuffle="bitshuffle").shuffle == 2
    for bad in ({"shuffle": "x"}, {"cname": "gzip"}, {"clevel": 10}, {"typesize": 0}, {"blocksize": -1}):
        with pytest.raises(MetadataError, match="blosc"):
            Blosc(**bad)
