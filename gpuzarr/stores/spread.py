"""Spread the reads of one call over threads, for what waits for the operating system or a network."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

MIN_ITEMS_PER_THREAD = 4
MAX_THREADS = 64  # of all calls together


def spread(work: Callable[[range], None], n: int, threads: int) -> None:
    """Call work(part) for parts of range(n), at most `threads` at once; the first error is raised when all are done."""
    threads = min(threads, n // MIN_ITEMS_PER_THREAD)
    if threads < 2:
        work(range(n))
        return
    each = -(-n // threads)
    futures = [_pool().submit(work, range(i, min(i + each, n))) for i in range(0, n, each)]
    try:
        for error in [future.exception() for future in futures]:
            if error is not None:
                raise error
    finally:
        for future in futures:
            future.exception()


@cache
def _pool() -> ThreadPoolExecutor:
    os.register_at_fork(after_in_child=_pool.cache_clear)
    return ThreadPoolExecutor(MAX_THREADS, "gpuzarr read")
