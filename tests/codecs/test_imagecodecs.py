"""The codecs of imagecodecs: they store and read what imagecodecs itself does, and survive damage and false headers."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from inspect import Parameter, signature
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.codecs import find, parse
from gpuzarr.codecs.imagecodecs import CODECS
from gpuzarr.codecs.of_numcodecs import OfNumcodecs
from gpuzarr.codecs.refused import ADVICE
from gpuzarr.errors import CodecError, GpuZarrError, MetadataError, UnsupportedError
from gpuzarr.formats.image_header import declared_size
from tests.attack.rounds import FACTOR, tried
from tests.chunks import CPU, encoded_batch, whole
from tests.hardware import host_array
from tests.hostile import document, memory_below

library = pytest.importorskip("imagecodecs.numcodecs")
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
GRAY = (np.add.outer(np.arange(31), np.arange(40)) % 251).astype("u1")
RGB = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], -1).copy()
FLOATS = (GRAY / 7).astype("f4")
BITS = 3
CHANGES_OF_A_ROUND = 100
BFLOAT16_ERROR, FLOAT24_ERROR = 0.1, 1e-3  # of FLOATS
# name: (chunk, configuration, the largest error)
ARRAYS: dict[str, tuple[np.ndarray, dict[str, Any], float]] = {
    **{name: (RGB, {}, 0) for name in ("apng", "avif", "bmp", "jpeg2k", "jpegxl", "png", "qoi", "spng", "tiff")},
    **{name: (RGB, {}, 0) for name in ("jpegxr",)},
    "webp": (RGB, {"lossless": True}, 0),
    "jpeg": (RGB, {"level": 98, "subsampling": "444"}, 12),
    **{name: (GRAY, {}, 0) for name in ("gif", "jpegls")},
    "packints": (GRAY % 2**BITS, {"bitspersample": BITS}, 0),
    "rcomp": (GRAY.astype("i4"), {}, 0),
    "pixarlog": (GRAY, {"dtype": "|u1"}, 0),
    **{name: (FLOATS, {}, 0) for name in ("lerc", "meshopt", "zfp")},
    "rgbe": (np.stack([FLOATS] * 3, -1), {"shape": [31, 40, 3]}, 0.3),
    "bfloat16": (FLOATS, {}, BFLOAT16_ERROR),
    "float24": (FLOATS, {}, FLOAT24_ERROR),
    "delta": (GRAY, {"shape": [31, 40], "dtype": "|u1"}, 0),
    "byteshuffle": (FLOATS, {}, 0),
    "floatpred": (FLOATS, {}, 0),
    **{name: (GRAY, {}, 0) for name in ("pcx", "tga", "b2nd")},
    "wavpack": (GRAY.astype("i2"), {}, 0),
}
COMPRESSORS: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("blosc", "blosc2", "brotli", "bz2", "lz4", "lz4f", "lzfse")},
    **{name: {} for name in ("lzham", "lzma", "lzw", "packbits", "pglz", "zlib", "zlibng", "zopfli", "zstd")},
    **{name: {} for name in ("isal", "zstd1")},
    "aec": {"bitspersample": 8, "flags": 0, "blocksize": 8, "rsi": 2},
    "checksum": {"kind": "fletcher32"},
}
NEWER = {"pcx", "tga", "b2nd", "wavpack", "isal", "zstd1"}  # not in all versions that are installed here
for missing in [name for name in NEWER if not hasattr(library, name.capitalize())]:
    (ARRAYS if missing in ARRAYS else COMPRESSORS).pop(missing)
ALL = {**{name: case[:2] for name, case in ARRAYS.items()}, **{n: (GRAY, c) for n, c in COMPRESSORS.items()}}
WITHOUT_ENCODER = {codec.id.removeprefix("imagecodecs_") for codec in CODECS if codec.only_read}
NOT_HERE = {"exr", "hcomp", "heif", "jpegxs", "plio"}  # in newer versions, or in builds for other systems
OTHER_INPUT = {"szip": "it takes parameters of its own", "ultrahdr": "its pixels are packed, 10 bits each"}
ELSEWHERE = {"deflate", "snappy", "lz4h5", "lzf"}  # in files of their own
ONLY_V3 = {"bitorder", "bitshuffle", "quantize", "xor"}  # without a shape they are tried as v3 has them


def ours(name: str, configuration: dict[str, Any], zarr_format: int = 2) -> Any:
    return find(f"imagecodecs_{name}", configuration, zarr_format)


def peer(name: str, chunk: np.ndarray, configuration: dict[str, Any]) -> Any:
    cls = getattr(library, name.capitalize())
    needed = {"shape": chunk.shape, "dtype": chunk.dtype.str}
    parameters = signature(cls).parameters
    filled = {key: needed[key] for key in needed if key in parameters and parameters[key].default is Parameter.empty}
    return cls(**{**filled, **configuration})


def spec_of(chunk: np.ndarray) -> ChunkSpec:
    return ChunkSpec(chunk.shape, chunk.dtype)


def stored(made: Any) -> bytes:
    return made.tobytes() if isinstance(made, np.ndarray) else bytes(made)


def test_every_name_of_the_family_is_tried_or_named_here() -> None:
    names = {codec.id.removeprefix("imagecodecs_") for codec in CODECS}
    assert names == {*ALL, *NEWER, *WITHOUT_ENCODER, *NOT_HERE, *OTHER_INPUT, *ONLY_V3}
    classes = {name.lower() for name in library.__all__} - {"codec", "register_codecs"}
    refused = {name.removeprefix("imagecodecs_") for name in ADVICE if "imagecodecs_" in name}
    assert classes <= names | refused | ELSEWHERE


@pytest.mark.parametrize("name", ALL)
def test_chunks_are_those_of_imagecodecs(name: str) -> None:
    """In Zarr v2, where every codec gets the array. What is lossy is as lossy as there."""
    chunk, configuration = ALL[name]
    codec, theirs = ours(name, configuration), peer(name, chunk, configuration)
    made = whole(codec.encode(np.stack([chunk, chunk]), spec_of(chunk), CPU))
    assert made == [stored(theirs.encode(chunk))] * 2
    back = codec.decode(encoded_batch(*made, gap=3), spec_of(chunk), CPU)
    expected = np.frombuffer(stored(theirs.decode(made[0])), chunk.dtype).reshape(chunk.shape)
    assert back.dtype == chunk.dtype and all(np.array_equal(one, expected) for one in back)
    assert np.abs(back[0].astype("f8") - chunk).max() <= (ARRAYS[name][2] if name in ARRAYS else 0)
    assert codec.decode(encoded_batch(), spec_of(chunk), CPU).shape == (0, *chunk.shape)
    assert codec.encoded(spec_of(chunk)) == BytesSpec(None, None, 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 3, 3), (1, 9, 1)])
@pytest.mark.parametrize("name", ["png", "jpeg2k", "jpegxl", "jpegls", "tiff", "webp", "lerc", "zfp"])
def test_images_of_odd_shapes(name: str, shape: tuple[int, ...]) -> None:
    """Shapes that imagecodecs encodes come back, and others are refused: nothing else happens."""
    chunk = np.arange(np.prod(shape)).reshape(shape).astype("f4" if name == "zfp" else "u1")
    codec = ours(name, {"lossless": True} if name == "webp" else {})
    with suppress(CodecError):
        made = codec.encode(chunk[None], spec_of(chunk), CPU)
        assert np.array_equal(codec.decode(made, spec_of(chunk), CPU)[0], chunk)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_bytes_of_any_size_in_v3(name: str) -> None:
    codec = ours(name, COMPRESSORS[name], 3)
    assert codec.kind == "bytes->bytes"
    for size in (1, 2, 131, 4096):
        data = GRAY.tobytes()[:size] + bytes(max(0, size - GRAY.size))
        with suppress(CodecError):  # some refuse few bytes
            (made,) = whole(codec.encode(encoded_batch(data), BytesSpec(size), CPU))
            assert whole(codec.decode(encoded_batch(made), BytesSpec(size), CPU)) == [data]
            assert whole(codec.decode(encoded_batch(made), BytesSpec(None, size), CPU)) == [data]
            for wrong in (BytesSpec(size + 1), BytesSpec(size - 1), BytesSpec(None, size - 1)):
                with pytest.raises(CodecError) as caught:
                    codec.decode(encoded_batch(made), wrong, CPU)
                assert caught.value.index == 0
            continue
        assert name == "aec" or size < 131


V3 = {
    "filters": [{"name": "imagecodecs_delta", "configuration": {"axis": 0}}, LITTLE, "imagecodecs_lzw"],
    "float filter": ["imagecodecs_floatpred", LITTLE, "imagecodecs_zlib"],
    "bits": ["imagecodecs_bitshuffle", "imagecodecs_bitorder", LITTLE, "imagecodecs_brotli"],
    "xor": ["imagecodecs_xor", LITTLE],
    "array to bytes": ["imagecodecs_zfp", "zstd"],
    "shards": [
        {
            "name": "sharding_indexed",
            "configuration": {"chunk_shape": [8, 8], "codecs": ["imagecodecs_zfp"], "index_codecs": [LITTLE]},
        }
    ],
}


@pytest.mark.parametrize("name", V3)
def test_chains_of_v3(name: str, device: Any) -> None:
    dtype = "uint16" if name in ("filters", "bits", "xor") else "float32"
    value = (np.add.outer(np.arange(20), np.arange(30)) * 5).astype(dtype)
    a = gpuzarr.open_array({"zarr.json": document(V3[name], dtype, (20, 30), 0, (16, 16))}, mode="r+", device=device)
    a[...] = value
    assert np.array_equal(host_array(a[...]), value)


def test_images_behind_bytes_are_read() -> None:
    """As virtual-tiff describes tiles of TIFF."""
    data = bytes(library.Png().encode(RGB))
    store = {"zarr.json": document([LITTLE, "imagecodecs_png"], "uint8", RGB.shape), "c/0/0/0": data}
    a = gpuzarr.open_array(store, mode="r+", device="cpu")
    assert np.array_equal(a[...], RGB)
    with pytest.raises(GpuZarrError, match="in the place of 'bytes'"):
        a[...] = 1


def test_a_v2_array_of_zarr_python(tmp_path: Any) -> None:
    """Also big-endian."""
    zarr = pytest.importorskip("zarr")
    library.register_codecs(verbose=False)
    for dtype in ("<u2", ">u2"):
        theirs = zarr.create_array(
            str(tmp_path / f"{dtype[1:]}{dtype == '<u2'}"),
            shape=(31, 40),
            chunks=(16, 40),
            dtype=dtype,
            zarr_format=2,
            compressors=library.Jpeg2k(),
        )
        try:
            theirs[...] = GRAY
        except ValueError as error:  # newer versions of imagecodecs take no other byte order
            assert dtype == ">u2" and "big-endian" in str(error)
            with pytest.raises(GpuZarrError, match="big-endian"):
                gpuzarr.open_array(str(theirs.store.root), mode="r+", device="cpu")[...] = GRAY
            continue
        assert np.array_equal(gpuzarr.open_array(str(theirs.store.root), device="cpu")[...], theirs[...])


HUGE = 60_000


def huge(name: str, image: bytes) -> bytes:
    """The image, whose header declares HUGE x HUGE pixels."""
    big, changed = struct.pack(">II", HUGE, HUGE), bytearray(image)
    at = {"png": 16, "apng": 16, "spng": 16, "qoi": 4}.get(name)
    if name in ("jpeg", "jpegls"):
        markers = [b"\xff\xc0", b"\xff\xc1", b"\xff\xc3", b"\xff\xf7"]
        at = min(found for marker in markers if (found := image.find(marker)) >= 0) + 5
        big = struct.pack(">HH", HUGE, HUGE)
    elif name == "jpeg2k":
        at = image.find(b"\xff\x4f\xff\x51") + 8
    elif name == "avif":
        at = image.find(b"ispe") + 8
    elif name == "gif":
        at, big = 6, struct.pack("<HH", HUGE, HUGE)
    elif name == "bmp":
        at, big = 18, struct.pack("<ii", HUGE, -HUGE)
    elif name == "webp":
        at, big = 21, struct.pack("<I", 0x3FFF | 0x3FFF << 14)
    changed[at : at + len(big)] = big
    return bytes(changed)


@pytest.mark.parametrize(
    "name",
    ["png", "apng", "spng", "qoi", "jpeg", "jpegls", "jpeg2k", "avif", "gif", "bmp", "webp"],
)
def test_images_that_declare_more_pixels_are_refused_before_they_are_decoded(name: str) -> None:
    chunk, configuration, _ = ARRAYS[name]
    image = bytes(peer(name, chunk, configuration).encode(chunk))
    assert declared_size(image) == (chunk.shape[1], chunk.shape[0])
    bad = huge(name, image)
    assert declared_size(bad) in ((HUGE, HUGE), (0x4000, 0x4000))
    for codec, spec in (
        (ours(name, configuration), spec_of(chunk)),
        (ours(name, configuration).standing(1), BytesSpec(chunk.nbytes)),
    ):
        with memory_below(1 << 20), pytest.raises(CodecError, match="pixels") as caught:
            codec.decode(encoded_batch(image, bad), spec, CPU)
        assert caught.value.index == 1
    for length in range(64):  # a header that is cut short
        declared_size(image[:length])


@pytest.mark.parametrize("name", ALL)
def test_damage_gives_a_value_or_an_error_of_this_library(name: str) -> None:
    chunk, configuration = ALL[name]
    codec, spec = ours(name, configuration), spec_of(chunk)
    (good,) = whole(codec.encode(chunk[None], spec, CPU))
    rng = np.random.default_rng(len(name))
    with memory_below(16 << 20):
        for _ in range(CHANGES_OF_A_ROUND * FACTOR):
            bad = bytearray(good)
            for _ in range(int(rng.integers(1, 6))):
                is_header = rng.integers(2)
                bad[rng.integers(min(len(bad), 48) if is_header else len(bad))] = rng.integers(256)
            cut = int(rng.integers(len(bad))) if rng.integers(4) == 0 else len(bad)
            with suppress(CodecError):
                assert codec.decode(encoded_batch(bytes(bad[:cut])), spec, CPU).shape == (1, *chunk.shape)
    tried("damaged chunks of imagecodecs", CHANGES_OF_A_ROUND * FACTOR)


def test_an_image_of_a_kind_that_the_package_does_not_decode_names_its_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged header of JPEG 2000 may name such a kind."""
    codec, spec = ours("jpeg2k", {}), spec_of(GRAY)
    (good,) = whole(codec.encode(GRAY[None], spec, CPU))

    def decode(self: Any, *arguments: Any) -> None:
        raise NotImplementedError("a color space that it does not know")

    monkeypatch.setattr(library.Jpeg2k, "decode", decode)
    with pytest.raises(CodecError, match="color space") as caught:
        codec.decode(encoded_batch(good), spec, CPU)
    assert caught.value.index == 0


