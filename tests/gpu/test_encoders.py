"""What a GPU device encodes, numcodecs and the host's lines decode to the input: for every codec that a GPU encodes."""

import json
import struct

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import find, parse, registry
from gpuzarr.codecs.chain import Chain
from gpuzarr.codecs.nvcomp_batch import NvcompBatch
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.nvcomp import compress as nvcomp_compress
from gpuzarr.gpu.empty import is_empty_on_gpu
from tests.chunks import KINDS, batch_on, plain, whole
from tests.gpu.encoding import crowded, encoded, failing_at_every_third
from tests.hardware import host_array

RNG = np.random.default_rng(4)
STREAMS = [
    ("zstd", {}),
    ("lz4", {}),
    ("zlib", {}),
    ("gzip", {"level": 6}),
    ("zlib", {"level": 9}),
    ("zstd", {"level": -5}),
]


def decoded(name, configuration, chunks, nbytes):
    """By numcodecs, and by our host lines, which must agree."""
    theirs = numcodecs.get_codec({"id": name, **configuration})
    ours = find(name, configuration, 2).decode(batch_on(CPU, chunks), BytesSpec(nbytes), CPU)
    values = [bytes(np.ascontiguousarray(theirs.decode(chunk)).tobytes()) for chunk in chunks]
    assert values == whole(ours)
    return values


@pytest.mark.parametrize("name, configuration", STREAMS)
@pytest.mark.parametrize("nbytes", [1, 2, 127, 5003, 200_000])
def test_streams(gpu, name, configuration, nbytes):
    chunks = [plain(nbytes, kind) for kind in KINDS] + [bytes(nbytes), b"\xff" * nbytes]
    codec = find(name, configuration, 2)
    for starts in (None, "crowded"):
        made = encoded(gpu, codec, chunks, starts)
        assert decoded(name, configuration, made, nbytes) == chunks
    assert nbytes < 1000 or len(made[-1]) < nbytes / 50


@pytest.mark.parametrize("name", ["zlib", "gzip"])
@pytest.mark.parametrize("nbytes", [65_535, 65_536, 65_537, 5 << 19])
def test_deflate_streams_of_more_than_64_kib(gpu, name, nbytes):
    """nvcomp/deflate.h of 6.0 allows 2 GiB in one place (nvcompDeflateCompressionMaxAllowedChunkSize), 65536 bytes in
    another (nvcompBatchedDeflateCompressAsync)."""
    chunks = [plain(nbytes, kind) for kind in KINDS]
    assert decoded(name, {}, encoded(gpu, find(name, {}, 2), chunks), nbytes) == chunks


@settings(max_examples=50, deadline=None)
@given(
    stream=st.sampled_from(STREAMS), nbytes=st.integers(1, 20_000), kinds=st.lists(st.sampled_from(KINDS), min_size=1)
)
def test_streams_of_any_size(stream, nbytes, kinds):
    from tests.hardware import emulated

    chunks = [plain(nbytes, kind) for kind in kinds]
    made = encoded(emulated(), find(*stream, 2), chunks, "crowded")
    assert decoded(*stream, made, nbytes) == chunks


@pytest.mark.parametrize("name", ["zstd", "lz4", "zlib", "gzip"])
def test_batches_in_parts(gpu, name, monkeypatch):
    """In parts for nvCOMP's scratch."""
    chunks = [plain(3001, KINDS[i % 3]) for i in range(17)]
    monkeypatch.setattr(type(gpu), "free_bytes", 470_000)
    assert decoded(name, {}, encoded(gpu, find(name, {}, 2), chunks), 3001) == chunks


