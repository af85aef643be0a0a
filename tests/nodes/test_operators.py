"""Operators: nodes are compared with nodes, and nothing is calculated with an array that was not read."""

from __future__ import annotations

import math
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array

ARITHMETIC = ["add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "xor"]
BINARY = ["lt", "le", "gt", "ge", "eq", "ne", *ARITHMETIC, "and_", "or_"]
IN_PLACE = [f"i{name}" for name in ARITHMETIC] + ["iand", "ior"]
UNARY = [operator.neg, operator.pos, operator.invert, abs, round, math.trunc, math.floor, math.ceil]
VALUES = [1, 2.5, 1j, True, "a", b"a", None, [1, 2], (1, 2), np.arange(2), np.float32(1), {}, object()]


@pytest.fixture(params=[(2, "i4"), (3, "?"), (2, "S2"), (3, "f8")], ids=str)
def array(request: pytest.FixtureRequest) -> gpuzarr.Array:
    zarr_format, dtype = request.param
    return gpuzarr.create_array({}, shape=(2, 2), dtype=dtype, zarr_format=zarr_format, device="cpu")


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_nothing_is_calculated_with_an_array(array: gpuzarr.Array, value: Any) -> None:
    for name in BINARY + IN_PLACE:
        with pytest.raises(gpuzarr.ArgumentError, match=r"a\[\.\.\.\]") as refused:
            getattr(operator, name)(array, value)
        assert isinstance(refused.value, TypeError) and isinstance(refused.value, ValueError)
    with pytest.raises(gpuzarr.ArgumentError, match=r"a\[\.\.\.\]"):
        divmod(array, value)
    if not hasattr(value, "dtype") and not isinstance(value, str | bytes | list | tuple | dict):
        for name in BINARY:
            with pytest.raises(gpuzarr.ArgumentError):
                getattr(operator, name)(value, array)


def test_nothing_is_calculated_of_an_array(array: gpuzarr.Array) -> None:
    conversions: list[Any] = [int, float, complex, operator.index, lambda a: round(a, 2), lambda a: divmod(1, a), bool]
    for call in UNARY + conversions:
        with pytest.raises(TypeError):
            call(array)
    with pytest.raises(gpuzarr.ArgumentError, match=r"float\(a\[\.\.\.\]\)"):
        float(array)
    with pytest.raises(gpuzarr.ArgumentError):
        array + array


def test_truth_is_that_of_numpy() -> None:
    for values in (np.zeros(()), np.ones(()), np.zeros((1, 1)), np.ones(1)):
        assert bool(gpuzarr.array(values, device="cpu")) == bool(values.all())
    for shape in ((0,), (2,), (1, 0)):
        with pytest.raises(gpuzarr.ArgumentError, match=r"any\(\)"):
            bool(gpuzarr.zeros(shape, device="cpu"))


def test_functions_of_numpy_read_it(device: Device) -> None:
    values = np.arange(6).reshape(2, 3)
    a = gpuzarr.array(values, chunks=(1, 2), device=device)
    assert (np.add(host_array(a[...]), 1) == values + 1).all() and np.array_equal(np.asarray(a), values)
    if not device.gpu:
        assert (np.add(a, 1) == values + 1).all() and np.equal(a, 1).sum() == 1
        assert (
            (values + a == 2 * values).all()
            and (values == a).all()
            and np.maximum(values, a).tolist() == values.tolist()
        )
    a[...] += 1
    assert (host_array(a[...]) == values + 1).all() and 3 in gpuzarr.array([1, 3], device="cpu")


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ["folder", "mapping"])
def test_nodes_are_equal_if_they_are_the_same(zarr_format: Any, kind: str, tmp_path: Path) -> None:
    store: Any = tmp_path / "s" if kind == "folder" else {}
    g = gpuzarr.create_group(store, zarr_format=zarr_format)
    made = g.create_array("a", shape=3, dtype="f4", fill_value=np.nan, attributes={"x": float("nan")})
    other = g.create_array("b", shape=3, dtype="f4", fill_value=np.nan, attributes={"x": float("nan")})
    opened = gpuzarr.open_array(store, path="a")
    assert made == opened and hash(made) == hash(opened) and (made != opened) is False and made != other
    assert made in [other, opened] and len({made, opened, other}) == 2 and {made: 1}[opened] == 1
    assert g == gpuzarr.open_group(store) and hash(g) == hash(gpuzarr.open_group(store)) and g != g.create_group("c")
    assert (g == made) is False and g != 1
    elsewhere = gpuzarr.create_array({}, name="a", shape=3, dtype="f4", fill_value=np.nan, zarr_format=zarr_format)
    assert elsewhere != made
    made.attrs["y"] = 1
    assert made != opened and made == gpuzarr.open_array(store, path="a")
    made.resize(5)
    assert made == gpuzarr.open_array(store, path="a") and hash(made) == hash(opened) and made.attrs == dict(made.attrs)
    if kind == "folder":
        assert made == gpuzarr.open(tmp_path / "s" / "a") and hash(made) == hash(gpuzarr.open(tmp_path / "s" / "a"))
