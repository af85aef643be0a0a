"""What is made of windows, one after another, as plainly as possible; and arrays to make it of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
INTEGERS = [np.dtype(f"{kind}{size}") for kind in "ui" for size in (1, 2, 4, 8)]
FLOATS = [np.dtype("f2"), BFLOAT16, np.dtype("f4"), np.dtype("f8")]
DTYPES = [np.dtype(bool), *INTEGERS, *FLOATS]


def is_float(dtype: np.dtype) -> bool:
    return dtype in FLOATS


def expected(values: np.ndarray, factors: tuple[int, ...], method: str, background: Any = None) -> np.ndarray:
    """As `downsample`, of numbers."""
    shape = tuple(-(-length // factor) for length, factor in zip(values.shape, factors, strict=True))
    made = np.zeros(shape, values.dtype)
    for place in np.ndindex(*shape):
        window = values[tuple(slice(i * factor, (i + 1) * factor) for i, factor in zip(place, factors, strict=True))]
        elements = list(window.reshape(-1))
        if method == "nearest":
            made[place] = elements[0]
        elif method == "mean":
            made[place] = float_mean(elements) if is_float(values.dtype) else whole_mean(elements)
        else:
            made[place] = ranked(elements, method, background)
    return made


def whole_mean(elements: list[Any]) -> int:
    return round(Fraction(sum(map(int, elements)), len(elements)))  # to the even one of two as near


def float_mean(elements: list[Any]) -> Any:
    work = np.float64 if elements[0].dtype == np.float64 else np.float32
    total = work(0)
    with np.errstate(all="ignore"):
        for element in elements:
            total = total + work(element)
        return total / work(len(elements))


def ranked(elements: list[Any], method: str, background: Any) -> Any:
    numbers = [element for element in elements if element == element]
    if not numbers:
        return elements[0]
    if method == "mode":
        counted = [number for number in numbers if background is None or number != background] or numbers
        counts = Counter(number + 0 if is_float(number.dtype) else number for number in counted)  # -0.0 + 0 is 0.0
        return min(counts, key=lambda number: (-counts[number], number))
    in_order = sorted(numbers, key=lambda number: (number, not np.signbit(number.astype("f8"))))
    return in_order[{"min": 0, "max": -1, "median": (len(in_order) - 1) // 2}[method]]


def assert_same_bits(made: np.ndarray, wanted: np.ndarray) -> None:
    """Equal, -0.0 and 0.0 being two numbers; any NaN is the positive quiet one."""
    assert made.dtype == wanted.dtype and made.shape == wanted.shape and made.flags.c_contiguous
    if is_float(wanted.dtype):
        wanted = np.array(wanted)
        of_nan = {2: 0x7E00, 4: 0x7FC0_0000, 8: 0x7FF8_0000_0000_0000}[wanted.dtype.itemsize]
        bits = wanted.view(f"u{wanted.dtype.itemsize}")
        bits[np.asarray(wanted != wanted)] = 0x7FC0 if wanted.dtype == BFLOAT16 else of_nan
    assert made.tobytes() == wanted.tobytes(), f"{made}\nis not\n{wanted}"


def elements_of(dtype: np.dtype) -> np.ndarray:
    """Few enough for modes to be of several, and those at the ends of what a dtype holds."""
    if dtype.kind == "b":
        return np.array([False, True])
    if is_float(dtype):
        most = ml_dtypes.finfo(dtype).max
        some = [0.0, -0.0, 1, 1, 2, 2.5, -3, 1e-8, np.nan, np.inf, -np.inf, most, -most, most, 0.1]
        return np.array(some, np.float64).astype(dtype)
    ends = np.iinfo(dtype)
    return np.array([0, 0, 1, 2, 3, ends.min, ends.max, ends.max - 1, ends.min + 1, ends.max // 2 + 1], dtype)


@dataclass(frozen=True)
class View:
    """A view of memory of the host; `of` makes the same of a copy on another device."""

    memory: np.ndarray
    where: tuple[slice, ...]
    axes: tuple[int, ...]

    def of(self, memory: Any) -> Any:
        return memory[self.where].transpose(self.axes) if self.axes else memory

    @property
    def values(self) -> np.ndarray:
        return self.of(self.memory)


@st.composite
def views(draw: st.DrawFn, dtypes: list[np.dtype] = DTYPES, most: int = 200) -> View:
    """Views of any strides: their axes in any order in memory, with gaps, some backward."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 4, 5, 8, 17, 33]), max_size=5))
    while np.prod(shape) > most:
        shape.remove(max(shape))
    order = draw(st.permutations(range(len(shape))))
    gaps = [draw(st.sampled_from([1, 1, 2])) for _ in shape]
    chosen = np.random.default_rng(draw(st.integers(0, 1000)))
    pool = chosen.choice(elements_of(dtype), draw(st.integers(2, 12)))
    memory = chosen.choice(pool, [shape[axis] * gap for axis, gap in zip(order, gaps, strict=True)])
    where = tuple(slice(None, None, gap * draw(st.sampled_from([1, 1, -1]))) for gap in gaps)
    return View(np.asarray(memory, dtype), where, tuple(map(int, np.argsort(order))))


@st.composite
def factors_of(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(draw(st.sampled_from([1, 1, 2, 2, 3, 5, 40])) for _ in shape)