@pytest.mark.parametrize("name", ["zstd", "lz4", "zlib", "gzip", "blosc"])
def test_what_nvcomp_fails_at_is_encoded_all_the_same(gpu, name, monkeypatch):
    seen = failing_at_every_third(gpu, monkeypatch)
    chunks = [plain(3000, KINDS[i % 3]) for i in range(7)]
    batch = np.frombuffer(b"".join(chunks), np.uint8).reshape(7, 3000)
    for filters in ([], [find("crc32c", {}, 3)], [find("shuffle", {"elementsize": 1}, 2)]):
        chain = Chain.build([find("bytes", {}, 3), find(name, {}, 2), *filters], ChunkSpec((3000,), batch.dtype, 0))
        seen.clear()
        made = chain.encode(gpu.upload(batch), gpu)
        assert np.array_equal(chain.decode(made, CPU), batch) and len(seen) >= 7
        if not filters:
            assert decoded(name, {}, [made[i].tobytes() for i in range(7)], 3000) == chunks


def test_lz4_says_the_size_first(gpu):
    (made,) = encoded(gpu, find("lz4", {}, 2), [bytes(70_000)])
    assert struct.unpack("<i", made[:4]) == (70_000,)


@pytest.mark.parametrize("location", ["start", "end"])
def test_crc32c(gpu, location):
    for nbytes in (1, 5, 70_001):
        chunks = [plain(nbytes, kind) for kind in KINDS]
        codec, theirs = find("crc32c", {"location": location}, 2), numcodecs.CRC32C(location=location)
        made = codec.encode(crowded(gpu, chunks), BytesSpec(nbytes), gpu)
        data = gpu.download(made.data)
        found = [data[s : s + n].tobytes() for s, n in zip(made.starts, made.sizes, strict=True)]
        assert found == [bytes(theirs.encode(chunk)) for chunk in chunks]


