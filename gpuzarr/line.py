"""Calls that wait in line for a few threads, and are made in the order in which they came.

A caller that is interrupted, at whatever moment, loses no thread: it only notes calls, and what threads have to agree
upon is done by them, where no signal handler runs. (An executor of `concurrent.futures` takes locks and starts threads
in the caller's, and an interrupt in between leaves the one held and the other running.) Threads are of one pool for all
lines, and stay for the next one.
"""

from __future__ import annotations

import atexit
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from gpuzarr.per_process import PROCESS, PerProcess
from gpuzarr.tasks import Task, end_all
from gpuzarr.threads import ThreadPool

MAX_WORKERS = 1 << 20  # no limit: each line has its own
_POOL = PerProcess(partial(ThreadPool, MAX_WORKERS, name="gpuzarr line"))
_LINES: weakref.WeakSet[Line] = weakref.WeakSet()


class Line:
    """A line of calls for at most `threads` threads. It is of the process in which it was made.

    `is_ended`: nobody runs anything in it any more.
    """

    def __init__(self, threads: int = 1) -> None:
        self._waiting: deque[Task] = deque()
        self._running: deque[Task] = deque()
        self._free: deque[None] = deque([None] * threads)
        self._threads, self._called = threads, list[list[Task]]()
        self._process, self.is_ended = PROCESS.value, False
        _LINES.add(self)

    def add(self, task: Task) -> None:
        """Have a thread run a task when all that came before have begun.

        Who adds it must have noted it before: an interrupt may leave it in line, until another one is added.
        """
        self._waiting.append(task)
        self._called = [each for each in self._called if each and each[0].is_handed and not each[0].has_begun]
        if self._free and len(self._called) < self._threads:  # else a thread that was called, or becomes free, looks
            self._called.append(call := list[Task]())
            _POOL.value.submit(self._serve, 1, call)

    def end(self) -> None:
        """Begin nothing more that has been added, and wait for what has begun."""
        if self._process is PROCESS.value:
            self.is_ended = True
            end_all([*self._waiting, *self._running])

    def _serve(self) -> None:
        """Run what waits, in a thread of the pool, unless enough others do so."""
        while self._waiting:
            try:
                self._free.pop()
            except IndexError:
                return
            while self._waiting:
                self._run_next()
            self._free.append(None)

    def _run_next(self) -> None:
        try:
            task = self._waiting.popleft()
        except IndexError:  # another thread has taken it
            return
        self._running.append(task)
        if not self.is_ended:  # or it is in none of the lists that `end` looks at
            task.run()
        self._running.remove(task)


def submit(line: Line, tasks: list[Task], work: Callable[..., Any], *arguments: Any) -> Task:
    """Have a thread of a line call work(*arguments). The task is noted in `tasks` before that."""
    tasks.append(task := Task(partial(work, *arguments)))
    line.add(task)
    return task


def _end_all() -> None:
    """Wait at the end of the process, which would stop threads in the middle of anything."""
    for line in list(_LINES):
        line.end()


weakref.finalize(_POOL, int)  # the first of all finalizers: from here on they come after what is registered now
atexit.register(_end_all)
