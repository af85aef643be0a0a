"""zstd: Zstandard frames (RFC 8878). Source: Zarr extension `zstd`; numcodecs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import AddressDecoder
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.chunkwise import Encoder
from gpuzarr.cpu.functions import Function, One
from gpuzarr.cpu.zstd_library import DecodeSome, bound, decoder, encoder, partial_decoder
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats.zstd_frame import beginning, content_size, walk

MIN_SKIPPED_BYTES = 1 << 16  # at the end of a chunk: decoding fewer takes less time than finding the last wanted block
_MAX_GPU_LEVEL = 3  # nvCOMP has one level, which compresses about as well


@cache
def _format() -> gpu.nvcomp_streams.StreamFormat:
    return gpu.nvcomp_streams.StreamFormat(gpu.algorithms.ZSTD, gpu.frames.zstd_frames)


@dataclass(frozen=True)
class Zstd:
    names = ("zstd", "numcodecs.zstd")
    ids = ("zstd",)
    kind: ClassVar[Kind] = "bytes->bytes"

    level: int = 0
    checksum: bool = False

    def __post_init__(self) -> None:
        if type(self.level) is not int:
            raise MetadataError(f"codec 'zstd': level must be a whole number, not {self.level!r}")
        if type(self.checksum) is not bool:
            raise MetadataError(f"codec 'zstd': checksum must be true or false, not {self.checksum!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return _format().why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        if self.level > _MAX_GPU_LEVEL or self.checksum:
            return "nvCOMP's zstd has one level, a low one, and no checksum"
        return gpu.compress.why_host(spec)

    @classmethod
    def warm_up_examples(cls) -> tuple[Zstd, ...]:
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
            return chunkwise.unmeasured("zstd", chunks, device, lambda chunk: _decode_declared(chunk, spec))
        if (decode := decoder()) is None:
            return chunkwise.filled("zstd", chunks, spec.nbytes, device, into, _fill)
        target = chunkwise.target_batch(chunks, spec.nbytes, device, into)
        return chunkwise.by_address("zstd", chunks, target, spec.nbytes, decode)

    def chunk_decoder(self) -> AddressDecoder | None:
        """Make a decoder that stops after the block that has the last wanted byte."""
        decode, decode_some = decoder(), partial_decoder()
        return None if decode is None or decode_some is None else _chunk_decoder(decode.one, decode_some)

    def decode_function(self) -> Function | None:
        found = decoder()
        return None if found is None else replace(found, min_skipped=MIN_SKIPPED_BYTES)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu.compress.encode(_format(), chunks, spec, device)
        if (encoder := self.chunk_encoder()) is not None:
            return chunkwise.encoded_by_address("zstd", chunks, device, encoder)
        from numcodecs.zstd import compress

        return chunkwise.encoded("zstd", chunks, device, lambda chunk: compress(chunk, self.level, self.checksum))

    def chunk_encoder(self) -> Encoder | None:
        """Make an encoder for the calling thread; None where libzstd cannot be called by address."""
        encode = encoder(self.level, self.checksum)
        return None if encode is None else Encoder(bound, encode)


def _chunk_decoder(decode: One, decode_some: DecodeSome) -> AddressDecoder:
    def run(target: int, nbytes: int, stored: memoryview, source: int, first: int, last: int) -> None:
        if last < nbytes - MIN_SKIPPED_BYTES:
            enough = beginning(stored, nbytes, last)
            if enough is not None and decode_some(target, nbytes, source, enough) >= last:
                return
        decode(target, nbytes, source, len(stored))

    return run


def _fill(chunk: np.ndarray, target: np.ndarray) -> None:
    """Decode exactly `target` by numcodecs, or as a stream (frames that declare no size, several frames)."""
    from numcodecs.zstd import decompress

    if len(target) and content_size(chunk[:18].tobytes()) == len(target):
        decompress(chunk, target)  # an error for a cut frame, and for trailing bytes
        return
    frames = walk(chunk.tobytes())
    if (frames.nbytes is not None and frames.nbytes != len(target)) or frames.bound < len(target):
        raise CodecError(f"the frames hold {frames.nbytes or frames.bound} bytes, expected {len(target)}")
    if (found := _stream(chunk, target)) != len(target):
        raise CodecError(f"decoded to {found} bytes, expected {len(target)}")


def _decode_declared(chunk: np.ndarray, spec: BytesSpec) -> Any:
    """Decode a chunk whose size only its frames declare. No memory is allocated beyond what they and `spec` justify."""
    frames, most = walk(chunk.tobytes()), spec.most(len(chunk))
    if frames.nbytes is not None and frames.nbytes > most:
        raise chunkwise.too_large(f"{frames.nbytes} bytes are declared", most, spec)
    target = np.empty(min(frames.bound, most), np.uint8)
    try:
        found = _stream(chunk, target)
    except Exception as error:
        if frames.bound <= most:
            raise
        raise chunkwise.too_large(f"the frames may hold {frames.bound} bytes ({error})", most, spec) from error
    if frames.nbytes not in (None, found):
        raise CodecError(f"decoded to {found} bytes, and the frames declare {frames.nbytes}")
    return target[:found]


def _stream(chunk: np.ndarray, target: np.ndarray) -> int:
    """Decode into `target` as a stream; the number of decoded bytes. An error if they do not fit."""
    from cramjam import zstd

    return int(zstd.decompress_into(chunk, target))


CODEC = Zstd
