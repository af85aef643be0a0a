"""Calls that wait in line: their order, their threads, and interrupts at any moment."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from gpuzarr.line import Line, submit
from gpuzarr.tasks import Task, end_all
from gpuzarr.threads import ThreadPool
from tests.attack.rounds import FACTOR
from tests.data import environ
from tests.interrupting import MAX_LINE_THREADS, PACKAGE, Alarm, Interrupted


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def of_lines() -> int:
    return len([thread for thread in threading.enumerate() if thread.name.startswith("gpuzarr line_")])


def test_calls_are_made_in_order_by_one_thread() -> None:
    line, made = Line(), list[int]()
    for _ in range(20):
        tasks = list[Task]()
        for i in range(50):
            submit(line, tasks, made.append, i)
        for task in tasks:
            task.result()
        assert made == list(range(50))
        made.clear()


def test_no_more_at_once_than_threads() -> None:
    line, lock, now, most = Line(3), threading.Lock(), [0], list[int]()

    def work() -> None:
        with lock:
            now[0] += 1
            most.append(now[0])
        time.sleep(0.001)
        with lock:
            now[0] -= 1

    tasks = list[Task]()
    for _ in range(60):
        submit(line, tasks, work)
    for task in tasks:
        task.result()
    assert max(most) == 3 and len(most) == 60


def test_an_error_is_that_of_its_call() -> None:
    line, tasks = Line(), list[Task]()
    submit(line, tasks, int, "x")
    submit(line, tasks, int, "7")
    with pytest.raises(ValueError, match="invalid literal"):
        tasks[0].result()
    assert tasks[1].result() == 7


def test_what_was_cancelled_is_not_made() -> None:
    line, go, made, tasks = Line(), threading.Event(), list[int](), list[Task]()
    submit(line, tasks, go.wait)
    for i in range(5):
        submit(line, tasks, made.append, i)
    for task in tasks[2:]:
        task.end()
    go.set()
    tasks[1].result()
    assert submit(line, tasks, made.copy).result() == [0]


def use(line: Line, tasks: list[Task]) -> None:
    for i in range(4):
        submit(line, tasks, time.sleep, 0.0001 * i)
    for task in tasks:
        task.result()


def still_works(line: Line, tasks: list[Task]) -> None:
    """Nothing hangs, and the line, which was interrupted, makes calls."""
    end_all(tasks)
    assert submit(line, [], int, "7").result() == 7
    assert of_lines() <= MAX_LINE_THREADS, "threads are lost"


def test_interrupted_at_any_line() -> None:
    for fresh in (True, False):
        line, n, is_interrupted = Line(2), 0, True
        while is_interrupted:
            n, line = n + 1, Line(2) if fresh else line
            tasks = list[Task]()
            is_interrupted = Interrupted(n)(lambda line=line, tasks=tasks: use(line, tasks))
            still_works(line, tasks)
        assert n > 10


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    with Alarm() as one:
        yield one


def test_interrupted_at_random_moments(alarm: Alarm) -> None:
    line, moments, interrupted = Line(2), random.Random(1), 0
    for _ in range(400 * FACTOR):
        tasks = list[Task]()
        interrupted += alarm(moments.uniform(0.00001, 0.001), partial(use, line, tasks))
        still_works(line, tasks)
    assert interrupted > 5


def is_free(pool: ThreadPool) -> bool:
    """Whether both workers of a pool take calls."""
    again = pool.submit(int, 2)
    return [task.end() for task in again] == [None, None]


def test_interrupted_while_threads_start() -> None:
    """At any line, also of Python's own, in a pool whose threads are all to be started yet."""
    n, is_interrupted = 0, True
    while is_interrupted:
        n, pool, tasks = n + 1, ThreadPool(2), list[Task]()
        interrupt = Interrupted(n, within=(PACKAGE, threading.__file__))
        is_interrupted = interrupt(lambda pool=pool, tasks=tasks: end_all(pool.submit(int, 2, tasks)))
        end_all(tasks)
        until(lambda pool=pool: is_free(pool))
    assert n > 40


END = """
import time, sys
from gpuzarr.line import Line, submit
line, tasks = Line(), []
def slow():
    time.sleep(0.2)
    print("done", flush=True)
submit(line, tasks, slow)
submit(line, tasks, print, "never")
while not line._running: time.sleep(0.001)
"""


def test_the_end_of_the_process_waits_for_what_has_begun() -> None:
    done = subprocess.run([sys.executable, "-c", END], env=environ(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
