"""Conversions are those of a plain loop over elements, in Python's integers where nothing else is exact."""

from __future__ import annotations

from functools import partial
from math import inf, isnan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.convert import Conversion
from tests import hardware

INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
FLOATS = ("float16", "float32", "float64")
CPU = hardware.DEVICES["cpu"]()


def ends(dtype: Any) -> tuple[int, int]:
    return (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


def plain(value: Any, of: Any, to: Any, scale: Any, offset: Any, clamp: Any, nan_to: Any) -> Any:
    """One element of dtype `of`, converted to `to`."""
    is_exact = of.kind in "biu" and to.kind in "biu" and {type(scale), type(offset)} <= {int, type(None)}
    if is_exact:
        made: Any = int(value) * (1 if scale is None else scale) + (offset or 0)
    else:
        is_narrow = of.itemsize <= (4 if of.kind == "f" else 2)
        work = np.dtype("f4" if is_narrow and to != np.dtype("f8") else "f8")
        if to.kind == "f" and scale is None and offset is None and clamp is None and nan_to is None:
            return to.type(value)
        made = work.type(value)
        made = made if scale is None else made * work.type(scale)
        made = made if offset is None else made + work.type(offset)
        if isnan(made):
            made = nan_to if nan_to is not None else made
            return min(max(round(made), ends(to)[0]), ends(to)[1]) if to.kind != "f" else to.type(made)
    if to.kind == "f":
        low, high = (None, None) if clamp is None else clamp
        made = made if low is None else max(made, work.type(low))
        return to.type(made if high is None else min(made, work.type(high)))
    low, high = ends(to)
    whole = (inf if made > 0 else -inf) if made in (inf, -inf) else round(made if is_exact else float(made))
    least, most = (low, high) if clamp is None else (
        low if clamp[0] is None else round(clamp[0]), high if clamp[1] is None else round(clamp[1])
    )  # fmt: skip
    whole = min(max(whole, least), most)
    return low if whole < low else high if whole > high else whole


def elements(dtype: Any) -> st.SearchStrategy[Any]:
    """Elements of a dtype, often near those where something changes."""
    if dtype.kind == "f":
        halves = st.integers(-600, 600).map(lambda n: n / 2)
        borders = st.sampled_from([2.0**n + d for n in (7, 8, 15, 16, 31, 32, 63, 64) for d in (-1.0, -0.5, 0.0, 0.5)])
        found = halves | borders | borders.map(lambda x: -x) | st.floats(width=dtype.itemsize * 8)
        with np.errstate(over="ignore"):
            return found.map(partial(_as_float, dtype))
    low, high = ends(dtype)
    return st.integers(low, high) | st.sampled_from([low, high, min(low + 1, high), max(high - 1, low), 0])


def _as_float(dtype: Any, value: float) -> float:
    with np.errstate(over="ignore"):
        return float(dtype.type(value))


WHOLE = st.none() | st.integers(-3, 3) | st.integers(-(2**65), 2**65) | st.sampled_from([2**63, 2**64 - 1, 255])
REAL = st.none() | st.sampled_from([0.5, -0.5, 100.0, 255.0, 1e-3, 0.0]) | st.floats(-1e6, 1e6)
CLAMPS = st.none() | st.tuples(WHOLE | REAL, WHOLE | REAL).map(
    lambda pair: pair if None in pair or pair[0] <= pair[1] else pair[::-1]
)


@given(data=st.data())
@pytest.mark.parametrize("name", ["cpu", "emulated"])
def test_elements_are_those_of_a_plain_loop(name: str, data: st.DataObject) -> None:
    device = hardware.DEVICES[name]()
    of, to = (np.dtype(data.draw(st.sampled_from([*INTEGERS, *FLOATS]))) for _ in range(2))
    values = data.draw(st.lists(elements(of), max_size=12))
    numbers = data.draw(st.sampled_from([WHOLE, REAL]))
    scale, offset, clamp = data.draw(numbers), data.draw(numbers), data.draw(CLAMPS)
    nan_to = data.draw(st.sampled_from([None, 0, 7, -1.5, 1e9]))
    given_values = np.array(values, of)
    with np.errstate(all="ignore"):
        if to == np.float16 and nan_to == 1e9:
            nan_to = 7
        is_exact = of.kind in "biu" and to.kind in "biu" and numbers is WHOLE
        makes_nan = not is_exact and any(
            isnan(x * (scale or 0 if scale is not None else 1)) for x in map(float, given_values)
        )
        if makes_nan and nan_to is None and to.kind != "f":
            nan_to = 3
        expected = [plain(x, of, to, scale, offset, clamp, nan_to) for x in given_values]
    given_to_device = hardware.on(device, given_values.copy())
    made, check = Conversion(to, scale, offset, clamp, None, nan_to).apply(given_to_device, device)
    if check is not None:
        check()
    result = hardware.host_array(made)
    assert result.dtype == to
    np.testing.assert_array_equal(result, np.array(expected, to))
    np.testing.assert_array_equal(hardware.host_array(given_to_device), given_values)


@given(data=st.data())
@pytest.mark.parametrize("name", ["cpu", "emulated"])
def test_argmax_is_the_first_of_the_greatest(name: str, data: st.DataObject) -> None:
    device, of = hardware.DEVICES[name](), np.dtype(data.draw(st.sampled_from([*INTEGERS, *FLOATS])))
    shape = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    values = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 2, shape).astype(of)
    if of.kind == "f" and data.draw(st.booleans()):
        values.flat[data.draw(st.integers(0, values.size - 1))] = np.nan
    rows = np.moveaxis(values, axis, -1)
    expected = np.zeros(rows.shape[:-1], np.int64)
    for at in np.ndindex(expected.shape):
        row = rows[at].tolist()
        expected[at] = 99 if any(map(isnan, row)) else row.index(max(row))
    conversion = Conversion(argmax=axis, to="uint8", nan_to=data.draw(st.sampled_from([None, 99])))
    given_to_device = hardware.on(device, values)
    if conversion.nan_to is None and np.isnan(values.astype(float)).any():
        with pytest.raises(ArgumentError, match="block 3: there is NaN, of which argmax makes no index; say what"):
            _applied(conversion, given_to_device, device, "block 3")
        return
    result = _applied(conversion, given_to_device, device)
    assert result.dtype == np.uint8 and result.shape == conversion.shape_of(shape)
    np.testing.assert_array_equal(result, expected)
    plain_index = _applied(Conversion(argmax=axis, nan_to=99), given_to_device, device)
    assert plain_index.dtype == np.int64 and (plain_index == expected).all()


