"""lzma: LZMA and XZ compression. Source: numcodecs."""

from __future__ import annotations

import lzma as _lzma
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.byte_streams import decompressed
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError

_MAX_DICTIONARY_BYTES = 1 << 30  # that metadata may ask for
MAX_STREAM_BYTES = 80 << 20  # of memory that a stream may ask for, if metadata does not: preset 9 has 64 MiB


@dataclass(frozen=True)
class Lzma:
    """Options of Python's lzma module."""

    names = ("numcodecs.lzma", "lzma")
    ids = ("lzma",)
    kind: ClassVar[Kind] = "bytes->bytes"

    format: int = _lzma.FORMAT_XZ
    check: int = -1
    preset: int | None = None
    filters: tuple[dict[str, Any], ...] | None = None

    def __post_init__(self) -> None:
        if self.format not in (_lzma.FORMAT_AUTO, _lzma.FORMAT_XZ, _lzma.FORMAT_ALONE, _lzma.FORMAT_RAW):
            raise MetadataError(f"codec 'lzma': format must be 1, 2 or 3 (0 for reading alone), not {self.format!r}")
        if self.filters is not None and not all(isinstance(item, dict) and "id" in item for item in self.filters):
            raise MetadataError(f"codec 'lzma': filters must be a list of objects with an id, not {self.filters!r}")
        if self.format == _lzma.FORMAT_RAW and not self.filters:
            raise MetadataError("codec 'lzma': format 3 (raw) needs filters")
        if any(_number(item.get("dict_size", 0)) > _MAX_DICTIONARY_BYTES for item in self.filters or ()):
            raise MetadataError(f"codec 'lzma': a dict_size of more than {_MAX_DICTIONARY_BYTES} bytes")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return "lzma has no GPU decoder"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return chunkwise.produced("lzma", chunks, spec.nbytes, device, into, self._decode, spec)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return chunkwise.encoded("lzma", chunks, device, self._encode)

    def _decode(self, chunk: np.ndarray, nbytes: int) -> bytes:
        return decompressed(self._decompressor, chunk, nbytes, several=self.format != _lzma.FORMAT_RAW)

    def _decompressor(self) -> _lzma.LZMADecompressor:
        if self.format == _lzma.FORMAT_RAW:  # streams of other formats declare their filters
            return _lzma.LZMADecompressor(self.format, filters=self.filters)
        declared = max((_number(item.get("dict_size", 0)) for item in self.filters or ()), default=0)
        return _lzma.LZMADecompressor(self.format, memlimit=MAX_STREAM_BYTES + declared)

    def _encode(self, chunk: np.ndarray) -> bytes:
        return _lzma.compress(chunk, self.format, self.check, self.preset, self.filters)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else _MAX_DICTIONARY_BYTES + 1


CODEC = Lzma
