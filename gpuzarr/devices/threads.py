"""Threads that help another one: each sleeps on a lock of its own, and one system call wakes it.

A pool of `concurrent.futures` takes 50 microseconds to be asked, and its caller hears of the end 80 later (measured);
a region of a few chunks is read in 1000.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from operator import itemgetter
from typing import Any

_number = count()


class SharedItems:
    """Items that several threads take in order; after an error nobody takes another.

    Of several errors that of the first item is kept: all items before it were taken, and are done when the threads are.
    So which error is raised does not depend on which thread was faster.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        self._items, self._lock = enumerate(items), threading.Lock()
        self._errors: list[tuple[bool, int, BaseException]] = []

    def take(self) -> tuple[int, Any]:
        """The next item and its number; StopIteration where there is none any more."""
        with self._lock:
            return next(self._items)

    def stop(self) -> None:
        """Give no item any more."""
        with self._lock:
            self._items = enumerate(())

    def drain(self, run: Callable[[Iterator[Any]], None]) -> None:
        """Call run(left), where `left` gives the items that this thread gets. An error is kept, see `raise_first`."""
        left = _Left(self)
        try:
            run(left)
        except BaseException as error:
            self.stop()
            self._errors.append((isinstance(error, Exception), left.number, error))

    def raise_first(self) -> None:
        """Raise the error of the first item that has one; an interrupt before all others."""
        if self._errors:
            raise min(self._errors, key=itemgetter(0, 1))[2]


class _Left:
    """The items that one thread gets; `number` is that of the last one."""

    def __init__(self, shared: SharedItems) -> None:
        self._take, self.number = shared.take, -1

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.number, item = self._take()
        return item


class Task:
    """One helper's part of some work. Who claims it first has it: the helper, or the caller who needs it no more."""

    __slots__ = ("_claim", "_done", "_error", "_over", "_work")

    def __init__(self, work: Callable[[], None]) -> None:
        self._work, self._claim, self._done = work, threading.Lock(), threading.Lock()
        self._done.acquire()
        self._error: BaseException | None = None
        self._over = False

    def run(self, ready: Callable[[], None]) -> None:
        """Do it, if nobody has claimed it. `ready()` is called before the caller hears of the end."""
        claimed = self._claim.acquire(blocking=False)
        if claimed:
            try:
                self._work()
            except BaseException as error:
                self._error = error
        ready()
        if claimed:
            self._done.release()

    def end(self) -> BaseException | None:
        """Let it not begin any more, or wait for its end: the error, if there was one."""
        if not self._over and not self._claim.acquire(blocking=False):
            self._done.acquire()
        self._over = True
        return self._error


def ended(tasks: Sequence[Task]) -> list[BaseException | None]:
    """`end` of all. An interrupt of this thread is raised only then, a second one at once."""
    try:
        return [task.end() for task in tasks]
    except BaseException:
        for task in tasks:
            task.end()
        raise


class ThreadPool:
    """At most `most` helpers, which come when they are needed and go with the thread pool."""

    def __init__(self, most: int) -> None:
        self._room = _Room()
        self._to_come = deque(range(most))

    def ask(self, work: Callable[[], None], n: int, tasks: list[Task] | None = None) -> list[Task]:
        """`n` helpers, or as many as have nothing else to do, shall call work() once each.

        Their turns are put into `turns`, which a caller who is interrupted meanwhile still has.
        """
        tasks = [] if tasks is None else tasks
        while len(tasks) < n and (worker := self._free()) is not None:
            tasks.append(task := Task(work))
            worker.begin(task)
        return tasks

    def _free(self) -> _Worker | None:
        try:  # who pops has it: no lock is needed
            return self._room.idle.pop()
        except IndexError:
            pass
        try:
            self._to_come.pop()
        except IndexError:
            return None
        return _Worker(self._room)

    def __del__(self) -> None:
        self._room.close()


class _Room:
    """Where helpers wait."""

    def __init__(self) -> None:
        self.idle: deque[_Worker] = deque()
        self.closed = False

    def close(self) -> None:
        self.closed = True
        while self.idle:
            self.idle.pop().begin(None)

    def enter(self, worker: _Worker) -> None:
        self.idle.append(worker)
        if self.closed:
            self.close()


class _Worker:
    def __init__(self, room: _Room) -> None:
        self._room, self._go = room, threading.Lock()
        self._go.acquire()
        self._task: Task | None = None
        threading.Thread(target=self._serve, name=f"gpuzarr_{next(_number)}", daemon=True).start()

    def begin(self, task: Task | None) -> None:
        """Wake up for a turn; None: for the last time."""
        self._task = task
        self._go.release()

    def _serve(self) -> None:
        while True:
            self._go.acquire()
            task, self._task = self._task, None
            if task is None:
                return
            task.run(self._wait)
            del task  # and all that it holds

    def _wait(self) -> None:
        self._room.enter(self)
