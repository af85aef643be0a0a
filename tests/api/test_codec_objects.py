"""Codec objects: those of `gpuzarr.codecs` and of zarr-python say, store and decode the same."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs.numcodecs

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from tests.hardware import host_array

ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
pytestmark = pytest.mark.filterwarnings("ignore")  # zarr-python warns of codecs without a specification
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "BloscCodec": [{}, {"cname": "lz4", "shuffle": "shuffle", "typesize": 4}, {"clevel": 9, "blocksize": 512}],
    "BytesCodec": [{}, {"endian": "big"}, {"endian": None}],
    "Crc32cCodec": [{}],
    "GzipCodec": [{}, {"level": 1}],
    "ZstdCodec": [{}, {"level": 3, "checksum": True}],
    "TransposeCodec": [{"order": (1, 0)}, {"order": [0, 1]}],
    "VLenUTF8Codec": [{}],
    "VLenBytesCodec": [{}],
    "ScaleOffset": [{}, {"offset": 3}, {"offset": 1, "scale": 2}],
    "CastValue": [
        {"data_type": "int8"},
        {"data_type": "int8", "rounding": "towards-zero", "out_of_range": "clamp", "scalar_map": {"encode": [(1, 2)]}},
        {"data_type": "float32", "scalar_map": {"encode": {1.5: 2}, "decode": {2: 1.5}}},
    ],
    "ShardingCodec": [{"chunk_shape": (2, 3)}, {"chunk_shape": [2, 3], "index_location": "start"}],
}
OF_NUMCODECS: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("BZ2", "CRC32", "CRC32C", "LZ4", "LZMA", "ZFPY", "Adler32", "Blosc", "Fletcher32")},
    **{name: {} for name in ("GZip", "JenkinsLookup3", "PackBits", "PCodec", "Shuffle", "Zlib", "Zstd")},
    "AsType": {"encode_dtype": "<f4"},
    "BitRound": {"keepbits": 10},
    "Delta": {"dtype": "f8"},
    "FixedScaleOffset": {"offset": 1, "scale": 2},
    "Quantize": {"digits": 2},
}
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("BloscCodec", {"cname": "lz5"}),
    ("BloscCodec", {"shuffle": "none"}),
    ("BloscCodec", {"clevel": 10}),
    ("BloscCodec", {"typesize": 0}),
    ("BytesCodec", {"endian": "middle"}),
    ("GzipCodec", {"level": 10}),
    ("GzipCodec", {"level": "5"}),
    ("ZstdCodec", {"level": 1.5}),
    ("ZstdCodec", {"checksum": "yes"}),
    ("TransposeCodec", {"order": (0, 2)}),
    ("TransposeCodec", {"order": 3}),
    ("TransposeCodec", {"order": "F"}),
    ("CastValue", {"data_type": "string"}),
    ("CastValue", {"data_type": "int8", "rounding": "up"}),
    ("ShardingCodec", {"chunk_shape": (0,)}),
    ("ShardingCodec", {"chunk_shape": (2,), "codecs": [5]}),
    ("ShardingCodec", {"chunk_shape": (2,), "codecs": "zstd"}),
    ("ShardingCodec", {"chunk_shape": (2,), "index_location": "middle"}),
    ("ShardingCodec", {"chunk_shape": (2,), "subchunk_write_order": "random"}),
    (
        "ShardingCodec",
        {
            "chunk_shape": (2,),
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}],
        },
    ),
    ("ShardingCodec", {"chunk_shape": (2,), "codecs": [numcodecs.Zlib()]}),
    ("ScaleOffset", {"offset": [1, 2]}),
    ("ScaleOffset", {"scale": None}),
]
VALUES = np.arange(24.0).reshape(4, 6)
CASES = [(name, given) for name, several in ARGUMENTS.items() for given in several if hasattr(zarr.codecs, name)]
NAMES = [name for name in OF_NUMCODECS if hasattr(zarr.codecs.numcodecs, name)]


def chains(codecs: Any) -> Iterator[dict[str, Any]]:
    """Arguments of `create_array`, with codecs of a module: each alone, together, and within each other."""
    yield {"compressors": codecs.BloscCodec()}
    yield {"compressors": [codecs.BloscCodec(cname="lz4", shuffle="bitshuffle")]}
    yield {"compressors": (codecs.GzipCodec(), codecs.Crc32cCodec())}
    yield {"filters": codecs.TransposeCodec(order=(1, 0)), "serializer": codecs.BytesCodec(endian="big")}
    inside = [codecs.TransposeCodec(order=(1, 0)), codecs.BytesCodec(), codecs.BloscCodec()]
    yield {"serializer": codecs.ShardingCodec(chunk_shape=(2, 2), codecs=inside, index_location="start")}
    whole = codecs.ShardingCodec(chunk_shape=(2, 6), codecs=[codecs.ShardingCodec(chunk_shape=(2, 3))])
    yield {"serializer": whole, "compressors": None}
    for name, given in OF_NUMCODECS.items():
        if name not in ("PackBits", "PCodec", "ZFPY"):  # which take other elements, or are serializers
            kind = "filters" if given else "compressors"
            yield {kind: [getattr(codecs.numcodecs, name)(**given | _more(name))]}


def _more(name: str) -> dict[str, Any]:
    return {"decode_dtype": "<f8"} if name == "AsType" else {}


def new(chain: dict[str, Any], device: Device) -> Any:
    """The array of these codecs with VALUES, and its document."""
    store: dict[str, Any] = {}
    array = gpuzarr.create_array(store, shape=(4, 6), chunks=(4, 6), dtype="f8", device=device, **chain)
    array[...] = VALUES
    return array, json.loads(store["zarr.json"])


@pytest.mark.parametrize(("name", "given"), CASES, ids=str)
def test_an_object_says_what_that_of_zarr_python_says(name: str, given: dict[str, Any]) -> None:
    ours, theirs = getattr(gpuzarr.codecs, name)(**given), getattr(zarr.codecs, name)(**given)
    assert ours.to_dict() == theirs.to_dict()
    assert ours == getattr(gpuzarr.codecs, name)(**given) and hash(ours) == hash(pickle.loads(pickle.dumps(ours)))
    assert pickle.loads(pickle.dumps(ours)) == ours and ours == ours.to_dict() and ours != theirs
    assert type(ours).from_dict(theirs.to_dict()).to_dict() == ours.to_dict()
    assert name in repr(ours) and ours["name"] == ours.name


@pytest.mark.parametrize("name", NAMES)
def test_an_object_of_numcodecs_says_what_that_of_zarr_python_says(name: str) -> None:
    both = (gpuzarr.codecs.numcodecs, zarr.codecs.numcodecs)
    ours, theirs = (getattr(kind, name)(**OF_NUMCODECS[name]) for kind in both)
    assert ours.to_dict() == theirs.to_dict() and repr(ours) == repr(theirs)
    assert pickle.loads(pickle.dumps(ours)) == ours and hash(ours) == hash(type(ours).from_dict(ours.to_dict()))
    assert ours.codec_config == theirs.codec_config and getattr(gpuzarr.codecs, name) is type(ours)


@pytest.mark.parametrize(("name", "given"), WRONG, ids=str)
def test_wrong_arguments_are_refused_at_once(name: str, given: dict[str, Any]) -> None:
    with pytest.raises(gpuzarr.ArgumentError):
        getattr(gpuzarr.codecs, name)(**given)


def test_unknown_arguments_and_other_names_are_refused() -> None:
    with pytest.raises(TypeError):
        gpuzarr.codecs.ZstdCodec(strength=3)
    with pytest.raises(gpuzarr.ArgumentError):
        gpuzarr.codecs.ZstdCodec.from_dict({"name": "gzip", "configuration": {"level": 3}})
    with pytest.raises(gpuzarr.ArgumentError):
        gpuzarr.codecs.numcodecs.Zlib(level="much")
    with pytest.raises(gpuzarr.MetadataError):  # as in zarr-python, when an array is made
        gpuzarr.zeros(3, compressors=gpuzarr.codecs.numcodecs.LZ4(strength=3))
    with pytest.raises(AttributeError):
        gpuzarr.codecs.ZstdCodec().level = 3
    with pytest.raises(AttributeError, match="no attribute 'NoCodec'"):
        gpuzarr.codecs.NoCodec  # noqa: B018


@pytest.mark.parametrize("number", range(len(list(chains(gpuzarr.codecs)))))
def test_chains_of_either_are_stored_and_read_alike(number: int, device: Device) -> None:
    """Ours, those of zarr-python, and those that an array tells: one document, and the values come back."""
    ours, theirs = (list(chains(codecs))[number] for codecs in (gpuzarr.codecs, zarr.codecs))
    array, document = new(ours, device)
    assert new(theirs, device)[1] == document
    assert np.array_equal(host_array(array[...]), VALUES) or "Quantize" in str(ours) or "BitRound" in str(ours)
    layout = {"chunks": array.chunks, "shards": array.shards} if array.shards else {"chunks": (4, 6)}
    told = {"filters": array.filters, "serializer": array.serializer, "compressors": array.compressors}
    again = gpuzarr.create_array({}, shape=(4, 6), dtype="f8", device=device, **told | layout)
    assert (again.filters, again.serializer, again.compressors) == tuple(told.values())


@pytest.mark.skipif(ZARR < (3, 2), reason="this zarr-python says it as it did before")
@pytest.mark.parametrize("number", range(len(list(chains(gpuzarr.codecs)))))
def test_documents_are_those_of_zarr_python(number: int) -> None:
    theirs, store = list(chains(zarr.codecs))[number], {}
    zarr.create_array(zarr.storage.MemoryStore(store), shape=(4, 6), chunks=(4, 6), dtype="f8", **theirs)
    wanted = json.loads(store["zarr.json"].to_bytes())
    assert new(list(chains(gpuzarr.codecs))[number], CPU)[1]["codecs"] == wanted["codecs"]


def test_enumerations_are_texts() -> None:
    codecs = gpuzarr.codecs
    with pytest.warns(gpuzarr.errors.ZarrDeprecationWarning, match="give 'lz4'") as warned:
        codec = codecs.BloscCodec(cname=codecs.BloscCname.lz4, shuffle=codecs.BloscShuffle.bitshuffle)
    assert {warning.filename for warning in warned} == {__file__}
    assert (codec.cname, codec.shuffle) == ("lz4", "bitshuffle") and type(codec.cname) is str
    assert codecs.BytesCodec(endian=codecs.Endian.big) == codecs.BytesCodec(endian="big")
    shard = codecs.ShardingCodec(chunk_shape=2, index_location=codecs.ShardingCodecIndexLocation.start)
    assert (shard.chunk_shape, shard.index_location) == ((2,), "start")
    assert codecs.BloscShuffle.from_int(2) == "bitshuffle"


@pytest.mark.parametrize("compressor", [numcodecs.Zstd(level=3), numcodecs.Blosc("lz4", 3, 2), numcodecs.Zlib(), None])
def test_arrays_of_v2_tell_objects_of_numcodecs(compressor: Any) -> None:
    filters = (numcodecs.Delta("<i4"),)
    store: dict[str, Any] = {}
    a = gpuzarr.create_array(store, shape=4, dtype="i4", zarr_format=2, compressors=compressor, filters=filters)
    assert a.filters == filters and a.compressors == (() if compressor is None else (compressor,))
    assert a.serializer is None
    again: dict[str, Any] = {}
    gpuzarr.create_array(again, shape=4, dtype="i4", zarr_format=2, compressors=a.compressors, filters=a.filters)
    assert json.loads(again[".zarray"]) == json.loads(store[".zarray"])


def test_a_codec_without_a_class_is_told_by_its_name() -> None:
    a = gpuzarr.zeros(8, serializer={"name": "packbits"}, dtype="bool", compressors=None)
    assert (a.serializer.codec_name, a.serializer.codec_config) == ("packbits", {})
    assert a.serializer == {"name": "packbits"} and gpuzarr.zeros(8, dtype="bool", serializer=a.serializer)[0] == 0


def test_codecs_of_the_dtype_suit_it() -> None:
    """What numcodecs' filters leave out of the dtype is added, as zarr-python does."""
    of = gpuzarr.codecs.numcodecs
    a = gpuzarr.zeros(8, dtype="f4", filters=[of.FixedScaleOffset(offset=0, scale=10)], compressors=of.Shuffle())
    assert a.filters[0].codec_config["dtype"] == "float32" and a.compressors[0].codec_config["elementsize"] == 4
