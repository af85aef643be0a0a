"""Our kernels, one by one: against the host's answer, in three orders of threads, with no byte beside their targets."""

import zlib

import google_crc32c
import numcodecs
import numpy as np
import pytest
from numcodecs.jenkins import jenkins_lookup3

from gpuzarr.batch import EncodedBatch, packed
from gpuzarr.gpu import checksums
from gpuzarr.gpu.shuffle import bitunshuffle, shuffle_chunks, unshuffle
from gpuzarr.gpu.tables import copy, table
from tests.gpu.crowded import addresses, bitunshuffled, blocks, crowded, expect, random, unshuffled, unwritten


def test_copy(threads):
    chunks = random(np.random.default_rng(0), (1, 15, 16, 17, 64, 5000, 70000, 0, 33))
    source, target = crowded(threads, chunks), unwritten(threads, [len(c) for c in chunks])
    copy(threads, addresses(threads, source), addresses(threads, target), source.sizes)
    expect(threads, target, chunks)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 255, 300])
@pytest.mark.parametrize("verb", ["unshuffle", "shuffle"])
def test_shuffle(threads, width, verb):
    sizes = [width * n for n in (1, 2, 15, 16, 17, 63, 1000)] + [width * 40 + width // 2, 0]
    planes = random(np.random.default_rng(width), sizes)
    elements = [unshuffled(c, width) for c in planes]
    given, want = (planes, elements) if verb == "unshuffle" else (elements, planes)
    target = unwritten(threads, sizes)
    shuffle_chunks(crowded(threads, given), width, threads, target, verb)
    expect(threads, target, want)


@pytest.mark.parametrize("width", [2, 4, 8, 16])
@pytest.mark.parametrize("odd", [0, 1, 2, 4])
def test_unshuffle_of_planes_at_round_addresses(threads, width, odd):
    """So long that every thread comes round more than once; and as many bytes beside them as vectors may not be."""
    (planes,) = random(np.random.default_rng(width), [width * 16 * 350])
    data = threads.upload(np.concatenate([np.zeros(odd, np.uint8), planes]))
    source = EncodedBatch(data, np.array([odd]), np.array([len(planes)]))
    assert threads.address(data) % 16 == 0
    made = shuffle_chunks(source, width, threads, None, "unshuffle")
    assert threads.download(made[0]).tobytes() == unshuffled(planes, width).tobytes()


@pytest.mark.parametrize("width", [2, 4, 8, 16])
def test_unshuffle_of_planes_apart(threads, width):
    """Blocks whose planes lie anywhere, beside blocks that lie whole, in one launch."""
    rng = np.random.default_rng(width)
    planes = random(rng, [200] * width * 3)
    whole = random(rng, [width * 111 + 1, width * 64])
    source = crowded(threads, planes + whole)
    want = [np.stack(planes[i * width : (i + 1) * width], axis=1).reshape(-1) for i in range(3)]
    want += [unshuffled(c, width) for c in whole]
    target = unwritten(threads, [len(c) for c in want])
    first = np.array([0, width, 2 * width, 3 * width, 3 * width + 1])
    own = np.array([True, True, True, False, False])
    unshuffle(threads, blocks(threads, source, target, width, first, own))
    expect(threads, target, want)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 16, 31, 129, 255])
def test_bitunshuffle(threads, width):
    rng = np.random.default_rng(width)
    sizes = [width * n for n in (8, 16, 32, 40, 248, 1024)] + [width * 96 + width - 1]
    chunks = random(rng, sizes)
    source, target = crowded(threads, chunks), unwritten(threads, sizes)
    count = len(sizes)
    bitunshuffle(threads, blocks(threads, source, target, width, np.arange(count), np.zeros(count, bool)))
    expect(threads, target, [bitunshuffled(c, width) for c in chunks])


@pytest.mark.parametrize("odd", [0, 1, 4])
@pytest.mark.parametrize("width", [1, 4, 8, 33])
def test_bitunshuffle_at_round_addresses(threads, width, odd):
    """Planes of whole words, and of an odd number of bytes; and as many bytes beside words."""
    chunks = random(np.random.default_rng(width), [width * n for n in (32, 4096, 2080, 2072)])
    starts, sizes, total = packed([len(chunk) for chunk in chunks])
    data = np.zeros(total + odd, np.uint8)
    for start, chunk in zip(starts + odd, chunks, strict=True):
        data[start : start + len(chunk)] = chunk
    source = EncodedBatch(threads.upload(data), starts + odd, sizes)
    target = unwritten(threads, sizes)
    bitunshuffle(threads, blocks(threads, source, target, width, np.arange(4), np.zeros(4, bool)))
    expect(threads, target, [bitunshuffled(chunk, width) for chunk in chunks])


