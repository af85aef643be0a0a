"""The kernel that decodes blosclz, against c-blosc: streams of every kind of token, and damaged ones."""

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.batch import EncodedBatch
from gpuzarr.codecs.blosc import Blosc
from gpuzarr.errors import CodecError
from gpuzarr.gpu import blosclz
from tests.blosclz import DISTANCES, LENGTHS, compressed, damaged, decompressed, literals, match, stream_of
from tests.chunks import CPU, KINDS, encode_bytes, plain
from tests.chunks import decode as decode_chunks
from tests.conftest import examples
from tests.gpu.crowded import addresses, crowded, expect, unwritten
from tests.hardware import complete, emulated

HOSTILE = 2400  # streams
AT_ONCE = 60


def decode(device, streams, sizes) -> EncodedBatch:
    """Decode at every alignment, with a few bytes between the targets."""
    source = crowded(device, [np.frombuffer(s, np.uint8) for s in streams])
    target = unwritten(device, sizes)
    places = addresses(device, source), source.sizes, addresses(device, target), target.sizes
    blosclz.decode(device, *places, np.arange(len(streams)))
    return target


def check(device, streams, sizes):
    """All streams decode to what c-blosc makes of them."""
    want = [decompressed(stream, nbytes) for stream, nbytes in zip(streams, sizes, strict=True)]
    assert None not in want
    target = decode(device, streams, sizes)
    complete(device)
    expect(device, target, [np.frombuffer(w, np.uint8) for w in want])


@pytest.mark.parametrize("nbytes", [70, 1000, 5003, 70_001])
def test_what_c_blosc_compresses(threads, nbytes):
    data = [plain(nbytes, kind) for kind in KINDS] + [bytes(nbytes), b"%d, and so on; " * (nbytes // 15 + 1)]
    made = [compressed(d[:nbytes], level) for d in data for level in (1, 5, 9)]
    streams = [stream for stream in made if stream is not None]
    assert streams
    check(threads, streams, [nbytes] * len(streams))


def test_every_length_from_every_distance(threads):
    """Behind so many literals that the targets of matches begin everywhere."""
    rng = np.random.default_rng(0)
    streams, sizes = [], []
    for i, distance in enumerate(DISTANCES):
        before = distance + i % 16
        whole = [literals(rng.bytes(before))] + [match(n, distance) + literals(b"?" * (n % 5 + 1)) for n in LENGTHS]
        streams.append(b"".join(whole))
        sizes.append(before + sum(n + n % 5 + 1 for n in LENGTHS))
    check(threads, streams, sizes)


def test_streams_of_any_tokens(threads):
    rng = np.random.default_rng(1)
    made = [stream_of(rng, int(rng.integers(1, 3000))) for _ in range(AT_ONCE)]
    check(threads, [stream for stream, _ in made], [nbytes for _, nbytes in made])


def test_only_the_lower_bits_of_the_first_byte_count(gpu):
    check(gpu, [bytes([0xE0 | 1]) + b"ab", bytes([31]) + b"x" * 32], [2, 32])


def test_nothing_is_launched_for_no_streams(gpu):
    none = np.zeros(0, np.int64)
    blosclz.decode(gpu, none.astype(np.uint64), none, none.astype(np.uint64), none, none)
    assert gpu.checked() is None or gpu.name != "emulated"


@pytest.mark.damaging
def test_damaged_streams_are_refused_where_c_blosc_refuses_them(gpu):
    """What c-blosc takes is decoded to the same bytes; of a batch with others, the first of them is told."""
    rng = np.random.default_rng(2)
    taken, refused = [], []
    for i in range(examples(HOSTILE)):
        stream, nbytes = stream_of(rng, int(rng.choice([1, 40, 300, 2000])))
        stream = damaged(stream, rng) if i % 8 else rng.bytes(int(rng.integers(1, 200)))
        want = decompressed(stream, nbytes)
        (taken if want is not None else refused).append((stream, nbytes))
    assert len(taken) > len(refused) // 10
    for first in range(0, len(taken), AT_ONCE):
        some = taken[first : first + AT_ONCE]
        check(gpu, [stream for stream, _ in some], [nbytes for _, nbytes in some])
    good = (literals(b"good"), 4)
    for i, bad in enumerate(refused):
        some = [*[good] * (i % 3), bad, good, refused[i - 1]]
        target = decode(gpu, [stream for stream, _ in some], [nbytes for _, nbytes in some])
        with pytest.raises(CodecError, match="blosclz") as caught:
            complete(gpu)
        assert caught.value.index == i % 3
        outside = np.ones(len(target.data), bool)
        for start, nbytes in zip(target.starts, target.sizes, strict=True):
            outside[start : start + nbytes] = False
        assert (gpu.download(target.data)[outside] == 0xEE).all()
        place = target.starts[i % 3 + 1]
        assert gpu.download(target.data)[place : place + 4].tobytes() == b"good"


FIELDS = {
    "text": lambda rng, n: b" ".join(b"%d times" % i for i in rng.integers(0, 50, n // 8 + 1)),
    "noise": lambda rng, n: rng.bytes(n),
    "runs": lambda rng, n: np.repeat(rng.integers(0, 256, n // 90 + 1).astype("u1"), 90).tobytes(),
    "floats": lambda rng, n: np.sin(np.arange(n // 4 + 1) / rng.integers(1, 900)).astype("f4").tobytes(),
    "counters": lambda rng, n: np.arange(n // 8 + 1, dtype="i8").tobytes(),
}


@given(
    nbytes=st.one_of(st.integers(0, 300), st.integers(0, 20_000), st.sampled_from([32_768, 65_537, 150_001])),
    width=st.integers(1, 20), kinds=st.lists(st.sampled_from([*FIELDS]), min_size=1, max_size=4),
    shuffle=st.sampled_from([0, 1, 2]), level=st.integers(0, 9), blocksize=st.sampled_from([0, 0, 130, 1000, 4096]),
    seed=st.integers(0, 999),
)  # fmt: skip
@settings(max_examples=examples(150))
def test_chunks_of_any_shape(nbytes, width, kinds, shuffle, level, blocksize, seed):
    """What numcodecs makes of them is decoded to them, by every device."""
    rng, nbytes = np.random.default_rng(seed), nbytes // width * width
    data = [FIELDS[kind](rng, nbytes)[:nbytes] for kind in kinds]
    sources = [np.frombuffer(each, f"V{width}") for each in data]
    chunks = [bytes(numcodecs.blosc.compress(each, b"blosclz", level, shuffle, blocksize)) for each in sources]
    for device in (CPU, emulated()):
        assert decode_chunks(device, Blosc(), chunks, nbytes) == data


@pytest.mark.damaging
def test_damaged_chunks_are_refused_where_the_cpu_refuses_them(gpu):
    """Chunks of blosclz of every shape, changed in their headers, offsets, sizes and streams."""
    rng, taken = np.random.default_rng(3), 0
    for i in range(examples(300)):
        width = int(rng.choice([1, 2, 3, 4, 8, 12, 16, 17]))
        data = plain(width * int(rng.integers(40, 900)), KINDS[i % 3])
        codec = Blosc("blosclz", int(rng.integers(1, 10)), i // 3 % 3, int(rng.choice([0, 0, 300, 2048])), width)
        chunk = damaged(encode_bytes(codec, data)[0], rng)
        outcomes = []
        for device in (CPU, gpu):
            try:
                outcomes.append(decode_chunks(device, codec, [chunk], len(data)))
            except CodecError as error:
                outcomes.append(error.index)
        assert outcomes[0] == outcomes[1], chunk
        taken += outcomes[0] != 0
    assert taken > 20
