"""imagecodecs_snappy: blocks of Snappy, without frames. Source: imagecodecs; snappy's format_description.txt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.cpu import chunkwise
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError

_NAME = "imagecodecs_snappy"
_MAX_RATIO = 32  # of decoded to stored bytes: 3 bytes stand for at most 64


@cache
def _format() -> gpu.nvcomp_streams.StreamFormat:
    return gpu.nvcomp_streams.StreamFormat(gpu.algorithms.SNAPPY, gpu.frames.snappy_blocks)


@dataclass(frozen=True)
class Snappy:
    names = (_NAME, f"numcodecs.{_NAME}")
    ids = (_NAME,)
    kind: ClassVar[Kind] = "bytes->bytes"

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return _format().why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        return gpu.compress.why_host(spec)

    @classmethod
    def warm_up_examples(cls) -> tuple[Snappy, ...]:
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
        if spec.nbytes is None:
            return chunkwise.unmeasured("snappy", chunks, device, lambda chunk: _decode_declared(chunk, spec))
        return chunkwise.filled("snappy", chunks, spec.nbytes, device, into, _fill)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu.compress.encode(_format(), chunks, spec, device)
        from cramjam import snappy

        return chunkwise.encoded("snappy", chunks, device, lambda chunk: bytes(snappy.compress_raw(chunk)))


def _fill(chunk: np.ndarray, target: np.ndarray) -> None:
    from cramjam import snappy

    if not len(chunk) or (found := int(snappy.decompress_raw_len(chunk))) != len(target):
        raise CodecError(f"the block declares {found if len(chunk) else 'no'} bytes, expected {len(target)}")
    if len(target):
        snappy.decompress_raw_into(chunk, target)
    elif len(chunk) > 1:
        raise CodecError(f"{len(chunk) - 1} bytes follow the size of a block of no bytes")


def _decode_declared(chunk: np.ndarray, spec: BytesSpec) -> Any:
    """Decode a chunk whose decoded size only its block declares."""
    from cramjam import snappy

    nbytes = int(snappy.decompress_raw_len(chunk)) if len(chunk) else 0
    if nbytes > _MAX_RATIO * len(chunk):
        raise CodecError(f"the block declares {nbytes} bytes, which {len(chunk)} stored bytes cannot hold")
    chunkwise.check_declared(nbytes, len(chunk), spec)
    target = np.empty(nbytes, np.uint8)
    _fill(chunk, target)
    return target


CODEC = Snappy
