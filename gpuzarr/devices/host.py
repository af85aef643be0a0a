"""The CPU: NumPy, and a pool of threads, each with scratch that stays in its core's cache."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import numpy as np

from gpuzarr.batch import ALIGNMENT, Slab, packed
from gpuzarr.devices.waves import Finish, Load, Settle

SCRATCH = 48 << 20  # bytes that the scratch of all threads together may keep
WAVE = 4 << 20  # decoded bytes of a wave: measured on all layouts of benchmarks/read_local.py; 1 MiB is half as fast


class _Scratch(threading.local):
    """One thread's memory: handed out piece by piece within a wave, then all of it again."""

    active = False
    used = 0
    wanted = 0

    def __init__(self) -> None:
        self.data = np.empty(0, np.uint8)

    def begin(self, limit: int) -> None:
        if len(self.data) < self.wanted <= limit:
            data = np.empty(self.wanted + ALIGNMENT, np.uint8)
            self.data = data[-data.ctypes.data % ALIGNMENT :][: self.wanted]
        self.active, self.used, self.wanted = True, 0, 0

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


class Host:
    """The device `"cpu"`. `threads`: how many work at once, the caller's included; default: the cores it may use."""

    name, gpu, xp, wave_bytes, readers = "cpu", False, np, WAVE, 1

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or len(os.sched_getaffinity(0))
        self._scratch = _Scratch()

    def __reduce__(self) -> tuple[Any, ...]:
        return Host, (self.threads,)

    def empty(self, nbytes: int) -> np.ndarray:
        return self._scratch.empty(nbytes)

    def slab(self, sizes: np.ndarray) -> Slab:
        starts, sizes, total = packed(sizes)
        return Slab(self.empty(total), starts, sizes)

    stage = slab

    def run(self, load: Load, finish: Finish, waves: Iterable[Any]) -> None:
        self.each(partial(self._wave, load, finish), waves)

    def _wave(self, load: Load, finish: Finish, wave: Any) -> None:
        """One wave, with this thread's scratch; a wave within a wave keeps the outer one's."""
        scratch = self._scratch
        if scratch.active:
            finish(load(wave))
            return
        scratch.begin(SCRATCH // self.threads)
        try:
            finish(load(wave))
        finally:
            scratch.active = False

    def each(self, work: Callable[[Any], Any], items: Iterable[Any]) -> None:
        """Call work(item) for each, on all threads; the first error is raised."""
        items = list(items)
        if len(items) < 2 or self.threads < 2:
            for item in items:
                work(item)
            return
        shared = _Queue(work, items)
        helpers = [self._pool.submit(shared.drain) for _ in range(min(self.threads, len(items)) - 1)]
        try:
            shared.drain()
        finally:
            shared.stop(helpers)

    def checked(self) -> Settle | None:
        """Nothing is ever left to check: a host codec raises at once."""
        return None

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        pools.append(self)
        return ThreadPoolExecutor(self.threads - 1, "gpuzarr")


class _Queue:
    """Items that several threads take from; after an error nobody takes another."""

    def __init__(self, work: Callable[[Any], None], items: list[Any]) -> None:
        self._work, self._next = work, iter(items)

    def drain(self) -> None:
        try:
            while (item := next(self._next, None)) is not None:  # next() on a list iterator is atomic
                self._work(item)
        except BaseException:
            self._next = iter(())
            raise

    def stop(self, helpers: list[Future[None]]) -> None:
        """Let nobody take another item, wait for those at work, and raise their first error."""
        self._next = iter(())
        running = [helper for helper in helpers if not helper.cancel()]
        for error in [helper.exception() for helper in running]:
            if error is not None:
                raise error


pools: list[Host] = []


def _forget_pools() -> None:
    """A forked child has none of its parent's threads: it starts its own."""
    for host in pools:
        host.__dict__.pop("_pool", None)
    pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)

HOST: Any = Host()  # Any: a Device but for the members that only a GPU has
