"""Memory of large results: used again when the last array on it is gone, never by two, and within a limit."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices import results
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.results import MAX_KEPT_BLOCKS, MAX_RESULT_BYTES, RESULTS, ResultMemory

BYTE = np.dtype("u1")
UNIT = 2 << 20


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[ResultMemory]:
    """Memory that keeps small results, too."""
    monkeypatch.setattr(results, "MIN_RESULT_BYTES", 1000)
    RESULTS.renew()
    yield RESULTS.value
    RESULTS.renew()


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def test_memory_is_used_again_when_the_last_view_is_gone(memory: ResultMemory) -> None:
    first = CPU.array((3, 1000), np.dtype("<f4"))
    first[:] = 7
    view, at = first[1:, ::2], address(first)
    del first
    other = CPU.array((12000,), BYTE)
    assert memory.kept_bytes == 0 and address(other) != at and (view == 7).all()
    del view
    assert memory.kept_bytes == UNIT
    again = CPU.array((6000,), np.dtype("<u2"))
    assert address(again) == at and memory.kept_bytes == 0 and again.flags.writeable and again.flags.c_contiguous


def test_results_of_reads_are_such_arrays(memory: ResultMemory, tmp_path: object) -> None:
    values = np.arange(5000).reshape(50, 100)
    a = gpuzarr.create_array(f"{tmp_path}/a", data=values, chunks=(7, 30), device="cpu")
    for _ in range(3):
        np.testing.assert_array_equal(a[...], values)
        np.testing.assert_array_equal(a[::-2], values[::-2])
        assert memory.kept_bytes == UNIT
    gpuzarr.release()
    assert RESULTS.value is not memory and RESULTS.value.kept_bytes == 0


@pytest.mark.parametrize("dtype", ["O", "T"])
def test_elements_that_refer_to_memory_are_left_to_numpy(dtype: str, memory: ResultMemory) -> None:
    assert memory.array((1000,), np.dtype(dtype)) is None and memory.array((999,), BYTE) is None


def test_a_block_is_not_used_for_much_less(memory: ResultMemory) -> None:
    del_me = memory.array((8 * UNIT,), BYTE)
    del del_me
    small = memory.array((UNIT,), BYTE)
    assert memory.kept_bytes == 8 * UNIT and small is not None
    large = memory.array((7 * UNIT,), BYTE)
    assert memory.kept_bytes == 0 and large is not None


def test_what_is_kept_is_bounded_and_the_oldest_goes(memory: ResultMemory) -> None:
    arrays = [CPU.array((UNIT,), BYTE) for _ in range(6)]
    at = [address(each) for each in arrays]
    while arrays:
        del arrays[0]
    assert memory.kept_bytes == MAX_KEPT_BLOCKS * UNIT
    found = [CPU.array((UNIT,), BYTE) for _ in range(MAX_KEPT_BLOCKS)]
    assert {address(each) for each in found} == set(at[2:]) and memory.kept_bytes == 0
    assert memory.array((MAX_RESULT_BYTES + 1,), BYTE) is None


def test_where_there_is_no_memory_numpy_says_so(memory: ResultMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_most", 1 << 80)
    for nbytes in (1 << 55, 1 << 62, 1 << 70):
        CPU.array((UNIT,), BYTE)
        assert memory.kept_bytes == UNIT
        assert memory.array((nbytes,), BYTE) is None and memory.kept_bytes == 0
    with pytest.raises(MemoryError):
        CPU.array((1 << 55,), BYTE)


def test_an_interrupt_is_not_lost_where_memory_is_given_back(memory: ResultMemory) -> None:
    """Python prints and forgets what is raised in a `__del__`, so nothing of Python may run there."""
    result, called = CPU.array((1000,), BYTE), []
    sys.setprofile(lambda frame, event, what: called.append(event) if event == "call" else None)
    try:
        del result
    finally:
        sys.setprofile(None)
    assert not called and memory.kept_bytes == UNIT


def test_no_two_arrays_share_memory(memory: ResultMemory) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        for i in range(200):
            arrays = [CPU.array((1000 + 10 * number,), BYTE) for _ in range(3)]
            for j, each in enumerate(arrays):
                each[:] = (number * 50 + i + j) % 251
            wrong.extend(1 for j, each in enumerate(arrays) if (each != (number * 50 + i + j) % 251).any())
            if i % 3:
                arrays.append(arrays)  # type: ignore[arg-type]  # freed when garbage is collected, by any thread

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_none_of_it(memory: ResultMemory) -> None:
    mine = CPU.array((1000,), BYTE)
    kept = CPU.array((1000,), BYTE)
    mine[:] = 1
    del kept
    assert memory.kept_bytes == UNIT
    if (child := os.fork()) == 0:
        has_none = RESULTS.value.kept_bytes == 0 and (mine == 1).all()
        at = address(mine)
        del mine
        fresh = CPU.array((1000,), BYTE)
        os._exit(0 if has_none and (address(fresh) != at or (fresh == 0).all()) else 1)
    assert os.waitpid(child, 0)[1] == 0 and (mine == 1).all()
