"""Spread the reads of one call over threads, for stores that wait for the operating system or a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from gpuzarr.per_process import PerProcess
from gpuzarr.threads import ThreadPool, share

T = TypeVar("T")
MIN_ITEMS_PER_THREAD = 4
MAX_THREADS = 256  # for all calls together; they wait, and do little
POOL = PerProcess(partial(ThreadPool, MAX_THREADS, queues=True, name="gpuzarr read"))


def spread(work: Callable[[range], None], n: int, threads: int) -> None:
    """Call work(part) for parts of range(n), at most `threads` at once. The first error is raised when all are done."""
    threads = min(threads, n // MIN_ITEMS_PER_THREAD)
    if threads < 2:
        work(range(n))
        return
    size = -(-n // threads)
    each(work, [range(i, min(i + size, n)) for i in range(0, n, size)], threads)


def each(work: Callable[[T], object], items: Iterable[T], threads: int) -> None:
    """Call work(item) for each item, at most `threads` at once, this one included. After an error no more are begun."""

    def run(left: Iterator[T]) -> None:
        for item in left:
            work(item)

    share(POOL.value, run, items, threads)
