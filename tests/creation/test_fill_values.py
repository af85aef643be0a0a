"""Every document that is written is opened by others, with the same fill value; or nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from tests.peers import tensorstore_reads, zarrs_reads

FLOATS = {  # the bits of NaNs with sign and payload, of the least subnormal number, of -0.0
    "f2": (0x7E00, 0x7E01, 0xFE00, 0x7C01, 0x0001, 0x8000),
    "f4": (0x7FC00000, 0x7FC00001, 0xFFC00000, 0x7F800001, 0x00000001, 0x80000000),
    "f8": (0x7FF8 << 48, (0x7FF8 << 48) + 1, 0xFFF8 << 48, (0x7FF0 << 48) + 1, 1, 1 << 63),
}
TIMES = ("M8[ns]", "m8[us]", "M8[D]", "M8[10s]", ">M8[s]", "M8", "m8")
RECORD = np.dtype([("a", "<i2"), ("b", ">f4"), ("c", "S3"), ("d", "M8[s]"), ("e", "<c8"), ("f", "?"), ("g", "<U2")])
NESTED = np.dtype([("x", [("y", "<f8"), ("z", "<i4")]), ("w", "u1")])
OF_ZARR_3_2 = (RECORD, NESTED, np.dtype("M8"))  # whose documents zarr-python 3.1 does not read


def of_bits(dtype: str) -> list[Any]:
    return [np.array(bits, f"u{np.dtype(dtype).itemsize}").view(dtype)[()] for bits in FLOATS[dtype]]


def numbers(dtype: str) -> list[Any]:
    limits = np.finfo(dtype)
    return [*of_bits(dtype), np.inf, -np.inf, limits.max, limits.tiny, 1.5, np.float64(np.inf) - np.float64(np.inf)]


def complex_numbers(dtype: str, part: str) -> Iterator[Any]:
    values = np.array(numbers(part), part)
    for real, imag in product(values[::2], values[1::3]):
        made = np.zeros(1, dtype)
        made.view(part)[:] = real, imag
        yield made[0]


def records() -> Iterator[Any]:
    made = np.zeros(1, RECORD)
    yield made[0].copy()
    made["a"], made["b"], made["c"], made["d"] = -3, np.array(0xFFC00001, "u4").view("f4"), b"xy", "NaT"
    made["e"], made["f"], made["g"] = complex(np.nan, -np.inf), True, "é"
    yield made[0]


def cases() -> Iterator[tuple[Any, Any]]:
    for dtype in ("i1", "u1", "<i2", ">u2", "<i4", "u4", ">i8", "u8"):
        yield from ((dtype, value) for value in (0, np.iinfo(dtype).min, np.iinfo(dtype).max))
    for order, dtype in product("<>", FLOATS):
        yield from ((order + dtype, value) for value in numbers(dtype))
    for dtype, part in (("<c8", "f4"), (">c8", "f4"), ("<c16", "f8")):
        yield from ((dtype, value) for value in complex_numbers(dtype[1:], part))
    yield from (
        (dtype, np.array(n, "i8").view(np.dtype(dtype).newbyteorder("="))[()])
        for dtype in TIMES
        for n in (-(2**63), 0, -5, 2**63 - 1)
    )
    yield from (("?", value) for value in (True, False))
    yield from ((dtype, value) for dtype in ("S2", "S5") for value in (b"", b"a", b"\xff", b"a\0b"[: int(dtype[1:])]))
    yield from ((dtype, value) for dtype in ("<U1", ">U3") for value in ("", "a", "\U0001f600"))
    yield from (("V3", np.frombuffer(value, "V3")[0]) for value in (b"\0\0\0", b"\xff\0a"))
    yield from ((str, value) for value in ("", "é\U0001f600", "NaN", "\0"))
    yield from ((bytes, value) for value in (b"", b"a", b"\xff\0"))
    yield from ((RECORD, value) for value in records())
    yield NESTED, np.array([((np.nan, 3), 7)], NESTED)[0]


CASES = list(cases())


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same, NaN being NaN, and -0.0 not 0.0."""
    if isinstance(one, str | bytes) and not isinstance(one, np.generic):
        return bool(one == other)
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.names:
        return all(same(one[name], other[name]) for name in one.dtype.names)
    if one.dtype.kind == "c":
        return same(one.real, other.real) and same(one.imag, other.imag)
    if one.dtype.kind == "f":
        return np.array_equal(one, other, equal_nan=True) and bool(
            np.isnan(one) or np.signbit(one) == np.signbit(other)
        )
    return one.astype(one.dtype.newbyteorder("=")).tobytes() == other.astype(one.dtype.newbyteorder("=")).tobytes()


