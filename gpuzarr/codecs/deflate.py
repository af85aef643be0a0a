"""imagecodecs_deflate: DEFLATE (RFC 1951), by default with the header and checksum of zlib, or raw.

Source: imagecodecs. What follows the end of a raw stream is ignored, as by libdeflate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.deflate import RAW, ZLIB, deflate, inflate, inflate_beginning
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError

_NAME = "imagecodecs_deflate"
_DEFAULT_LEVEL, _MAX_LEVEL, _MAX_ZLIB_LEVEL = 6, 12, 9  # of libdeflate, by which imagecodecs encodes; and of zlib


@cache
def _format(raw: bool) -> gpu.nvcomp_streams.StreamFormat:
    container = gpu.containers
    if raw:
        known, decode, ends = gpu.frames.deflate_streams, container.decode_deflate, None
    else:
        known, decode, ends = gpu.frames.zlib_streams, container.decode_zlib, container.zlib_ends
    most = container.MAX_ZLIB_CHUNK_BYTES
    return gpu.nvcomp_streams.StreamFormat(
        gpu.algorithms.DEFLATE, known, decode, ends, copied=True, max_chunk_bytes=most
    )


@dataclass(frozen=True)
class Deflate:
    """`level`: 0 to 12 (None: 6); levels above 9 are written as level 9. `raw`: without header and checksum."""

    names = (_NAME, f"numcodecs.{_NAME}")
    ids = (_NAME,)
    kind: ClassVar[Kind] = "bytes->bytes"

    level: int | None = None
    raw: bool = False

    def __post_init__(self) -> None:
        if self.level is not None and (type(self.level) is not int or not 0 <= self.level <= _MAX_LEVEL):
            raise MetadataError(f"codec {_NAME!r}: level must be 0 to {_MAX_LEVEL}, not {self.level!r}")
        if type(self.raw) is not bool:
            raise MetadataError(f"codec {_NAME!r}: raw must be true or false, not {self.raw!r}")

    @property
    def _level(self) -> int:
        return _DEFAULT_LEVEL if self.level is None else min(self.level, _MAX_ZLIB_LEVEL)

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return _format(self.raw).why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        return "level 0 does not compress" if self.level == 0 else gpu.compress.why_host(spec)

    @property
    def body_offset(self) -> int:
        return 0 if self.raw else gpu.containers.ZLIB_HEADER_BYTES

    @classmethod
    def warm_up_examples(cls) -> tuple[Deflate, ...]:
        return (cls(), cls(raw=True))

    def streams(self, spec: BytesSpec) -> tuple[Algorithm, int]:
        return _format(self.raw).algorithm, 1

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return _format(self.raw).decode_scratch_bytes(nbytes, stored)

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        return gpu.compress.scratch_bytes(_format(self.raw), nbytes, before, device, gpu.compress.effort(self._level))

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if device.gpu:
            return _format(self.raw).decode(self, chunks, spec, device, into)
        return chunkwise.produced("deflate", chunks, spec.nbytes, device, into, self._decode, spec)

    def _decode(self, chunk: np.ndarray, nbytes: int) -> bytes:
        return inflate_beginning(chunk, nbytes) if self.raw else inflate(chunk, nbytes, ZLIB, members=False)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu.compress.encode(_format(self.raw), chunks, spec, device, gpu.compress.effort(self._level))
        container = RAW if self.raw else ZLIB
        return chunkwise.encoded("deflate", chunks, device, lambda chunk: deflate(chunk, self._level, container))


CODEC = Deflate
