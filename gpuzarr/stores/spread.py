"""Spread the reads of one call over threads, for stores that wait for the operating system or a network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gpuzarr.per_process import PerProcess

MIN_ITEMS_PER_THREAD = 4
MAX_THREADS = 64  # for all calls together
_POOL = PerProcess(lambda: ThreadPoolExecutor(MAX_THREADS, "gpuzarr read"))


def spread(work: Callable[[range], None], n: int, threads: int) -> None:
    """Call work(part) for parts of range(n), at most `threads` at once. The first error is raised when all are done."""
    threads = min(threads, n // MIN_ITEMS_PER_THREAD)
    if threads < 2:
        work(range(n))
        return
    each = -(-n // threads)
    futures = [_POOL.value.submit(work, range(i, min(i + each, n))) for i in range(0, n, each)]
    try:
        for error in [future.exception() for future in futures]:
            if error is not None:
                raise error
    finally:
        for future in futures:
            future.exception()