def _applied(conversion: Conversion, values: Any, device: Any, where: str = "it") -> np.ndarray:
    made, check = conversion.apply(values, device, where)
    assert made.dtype == conversion.dtype_of(values.dtype)
    if check is not None:
        check()
    return hardware.host_array(made)


@pytest.mark.parametrize("name", ["cpu", "emulated"])
def test_nan_becomes_no_integer_unless_it_is_said_which(name: str) -> None:
    device = hardware.DEVICES[name]()
    values = hardware.on(device, np.array([[1.5, np.nan], [np.inf, -np.inf]], "f4"))
    with pytest.raises(ArgumentError, match=r"block 7: NaN cannot become uint8; say what NaN is to become \(nan_to\)"):
        _applied(Conversion("uint8"), values, device, "block 7")
    with pytest.raises(ArgumentError, match="NaN cannot become"):  # infinity times 0
        _applied(Conversion("int8", scale=0.0, nan_to=None), hardware.on(device, np.array([np.inf], "f4")), device)
    assert _applied(Conversion("uint8", nan_to=9), values, device).tolist() == [[2, 9], [255, 0]]
    assert _applied(Conversion(nan_to=9, clamp=(None, 2)), values, device).tolist() == [[1.5, 9], [2, -np.inf]]
    kept = _applied(Conversion("float16", clamp=(-1, 1)), values, device)
    np.testing.assert_array_equal(kept, np.array([[1, np.nan], [1, -1]], "f2"))


