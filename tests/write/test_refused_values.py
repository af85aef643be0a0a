"""What is read is what was given, or nothing was written: every dtype, every kind of value, every way to write."""

from __future__ import annotations

import datetime
import decimal
import warnings
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array, on

Text = np.dtypes.StringDType
DTYPES: dict[str, Any] = {
    **{name: name for name in ("?", "i1", ">i2", "u4", "i8", "u8", "f2", ">f4", "f8", "c8", "S3", "U4", ">U2", "V2")},
    **{name: name for name in ("M8[s]", ">M8[D]", "M8[ns]", "m8[ms]", "bfloat16", "int4", "float8_e4m3fn")},
    "text": str,
    "bytes": bytes,
    "record": [("a", "i1"), ("b", ">f4"), ("c", "S2")],
}
OBJECTS = [
    *(["a", None], [None, None], ["a", np.nan], [1, 2], [1, 2**70], [-1, 300], [1.5, 2], [True, 2], ["a", b"b"]),
    *([b"ab\0", b"c"], ["ab\0", "c"], ["\ud800", "a"], [{}, 1], [b"abcdef", b""], ["abcdef", ""], ["é", "ab"], [1j, 2]),
    *([decimal.Decimal("1.5"), 1], [datetime.date(2020, 1, 2), None], [datetime.datetime(2020, 1, 2, 3, 4, 5, 6)] * 2),
    *([np.datetime64("2020-01-01T00:00:00.001"), np.datetime64("NaT")], [1e300, np.inf], [np.nan, 1], [b"\xff", b"a"]),
]
ARRAYS: list[Any] = [
    *(np.array(["a", "b"], Text(na_object=None)), np.array(["a", None], Text(na_object=None))),
    *(np.array(["a", np.nan], Text(na_object=np.nan)), np.array(["abcdef", ""]), np.array(["é", "a"])),
    np.array(["1", "2"]),
    *(np.array(["a" * 9, "é"], Text()), np.array([b"abc", b""]), np.array([b"abcd", b"e"]), np.array([b"\xff", b"a"])),
    *(np.array([0, 1]), np.array([-1, 300]), np.array([2**63, 1], "u8"), np.array([2**40, -5]), np.array([0, 1], "?")),
    *(np.array([0.0, 1.0]), np.array([1.5, np.nan]), np.array([np.inf, -np.inf]), np.array([1e300, 1.0], ">f8")),
    *(np.array([1e6, -1e6], "f4"), np.array([1 + 2j, 0]), np.array([1e300j, 1]), np.array([1, 0j], "c8")),
    *(np.array([3, np.nan]).astype(ml_dtypes.bfloat16), np.array([np.nan, 1]).astype(ml_dtypes.float8_e5m2)),
    *(np.array(["2020-01-01T00:00:00.5", "NaT"], "M8[ms]"), np.array(["2020-01-01", "1970-01-01"], "M8[D]")),
    *(np.array(["292277026597", "1"], "M8[Y]"), np.array(["NaT", "NaT"], "M8[ns]"), np.array([2**62, 1], "m8[s]")),
    *(np.array([1000, 2], "m8[us]"), np.array([b"ab", b"c"], "V2"), np.array([b"abcd", b"c"], "V4")),
    np.array([(1, 2.0, b"a")] * 2, DTYPES["record"]),
    np.array([(1, 2.0, b"a")] * 2, [("b", "i1"), ("a", "f4"), ("c", "S2")]),
    *(np.array([(300, 2.0, b"a")] * 2, [("a", "i2"), ("b", "f4"), ("c", "S2")]), np.array([(1, 2.0)] * 2, "i1,f4")),
    *(np.array([(1, 2.0, b"abc")] * 2, [("a", "i1"), ("b", "f4"), ("c", "S3")]), np.ma.array([1, 2], mask=[0, 1])),
    np.array([(1, 1e300, b"")] * 2, [("a", "i1"), ("b", "f8"), ("c", "S2")]),
]


def objects(values: list[Any]) -> np.ndarray:
    made = np.empty(len(values), object)
    made[:] = values
    return made


VALUES = [*ARRAYS, *map(objects, OBJECTS), *OBJECTS]
SCALARS: list[Any] = [None, "abcdef", b"ab\0", "a\0", 300, 2**70, -1, np.nan, 1e300, 2j, True, np.ma.masked, {}]


