"""One chunk at a time, into memory that the caller gives: the same elements and the same errors as a batch gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpuzarr.batch import ChunkSpec, EncodedBatch
from gpuzarr.codecs import parse
from gpuzarr.codecs.chain import Chain
from gpuzarr.codecs.single_chunk import ChunkDecoder
from gpuzarr.devices.cpu import CPU
from gpuzarr.dtypes import parse_v3
from gpuzarr.errors import CodecError

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
BIG = {"name": "bytes", "configuration": {"endian": "big"}}
SHARD = {"chunk_shape": [20, 30], "codecs": [LITTLE, {"name": "zstd"}], "index_codecs": [LITTLE, "crc32c"]}
TURNED = {"name": "transpose", "configuration": {"order": [1, 0]}}


def named(name: str, **configuration: Any) -> dict[str, Any]:
    return {"name": name, "configuration": configuration}


def blosc(cname: str, shuffle: str, blocksize: int = 0, clevel: int = 5) -> dict[str, Any]:
    return named("blosc", cname=cname, clevel=clevel, shuffle=shuffle, typesize=4, blocksize=blocksize)


SCALED = named("numcodecs.fixedscaleoffset", offset=3, scale=4, dtype="<i4", astype="<f8")
CHAINS: dict[str, list[Any]] = {
    "raw": [LITTLE],
    "big-endian": [BIG],
    "transpose": [TURNED, LITTLE],
    "zstd": [LITTLE, named("zstd", level=1)],
    "zstd checksum": [LITTLE, named("zstd", level=1, checksum=True)],
    "zstd big-endian": [BIG, named("zstd", level=1)],
    "blosc": [LITTLE, blosc("lz4", "shuffle")],
    "blosc blocks": [LITTLE, blosc("zstd", "bitshuffle", 4096)],
    "blosc blosclz": [LITTLE, blosc("blosclz", "noshuffle", 10000)],
    "blosc copied": [LITTLE, blosc("lz4", "shuffle", clevel=0)],
    "gzip": [LITTLE, named("gzip", level=1)],
    "lz4": [LITTLE, named("numcodecs.lz4")],
    "checked": [LITTLE, named("zstd", level=1), "crc32c"],
    "other order": [TURNED, BIG, named("zstd", level=1)],
    "n5": [named("n5_default", codecs=[TURNED, BIG, blosc("lz4", "shuffle")])],
    "n5 raw": [named("n5_default", codecs=[TURNED, BIG])],
    "several": [TURNED, BIG, named("numcodecs.shuffle", elementsize=4), named("numcodecs.zlib", level=1)],
    "filter": [named("numcodecs.delta", dtype="<i4"), LITTLE, named("zstd", level=1)],
    "bits": [named("bitround", keepbits=20), LITTLE],
    "bits zstd": [named("bitround", keepbits=20), LITTLE, named("zstd", level=1)],
    "bits big-endian": [named("bitround", keepbits=20), BIG],
    "scaled": [SCALED, LITTLE],
    "scaled blosc": [SCALED, LITTLE, blosc("lz4", "shuffle")],
    "scaled gzip": [SCALED, LITTLE, named("gzip", level=1)],
    "scaled twice": [SCALED, named("numcodecs.astype", encode_dtype="<i2"), LITTLE, named("zstd", level=1)],
    "scaled big-endian": [SCALED, BIG, named("zstd", level=1)],
    "scaled other order": [TURNED, SCALED, LITTLE, named("zstd", level=1)],
    "flat": [named("reshape", shape=[-1]), LITTLE, named("zstd", level=1)],
    "shards are a codec": [TURNED, named("sharding_indexed", **SHARD)],
}
SHAPE = (300, 400)
VALUES = (np.arange(120_000, dtype=np.int32).reshape(SHAPE) // 7) * 13 % 5003


def chain_of(codecs: list[Any], values: np.ndarray) -> Chain:
    return Chain.build(parse(codecs), ChunkSpec(values.shape, values.dtype, 0 if values.dtype.kind == "i" else None))


def stored_by(chain: Chain, values: np.ndarray) -> bytes:
    return bytes(chain.encode(values[None], CPU).on_host(0))


@pytest.fixture(params=CHAINS)
def chain(request: pytest.FixtureRequest) -> Chain:
    return chain_of(CHAINS[request.param], VALUES)


def test_what_is_wanted_of_a_chunk(chain: Chain) -> None:
    stored, decode, size = stored_by(chain, VALUES), chain.chunk_decoder(), VALUES.size
    target = np.empty_like(VALUES)
    for first, last in ((0, size - 1), (0, 0), (size - 1, size - 1), (777, 5000), (size // 2, size // 2 + 9), (9, 99)):
        for copy in (memoryview(bytearray(stored)), memoryview(stored)):  # one that may be changed, one that may not
            target[...] = -1
            made = chunk_of(decode, copy, target, first, last)
            np.testing.assert_array_equal(
                made.reshape(-1)[first : last + 1], VALUES.reshape(-1)[first : last + 1], f"{first} to {last}"
            )


@pytest.mark.parametrize("damage", ["cut", "empty", "longer", "zeros", "another"])
def test_what_is_wrong_is_said_as_of_a_batch(chain: Chain, damage: str) -> None:
    good = stored_by(chain, VALUES)
    other = stored_by(chain_of([LITTLE, named("numcodecs.bz2")], VALUES), VALUES)
    bad = {
        "cut": good[: len(good) * 2 // 3],
        "empty": b"",
        "longer": good + b"junk" * 5,
        "zeros": bytes(len(good)),
        "another": other,
    }[damage]
    of_batch = said(lambda: chain.decode(EncodedBatch(np.frombuffer(bad, np.uint8), *ends(bad)), CPU))
    decode, target = chain.chunk_decoder(), np.empty_like(VALUES)
    assert said(lambda: decode(memoryview(bytearray(bad)), target, 0, VALUES.size - 1)) == of_batch
    for first, last in ((0, 10), (60_000, 60_010), (VALUES.size - 1, VALUES.size - 1)):
        of_part = said(lambda a=first, b=last: decode(memoryview(bytearray(bad)), target, a, b))
        assert of_part in (of_batch, None)  # None: what is damaged is not wanted
    np.testing.assert_array_equal(chunk_of(decode, memoryview(good), target, 0, VALUES.size - 1), VALUES)


def chunk_of(decode: ChunkDecoder, stored: memoryview, target: np.ndarray, first: int, last: int) -> np.ndarray:
    """The chunk, which is in `target` or elsewhere."""
    made = decode(stored, target, first, last)
    return target if made is None else made


def ends(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(1, np.int64), np.array([len(data)], np.int64)


def said(decode: Any) -> tuple[str, str, int | None] | None:
    """What a CodecError says, if there is one."""
    try:
        decode()
    except CodecError as error:
        return str(error), error.codec, error.index
    return None


def test_what_only_the_batch_decoder_knows() -> None:
    """Frames of zstd that say no size, or are several."""
    import cramjam
    import numcodecs.zstd

    data = VALUES.tobytes()
    streamed = bytes(cramjam.zstd.compress(data))
    two = numcodecs.zstd.compress(data[:1000], 1) + numcodecs.zstd.compress(data[1000:], 1)
    decode, target = chain_of(CHAINS["zstd"], VALUES).chunk_decoder(), np.empty_like(VALUES)
    for stored in (streamed, bytes(two)):
        target[...] = -1
        decode(memoryview(bytearray(stored)), target, 5, 10)
        np.testing.assert_array_equal(target.reshape(-1)[5:11], VALUES.reshape(-1)[5:11])


@pytest.mark.parametrize("dtype", ["M8[s]", "?", "c8", "U3", "V5"])
def test_elements_that_have_no_buffer(dtype: str) -> None:
    values = np.arange(6000 * np.dtype(dtype).itemsize, dtype=np.uint8)
    values = values % 2 if dtype in "?U3" else values
    if dtype == "U3":
        values = np.frombuffer(values.astype("<u4")[:18000].tobytes(), "U3").reshape(60, 100)
    else:
        values = values.view(dtype).reshape(60, 100)
    for codecs in ([LITTLE], [LITTLE, named("zstd", level=1)], [LITTLE, named("gzip", level=1)]):
        chain = Chain.build(parse(codecs), ChunkSpec(values.shape, values.dtype))
        target = np.zeros_like(values)
        chain.chunk_decoder()(memoryview(stored_by(chain, values)), target, 0, values.size - 1)
        assert target.tobytes() == values.tobytes()


def test_strings_and_scalars() -> None:
    words = np.array([["a", "", "öß"], ["日本", "x" * 90, "end"]], parse_v3("string").dtype)
    chain = chain_of(["vlen-utf8", named("zstd", level=1)], words)
    target = np.empty_like(words)
    made = chunk_of(chain.chunk_decoder(), memoryview(stored_by(chain, words)), target, 0, 5)
    assert made.tolist() == words.tolist()
    for codecs in (CHAINS["raw"], CHAINS["zstd"], CHAINS["gzip"]):
        scalar = np.array(7, np.int32)
        chain, target = chain_of(codecs, scalar), np.zeros((), np.int32)
        chain.chunk_decoder()(memoryview(stored_by(chain, scalar)), target, 0, 0)
        assert target == 7
        none = np.empty((0, 3), np.int32)
        chain = chain_of(codecs, none)
        chain.chunk_decoder()(memoryview(stored_by(chain, none)), none, 0, -1)
