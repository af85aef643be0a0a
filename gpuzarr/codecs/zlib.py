"""zlib: DEFLATE with the header and checksum of RFC 1950. Source: numcodecs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import AddressDecoder
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.deflate import ZLIB, chunk_decoder, deflate, inflate
from gpuzarr.cpu.functions import Function
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError


@cache
def _format() -> gpu.nvcomp_streams.StreamFormat:
    return gpu.nvcomp_streams.StreamFormat(
        gpu.algorithms.DEFLATE,
        gpu.frames.zlib_streams,
        gpu.containers.decode_zlib,
        gpu.containers.zlib_ends,
        copied=True,
        max_chunk_bytes=gpu.containers.MAX_ZLIB_CHUNK_BYTES,
    )


@dataclass(frozen=True)
class Zlib:
    names = ("numcodecs.zlib", "zlib")
    ids = ("zlib",)
    kind: ClassVar[Kind] = "bytes->bytes"

    level: int = 1

    def __post_init__(self) -> None:
        if type(self.level) is not int or not -1 <= self.level <= 9:
            raise MetadataError(f"codec 'zlib': level must be -1 to 9, not {self.level!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return _format().why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        return "level 0 does not compress" if self.level == 0 else gpu.compress.why_host(spec)

    @classmethod
    def warm_up_examples(cls) -> tuple[Zlib, ...]:
        return (cls(),)

    @property
    def body_offset(self) -> int:
        return gpu.containers.ZLIB_HEADER_BYTES

    def streams(self, spec: BytesSpec) -> tuple[Algorithm, int]:
        return _format().algorithm, 1

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return _format().decode_scratch_bytes(nbytes, stored)

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        return gpu.compress.scratch_bytes(_format(), nbytes, before, device, gpu.compress.effort(self.level))

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if device.gpu:
            return _format().decode(self, chunks, spec, device, into)
        return chunkwise.produced("zlib", chunks, spec.nbytes, device, into, _decode, spec)

    def chunk_decoder(self) -> AddressDecoder:
        return chunk_decoder(ZLIB, members=False)

    def decode_function(self) -> Function | None:
        return None  # of C

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu.compress.encode(_format(), chunks, spec, device, gpu.compress.effort(self.level))
        return chunkwise.encoded("zlib", chunks, device, lambda chunk: deflate(chunk, self.level, ZLIB))


def _decode(chunk: np.ndarray, nbytes: int) -> bytes:
    return inflate(chunk, nbytes, ZLIB, members=False)


CODEC = Zlib
