"""Chunks that were changed at random, cut, blown up: soon a value or a CodecError, the same on each device, and no more
memory than is declared.

`make attack` tries at least 2000 of each codec and device, and counts.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from gpuzarr.batch import BytesSpec
from gpuzarr.codecs.lzma import MAX_STREAM_BYTES
from gpuzarr.devices.contract import Device
from tests.attack.rounds import FACTOR, tried
from tests.chunks import CPU
from tests.hostile import memory_below
from tests.laws.agreement import decoded_or_refused, devices_agree
from tests.laws.array_cases import ARRAY_CASES
from tests.laws.arrays import equal, host, on, on_device, run
from tests.laws.cases import CASES
from tests.laws.mutations import hostile
from tests.laws.seeds import seeds

CHUNKS_OF_A_ROUND = 100  # of each codec and device
CONSTANT_BYTES = 24 << 20
MAX_ELEMENTS = 1000  # of a chunk of a codec of arrays


@pytest.mark.damaging
@pytest.mark.parametrize("name", CASES)
def test_hostile_chunks(name: str, device: Device) -> None:
    case, rng = CASES[name], np.random.default_rng(zlib.crc32(name.encode()))
    if device.gpu and (why := case.codec.why_host(case.spec)):
        pytest.skip(f"the CPU decodes it: {why}")
    devices = [CPU, device] if device.gpu else [CPU]
    some = seeds(case)
    for seed in some:
        assert decoded_or_refused(seed.codec, seed.spec, [seed.good], device)[0] == "values"  # libraries are loaded
    with memory_below(CONSTANT_BYTES + (MAX_STREAM_BYTES if name.startswith("lzma") else 0)):
        for number in range(CHUNKS_OF_A_ROUND * FACTOR):
            seed = some[number % len(some)]
            chunk = hostile(seed.good, rng)
            tried(f"chunks on {device.name}")
            if device.gpu and seed.codec.why_host(seed.spec) is not None:
                continue
            devices_agree(seed.codec, seed.spec, [seed.good, chunk, seed.good], devices, case.may_gap)
            if not device.gpu and case.is_of_bytes:
                decoded_or_refused(seed.codec, BytesSpec(None, 1 << 20), [seed.good, chunk], device)
    if device.gpu:
        assert case.equals(case.decoded(device, some[0].good)[0])


@pytest.mark.damaging
@pytest.mark.parametrize("name", ARRAY_CASES)
def test_hostile_elements(name: str, device: Device) -> None:
    """Of codecs of arrays, which decode elements of any bits."""
    case, rng = ARRAY_CASES[name], np.random.default_rng(zlib.crc32(name.encode()))
    shapes = [shape for shape in case.shapes if np.prod(shape) < MAX_ELEMENTS]
    if device.gpu and on_device(case, "decode", case.spec(shapes[0]), device) is CPU:
        pytest.skip("the CPU decodes it")
    stored = [host(case.codec.encode(case.batch(shape), case.spec(shape), CPU), CPU) for shape in shapes]
    with memory_below(CONSTANT_BYTES):
        for number in range(CHUNKS_OF_A_ROUND * FACTOR):
            good, spec = stored[number % len(shapes)], case.spec(shapes[number % len(shapes)])
            batch = with_hostile(good, rng)
            tried(f"chunks on {device.name}")
            found = [run(case.codec, "decode", on(each, batch), spec, each) for each in {CPU, device}]
            assert equal(found[0], found[-1]), f"{case.codec}: {found!r:.600} of {batch[1].tolist()!r:.600}"
            assert found[0][0] == "values" or found[0][1] in (1, None)


def with_hostile(good: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three chunks, of which the second has elements that an enemy chose."""
    batch, nbytes = good.copy(), good[1].nbytes
    bits = (hostile(good[1].tobytes(), rng) + rng.bytes(nbytes))[:nbytes]
    if good.dtype.kind == "b":
        bits = bytes(byte & 1 for byte in bits)
    batch[1] = np.frombuffer(bits, good.dtype).reshape(good[1].shape)
    return batch
