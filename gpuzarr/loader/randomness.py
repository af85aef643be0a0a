"""Random numbers that are a pure function of a seed and of what they are for, at any place of their sequence.

They are made of the raw words of Philox4x64 alone: NumPy keeps the stream of a bit generator for all time, but methods
of `numpy.random.Generator` (permutation, shuffle, integers) may change with a version (NEP 19), and then a saved state
would mean another order. Philox is counter-based (Salmon and others, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011), so that no word depends on those before it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

SEED_MAX = 2**64 - 1
WORDS_PER_COUNT = 4  # of Philox4x64
INDEX_BITS = 32  # of a sort key, its lower ones; the others are random


class Purpose(IntEnum):
    """The first number of each counter, so that no two purposes share random numbers. Never renumber them."""

    BLOCKS = 0  # the order of blocks in an epoch
    SAMPLES = 1  # the order of samples within a window of blocks
    ORIGINS = 2  # of random samples
    DRAWS = 3  # which samples are taken by weight


class _Key(ISeedSequence):
    """A seed that is the key of a bit generator as it is. (With `key=` it asks the system for random bits, for nothing,
    which takes longer than all the rest.)"""

    def __init__(self, seed: int) -> None:
        self._key = np.array([seed, 0], np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return self._key


def raw(seed: int, *counter: int, n: int, start: int = 0) -> np.ndarray:
    """Words `start` to `start + n` of a stream, uint64 (n,).

    `seed`: from 0 to SEED_MAX. `counter`: up to three numbers below 2**64, a purpose first: streams of other counters
    share no words.
    """
    skipped = start % WORDS_PER_COUNT
    words = [start // WORDS_PER_COUNT, *counter, *[0] * (3 - len(counter))]
    key: Any = _Key(seed)
    philox = np.random.Philox(key, counter=np.array(words, np.uint64))
    drawn: np.ndarray = philox.random_raw(skipped + n)
    return drawn[skipped:]


def shuffled(words: np.ndarray) -> np.ndarray:
    """The permutation of range(len(words)) that sorts random words by their upper half, int64 (n,).

    The lower half of a word is replaced by its number, so that all are different, and any way to sort, at the speed of
    `numpy.sort`, has the same result. At most 2**32 words.
    """
    low = np.uint64((1 << INDEX_BITS) - 1)
    keys = (words & ~low) | np.arange(len(words), dtype=np.uint64)
    keys.sort()
    return (keys & low).astype(np.int64)


def permutation(seed: int, *counter: int, n: int) -> np.ndarray:
    """A random permutation of range(n), int64 (n,)."""
    return shuffled(raw(seed, *counter, n=n))


def integers_below(below: Any, seed: int, *counter: int, n: int, start: int = 0) -> np.ndarray:
    """Random integers from 0 to `below` (without it; an int, or an array of integers (n,) above 0), int64 (n,).

    They are remainders: an integer is at most below/2**64 more likely than another one.
    """
    words = raw(seed, *counter, n=n, start=start)
    return (words % np.asarray(below, np.uint64)).astype(np.int64)


def fractions(seed: int, *counter: int, n: int, start: int = 0) -> np.ndarray:
    """Random numbers from 0 to 1 (without it), multiples of 2**-53, float64 (n,)."""
    return (raw(seed, *counter, n=n, start=start) >> np.uint64(11)) * 2.0**-53
