"""gpuzarr.hdf5_bitshuffle: chunks of HDF5's filter 32008 (hdf5plugin.Bitshuffle). See `formats/hdf5_bitshuffle.py`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured, address, bytes_at
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import AddressDecoder
from gpuzarr.cpu.blocks import block_codec
from gpuzarr.cpu.chunkwise import Encoder
from gpuzarr.cpu.functions import Function
from gpuzarr.cpu.lz4_library import decode_block
from gpuzarr.cpu.native_codec import NativeCodec
from gpuzarr.cpu.zstd_library import decoder as zstd_decoder
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats import hdf5_bitshuffle as chunk_format
from gpuzarr.formats.blocks import Blocks

_COMPRESSORS = ("none", "lz4", "zstd")


@dataclass(frozen=True)
class Hdf5Bitshuffle:
    """`elementsize`: bytes of an element. `block_elements`: elements of a block; 0 for blocks of about 8 KiB. A
    compressed chunk is decoded by what its header says. `cname`: the compressor, "none", "lz4" or "zstd"."""

    names = (chunk_format.NAME,)
    ids = (chunk_format.NAME,)
    kind: ClassVar[Kind] = "bytes->bytes"
    few_readers: ClassVar[str] = "no other library reads this codec in Zarr; HDF5's filter makes the same chunks"

    elementsize: int = 4
    block_elements: int = 0
    cname: str = "lz4"

    def __post_init__(self) -> None:
        if type(self.elementsize) is not int or not 0 < self.elementsize < 1 << 16:
            raise MetadataError(f"codec {chunk_format.NAME!r}: elementsize must be bytes, not {self.elementsize!r}")
        elements = self.block_elements
        if type(elements) is not int or not 0 <= elements < 1 << 24 or elements % 8:
            raise MetadataError(
                f"codec {chunk_format.NAME!r}: block_elements must be a multiple of 8, not {elements!r}"
            )
        if self.cname not in _COMPRESSORS:
            raise MetadataError(f"codec {chunk_format.NAME!r}: cname must be one of {_COMPRESSORS}, not {self.cname!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        """Each block may become larger, by about 20 bytes."""
        if self.cname == "none":
            return spec
        unit = 8 * self.elementsize
        return spec.resized(lambda nbytes: nbytes + 32 * (nbytes // unit + 1)).compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        if spec.nbytes is None:
            return "decoded size is not known from metadata"
        most = gpu.hdf5_bitshuffle.MAX_ELEMENT_BYTES
        return f"a GPU takes elements of at most {most} bytes" if self.elementsize > most else None

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        most = gpu.hdf5_bitshuffle.MAX_ELEMENT_BYTES
        if self.elementsize > most:
            return f"a GPU takes elements of at most {most} bytes"
        return gpu.blocks_encode.why_host(self._shape(spec), spec)

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        return gpu.blocks_encode.scratch_bytes(self._shape(BytesSpec(nbytes)), device)

    @classmethod
    def warm_up_examples(cls) -> tuple[Hdf5Bitshuffle, ...]:
        return tuple(cls(cname=cname) for cname in _COMPRESSORS)

    def streams(self, spec: BytesSpec) -> tuple[Algorithm, int] | None:
        inner = gpu.hdf5_bitshuffle.algorithm(self.cname)
        return None if inner is None else (inner, -(-(spec.nbytes or 0) // self._block) or 1)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return gpu.hdf5_bitshuffle.decode_scratch_bytes(self.cname, nbytes)

    @property
    def _block(self) -> int:
        """Bytes of a block, where no header says it."""
        return (self.block_elements or chunk_format.default_elements(self.elementsize)) * self.elementsize

    def blocks(self, chunks: EncodedBatch, nbytes: int) -> Blocks:
        """The blocks of chunks that have their bytes in host memory."""
        unit = 8 * self.elementsize
        if self.cname == "none":
            return chunk_format.plain_blocks(chunks.starts, chunks.sizes, nbytes, self._block, unit)
        data = chunks.data if chunks.host is None else chunks.host
        return chunk_format.compressed_blocks(data, chunks.starts, chunks.sizes, nbytes, unit)

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if device.gpu:
            return gpu.hdf5_bitshuffle.decode(self, chunks, spec, device, into)
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

    def _shape(self, spec: BytesSpec) -> gpu.blocks_encode.BlockShape:
        inner = gpu.hdf5_bitshuffle.algorithm(self.cname)
        return gpu.blocks_encode.BlockShape(spec.nbytes or 0, self._block, self.elementsize, inner)

    @property
    def _on_cpu(self) -> NativeCodec:
        return block_codec("bitshuffle", self.cname, self.elementsize, self._block, self._fill, self._encoded)

    def _encoded(self, chunk: np.ndarray) -> bytes:
        return chunk_format.encoded(chunk, self.elementsize, self.block_elements, self.cname)

    def _fill(self, chunk: np.ndarray, target: np.ndarray) -> None:
        blocks = self.blocks(EncodedBatch.of_one(chunk), len(target))
        if not blocks.good[0]:
            raise CodecError(f"{len(chunk)} bytes are cut short, or their blocks do not decode to {len(target)} bytes")
        if len(blocks.source):
            each, whole = int(blocks.nbytes[0]), int(blocks.nbytes.sum())
            chunk_format.unshuffle(self._decompressed(chunk, blocks, whole), target[:whole], each, self.elementsize)
        if rest := len(target) % (8 * self.elementsize):
            at = int(blocks.rest[0])
            target[-rest:] = chunk[at : at + rest]

    def _decompressed(self, chunk: np.ndarray, blocks: Blocks, whole: int) -> np.ndarray:
        """All blocks, one after another, still shuffled."""
        if self.cname == "none":
            return chunk[:whole]
        made, decode = np.empty(whole, np.uint8), decode_block if self.cname == "lz4" else _zstd()
        columns = blocks.target + address(made), blocks.nbytes, blocks.source + address(chunk), blocks.size
        for block in zip(*(column.tolist() for column in columns), strict=True):
            decode(*block)
        return made


def _zstd() -> Callable[[int, int, int, int], Any]:
    """A function of the calling thread that decodes a frame: target, its bytes, source, its bytes."""
    found = zstd_decoder()
    return _by_cramjam if found is None else found.one


def _by_cramjam(target: int, nbytes: int, source: int, size: int) -> None:
    from cramjam import zstd

    block = bytes_at(target, nbytes)
    if int(zstd.decompress_into(ctypes.string_at(source, size), block)) != nbytes:
        raise CodecError(f"a block is not one of {nbytes} bytes")


CODEC = Hdf5Bitshuffle