def is_known(dtype: np.dtype) -> bool:
    """Whether the zarr-python that is installed knows the data type."""
    return dtype not in OF_ZARR_3_2 or tuple(map(int, zarr.__version__.split(".")[:2])) >= (3, 2)


@pytest.mark.filterwarnings("ignore")  # zarr-python: data types that are not in the specification
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", dict.fromkeys(str(np.dtype(dtype)) for dtype, _ in CASES))
def test_documents_are_opened_by_others(kind: str, zarr_format: int, tmp_path: Path) -> None:
    for i, (given, value) in enumerate(case for case in CASES if str(np.dtype(case[0])) == kind):
        made = gpuzarr.create_array(
            path := tmp_path / str(i), shape=3, chunks=2, dtype=given, fill_value=value, zarr_format=zarr_format
        )
        dtype = np.dtype(given)
        wanted = value if given in (str, bytes) else np.asarray(value).astype(dtype.newbyteorder("="))[()]
        assert same(made.fill_value, wanted)
        assert same(made[0], wanted)
        if is_known(dtype):
            theirs = zarr.open_array(path, mode="r")
            exact = given in (str, bytes)
            assert same(theirs.fill_value if exact else np.asarray(theirs.fill_value).astype(dtype), wanted)
            assert same(theirs[0:1][0], wanted)
        if dtype.kind in "SV" and dtype.itemsize and dtype.names is None and zarr_format == 2:
            tensorstore_reads(path)
        if dtype.kind in "iufcb":
            assert same(tensorstore_reads(path)[0], wanted)
            if zarr_format == 3:
                assert same(zarrs_reads(path)[0], wanted)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "f8", "<c8", "c16"])
def test_v2_has_one_nan(dtype: str) -> None:
    part = f"f{np.dtype(dtype).itemsize // (2 if 'c' in dtype else 1)}"
    for nan in of_bits(part)[:4]:
        value = complex(float(nan), 1) if "c" in dtype else nan
        made = gpuzarr.create_array(store := {}, shape=1, dtype=dtype, fill_value=value, zarr_format=2)
        assert json.loads(store[".zarray"])["fill_value"] in ("NaN", ["NaN", 1.0])
        made[...] = value
        assert made[...].tobytes() == np.array(value, made.dtype).tobytes()  # chunks keep every bit


def test_v3_keeps_the_bits_of_nan() -> None:
    for dtype in FLOATS:
        for value in of_bits(dtype):
            made = gpuzarr.create_array(store := {}, shape=1, dtype=dtype, fill_value=value)
            assert made.fill_value.tobytes() == gpuzarr.open(store)[0].tobytes() == value.tobytes()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (str, "\ud800"),
        (str, ["a"]),
        ("i4", "x"),
        ("i4", np.nan),
        ("u1", 300),
        ("M8[s]", "when"),
        (RECORD, (1, 2)),
        ("f4", [1, 2]),
        (bytes, "é"),
        ("f4", object()),
    ],
)
def test_what_is_no_fill_value_is_refused_before_anything_is_written(dtype: Any, value: Any, zarr_format: int) -> None:
    with pytest.raises(gpuzarr.MetadataError):
        gpuzarr.create_array(store := {}, shape=1, dtype=dtype, fill_value=value, zarr_format=zarr_format)
    assert not store
