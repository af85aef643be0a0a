"""Readers: the results of the loop, in its order, on the way before they are asked for; and nothing is left of them."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError, ChunkError, ClosedError, NoMemoryError, SelectionError
from gpuzarr.line import _LINES, Line
from gpuzarr.read.ahead import READS_AHEAD
from gpuzarr.read.reader import GPU_THREADS
from gpuzarr.stores.local.store import LocalStore
from tests.conftest import examples
from tests.data import environ
from tests.emulator.arrays import DeviceArray
from tests.hardware import DEVICES, held, host_array
from tests.interrupting import Held, Interrupted
from tests.open_files import open_files
from tests.stub_cuda import Stream

SHAPE, CHUNKS = (24, 10, 7), (4, 3, 7)
VALUES = np.arange(np.prod(SHAPE), dtype="<f4").reshape(SHAPE)
WAIT_SECONDS = 20


def until(done: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + WAIT_SECONDS
    while not done() and time.monotonic() < end:
        time.sleep(0.001)
    assert done()


def reading() -> list[Line]:
    """The lines of readers, or of whatever else, whose threads are at work."""
    return [line for line in list(_LINES) if line._running or line._waiting]


@pytest.fixture
def array(tmp_path: Path, device: Device) -> gpuzarr.Array:
    return gpuzarr.array(VALUES, store=str(tmp_path / "a"), chunks=CHUNKS, device=device)


def damage(array: gpuzarr.Array, chunk: str) -> None:
    """Make the middle of a chunk zeros."""
    path = Path(array.store.root) / "c" / chunk
    encoded = bytearray(path.read_bytes())
    encoded[4:] = bytes(len(encoded) - 4)
    path.write_bytes(encoded)


@cache
def stored(name: str, device: str) -> gpuzarr.Array:
    """Arrays in memory, made once for all examples."""
    layouts: dict[str, Any] = {
        "chunks": {"chunks": CHUNKS},
        "shards": {"chunks": CHUNKS, "shards": (8, 9, 7)},
        "v2": {"chunks": CHUNKS, "zarr_format": 2},
        "large chunks": {"chunks": SHAPE, "compressors": None},
    }
    a = gpuzarr.create_array({}, shape=SHAPE, dtype="f4", fill_value=7, device=DEVICES[device](), **layouts[name])
    a[:20] = a.device.upload(VALUES[:20]) if a.device.gpu else VALUES[:20]  # the others are not there
    return a


def axis(length: int) -> st.SearchStrategy[Any]:
    at = st.integers(-length, length - 1)
    bound = st.none() | st.integers(-length - 2, length + 2)
    return at | st.builds(slice, bound, bound, st.sampled_from([None, 1, 2, 5, -1, -3]))


SELECTION = st.tuples(*map(axis, SHAPE)) | axis(SHAPE[0]) | st.just(...)
LIMITS = st.integers(1, 20_000) | st.just("1GiB")


@pytest.mark.parametrize("on", ["cpu", "emulated", "cuda"])
@pytest.mark.parametrize("name", ["chunks", "shards", "v2", "large chunks"])
@settings(max_examples=examples(25), deadline=None)
@given(
    selections=st.lists(SELECTION, max_size=20), ahead=st.none() | st.integers(0, 9), limit=LIMITS, taken=st.integers(0)
)
def test_results_are_those_of_the_loop(
    name: str, on: str, selections: list[Any], ahead: int | None, limit: Any, taken: int
) -> None:
    """Of the same kinds, in the same order, however far ahead; and so are the first of them."""
    a = stored(name, on)
    expected = [a[selection] for selection in selections]
    taken %= len(selections) + 1
    with a.reader(selections, ahead, limit) as some:
        results = [next(some) for _ in range(taken)]
    results += a.reader(iter(selections[taken:]), ahead=ahead, memory_limit=limit)
    assert len(results) == len(expected)
    for result, right in zip(results, expected, strict=True):
        assert type(result) is type(right) and result.dtype == right.dtype
        np.testing.assert_array_equal(host_array(result), host_array(right))


def test_fields_texts_and_what_has_no_axes() -> None:
    people = np.array([("Ada", 36), ("Bob", 7), ("Cy", 50)], [("name", "U8"), ("age", "i4")])
    a = gpuzarr.array(people, chunks=2)
    ages, pair, one = a.reader(["age", ("age", "name", slice(1, 3)), 2])
    assert ages.tolist() == [36, 7, 50] and pair.dtype.names == ("age", "name") and one["name"] == "Cy"
    texts = gpuzarr.array(np.array(["a", "bc", ""], object), dtype="string", chunks=2)
    assert [str(text) for text in texts.reader(range(3))] == ["a", "bc", ""]
    assert list(gpuzarr.array(5).reader([(), ...])) == [5, 5]


def test_results_are_on_their_way_before_they_are_asked_for(array: gpuzarr.Array, monkeypatch: Any) -> None:
    seen, right = list[str](), LocalStore.open
    monkeypatch.setattr(LocalStore, "open", lambda self, keys, *more: (seen.extend(keys), right(self, keys, *more))[1])
    keys = [f"c/{i}/0/0" for i in range(6)]
    r = array.reader([(4 * i, 0) for i in range(6)], ahead=2)
    assert not seen
    next(r)
    until(lambda: len(seen) == 3)
    next(r)
    until(lambda: len(seen) == 4)
    time.sleep(0.02)
    assert sorted(seen) == keys[:4]  # and no more
    r.close()
    assert len(seen) == 4


def test_windows_that_overlap_decode_a_chunk_once_for_each_read(array: gpuzarr.Array, monkeypatch: Any) -> None:
    """The first has one result, the next 2, 4, 8 and the 6 that are left; each window alone would take 36 chunks."""
    seen, right = list[str](), LocalStore.open
    monkeypatch.setattr(LocalStore, "open", lambda self, keys, *more: (seen.extend(keys), right(self, keys, *more))[1])
    windows = [(slice(i, i + 4), 0) for i in range(21)]
    for window, values in zip(windows, array.reader(windows), strict=True):
        np.testing.assert_array_equal(host_array(values), VALUES[window])
    touched = [{0}, {0, 1}, {0, 1, 2}, {1, 2, 3, 4}, {3, 4, 5}]
    assert sorted(seen) == sorted(f"c/{chunk}/0/0" for chunks in touched for chunk in chunks)


@pytest.mark.parametrize("ahead", [0, 1, 2, 5])
def test_selections_are_taken_as_they_are_needed(ahead: int, array: gpuzarr.Array) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken % len(VALUES)

    with array.reader(endless(), ahead) as r:
        assert taken == 0
        for i, values in zip(itertools.count(1), r, strict=False):
            np.testing.assert_array_equal(host_array(values), VALUES[i % len(VALUES)])
            assert i <= taken <= i + ahead
            if i == 40:
                break
        assert ahead == 0 or taken > 40


def test_the_first_result_does_not_wait_for_others(array: gpuzarr.Array, monkeypatch: Any) -> None:
    """Small results are read together, but the first alone."""
    may_go, right = threading.Event(), LocalStore.open

    def opened(self: LocalStore, keys: Any, *more: Any) -> Any:
        assert list(keys) == ["c/0/0/0"] or may_go.wait(WAIT_SECONDS)
        return right(self, keys, *more)

    monkeypatch.setattr(LocalStore, "open", opened)
    with array.reader([(4 * i % 24, 0) for i in range(40)]) as r:
        np.testing.assert_array_equal(host_array(next(r)), VALUES[0, 0])
        may_go.set()
        assert len(list(r)) == 39


@pytest.mark.parametrize(
    ("ahead", "limit", "most"), [(None, 3000, 3000), (9, 1500, 1500), (9, 1, 280), (1, 10**9, 280)]
)
def test_results_that_wait_stay_within_the_limit(
    ahead: int | None, limit: int, most: int, array: gpuzarr.Array, monkeypatch: Any
) -> None:
    """Of 280 bytes each, and one at least."""
    if array.device.name.startswith("cuda"):
        pytest.skip("arrays of CuPy have no weak references")
    alive, number, right = set[int](), itertools.count(), type(array.device).array

    def allocated(self: Any, shape: Any, dtype: Any) -> Any:
        alive.add(one := next(number))
        weakref.finalize(made := right(self, shape, dtype), alive.discard, one).atexit = False
        return made

    monkeypatch.setattr(type(array.device), "array", allocated)
    r, highest = array.reader(itertools.cycle(range(24)), ahead, limit), 0
    for values in itertools.islice(r, 60):
        del values
        highest = max(highest, 280 * len(alive))
    assert 280 <= highest <= most
    r.close()
    gc.collect()
    assert not alive


def test_an_error_comes_in_the_place_of_its_result(array: gpuzarr.Array) -> None:
    """Behind all results before it, and then the reader is closed."""
    damage(array, "3/1/0")
    for ahead in (None, 0, 1, 4, 64):
        r, results = array.reader([(i, slice(0, 6)) for i in range(24)], ahead), list[Any]()
        with pytest.raises(ChunkError) as caught:
            for values in r:
                results.append(host_array(values))
        assert caught.value.chunk == (3, 1, 0)
        np.testing.assert_array_equal(results, VALUES[:12, :6])
        with pytest.raises(ClosedError, match="this reader is closed"):
            next(r)
        assert not array.device.gpu or held(array.device) == 0
        until(lambda: not reading())


@pytest.mark.parametrize("ahead", [None, 0, 1, 64])
def test_so_do_the_errors_of_selections(ahead: int | None, array: gpuzarr.Array) -> None:
    def fails() -> Iterator[Any]:
        yield from range(5)
        raise ZeroDivisionError

    for selections, error in [([0, 1, 2, 3, 4, 24, 5], SelectionError), (fails(), ZeroDivisionError)]:
        r = array.reader(selections, ahead)
        assert [host_array(values)[0, 0] for _, values in zip(range(5), r, strict=False)] == VALUES[:5, 0, 0].tolist()
        with pytest.raises(error):
            next(r)
        with pytest.raises(ClosedError):
            next(r)


def test_where_memory_is_short_less_is_ahead(array: gpuzarr.Array, monkeypatch: Any) -> None:
    """There may be more when the caller is done with the result in hand."""
    left, right = [0], type(array.device).array

    def allocated(self: Any, shape: Any, dtype: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise MemoryError
        return right(self, shape, dtype)

    monkeypatch.setattr(type(array.device), "array", allocated)
    r = array.reader(range(24))
    for i in range(5):
        left[0] = 1
        np.testing.assert_array_equal(host_array(next(r)), VALUES[i])
    left[0] = 3
    np.testing.assert_array_equal(host_array(next(r)), VALUES[5])
    left[0] = 0
    next(r), next(r)
    with pytest.raises(NoMemoryError, match="no memory"):
        next(r)
    with pytest.raises(ClosedError):
        next(r)


def test_wrong_arguments(array: gpuzarr.Array) -> None:
    for wrong in (
        {"selections": 5},
        {"selections": "x"},
        {"ahead": -1},
        {"ahead": 1.5},
        {"memory_limit": 0},
        {"io": "x"},
    ):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            array.reader(**({"selections": []} | wrong))


def test_lengths(array: gpuzarr.Array) -> None:
    assert len(array.reader([1, 2])) == 2 and len(array.reader(range(9))) == 9
    with pytest.raises(TypeError, match="no length"):
        len(array.reader(iter([1])))


def test_the_end_stays_the_end(array: gpuzarr.Array) -> None:
    r = array.reader([1, 2])
    assert len(list(r)) == 2 and list(r) == []
    until(lambda: not reading())
    r.close()
    r.close()
    with pytest.raises(ClosedError):
        list(r)


def test_a_closed_reader_holds_nothing(array: gpuzarr.Array) -> None:
    with pytest.raises(ZeroDivisionError), array.reader(itertools.cycle(range(24)), 64) as r:
        for _ in zip(range(9), r, strict=False):
            pass
        raise ZeroDivisionError
    assert not r._ready and not r._coming
    until(lambda: not reading())
    with pytest.raises(ClosedError):
        next(r)


def test_a_dropped_reader_leaves_nothing(array: gpuzarr.Array) -> None:
    """However many were taken, and whatever its thread does just then."""
    files = len(open_files())
    for i in range(20):
        for _ in zip(range(i % 5), array.reader(itertools.cycle(range(24)), [None, 0, 1, 64][i % 4]), strict=False):
            pass
    until(lambda: not reading())
    until(lambda: len(open_files()) <= files)
    assert not array.device.gpu or held(array.device) == 0


def test_what_nobody_waits_for_is_not_read(array: gpuzarr.Array, monkeypatch: Any) -> None:
    """The threads of a reader that is dropped end what they are about, and nothing else."""
    may_go, right, seen, threads = (
        threading.Event(),
        LocalStore.open,
        list[str](),
        GPU_THREADS if array.device.gpu else 1,
    )

    def opened(self: LocalStore, keys: Any, *more: Any) -> Any:
        seen.extend(keys)
        assert keys == ["c/0/0/0"] or may_go.wait(WAIT_SECONDS)  # the first result, whichever thread is first
        return right(self, keys, *more)

    monkeypatch.setattr(LocalStore, "open", opened)
    r = array.reader([(4 * i, 0) for i in range(6)], 3)
    next(r)
    until(lambda: len(seen) == 1 + threads)
    del r
    gc.collect()
    may_go.set()
    until(lambda: not reading())
    assert len(seen) == 1 + threads


END = """
import gpuzarr, itertools, sys
r = gpuzarr.array(list(range(100)), chunks=3).reader(itertools.cycle(range(100)))
next(r)
if sys.argv[1] == "error":
    raise SystemExit("the end")
