"""blosclz streams for tests: c-blosc's own functions for one stream, streams made of chosen tokens, and damage."""

from __future__ import annotations

import ctypes
import struct
from functools import cache
from typing import Any

import numcodecs.blosc
import numpy as np
import pytest

LENGTHS = (3, 4, 8, 9, 10, 31, 32, 33, 100, 263, 264, 265, 519, 1000, 1023, 1024, 1025, 1500, 9000, 20_000)
DISTANCES = (
    *(1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 127),
    *(255, 300, 511, 512, 513, 1000, 8191, 8192, 8193, 9000),
)
_CONTROLS = (0xFF, 0xE0, 0xDF, 0x3F, 31, 0, 0x20)
_FAR = 8192


@cache
def library() -> Any:
    """c-blosc, whose functions numcodecs' module exports."""
    found = ctypes.CDLL(numcodecs.blosc.__file__)
    if not hasattr(found, "blosclz_decompress"):
        pytest.skip("numcodecs does not export c-blosc's functions")
    return found


def decompressed(stream: bytes, nbytes: int) -> bytes | None:
    """What c-blosc makes of a stream that should become `nbytes` bytes; None where it refuses it."""
    target = ctypes.create_string_buffer(nbytes + 64)
    found = library().blosclz_decompress(stream, ctypes.c_int(len(stream)), target, ctypes.c_int(nbytes))
    return target.raw[:nbytes] if found == nbytes else None


def compressed(data: bytes, level: int) -> bytes | None:
    """By c-blosc; None where it does not make it smaller."""
    target = ctypes.create_string_buffer(len(data) + 1024)
    room = ctypes.c_int(len(data) + 66)
    size = library().blosclz_compress(
        *(ctypes.c_int(level), data, ctypes.c_int(len(data)), target, room, ctypes.c_int(1))
    )
    return target.raw[:size] if size > 0 else None


def literals(data: bytes) -> bytes:
    return b"".join(bytes([len(data[i : i + 32]) - 1]) + data[i : i + 32] for i in range(0, len(data), 32))


def match(length: int, distance: int) -> bytes:
    """A match of at least 3 bytes; a far one where the distance is 8192 or more."""
    far = struct.pack(">H", distance - _FAR) if distance >= _FAR else b""
    high, low = (31, 255) if far else divmod(distance - 1, 256)
    over = length - 9
    more = b"" if over < 0 else b"\xff" * (over // 255) + bytes([over % 255])
    return bytes([min(length - 2, 7) << 5 | high]) + more + bytes([low]) + far


def stream_of(rng: np.random.Generator, nbytes: int) -> tuple[bytes, int]:
    """A stream of tokens of every kind, and the bytes that it makes, `nbytes` or a few more."""
    made, done = bytearray(), 0
    while done < nbytes or not made:
        if not made or rng.random() < 0.4:
            some = int(rng.integers(1, 33))
            made += literals(rng.bytes(some))
        else:
            some, distance = int(rng.choice(LENGTHS)), int(rng.choice(DISTANCES))
            made += match(some, min(distance, done))
        done += some
    return bytes(made + literals(b"!")), done + 1


def damaged(stream: bytes, rng: np.random.Generator) -> bytes:
    """A stream with flipped bits, or cut, with repeats, noise, other control bytes, lengths without end."""
    made = bytearray(stream)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        at, some = int(rng.integers(len(made))), int(rng.integers(1, 40))
        kind = max(0, int(rng.integers(-8, 7)))
        if kind == 0:
            made[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del made[max(at, 1) :]
        elif kind == 2:
            made[at : at + some // 4 + 1] = b"\0"
        elif kind == 3:
            made[at:at] = made[at : at + some] * 3
        elif kind == 4:
            made[at:] = rng.bytes(some)
        elif kind == 5:
            made[at] = int(rng.choice(_CONTROLS))
        else:
            made[at : at + 3] = b"\xff" * some
    return bytes(made)
