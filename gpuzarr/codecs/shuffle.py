"""shuffle: the first bytes of all elements, then the second bytes, and so on. Source: numcodecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.cpu import chunkwise
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError


@dataclass(frozen=True)
class Shuffle:
    names = ("numcodecs.shuffle", "shuffle")
    ids = ("shuffle",)
    kind: ClassVar[Kind] = "bytes->bytes"
    reads_headers: ClassVar[bool] = False

    elementsize: int = 4

    def __post_init__(self) -> None:
        if type(self.elementsize) is not int or self.elementsize < 0:
            raise MetadataError(f"codec 'shuffle': elementsize must be a number of bytes, not {self.elementsize!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        if spec.nbytes is not None and spec.nbytes % max(self.elementsize, 1):
            raise MetadataError(
                f"codec 'shuffle': {spec.nbytes} bytes are no multiple of elementsize {self.elementsize}"
            )
        return spec

    def why_host(self, spec: BytesSpec) -> str | None:
        return None

    @classmethod
    def warm_up_examples(cls) -> tuple[Shuffle, ...]:
        return (cls(),)

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if spec.nbytes is not None:
            chunkwise.check_sizes("shuffle", chunks, spec.nbytes)
        self._check_even(chunks)
        if device.gpu:
            return gpu.shuffle.shuffle_chunks(chunks, max(self.elementsize, 1), device, into, "unshuffle")
        if self.elementsize <= 1:
            return chunkwise.moved(chunks, into)
        return self._moved(chunks, device.encoded_batch(chunks.sizes) if into is None else into, "decode")

    def planes(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, width: int, bits: np.ndarray
    ) -> EncodedBatch | gpu.planes.Planes:
        """Decode on a GPU, but leave shuffles that placement can undo."""
        nbytes = spec.nbytes or 0
        if self.elementsize != width or not gpu.planes.placeable(width, np.array(nbytes), np.array(nbytes)):
            return self.decode(chunks, spec, device)
        chunkwise.check_sizes("shuffle", chunks, nbytes)
        return gpu.planes.whole(chunks, width, device)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        self._check_even(chunks)
        if device.gpu:
            return gpu.shuffle.shuffle_chunks(chunks, max(self.elementsize, 1), device, None, "shuffle")
        return self._moved(chunks, device.encoded_batch(chunks.sizes), "encode") if self.elementsize > 1 else chunks

    def _check_even(self, chunks: EncodedBatch) -> None:
        if (uneven := chunks.sizes % max(self.elementsize, 1) != 0).any():
            raise CodecError(f"shuffle: no multiple of {self.elementsize} bytes", int(np.argmax(uneven)))

    def _moved(self, chunks: EncodedBatch, into: EncodedBatch, direction: str) -> EncodedBatch:
        from numcodecs.shuffle import Shuffle as library

        move = getattr(library(self.elementsize), direction)
        for i in np.flatnonzero(chunks.sizes).tolist():
            move(chunks[i], out=into[i])
        return into


CODEC = Shuffle
