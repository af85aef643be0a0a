"""The documents of new arrays are those that zarr-python writes when it is asked for the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, TransposeCodec

import gpuzarr
from tests.data import documents

Json = dict[str, Any]
SQUARE = {"shape": (100, 50), "chunks": (10, 50)}
LINE = {"shape": (100,), "chunks": (10,)}
SHARDED = {"shape": (100, 50), "dtype": "u2", "chunks": (10, 10)}
CASES: dict[str, Json] = {
    "default": {**SQUARE, "dtype": "f4"},
    "no compressor": {**SQUARE, "dtype": "f4", "compressors": None},
    "blosc": {**SQUARE, "dtype": "f8", "compressors": BloscCodec(cname="lz4")},
    "gzip": {**SQUARE, "dtype": "f8", "compressors": [GzipCodec(level=3)]},
    "transpose": {**SQUARE, "dtype": "f4", "filters": [TransposeCodec(order=(1, 0))]},
    "big-endian": {**SQUARE, "dtype": "f4", "serializer": BytesCodec(endian="big")},
    "shards": {**SHARDED, "shards": (50, 50)},
    "index at the start": {**SHARDED, "shards": {"shape": (50, 50), "index_location": "start"}},
    "names and attributes": {**SQUARE, "dtype": "f4", "dimension_names": ("x", None), "attributes": {"a": 1}},
    "dots in keys": {**SQUARE, "dtype": "f4", "chunk_key_encoding": {"name": "default", "separator": "."}},
    "one length for all axes": {"shape": (100, 60), "dtype": "i4", "chunks": 10},
    "no axis": {"shape": (), "dtype": "f4"},
    "nothing in it": {"shape": (0, 5), "dtype": "f4", "chunks": (1, 5)},
    "NaN": {**LINE, "dtype": "f4", "fill_value": float("nan")},
    "infinity": {**LINE, "dtype": "f4", "fill_value": float("-inf")},
    "tenth": {**LINE, "dtype": "f8", "fill_value": 0.1},
    "largest": {**LINE, "dtype": "u8", "fill_value": 2**64 - 1},
    "bool": {**LINE, "dtype": bool, "fill_value": True},
    "complex": {**LINE, "dtype": "c8", "fill_value": 1 + 2j},
    "half": {**LINE, "dtype": "f2"},
    "text of any length": {**LINE, "dtype": str},
    "text": {**LINE, "dtype": "U7"},
    "bytes": {**LINE, "dtype": "S7"},
    "struct": {**LINE, "dtype": [("a", "f4"), ("b", "i2")]},
    "v2": {**SQUARE, "dtype": "f4", "zarr_format": 2},
    "v2 no compressor": {**SQUARE, "dtype": "<i2", "zarr_format": 2, "compressors": None},
    "v2 big-endian, order F": {**SQUARE, "dtype": ">i2", "zarr_format": 2, "order": "F"},
    "v2 folders": {
        **SQUARE,
        "dtype": "i2",
        "zarr_format": 2,
        "chunk_key_encoding": {"name": "v2", "separator": "/"},
    },
    "v2 filters": {
        **LINE,
        "dtype": "i4",
        "zarr_format": 2,
        "filters": [numcodecs.Delta("i4")],
        "compressors": numcodecs.Zlib(3),
    },
}

CHANGED = ("one length for all axes", "struct")


@pytest.mark.filterwarnings("ignore")  # zarr-python: data types that are not in the specification
@pytest.mark.parametrize("case", CASES)
def test_as_zarr_python(case: str, tmp_path: Path) -> None:
    if case in CHANGED and tuple(map(int, zarr.__version__.split(".")[:2])) < (3, 2):
        pytest.skip("this zarr-python says it as it did before")
    zarr.create_array(tmp_path / "theirs", **CASES[case])
    gpuzarr.create_array(tmp_path / "ours", **CASES[case], device="cpu")
    assert documents(tmp_path / "ours") == documents(tmp_path / "theirs")


@pytest.mark.parametrize("name", ["lz4", "zlib", "bz2", "lzma", "crc32", "adler32", "fletcher32", "shuffle"])
def test_a_codec_by_its_id_in_numcodecs_has_the_name_that_zarr_python_reads(name: str, tmp_path: Path) -> None:
    values = np.arange(600, dtype="i4").reshape(20, 30)
    for shards in (None, (20, 30)):
        path = tmp_path / f"{name}{shards}"
        gpuzarr.create_array(path, data=values, chunks=(10, 10), shards=shards, compressors=name)
        assert (zarr.open_array(path)[...] == values).all()


@pytest.mark.filterwarnings("ignore::gpuzarr.errors.FewReadersWarning")
@pytest.mark.parametrize(
    "given, name",
    [
        ("lz4", "numcodecs.lz4"),
        ("zstd", "zstd"),
        ("zarrs.gdeflate", "zarrs.gdeflate"),
        ("gpuzarr.hdf5_bitshuffle", "gpuzarr.hdf5_bitshuffle"),
        ("numcodecs.zlib", "numcodecs.zlib"),
    ],
)
def test_an_id_becomes_the_name_that_its_codec_has_in_v3(given: str, name: str) -> None:
    made = gpuzarr.create_array({}, shape=64, dtype="i4", compressors={"id": given})
    assert made.metadata.document["codecs"][-1]["name"] == name