def test_no_chunks_at_all(gpu):
    none = EncodedBatch(gpu.empty(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    for name in ("zstd", "lz4", "zlib", "gzip", "blosc", "crc32c", "shuffle"):
        assert len(find(name, {}, 2).encode(none, BytesSpec(100), gpu)) == 0


WIDTHS = {"lz4": (2, 4, 12, 16, 17, 255, 300), "zstd": (1, 4, 8, 255), "zlib": (1, 3, 8), "blosclz": (1, 3, 8, 17)}
BLOSC = [(cname, shuffle, width) for cname, widths in WIDTHS.items() for shuffle in (0, 1, 2, -1) for width in widths]


@pytest.mark.parametrize("cname, shuffle, width", BLOSC)
def test_blosc(gpu, cname, shuffle, width):
    """Frames of c-blosc's shape (the same first 12 bytes of a header), which numcodecs reads."""
    for nbytes, clevel, blocksize in [
        (1, 5, 0),
        (width * 16, 5, 0),
        (width * 511 + width // 2, 3, 600),
        (90_000, 5, 0),
    ]:
        nbytes = nbytes // width * width or width if nbytes != 1 else nbytes
        configuration = {"cname": cname, "clevel": clevel, "shuffle": shuffle, "blocksize": blocksize}
        codec = find("blosc", {**configuration, "typesize": width}, 3)
        chunks = [plain(nbytes, kind) for kind in KINDS] + [bytes(nbytes)]
        made = encoded(gpu, codec, chunks, "crowded")
        assert decoded("blosc", {}, made, nbytes) == chunks
        ours = whole(codec.encode(batch_on(CPU, chunks), BytesSpec(nbytes), CPU))
        for mine, host in zip(made, ours, strict=True):
            assert mine[:2] + bytes([mine[2] & ~2]) + mine[3:12] == host[:2] + bytes([host[2] & ~2]) + host[3:12]
            assert len(mine) <= nbytes + 16
            assert len(mine) < nbytes + 16 or mine[2] & 2


@pytest.mark.parametrize("shuffle", [0, 1, 2])
def test_blosc_of_snappy(gpu, shuffle):
    """Which numcodecs does not read; the host does, and makes frames of the same shape."""
    for nbytes, width in ((1, 1), (2040, 4), (90_000, 8)):
        codec = find("blosc", {"cname": "snappy", "clevel": 5, "shuffle": shuffle, "typesize": width}, 3)
        chunks = [plain(nbytes, kind) for kind in KINDS] + [bytes(nbytes)]
        made = encoded(gpu, codec, chunks, "crowded")
        assert whole(codec.decode(batch_on(CPU, made), BytesSpec(nbytes), CPU)) == chunks
        ours = whole(codec.encode(batch_on(CPU, chunks), BytesSpec(nbytes), CPU))
        for mine, host in zip(made, ours, strict=True):
            assert mine[:2] + bytes([mine[2] & ~2]) + mine[3:12] == host[:2] + bytes([host[2] & ~2]) + host[3:12]
            assert len(mine) <= nbytes + 16


@settings(max_examples=60, deadline=None)
@given(
    cname=st.sampled_from(["lz4", "zstd", "zlib", "blosclz"]), shuffle=st.integers(-1, 2), clevel=st.integers(0, 9),
    width=st.integers(1, 20), elements=st.integers(1, 3000), blocksize=st.sampled_from([0, 0, 1, 999, 4096]),
    odd=st.integers(0, 3),
)  # fmt: skip
def test_blosc_of_any_shape(cname, shuffle, clevel, width, elements, blocksize, odd):
    from tests.hardware import emulated

    gpu = emulated()
    configuration = {"cname": cname, "clevel": min(clevel, 5) if cname == "zstd" else clevel, "shuffle": shuffle}
    codec = find("blosc", {**configuration, "typesize": width, "blocksize": blocksize}, 3)
    nbytes = width * elements + odd
    chunks = [plain(nbytes, kind) for kind in KINDS]
    assert decoded("blosc", {}, encoded(gpu, codec, chunks, "crowded"), nbytes) == chunks


def test_blosc_of_many_streams(gpu):
    """More streams in a chunk, and more chunks, than a block of threads takes in a round."""
    codec = find("blosc", {"cname": "lz4", "clevel": 5, "shuffle": 1, "typesize": 2, "blocksize": 0}, 3)
    many = find("blosc", {"cname": "zstd", "clevel": 1, "shuffle": 1, "typesize": 2, "blocksize": 128}, 3)
    for each, chunks in ((codec, [plain(600, "smooth") for _ in range(300)]), (many, [plain(70_000, "smooth")] * 2)):
        assert decoded("blosc", {}, encoded(gpu, each, chunks), len(chunks[0])) == chunks


def test_what_is_encoded_on_the_host_and_why():
    def why(name, nbytes=1000, **configuration):
        return find(name, configuration, 2).why_host_to_encode(BytesSpec(nbytes))

    assert why("zstd", level=3) is None and "one level" in why("zstd", level=4) and why("zstd", checksum=True)
    assert why("gzip", level=0) == why("zlib", level=0) == "level 0 does not compress"
    for name in ("zstd", "lz4", "gzip", "zlib", "blosc"):
        assert "not known" in why(name, None) and "nothing" in why(name, 0) and why(name) is None
    for name in ("zstd", "lz4", "gzip", "zlib"):
        assert "at most 16777216" in why(name, nvcomp_compress.MAX_INPUT_BYTES + 1) and why(name, 16 << 20) is None
    assert "at most 16777216" in why("blosc", 1 << 26, blocksize=1 << 25, cname="zstd")
    assert why("blosc", 1 << 26) is None
    assert "at most 2147483631" in why("blosc", 1 << 31) and "lz4hc" in why("blosc", cname="lz4hc")
    assert "clevel 6" in why("blosc", cname="zstd", clevel=6)
    assert why("blosc", cname="zstd", clevel=5) is None


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
BIG = {"name": "bytes", "configuration": {"endian": "big"}}
ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}


def blosc(**more):
    usual = {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4, "blocksize": 0}
    return {"name": "blosc", "configuration": usual | more}


MIXED = {"dtype": "<f4", "astype": "<i4"}  # kinds of numbers: such differences are for the host
CHAINS = {  # the codecs, and how many of them a GPU encodes
    "raw": ([BYTES], 1),
    "big": ([BIG, ZSTD], 2),
    "transpose": ([{"name": "transpose", "configuration": {"order": [1, 0]}}, BYTES, ZSTD, "crc32c"], 4),
    "gzip": ([BYTES, {"name": "gzip", "configuration": {"level": 1}}], 2),
    "gzip of zstd": ([BYTES, ZSTD, {"name": "gzip", "configuration": {"level": 1}}, "crc32c"], 2),
    "blosc": ([BYTES, blosc(), "crc32c"], 3),
    "blosc bits": ([BYTES, blosc(cname="zstd", shuffle="bitshuffle")], 2),
    "blosc zlib": ([BYTES, blosc(cname="zlib")], 2),
    "blosc blosclz": ([BYTES, blosc(cname="blosclz")], 2),
    "blosc lz4hc": ([BYTES, blosc(cname="lz4hc")], 1),
    "strong zstd": ([BYTES, {"name": "zstd", "configuration": {"level": 12, "checksum": True}}], 1),
    "shuffled": ([BYTES, {"name": "numcodecs.shuffle", "configuration": {"elementsize": 4}}, ZSTD], 3),
    "shuffle behind": ([BYTES, ZSTD, {"name": "numcodecs.shuffle", "configuration": {"elementsize": 1}}], 3),
    "lz4": ([BYTES, {"name": "numcodecs.lz4", "configuration": {"acceleration": 1}}], 2),
    "zlib": ([BYTES, {"name": "numcodecs.zlib", "configuration": {"level": 5}}], 2),
    "delta": ([{"name": "numcodecs.delta", "configuration": {"dtype": "<i4"}}, BYTES, ZSTD], 3),
    "host first": ([{"name": "numcodecs.delta", "configuration": MIXED}, BYTES, ZSTD], 0),
    "shard inside": (
        [
            {"name": "sharding_indexed", "configuration": {
                "chunk_shape": [10, 15], "codecs": [BYTES, ZSTD], "index_codecs": [BYTES, {"name": "crc32c"}]}},
            ZSTD,
        ],
        0,
    ),
}  # fmt: skip


def chain_of(name, batch):
    return Chain.build(parse(CHAINS[name][0]), ChunkSpec(batch.shape[1:], batch.dtype, batch.dtype.type(0)))


def batch_of(count=9):
    return np.cumsum(RNG.integers(-3, 4, (count, 40, 30)), axis=2).astype(np.int32)


@pytest.mark.parametrize("name", CHAINS)
def test_chains(device, name):
    batch = batch_of()
    batch = batch.astype(np.float32) if name == "host first" else batch
    chain = chain_of(name, batch)
    assert chain.host_steps_to_encode[0] == CHAINS[name][1]
    on_host = chain.encode(batch, CPU)
    wanted = chain.decode(on_host, CPU)
    for place in (batch, device.upload(batch)) if device.gpu else (batch,):
        made = chain.encode(place, device)
        assert type(made.data) is np.ndarray and len(made) == len(batch)
        assert np.array_equal(chain.decode(made, CPU), wanted)
    if name != "host first":
        assert np.array_equal(wanted, batch)
    if name != "shard inside":
        assert len(chain.encode(batch[:0], device)) == 0


def by_zarr_python(path):
    zarr = pytest.importorskip("zarr", minversion="3")
    return zarr.open_array(path, mode="r")[...]


def by_zarrs(path):
    zarr = pytest.importorskip("zarr", minversion="3")
    pytest.importorskip("zarrs")
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "codec_pipeline.strict": True}):
        return zarr.open_array(path, mode="r")[...]


