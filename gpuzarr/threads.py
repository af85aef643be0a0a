"""A thread pool for tasks of less than a millisecond: each worker sleeps on its own lock, and one system call wakes it.

A pool of `concurrent.futures` takes 50 microseconds to accept a task, and another 80 pass before the caller learns that
it has ended (measured). Reading a region of a few chunks takes 1000 in all.
"""

from __future__ import annotations

import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, repeat
from operator import call, itemgetter
from typing import Any

from gpuzarr.interrupts import ensured
from gpuzarr.per_process import in_child
from gpuzarr.tasks import Task, end_all, lost

_number = count()
_SHARED: set[SharedItems] = set()  # that threads have in hand


class SharedItems:
    """Items that several threads take in order. After an error no thread takes another.

    Of several errors that of the first item is kept. All items before it were taken, and are done when the threads have
    ended, so which error is raised does not depend on which thread was faster.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        self._items, self._lock = enumerate(items), threading.Lock()
        self._errors: list[tuple[bool, int, BaseException]] = []

    def take(self) -> tuple[int, Any]:
        """The next item, with its number before it. StopIteration if there are no more."""
        with self._lock:
            return next(self._items)

    def begin(self) -> None:
        """Note that threads may take items, until `stop`."""
        _SHARED.add(self)

    def stop(self) -> None:
        """Give no more items. It may be called again."""
        with self._lock:
            self._items = enumerate(())
        _SHARED.discard(self)

    def give_up(self) -> None:
        """Give no more items in a forked child, which has no other thread, and where one may have held the lock."""
        self._lock, self._items = threading.Lock(), enumerate(())
        self._errors.append((True, -1, lost()))

    def drain(self, run: Callable[[Iterator[Any]], None]) -> None:
        """Call run(left), where `left` iterates over the items that this thread takes. An error is kept."""
        left = _Left(self)
        try:
            run(left)
        except BaseException as error:
            self.stop()
            self._errors.append((isinstance(error, Exception), left.number, error))

    def raise_first(self) -> None:
        """Raise the error of the first item that has one, or before all others an interrupt."""
        if self._errors:
            raise min(self._errors, key=itemgetter(0, 1))[2]


def _give_up() -> None:
    while _SHARED:
        _SHARED.pop().give_up()


in_child(_give_up)


class _Left:
    """Iterator over the items that one thread takes. `number`: that of its last item."""

    def __init__(self, shared: SharedItems) -> None:
        self._take, self.number = shared.take, -1

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.number, item = self._take()
        return item


class ThreadPool:
    """At most `max_workers` threads, each started when it is first needed. They end with the pool.

    `queues`: calls for which no worker is idle are made by those that become idle later, in the order of the calls.
    `name`: what the names of the threads begin with.
    """

    def __init__(self, max_workers: int, queues: bool = False, name: str = "gpuzarr") -> None:
        self._workers, self._max_workers, self._queues = _Workers(name), max_workers, queues

    def submit(self, work: Callable[[], None], n: int, tasks: list[Task] | None = None) -> list[Task]:
        """Have `n` workers, or as many as are idle (with `queues`, or become idle), call work() once each.

        Their tasks are appended to `tasks`, an empty list, one by one, so a caller that is interrupted meanwhile still
        has them.
        """
        tasks = [] if tasks is None else tasks
        idle: list[_Worker] = []
        try:
            self._workers.take(idle, n)
            for worker in idle:
                tasks.append(task := Task(work))
                worker.begin(task)
            while len(tasks) < n and self._has_started(tasks, work):
                pass
            if self._queues:
                self._queue(tasks, work, n)
        except BaseException:
            for worker in idle[sum(task.is_handed for task in tasks) :]:
                self._workers.enter(worker)
            raise
        return tasks

    def _queue(self, tasks: list[Task], work: Callable[[], None], n: int) -> None:
        """Note calls for workers that become idle; some may have, since none was."""
        while len(tasks) < n:
            tasks.append(task := Task(work))
            self._workers.waiting.append(task)
        self._workers.wake()

    def _has_started(self, tasks: list[Task], work: Callable[[], None]) -> bool:
        """Start a worker, with a task, unless all are started. `set.add` is atomic, so no lock is needed."""
        worker, started = _Worker(self._workers), self._workers.started
        try:
            started.add(worker)
            if has_place := len(started) <= self._max_workers:
                tasks.append(task := Task(work))
                worker.start(task)
            else:
                started.discard(worker)
        except BaseException:
            if not worker.has_begun():
                started.discard(worker)
            raise
        return has_place

    def __del__(self) -> None:
        self._workers.close()


def share(pool: ThreadPool, run: Callable[[Iterator[Any]], None], items: Iterable[Any], threads: int) -> None:
    """Call run(left) on `threads` threads, this one included. `left` is an iterator from which all take items.

    After an error it gives no more items. The error of the first item is raised when all threads have ended.
    """
    if threads < 2:
        run(iter(items))
        return
    shared = SharedItems(items)
    tasks: list[Task] = []

    def work() -> None:
        shared.begin()
        pool.submit(partial(shared.drain, run), threads - 1, tasks)
        shared.drain(run)

    def clean() -> None:
        shared.stop()
        end_all(tasks)

    ensured(work, clean)
    shared.raise_first()


class _Workers:
    """The workers of a pool. They refer to this and not to the pool, so the pool can be collected."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.idle: deque[_Worker] = deque()
        self.waiting: deque[Task] = deque()
        self.started: set[_Worker] = set()
        self.is_closed = False

    def close(self) -> None:
        """End all workers that are idle, now or later."""
        self.is_closed = True
        while self.idle:
            self.idle.pop().begin(None)

    def enter(self, worker: _Worker) -> None:
        """Add a worker that has become idle; one of those that are makes the next call that waits, if there is any."""
        self.idle.append(worker)
        self.wake()
        if self.is_closed:
            self.close()

    def take(self, taken: list[_Worker], n: int) -> None:
        """Take up to `n` idle workers: one call, so that an interrupt loses none."""
        try:
            taken.extend(map(call, repeat(self.idle.pop, n)))
        except IndexError:
            return

    def wake(self) -> None:
        """Have idle workers make the calls that wait for one. Who adds to either side looks at the other after that."""
        while self.waiting and self.idle:
            taken: list[_Worker] = []
            try:
                self.take(taken, 1)
            finally:
                for worker in taken:
                    self._give(worker)

    def _give(self, worker: _Worker) -> None:
        try:
            task = self.waiting.popleft()
        except IndexError:
            self.idle.append(worker)
        else:
            worker.begin(task)


