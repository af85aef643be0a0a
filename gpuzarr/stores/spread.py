"""Spread the reads of one call over threads, for stores that wait for the operating system or a network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gpuzarr.interrupts import ensured
from gpuzarr.per_process import PerProcess
from gpuzarr.tasks import Task, end_all, submit

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
    tasks: list[Task] = []

    def run() -> None:
        for i in range(0, n, each):
            submit(_POOL.value, tasks, work, range(i, min(i + each, n)))
        for task in tasks:
            task.wait()
        for task in tasks:
            task.result()

    ensured(run, lambda: end_all(tasks))
