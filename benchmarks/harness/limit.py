"""The limits of a CPU: bare loops of the codec library on all cores, over chunks in memory; of a read plus one copy."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np


def bare_loop(chunks: list[bytes], decode: Callable[[bytes], Any], each: int) -> Callable[[], np.ndarray]:
    """A function that decodes all chunks, of `each` bytes, into fresh memory."""
    threads = len(os.sched_getaffinity(0))
    pool = ThreadPoolExecutor(threads)
    step = max(1, len(chunks) // (8 * threads))

    def work(out: np.ndarray, first: int) -> None:
        for i in range(first, min(first + step, len(chunks))):
            data = chunks[i] if decode is bytes else decode(chunks[i])
            out[i * each : (i + 1) * each] = np.frombuffer(data, np.uint8)

    def run() -> np.ndarray:
        out = np.empty(each * len(chunks), np.uint8)
        list(pool.map(lambda first: work(out, first), range(0, len(chunks), step)))
        return out

    return run


def bare_encoding(
    values: np.ndarray, shape: tuple[int, ...], encode: Callable[[np.ndarray], Any]
) -> Callable[[], None]:
    """A function that encodes all chunks of this shape, those at the edges as long as the values are."""
    starts = product(*(range(0, n, size) for n, size in zip(values.shape, shape, strict=True)))
    places = [tuple(slice(a, a + size) for a, size in zip(at, shape, strict=True)) for at in starts]
    chunks = [np.ascontiguousarray(values[place]) for place in places]
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))

    def run() -> None:
        for _ in pool.map(encode, chunks):
            pass

    return run
