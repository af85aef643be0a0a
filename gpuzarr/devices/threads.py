"""Threads that share the items of a loop with the thread that asks: made for reads that take less than a millisecond.

`submit` of an executor of `concurrent.futures` takes 16 microseconds alone (measured, on 2 virtual cores); here a job
is a function in a queue.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Job = Callable[[], None]


class Helpers:
    """At most `most` threads that wait for jobs, started as they are needed; they end with this object."""

    def __init__(self, most: int) -> None:
        self._most, self._started = most, 0
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()

    def submit(self, job: Job) -> None:
        """`job`, which never raises, is run soon; or later, where all are busy."""
        if self._started < self._most:
            with self._lock:
                if self._started < self._most:
                    threading.Thread(target=_serve, args=(self._jobs,), name="gpuzarr", daemon=True).start()
                    self._started += 1
        self._jobs.put(job)

    def __del__(self) -> None:
        for _ in range(self._started):
            self._jobs.put(None)


def _serve(jobs: SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # what it holds must not wait for the next one


class Loop:
    """Items that several threads take from; after an error nobody takes another."""

    def __init__(self, work: Callable[[Any], Any], items: list[Any]) -> None:
        self._work, self._next = work, iter(items)
        self._lock, self._quiet = threading.Lock(), threading.Lock()
        self._helping, self._over = 0, False
        self._error: BaseException | None = None

    def run(self) -> None:
        """By the thread that asks: its items, then wait for those at work. Its own error is raised, or another's."""
        try:
            self._drain()
        finally:
            self._wait()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # whose frames hold this loop

    def help(self) -> None:
        """By another thread, which may come too late."""
        with self._lock:
            if self._over:
                return
            self._helping += 1
        try:
            self._drain()
        except BaseException as error:
            self._error = self._error or error
        with self._lock:
            self._helping -= 1
            last = self._over and not self._helping
        if last:
            self._quiet.release()

    def _drain(self) -> None:
        try:
            while (item := next(self._next, None)) is not None:  # next() on a list iterator is atomic
                self._work(item)
        except BaseException:
            self._next = iter(())
            raise

    def _wait(self) -> None:
        self._next = iter(())
        with self._lock:
            self._over, helped = True, self._helping > 0
            if helped:
                self._quiet.acquire()
        if helped:
            self._quiet.acquire()  # the last helper gives it back
