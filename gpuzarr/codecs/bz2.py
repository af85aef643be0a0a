"""bz2: Burrows-Wheeler compression. Source: numcodecs."""

from __future__ import annotations

import bz2 as _bz2
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.byte_streams import decompressed
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class Bz2:
    names = ("numcodecs.bz2", "bz2")
    ids = ("bz2",)
    kind: ClassVar[Kind] = "bytes->bytes"

    level: int = 1

    def __post_init__(self) -> None:
        if type(self.level) is not int or not 1 <= self.level <= 9:
            raise MetadataError(f"codec 'bz2': level must be 1 to 9, not {self.level!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return "bz2 has no GPU decoder"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return chunkwise.produced("bz2", chunks, spec.nbytes, device, into, _decode, spec)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return chunkwise.encoded("bz2", chunks, device, lambda chunk: _bz2.compress(memoryview(chunk), self.level))


def _decode(chunk: np.ndarray, nbytes: int) -> Any:
    return decompressed(_bz2.BZ2Decompressor, chunk, nbytes)


CODEC = Bz2
