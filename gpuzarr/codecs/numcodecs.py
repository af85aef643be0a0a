"""The codecs of numcodecs for Zarr v3, as users name them; their names in a document begin with "numcodecs.".

A member of the configuration that tells of the array's dtype may be left out: the new array adds it.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

from gpuzarr import codecs
from gpuzarr.codecs import as_document
from gpuzarr.errors import ArgumentError

Json = dict[str, Any]
OF_NAME: dict[str, Any] = {}


def _class(name: str, codec_id: str, **of_the_dtype: Any) -> Any:
    """Make the class of a codec. `of_the_dtype`: an example of each member that a new array adds."""
    full = f"numcodecs.{codec_id}"

    def __init__(self: Any, **codec_config: Any) -> None:
        if codec_config.setdefault("id", codec_id) != codec_id:
            raise ArgumentError(f"{name} has the id {codec_id!r}, not {codec_config['id']!r}")
        self.__dict__["codec_config"] = {"id": codec_id} | codec_config
        _check(full, of_the_dtype | self.configuration())

    members = {
        "__init__": __init__,
        "__module__": __name__,
        "__doc__": f"Codec {full!r}: the arguments are the members of its configuration, as in numcodecs.",
        "__setattr__": _refuse,
        "__repr__": lambda self: f"{name}(codec_name={full!r}, codec_config={self.configuration()!r})",
        "__hash__": lambda self: hash((full, *self.codec_config)),
        "__eq__": as_document.equals,
        "__getitem__": as_document.item,
        "name": full,
        "codec_name": full,
        "configuration": lambda self: {key: value for key, value in self.codec_config.items() if key != "id"},
        "to_dict": lambda self: {"name": full, "configuration": self.configuration()},
        "from_dict": classmethod(as_document.from_dict),
    }
    OF_NAME[full] = type(name, (), members)
    return OF_NAME[full]


def _check(name: str, configuration: Json) -> None:
    """Raise ArgumentError for wrong values. What is missing, or unknown here, is found where an array is made of it."""
    cls = codecs.class_of(3, name)
    taken = {} if cls is None else signature(cls).parameters
    needed = {key for key, parameter in taken.items() if parameter.default is parameter.empty}
    if needed <= configuration.keys() <= taken.keys():
        as_document.check_configuration(name, configuration)


def _refuse(codec: Any, name: str, value: Any) -> None:
    raise AttributeError(f"{codec!r} cannot be changed")


BZ2 = _class("BZ2", "bz2")
CRC32 = _class("CRC32", "crc32")
CRC32C = _class("CRC32C", "crc32c")
LZ4 = _class("LZ4", "lz4")
LZMA = _class("LZMA", "lzma")
ZFPY = _class("ZFPY", "zfpy")
Adler32 = _class("Adler32", "adler32")
AsType = _class("AsType", "astype", decode_dtype="<f8")
BitRound = _class("BitRound", "bitround")
Blosc = _class("Blosc", "blosc")
Delta = _class("Delta", "delta", dtype="<f8")
FixedScaleOffset = _class("FixedScaleOffset", "fixedscaleoffset", dtype="<f8")
Fletcher32 = _class("Fletcher32", "fletcher32")
GZip = _class("GZip", "gzip")
JenkinsLookup3 = _class("JenkinsLookup3", "jenkins_lookup3")
PackBits = _class("PackBits", "packbits")
PCodec = _class("PCodec", "pcodec")
Quantize = _class("Quantize", "quantize", dtype="<f8")
Shuffle = _class("Shuffle", "shuffle", elementsize=4)
Zlib = _class("Zlib", "zlib")
Zstd = _class("Zstd", "zstd")
