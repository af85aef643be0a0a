"""blosc: chunks in blocks, shuffled, then compressed by one of several codecs (Blosc 1). Source: numcodecs; c-blosc."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import chunkwise
from gpuzarr.batch import BytesSpec, Slab
from gpuzarr.blosc_frame import SNAPPY, parse_headers
from gpuzarr.blosc_snappy import decode_snappy
from gpuzarr.codecs import Kind
from gpuzarr.devices import Device
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.gpu import blosc as gpu

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_AUTO = -1
_CNAMES = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")


@dataclass(frozen=True)
class Blosc:
    """Only writing asks for the fields: a chunk says itself what it is.

    `shuffle`: 0 none, 1 byte, 2 bit, -1 bit for single bytes and byte for others. `typesize`: bytes of an
    element; None (v2, where the array's dtype says it) counts as 1.
    """

    names = ("blosc", "numcodecs.blosc")
    ids = ("blosc",)
    kind: ClassVar[Kind] = "bytes->bytes"

    cname: str = "lz4"
    clevel: int = 5
    shuffle: int = 1
    blocksize: int = 0
    typesize: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.shuffle, str):
            object.__setattr__(self, "shuffle", _SHUFFLES.get(self.shuffle, self.shuffle))
        if type(self.shuffle) is not int or self.shuffle not in (0, 1, 2, _AUTO):
            raise MetadataError(f"codec 'blosc': shuffle must be one of {list(_SHUFFLES)}, not {self.shuffle!r}")
        if self.cname not in _CNAMES:
            raise MetadataError(f"codec 'blosc': cname must be one of {list(_CNAMES)}, not {self.cname!r}")
        if type(self.clevel) is not int or not 0 <= self.clevel <= 9:
            raise MetadataError(f"codec 'blosc': clevel must be 0 to 9, not {self.clevel!r}")
        if type(self.blocksize) is not int or self.blocksize < 0:
            raise MetadataError(f"codec 'blosc': blocksize must be a number of bytes, not {self.blocksize!r}")
        if self.typesize is not None and (type(self.typesize) is not int or self.typesize < 1):
            raise MetadataError(f"codec 'blosc': typesize must be a number of bytes, not {self.typesize!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return BytesSpec(None)

    def why_host(self, spec: BytesSpec) -> str | None:
        return gpu.why_host(spec)

    def decode(self, chunks: Slab, spec: BytesSpec, device: Device, into: Slab | None = None) -> Slab:
        if device.gpu:
            return gpu.decode(self, chunks, spec, device, into)
        headers = parse_headers(chunks, spec.nbytes)
        target = into or device.slab(headers.nbytes)
        snappy = np.flatnonzero((headers.codec == SNAPPY) & ~headers.copied)
        if len(snappy):
            _decode_snappy(chunks, target, snappy)
        _decode_others(chunks, target, np.setdiff1d(np.flatnonzero(headers.nbytes), snappy, assume_unique=True))
        return target

    def encode(self, chunks: Slab, spec: BytesSpec, device: Device) -> Slab:
        from numcodecs.blosc import compress

        typesize = self.typesize or 1
        shuffle = self.shuffle if self.shuffle != _AUTO else 2 if typesize == 1 else 1

        def encode(chunk: np.ndarray) -> Any:
            element = np.dtype(f"V{typesize}") if len(chunk) % typesize == 0 and len(chunk) else np.dtype(np.uint8)
            return compress(chunk.view(element), self.cname.encode(), self.clevel, shuffle, self.blocksize)

        return chunkwise.encoded("blosc", chunks, device, encode)


def _decode_others(chunks: Slab, target: Slab, which: np.ndarray) -> None:
    """Chunks of any codec but snappy, by c-blosc; the interpreter is free for other threads meanwhile."""
    from numcodecs.blosc import decompress

    i = 0
    try:
        for i in which.tolist():
            decompress(chunks[i], target[i])
    except Exception as error:
        raise chunkwise.blamed("blosc", error, i) from error


def _decode_snappy(chunks: Slab, target: Slab, which: np.ndarray) -> None:
    """Chunks of snappy streams, which numcodecs' build of c-blosc cannot read."""
    try:
        decode_snappy(chunks.take(which), target.take(which))
    except CodecError as error:
        raise CodecError(str(error), None if error.index is None else int(which[error.index])) from error


CODEC = Blosc