def same(given: Any, found: Any) -> bool:
    """Whether what is read is what was given, but for the precision of numbers, texts of them, and their truth."""
    if isinstance(found, tuple):  # all fields get what is no record
        given = given if isinstance(given, tuple) else (given,) * len(found)
        return len(given) == len(found) and all(map(same, given, found))
    if isinstance(given, np.datetime64 | np.timedelta64):
        given = given.item()
    if given is None or found is None:  # None of NaT
        other = found if given is None else given
        return given is found or (isinstance(other, float | complex) and other != other)
    if isinstance(found, bool) and not isinstance(given, str | bytes):
        return bool(given) == found and given == given
    if isinstance(given, str) and isinstance(found, datetime.date):
        return bool(np.datetime64(given.zfill(4)) == np.datetime64(found))
    if isinstance(given, str) and isinstance(found, datetime.timedelta):
        return int(given) == found / datetime.timedelta(milliseconds=1)
    if isinstance(given, str) and isinstance(found, int | float | complex):
        return same(float(given), found)
    if isinstance(found, str | bytes) and not isinstance(given, str | bytes):
        return is_text_of(given, found.decode() if isinstance(found, bytes) else found)
    if isinstance(given, str | bytes) and isinstance(found, str | bytes):
        one, other = (x.encode(errors="surrogatepass") if isinstance(x, str) else x for x in (given, found))
        return one == other or (one + b"\0" == other and len(other) == 2)  # raw bytes are as long as their type
    if isinstance(given, bytes) or isinstance(found, bytes):
        return given == found
    if isinstance(given, datetime.date) and isinstance(found, datetime.date):
        unit = datetime.timedelta(seconds=1) if isinstance(found, datetime.datetime) else datetime.timedelta(1)
        return bool(abs(np.datetime64(given) - np.datetime64(found)) < unit)
    times = datetime.date | datetime.timedelta
    if isinstance(given, times) or isinstance(found, times):  # a number of units; NumPy has some as ints
        return isinstance(given, int | float | times) and isinstance(found, int | float | complex | times)
    number, other = complex(given), complex(found)
    if number != number or other != other:
        return number != number and other != other
    if isinstance(found, int):
        return int(number.real) == found or int(given) == found
    return number == other or abs(number - other) <= 0.07 * abs(number)


def is_text_of(given: Any, found: str) -> bool:
    """Whether a text is what NumPy, or `str`, makes of a number or a time."""
    if isinstance(given, bool):
        return found in (str(given), str(int(given)))
    if isinstance(given, datetime.date):
        return bool(np.datetime64(given) == np.datetime64(found))
    if isinstance(given, datetime.timedelta):
        return found.split()[0].lstrip("-").isdigit()
    return found == str(given) or (not isinstance(given, dict) and same(given, complex(found)))


def as_numpy(value: Any, dtype: np.dtype[Any]) -> Any:
    """What NumPy makes of an array of integers or bools: another number, if this one is out of range."""
    if not isinstance(value, np.ndarray):
        return value
    if dtype.names is not None and value.dtype.names == dtype.names:
        fields = [(name, as_numpy(value[name], dtype[name])) for name in dtype.names]
        made = np.empty(value.shape, [(name, field.dtype) for name, field in fields])
        for name, field in fields:
            made[name] = field
        return made
    return value.astype(dtype) if value.dtype.kind in "biu" and dtype.kind in "biu" else value


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "brackets": lambda a, v: a.__setitem__(slice(1, 3), v),
    "orthogonal": lambda a, v: a.set_orthogonal_selection([1, 2], v),
    "points": lambda a, v: a.vindex.__setitem__([1, 2], v),
    "basic": lambda a, v: a.set_basic_selection(slice(1, 3), v),
    "writer": lambda a, v: write(a, v),
    "append": lambda a, v: a.append(v),
}


def write(a: gpuzarr.Array, value: Any) -> None:
    with a.writer() as w:
        w[1:3] = value


def create(store: Any, dtype: Any, device: Any, shape: int = 4) -> gpuzarr.Array:
    if dtype is bytes:
        dtype = "variable_length_bytes"
    return gpuzarr.create_array(store, shape=shape, chunks=1, dtype=dtype, compressors=None, device=device)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.filterwarnings("ignore")
