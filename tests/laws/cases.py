"""The codecs that make bytes: a row is a codec and what one of its chunks is."""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np

from gpuzarr.codecs import find
from tests.chunks import plain
from tests.laws.codecs import CodecCase

TEXT = b"".join(b"%d times, " % (i % 7) for i in range(15))
MIXED = plain(20_000, "mixed")
NUMBERS = (np.arange(24, dtype="<i4") * 37 % 11).reshape(4, 6)
OBJECTS = np.array(["", "a", "öß", "日本", "x" * 9, "end"], object).reshape(2, 3)
BYTES = np.array([b"", b"a", b"\xff\0", b"long" * 3, b"", b"e"], object)
ARRAYS = np.empty(3, object)
ARRAYS[:] = [np.array([1, 2, 3], "i2"), np.array([], "i2"), np.array([7], "i2")]
FLOATS = np.linspace(0, 1, 64, dtype="f4").reshape(8, 8) ** 2
MASKED = np.zeros((2, 3), [("valid", "?"), ("value", "<i4")])
MASKED["valid"], MASKED["value"] = [[True, False, True], [True, True, True]], [[1, 0, 3], [4, 5, 6]]
LITTLE, BIG = ({"name": "bytes", "configuration": {"endian": endian}} for endian in ("little", "big"))
GZIP = {"name": "gzip", "configuration": {"level": 1}}
INDEX = [LITTLE, "crc32c"]
TURNED = {"name": "transpose", "configuration": {"order": [1, 0]}}


def shared(id: str, value: Any, configuration: dict[str, Any] | None = None, **facts: Any) -> CodecCase:
    """A codec that numcodecs has too."""
    configuration = configuration or {}
    return CodecCase(find(id, configuration, 2), value, peer=numcodecs.get_codec({"id": id, **configuration}), **facts)


def ours(name: str, value: Any, takes_any_bytes: bool = False, **configuration: Any) -> CodecCase:
    """A codec that no other library here has."""
    return CodecCase(find(name, configuration), value, takes_any_bytes=takes_any_bytes)


def peer(id: str) -> Any:
    """The codec of imagecodecs; None where that is not installed."""
    try:
        return numcodecs.get_codec({"id": id})
    except (ImportError, numcodecs.errors.UnknownCodecError, ValueError):
        return None


