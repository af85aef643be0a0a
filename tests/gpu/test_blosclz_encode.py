"""The kernel that encodes blosclz: c-blosc decodes what it makes, which is about as small as c-blosc's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.gpu import blosclz
from gpuzarr.gpu.compact import in_slots
from tests.blosclz import compressed, decompressed
from tests.chunks import KINDS, plain
from tests.conftest import examples
from tests.gpu.crowded import addresses, crowded
from tests.hardware import emulated

SIZES = (1, 2, 12, 13, 14, 15, 33, 66, 100, 1000, 5003)
RNG = np.random.default_rng(8)


def encode(device, streams) -> list[bytes]:
    """What becomes of each stream, from any alignment; nothing where it is to be stored raw."""
    source = crowded(device, [np.frombuffer(s, np.uint8) for s in streams])
    each = max(map(len, streams))
    slots, where = in_slots(len(streams), each, device)
    sizes = device.download(blosclz.encode(device, addresses(device, source), source.sizes, where))
    device.checked()  # looks at the guards of the emulator
    made = device.download(slots)
    return [made[i * each : i * each + int(size)].tobytes() for i, size in enumerate(sizes)]


def text(nbytes) -> bytes:
    words = [b"%d times, " % (i % 7) + b"the number %d; " % (i * i % 1001) for i in range(nbytes // 20 + 1)]
    return b"".join(words)[:nbytes]


def planes(values) -> list[bytes]:
    """The bytes of each place in the elements, as a shuffle puts them together."""
    return [bytes(plane.tobytes()) for plane in values.view(np.uint8).reshape(len(values), -1).T]


def far(nbytes) -> bytes:
    """Repeats from 8192 to 65536 bytes before, and beyond."""
    noise = RNG.bytes(70_000)
    return b"".join(noise[at : at + 500] for at in range(0, 70_000, 500) for _ in range(2)) + noise[: nbytes // 2]


@pytest.mark.parametrize("nbytes", SIZES)
def test_c_blosc_reads_it(threads, nbytes):
    data = [plain(nbytes, kind) for kind in KINDS] + [bytes(nbytes), text(nbytes), b"ab" * (nbytes // 2) + b"a"]
    for stream, made in zip(data, encode(threads, data), strict=True):
        assert len(made) < len(stream)
        assert not made or decompressed(made, len(stream)) == stream
        assert made or nbytes < 100 or stream in data[:3]


def test_repeats_from_far_away(gpu):
    data = [far(20_000), far(131_072)]
    for stream, made in zip(data, encode(gpu, data), strict=True):
        assert 0 < len(made) < 0.7 * len(stream)
        assert decompressed(made, len(stream)) == stream


def test_any_order_of_threads_makes_the_same_bytes():
    data = [text(3000), plain(3000, "smooth"), bytes(3000)]
    assert encode(emulated(0), data) == encode(emulated(-1), data) == encode(emulated(7), data)


FIELDS = {
    "text": [text(9000)],
    "smooth floats": planes(np.sin(np.linspace(0, 20, 9000)).astype("f4")),
    "a walk": planes(np.cumsum(RNG.integers(-9, 10, 9000)).astype("u2")),
    "small numbers": planes(RNG.integers(0, 1000, 9000).astype("i4")),
    "categories": [RNG.choice(5, 9000, p=[0.6, 0.2, 0.1, 0.05, 0.05]).astype("u1").tobytes()],
    "a mask": [(np.cumsum(RNG.integers(-1, 2, 20_000)) % 97 < 30).astype("u1").tobytes()],
    "rounded doubles": planes(np.round(np.cumsum(RNG.normal(size=9000)), 2)),
}


@pytest.mark.parametrize("name", FIELDS)
def test_it_is_about_as_small_as_c_blosc_makes_it(gpu, name):
    ours = theirs = 0
    for stream, made in zip(FIELDS[name], encode(gpu, FIELDS[name]), strict=True):
        ours += len(made) or len(stream)
        theirs += min(len(compressed(stream, 5) or stream), len(stream))
        assert not made or decompressed(made, len(stream)) == stream
    assert ours < 1.1 * theirs


PIECES = st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 60)), min_size=1, max_size=12)


@settings(max_examples=examples(60))
@given(st.lists(PIECES, min_size=1, max_size=4))
def test_streams_of_any_repeats(streams):
    data = [b"".join(piece * times for piece, times in pieces) for pieces in streams]
    for stream, made in zip(data, encode(emulated(), data), strict=True):
        assert len(made) < len(stream)
        assert not made or decompressed(made, len(stream)) == stream