def test_what_is_read_is_what_was_given(name: str, device: Device) -> None:
    """An array to which nothing was written is the one for the next value, too."""
    taken, new = 0, None
    for value in VALUES:
        for way, do in WAYS.items():
            if way not in ("brackets", "append") and device.gpu:
                continue
            if new is None:
                store: dict[str, Any] = {}
                new = create(store, DTYPES[name], device)
                before = dict(store)
            try:
                do(new, value)
            except (gpuzarr.ValueKindError, gpuzarr.DeviceError):
                assert store == before, (name, value, way)
                continue
            a, new = new, None
            found = host_array(a[-2:] if way == "append" else a[1:3])
            if getattr(value, "dtype", np.dtype("O")).kind == found.dtype.kind in "Mm":
                near = np.abs(found - value) < np.timedelta64(1, np.datetime_data(found.dtype)[0])
                assert (near | (np.isnat(found) & np.isnat(value))).all(), (name, value, way, found)
                continue
            if getattr(value, "dtype", np.dtype("O")).kind in "Mm" and found.dtype.kind in "TUS":
                texts = found if found.dtype.kind == "T" else found.astype(str)
                assert texts.tolist() == value.astype(str).tolist(), (name, value, way, found)
                continue
            value = as_numpy(value, found.dtype)
            found = found.tolist()
            given = [v.item() if isinstance(v, np.void) and v.dtype.names is None else v for v in list(value)]
            given = np.asarray(value).tolist() if isinstance(value, np.ndarray) else given
            assert all(map(same, given, found)), (name, value, way, found)
            taken += 1
    assert taken


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.filterwarnings("ignore")
def test_scalars(name: str, device: Device) -> None:
    for value in SCALARS:
        store: dict[str, Any] = {}
        a = create(store, DTYPES[name], device)
        before = dict(store)
        try:
            a[1:3] = value
        except gpuzarr.ValueKindError:
            assert store == before
            continue
        if not (name == "record" and isinstance(value, int | float)):  # all fields get it
            assert all(same(value, found) for found in host_array(a[1:3]).tolist()), (name, value, a[1:3])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_texts_make_no_array(missing: Any, zarr_format: Any) -> None:
    value = np.array(["a", missing], Text(na_object=missing))
    store: dict[str, Any] = {}
    for make in (
        lambda: gpuzarr.create_array(store, data=value, zarr_format=zarr_format),
        lambda: gpuzarr.save(store, value, zarr_format=zarr_format),
        lambda: gpuzarr.save_group(store, value, zarr_format=zarr_format),
        lambda: gpuzarr.array(value, store=store, zarr_format=zarr_format),
    ):
        with pytest.raises(gpuzarr.ValueKindError, match="missing"):
            make()
        assert not [key for key in store if key.startswith(("c/", "0"))]


NO_FILLS: list[Any] = [
    *(("i4", np.nan), ("u1", 300), ("u1", -1), ("i4", "a"), ("S2", "é"), ("i1", np.int64(300)), ("u1", np.int64(-1))),
    *(("u1", np.array(300)), ("u1", np.float64(np.nan)), ("u1", np.float32(3e9)), ("i8", 2.0**63), ("i4", 1j)),
    *(("f4", 1e300), ("f2", np.float64(1e6)), ("U3", "abcdef"), ("S3", b"abcdef"), ("S3", 2.25), ("V2", b"abc")),
    *(("?", np.nan), ("?", "a"), (str, np.nan), (str, np.datetime64("NaT", "s")), (bytes, 3), (bytes, [1])),
    *(("M8[ns]", np.datetime64("9999", "Y")), ("m8[s]", np.datetime64(5, "s")), ("i4", np.datetime64("NaT", "s"))),
    *(("bfloat16", 1e300), ("int4", 8), ("float8_e4m3fn", 1e6), (DTYPES["record"], (300, 1, b"")), ("V2", 1.5)),
    *((DTYPES["record"], (1, 1, b"abc")), (str, "\ud800"), ("i4", [1]), ("i4", {})),
]


@pytest.mark.parametrize("dtype, fill", NO_FILLS)
def test_fill_values_that_do_not_fit(dtype: str, fill: Any) -> None:
    store: dict[str, Any] = {}
    for zarr_format in (2, 3):
        for make in (gpuzarr.create_array, lambda s, **o: gpuzarr.full(o.pop("shape"), store=s, **o)):
            with pytest.raises(gpuzarr.GpuZarrError):
                make(store, shape=3, dtype=dtype, fill_value=fill, zarr_format=zarr_format)
            assert not store


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.filterwarnings("error")
def test_fill_values_are_converted_as_elements_are(zarr_format: Any) -> None:
    for dtype, fill, found in (
        *(("u1", 1.5, 1), ("?", 2, True), ("f4", "NaN", np.nan), ("f4", 1 + 0j, 1), ("i4", np.array(3, "u8"), 3)),
        *(
            (str, 1.5, "1.5"),
            ("S3", b"a\0", b"a"),
            ("U3", "\0", ""),
            ("S3", "ab", b"ab"),
            ("U3", 12, "12"),
            ("U3", "\u00e9", "\u00e9"),
        ),
        *(
            ("M8[s]", np.datetime64("2020-01-01T00:00:00.5"), np.datetime64("2020-01-01T00:00:00")),
            ("V2", b"a", b"a\0"),
        ),
        *(
            (DTYPES["record"], 0, (0, 0, b"0")),
            (DTYPES["record"], (1, np.inf, "ab"), (1, np.inf, b"ab")),
            (DTYPES["record"], [1, 2, "a"], (1, 2, b"a")),
        ),
    ):
        a = gpuzarr.create_array({}, shape=1, dtype=dtype, fill_value=fill, zarr_format=zarr_format)
        want = np.array(found, a.dtype)
        assert a[:].tolist() == [want.item()] or np.array_equal(a[:], [want], equal_nan=True), (dtype, fill, a[0])


