"""The C library: it compiles without a warning, and its loops do what NumPy does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.batch import Boxes, address
from gpuzarr.cpu.boxes import Placement
from gpuzarr.native.build import build

pytestmark = pytest.mark.usefixtures("compiled")
ITEM_SIZES = (1, 2, 3, 4, 8, 16, 24)


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    assert build(tmp_path / "library.so", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")


@given(st.data())
def test_boxes_are_placed_as_numpy_assigns_them(data: st.DataObject) -> None:
    """Of any shape, with any steps in chunks and results, also from the end, and of axes in any order."""
    shape = tuple(data.draw(st.lists(st.integers(1, 6), max_size=4), label="shape"))
    item = data.draw(st.sampled_from(ITEM_SIZES), label="bytes of an element")
    chunk, result = (_strided(data, shape, item) for _ in range(2))
    chunk[...] = np.random.default_rng(0).integers(0, 256, (*shape, item), "u1").view(f"V{item}")[..., 0]
    expected = result.copy()
    expected[...] = chunk
    _place([chunk], [result])
    assert result.tobytes() == expected.tobytes()


def test_a_box_without_a_source_is_left() -> None:
    chunk, results = np.arange(4), [np.zeros(4, int), np.zeros(4, int)]
    _place([None, chunk], results)
    assert [each.tolist() for each in results] == [[0, 0, 0, 0], [0, 1, 2, 3]]


def test_runs_are_all_boxes_in_order() -> None:
    chunks = [np.arange(2 * i, dtype="i8") for i in (3, 1, 4, 1, 5)]
    extents = np.array([[len(chunk)] for chunk in chunks])
    steps, each, none = np.full_like(extents, 8), np.arange(5), np.zeros(5, np.int64)
    for most in (1, 64, 80, 1000):
        results = [np.zeros_like(chunk) for chunk in chunks]
        boxes = Boxes(each, none, each, none, each, extents, steps, steps, -steps, np.zeros((0, 2), np.int64))
        placement = Placement(boxes, 8, results)
        runs = placement.runs(most)
        assert [i for run in runs for i in range(*run)] == each.tolist()
        assert all(sum(len(chunks[i]) * 8 for i in range(begin, end - 1)) < most for begin, end in runs)
        assert (len(runs) == 1) == (most == 1000)
        for run in reversed(runs):
            placement.place_some(np.array([address(chunk) for chunk in chunks]), run)
        assert all((result == chunk).all() for result, chunk in zip(results, chunks, strict=True))


def _strided(data: Any, shape: tuple[int, ...], item: int) -> np.ndarray:
    """An array whose axes lie in any order in memory, each with gaps or not, forwards or backwards."""
    order = data.draw(st.permutations(range(len(shape))))
    steps = [data.draw(st.sampled_from([1, 2, -1, -3])) for _ in shape]
    memory = np.zeros([(shape[axis] - 1) * abs(steps[axis]) + 1 for axis in order], f"V{item}")
    return memory.transpose(np.argsort(order))[(*(slice(None, None, step) for step in steps), ...)]


def _place(chunks: list[Any], results: list[np.ndarray]) -> None:
    like, count = next(chunk for chunk in chunks if chunk is not None), len(results)
    each, none = np.arange(count), np.zeros(count, np.int64)
    steps = [np.array([array.strides] * count, np.int64).reshape(count, -1) for array in (like, results[0])]
    extents = np.array([like.shape] * count, np.int64).reshape(count, -1)
    lists, entries = np.full_like(extents, -1), np.zeros((0, 2), np.int64)
    boxes = Boxes(each, none, each, none, each, extents, *steps, lists, entries)
    addresses = [0 if chunk is None else address(chunk) for chunk in chunks]
    Placement(boxes, like.itemsize, results).place(np.array(addresses, np.int64))
