"""The kernels that encode: as test_kernels.py, against the host's answer, in three orders of threads."""

import numpy as np
import pytest

from gpuzarr.batch import BytesSpec, measured
from gpuzarr.codecs import find
from gpuzarr.devices.cpu import CPU
from gpuzarr.gpu.checksums import BIG, LITTLE
from gpuzarr.gpu.compact import Ends, compacted, places
from gpuzarr.gpu.empty import is_empty_on_gpu
from gpuzarr.gpu.shuffle import bitshuffle
from tests.chunks import encoded_batch, whole
from tests.gpu.crowded import addresses, bitunshuffled, blocks, crowded, expect, random, unwritten


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 16, 31, 129, 255])
def test_bitshuffle(threads, width):
    rng = np.random.default_rng(width)
    sizes = [width * n for n in (8, 16, 32, 40, 248, 1024)] + [width * 96 + width - 1]
    planes = random(rng, sizes)
    elements = [bitunshuffled(c, width) for c in planes]
    source, target = crowded(threads, elements), unwritten(threads, sizes)
    count = len(sizes)
    bitshuffle(threads, blocks(threads, source, target, width, np.arange(count), np.zeros(count, bool)))
    expect(threads, target, planes)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1000])
def test_place(threads, count):
    sizes = np.random.default_rng(count).integers(0, 5000, count).astype(np.uint64)
    found, totals = map(threads.download, places(threads, threads.upload(sizes), 6))
    room = np.where(sizes > 0, (sizes + 6 + 15) // 16 * 16, 0)
    assert found.tolist() == (np.cumsum(room) - room).tolist()
    assert totals.tolist() == np.where(sizes > 0, sizes + 6, 0).tolist()


@pytest.mark.parametrize("ends", ["none", "four before", "two before, four behind"])
def test_compacted(threads, ends):
    rng = np.random.default_rng(3)
    sizes = [1, 15, 16, 17, 4096, 1, 70_000, 33] * 40
    streams = random(rng, sizes)
    source, words = crowded(threads, streams), rng.integers(0, 2**32, len(sizes), dtype=np.uint32)
    made = {
        "none": Ends(),
        "four before": Ends(threads.upload(words), 4),
        "two before, four behind": Ends(threads.upload(words), 2, threads.upload(words), 4, BIG),
    }[ends]
    head, tail = made.head_bytes, made.tail_bytes
    actual = threads.upload(np.array(sizes, np.uint64))
    encoded = measured(compacted(threads, threads.upload(addresses(threads, source)), actual, 70_000, made), threads)
    data = threads.download(encoded.data)
    for i, stream in enumerate(streams):
        got = data[encoded.starts[i] : encoded.starts[i] + encoded.sizes[i]].tobytes()
        little, big = words[i : i + 1].astype("<u4").tobytes(), words[i : i + 1].astype(">u4").tobytes()
        assert got == little[:head] + stream.tobytes() + big[:tail]
    assert (encoded.starts[1:] - encoded.starts[:-1] - encoded.sizes[:-1] < 16).all()


def test_a_failed_stream_is_seen(threads):
    source = crowded(threads, random(np.random.default_rng(0), [50, 60]))
    sizes = threads.upload(np.array([50, 0], np.uint64))
    for ends in (Ends(), Ends(sizes.view(np.uint32), 4)):
        assert (
            measured(compacted(threads, threads.upload(addresses(threads, source)), sizes, 60, ends), threads) is None
        )


def test_nothing_is_written_beyond_the_target(threads):
    """Sizes that cannot be (nvCOMP promises nothing) are left where they are."""
    source = crowded(threads, random(np.random.default_rng(0), [64, 64]))
    sizes = threads.upload(np.array([40, 2**63], np.uint64))
    starts, target = threads.upload(np.array([0, 48], np.uint64)), threads.upload(np.full(96, 0xEE, np.uint8))
    where = threads.upload(addresses(threads, source))
    arguments = (where, sizes, starts, np.uint64(0), target, np.uint64(96), np.uint32(2))
    threads.kernel("compact.cu", "compact")((2, 1), (256,), arguments)
    Ends(sizes.view(np.uint32), 4, sizes.view(np.uint32), 4, LITTLE).write(threads, sizes, starts, target[:40], 2)
    assert (threads.download(target)[40:] == 0xEE).all()


@pytest.mark.parametrize("cname, shuffle, width", [("lz4", 1, 4), ("lz4", 2, 4), ("zstd", 1, 8), ("zstd", 2, 3)])
def test_blosc(threads, cname, shuffle, width):
    """300 streams a chunk, some raw, and chunks that are copied."""
    rng = np.random.default_rng(width)
    chunks = [rng.integers(0, most, 12_000, dtype=np.uint8) for most in (2, 256, 1, 1, 256)]
    chunks[2][:2000] = rng.integers(0, 256, 2000)
    codec = find("blosc", {"cname": cname, "shuffle": shuffle, "typesize": width, "clevel": 5, "blocksize": 128}, 3)
    made = measured(codec.encode(crowded(threads, chunks), BytesSpec(12_000), threads), threads)
    data = threads.download(made.data)
    frames = [data[s : s + n].tobytes() for s, n in zip(made.starts, made.sizes, strict=True)]
    back = codec.decode(encoded_batch(*frames), BytesSpec(12_000), CPU)
    assert whole(back) == [c.tobytes() for c in chunks]
    assert [frame[2] & 2 for frame in frames] == [0, 2, 0, 0, 2]


@pytest.mark.parametrize("at_end", [False, True])
def test_append_crc32c(threads, at_end):
    chunks = random(np.random.default_rng(2), [0, 1, 4, 1025, 70_001])
    codec = find("crc32c", {"location": "end" if at_end else "start"}, 2)
    made = codec.encode(crowded(threads, chunks), BytesSpec(None), threads)
    data = threads.download(made.data)
    found = encoded_batch(*(data[s : s + n].tobytes() for s, n in zip(made.starts, made.sizes, strict=True)))
    assert whole(codec.decode(found, BytesSpec(None), CPU)) == [c.tobytes() for c in chunks]


@pytest.mark.parametrize("at_end", [False, True])
def test_append_crc32c_where_the_host_knows_no_sizes(threads, at_end):
    chunks = random(np.random.default_rng(2), [1, 4, 1025, 70_001] * 70)
    sizes = threads.upload(np.array([len(chunk) for chunk in chunks], np.uint64))
    source = crowded(threads, chunks)
    packed = compacted(threads, threads.upload(addresses(threads, source)), sizes, 70_001, Ends())
    codec = find("crc32c", {"location": "end" if at_end else "start"}, 2)
    made = measured(codec.encode(packed, BytesSpec(None), threads), threads)
    data = threads.download(made.data)
    found = encoded_batch(*(data[s : s + n].tobytes() for s, n in zip(made.starts, made.sizes, strict=True)))
    assert whole(codec.decode(found, BytesSpec(None), CPU)) == [c.tobytes() for c in chunks]


def test_only_fill(threads):
    batch = np.zeros((5, 99, 99), np.uint16)
    batch[1, 0, 0] = batch[2, 98, 98] = batch[3, 50, 50] = 1
    assert is_empty_on_gpu(threads.upload(batch), 0, threads)().tolist() == [True, False, False, False, True]
