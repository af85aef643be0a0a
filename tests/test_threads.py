"""Loops shared by threads: every item once, all errors seen, nobody at work when it is over, nothing kept."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from gpuzarr.devices.host import Host
from gpuzarr.devices.threads import Helpers, Loop


def test_every_item_is_worked_on_once():
    host, seen = Host(4), []
    for n in [0, 1, 2, 3, 5, 100]:
        for _ in range(20):
            seen.clear()
            host.each(seen.append, range(n))
            assert sorted(seen) == list(range(n))


def test_helpers_help():
    both = threading.Barrier(2, timeout=10)
    Host(2).each(lambda _: both.wait(), range(2))


def test_nobody_is_at_work_when_it_is_over():
    host, working = Host(3), []

    def work(i):
        working.append(i)
        time.sleep(0.002 * i)
        working.remove(i)

    for _ in range(5):
        host.each(work, [0, 3, 1])
        assert not working


@pytest.mark.parametrize("who", ["caller", "helper"])
def test_the_error_of_any_thread_is_raised_and_no_other_item_taken(who):
    both, done = threading.Barrier(2, timeout=10), []

    def work(i):
        if i > 1:
            done.append(i)
            return
        both.wait()
        if (threading.current_thread() is threading.main_thread()) == (who == "caller"):
            raise KeyError(who)
        time.sleep(0.05)

    with pytest.raises(KeyError, match=who):
        Host(2).each(work, range(50))
    assert len(done) < 48


def test_who_comes_too_late_does_nothing():
    loop = Loop(lambda i: None, [1, 2])
    loop.run()
    loop.help()


def test_loops_within_loops_and_by_many_threads():
    host, seen = Host(2), []
    outer = [
        threading.Thread(
            target=host.each, args=(lambda i: host.each(lambda j: seen.append((i, j)), range(5)), range(8))
        )
        for _ in range(4)
    ]
    for thread in outer:
        thread.start()
    for thread in outer:
        thread.join(20)
    assert sorted(seen) == sorted([(i, j) for i in range(8) for j in range(5)] * 4)


def test_threads_end_with_their_helpers_and_nothing_of_a_job_is_kept():
    class Held: ...

    before = threading.active_count()
    helpers, ran, held = Helpers(2), threading.Event(), Held()
    gone = weakref.ref(held)
    helpers.submit(lambda held=held: ran.set())
    assert ran.wait(10)
    del held
    _until(lambda: gone() is None)
    del helpers
    gc.collect()
    _until(lambda: threading.active_count() <= before)


def _until(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)
