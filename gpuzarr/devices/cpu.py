"""The CPU: NumPy, and a pool of threads, each with scratch that stays in its core's cache."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import ALIGNMENT, EncodedBatch, packed
from gpuzarr.devices.pipeline import Complete, Launch, Load
from gpuzarr.devices.threads import SharedItems, Task, ThreadPool, ended
from gpuzarr.devices.trace import Trace
from gpuzarr.per_process import PerProcess

LIMIT = 1 << 30  # bytes that a read may hold beyond its result, if nobody says how many
SCRATCH = 48 << 20  # bytes that the scratch of all threads together may keep
WAVE = 12 << 20, 2 << 20  # decoded bytes of a batch, at most and at least: the larger, the longer the rows placed


class _Scratch(threading.local):
    """One thread's memory: handed out piece by piece within a batch, then all of it again."""

    active = False
    used = 0
    wanted = 0

    def __init__(self) -> None:
        self.data = np.empty(0, np.uint8)

    def begin(self, limit: int) -> bool:
        """Whether a batch begins now: not within another."""
        if self.active:
            return False
        if len(self.data) < self.wanted <= limit:
            room = min(limit, self.wanted + self.wanted // 4)  # the next batch may want a little more
            data = np.empty(room + ALIGNMENT, np.uint8)
            self.data = data[-data.ctypes.data % ALIGNMENT :][:room]
        self.active, self.used, self.wanted = True, 0, 0
        return True

    def empty(self, nbytes: int) -> np.ndarray:
        if not self.active:
            return np.empty(nbytes, np.uint8)
        start = self.used
        room = -(-nbytes // ALIGNMENT) * ALIGNMENT
        self.wanted += room
        if start + room > len(self.data):
            return np.empty(nbytes, np.uint8)
        self.used = start + room
        return self.data[start : start + nbytes]


class _ScratchScope:
    """`with`: what is taken within stays as it is to the end. Within another one, to the end of that."""

    __slots__ = ("_begun", "_limit", "_scratch")

    def __init__(self, scratch: _Scratch, limit: int) -> None:
        self._scratch, self._limit = scratch, limit

    def __enter__(self) -> None:
        self._begun = self._scratch.begin(self._limit)

    def __exit__(self, *_: object) -> None:
        if self._begun:
            self._scratch.active = False


class Cpu:
    """The device `"cpu"`. `threads`: how many work at once, the caller's included; default: the cores it may use."""

    name, gpu, xp, readers, prefetch_depth = "cpu", False, np, 1, 0

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or cores()
        self._pool = PerProcess(partial(ThreadPool, self.threads))
        self.batch_bytes = max(WAVE[1], min(WAVE[0], SCRATCH // self.threads // 2))
        self._scratch = _Scratch()

    def __reduce__(self) -> tuple[Any, ...]:
        return Cpu, (self.threads,)

    def empty(self, nbytes: int) -> np.ndarray:
        return self._scratch.empty(nbytes)

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        starts, sizes, total = packed(sizes)
        return EncodedBatch(self.empty(total), starts, sizes)

    pinned_buffer = encoded_batch

    @property
    def memory_limit(self) -> int:
        return LIMIT

    def on(self, stream: Any = None) -> AbstractContextManager[None]:
        return nullcontext()

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.empty(shape, dtype)

    def timestamp(self) -> float:
        return time.perf_counter()

    def after(self, mark: float = 0) -> AbstractContextManager[None]:
        return nullcontext()

    def seconds(self, begin: float, end: float) -> float:
        return end - begin

    def count(self, **numbers: int) -> None:
        """Nothing here has more to say than the read path counts itself."""

    def completed(self) -> None:
        """Nothing is held for a batch."""

    def release(self) -> None:
        """The scratch of all threads goes with them; reads at work keep theirs."""
        self._scratch = _Scratch()
        self._pool.renew()

    def run(self, load: Load, launch: Launch, batches: Iterable[Any], trace: Trace | None = None) -> None:
        batches = list(batches)
        if trace is not None:
            trace.count(batches=len(batches))
        threads = self.threads + (trace.write_behind_depth if trace else 0)
        self.each(partial(self._batch, load, launch), batches, threads)

    def _batch(self, load: Load, launch: Launch, batch: Any) -> None:
        with self.scratch_scope():
            launch(load(batch))

    def scratch_scope(self) -> _ScratchScope:
        """`with`: scratch that this thread takes within is kept to the end."""
        return _ScratchScope(self._scratch, SCRATCH // self.threads)

    def each(self, work: Callable[[Any], Any], items: Iterable[Any], threads: int | None = None) -> None:
        """Call work(item) for each, on `threads` threads (default: one a core); the first error is raised."""
        items = list(items)

        def run(left: Iterator[Any]) -> None:
            for item in left:
                work(item)

        self.share(run, items, min(threads or self.threads, len(items)))

    def share(self, run: Callable[[Iterator[Any]], None], items: Iterable[Any], threads: int) -> None:
        """Call run(left) on `threads` threads, this one included; `left` is one iterator that all take items from.

        After an error it gives no more. The error of the first item is raised when all threads have ended.
        """
        if threads < 2 or self.threads < 2:
            run(iter(items))
            return
        shared = SharedItems(items)
        tasks: list[Task] = []
        try:
            self._pool.value.ask(partial(shared.drain, run), threads - 1, tasks)
            shared.drain(run)
        finally:
            shared.stop()
            ended(tasks)
        shared.raise_first()

    def checked(self) -> Complete | None:
        """Nothing is ever left to check: a host codec raises at once."""
        return None


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


CPU: Any = Cpu()  # Any: a Device but for the members that only a GPU has
