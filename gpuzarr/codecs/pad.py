"""pad and offset: bytes before or behind a chunk, such as the header of a file. Source: Zarr extensions of these names.

`pad` has `location` ("start" or "end"), `nbytes`, and `padding`, base64; `offset` has `offset` and `prefix`, base64.
Padding that is not given is zeros. Decoding does not look at it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.checks import shown
from gpuzarr.codecs import Kind
from gpuzarr.cpu.chunkwise import check_sizes, encoded, moved
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError

MAX_PADDING_BYTES = 1 << 20


@dataclass(frozen=True)
class Pad:
    names = ("pad",)
    ids = ()
    kind: ClassVar[Kind] = "bytes->bytes"

    location: str
    nbytes: int
    padding: str | None = None

    def __post_init__(self) -> None:
        if self.location not in ("start", "end"):
            raise MetadataError(f"codec 'pad': location must be 'start' or 'end', not {shown(self.location)}")
        _parsed("pad", self.nbytes, self.padding)

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.resized(lambda nbytes: nbytes + self.nbytes)

    def why_host(self, spec: BytesSpec) -> str | None:
        return "no kernel adds or removes padding"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return moved(_without("pad", chunks, spec, self.nbytes, self.location), into)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return _with("pad", chunks, device, _parsed("pad", self.nbytes, self.padding), self.location)


@dataclass(frozen=True)
class Offset:
    names = ("offset",)
    ids = ()
    kind: ClassVar[Kind] = "bytes->bytes"

    offset: int
    prefix: str | None = None

    def __post_init__(self) -> None:
        _parsed("offset", self.offset, self.prefix)

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.resized(lambda nbytes: nbytes + self.offset)

    def why_host(self, spec: BytesSpec) -> str | None:
        return "no kernel adds or removes padding"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return moved(_without("offset", chunks, spec, self.offset, "start"), into)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return _with("offset", chunks, device, _parsed("offset", self.offset, self.prefix), "start")


def _parsed(codec: str, nbytes: Any, text: Any) -> bytes:
    """The bytes of the padding. MetadataError where they are not as many as metadata says."""
    if type(nbytes) is not int or not 0 <= nbytes <= MAX_PADDING_BYTES:
        raise MetadataError(f"codec {codec!r}: {shown(nbytes)} bytes; it takes 0 to {MAX_PADDING_BYTES}")
    if text is None:
        return bytes(nbytes)
    try:
        padding = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise MetadataError(f"codec {codec!r}: {shown(text)} is not base64") from error
    if len(padding) != nbytes:
        raise MetadataError(f"codec {codec!r}: the padding has {len(padding)} bytes, not {nbytes}")
    return padding


def _without(codec: str, chunks: EncodedBatch, spec: BytesSpec, nbytes: int, location: str) -> EncodedBatch:
    if spec.nbytes is not None:
        check_sizes(codec, chunks, spec.nbytes + nbytes)
    elif (short := chunks.sizes < nbytes).any():
        raise CodecError(f"{codec}: the chunk is shorter than its padding", int(np.argmax(short)))
    return chunks.part(nbytes, 0) if location == "start" else chunks.part(0, nbytes)


def _with(codec: str, chunks: EncodedBatch, device: Device, padding: bytes, location: str) -> EncodedBatch:
    def encode(chunk: np.ndarray) -> bytes:
        return padding + chunk.tobytes() if location == "start" else chunk.tobytes() + padding

    return encoded(codec, chunks, device, encode)


CODECS = (Pad, Offset)
