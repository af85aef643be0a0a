"""Memory is bounded by declared sizes for every chain that metadata can express, whatever chunks say they become."""

from __future__ import annotations

import struct
from typing import Any

import numcodecs
import numpy as np
import pytest

import gpuzarr
from gpuzarr import batch
from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import MAX_DEPTH, find, parse
from gpuzarr.codecs.chain import MAX_CODECS, Chain
from gpuzarr.cpu import byte_streams, chunkwise, objects
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, GpuZarrError, MetadataError, UnsupportedError
from tests.attack.rounds import FACTOR, rounds
from tests.chunks import CPU, RNG, encode_bytes, encoded_batch, whole
from tests.hardware import host_array
from tests.hostile import BOMB_BYTES, LITTLE, bomb, document, memory_below, shards, zeros_by_zstd
from tests.laws.cases import CASES

COMPRESSORS = ("zstd", "gzip", "zlib", "bz2", "lzma", "lz4", "blosc")
OTHERS = ("crc32c", "numcodecs.base64", "numcodecs.fletcher32")  # bytes->bytes
N5 = {
    "name": "n5_default",
    "configuration": {"codecs": [{"name": "transpose", "configuration": {"order": [0]}}, "bytes"]},
}
VLEN = {
    "name": "zarrs.vlen",
    "configuration": {"index_codecs": [LITTLE], "data_codecs": ["bytes", "zstd"], "index_data_type": "uint64"},
}
FIRST: dict[str, tuple[Any, str, Any]] = {  # codecs that make bytes of elements: with data type and fill value
    "bytes": (LITTLE, "uint8", 0),
    "shards": (shards([2], [LITTLE]), "uint8", 0),
    "shards of zstd": (shards([2], [LITTLE, "zstd", "zstd"]), "uint8", 0),
    "n5": (N5, "uint8", 0),
    "packbits": ("packbits", "bool", False),
    "pcodec": ("numcodecs.pcodec", "int32", 0),
    "zfpy": ({"name": "numcodecs.zfpy", "configuration": {"mode": 4, "tolerance": 0.1}}, "float32", 0.0),
    "vlen-utf8": ("vlen-utf8", "string", ""),
    "zarrs.vlen": (VLEN, "string", ""),
    "json2": ("numcodecs.json2", "string", ""),
    "msgpack2": ("numcodecs.msgpack2", "string", ""),
}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of elements of variable length that a bomb of the tests exceeds."""
    monkeypatch.setattr(batch, "MAX_VARIABLE_BYTES", 1 << 20)
    monkeypatch.setattr(batch, "MAX_VARIABLE_RATIO", 1)
    monkeypatch.setattr(objects, "MAX_OBJECTS_BYTES", 1 << 20)


def named(name: str) -> str:
    return name if name in ("zstd", "gzip", "blosc", *OTHERS) else f"numcodecs.{name}"


def wrapped(data: bytes, codecs: list[str]) -> bytes:
    """Bytes as these codecs encode them, one after the other."""
    for name in codecs:
        (data,) = encode_bytes(find(name, {}), data)
    return data


def refused(codecs: list[Any], chunk: bytes, device: Device, dtype: str = "uint8", fill: Any = 0) -> None:
    store = {"zarr.json": document(codecs, dtype, fill=fill), "c/0": chunk}
    array = gpuzarr.open_array(store, device=device)
    with memory_below(24 << 20), pytest.raises(gpuzarr.ChunkError):
        array[...]


@pytest.mark.parametrize("outer", COMPRESSORS)
@pytest.mark.parametrize("inner", [*COMPRESSORS, "shards", "vlen-utf8", "json2", "crc32c"])
def test_a_chunk_that_becomes_large_before_the_next_codec(inner: str, outer: str, device: Device) -> None:
    first, dtype, fill = FIRST.get(inner, FIRST["bytes"])
    codecs = [first, named(outer)] if inner in FIRST else [first, named(inner), named(outer)]
    refused(codecs, bomb(outer), device, dtype, fill)


def test_any_chain(device: Device) -> None:
    """Chains of random codecs around a tiny chunk, with a bomb in the place of each compressor's bytes."""
    rng = np.random.default_rng(8)
    for _ in rounds("chains with bombs", range(40 * FACTOR)):
        first, dtype, fill = FIRST[str(rng.choice(list(FIRST)))]
        names = [str(name) for name in rng.choice([*COMPRESSORS, *OTHERS], rng.integers(1, 6))]
        for i, name in enumerate(names):
            if name in COMPRESSORS:
                chunk = wrapped(bomb(name), [named(after) for after in names[i + 1 :]])
                refused([first, *map(named, names)], chunk, device, dtype, fill)