def test_errors_at_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(GRAY)
    monkeypatch.delattr(library, "Exr", raising=False)  # as in older versions
    for name, error, text in (
        ("jetraw", UnsupportedError, "licensed"),
        ("ljpeg", UnsupportedError, "crash the whole process"),
        ("sz3", UnsupportedError, "crash the whole process"),
        ("htj2k", UnsupportedError, "takes minutes"),
    ):
        with pytest.raises(error, match=text):
            ours(name, {})
    with pytest.raises(UnsupportedError, match="newer"):
        ours("exr", {}).encoded(spec)
    with pytest.raises(UnsupportedError, match="built without"):
        ours("jpegxs", {}).encoded(spec)
    with pytest.raises(MetadataError, match="imagecodecs_png"):
        ours("png", {"no such": 1}).encoded(spec)
    with pytest.raises(UnsupportedError, match="only be read"):
        ours("dds", {}).encode(GRAY[None], spec, CPU)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs.numcodecs", None)
    with pytest.raises(UnsupportedError, match=r"imagecodecs: pip install 'gpuzarr\[codecs\]'"):
        ours("png", {}).encoded(spec_of(GRAY))


def test_where_codecs_stand_in_v3() -> None:
    kinds = [codec.kind for codec in parse(["imagecodecs_delta", "imagecodecs_png", "imagecodecs_lzw"])]
    assert kinds == ["array->array", "array->bytes", "bytes->bytes"]
    assert parse([LITTLE, "imagecodecs_png"])[1].kind == "bytes->bytes"
    assert isinstance(parse(["numcodecs.imagecodecs_png"])[0], OfNumcodecs)
    assert json.loads(parse([{"name": "imagecodecs_png", "configuration": {"level": 3}}])[0].configuration) == {
        "level": 3
    }