def test_bitunshuffle_of_planes_apart(threads):
    planes = random(np.random.default_rng(5), [136] * 4)
    source, target = crowded(threads, planes), unwritten(threads, [136 * 4])
    bitunshuffle(threads, blocks(threads, source, target, 4, np.array([0]), np.array([True])))
    expect(threads, target, [bitunshuffled(np.concatenate(planes), 4)])


CHECKSUM_SIZES = (0, 1, 3, 4, 5, 1023, 1024, 1025, 65535, 65536, 65537, 200001)


@pytest.mark.parametrize("name", ["CRC32C", "CRC32"])
def test_crc32(threads, name):
    polynomial, reference = getattr(checksums, name), {"CRC32C": google_crc32c.value, "CRC32": zlib.crc32}[name]
    chunks = random(np.random.default_rng(1), CHECKSUM_SIZES)
    encoded = crowded(threads, chunks)
    got = threads.download(checksums.crc32(threads, addresses(threads, encoded), encoded.sizes, polynomial))
    assert got.tolist() == [reference(c.tobytes()) for c in chunks]


def test_adler32(threads):
    chunks = [*random(np.random.default_rng(1), CHECKSUM_SIZES), np.full(150000, 255, np.uint8)]
    encoded = crowded(threads, chunks)
    got = threads.download(checksums.adler32(threads, addresses(threads, encoded), encoded.sizes))
    assert got.tolist() == [zlib.adler32(c.tobytes()) for c in chunks]


def ranges(device, encoded):
    """The table of the chunks that kernels take."""
    return table(device, addresses(device, encoded), encoded.sizes)


def test_fletcher32(threads):
    rng = np.random.default_rng(1)
    sizes = [n for n in CHECKSUM_SIZES if n] + [2, 15, 16, 17, 65534, 131071]
    ones, last = np.full(200001, 255, np.uint8), np.r_[np.zeros(70000, np.uint8), 1].astype(np.uint8)
    chunks = [*random(rng, sizes), ones, ones[:-1], np.zeros(999, np.uint8), last, np.r_[ones[:65535], 0].astype("u1")]
    encoded = crowded(threads, chunks)
    got = threads.download(checksums.fletcher32_of(threads, ranges(threads, encoded), 200001))
    assert got.tolist() == [int.from_bytes(numcodecs.Fletcher32().encode(c)[-4:], "little") for c in chunks]


@pytest.mark.parametrize("prefix", [b"", b"p", b"twelve bytes", b"a prefix of 29 bytes, not 24."])
@pytest.mark.parametrize("initval", [0, 2**32 - 1])
def test_jenkins_lookup3(threads, prefix, initval):
    chunks = random(np.random.default_rng(1), [*range(27), 383, 384, 385, 767, 768, 769, 1153, 5000])
    encoded = crowded(threads, chunks)
    got = threads.download(checksums.jenkins_lookup3_of(threads, ranges(threads, encoded), initval, prefix))
    before = np.frombuffer(prefix, np.uint8)
    assert got.tolist() == [jenkins_lookup3(np.concatenate([before, c]), initval) for c in chunks]


@pytest.mark.parametrize("wrong, first", [((), -1), ((700,), 700), ((999, 3, 500), 3)])
def test_the_first_bad_one_is_found(threads, wrong, first):
    status, actual = np.zeros(1000, np.int32), np.arange(1000, dtype=np.uint64)
    expected = actual.copy()
    for i in wrong:
        status[i], expected[i] = (12, expected[i]) if i % 2 else (0, expected[i] + np.uint64(1))
    bad = threads.upload(np.full(1, 2**32 - 1, np.uint32))
    tables = [threads.upload(a) for a in (status, actual, expected)]
    threads.kernel("check.cu", "bad_status")((4,), (256,), (*tables, np.uint32(1000), bad))
    assert threads.download(bad).view(np.int32)[0] == first


def test_packed_starts_are_aligned():
    starts, _, total = packed([1, 0, 257], 256)
    assert starts.tolist() == [0, 256, 256] and total == 768
