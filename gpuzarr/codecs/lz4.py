"""lz4: an LZ4 block behind its decoded size (int32, little-endian). Source: numcodecs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import AddressDecoder
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.functions import Function
from gpuzarr.cpu.lz4_library import HEADER, declared, decoder
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError

_MAX_RATIO = 255  # of decoded to compressed bytes: a byte of a match's length adds 255


@cache
def _format() -> gpu.nvcomp_streams.StreamFormat:
    return gpu.nvcomp_streams.StreamFormat(
        gpu.algorithms.LZ4, gpu.containers.sized_blocks, gpu.containers.decode_lz4, gpu.containers.lz4_ends
    )


@dataclass(frozen=True)
class Lz4:
    names = ("numcodecs.lz4", "lz4")
    ids = ("lz4",)
    kind: ClassVar[Kind] = "bytes->bytes"

    acceleration: int = 1

    def __post_init__(self) -> None:
        if type(self.acceleration) is not int:
            raise MetadataError(f"codec 'lz4': acceleration must be a whole number, not {self.acceleration!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return _format().why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        return gpu.compress.why_host(spec)

    @classmethod
    def warm_up_examples(cls) -> tuple[Lz4, ...]:
        return (cls(),)

    def streams(self, spec: BytesSpec) -> tuple[Algorithm, int]:
        return _format().algorithm, 1

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return _format().decode_scratch_bytes(nbytes, stored)

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        return gpu.compress.scratch_bytes(_format(), nbytes, before, device)

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if device.gpu:
            return _format().decode(self, chunks, spec, device, into)
        if spec.nbytes and (decode := decoder()) is not None:
            target = chunkwise.target_batch(chunks, spec.nbytes, device, into)
            return chunkwise.by_address("lz4", chunks, target, spec.nbytes, decode)
        from numcodecs.lz4 import decompress

        if spec.nbytes is None:
            return chunkwise.unmeasured("lz4", chunks, device, lambda chunk: _decode_declared(chunk, spec, decompress))

        def fill(chunk: np.ndarray, target: np.ndarray) -> None:
            if _declared(chunk) != len(target):
                raise CodecError(f"the header declares {_declared(chunk)} bytes, expected {len(target)}")
            if len(target):
                decompress(chunk, target)

        return chunkwise.filled("lz4", chunks, spec.nbytes, device, into, fill)

    def chunk_decoder(self) -> AddressDecoder | None:
        """Make a decoder, which decodes whole chunks whatever part of them is wanted."""
        return None if (decode := decoder()) is None else decode.decode_chunk

    def decode_function(self) -> Function | None:
        return decoder()

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu.compress.encode(_format(), chunks, spec, device)
        from numcodecs.lz4 import compress

        return chunkwise.encoded("lz4", chunks, device, lambda chunk: compress(chunk, self.acceleration))


def _declared(chunk: np.ndarray) -> int:
    """The decoded size that the header declares. CodecError where header or block are missing."""
    return declared(chunk[:HEADER].tobytes(), len(chunk))


def _decode_declared(chunk: np.ndarray, spec: BytesSpec, decompress: Callable[..., Any]) -> Any:
    """Decode a chunk whose decoded size only its header declares."""
    nbytes = _declared(chunk)
    if not 0 <= nbytes <= _MAX_RATIO * len(chunk):
        raise CodecError(f"the header declares {nbytes} bytes, which {len(chunk)} compressed bytes cannot hold")
    chunkwise.check_declared(nbytes, len(chunk), spec)
    return decompress(chunk) if nbytes else b""


CODEC = Lz4
