"""A thread pool for tasks of less than a millisecond: each worker sleeps on its own lock, and one system call wakes it.

A pool of `concurrent.futures` takes 50 microseconds to accept a task, and another 80 pass before the caller learns that
it has ended (measured). Reading a region of a few chunks takes 1000 in all.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from operator import itemgetter
from typing import Any, TypeVar

T = TypeVar("T")
_number = count()


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

    def stop(self) -> None:
        """Give no more items."""
        with self._lock:
            self._items = enumerate(())

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


class _Left:
    """Iterator over the items that one thread takes. `number`: that of its last item."""

    def __init__(self, shared: SharedItems) -> None:
        self._take, self.number = shared.take, -1

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.number, item = self._take()
        return item


class Task:
    """A call that a worker makes, unless the caller cancels it first: the one that takes the claim decides."""

    __slots__ = ("_claim", "_done", "_error", "_over", "_work")

    def __init__(self, work: Callable[[], None]) -> None:
        self._work, self._claim, self._done = work, threading.Lock(), threading.Lock()
        self._done.acquire()
        self._error: BaseException | None = None
        self._over = False

    def run(self, ready: Callable[[], None]) -> None:
        """Make the call, unless it is cancelled. `ready()` is called before the caller learns of the end."""
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
        """Cancel the task, or wait for its end if it has begun. Return its error, if there was one."""
        if not self._over and not self._claim.acquire(blocking=False):
            self._done.acquire()
        self._over = True
        return self._error


def end_all(tasks: Sequence[Task]) -> list[BaseException | None]:
    """End all tasks and return their errors."""
    return uninterrupted(lambda: [task.end() for task in tasks])


def uninterrupted(wait: Callable[[], T]) -> T:
    """Call `wait` until it has ended, and only then raise an interrupt of this thread. A second one is raised at once.

    `wait` must allow to be called again after an interrupt.
    """
    try:
        return wait()
    except BaseException:
        wait()
        raise


class ThreadPool:
    """At most `max_workers` threads, each started when it is first needed. They end with the pool."""

    def __init__(self, max_workers: int) -> None:
        self._idle = _IdleWorkers()
        self._not_started = deque(range(max_workers))

    def submit(self, work: Callable[[], None], n: int, tasks: list[Task] | None = None) -> list[Task]:
        """Have `n` workers, or as many as are idle, call work() once each.

        Their tasks are appended to `tasks` one by one, so a caller that is interrupted meanwhile still has them.
        """
        tasks = [] if tasks is None else tasks
        while len(tasks) < n and (worker := self._worker()) is not None:
            tasks.append(task := Task(work))
            worker.begin(task)
        return tasks

    def _worker(self) -> _Worker | None:
        """An idle worker or a new one; None where all are at work. `deque.pop` is atomic, so no lock is needed."""
        try:
            return self._idle.workers.pop()
        except IndexError:
            pass
        try:
            self._not_started.pop()
        except IndexError:
            return None
        return _Worker(self._idle)

    def __del__(self) -> None:
        self._idle.close()


class _IdleWorkers:
    """The idle workers of a pool. Workers refer to this and not to the pool, so the pool can be collected."""

    def __init__(self) -> None:
        self.workers: deque[_Worker] = deque()
        self.is_closed = False

    def close(self) -> None:
        """End all workers that are idle, now or later."""
        self.is_closed = True
        while self.workers:
            self.workers.pop().begin(None)

    def enter(self, worker: _Worker) -> None:
        """Add a worker that has become idle."""
        self.workers.append(worker)
        if self.is_closed:
            self.close()


class _Worker:
    """A thread that runs one task at a time and sleeps between them."""

    def __init__(self, idle: _IdleWorkers) -> None:
        self._idle, self._wake = idle, threading.Lock()
        self._wake.acquire()
        self._task: Task | None = None
        threading.Thread(target=self._serve, name=f"gpuzarr_{next(_number)}", daemon=True).start()

    def begin(self, task: Task | None) -> None:
        """Wake up to run a task; None: to end."""
        self._task = task
        self._wake.release()

    def _serve(self) -> None:
        while True:
            self._wake.acquire()
            task, self._task = self._task, None
            if task is None:
                return
            task.run(self._become_idle)
            del task  # and everything that its work refers to

    def _become_idle(self) -> None:
        self._idle.enter(self)
