"""Hostile chunks: right ones that were changed, cut, or made longer, and random bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WORDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 1 << 16, 1 << 24, 2**31 - 1, 2**31, 2**32 - 1)
MOST_CHANGES = 3
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
    for _ in range(int(rng.integers(1, MOST_CHANGES + 1))):
        if chunk:
            CHANGES[rng.integers(len(CHANGES))](chunk, rng)
    return bytes(chunk)


def truncated(good: bytes, rng: np.random.Generator) -> bytes:
    return good[: int(rng.integers(len(good) + 1))]


def random(good: bytes, rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(2 * len(good) + 2)))


def hostile(good: bytes, rng: np.random.Generator) -> bytes:
    """One of many chunks that an enemy makes of a right one: most are changed, as others are soon refused."""
    return (changed, changed, changed, truncated, random)[rng.integers(5)](good, rng)