class _Worker:
    """A thread that runs one task at a time and sleeps between them."""

    def __init__(self, workers: _Workers) -> None:
        self._workers, self._wake = workers, threading.Lock()
        self._wake.acquire()
        self._task: Task | None = None
        self._begun: list[int] = []

    def start(self, task: Task) -> None:
        """Start the thread, with its first task.

        `Thread.start` takes locks, which an interrupt would leave held. So another thread calls it, which is begun, and
        noted, by one call of C.
        """
        self._task = task
        thread = threading.Thread(target=self._serve, name=f"{self._workers.name}_{next(_number)}", daemon=True)
        begun = map(start_new_thread, (self._begin,), ((thread,),))
        task.is_handed = True
        self._begun.extend(begun)

    def has_begun(self) -> bool:
        """Return True if the thread has begun, or is about to."""
        return bool(self._begun)

    def _begin(self, thread: threading.Thread) -> None:
        try:
            thread.start()
        except RuntimeError:  # there are too many threads; this one is there
            self._serve()

    def begin(self, task: Task | None) -> None:
        """Wake up to run a task; None: to end. No interrupt comes between the note and the call that it is about."""
        self._task = task
        if task is not None:
            task.is_handed = True
        self._wake.release()

    def _serve(self) -> None:
        while True:
            task, self._task = self._task, None
            if task is None:
                return
            task.run(self._become_idle)
            del task  # and everything that its work refers to
            self._wake.acquire()

    def _become_idle(self) -> None:
        self._workers.enter(self)
