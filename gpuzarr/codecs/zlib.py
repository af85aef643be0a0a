"""zlib: DEFLATE with the header and checksum of RFC 1950. Source: numcodecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.deflate import ZLIB, deflate, inflate
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError
from gpuzarr.gpu import compress as gpu_compress
from gpuzarr.gpu.algorithms import DEFLATE
from gpuzarr.gpu.containers import MAX_ZLIB_CHUNK_BYTES, decode_zlib, zlib_ends
from gpuzarr.gpu.frames import zlib_streams
from gpuzarr.gpu.nvcomp_streams import StreamFormat

_FORMAT = StreamFormat(DEFLATE, zlib_streams, decode_zlib, zlib_ends, copied=True, max_chunk_bytes=MAX_ZLIB_CHUNK_BYTES)


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
        return BytesSpec(None)

    def why_host(self, spec: BytesSpec) -> str | None:
        return _FORMAT.why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        return "level 0 does not compress" if self.level == 0 else gpu_compress.why_host(spec)

    @classmethod
    def warm_up_examples(cls) -> tuple[Zlib, ...]:
        return (cls(),)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return _FORMAT.decode_scratch_bytes(nbytes, stored)

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        return gpu_compress.scratch_bytes(_FORMAT, nbytes, before, device, gpu_compress.effort(self.level))

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if device.gpu:
            return _FORMAT.decode(self, chunks, spec, device, into)
        return chunkwise.produced("zlib", chunks, spec.nbytes, device, into, _decode)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu_compress.encode(_FORMAT, chunks, spec, device, gpu_compress.effort(self.level))
        return chunkwise.encoded("zlib", chunks, device, lambda chunk: deflate(chunk, self.level, ZLIB))


def _decode(chunk: np.ndarray, nbytes: int) -> bytes:
    return inflate(chunk, nbytes, ZLIB, members=False)


CODEC = Zlib
