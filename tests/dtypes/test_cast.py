"""Casting numbers: NumPy's formula to the bit, on the CPU and by the kernel."""

from __future__ import annotations

from itertools import product

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuzarr.dtypes.cast import cast_of
from gpuzarr.errors import ArgumentError
from gpuzarr.gpu.cast import cast_all
from tests.casts import assert_same
from tests.conftest import examples

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
ON_GPU = [*map(np.dtype, ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]), BFLOAT16]
SMALL = [np.dtype(getattr(ml_dtypes, f"float8_{name}")) for name in ("e4m3fn", "e5m2", "e3m4")]
INTS = [np.dtype(getattr(ml_dtypes, name)) for name in ("int4", "uint4")]
FLOATS = [np.dtype("f2"), np.dtype("f4"), np.dtype("f8"), BFLOAT16, *SMALL]
RNG = np.random.default_rng(3)


def numbers(dtype, count=700):
    """Elements of all sizes, with those at the ends of the range, around which results are rounded or overflow."""
    if dtype.kind == "b":
        return RNG.integers(0, 3, count, np.uint8).view(bool)  # damaged chunks have 2, too
    if dtype.kind in "iu":
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        bits = RNG.integers(0, 256, (count, dtype.itemsize), np.uint8).view(dtype).ravel()
        bits = bits >> RNG.integers(0, 8 * dtype.itemsize, count).astype(dtype)
        near = [2**24 + 1, 2**53 + 1, 65519, 65520, 2**40 + 2**16 + 1, 0, 1, 5]
        ends = [least, most, *(n for n in near if n <= most)]
        return np.concatenate([bits, np.array(ends, dtype)])
    if dtype in INTS:
        return np.arange(16).astype(np.int8).astype(dtype)
    if dtype.itemsize <= 2:
        return np.arange(256**dtype.itemsize).astype(f"u{dtype.itemsize}").view(dtype)
    bits = RNG.integers(0, 256, (count, dtype.itemsize), np.uint8).view(dtype).ravel()
    usual = RNG.standard_normal(count) * 10.0 ** RNG.integers(-10, 6, count)
    near = (1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-8 + 2.0**-40, 65519.99, 65520, 2.0**-25, 2.0**-25 * (1 + 2.0**-30))
    with np.errstate(over="ignore"):
        ends = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 5, *near, *(-x for x in near)]).astype(dtype)
        return np.concatenate([bits, usual.astype(dtype), ends])


def result(source, dtype, scale, offset):
    """By hand: what a result of `dtype` is by default, and in what is computed."""
    fits = (source.kind in "biu" and source.itemsize <= 2) or source in INTS
    fits = fits or (source.itemsize <= 4 and source.kind not in "biu")
    wide = np.dtype("f4" if fits else "f8")
    if dtype is None:  # which equals np.dtype("f8")
        return wide, wide
    return dtype, dtype if dtype == np.dtype("f8") else wide


def by_numpy(values, dtype, scale=None, offset=None, nan_of=None):
    """The formula, in whole arrays."""
    with np.errstate(all="ignore"):
        if scale is None and offset is None and nan_of is None:
            if dtype.isbuiltin == 2:
                values = values.astype("f4")
            return values.astype(dtype)
        made, work = result(values.dtype, dtype, scale, offset)
        made_of = np.where(values == nan_of, work.type(np.nan), values.astype(work))
        if scale is not None:
            made_of = made_of * work.type(scale)
        if offset is not None:
            made_of = made_of + work.type(offset)
        return (made_of.astype("f4") if made.isbuiltin == 2 else made_of).astype(made)


def possible(source, dtype):
    return dtype in FLOATS or source.kind in "biu" or dtype.kind == "b"


@pytest.mark.parametrize("source", [*ON_GPU, *SMALL, *INTS], ids=str)
def test_dtypes_as_numpy(source):
    values = numbers(source)
    for dtype in [*ON_GPU, *SMALL]:
        if possible(source, dtype) and source != dtype:
            assert_same(cast_of(source, 0, dtype, None, None, False).of(values), by_numpy(values, dtype))


@pytest.mark.parametrize("source", [*ON_GPU, *SMALL, *INTS], ids=str)
@pytest.mark.parametrize("given", [{"scale": 0.1}, {"offset": -273.15}, {"scale": -3, "offset": 7.1}, {}])
@pytest.mark.parametrize("to_nan", [False, True])
def test_the_formula(source, given, to_nan, loops):
    values = numbers(source)
    for dtype in [None, *FLOATS] if given else FLOATS:
        if not given and not to_nan:
            continue
        cast = cast_of(source, 5, dtype, given.get("scale"), given.get("offset"), to_nan)
        wanted = source.type(5) if to_nan else None
        if not given and dtype in (np.dtype("f4"), np.dtype("f8")):  # rounded once
            with np.errstate(invalid="ignore"):
                expected = np.where(values == wanted, dtype.type(np.nan), by_numpy(values, dtype))
            assert_same(cast.of(values), expected)
            continue
        if dtype is None or given or dtype == np.dtype("f2"):
            assert_same(cast.of(values), by_numpy(values, dtype, nan_of=wanted, **given))