"""


@pytest.mark.parametrize("how", ["end", "error"])
def test_a_process_may_end_while_a_reader_is_at_work(how: str) -> None:
    command = [sys.executable, "-W", "error", "-c", END, how]
    done = subprocess.run(command, env=environ(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.replace("the end\n", "")) == (how == "error", "")


def test_a_forked_child_reads_by_readers_of_its_own(array: gpuzarr.Array) -> None:
    if array.device.gpu:
        pytest.skip("a GPU does not survive a fork")
    with array.reader(range(24), 4) as r:
        next(r)
        if not (child := os.fork()):
            try:
                with pytest.raises(ClosedError, match="forked"):
                    next(r)
                r.close()
                del r
                gc.collect()
                assert len(list(array.reader(range(24), 4))) == 24
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(list(r)) == 23


@pytest.mark.parametrize("on", ["cpu", "emulated"])
def test_interrupts_at_any_line(on: str, tmp_path: Path) -> None:
    """They arrive, nothing is held afterwards, and what was taken before is right."""
    a = gpuzarr.array(VALUES, store=str(tmp_path / "a"), chunks=CHUNKS, device=DEVICES[on]())
    results = list[Any]()

    def call() -> None:
        results.clear()
        with a.reader([(i, slice(0, 6)) for i in range(0, 24, 2)], 3) as r:
            for values in r:
                results.append(host_array(values))

    call()
    counted, held_now = Interrupted(0), Held(a.device)
    assert not counted(call) and len(results) == 12
    step = max(counted.lines // examples(60), 1)
    for n in range(1, counted.lines, step):
        interrupt = Interrupted(n)
        assert interrupt(call) or interrupt.is_swallowed or interrupt.lines < n
        held_now.check()
        for i, values in enumerate(results):
            np.testing.assert_array_equal(values, VALUES[2 * i, :6])


def test_an_interrupted_reader_is_closed(array: gpuzarr.Array, monkeypatch: Any) -> None:
    """While it waits for a result, by whatever a signal handler raises."""
    r = array.reader(range(24), 2)
    next(r)
    with monkeypatch.context() as patch:
        patch.setattr("gpuzarr.tasks.Task.result", lambda task: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            next(r)
    with pytest.raises(ClosedError):
        next(r)
    until(lambda: not reading())
    assert len(list(array.reader(range(24)))) == 24


def test_a_reader_has_its_own_stream_and_the_memory_of_the_caller(cuda: Any, tmp_path: Path) -> None:
    """So the caller's stream may use the memory again when a result is dropped, and a read waits for what used it."""
    a = gpuzarr.array(VALUES, store=str(tmp_path / "a"), chunks=CHUNKS, device="cuda")
    list(a.reader(range(3), 1))
    mine, ours, made = Stream(cuda.stream.xp, "mine"), cuda._streams["reading"], cuda.stream.xp.made
    ours.waited.clear()
    made.clear()
    with mine, a.reader(range(0, 24, 3), 1) as r:
        for i, values in zip(range(0, 24, 3), r, strict=True):
            assert isinstance(values, DeviceArray)
            np.testing.assert_array_equal(host_array(values), VALUES[i])
    assert made.count(("mine", 0)) == 8 and mine.recorded == 8 and not mine.waited
    assert [event for event in ours.waited if event.startswith("mine")] == [f"mine {i}" for i in range(1, 9)]


def test_default_depth(array: gpuzarr.Array) -> None:
    """Large results are read one by one, and as many are ahead as there are reads."""
    r = array.reader(itertools.repeat(...), memory_limit=10 * VALUES.nbytes)
    r._ahead.together_bytes = VALUES.nbytes
    for _ in range(3):
        next(r)
        assert len(r._coming) == READS_AHEAD and not r._ready
    r.close()
