"""Codecs that other packages registered with numcodecs; the images of the Zarr v3 registry; codecs refused by name."""

from __future__ import annotations

import json
from typing import Any

import numcodecs
import numpy as np
import pytest
from numcodecs import registry
from numcodecs.abc import Codec as NumcodecsCodec

import gpuzarr
from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.codecs import class_of, find, parse
from gpuzarr.codecs.refused import ADVICE
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError
from tests.chunks import CPU, encoded_batch, whole
from tests.hardware import host_array
from tests.hostile import document

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
VALUE = (np.arange(60, dtype="<u2") * 7).reshape(6, 10)
STORES = ["array", "behind a filter", "behind a compressor", "v3 array to bytes", "v3 bytes", "v3 array to array"]


class Inverted(NumcodecsCodec):
    """A codec of another package: every byte inverted, and `extra` bytes behind; it takes any buffer."""

    codec_id = "tests_inverted"

    def __init__(self, extra: int = 0) -> None:
        self.extra = extra

    def encode(self, buf: Any) -> bytes:
        return (~np.ascontiguousarray(buf).reshape(-1).view(np.uint8)).tobytes() + bytes(self.extra)

    def decode(self, buf: Any, out: Any = None) -> np.ndarray:
        data = np.frombuffer(bytes(np.ascontiguousarray(np.frombuffer(buf, np.uint8))), np.uint8)
        return ~data[: len(data) - self.extra]


class OfEntryPoint:
    """An entry point that nobody has loaded yet."""

    loads = 0

    def load(self) -> type:
        OfEntryPoint.loads += 1
        return Inverted


@pytest.fixture(params=["registered", "entry point"])
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    codecs, entries = dict(registry.codec_registry), dict(registry.entries)
    monkeypatch.setattr(registry, "codec_registry", codecs)
    monkeypatch.setattr(registry, "entries", entries)
    if request.param == "registered":
        numcodecs.register_codec(Inverted)
    else:
        entries["tests_inverted"] = OfEntryPoint()


def store_of(kind: str, extra: int = 2) -> dict[str, bytes]:
    own = {"id": "tests_inverted", "extra": extra}
    if kind.startswith("v3"):
        made = {"name": "numcodecs.tests_inverted", "configuration": {"extra": 0 if "to array" in kind else extra}}
        chain = {"v3 array to bytes": [made, "zstd"], "v3 bytes": [LITTLE, made]}.get(kind, [made, LITTLE])
        return {"zarr.json": document(chain, "uint16", VALUE.shape, 0, (3, 10))}
    filters = {"behind a filter": [{"id": "delta", "dtype": ">u2"}], "behind a compressor": [own]}.get(kind)
    compressor = {"id": "zlib"} if kind == "behind a compressor" else own
    members = {"shape": VALUE.shape, "chunks": [3, 10], "dtype": ">u2", "fill_value": 0, "order": "C"}
    meta = {"zarr_format": 2, **members, "filters": filters, "compressor": compressor}
    return {".zarray": json.dumps(meta).encode()}


@pytest.mark.parametrize("kind", STORES)
def test_codecs_known_to_numcodecs_are_run(kind: str, installed: None, device: Any) -> None:
    store = store_of(kind)
    a = gpuzarr.open_array(store, mode="r+", device=device)
    a[...] = VALUE
    assert np.array_equal(host_array(a[...]), VALUE) and np.array_equal(host_array(a[1:5, ::3]), VALUE[1:5, ::3])
    if kind == "array":
        assert store["0.0"] == Inverted(2).encode(VALUE[:3].astype(">u2"))
    assert "tests_inverted" in str(a.explain(...))


@pytest.mark.parametrize("kind", ["array", "v3 array to bytes", "v3 bytes"])
def test_what_they_make_has_the_size_of_the_chunk(kind: str, installed: None) -> None:
    store = store_of(kind)
    gpuzarr.open_array(store, mode="r+", device="cpu")[...] = VALUE
    fewer = store_of(kind, 4)
    (key,) = fewer
    with pytest.raises(gpuzarr.ChunkError, match=r"tests_inverted.*expected 60") as caught:
        gpuzarr.open_array({**store, key: fewer[key]}, device="cpu")[3:]
    assert caught.value.chunk == (1, 0)


