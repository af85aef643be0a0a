"""An index means the same in every spelling: as an int or a list, of NumPy, of Python, or of a library with a GPU."""

from __future__ import annotations

import array
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.errors import SelectionError
from gpuzarr.indexing.selection import basic, blocks, orthogonal, pointwise
from gpuzarr.metadata import RegularAxis
from tests.conftest import examples
from tests.hardware import host_array, on
from tests.indexing.by_numpy import numbered, outer_by_numpy, take


class Indexed:
    """An integer by `__index__` alone."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> int:
        return int(self.value)


class Converted:
    """An array by `__array__`, as an Index of pandas."""

    def __init__(self, value: Any) -> None:
        self.value = np.asarray(value)
        self.dtype, self.shape = self.value.dtype, self.value.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.value


class OnGpu(Converted):
    """An array that NumPy may not convert: of CuPy with `get`, of torch with `cpu`."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __index__(self) -> int:
        if self.value.ndim:
            raise TypeError("only arrays without axes are integers")
        return int(self.value)  # torch does so for bools, too


class OfCupy(OnGpu):
    __cuda_array_interface__: ClassVar[Any] = {}

    def __index__(self) -> int:
        raise TypeError("CuPy's arrays are no integers")

    def get(self) -> np.ndarray:
        return self.value


class OfTorch(OnGpu):
    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.dtype: Any = SimpleNamespace(name=f"torch.{self.value.dtype}")

    def cpu(self) -> np.ndarray:
        return self.value


class ByDlpack(OnGpu):
    def __dlpack_device__(self) -> Any:
        return self.value.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        return self.value.__dlpack__(**options)


KINDS: list[Callable[[Any], Any]] = [np.asarray, Converted, OfCupy, OfTorch, ByDlpack]
DTYPES = ["i1", "i4", ">i8", "u1", "u8"]


def integers(value: int) -> Iterator[Any]:
    """All spellings of an integer."""
    yield from (Indexed(value), np.int64(value), OnGpu(value))
    for dtype in DTYPES:
        if value >= 0 or "u" not in dtype:
            yield np.dtype(dtype).type(value)
            yield from (kind(np.array(value, dtype)) for kind in KINDS if kind is not ByDlpack or dtype != ">i8")


def lists(values: list[int]) -> Iterator[Any]:
    """All spellings of a list."""
    yield from (memoryview(np.array(values, np.int64)), array.array("q", values), deque(values))
    for dtype in DTYPES:
        if min(values, default=0) >= 0 or "u" not in dtype:
            yield from (kind(np.array(values, dtype)) for kind in KINDS if kind is not ByDlpack or dtype != ">i8")
    for each in (np.array, Indexed, OfCupy, OfTorch, OnGpu):
        yield [each(value) for value in values]
    steps = set(np.diff(values).tolist()) or {1}
    if len(steps) == 1 and (step := steps.pop()):
        yield range(values[0], values[-1] + step, step) if values else range(0)
    if min(values, default=-1) >= 0:
        yield bytearray(values)


def masks(values: list[bool]) -> Iterator[Any]:
    """All spellings of a mask."""
    yield from (memoryview(np.array(values, bool)), deque(values))
    yield from (kind(np.array(values, bool)) for kind in KINDS)


def spellings(member: Any) -> list[Any]:
    """All spellings of a member of a selection, a tuple of some; tuples stand for lists inside of a selection only."""
    if isinstance(member, list):
        return [*(masks(member) if member and isinstance(member[0], bool) else lists(member)), tuple(member)]
    if isinstance(member, slice) and member.start is not None and member.stop is not None:
        ends = [integers(member.start), integers(member.stop)]
        return [slice(a, b, member.step) for a, b in zip(*ends, strict=False) if not isinstance(a, Converted)]
    return list(integers(member)) if isinstance(member, int) else [member]


def outcome(ours: Callable[..., Any], selection: Any, shape: tuple[int, ...]) -> Any:
    """What is selected, or the kind of error."""
    try:
        found = take(numbered(shape), ours(selection, shape))
    except SelectionError:
        return "refused"
    return found.shape, found.tolist()


