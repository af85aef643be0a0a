"""Arguments and documents that nobody should pass, and a limit of time for what is done with them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

SECONDS = 60  # of one call; a right one takes milliseconds
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {"k": "\ud800"}}


@contextmanager
def in_time(what: str) -> Iterator[None]:
    """Fail if what is inside takes longer than SECONDS, as what hangs would."""

    def late(*_: Any) -> None:
        raise AssertionError(f"more than {SECONDS} s: {what}")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def array(shape: Any = (5, 4), chunks: Any = (2, 3), codecs: Any = (LITTLE,), **members: Any) -> dict[str, Any]:
    """A document of Zarr v3."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": "int16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0,
        "codecs": list(codecs),
        "attributes": {"a": 1, "b": [None, {"c": "\ud800"}]},
        **members,
    }


def shards(inner: Any, *codecs: Any) -> dict[str, Any]:
    configuration = {"chunk_shape": list(inner), "codecs": [LITTLE, *codecs], "index_codecs": [LITTLE, "crc32c"]}
    return {"name": "sharding_indexed", "configuration": configuration}


def array_v2(**members: Any) -> dict[str, Any]:
    """A document of Zarr v2."""
    members = {"shape": [5, 4], "chunks": [2, 3], "dtype": "<i2", "fill_value": 0, **members}
    return {"zarr_format": 2, "compressor": None, "order": "C", "filters": None, **members}


def of(**documents: Any) -> dict[str, bytes]:
    """A store of documents. In the name of an argument, "__" is a slash, and a "_" is the dot of zarr.json."""
    names = {name: name.replace("__", "/").replace("zarr_json", "zarr.json") for name in documents}
    return {names[name]: json.dumps(document).encode() for name, document in documents.items()}


_FIELDS = {"name": "struct", "configuration": {"fields": [{"name": "x", "data_type": "int8"}]}}
_TIME = {"name": "numpy.datetime64", "configuration": {"unit": "generic", "scale_factor": 1}}
_RECTILINEAR = {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[[2, 2], 1], 3]}}
_INLINE = {"kind": "inline", "must_understand": False, "metadata": {"g": GROUP, "g/a": array(), "bad": {}}}
ZSTD = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}

STORES: dict[str, dict[str, bytes]] = {
    "plain": of(zarr_json=array()),
    "v2": {".zarray": json.dumps(array_v2()).encode(), ".zattrs": b'{"a": "\\ud800"}'},
    "v2 record": {".zarray": json.dumps(array_v2(dtype=[["x", "<i2"], ["t", "<M8"]], fill_value=None)).encode()},
    "shards": of(zarr_json=array(chunks=(4, 6), codecs=[shards((2, 3), ZSTD)])),
    "shards within": of(zarr_json=array(chunks=(4, 6), codecs=[shards((2, 3)), ZSTD])),
    "scalar": of(zarr_json=array((), ())),
    "empty": of(zarr_json=array((0, 3), (1, 2))),
    "huge": of(zarr_json=array((2**62, 2**62), (1, 1))),
    "huge shards": of(zarr_json=array((2**62, 0, 2**62), (8, 1, 8), [shards((2, 1, 2))])),
    "many axes": of(zarr_json=array([1] * 40, [1] * 40)),
    "record": of(zarr_json=array(data_type=_FIELDS, fill_value={"x": 1}, codecs=["bytes"])),
    "text": of(zarr_json=array(data_type="string", fill_value="", codecs=["vlen-utf8"])),
    "time": of(zarr_json=array(data_type=_TIME, fill_value=5)),
    "irregular": of(zarr_json=array(chunk_grid=_RECTILINEAR)),
    "group": of(zarr_json=GROUP, a__zarr_json=array(), g__zarr_json=GROUP, g__b__zarr_json=array()),
    "group v2": {".zgroup": b'{"zarr_format": 2}', "a/.zarray": json.dumps(array_v2()).encode()},
    "consolidated": of(zarr_json={**GROUP, "consolidated_metadata": _INLINE}),
    "broken": of(
        zarr_json=GROUP, a__zarr_json=array(attributes=None), g__zarr_json=[1], b__zarr_json={**array(), "shape": 5}
    ),
}


def cycle() -> list[Any]:
    """A list that is a part of itself."""
    made: list[Any] = []
    made.append(made)
    return made


def deep(levels: int) -> list[Any]:
    """Lists within lists."""
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


DEEP = deep(3000)  # takes longer to make than all other values


def values() -> list[Any]:
    """Arguments of every kind, made anew, except for DEEP."""
    texts = ["", "x", "auto", "a", "../x", "/", "a//b", "a/./b", "a\0b", "\ud800", "\\", "a" * 5000, "b/" * 700, "1GiB"]
    numbers = [True, -1, 0, 1, 3, 2**31, 2**63, -(2**63), 10**5000, -(10**5000), 1.5, float("nan"), float("inf"), 1j]
    scalars = [np.int64(1), np.float32(2), np.bool_(True), np.datetime64("NaT"), np.str_("r"), np.int8(-1)]
    sequences = [[], [1], [0, 1], [5, 4], [[1, [2]]], [None], ["x"], cycle(), DEEP, (), (0, 0), (1, 2, 3), ({},)]
    mappings = [
        {},
        {"a": 1},
        {1: 2},
        {"name": "zstd"},
        {"name": []},
        {"k": cycle()},
        {"k": 10**5000},
        {"k": DEEP},
    ]
    arrays = [np.array([1, 2]), np.zeros((5, 4), bool), np.zeros(0), np.array("x"), np.array([None, []], object)]
    masked = [np.ma.masked_array([0, 1], [True, False]), np.ma.masked]
    slices = [slice(None), slice("a"), slice(None, None, 0), slice(1.5), slice(None, 10**5000), slice(None, None, -2)]
    others = [
        None,
        ...,
        b"x",
        bytearray(2),
        {1, 2},
        object(),
        int,
        len,
        range(3),
        iter([1, 2]),
        np.dtype("O"),
        NotImplemented,
    ]
    return [*texts, *numbers, *scalars, *sequences, *mappings, *arrays, *masked, *slices, *others]