COMPRESSORS = ("lz4", "blosclz", "lz4hc", "zlib", "zstd")  # of blosc
CHECKSUMS = ("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3")
SMALL = {
    **{name: shared(name, TEXT, is_checked=True, may_gap=True) for name in ("zlib", "gzip")},
    **{name: shared(name, TEXT, is_checked=True, is_exact=True) for name in ("bz2", "lzma", *CHECKSUMS)},
    "lzma alone": shared("lzma", TEXT, {"format": 2}, is_exact=True),
    "lzma raw": shared("lzma", TEXT, {"format": 3, "filters": [{"id": 33, "preset": 1}]}, is_exact=True),
    "lz4": shared("lz4", TEXT),
    "zstd": shared("zstd", TEXT),
    "snappy": CodecCase(find("imagecodecs_snappy", {}), TEXT, peer=peer("imagecodecs_snappy")),
    "deflate": CodecCase(
        find("imagecodecs_deflate", {}), TEXT, is_checked=True, peer=peer("imagecodecs_deflate"), may_gap=True
    ),
    "zstd checksum": shared("zstd", TEXT, {"checksum": True}, is_checked=True),
    **{
        f"blosc {name}": shared("blosc", TEXT, {"cname": name, "shuffle": 0})
        for name in numcodecs.blosc.list_compressors()
    },
    "blosc snappy": CodecCase(find("blosc", {"cname": "snappy", "shuffle": 0}, 2), TEXT),
    "blosc copied": shared("blosc", TEXT, {"clevel": 0}),
    "base64": shared("base64", TEXT, is_exact=True),
    "shuffle": shared("shuffle", TEXT[:132], {"elementsize": 4}, is_exact=True, takes_any_bytes=True),
    "pad": ours("pad", TEXT, location="end", nbytes=5, takes_any_bytes=True, padding="AQIDBAU="),
    "offset": ours("offset", TEXT, offset=5, takes_any_bytes=True),
    "bytes": ours("bytes", NUMBERS, endian="big"),
    "packbits": ours("packbits", NUMBERS % 2 == 0, padding_encoding="first_byte"),
    "vlen-utf8": shared("vlen-utf8", OBJECTS, is_exact=True),
    "vlen-bytes": shared("vlen-bytes", BYTES, is_exact=True),
    "vlen-array": shared("vlen-array", ARRAYS, {"dtype": "<i2"}, is_exact=True),
    "vlen_v2": ours("zarrs.vlen_v2", BYTES),
    "vlen": ours("zarrs.vlen", BYTES, index_codecs=INDEX, data_codecs=["bytes"], index_data_type="uint32"),
    "json2": shared("json2", OBJECTS),
    "msgpack2": shared("msgpack2", OBJECTS),
    "pcodec": shared("pcodec", NUMBERS),
    "zfpy": shared("zfpy", FLOATS, {"mode": 4, "tolerance": 1e-3}, tolerance=0.02, is_open_ended=True),
    "zfpy rate": shared("zfpy", FLOATS, {"mode": 2, "rate": 8}, tolerance=0.02),
    "zfp": ours("zfp", FLOATS, mode="reversible"),
    "sharding_indexed": ours(
        "sharding_indexed", NUMBERS, chunk_shape=[2, 3], codecs=[LITTLE], index_codecs=[LITTLE, "crc32c"]
    ),
    "optional": ours("optional", MASKED, mask_codecs=["packbits"], data_codecs=[LITTLE]),
    **{
        f"hdf5_bitshuffle {cname}": CodecCase(
            find("gpuzarr.hdf5_bitshuffle", {"elementsize": 2, "block_elements": 16, "cname": cname}),
            TEXT,
            takes_any_bytes=cname == "none",
        )
        for cname in ("none", "lz4", "zstd")
    },
    **{
        f"nvcomp_batch {name}": CodecCase(find("nvcomp_batch", {"algorithm": name}, 2), TEXT, peer=peer)
        for name, peer in (
            ("lz4", numcodecs.LZ4()),
            ("snappy", peer("imagecodecs_snappy")),
            ("zstd", numcodecs.Zstd()),
        )
    },
    "gdeflate": ours("zarrs.gdeflate", TEXT, level=1),
    "lz4h5": CodecCase(
        find("imagecodecs_lz4h5", {"blocksize": 40}), TEXT, peer=peer("imagecodecs_lz4h5"), is_exact=True
    ),
    "lzf": CodecCase(find("imagecodecs_lzf", {}), TEXT, peer=peer("imagecodecs_lzf")),
    "n5_lz4": CodecCase(find("gpuzarr.n5_lz4", {"block_bytes": 64}), TEXT, is_checked=True),
    "n5_default raw": ours("n5_default", NUMBERS, codecs=[TURNED, BIG]),
    "n5_default": CodecCase(find("n5_default", {"codecs": [TURNED, BIG, GZIP]}), NUMBERS, may_gap=True),
}
LARGE = {
    **{
        f"{name}, 20 kB": shared(
            name, MIXED, is_checked=name in ("zlib", "gzip", "crc32c"), may_gap=name in ("zlib", "gzip")
        )
        for name in ("zstd", "lz4", "zlib", "gzip", "crc32c")
    },
    "gdeflate, 70 kB": ours("zarrs.gdeflate", plain(70_001, "mixed"), level=6),
    "snappy, 20 kB": CodecCase(find("imagecodecs_snappy", {}), MIXED, peer=peer("imagecodecs_snappy")),
    **{
        f"blosc {name}, 20 kB": shared("blosc", MIXED, {"cname": name, "shuffle": 1})
        for name in ("lz4", "zstd", "zlib", "blosclz")
    },
}
CASES = SMALL | LARGE