def by_tensorstore(path):
    ts = pytest.importorskip("tensorstore")
    store = {"driver": "file", "path": f"{path}/"}
    return ts.open({"driver": "zarr3", "kvstore": store}, read=True).result().read().result()


REGISTERED = {"bytes", "blosc", "gzip", "zstd", "crc32c", "transpose"}  # what tensorstore has, besides shards


@pytest.mark.parametrize("reader", [by_zarr_python, by_zarrs, by_tensorstore])
@pytest.mark.parametrize("name", CHAINS)
def test_others_read_it(gpu, name, reader, tmp_path):
    names = {codec if isinstance(codec, str) else codec["name"] for codec in CHAINS[name][0]}
    if reader is not by_zarr_python and not names <= REGISTERED:
        pytest.skip("zarr-python has all of the codecs")
    batch = batch_of(6)
    batch = batch.astype(np.float32) if name == "host first" else batch
    chain = chain_of(name, batch)
    made = chain.encode(gpu.upload(batch), gpu)
    document = {
        "zarr_format": 3, "node_type": "array", "shape": [240, 30], "data_type": batch.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [40, 30]}},
        "chunk_key_encoding": {"name": "default"}, "fill_value": 0,
        "codecs": [{"name": c} if isinstance(c, str) else c for c in CHAINS[name][0]],
    }  # fmt: skip
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    for i in range(6):
        folder = tmp_path / "c" / str(i)
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(made[i].tobytes())
    wanted = host_array(chain.decode(made, CPU)).reshape(240, 30)
    assert np.array_equal(reader(tmp_path), wanted)


