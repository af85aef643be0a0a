"""imagecodecs_lz4h5: LZ4 in blocks, HDF5's filter 32004 (hdf5plugin.LZ4). Source: imagecodecs; `formats/lz4h5.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured, address
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import AddressDecoder
from gpuzarr.cpu.blocks import block_codec
from gpuzarr.cpu.chunkwise import Encoder
from gpuzarr.cpu.functions import Function
from gpuzarr.cpu.lz4_library import decode_block
from gpuzarr.cpu.native_codec import NativeCodec
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats import lz4h5
from gpuzarr.formats.blocks import Blocks
from gpuzarr.formats.hdf5_bitshuffle import HEADER, SIZE

_MAX_BLOCK_BYTES = 0x7E000000  # liblz4's limit


@dataclass(frozen=True)
class Lz4h5:
    """`blocksize`: decoded bytes of a block when encoding; 1 GiB if it is null or 0. `level` is accepted, as by
    imagecodecs, but has no effect: blocks are compressed at LZ4's default."""

    names = (lz4h5.NAME, f"numcodecs.{lz4h5.NAME}")
    ids = (lz4h5.NAME,)
    kind: ClassVar[Kind] = "bytes->bytes"

    level: int | None = None
    blocksize: int | None = None

    def __post_init__(self) -> None:
        if self.level is not None and type(self.level) is not int:
            raise MetadataError(f"codec {lz4h5.NAME!r}: level must be a whole number or null, not {self.level!r}")
        size, most = self.blocksize, _MAX_BLOCK_BYTES
        if size is not None and (type(size) is not int or not 0 <= size <= most):
            raise MetadataError(f"codec {lz4h5.NAME!r}: blocksize must be null or 0 to {most} bytes, not {size!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        """Each block has a header and may be stored as it is, and other encoders may make blocks of one byte."""
        return spec.resized(lambda nbytes: HEADER + (SIZE + 1) * nbytes).compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return "decoded size is not known from metadata" if spec.nbytes is None else None

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        return gpu.blocks_encode.why_host(self._shape(spec), spec)

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        return gpu.blocks_encode.scratch_bytes(self._shape(BytesSpec(nbytes)), device)

    @classmethod
    def warm_up_examples(cls) -> tuple[Lz4h5, ...]:
        return (cls(),)

    def streams(self, spec: BytesSpec) -> tuple[Algorithm, int]:
        return gpu.algorithms.LZ4, -(-(spec.nbytes or 0) // self._block) or 1

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return gpu.lz4h5.decode_scratch_bytes(nbytes)

    @property
    def _block(self) -> int:
        return self.blocksize or lz4h5.DEFAULT_BLOCK_BYTES

    def _shape(self, spec: BytesSpec) -> gpu.blocks_encode.BlockShape:
        return gpu.blocks_encode.BlockShape(spec.nbytes or 0, self._block, 0, gpu.algorithms.LZ4)

    @property
    def _on_cpu(self) -> NativeCodec:
        return block_codec("lz4h5", "lz4", 0, self._block, self._fill, lambda chunk: lz4h5.encoded(chunk, self._block))

    def blocks(self, chunks: EncodedBatch, nbytes: int) -> Blocks:
        """The blocks of chunks, whose bytes are in host memory, that decode to `nbytes` bytes each."""
        data = chunks.data if chunks.host is None else chunks.host
        return lz4h5.blocks_of(data, chunks.starts, chunks.sizes, nbytes)

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if device.gpu:
            return gpu.lz4h5.decode(self, chunks, spec, device, into)
        return self._on_cpu.decode(chunks, spec, device, into)

    def chunk_decoder(self) -> AddressDecoder | None:
        return self._on_cpu.chunk_decoder()

    def decode_function(self) -> Function | None:
        return self._on_cpu.decode_function()

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu.blocks_encode.encode(self._shape(spec), chunks, device)
        return self._on_cpu.encode(chunks, device)

    def chunk_encoder(self) -> Encoder | None:
        return self._on_cpu.encoder()

    def _fill(self, chunk: np.ndarray, target: np.ndarray) -> None:
        blocks = self.blocks(EncodedBatch.of_one(chunk), len(target))
        if not blocks.good[0]:
            raise CodecError(f"{len(chunk)} bytes are cut short, or their blocks do not decode to {len(target)} bytes")
        columns = blocks.target, blocks.nbytes, blocks.source, blocks.size
        for at, nbytes, source, size in zip(*(column.tolist() for column in columns), strict=True):
            if size == nbytes:
                target[at : at + nbytes] = chunk[source : source + size]
            else:
                decode_block(address(target) + at, nbytes, address(chunk) + source, size)


CODEC = Lz4h5
