"""Workers of a thread pool: they do what they are asked to, are not waited for in vain, and go with their pool."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import numpy as np
import pytest

from gpuzarr.devices.cpu import Cpu
from gpuzarr.interrupts import ensured
from gpuzarr.threads import ThreadPool, share


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_as_many_as_are_free() -> None:
    pool, go, begun = ThreadPool(2), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        begun.release()
        go.wait()

    tasks = pool.submit(work, 5)
    assert len(tasks) == 2 and not pool.submit(work, 1)
    assert begun.acquire(timeout=20) and begun.acquire(timeout=20)
    go.set()
    assert [task.end() for task in tasks] == [None, None]
    again = pool.submit(work, 2)
    assert len(again) == 2 and [task.end() for task in again] == [None, None]


def test_an_error_is_told_and_the_helper_goes_on() -> None:
    pool, begun = ThreadPool(1), threading.Event()

    def fail() -> None:
        begun.set()
        raise KeyError("x")

    for _ in range(3):
        (task,) = pool.submit(fail, 1)
        begun.wait()
        assert isinstance(task.end(), KeyError)
        begun.clear()


def test_each_item_is_done_once_by_somebody() -> None:
    host, done = Cpu(3), []
    for n in (1, 2, 3, 50):
        done.clear()
        host.each(done.append, range(n))
        assert sorted(done) == list(range(n))
    with pytest.raises(ZeroDivisionError):
        host.each(lambda i: 1 // (i - 20), range(50))
    host.each(lambda i: host.each(done.append, range(i)), range(20))  # workers that ask for workers
    assert len(done) == 50 + 190


def test_workers_go_with_their_pool() -> None:
    before = threading.active_count()
    pool, go, begun = ThreadPool(2), threading.Event(), threading.Event()
    idle = pool.submit(lambda: None, 1)
    idle[0].end()

    def work() -> None:
        begun.set()
        go.wait()

    (busy,) = pool.submit(work, 1)
    begun.wait()
    del pool
    gc.collect()
    go.set()
    assert busy.end() is None
    until(lambda: threading.active_count() <= before)


def test_what_was_worked_on_is_let_go() -> None:
    class Thing:
        pass

    import weakref

    pool, thing = ThreadPool(1), Thing()
    seen = weakref.ref(thing)
    for task in pool.submit(lambda thing=thing: None, 1):  # type: ignore[misc]
        task.end()
    del thing, task
    gc.collect()
    until(lambda: seen() is None)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_helpers_of_its_own() -> None:
    host, done = Cpu(2), []
    host.each(done.append, range(10))
    child = os.fork()
    if not child:
        host.each(done.append, range(10))
        os._exit(0 if len(done) == 20 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_of_several_errors_that_of_the_first_item_is_raised() -> None:
    device = Cpu(4)
    for seed in range(50):
        bad = set(np.random.default_rng(seed).choice(40, 6, replace=False).tolist())

        def work(item: int, bad: set[int] = bad) -> None:
            time.sleep(0.0002 * (item % 3))
            if item in bad:
                raise ValueError(item)

        with pytest.raises(ValueError) as caught:
            device.each(work, range(40))
        assert caught.value.args == (min(bad),)


def test_an_interrupt_waits_for_what_is_at_work() -> None:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(time.sleep, 0.2)
        old = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(KeyboardInterrupt):
                ensured(lambda: wait([future]), lambda: wait([future]))
        finally:
            signal.signal(signal.SIGALRM, old)
        assert future.done()


def test_calls_wait_for_workers_that_become_idle() -> None:
    """Calls within calls, of more work than there are workers: all of them help to the end."""
    pool, at_once, most, lock = ThreadPool(12, queues=True), 0, [0] * 4, threading.Lock()

    def inner(part: int) -> None:
        nonlocal at_once
        with lock:
            at_once += 1
            most[part] = max(most[part], at_once)
        time.sleep(0.005)
        with lock:
            at_once -= 1

    def inner_all(part: int, some: Iterator[int]) -> None:
        for _ in some:
            inner(part)

    def outer(left: Iterator[int]) -> None:
        for part in left:
            share(pool, partial(inner_all, part), range(60), 12)

    for _ in range(5):
        share(pool, outer, range(4), 4)
        assert min(most) > 6 and max(most) <= 13 and not at_once
