"""The CPU: NumPy and a thread pool, whose threads each have scratch that stays in a core's cache."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import ALIGNMENT, EncodedBatch, address, allocated
from gpuzarr.devices.pipeline import Complete, Launch, Load
from gpuzarr.devices.results import RESULTS
from gpuzarr.devices.trace import Trace
from gpuzarr.per_process import PerProcess
from gpuzarr.stores.spread import POOL
from gpuzarr.threads import ThreadPool, share

DEFAULT_MEMORY_LIMIT_BYTES = 1 << 30  # that a read may hold beyond its result
MAX_SCRATCH_BYTES = 48 << 20  # kept for all threads together
MAX_BATCH_BYTES = 12 << 20  # decoded; larger batches place longer rows, but their scratch leaves the cache
MIN_BATCH_BYTES = 2 << 20


class _Scratch(threading.local):
    """Scratch of one thread: given out piece by piece during a batch, and all of it again to the next."""

    limit = MAX_SCRATCH_BYTES  # that one of these threads keeps
    scope: weakref.ref[_ScratchScope] | None = None  # a scope that an interrupt kept from its end is forgotten
    used = 0
    wanted = 0

    def __init__(self) -> None:
        self.data = np.empty(0, np.uint8)

    @property
    def is_active(self) -> bool:
        """Whether there is a batch."""
        return self.scope is not None and self.scope() is not None

    def begin(self, scope: _ScratchScope, limit: int) -> None:
        """Begin a batch that may keep `limit` bytes, unless one is active."""
        if self.is_active:
            return
        if len(self.data) < self.wanted <= limit:
            size = min(limit, self.wanted + self.wanted // 4)  # the next batch may need a little more
            data = np.empty(size + ALIGNMENT, np.uint8)
            self.data = data[-data.ctypes.data % ALIGNMENT :][:size]
        self.scope, self.used, self.wanted = weakref.ref(scope), 0, 0

    def end(self, scope: _ScratchScope) -> None:
        """End the batch that this scope has begun, if it has."""
        if self.scope is not None and self.scope() is scope:
            self.scope = None

    def empty(self, nbytes: int) -> np.ndarray:
        """`nbytes` of scratch; new memory where there is no batch or not enough is kept."""
        if not self.is_active:
            return np.empty(nbytes, np.uint8)
        start = self.used
        size = -(-nbytes // ALIGNMENT) * ALIGNMENT
        self.wanted += size
        if start + size > len(self.data):
            return np.empty(nbytes, np.uint8)
        self.used = start + size
        return self.data[start : start + nbytes]


class _ScratchScope:
    """Context in which scratch that is taken stays valid. Inside another one it stays valid to the end of the outer."""

    __slots__ = ("__weakref__", "_limit", "_scratch")

    def __init__(self, scratch: _Scratch, limit: int) -> None:
        self._scratch, self._limit = scratch, limit

    def __enter__(self) -> None:
        self._scratch.begin(self, self._limit)

    def __exit__(self, *_: object) -> None:
        self._scratch.end(self)


class Cpu:
    """The device "cpu". `threads`: threads that work at once, the caller's included; default: the cores it may use."""

    name, gpu, xp, readers, prefetch_depth = "cpu", False, np, 1, 0

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or cores()
        self._pool = PerProcess(partial(ThreadPool, self.threads))
        self.batch_bytes = max(MIN_BATCH_BYTES, min(MAX_BATCH_BYTES, MAX_SCRATCH_BYTES // self.threads // 2))
        self._scratch = _Scratch()

    def __reduce__(self) -> tuple[Any, ...]:
        return Cpu, (self.threads,)

    def empty(self, nbytes: int) -> np.ndarray:
        return self._scratch.empty(nbytes)

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        return allocated(sizes, self.empty)

    pinned_buffer = encoded_batch

    @property
    def memory_limit(self) -> int:
        return DEFAULT_MEMORY_LIMIT_BYTES

    def on(self, stream: Any = None) -> AbstractContextManager[None]:
        return nullcontext()

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        found = RESULTS.value.array(shape, dtype)
        return np.empty(shape, dtype) if found is None else found

    def address(self, data: np.ndarray) -> int:
        return address(data)

    def timestamp(self) -> float:
        return time.perf_counter()

    def after(self, timestamp: float = 0, work: str = "writing") -> AbstractContextManager[None]:
        return nullcontext()

    def seconds(self, begin: float, end: float) -> float:
        return end - begin

    def count(self, **numbers: int) -> None:
        """Count nothing: bytes sent and fetched, and streams, exist only on a GPU."""

    def completed(self) -> None:
        """Release nothing: a batch holds only scratch."""

    def release(self) -> None:
        """Drop the threads, the scratch of all, and memory for results. Reads at work keep theirs."""
        self._scratch = _Scratch()
        RESULTS.renew()
        self._pool.renew()

    def run(self, load: Load, launch: Launch, batches: Iterable[Any], trace: Trace | None = None) -> None:
        batches = list(batches)
        if trace is not None:
            trace.count(batches=len(batches))
        threads = self.threads + (trace.write_behind_depth + trace.waiting if trace else 0)
        self.each(partial(self._batch, load, launch), batches, threads, waits=trace is not None and trace.waiting > 0)

    def _batch(self, load: Load, launch: Launch, batch: Any) -> None:
        with self.scratch_scope():
            launch(load(batch))

    def scratch_scope(self) -> _ScratchScope:
        """Context in which scratch that this thread takes stays valid."""
        return _ScratchScope(self._scratch, min(MAX_SCRATCH_BYTES // self.threads, self._scratch.limit))

    def each(
        self, work: Callable[[Any], Any], items: Iterable[Any], threads: int | None = None, waits: bool = False
    ) -> None:
        """Call work(item) for each item, on `threads` threads (default: one per core). The first error is raised."""
        items = list(items)

        def run(left: Iterator[Any]) -> None:
            for item in left:
                work(item)

        self.share(run, items, min(threads or self.threads, len(items)), waits)

    def share(
        self, run: Callable[[Iterator[Any]], None], items: Iterable[Any], threads: int, waits: bool = False
    ) -> None:
        """Call run(left) on `threads` threads, this one included, as `gpuzarr.threads.share`.

        `waits`: they may be many more than cores, as they wait for a store. All of them together keep as much scratch.
        """
        if waits and threads > 1:
            share(POOL.value, partial(self._with_little_scratch, run, threads), items, threads)
        else:
            share(self._pool.value, run, items, threads if self.threads > 1 else 1)

    def _with_little_scratch(self, run: Callable[[Iterator[Any]], None], threads: int, left: Iterator[Any]) -> None:
        scratch, before = self._scratch, self._scratch.limit
        scratch.limit = MAX_SCRATCH_BYTES // threads
        try:
            run(left)
        finally:
            scratch.limit = before

    def checked(self) -> Complete | None:
        """None: codecs on the CPU raise at once, so no check is pending."""
        return None


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


CPU: Any = Cpu()  # Any, because it is a Device without the members that only a GPU has
