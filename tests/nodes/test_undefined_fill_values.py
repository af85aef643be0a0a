"""`fill_value: null` of Zarr v2: no value is defined, and nothing that is done to an array defines one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr

DEFAULTS = {  # what is read where nothing was written
    "<i2": 0,
    ">u8": 0,
    "<f4": 0.0,
    "<c16": 0j,
    "?": False,
    "S3": b"",
    "<U3": "",
    "V2": np.void(b"\0\0"),
    "<M8[ns]": np.datetime64("NaT", "ns"),
    "<m8[s]": np.timedelta64("NaT", "s"),
}


def null_array(dtype: Any, **options: Any) -> Any:
    return gpuzarr.create_array({}, shape=4, chunks=2, dtype=dtype, fill_value=None, zarr_format=2, **options)


def stored(array: Any) -> Any:
    return json.loads(array.store.get((array.path + "/.zarray").strip("/")))["fill_value"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", DEFAULTS)
def test_it_stays_null(dtype: str, tmp_path: Any) -> None:
    array = gpuzarr.create_array(tmp_path / "a", shape=4, chunks=2, dtype=dtype, fill_value=None, zarr_format=2)
    assert array.fill_value is None and stored(array) is None
    wanted = np.array([DEFAULTS[dtype]] * 4, array.dtype)
    assert array[...].tobytes() == gpuzarr.open(tmp_path / "a")[...].tobytes() == wanted.tobytes()
    theirs = zarr.open_array(tmp_path / "a", mode="r")
    assert theirs.fill_value is None
    assert theirs[...].astype(array.dtype).tobytes() == wanted.tobytes()
    array[:1] = np.ones(1, "i8").astype(array.dtype.newbyteorder("=") if array.dtype.kind != "V" else "V2")
    array.resize(7)
    array.attrs["k"] = 1
    array.append(wanted[:1])
    again = gpuzarr.open(tmp_path / "a")
    assert again.fill_value is None and stored(again) is None
    assert again[1:].tobytes() == np.array([DEFAULTS[dtype]] * 7, array.dtype).tobytes()
    assert "Fill value" not in str(again.info)


@pytest.mark.parametrize("dtype", [*DEFAULTS, [("a", "<i2"), ("t", "<M8[s]")]], ids=str)
def test_copies_of_v2_keep_it_and_those_of_v3_have_the_default(dtype: Any) -> None:
    source = null_array(dtype)
    copy = gpuzarr.from_array({}, data=source)
    assert copy.zarr_format == 2 and copy.fill_value is None and stored(copy) is None
    assert copy[...].tobytes() == source[...].tobytes()
    newer = gpuzarr.from_array({}, data=source, zarr_format=3)
    assert newer.fill_value is not None
    assert newer[...].tobytes() == source[...].tobytes()
    filled = gpuzarr.create_array({}, shape=4, dtype="i4", fill_value=0, zarr_format=2)
    assert gpuzarr.from_array({}, data=filled).fill_value == 0


def test_what_zarr_python_wrote_is_kept() -> None:
    """As xarray sees it: a fill value of v2 is the attribute _FillValue there, so null must stay null."""
    made = zarr.create_array(files := {}, shape=(4,), dtype="i8", fill_value=None, zarr_format=2)
    made[:] = np.arange(4)
    array = gpuzarr.open(store := {key: value.to_bytes() for key, value in files.items()}, mode="r+")
    array.resize(6)
    assert array.fill_value is None and json.loads(store[".zarray"])["fill_value"] is None
    assert array[...].tolist() == [0, 1, 2, 3, 0, 0]


def test_strings_and_objects() -> None:
    for dtype, default in ((str, ""), (bytes, b"")):
        array = null_array(dtype)
        assert array.fill_value is None and array[...].tolist() == [default] * 4
        assert gpuzarr.from_array({}, data=array).fill_value is None
    array = null_array(object, filters=[{"id": "json2"}])
    assert array.fill_value is None and array[...].tolist() == [None] * 4


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_none_in_v3_and_no_argument_are_the_default(zarr_format: int) -> None:
    assert gpuzarr.create_array({}, shape=4, dtype="i4", zarr_format=zarr_format).fill_value == 0
    assert gpuzarr.create_array({}, shape=4, dtype="i4", fill_value=None).fill_value == 0


def test_the_same_array_may_be_made_again() -> None:
    array = null_array("i4")
    array[...] = 3
    again = gpuzarr.create_array(array.store, shape=4, chunks=2, dtype="i4", fill_value=None, zarr_format=2)
    assert again[...].tolist() == [3] * 4 and again.fill_value is None