def test_what_numpy_casts_is_cast(device: Device) -> None:
    for dtype, value, found in (
        *(
            ("?", [0, 2.5, -1], [0, 1, 1]),
            ("?", np.array([0, 2, 3]), [0, 1, 1]),
            ("?", np.array([0, 1j, 0.5]), [0, 1, 1]),
        ),
        *(
            ("?", np.array([0, 2**70, 1], object), [0, 1, 1]),
            ("i4", [1.7, -1.7, 0], [1, -1, 0]),
            ("u1", [-0.5, 1, 2], [0, 1, 2]),
        ),
        *(
            ("i2", np.array([1, 2, 3 + 0j]), [1, 2, 3]),
            ("f4", [None, 1, "2"], [np.nan, 1, 2]),
            ("c8", [None, 1, 2j], [np.nan, 1, 2j]),
            ("f4", np.full(3, np.nan), [np.nan, np.nan, np.nan]),
        ),
        *((str, [1.5, True, 2], ["1.5", "True", "2"]), ("U5", np.array([1.5, 2, 3]), ["1.5", "2.0", "3.0"])),
        *(
            (str, np.array(["2020", "2021", "1"], "M8[Y]"), ["2020", "2021", "0001"]),
            ("S3", [1, "a", b"b"], [b"1", b"a", b"b"]),
        ),
        *((str, [decimal.Decimal("1.50"), b"a", datetime.date(2020, 1, 2)], ["1.50", "a", "2020-01-02"]),),
        *(
            ("M8[s]", np.array([0, 1999, -1], "M8[ms]"), np.array([0, 1, -1], "M8[s]")),
            ("m8[D]", np.array([25, 47, 1], "m8[h]"), [1, 1, 0]),
        ),
        *(("M8[Y]", np.array(["2020-12-31", "1969-12-31", "NaT"], "M8[D]"), np.array([50, -1, "NaT"], "M8[Y]")),),
        *(
            ("M8[s]", [None, 1, 2], np.array(["NaT", 1, 2], "M8[s]")),
            ("M8[D]", np.array([1.9, np.nan, 0]), np.array([1, "NaT", 0], "M8[D]")),
        ),
    ):
        a = gpuzarr.create_array({}, shape=3, dtype=dtype, device=device)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            a[:] = value
        read = host_array(a[:])
        want = np.array(found, read.dtype)
        assert read.tolist() == want.tolist() or np.array_equal(read, want, equal_nan=read.dtype.kind != "T"), (
            dtype,
            value,
            read,
        )


def test_tuples_are_records_of_what_they_hold() -> None:
    a = gpuzarr.create_array({}, shape=2, dtype=DTYPES["record"], device="cpu")
    for value in ([(300, 1, b"")] * 2, [(np.nan, 1, b"")] * 2, [(1, 1, b"abc")] * 2, (1, 1, "abc"), [(1, 1)] * 2):
        with pytest.raises(gpuzarr.ValueKindError):
            a[...] = value
    a[...] = [(1, 2.5, b"ab"), (3, np.nan, "c")]
    assert a[0].item() == (1, 2.5, b"ab") and a[1]["c"] == b"c"


def test_fields_take_what_they_can_hold() -> None:
    a = gpuzarr.create_array({}, shape=2, dtype=[("a", "i1"), ("b", "f4")], device="cpu")
    for value in ([300, 1], np.array([np.nan, 1]), np.nan, 300, None):
        with pytest.raises(gpuzarr.ValueKindError):
            a["a"] = value
    a["b"] = np.array([np.nan, 1])
    a["a"] = on(a.device, np.array([1, 2]))
    assert a["a"].tolist() == [1, 2]