def test_inner_chunks_and_parts_of_chunks(device: Device) -> None:
    """Where chains stand in codecs: data of zarrs.vlen, blocks of N5, inner chunks."""
    index = np.array([0, 0, 0, 0, BOMB_BYTES], "<u8").tobytes()
    refused([VLEN], struct.pack("<Q", len(index)) + index + bomb("zstd"), device, "string", "")
    compressed = {"name": "n5_default", "configuration": {"codecs": [*N5["configuration"]["codecs"], "zstd"]}}
    for length in (4, 1000, BOMB_BYTES, 2**31):
        refused([compressed], struct.pack(">HHI", 0, 1, length) + bomb("zstd"), device)
    inner = bomb("zstd")
    entries = np.array([0, len(inner), 2**64 - 1, 2**64 - 1], "<u8").tobytes()
    refused([shards([2], [LITTLE, "zstd", "zstd"])], inner + entries, device)
    refused([shards([2], [LITTLE, "zstd", "zstd"]), "gzip"], wrapped(inner + entries, ["gzip"]), device)


@pytest.mark.parametrize("declares", [False, True])
def test_the_caller_allows_more_for_elements_of_variable_length(declares: bool, device: Device) -> None:
    texts = np.array(["x" * (3 << 20), "a", "", "b"], object)
    plain = whole(find("vlen-utf8", {}, 2).encode(texts[None], ChunkSpec((4,), np.dtype(object)), CPU))[0]
    frame = encode_bytes(find("zstd", {}), plain)[0]
    if not declares:  # as a stream: one block after the other, of raw bytes
        pieces = [plain[i : i + (1 << 17)] for i in range(0, len(plain), 1 << 17)]
        heads = [(len(p) << 3 | (i == len(pieces) - 1)).to_bytes(3, "little") for i, p in enumerate(pieces)]
        frame = zeros_by_zstd(1)[:6] + b"".join(head + piece for head, piece in zip(heads, pieces, strict=True))
    store = {"zarr.json": document(["vlen-utf8", "zstd", "gzip"], "string", fill=""), "c/0": wrapped(frame, ["gzip"])}
    array = gpuzarr.open_array(store, device=device)
    with pytest.raises(gpuzarr.ChunkError, match="memory_limit"):
        array[...]
    assert [len(text) for text in host_array(array.get(memory_limit="16MiB")).tolist()] == [3 << 20, 1, 0, 1]