@pytest.mark.parametrize("name", ["cpu", "emulated"])
def test_labels_stay_exact(name: str) -> None:
    device, labels = hardware.DEVICES[name](), np.array([0, 1, 2**53 + 1, 2**64 - 1], "u8")
    values = hardware.on(device, labels)
    assert Conversion().apply(values, device)[0] is values is Conversion("uint64").apply(values, device)[0]
    moved = _applied(Conversion("uint64", offset=5), values, device)
    assert moved.tolist() == [5, 6, 2**53 + 6, 2**64 - 1]
    assert _applied(Conversion(clamp=(1, 2**64 - 2)), values, device).tolist() == [1, 1, 2**53 + 1, 2**64 - 2]
    assert _applied(Conversion("int64", scale=-1), values, device).tolist() == [0, -1, -(2**53) - 1, -(2**63)]


@pytest.mark.parametrize(
    ("of", "conversion", "to"),
    [
        ("u1", Conversion(), "u1"),
        ("u1", Conversion(scale=2, clamp=(0, 9)), "u1"),
        ("u1", Conversion(scale=2.0), "f4"),
        ("i4", Conversion(offset=0.5), "f8"),
        ("f2", Conversion(clamp=(0, 1)), "f2"),
        ("f2", Conversion(scale=2), "f4"),
        ("f8", Conversion(scale=2), "f8"),
        ("f8", Conversion(argmax=0), "i8"),
        ("f8", Conversion(argmax=0, scale=0.5), "f8"),
        ("f8", Conversion("f2", argmax=0), "f2"),
        ("bool", Conversion(offset=1.0), "f4"),
    ],
)
def test_dtypes_that_are_not_given_follow_from_the_values(of: str, conversion: Conversion, to: str) -> None:
    assert conversion.dtype_of(np.dtype(of)) == to
    assert _applied(conversion, np.ones((2, 3), of), CPU).dtype == to


@pytest.mark.parametrize("name", ["cpu", "emulated"])
def test_nothing_of_nothing(name: str) -> None:
    device = hardware.DEVICES[name]()
    for conversion in (Conversion("u1", scale=2.0), Conversion("u1", argmax=0), Conversion("f2", clamp=(0, 1))):
        values = hardware.on(device, np.zeros((2, 0, 3), "f4"))
        assert _applied(conversion, values, device).shape == conversion.shape_of((2, 0, 3))


def test_bfloat16() -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    values = np.array([[0.25, 300], [1.5, -2]], bfloat16)
    assert _applied(Conversion("u1", scale=2), values, CPU).tolist() == [[0, 255], [3, 0]]
    assert _applied(Conversion(argmax=0), values, CPU).tolist() == [1, 0]
    assert _applied(Conversion(clamp=(0, 1)), values, CPU).tolist() == [[0.25, 1], [1, 0]]
    assert _applied(Conversion(bfloat16), np.array([0.1]), CPU).dtype == bfloat16


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"to": "complex64"}, "to must be a bool, integer or float dtype"),
        ({"to": ">u2"}, "native byte order"),
        ({"to": "uint9"}, "to='uint9' is no dtype"),
        ({"to": "S3"}, "to must be a bool"),
        ({"scale": np.inf}, "scale must be a finite number"),
        ({"scale": [1, 2]}, "scale must be a finite number"),
        ({"offset": "1"}, "offset must be a finite number"),
        ({"offset": True}, "offset must be a finite number"),
        ({"nan_to": np.nan}, "nan_to must be a finite number"),
        ({"clamp": 3}, "clamp must be a pair"),
        ({"clamp": (1, 2, 3)}, "clamp must be a pair"),
        ({"clamp": (3, 1)}, "clamp must be a pair"),
        ({"clamp": (np.nan, 1)}, "clamp must be a finite number"),
        ({"argmax": 0.5}, "argmax must be an integer"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem):
        Conversion(**arguments)


def test_values_that_do_not_fit_are_refused() -> None:
    for axis, shape in ((2, (3, 3)), (-3, (3, 3)), (0, (0, 3)), (0, ())):
        with pytest.raises(ArgumentError, match=f"argmax={axis} is no axis with elements"):
            Conversion(argmax=axis).apply(np.zeros(shape), CPU)
    for dtype in ("c8", "S3", "M8[s]"):
        with pytest.raises(ArgumentError, match="cannot be converted"):
            Conversion("u1").apply(np.zeros(3, dtype), CPU)