def test_any_exception_of_theirs_is_a_codec_error(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, spec = find("tests_inverted", {}, 2), ChunkSpec((4,), np.dtype("u1"))
    for error in (ZeroDivisionError("x"), RuntimeError("y"), MemoryError(), KeyError("z"), RecursionError()):

        def fail(self: Any, buf: Any, out: Any = None, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(Inverted, "decode", fail)
        with pytest.raises(CodecError, match="tests_inverted") as caught:
            codec.decode(encoded_batch(b"abcd", b"abcd"), spec, CPU)
        assert caught.value.index == 0
    for made in (None, "text", 3.5, np.array([None] * 4), b"", bytes(5), np.zeros(4, "u2"), np.zeros((2, 3), "u1")):
        monkeypatch.setattr(Inverted, "decode", lambda self, buf, out=None, made=made: made)
        with pytest.raises(CodecError):
            codec.decode(encoded_batch(b"abcd"), spec, CPU)
    monkeypatch.setattr(Inverted, "encode", lambda self, buf: None)
    with pytest.raises(CodecError, match="nothing"):
        codec.encode(np.zeros((1, 4), "u1"), spec, CPU)
    with pytest.raises(CodecError, match="at most"):
        monkeypatch.setattr(Inverted, "decode", lambda self, buf, out=None: bytes(100))
        codec.standing(1).decode(encoded_batch(b"abcd"), BytesSpec(None, 99), CPU)


def test_nothing_is_imported_before_an_array_is_opened_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "codec_registry", dict(registry.codec_registry))
    monkeypatch.setattr(registry, "entries", {"tests_inverted": OfEntryPoint()})
    OfEntryPoint.loads = 0
    codec = find("tests_inverted", {}, 2)
    assert OfEntryPoint.loads == 0
    codec.encoded(ChunkSpec((4,), np.dtype("u1")))
    assert OfEntryPoint.loads == 1
    with pytest.raises(MetadataError, match="no such"):
        find("tests_inverted", {"no such": 1}, 2).encoded(ChunkSpec((4,), np.dtype("u1")))
    with pytest.raises(UnsupportedError, match="unknown codec"):
        find("tests_inverted", {}, 3)  # in v3 by its full name alone
    assert find("numcodecs.tests_inverted", {}, 3).kind == "array->bytes"


def test_codecs_of_this_package_go_before_those_of_others() -> None:
    """kerchunk registers a `zlib` of its own."""
    assert type(find("zlib", {}, 2)) is class_of(2, "zlib")


def test_a_codec_of_kerchunk() -> None:
    """It only reads: tables of text in FITS."""
    pytest.importorskip("kerchunk.codecs")
    table = find("FITSAscii", {"indtypes": [["a", "S3"]], "outdtypes": [["a", "<i4"]]}, 2)
    spec = ChunkSpec((2,), np.dtype([("a", "<i4")]))
    assert table.decode(encoded_batch(b" 12  7"), spec, CPU)[0]["a"].tolist() == [12, 7]
    with pytest.raises(CodecError, match="nothing"):
        table.encode(np.zeros((1, 2), spec.dtype), spec, CPU)


GRAY = (np.add.outer(np.arange(32), np.arange(48)) % 251).astype("u1")
RGB = np.stack([GRAY, GRAY // 2, GRAY // 3], -1)
PLAIN = [[1, 1], [1, 1], [1, 1]]
LOSSLESS = {"lossless": True, "distance": 0, "effort": 2, "decodingspeed": 0, "usecontainer": False}
IMAGES = {
    "gray": (GRAY, "jpeg", {"quality": 95}, 4),
    "a sample": (GRAY[..., None], "jpeg", {"quality": 95, "subsampling": [[1, 1]]}, 4),
    **{
        f"ycbcr {factors[0]}": (
            RGB,
            "jpeg",
            {"quality": 98, "encoded_color_space": "ycbcr", "subsampling": factors},
            40,
        )
        for factors in (PLAIN, [[2, 2], *PLAIN[1:]], [[2, 1], *PLAIN[1:]], [[1, 2], *PLAIN[1:]])
    },
    "rgb": (RGB, "jpeg", {"quality": 98, "encoded_color_space": "rgb"}, 8),
    "xl gray": (GRAY, "jpegxl", LOSSLESS, 0),
    "xl rgb": (RGB, "jpegxl", {**LOSSLESS, "photometric": "rgb", "primaries": "srgb", "transfer": "srgb"}, 0),
    "xl 12 bits": (GRAY.astype("u2") * 16, "jpegxl", {**LOSSLESS, "bitspersample": 12}, 0),
    "xl floats": ((GRAY / 300).astype("f4"), "jpegxl", LOSSLESS, 0),
    "xl frames": (np.stack([GRAY] * 2), "jpegxl", LOSSLESS, 0),
    "xl lossy": (RGB, "jpegxl", {"lossless": False, "distance": 0.5, "effort": 2}, 40),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_of_the_v3_registry(name: str, device: Any) -> None:
    pytest.importorskip("imagecodecs")
    value, codec, configuration, error = IMAGES[name]
    made = {"name": codec, "configuration": configuration}
    chunks = value.shape if name == "xl frames" else (16, 24, *value.shape[2:])
    store = {"zarr.json": document([made], str(value.dtype), value.shape, 0, chunks)}
    a = gpuzarr.open_array(store, mode="r+", device=device)
    a[...] = value
    assert np.abs(host_array(a[...]).astype("f8") - value).max() <= error


def test_a_jpeg_has_the_color_space_of_its_configuration() -> None:
    """The marker of Adobe says which, and 0 is RGB. Source: Zarr extension `jpeg`."""
    pytest.importorskip("imagecodecs")
    for space, says_rgb in (("rgb", True), ("ycbcr", False)):
        codec = find("jpeg", {"quality": 90, "encoded_color_space": space})
        (image,) = whole(codec.encode(RGB[None], ChunkSpec(RGB.shape, RGB.dtype), CPU))
        at = image.find(b"Adobe")
        assert image.startswith(b"\xff\xd8") and (at >= 0 and image[at + 11] == 0) == says_rgb


WRONG = [
    *(
        ("jpeg", c, (8, 8))
        for c in ({}, {"quality": 101}, {"quality": 1.5}, {"quality": 9, "encoded_color_space": "x"})
    ),
    ("jpeg", {"quality": 9, "encoded_color_space": "rgb"}, (8, 8)),
    ("jpeg", {"quality": 9}, (8, 8, 3)),
    *(("jpeg", {"quality": 9}, shape) for shape in [(8,), (8, 8, 2), (8, 8, 4), (1, 8, 8, 1), (1, 65536)]),
    ("jpeg", {"quality": 9, "encoded_color_space": "rgb", "subsampling": [[2, 2], [1, 1], [1, 1]]}, (8, 8, 3)),
    ("jpeg", {"quality": 9, "encoded_color_space": "ycbcr", "subsampling": [[1, 1]]}, (8, 8, 3)),
    ("jpeg", {"quality": 9, "subsampling": [[5, 1]]}, (8, 8)),
    ("jpegxl", {"no such": 1}, (8, 8)),
    ("jpegxl", {}, (8,)),
    ("jpegxl", {}, (1, 8, 8, 5)),
    ("pad", {"location": "middle", "nbytes": 1}, None),
    ("pad", {"location": "end", "nbytes": -1}, None),
    ("pad", {"location": "end", "nbytes": 3, "padding": "AAE="}, None),
    ("offset", {"offset": 2, "prefix": "not base64"}, None),
    ("offset", {}, None),
    *(("singleton_dim", {"operations": o}, (1, 4)) for o in ([{"remove": 1}], [{"insert": 3}], [{}], 5, [{"x": 1}])),
]


@pytest.mark.parametrize("name, configuration, shape", WRONG)
def test_wrong_configurations_are_refused(name: str, configuration: dict[str, Any], shape: Any) -> None:
    with pytest.raises(MetadataError, match=name):
        codec = find(name, configuration)
        codec.encoded(BytesSpec(64) if shape is None else ChunkSpec(shape, np.dtype("u1")))


def test_singleton_dim_is_that_of_its_specification(device: Any) -> None:
    operations = [{"insert": 0}, {"insert": 3}, {"remove": 0}, {"remove": 2}]
    codec = find("singleton_dim", {"operations": operations})
    spec = ChunkSpec((4, 5), np.dtype("u2"))
    assert codec.encoded(spec).shape == (4, 5)
    spec = ChunkSpec((1, 4, 1), np.dtype("u2"))
    codec = find("singleton_dim", {"operations": [{"remove": 0}, {"insert": 2}]})
    assert codec.encoded(spec).shape == (4, 1, 1)
    chunk = [{"name": "singleton_dim", "configuration": {"operations": [{"insert": 0}, {"insert": 3}]}}, LITTLE]
    a = gpuzarr.open_array({"zarr.json": document(chunk, "uint16", (6, 10), 0, (3, 10))}, mode="r+", device=device)
    a[...] = VALUE
    assert np.array_equal(host_array(a[...]), VALUE)


@pytest.mark.parametrize("name", ADVICE)
def test_codecs_are_refused_by_name_with_advice(name: str) -> None:
    for zarr_format in (2, 3):
        with pytest.raises(UnsupportedError) as caught:
            find(name, {"a": 1}, zarr_format)
        assert f"codec {name!r} is not supported: {ADVICE[name]}" == str(caught.value)
    assert class_of(2, name) is None and class_of(3, name) is None
    with pytest.raises(UnsupportedError, match="not supported"):
        parse([LITTLE, name])
