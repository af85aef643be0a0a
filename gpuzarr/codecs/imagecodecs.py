"""imagecodecs_*: codecs of images, and compressors, which the package imagecodecs runs on the CPU.

Source: `imagecodecs.numcodecs` (Zarr v2) and `imagecodecs.zarr` (Zarr v3, whose kinds these are). The members of a
configuration are the arguments of the classes in `imagecodecs.numcodecs`; shape, dtype and item size may be left out,
and are then those of the chunk. In v2 the first codec of a chain gets the array, whatever its kind is here, as in
numcodecs. Those that are run here, partly on a GPU too, have files of their own: snappy, deflate, lz4h5, lzf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpuzarr.codecs import Kind
from gpuzarr.codecs.of_numcodecs import IMAGES, OfNumcodecs, as_text

_OF_KIND: dict[Kind, tuple[str, ...]] = {
    "array->array": ("bitorder", "bitshuffle", "byteshuffle", "delta", "floatpred", "quantize", "xor"),
    "array->bytes": (
        *("apng", "avif", "bfloat16", "bmp", "ccittfax3", "ccittfax4", "ccittrle", "dds", "dicomrle", "eer", "exr"),
        *("float24", "gif", "hcomp", "heif", "jpeg", "jpeg2k", "jpegls", "jpegxl", "jpegxr", "jpegxs", "lerc"),
        *("b2nd", "meshopt", "packints", "pcx", "pixarlog", "plio", "png", "qoi", "rcomp", "rgbe", "spng"),
        *("tga", "tiff", "ultrahdr", "wavpack", "webp", "zfp"),
    ),
    "bytes->bytes": (
        *("aec", "blosc", "blosc2", "brotli", "bz2", "checksum", "isal", "lz4", "lz4f", "lzfse"),
        *("lzham", "lzma", "lzo", "lzw", "packbits", "pglz", "szip", "zlib", "zlibng", "zopfli", "zstd", "zstd1"),
    ),
}
_ONLY_READ = ("ccittfax3", "ccittfax4", "ccittrle", "dds", "dicomrle", "eer", "lzo")


@dataclass(frozen=True)
class ImageCodecs:
    """One name of this family, as the registry has it. `kind`: in Zarr v3. `only_read`: imagecodecs encodes none."""

    names: tuple[str, ...]
    ids: tuple[str, ...]
    kind: Kind
    id: str
    only_read: bool

    def from_v3(self, configuration: dict[str, Any]) -> OfNumcodecs:
        text, is_image = as_text(self.id, configuration), self.kind == "array->bytes"
        return OfNumcodecs(self.names, self.ids, self.kind, self.id, text, is_image)

    def from_v2(self, configuration: dict[str, Any]) -> OfNumcodecs:
        text, is_image = as_text(self.id, configuration), self.kind == "array->bytes"
        return OfNumcodecs(self.names, self.ids, "array->bytes", self.id, text, is_image)


def _named(name: str, kind: Kind) -> ImageCodecs:
    codec_id = IMAGES + name
    return ImageCodecs((codec_id, f"numcodecs.{codec_id}"), (codec_id,), kind, codec_id, name in _ONLY_READ)


CODECS = tuple(_named(name, kind) for kind, names in _OF_KIND.items() for name in names)
