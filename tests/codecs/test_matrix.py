"""Every data type with every codec: it comes back with the same bytes, or is refused before any byte moves."""

from __future__ import annotations

import numpy as np
import pytest

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find, parse, registry
from gpuzarr.codecs.chain import Chain
from gpuzarr.cpu.elements import part
from gpuzarr.dtypes import parse_v3
from gpuzarr.dtypes.objects import is_text, zeros
from gpuzarr.errors import CodecError, MetadataError
from tests.chunks import CPU

NARROW = ("float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn")
KINDS8 = ("e3m4", "e4m3", "e4m3fn", "e4m3b11fnuz", "e4m3fnuz", "e5m2", "e5m2fnuz", "e8m0fnu")
FLOATS8 = [f"float8_{kind}" for kind in KINDS8]
PARTS = [*NARROW, *FLOATS8, "bfloat16", "float16", "float32", "float64"]
WHOLE = [f"{sign}int{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64)]
PAIRS = ["complex64", "complex128", *(f"complex_{name}" for name in PARTS)]
RAW = ["r8", "r16", "r24", "r64"]
TIMES = [
    {"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 1}},
    {"name": "numpy.timedelta64", "configuration": {"unit": "ms", "scale_factor": 10}},
]
TEXTS = [{"name": "fixed_length_utf32", "configuration": {"length_bytes": 16}}]
STRUCT = {"name": "struct", "configuration": {"fields": [{"name": "a", "data_type": "int16"}]}}
ANY_LENGTH = ["string", "bytes"]
FIXED = ["bool", *WHOLE, *PARTS, *PAIRS, *RAW, *TIMES, *TEXTS, STRUCT]


def optional(inner):
    return {"name": "zarrs.optional", "configuration": {"name": inner} if isinstance(inner, str) else inner}


OPTIONALS = [
    optional(name) for name in ("float32", "string", "uint8", "bytes", optional("float32"), optional("string"))
]
TYPES = [*FIXED, *ANY_LENGTH, *OPTIONALS]


def named(name, **configuration):
    return {"name": name, "configuration": configuration}


LITTLE, BIG = named("bytes", endian="little"), named("bytes", endian="big")
VLEN = named("zarrs.vlen", index_codecs=[LITTLE], data_codecs=["bytes"], index_data_type="uint32")
VLEN_END = VLEN | {
    "configuration": VLEN["configuration"]
    | {"index_location": "end", "index_data_type": "uint64", "index_codecs": [BIG, "crc32c"]}
}
INDEX = [LITTLE, "crc32c"]
ARRAY_TO_ARRAY = [
    named("bitround", keepbits=80),
    named("numcodecs.fixedscaleoffset", offset=0, scale=1),
    named("numcodecs.fixedscaleoffset", offset=0, scale=1, dtype="i2"),
    named("reshape", shape=[[0, 1]]),
    *("zarrs.squeeze", named("transpose", order=[1, 0])),
    *(named("numcodecs.delta", dtype="i2"), named("numcodecs.astype", encode_dtype="i4", decode_dtype="i2")),
    *("numcodecs.packbits", named("numcodecs.quantize", digits=9, dtype="f8")),
    *(named("scale_offset", offset=0, scale=1), named("cast_value", data_type="float64")),
]
ARRAY_TO_BYTES = [LITTLE, BIG, "bytes", "packbits", named("numcodecs.pcodec", level=8), VLEN, VLEN_END]
ARRAY_TO_BYTES += ["vlen-array", "numcodecs.vlen-array", "vlen-bytes", "vlen-utf8", "zarrs.vlen_v2"]
ARRAY_TO_BYTES += [named("zfp", mode="reversible"), named("zarrs.zfp", mode="reversible")]
ARRAY_TO_BYTES += [named("zarrs.optional", mask_codecs=["packbits"], data_codecs=[LITTLE])]
BYTES_TO_BYTES = [
    *("numcodecs.adler32", "numcodecs.crc32", "numcodecs.bz2", "crc32c", "numcodecs.fletcher32", "numcodecs.lzma"),
    *(named("gzip", level=1), named("numcodecs.shuffle", elementsize=2), named("numcodecs.zlib", level=1)),
    *(named("zstd", level=1, checksum=True), named("numcodecs.lz4")),
    named("blosc", cname="lz4", clevel=5, shuffle="shuffle", typesize=2, blocksize=0),
]


def name_of(document):
    if isinstance(document, str):
        return document
    inner = document["configuration"]
    return f"{document['name']}({inner.get('name', '')})" if "optional" in document["name"] else document["name"]


def to_bytes(dtype):
    """A codec that makes bytes of any such elements."""
    if dtype.names == ("valid", "value"):
        return named("optional", mask_codecs=["packbits"], data_codecs=[to_bytes(dtype["value"])])
    return VLEN if dtype.hasobject or dtype.kind == "T" else LITTLE


def filled(dtype, count, rng):
    """So many elements: small numbers, which every codec can hold, or whatever else there is."""
    if dtype.names == ("valid", "value"):
        out, inner = np.zeros(count, dtype), filled(dtype["value"], count, rng)
        out["valid"] = rng.integers(0, 2, count)
        out["value"] = zeros((count,), dtype["value"])
        out["value"][out["valid"]] = inner[out["valid"]]
        return out
    if dtype.hasobject or dtype.kind == "T":
        items = ["", "a\0b\0", "\u00e9\u4e16" * 3, "x" * 300] * count
        made = np.empty(count, object)
        made[:] = [item if is_text(dtype) else item.encode() for item in items[:count]]
        return made if dtype.hasobject else made.astype(dtype)
    if dtype.kind == "U":
        return np.array(["ab", "", "\u4e16bcd"] * count, dtype)[:count]
    of, parts = part(dtype)
    if of.type is np.void:
        return rng.integers(0, 2, (count, dtype.itemsize), np.uint8).view(dtype).reshape(count)
    low = 1 if of.name == "float8_e8m0fnu" else 0  # it has no zero
    numbers = rng.integers(low, low + 2, count * parts)
    return (numbers.view(of) if of.kind in "mM" else numbers.astype(of)).view(dtype)


def same(one, other):
    if one.dtype.hasobject or one.dtype.kind == "T":
        return one.tolist() == other.tolist()
    native = np.asarray(other).astype(one.dtype, copy=False)
    return np.ascontiguousarray(native).tobytes() == np.ascontiguousarray(one).tobytes()


def check(document, codecs, shape):
    """Whether the chain was taken; and if so, what goes in must come out."""
    data_type = parse_v3(document)
    spec = ChunkSpec(shape, data_type.dtype, data_type.default_fill())
    try:
        chain = Chain.build(parse(codecs), spec)
    except MetadataError:
        return False
    elements = filled(spec.dtype, 3 * int(np.prod(shape)), np.random.default_rng(1))
    batch = elements.reshape(3, *shape)
    back = chain.decode(chain.encode(batch, CPU), CPU)
    assert back.shape == batch.shape and (name_of(codecs[0]) in LOSSY or same(batch, back)), name_of(document)
    empty = chain.encode(batch[:0], CPU)
    assert chain.decode(empty, CPU).shape == (0, *shape)
    return True


LOSSY = ("numcodecs.quantize",)  # of elements that it takes the bytes of as floats
SHAPES = [(4, 1), (3, 5), (1, 1)]


@pytest.mark.parametrize("codec", ARRAY_TO_ARRAY, ids=name_of)
def test_array_to_array(codec):
    taken = {name_of(t) for t in TYPES for s in SHAPES if check(t, [codec, to_bytes(parse_v3(t).dtype)], s)}
    if name_of(codec) in ("reshape", "zarrs.squeeze", "transpose"):
        assert taken == {name_of(t) for t in TYPES}
    assert taken


@pytest.mark.parametrize("codec", ARRAY_TO_BYTES, ids=name_of)
def test_array_to_bytes(codec):
    taken = {name_of(t) for t in TYPES for s in SHAPES if check(t, [codec], s)}
    name = name_of(codec).split("(")[0]
    assert taken == WANTED.get(name, taken)
    assert taken


NUMBERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {name_of(t) for t in TIMES}
OBJECTS = {"string", "bytes"}
PCO = {"float16", "complex_float16", "complex64", "complex128", "complex_float32", "complex_float64"}
WANTED = {
    "packbits": {name_of(t) for t in ("bool", *WHOLE, *PARTS, *PAIRS, *TIMES)},
    "numcodecs.pcodec": (NUMBERS - {"int8", "uint8"}) | PCO | {"float32", "float64"},
    "zfp": NUMBERS | {"float32", "float64"},
    "zarrs.zfp": NUMBERS | {"float32", "float64"},
    **dict.fromkeys(("vlen-array", "numcodecs.vlen-array", "vlen-bytes", "zarrs.vlen_v2", "zarrs.vlen"), OBJECTS),
    "vlen-utf8": OBJECTS | {"fixed_length_utf32"},
}


@pytest.mark.parametrize("codec", BYTES_TO_BYTES, ids=name_of)
def test_bytes_to_bytes(codec):
    whole_pairs = name_of(codec) == "numcodecs.shuffle"  # which takes no odd number of bytes
    assert all(check(t, [to_bytes(parse_v3(t).dtype), codec], (3, 4)) for t in (FIXED if whole_pairs else TYPES))


@pytest.mark.parametrize("document", TYPES, ids=name_of)
def test_shards(document):
    inner = [to_bytes(parse_v3(document).dtype), named("zstd", level=1, checksum=False)]
    shard = named("sharding_indexed", chunk_shape=[2, 1], codecs=inner, index_codecs=INDEX)
    assert check(document, [shard], (4, 3)) and check(document, [shard, "crc32c"], (4, 3))


def test_names_that_zarrs_wrote():
    address = "https://codec.zarrs.dev"
    for name, plain in [
        *((f"{address}/array_to_array/{name}", name) for name in ("bitround", "squeeze", "fixedscaleoffset")),
        *((f"{address}/array_to_bytes/{name}", name) for name in ("bitround", "pcodec", "vlen", "vlen_v2", "zfp")),
        *((f"{address}/array_to_bytes/{name}", name) for name in ("vlen_array", "vlen_utf8", "optional", "zfpy")),
        *(
            (f"{address}/bytes_to_bytes/{name}", name)
            for name in ("bz2", "fletcher32", "adler32", "shuffle", "zlib", "gdeflate")
        ),
        (f"{address}/bytes_to_bytes/gdeflate", "gdeflate"),
        *((f"zarrs.{name}", name) for name in ("bitround", "pcodec", "zfp", "zfpy", "bz2", "fletcher32")),
    ]:
        known = registry().get((3, f"zarrs.{plain}")) or registry()[(3, plain)]
        try:
            assert type(find(name, {})) is known
        except MetadataError as error:
            assert "unknown codec" not in str(error) and "unknown" not in type(error).__name__
    for name in (
        f"{address}/bytes/bz2",
        "zarrs.nope",
        "zarrs.",
    ):
        with pytest.raises(MetadataError, match="unknown codec"):
            find(name, {})


def test_every_codec_without_a_configuration():
    """By its name alone, by an object with only a name, and with an empty configuration: all the same."""
    for name in [name for zarr_format, name in registry() if zarr_format == 3]:
        made = []
        for document in (name, {"name": name}, {"name": name, "configuration": {}}):
            try:
                made.append(parse([document]))
            except MetadataError as error:
                made.append(str(error))
        assert made[0] == made[1] == made[2], name


@pytest.mark.parametrize("name", ["uint32", "uint64"])
def test_zfp_refuses_to_write_what_it_cannot_hold(name):
    codec, spec = find("zfp", {"mode": "reversible"}), ChunkSpec((4,), np.dtype(name))
    batch = np.full((1, 4), np.iinfo(name).max, name)
    with pytest.raises(CodecError, match="more than"):
        codec.encode(batch, spec, CPU)


@pytest.mark.parametrize(
    "name, numbers, promoted",
    [
        ("int8", [-128, -1, 0, 127], [-(2**30), -(2**23), 0, 127 << 23]),
        ("uint8", [0, 127, 128, 255], [-(2**30), -(2**23), 0, 127 << 23]),
        ("int16", [-(2**15), -1, 0, 2**15 - 1], [-(2**30), -(2**15), 0, (2**15 - 1) << 15]),
        ("uint16", [0, 2**15 - 1, 2**15, 2**16 - 1], [-(2**30), -(2**15), 0, (2**15 - 1) << 15]),
        ("uint32", [0, 1, 2, 2**31 - 1], [-5, 1, 2, 2**31 - 1]),
        ("uint64", [0, 1, 2, 2**63 - 1], [-5, 1, 2, 2**63 - 1]),
    ],
)
def test_zfp_promotes_as_zfp_describes(name, numbers, promoted):
    codec, wide = find("zfp", {"mode": "reversible"}), "int64" if name == "uint64" else "int32"
    made = codec.encode(np.array([promoted], wide), ChunkSpec((4,), np.dtype(wide)), CPU)
    assert codec.decode(made, ChunkSpec((4,), np.dtype(name)), CPU)[0].tolist() == numbers
    if -5 not in promoted:
        again = codec.encode(np.array([numbers], name), ChunkSpec((4,), np.dtype(name)), CPU)
        assert again[0].tobytes() == made[0].tobytes()


def test_pcodec_of_complex_numbers_is_that_of_their_parts():
    parts = np.arange(12, dtype="f4").reshape(1, 12)
    codec = find("numcodecs.pcodec", {})
    plain = codec.encode(parts, ChunkSpec((12,), parts.dtype), CPU)[0].tobytes()
    assert codec.encode(parts.view("c8"), ChunkSpec((6,), np.dtype("c8")), CPU)[0].tobytes() == plain


@pytest.mark.parametrize("algorithm, codec", [("lz4", "lz4"), ("Snappy", "imagecodecs_snappy"), ("zstd", "zstd")])
def test_arrays_of_kvikio_are_read_by_common_codecs(algorithm, codec):
    for options in ({}, {"options": {}}, {"options": {"has_header": True}} if codec == "lz4" else {}):
        assert find("nvcomp_batch", {"algorithm": algorithm, **options}, 2) == find(codec, {}, 2)


@pytest.mark.parametrize(
    "configuration, error",
    [
        ({"algorithm": "gdeflate"}, "common format"),
        ({"algorithm": "lz4", "options": {"has_header": False}}, "common format"),
        ({}, "takes an algorithm"),
        ({"algorithm": "lz4", "level": 1}, "takes an algorithm"),
        ({"algorithm": ["lz4"]}, "takes an algorithm"),
    ],
)
def test_other_arrays_of_kvikio_are_refused(configuration, error):
    with pytest.raises(MetadataError, match=error):
        find("nvcomp_batch", configuration, 2)
    with pytest.raises(MetadataError, match=r"kvikio up to 25\.08 wrote it"):
        find("nvcomp_ANS", {}, 2)
