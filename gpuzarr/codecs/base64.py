"""base64: bytes as text, 6 bits a character. Source: numcodecs."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.cpu import chunkwise
from gpuzarr.devices.contract import Device


@dataclass(frozen=True)
class Base64:
    names = ("numcodecs.base64", "base64")
    ids = ("base64",)
    kind: ClassVar[Kind] = "bytes->bytes"

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.resized(lambda nbytes: -(-nbytes // 3) * 4)

    def why_host(self, spec: BytesSpec) -> str | None:
        return "base64 is not written for the GPU"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return chunkwise.produced("base64", chunks, spec.nbytes, device, into, _decode, spec)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return chunkwise.encoded("base64", chunks, device, lambda chunk: binascii.b2a_base64(chunk, newline=False))


def _decode(chunk: np.ndarray, nbytes: int) -> bytes:
    return binascii.a2b_base64(chunk, strict_mode=True)


CODEC = Base64
