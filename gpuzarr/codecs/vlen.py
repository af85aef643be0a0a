"""vlen-utf8, vlen-bytes, vlen-array: elements of variable length, each behind its length.

Source: numcodecs; Zarr extensions. A chunk is the number of elements, then for each its length in bytes and its bytes;
all numbers are uint32, little-endian. In Zarr v2 the codec tells what the elements are. In v3 the data type does, and
zarrs stores any of them by any of these codecs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.checks import known
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import ElementsDecoder, ElementsEncoder
from gpuzarr.cpu import vlen_rows
from gpuzarr.cpu.chunkwise import each, pack, stacked
from gpuzarr.cpu.elements import numpy_dtype
from gpuzarr.cpu.objects import flat
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.objects import is_text
from gpuzarr.errors import CodecError, MetadataError

_NUMBER = 4  # bytes of the count, and of each length


@dataclass(frozen=True)
class VlenUtf8:
    """Strings in UTF-8, decoded to StringDType where the array is of that, else to `str` objects.

    `typed`: objects that are not marked as strings are bytes.
    """

    names = ("vlen-utf8", "numcodecs.vlen-utf8", "vlen_utf8")
    ids = ("vlen-utf8",)
    kind: ClassVar[Kind] = "array->bytes"

    typed: bool = False

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> VlenUtf8:
        known(configuration, "configuration of codec 'vlen-utf8'", ())
        return cls(typed=True)

    @classmethod
    def from_v2(cls, configuration: dict[str, Any]) -> VlenUtf8:
        known(configuration, "configuration of codec 'vlen-utf8'", ())
        return cls()

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return _any_length("vlen-utf8", spec, "OTU")

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "a GPU has no strings"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return stacked("vlen-utf8", chunks, spec, self.elements_decoder(spec))

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        return _decoder(spec, not self.typed or _is_text(spec))

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        return _written("vlen-utf8", chunks, device, self.elements_encoder(spec))

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
        return _encoder(not self.typed or _is_text(spec))


@dataclass(frozen=True)
class VlenBytes:
    """Bytes, or strings where `typed` and the array is of strings."""

    names = ("vlen-bytes", "numcodecs.vlen-bytes", "vlen_bytes")
    ids = ("vlen-bytes",)
    kind: ClassVar[Kind] = "array->bytes"

    typed: bool = False

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> VlenBytes:
        known(configuration, "configuration of codec 'vlen-bytes'", ())
        return cls(typed=True)

    @classmethod
    def from_v2(cls, configuration: dict[str, Any]) -> VlenBytes:
        known(configuration, "configuration of codec 'vlen-bytes'", ())
        return cls()

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return _any_length("vlen-bytes", spec, "OT" if self.typed else "O")

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "a GPU has no elements of variable length"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return stacked("vlen-bytes", chunks, spec, self.elements_decoder(spec))

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        return _decoder(spec, self.typed and _is_text(spec))

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        return _written("vlen-bytes", chunks, device, self.elements_encoder(spec))

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
        return _encoder(self.typed and _is_text(spec))


@dataclass(frozen=True)
class VlenV2:
    """Strings or bytes, by the name that zarrs has for this codec."""

    names = ("zarrs.vlen_v2", "vlen_v2", "zarrs.vlen_v3")
    ids = ()
    kind: ClassVar[Kind] = "array->bytes"

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return _any_length("zarrs.vlen_v2", spec, "OT")

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "a GPU has no elements of variable length"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return stacked("zarrs.vlen_v2", chunks, spec, self.elements_decoder(spec))

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        return _decoder(spec, _is_text(spec))

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        return _written("zarrs.vlen_v2", chunks, device, self.elements_encoder(spec))

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
        return _encoder(_is_text(spec))


@dataclass(frozen=True)
class VlenArray:
    """Elements are one-dimensional arrays of `dtype`; without it, which v3 allows, strings or bytes."""

    names = ("numcodecs.vlen-array", "vlen-array", "zarrs.vlen_array")
    ids = ("vlen-array",)
    kind: ClassVar[Kind] = "array->bytes"

    dtype: np.dtype | None

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> VlenArray:
        return cls.from_v2(configuration) if configuration else cls(None)

    @classmethod
    def from_v2(cls, configuration: dict[str, Any]) -> VlenArray:
        return cls(**{key: numpy_dtype(text, "vlen-array") for key, text in configuration.items()})

    def __post_init__(self) -> None:
        if self.dtype is not None and (self.dtype.hasobject or not self.dtype.itemsize):
            raise MetadataError(f"codec 'vlen-array' does not take elements of {self.dtype}")

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return _any_length("vlen-array", spec, "OT" if self.dtype is None else "O")

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "a GPU has no elements of variable length"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return stacked("vlen-array", chunks, spec, self.elements_decoder(spec))

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        from numcodecs.vlen import VLenArray as library

        if self.dtype is None:
            return _decoder(spec, _is_text(spec))
        count, codec = prod(spec.shape), library(self.dtype)

        def fill(chunk: np.ndarray, target: np.ndarray) -> None:
            _check_count(chunk, count)
            items = codec.decode(chunk)
            _check_whole(chunk, count, sum(item.nbytes for item in items))
            _assign(target.reshape(count), items)

        return fill

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        return _written("vlen-array", chunks, device, self.elements_encoder(spec))

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
        from numcodecs.vlen import VLenArray as library

        return _encoder(_is_text(spec)) if self.dtype is None else _of_objects(library(self.dtype).encode)


def _any_length(name: str, spec: ChunkSpec, kinds: str) -> BytesSpec:
    if spec.dtype.kind not in kinds:
        raise MetadataError(f"codec {name!r} takes elements of variable length, not {spec.dtype}")
    return BytesSpec(None, allowed=spec.allowed)


def _is_text(spec: ChunkSpec) -> bool:
    return spec.dtype.kind == "U" or is_text(spec.dtype)


def _decoder(spec: ChunkSpec, text: bool) -> ElementsDecoder:
    """Make a decoder of chunks of strings (`text`) or bytes."""
    from numcodecs.vlen import VLenBytes, VLenUTF8

    count, codec = prod(spec.shape), (VLenUTF8 if text else VLenBytes)()

    def fill(chunk: np.ndarray, target: np.ndarray) -> None:
        _check_count(chunk, count)
        row = target.reshape(count)
        if (seen := vlen_rows.decode(chunk, row, text)) == vlen_rows.DECODED:
            return
        items = codec.decode(chunk)
        if seen != vlen_rows.WHOLE:
            _check_whole(chunk, count, _text_bytes(items) if text else sum(map(len, items)))
        _assign(row, items)

    return fill


def _encoder(text: bool) -> ElementsEncoder:
    """Make an encoder of chunks of strings (`text`) or bytes."""
    from numcodecs.vlen import VLenBytes, VLenUTF8

    return _of_objects((VLenUTF8 if text else VLenBytes)().encode)


def _of_objects(encode: Callable[[np.ndarray], Any]) -> ElementsEncoder:
    return lambda chunk: encode(np.require(chunk.reshape(-1), object, "W"))  # numcodecs takes no read-only array


def _written(name: str, chunks: Any, device: Device, encode: ElementsEncoder) -> EncodedBatch:
    return pack(each(name, flat(chunks), encode), device)


def _check_whole(chunk: np.ndarray, count: int, nbytes: int) -> None:
    if _NUMBER * (count + 1) + nbytes != len(chunk):
        raise CodecError("more bytes than those of the elements")


def _text_bytes(items: np.ndarray) -> int:
    text = "".join(items)
    return len(text) if text.isascii() else len(text.encode())


def _check_count(chunk: np.ndarray, count: int) -> None:
    """Check, before anything is allocated, that a chunk has `count` elements and room for their lengths."""
    if len(chunk) < _NUMBER:
        raise CodecError("the chunk is too short to hold the number of its elements")
    found = int.from_bytes(chunk[:_NUMBER].tobytes(), "little")
    if found != count:
        raise CodecError(f"{found} elements, expected {count}")
    if len(chunk) < _NUMBER * (count + 1):
        raise CodecError("the chunk is too short to hold the lengths of its elements")


def _assign(row: np.ndarray, items: np.ndarray) -> None:
    """Assign objects to a row; arrays stay objects."""
    if row.dtype.kind != "O":
        row[:] = items.astype(row.dtype)
        return
    if items.dtype == object and items.shape == row.shape:
        row[:] = items
        return
    for j, item in enumerate(items.tolist()):
        row[j] = item


CODECS = (VlenUtf8, VlenBytes, VlenV2, VlenArray)