@pytest.mark.parametrize("name", ["zstd", "gzip", "lz4", "blosc"])
def test_chunks_that_are_large_together_are_decoded_one_by_one(
    name: str, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each within its limit; all of a batch would take as many times as much as there are chunks."""
    monkeypatch.setattr(batch, "MAX_VARIABLE_BYTES", 4 << 20)
    monkeypatch.setattr(chunkwise, "MAX_TOGETHER_BYTES", 4 << 20)
    texts = np.array([["y" * (3 << 20)], ["z"]], object)
    plain = whole(find("vlen-utf8", {}, 2).encode(texts, ChunkSpec((1,), np.dtype(object)), CPU))
    large, small = (wrapped(one, [named(name)]) for one in plain)
    store = {"zarr.json": document(["vlen-utf8", named(name)], "string", (40,), "", (1,))}
    store |= {f"c/{i}": large if i in (7, 30) else small for i in range(40)}
    array = gpuzarr.open_array(store, device=device)
    assert [len(text) for text in host_array(array[...]).tolist()] == [
        3 << 20 if i in (7, 30) else 1 for i in range(40)
    ]
    store |= {f"c/{i}": wrapped(bytes(3 << 20), [named(name)]) for i in range(3, 40)}
    with memory_below(40 << 20), pytest.raises(gpuzarr.ChunkError, match="vlen-utf8") as caught:
        array[...]
    assert caught.value.chunk[0] >= 3
    numbers = {"zarr.json": document([LITTLE, "zstd", named(name)], shape=(4 << 20,), chunks=(1 << 20,))}
    array = gpuzarr.open_array(numbers, mode="r+", device=device)
    array[...] = value = RNG.integers(0, 256, 4 << 20, np.uint8)
    assert (host_array(array[...]) == value).all() and (host_array(array[::-3]) == value[::-3]).all()


@pytest.mark.parametrize("name", CASES)
def test_no_encoder_makes_more_than_its_spec_says(name: str) -> None:
    case = CASES[name]
    made = case.codec.encoded(case.spec)
    assert made.bound is None or len(case.encoded()) <= made.bound
    if not case.is_of_bytes:
        return
    for nbytes in (132, 5016, 1 << 20):
        noise, spec = RNG.bytes(nbytes), case.codec.encoded(BytesSpec(nbytes))
        for stored in encode_bytes(case.codec, noise):
            assert spec.nbytes in (None, len(stored)) and len(stored) <= spec.bound
    assert case.codec.encoded(BytesSpec(None, 5016)).bound == spec_bound(case.codec, 5016)
    assert case.codec.encoded(BytesSpec(None)).bound is None


def spec_bound(codec: Any, nbytes: int) -> int:
    return int(codec.encoded(BytesSpec(nbytes)).bound)


@pytest.mark.parametrize("name", ["gzip", "bz2", "lzma"])
def test_many_empty_streams_take_linear_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decompressor copies what follows its stream: bytes that all of them copy are counted."""
    codec, copied = find(name, {}, 2), []
    empty, last = (encode_bytes(codec, value)[0] for value in (b"", b"last"))
    chunk = empty * 4000 + encode_bytes(codec, b"and ")[0] + empty * 4000 + last
    decompressed = byte_streams._all

    def counted(first: bytes, make: Any, *arguments: Any) -> bytes:
        class Counting:
            def __init__(self) -> None:
                self.stream = make()
                self.decompress = self.stream.decompress

            @property
            def eof(self) -> bool:
                return bool(self.stream.eof)

            @property
            def unused_data(self) -> bytes:
                copied.append(len(self.stream.unused_data))
                return bytes(self.stream.unused_data)

        return decompressed(first, Counting, *arguments)

    monkeypatch.setattr(byte_streams, "_all", counted)
    for spec in (BytesSpec(8), BytesSpec(None, 100)):
        copied.clear()
        assert whole(codec.decode(encoded_batch(chunk), spec, CPU)) == [b"and last"]
        assert sum(copied) < 50 * len(chunk)
    for short in (7, 3):
        with pytest.raises(CodecError, match=f"more than {short} bytes"):
            codec.decode(encoded_batch(chunk), BytesSpec(short), CPU)
    with pytest.raises(CodecError, match=name):
        codec.decode(encoded_batch(chunk[:-3]), BytesSpec(8), CPU)


def test_blocks_of_few_bytes(device: Device) -> None:
    """c-blosc makes none, and they take more time and memory than what they hold."""
    for name in ("lz4", "zstd", "snappy"):
        frame = bytearray(numcodecs.Blosc("lz4", 0).encode(np.zeros(4096, np.uint8)))
        frame[2], frame[8:12] = {"lz4": 1, "snappy": 2, "zstd": 4}[name] << 5, (1).to_bytes(4, "little")
        frame += bytes(4 * 4096)
        frame[12:16] = len(frame).to_bytes(4, "little")
        store = {"zarr.json": document([LITTLE, "blosc"], shape=(4096,)), "c/0": bytes(frame)}
        with pytest.raises(gpuzarr.ChunkError, match="block size"):
            gpuzarr.open_array(store, device=device)[...]


def test_zstd_blocks_without_end_are_left_to_the_host(device: Device) -> None:
    frame = bytes(numcodecs.zstd.compress(bytes(4096), 1))
    many = zeros_by_zstd(4096, declares=True)
    many = many[:9] + (0).to_bytes(3, "little") * 5000 + many[9:]
    for chunk in (frame, many):
        store = {"zarr.json": document([LITTLE, "zstd"], shape=(4096,)), "c/0": chunk}
        assert not host_array(gpuzarr.open_array(store, device=device)[...]).any()


@pytest.mark.parametrize("encoding", ["punycode", "idna", "unicode_escape", "utf-7", "rot13", "hz"])
def test_documents_choose_only_encodings_of_linear_time(encoding: str) -> None:
    with pytest.raises(UnsupportedError, match=r"json2.*encoding"):
        find("json2", {"encoding": encoding}, 2)
    for wrong in ("no such", "\0", "../x", 5, None, ["utf-8"]):
        with pytest.raises(MetadataError, match="json2"):
            find("json2", {"encoding": wrong}, 2)


def test_documents_choose_only_short_computations() -> None:
    for size in ([1] * 65, [10**4000] * 50, [-2], [2**63]):
        with pytest.raises(MetadataError, match="reshape"):
            find("reshape", {"shape": size})
    with pytest.raises(MetadataError, match="not a dtype"):
        find("delta", {"dtype": "i4," * 1000}, 2)
    for shape in ([10**4000] * 100_000, [1] * 100_000, [2**63]):
        with pytest.raises(CodecError, match="no shape"):
            objects.row([1, "|O", shape], ChunkSpec((1,), np.dtype(object)))


def test_chains_are_of_few_codecs_and_not_nested_too_deeply(device: Device) -> None:
    spec = ChunkSpec((4,), np.dtype("u1"), np.uint8(0))
    Chain.build(parse([LITTLE, *["crc32c"] * (MAX_CODECS - 1)]), spec)
    with pytest.raises(UnsupportedError, match=str(MAX_CODECS)):
        Chain.build(parse([LITTLE, *["crc32c"] * MAX_CODECS]), spec)
    codecs: list[Any] = [LITTLE]
    for _ in range(MAX_DEPTH - 1):
        codecs = [shards([4], codecs)]
    deepest = gpuzarr.open_array({"zarr.json": document([*codecs, "zstd"])}, mode="r+", device=device)
    deepest[...] = 7
    assert host_array(deepest[...]).tolist() == [7] * 4 and "zstd" in str(deepest.explain())
    with pytest.raises(UnsupportedError, match="levels"):
        gpuzarr.open_array({"zarr.json": document([shards([4], codecs)])}, device=device)


def test_bytes_that_chunks_are_stored_in(device: Device) -> None:
    """That nothing else is read is a law of tests/read/test_hostile_sizes.py."""
    chain = Chain.build(parse([LITTLE, "crc32c"]), ChunkSpec((4,), np.dtype("u1")))
    wrong = chain.stored_size.wrong(np.array([8, -1, 9]))
    assert wrong is not None and wrong.index == 2 and "expected 8" in str(wrong)
    assert chain.stored_size.wrong(np.array([8, -1])) is None
    chunks = EncodedBatch(np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert len(host_array(chain.decode(chunks, device))) == 0


def test_errors_are_of_this_library() -> None:
    for name in COMPRESSORS:
        with pytest.raises(GpuZarrError):
            find(named(name), {}).decode(encoded_batch(bomb(name)), BytesSpec(None, 1000), CPU)
