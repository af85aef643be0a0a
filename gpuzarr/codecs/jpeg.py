"""jpeg, jpegxl and lzw of the registry of Zarr v3, which the package imagecodecs runs on the CPU.

Sources: Zarr extensions `jpeg`, `jpegxl` and `lzw`. JPEG takes chunks of uint8 of shape (height, width), (height,
width, 1) or (height, width, 3). JPEG XL takes uint8, uint16, float16 and float32, with up to 4 samples as last
axis, and frames as first axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.checks import shown
from gpuzarr.codecs import Kind
from gpuzarr.codecs.of_numcodecs import OfNumcodecs, as_text
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError, UnsupportedError

_MAX_SIDE = 65_535  # of JPEG
_PLAIN = ((1, 1), (1, 1), (1, 1))
_SUBSAMPLING = {(1, 1): "444", (2, 1): "422", (1, 2): "440", (2, 2): "420", (4, 1): "411"}  # as imagecodecs has them
_SPACES = ("ycbcr", "rgb")
_OF_JPEGXL = {  # members of the configuration that imagecodecs takes; it makes the others of the data
    *("lossless", "distance", "effort", "decodingspeed", "bitspersample", "usecontainer"),
}
_ALL_OF_JPEGXL = _OF_JPEGXL | {"photometric", "primaries", "transfer"}


@dataclass(frozen=True)
class Jpeg:
    """`quality`: 0 to 100. `encoded_color_space`: "ycbcr" or "rgb", where there are 3 samples. `subsampling`: the
    horizontal and vertical factors of each sample; by default 2 by 2 for ycbcr."""

    names = ("jpeg",)
    ids = ()
    kind: ClassVar[Kind] = "array->bytes"

    quality: int
    encoded_color_space: str | None = None
    subsampling: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        if type(self.quality) is not int or not 0 <= self.quality <= 100:
            raise MetadataError(f"codec 'jpeg': quality must be 0 to 100, not {shown(self.quality)}")
        if self.encoded_color_space not in (None, *_SPACES):
            raise MetadataError(f"codec 'jpeg': encoded_color_space must be one of {_SPACES}")
        if self.subsampling is not None:
            object.__setattr__(self, "subsampling", _factors(self.subsampling))

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        _check_image("jpeg", spec, ("uint8",), 3)
        samples = spec.shape[2] if len(spec.shape) == 3 else 1
        if samples not in (1, 3) or max(spec.shape[:2]) > _MAX_SIDE:
            raise MetadataError(f"codec 'jpeg' takes 1 or 3 samples at the end, and sides up to {_MAX_SIDE}")
        if (self.encoded_color_space is None) == (samples == 3):
            raise MetadataError("codec 'jpeg' takes encoded_color_space where there are 3 samples, and only there")
        if self.subsampling is not None:
            self._check_subsampling(samples)
        made: BytesSpec = self._library.encoded(spec)
        return made

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "no kernel decodes images"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return self._library.decode(chunks, spec, device)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        made: EncodedBatch = self._library.encode(chunks, spec, device)
        return made

    def _check_subsampling(self, samples: int) -> None:
        factors = self.subsampling or ()
        if len(factors) != samples or any(one != (1, 1) for one in factors[1:]):
            raise MetadataError(f"codec 'jpeg': subsampling {factors} is none of {samples} samples")
        if (samples == 1 or self.encoded_color_space == "rgb") and factors != _PLAIN[:samples]:
            raise MetadataError("codec 'jpeg': only ycbcr is subsampled")
        if factors[0] not in _SUBSAMPLING:
            raise UnsupportedError(f"codec 'jpeg': imagecodecs has no subsampling {factors}")

    @cached_property
    def _library(self) -> OfNumcodecs:
        options: dict[str, Any] = {"level": self.quality}
        if self.encoded_color_space is not None:
            factors = self.subsampling or ((2, 2) if self.encoded_color_space == "ycbcr" else (1, 1), (1, 1), (1, 1))
            space = self.encoded_color_space.upper()
            options |= {"colorspace_data": "RGB", "colorspace_jpeg": space, "subsampling": _SUBSAMPLING[factors[0]]}
        return _run_by(self.names, "imagecodecs_jpeg", options)


@dataclass(frozen=True)
class JpegXl:
    """Members of the configuration: lossless, distance, effort, decodingspeed, bitspersample and usecontainer, used for
    writing only; photometric, primaries and transfer are accepted, and taken from the data."""

    names = ("jpegxl",)
    ids = ()
    kind: ClassVar[Kind] = "array->bytes"

    configuration: str = "{}"

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> JpegXl:
        if unknown := set(configuration) - _ALL_OF_JPEGXL:
            raise MetadataError(f"codec 'jpegxl' does not take {sorted(unknown)}")
        options = {name: value for name, value in configuration.items() if name in _OF_JPEGXL}
        if options.get("lossless"):
            options.pop("distance", None)
        return cls(as_text("jpegxl", {**options, "keeporientation": True}))

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        _check_image("jpegxl", spec, ("uint8", "uint16", "float16", "float32"), 4)
        if len(spec.shape) == 4 and spec.shape[3] > 4:
            raise MetadataError("codec 'jpegxl' takes at most 4 samples at the end")
        made: BytesSpec = self._library.encoded(spec)
        return made

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "no kernel decodes images"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return self._library.decode(chunks, spec, device)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        made: EncodedBatch = self._library.encode(chunks, spec, device)
        return made

    @cached_property
    def _library(self) -> OfNumcodecs:
        return OfNumcodecs(self.names, (), "array->bytes", "imagecodecs_jpegxl", self.configuration, True)


@dataclass(frozen=True)
class Lzw:
    """LZW as TIFF has it."""

    names = ("lzw",)
    ids = ()
    kind: ClassVar[Kind] = "bytes->bytes"

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        self._library.encoded(spec)
        return BytesSpec(None, None if spec.bound is None else 2 * spec.bound + 16, spec.allowed)  # 12 bits a byte

    def why_host(self, spec: BytesSpec) -> str | None:
        return "lzw has no GPU decoder"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        made: EncodedBatch = self._library.decode(chunks, spec, device, into)
        return made

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        made: EncodedBatch = self._library.encode(chunks, spec, device)
        return made

    @cached_property
    def _library(self) -> OfNumcodecs:
        return OfNumcodecs(self.names, (), "bytes->bytes", "imagecodecs_lzw", "{}")


def _run_by(names: tuple[str, ...], codec_id: str, options: dict[str, Any]) -> OfNumcodecs:
    return OfNumcodecs(names, (), "array->bytes", codec_id, as_text(codec_id, options), True)


def _check_image(codec: str, spec: ChunkSpec, dtypes: tuple[str, ...], most_axes: int) -> None:
    if spec.dtype not in [np.dtype(name) for name in dtypes]:
        raise MetadataError(f"codec {codec!r} takes elements of {', '.join(dtypes)}, not {spec.dtype}")
    if not 2 <= len(spec.shape) <= most_axes or not min(spec.shape):
        raise MetadataError(f"codec {codec!r} takes images of 2 to {most_axes} axes, not chunks of shape {spec.shape}")


def _factors(given: Any) -> tuple[tuple[int, int], ...]:
    is_list = isinstance(given, list | tuple) and all(isinstance(one, list | tuple) and len(one) == 2 for one in given)
    if not is_list or not all(type(n) is int and 1 <= n <= 4 for one in given for n in one):
        raise MetadataError(f"codec 'jpeg': subsampling must be a pair of factors for each sample, not {shown(given)}")
    return tuple((one[0], one[1]) for one in given)


CODECS = (Jpeg, JpegXl, Lzw)
