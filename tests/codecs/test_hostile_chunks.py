"""Chunks that were changed at random, cut, blown up: a value or a CodecError, and no more memory than is declared.

`make attack` tries more of them, and counts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from gpuzarr.batch import BytesSpec
from gpuzarr.codecs.lzma import MAX_STREAM_BYTES
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, UnsupportedError
from tests.attack.rounds import FACTOR, tried
from tests.chunks import batch_on
from tests.hardware import complete
from tests.hostile import memory_below
from tests.laws.cases import CASES

CHANGES_OF_A_ROUND = 40
WORDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 1 << 16, 1 << 24, 2**31 - 1, 2**31, 2**32 - 1)
Change = Callable[[bytearray, np.random.Generator], None]


def flip(chunk: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        chunk[rng.integers(len(chunk))] ^= 1 << int(rng.integers(8))


def cut(chunk: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(chunk)))
    del chunk[at : at + int(rng.integers(1, 40))]


def repeat(chunk: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(chunk)))
    piece = chunk[at : at + int(rng.integers(1, 200))]
    chunk[at:at] = piece * int(rng.integers(1, 50))


def number(chunk: bytearray, rng: np.random.Generator) -> None:
    """Write a number as sizes and offsets are, in either byte order."""
    at, width = int(rng.integers(len(chunk))), int(rng.choice([2, 4, 8]))
    order = "little" if rng.integers(2) else "big"
    chunk[at : at + width] = (int(rng.choice(WORDS)) % 256**width).to_bytes(width, order)


def head(chunk: bytearray, rng: np.random.Generator) -> None:
    """Change one of the first bytes, where headers are."""
    chunk[rng.integers(min(24, len(chunk)))] = int(rng.integers(256))


def noise(chunk: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(chunk)))
    chunk[at:] = rng.bytes(int(rng.integers(1, 300)))


CHANGES: tuple[Change, ...] = (flip, cut, repeat, number, head, noise)


def changed(good: bytes, rng: np.random.Generator) -> bytes:
    chunk = bytearray(good)
    for _ in range(int(rng.integers(1, 4))):
        if chunk:
            CHANGES[rng.integers(len(CHANGES))](chunk, rng)
    return bytes(chunk)


@pytest.mark.damaging
@pytest.mark.parametrize("name", CASES)
def test_changed_chunks(name: str, device: Device) -> None:
    case, rng = CASES[name], np.random.default_rng(len(name))
    if device.gpu and (why := case.codec.why_host(case.spec)):
        pytest.skip(f"the CPU decodes it: {why}")
    good = case.encoded()
    unknown = [] if device.gpu or not case.is_of_bytes else [BytesSpec(None, 1 << 20)]
    case.decoded(device, good)  # libraries are loaded
    with memory_below((24 << 20) + (MAX_STREAM_BYTES if name.startswith("lzma") else 0)):
        for _ in range(CHANGES_OF_A_ROUND * FACTOR):
            chunk = changed(good, rng)
            for spec in (case.spec, *unknown):
                tried("chunks")
                with suppress(CodecError, UnsupportedError):
                    case.codec.decode(batch_on(device, [good, chunk]), spec, device)
                    complete(device)
    if device.gpu:
        assert case.equals(case.decoded(device, good)[0])