@pytest.mark.parametrize("name", ["lz4", "zlib", "gzip", "transpose", "shuffled"])
def test_chunks_that_are_too_large_for_nvcomp(gpu, name, thresholds):
    batch = batch_of()
    thresholds("gpuzarr.gpu", MAX_INPUT_BYTES=1000)
    chain = chain_of(name, batch)
    crossing, why = chain.host_steps_to_encode
    assert crossing < CHAINS[name][1] and why is not None and "at most 1000 bytes" in why
    assert np.array_equal(chain.decode(chain.encode(gpu.upload(batch), gpu), CPU), batch)


def test_every_codec_says_where_it_encodes_as_the_chain_asks():
    for name, codec in ((name, codec) for (_, name), codec in registry().items() if isinstance(codec, type)):
        if codec is NvcompBatch:  # a name of others
            continue
        assert callable(getattr(codec, "why_host_to_encode", codec.why_host)), name


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "f2", "f4", "f8", "c8", "c16"])
def test_only_fill(gpu, dtype):
    for shape in ((1,), (3, 5), (700, 31)):
        fill = np.dtype(dtype).type(1)
        batch = np.full((7, *shape), fill, dtype)
        batch[2].reshape(-1)[-1] = batch[4].reshape(-1)[0] = 0
        found = is_empty_on_gpu(gpu.upload(batch), fill, gpu)()
        assert found.tolist() == [True, True, False, True, False, True, True]


def test_only_fill_is_of_bits(gpu):
    batch = gpu.upload(np.array([[0.0, 0.0], [-0.0, 0.0], [np.nan, np.nan]]))
    assert is_empty_on_gpu(batch, 0.0, gpu)().tolist() == [True, False, False]
    assert is_empty_on_gpu(batch, np.nan, gpu)().tolist() == [False, False, True]
    assert is_empty_on_gpu(batch[:0], 0.0, gpu)().tolist() == []


@pytest.mark.parametrize("below", [["bytes"], ["bytes", "zstd"], ["packbits"]], ids="-".join)
def test_what_only_the_gpu_refuses_is_not_written(device, below):
    """The error is the CPU's, and the store stays as it was."""
    scaled = {"name": "scale_offset", "configuration": {"scale": 2}}
    store = {}
    a = gpuzarr.create_array(
        store, shape=40, chunks=10, dtype="i1", fill_value=0, codecs=[scaled, *below], device=device
    )
    values = np.arange(40, dtype="i1")
    a[...] = device.upload(values) if device.gpu else values
    before = dict(store)
    values[23] = 64  # twice of which no int8 holds
    with pytest.raises(gpuzarr.ChunkError, match="out of the range of int8") as caught:
        a[20:30] = device.upload(values[20:30]) if device.gpu else values[20:30]
    assert (caught.value.chunk, caught.value.codec) == ((2,), "scale_offset")
    assert store == before