@st.composite
def plain_selections(draw: Any) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """A shape and ints, lists, masks and slices for some of its axes, also out of range."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))

    def member(n: int) -> Any:
        index = st.integers(-n - 1, n)
        mask = st.lists(st.booleans(), min_size=n, max_size=n)
        return index | st.lists(index, max_size=4) | mask | st.builds(slice, index, index)

    return shape, tuple(draw(member(n)) for n in shape[: draw(st.integers(1, len(shape)))])


def as_blocks(selection: Any, shape: tuple[int, ...]) -> Any:
    return blocks(selection, tuple(RegularAxis(n, 1) for n in shape))


@settings(max_examples=examples(80), deadline=None)
@given(plain_selections(), st.data())
def test_every_spelling_is_the_plain_one(case: Any, data: st.DataObject) -> None:
    shape, plain = case
    for ours in (basic, orthogonal, pointwise, as_blocks):
        expected = outcome(ours, plain, shape)
        for place, member in enumerate(plain):
            for other in spellings(member):
                spelled = (*plain[:place], other, *plain[place + 1 :])
                assert outcome(ours, spelled, shape) == expected, (ours.__name__, spelled)
                if len(plain) == 1 and not isinstance(other, tuple):
                    assert outcome(ours, other, shape) == expected, (ours.__name__, other)
        numbers = [data.draw(st.integers(0, 999)) for _ in plain]
        spelled = tuple(spellings(member)[n % len(spellings(member))] for member, n in zip(plain, numbers, strict=True))
        assert outcome(ours, spelled, shape) == expected, (ours.__name__, spelled)


@settings(max_examples=examples(80), deadline=None)
@given(st.data())
def test_meshes_are_outer_products(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
    some = [data.draw(st.lists(st.integers(-n, n - 1), max_size=4)) for n in shape[: data.draw(st.integers(1, 3))]]
    mesh = np.ix_(*(np.array(each, int) for each in some))
    values = numbered(shape)
    for ours in (basic, orthogonal):
        assert outcome(ours, mesh, shape) == (values[mesh].shape, values[mesh].tolist())
        assert outcome(ours, tuple(map(OfCupy, mesh)), shape) == (values[mesh].shape, values[mesh].tolist())
    assert np.array_equal(values[mesh], outer_by_numpy(values, tuple(map(list, some))))


NOT_INDICES: list[Any] = [
    *(1.0, np.float64(1), np.array(1.0), [1.0], np.array([]), 1j, "1", b"1", b"", None, {1}, {1: 1}, object(), {}),
    *(True, False, np.True_, np.array(True), Converted(True), OfCupy(True), OfTorch(True), OnGpu(True), ByDlpack(True)),
    *([None], [OfTorch(True)], [[1], [1, 2]], np.array([1, None]), np.array(1, object), np.array([1], object), "x"),
    *(np.datetime64("2020-01-01"), np.timedelta64(1, "s"), np.array([1], "m8[s]"), array.array("d", [1.0]), iter([1])),
    *(memoryview(b"ab").cast("c"), np.ma.array([0, 1], mask=[0, 1]), np.ma.masked, slice(1.5, 2), slice(None, None, 0)),
    *(2**64, -(2**70), [2**64], [2**63, -1], np.array([2**63], "u8"), range(2**65), range(-9, 2), Indexed(2**70)),
]


@pytest.mark.parametrize("ours", [basic, orthogonal, pointwise, as_blocks])
def test_what_is_no_index_is_refused(ours: Callable[..., Any]) -> None:
    for index in NOT_INDICES:
        for selection in (index, (index,), (index, 0), (0, index), (slice(None), index), (index, [0])):
            if isinstance(index, slice) and ours is pointwise:
                continue
            with pytest.raises(SelectionError):
                ours(selection, (3, 3))


def test_ranges_take_no_memory() -> None:
    shape = (2**60, 5)
    for ours in (basic, orthogonal):
        assert ours((range(0, 2**60, 2), 1), shape).axes[0] == range(0, 2**60, 2)
        assert list(ours(range(2**60 - 1, -1, -(2**58)), shape).axes[0])[-1] == 2**58 - 1
        assert ours(range(-(2**59), 0), shape).axes[0] == range(2**59, 2**60)
    assert basic(range(2**60), (2**60,)).shape == (2**60,)


def test_arrays_read_and_write_by_every_spelling(device: Device) -> None:
    """On every indexer, and by every method that takes a selection."""
    values = np.arange(30, dtype="i4").reshape(5, 6)
    a = gpuzarr.create_array({}, data=values, chunks=(2, 4), device=device)
    b = gpuzarr.create_array({}, data=values, chunks=(2, 4), device=device)
    there = on(device, np.array(2)), on(device, np.array([3, 0]))
    ints: list[Any] = [OfCupy(np.array(2)), there[0], np.uint64(2), Indexed(2), np.array(2, "u1")]
    many: list[Any] = [OfTorch(np.array([3, 0])), there[1], deque([3, 0]), range(3, -1, -3), array.array("b", [3, 0])]
    for one, some in zip(ints, many, strict=True):
        pairs: list[tuple[Any, Any, Any]] = [
            ((one, slice(None)), np.s_[2, :], a),
            ((one, some), np.s_[2, [3, 0]], a),
            ((some, some), np.s_[[3, 0], [3, 0]], a),
            ((some, one), np.s_[[3, 0], 2], a.vindex),
            ((some, slice(1, one)), np.s_[[3, 0], 1:2], a.oindex),
            ((slice(1, None, one), slice(one, one)), np.s_[1::2, 2:2], a),
            ((some, some), np.ix_([3, 0], [3, 0]), a.oindex),
            ((one, 1), np.s_[4:, 4:], a.blocks),
        ]
        for selection, plain, view in pairs:
            np.testing.assert_array_equal(host_array(view[selection]).reshape(values[plain].shape), values[plain])
            new = np.random.default_rng(0).integers(0, 99, values[plain].shape).astype("i4")
            view[selection], values[plain] = new, new
            np.testing.assert_array_equal(host_array(a[...]), values)
        np.testing.assert_array_equal(host_array(a.get((one, some))), values[2, [3, 0]])
        np.testing.assert_array_equal(host_array(a.get_coordinate_selection((some, one))), values[[3, 0], 2])
        np.testing.assert_array_equal(host_array(a.get_orthogonal_selection((some, one))), values[[3, 0], 2])
        np.testing.assert_array_equal(host_array(a.get_block_selection((one, 1))), values[4:, 4:])
        with a.writer() as w:
            w[some, one] = 7
        values[[3, 0], 2] = 7
        a.set((one, some), 8)
        values[2, [3, 0]] = 8
        assert a.explain((one, some)).chunks == 1 and a.explain_write((some, one)).chunks == 2
        mask = values % 2 == 0
        a.set_mask_selection(OfCupy(mask), 1)
        values[mask] = 1
        np.testing.assert_array_equal(host_array(a[...]), values)
    assert host_array(b[a[0, :1]]).shape == (1, 6)  # what was read is an index, too
