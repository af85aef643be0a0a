"""The limit of a CPU read: a bare loop of the codec library on all cores, over chunks in memory, plus one copy."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