@pytest.mark.parametrize("source", ON_GPU, ids=str)
def test_the_kernel_as_the_cpu(gpu, source):
    values = numbers(source)
    there = gpu.upload(values)
    options = [(None, None, False), (0.1, None, False), (-3, 7.1, True), (None, -0.5, False), (None, None, True)]
    for dtype, (scale, offset, to_nan), fill in product(ON_GPU, options, (5, 0)):
        if not possible(source, dtype) or (dtype not in FLOATS and (scale or offset or to_nan)):
            continue
        if (cast := cast_of(source, fill, dtype, scale, offset, to_nan)) is not None:
            assert_same(gpu.download(cast_all(gpu, there, cast)), cast.of(values))


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(0, 40), max_size=4),
    step=st.integers(1, 3),
    order=st.randoms(),
    target=st.sampled_from(["f4", "f8", "f2", BFLOAT16]),
)
def test_any_strides(shape, step, order, target):
    axes = list(range(len(shape)))
    order.shuffle(axes)
    memory = RNG.integers(0, 100, [n * step for n in shape]).astype("i2")
    values = memory[(*(slice(None, None, step) for _ in shape), ...)].transpose(axes)
    cast = cast_of(values.dtype, 7, np.dtype(target), 0.3, 2, True)
    out = np.zeros([n + 1 for n in values.shape], target)[(*(slice(1, None) for _ in shape), ...)]
    cast.put(out, values)
    assert_same(out.copy(), by_numpy(values, np.dtype(target), 0.3, 2, 7))


@pytest.mark.parametrize("shape", [(1 << 17,), (3, 1 << 16), (1 << 13, 9), (2, 3, 1 << 15), ()])
def test_pieces(shape):
    values = RNG.integers(0, 100, shape).astype("u2")
    out = np.empty(shape, "f4")
    cast_of(values.dtype, 7, None, 0.3, None, True).put(out, values)
    assert_same(out, by_numpy(values, None, 0.3, None, 7))


def test_nan_and_other_fill_values():
    cast = cast_of(np.dtype("f4"), np.float32(np.nan), None, None, 1, True)
    assert cast.nan_of is None and np.isnan(cast.one(np.nan)) and cast.one(2) == 3
    zeros = cast_of(np.dtype("f4"), np.float32(-0.0), None, None, None, True).of(np.array([0.0, -0.0, 1], "f4"))
    assert np.isnan(zeros).tolist() == [True, True, False]
    cast = cast_of(np.dtype("i2"), 0, None, None, None, -999)
    assert cast.dtype == np.dtype("f4") and np.isnan(cast.of(np.array([-999, 0], "i2"))).tolist() == [True, False]


@pytest.mark.parametrize(
    "source, dtype, default",
    [
        *(("?", None, "f4"), ("u1", None, "f4"), ("i2", None, "f4"), ("i4", None, "f8"), ("u8", None, "f8")),
        *(("f2", None, "f4"), (BFLOAT16, None, "f4"), ("f4", None, "f4"), ("f8", None, "f8"), ("f8", "f2", "f2")),
    ],
)
def test_default_dtypes(source, dtype, default):
    wanted = None if dtype is None else np.dtype(dtype)
    assert cast_of(np.dtype(source), 0, wanted, 2, None, False).dtype == np.dtype(default)
    alone = cast_of(np.dtype(source), 0, wanted, None, None, True).dtype
    assert alone == np.dtype(source if np.dtype(source) in FLOATS and dtype is None else default)


@pytest.mark.parametrize("source", ["U3", "S2", "O", "M8[s]", "c8", [("a", "i2")], "V3", "g"])
def test_what_is_no_number(source):
    with pytest.raises(ArgumentError, match="cannot be cast"):
        cast_of(np.dtype(source), None, np.dtype("f4"), None, None, False)
    assert cast_of(np.dtype(source), None, np.dtype(source), None, None, False) is None


@pytest.mark.parametrize(
    "source, dtype, options, message",
    [
        ("f4", "i4", {}, "floats .float32. are not read as int32"),
        ("u2", "i4", {"scale": 2}, "make floats"),
        ("u2", "u2", {"fill_to_nan": True}, "make floats"),
        ("u2", "c8", {}, "no result of dtype complex64"),
        ("u2", ">f4", {}, "no result of dtype >f4"),
        ("u2", "U3", {}, "no result of dtype"),
        ("u2", ml_dtypes.int4, {}, "no result of dtype int4"),
        ("u2", ml_dtypes.float4_e2m1fn, {"fill_to_nan": True}, "a dtype that has NaN"),
        ("u2", None, {"scale": "2"}, "scale must be one finite number"),
        ("u2", None, {"scale": True}, "scale must be one finite number"),
        ("u2", None, {"scale": np.array([1.0, 2.0])}, "scale must be one finite number"),
        ("u2", None, {"scale": 1e300}, "finite number of float32"),
        ("f8", None, {"scale": 10**400}, "scale"),
        ("u2", None, {"offset": np.nan}, "offset must be one finite number"),
        ("u2", None, {"offset": 1j}, "offset must be one finite number"),
        ("u2", None, {"fill_to_nan": -1}, "no element of uint16"),
        ("u2", None, {"fill_to_nan": "0"}, "no element of uint16"),
        ("u2", None, {"fill_to_nan": 0.5}, "no element of uint16: it is no whole number"),
    ],
)
def test_what_cannot_be(source, dtype, options, message):
    given = {"scale": None, "offset": None, "fill_to_nan": False, **options}
    with pytest.raises(ArgumentError, match=message):
        cast_of(np.dtype(source), 0, None if dtype is None else np.dtype(dtype), **given)


def test_numbers_of_numpy():
    for scale in (np.float32(2), np.float64(2), np.int8(2), np.array(2.0), 2):
        cast = cast_of(np.dtype("u2"), 0, None, scale, None, False)
        assert cast.one(3) == 6 and cast.dtype == np.dtype("f4")
