"""`from_array` keeps what an array is: values, data type, fill value, attributes, keys; for all dtypes and formats."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array

ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
ATTRIBUTES = {"a": {"ü": [1, None, True, 2.5]}, "units": "K"}
VALUES: dict[str, Any] = {
    **{
        dtype: np.array([1, 0, 1], dtype) for dtype in ("?", "i1", ">i2", "u8", ">f8", "c8", ">c16", "m8[ns]", ">M8[s]")
    },
    "f2": np.array([np.nan, -0.0, np.inf], "f2"),
    "S3": np.array([b"abc", b"", b"a"]),
    ">U2": np.array(["é", "ab", ""], ">U2"),
    "V4": np.array([b"abcd", b"\0\1\0\0", b"zzzz"], "V4"),
    "record": np.array([(1, b"ab"), (0, b""), (3, b"c")], [("a", ">i4"), ("b", "S2")]),
    "string": np.array(["é", "", "long text"], np.dtypes.StringDType()),
}
OBJECTS: dict[str, Any] = {
    "bytes": (numcodecs.VLenBytes(), [b"ab\0", b"", b"c"]),
    "text": (numcodecs.VLenUTF8(), ["ab", "", "é"]),
    "json2": (numcodecs.JSON(), ["a", {"b": 1}, None]),
}


def equal(one: Any, other: Any) -> bool:
    """Whether elements are the same, NaN and NaT too."""
    pairs = zip(np.asarray(one).tolist(), np.asarray(other).tolist(), strict=True)
    return all(a == b or (a != a and b != b) for a, b in pairs)


def copies(source: Any, device: Device) -> None:
    """Copy an array to all formats and layouts, and look at the copies."""
    layouts: list[Any] = [{}, {"chunks": 1}, {"compressors": None, "attributes": {"b": 1}}]
    for zarr_format, options in itertools.product((None, 2, 3), layouts):
        made = gpuzarr.from_array({}, data=source, zarr_format=zarr_format, device=device, **options)
        values = host_array(made[...])
        assert equal(values, host_array(source[...]))
        assert made.dtype == (source.dtype if source.dtype.kind == "T" else source.dtype.newbyteorder("="))
        assert made.attrs == options.get("attributes", ATTRIBUTES)
        if source.fill_value is None and made.zarr_format == 2:
            assert made.fill_value is None  # of v2, where none is defined
        elif source.fill_value is not None:
            assert equal([made.fill_value], [source.fill_value])
        if zarr_format in (None, source.metadata.zarr_format):
            ours, theirs = made.metadata.document, source.metadata
            document = theirs.document if isinstance(source, gpuzarr.Array) else theirs.to_dict()
            for name in ("dtype", "dimension_separator", "chunk_key_encoding"):
                if isinstance(ours.get(name), str | dict) and isinstance(document.get(name), str | dict):
                    assert ours[name] == document[name]


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.filterwarnings("ignore")
def test_every_dtype_and_format(name: str, zarr_format: Any, device: Device) -> None:
    keys: Any = {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if zarr_format == 2 else {}
    options: Any = {"data": VALUES[name], "chunks": (2,), "zarr_format": zarr_format, "attributes": ATTRIBUTES}
    copies(gpuzarr.create_array({}, **options, **keys), device)
    try:
        source = zarr.create_array({}, **options)
    except (ValueError, TypeError):
        return  # this zarr-python has no such data type
    if name != "record" or zarr_format == 2 or ZARR >= (3, 2):  # older ones do not say which byte order fields have
        copies(source, device)


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.filterwarnings("ignore")
def test_objects_of_v2(name: str, device: Device) -> None:
    codec, elements = OBJECTS[name]
    values = np.empty(3, object)
    values[:] = elements
    document = {"zarr_format": 2, "shape": [3], "chunks": [3], "dtype": "|O", "compressor": None, "order": "C"}
    stored = {
        ".zarray": json.dumps({**document, "filters": [codec.get_config()], "fill_value": None}).encode(),
        ".zattrs": json.dumps(ATTRIBUTES).encode(),
        "0": bytes(codec.encode(values)),
    }
    source = gpuzarr.open_array(stored, device=device)
    if name != "json2":
        copies(source, device)
        return
    made = gpuzarr.from_array({}, data=source)
    assert made[...].tolist() == elements and made.attrs == ATTRIBUTES
    with pytest.raises(gpuzarr.UnsupportedError, match="v3 has no data type"):
        gpuzarr.from_array({}, data=source, zarr_format=3)


@pytest.mark.filterwarnings("ignore")
def test_bytes_of_zarr_python(device: Device) -> None:
    source = zarr.create_array({}, shape=3, dtype="variable_length_bytes", attributes=ATTRIBUTES)
    source[:] = np.array([b"ab\0", b"", b"c"], object)
    copies(source, device)


def test_attributes_are_copies() -> None:
    source = gpuzarr.create_array({}, shape=2, dtype="i4", attributes={"a": [1]})
    made = gpuzarr.from_array({}, data=source, attributes=None, dimension_names=None)
    made.attrs["a"].append(2)
    assert source.attrs == {"a": [1]} and gpuzarr.from_array({}, data=source, attributes={}).attrs == {}
    assert gpuzarr.from_array({}, data=np.arange(3)).attrs == {}


@pytest.mark.parametrize("shards", [None, 3000])
def test_what_does_not_fit_into_memory_is_copied_in_parts(shards: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuzarr.nodes.create.MAX_COPIED_BYTES", 50_000)
    values = np.arange(200_000, dtype="i4")

    class Sliced:
        shape, dtype = values.shape, values.dtype
        most = 0

        def __getitem__(self, selection: Any) -> np.ndarray:
            found = values[selection]
            self.most = max(self.most, found.nbytes)
            return found

    for options in ({"chunks": 1000, "shards": shards}, {"chunks": [[150_000, 50_000]]}):
        source = Sliced()
        made = gpuzarr.from_array({}, data=source, device="cpu", **options)
        assert (made[...] == values).all()
        assert source.most <= (50_000 if "shards" in options else 600_000)


def test_a_class_made_from_an_array_of_zarr_python_is_one() -> None:
    class Mine(zarr.Array):  # type: ignore[type-arg]
        pass

    source = zarr.create_array({}, data=np.arange(6), chunks=(2,), attributes={"a": 1})
    mine = Mine(getattr(source, "async_array", None) or source._async_array)
    made = gpuzarr.array(mine)
    assert made.chunks == (2,) and made.attrs == {"a": 1} and (made[...] == np.arange(6)).all()
