"""n5_lz4: blocks of LZ4 as Java's `LZ4BlockOutputStream` writes them, which N5 calls lz4.

Source: https://github.com/lz4/lz4-java. A block is "LZ4Block"; a byte, 0x10 for raw bytes or 0x20 for LZ4, and the size
of blocks; compressed and decoded size, and a checksum, int32 each, little-endian; and its bytes. A block of none ends
the stream. The checksum is the low 28 bits of XXH32 of the decoded bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch, address, bytes_at
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import AddressDecoder
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.functions import Function
from gpuzarr.cpu.lz4_library import decode_block
from gpuzarr.cpu.xxh32 import xxh32
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError

_MAGIC, _RAW, _LZ4 = b"LZ4Block", 0x10, 0x20
_HEAD = struct.Struct("<8sBIII")
_LEAST, _MOST = 64, 1 << 25  # bytes of a block
_CHECKED_BITS = 0x0FFFFFFF


@dataclass(frozen=True)
class N5Lz4:
    """`block_bytes`: of decoded blocks that are written."""

    names = ("gpuzarr.n5_lz4",)
    ids = ()
    kind: ClassVar[Kind] = "bytes->bytes"

    block_bytes: int = 1 << 16

    def __post_init__(self) -> None:
        if type(self.block_bytes) is not int or not _LEAST <= self.block_bytes <= _MOST:
            raise MetadataError(f"codec 'gpuzarr.n5_lz4': block_bytes must be {_LEAST} to {_MOST}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        """Each block has a header, and may be raw."""
        return spec.resized(lambda nbytes: nbytes + (-(-nbytes // self.block_bytes) + 1) * _HEAD.size).compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return "lz4 of Java's library has checksums that are not written for the GPU"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if spec.nbytes is None:
            return chunkwise.unmeasured("n5_lz4", chunks, device, lambda chunk: _decode_declared(chunk, spec))
        return chunkwise.filled("n5_lz4", chunks, spec.nbytes, device, into, _decode)

    def chunk_decoder(self) -> AddressDecoder | None:
        return _decode_by_address

    def decode_function(self) -> Function | None:
        return None  # it is no function of a library

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return chunkwise.encoded("n5_lz4", chunks, device, self._encode)

    def _encode(self, chunk: np.ndarray) -> bytes:
        from numcodecs.lz4 import compress

        level = max((self.block_bytes - 1).bit_length() - 10, 0)
        starts = np.arange(0, len(chunk), self.block_bytes)
        checksums = xxh32(chunk, starts, np.minimum(self.block_bytes, len(chunk) - starts)) & _CHECKED_BITS
        made = []
        for start, checksum in zip(starts.tolist(), checksums.tolist(), strict=True):
            block = chunk[start : start + self.block_bytes].tobytes()
            packed = compress(block)[4:]  # behind the size of numcodecs
            method, body = (_LZ4, packed) if len(packed) < len(block) else (_RAW, block)
            made += [_HEAD.pack(_MAGIC, method | level, len(body), len(block), checksum), body]
        return b"".join([*made, _HEAD.pack(_MAGIC, _RAW | level, 0, 0, 0)])


def _blocks(chunk: Any) -> list[tuple[int, int, int, int, int]]:
    """Method, offset, compressed and decoded size, and checksum of each block but the last. CodecError for damage."""
    found, at, end = [], 0, len(chunk)
    while True:
        if end - at < _HEAD.size:
            raise CodecError("the blocks are cut short")
        magic, token, packed, nbytes, checksum = _HEAD.unpack_from(chunk, at)
        method, at = token & 0xF0, at + _HEAD.size
        if magic != _MAGIC or method not in (_RAW, _LZ4) or nbytes > 1 << 10 + (token & 0x0F):
            raise CodecError("a block has no header of LZ4BlockOutputStream, of Java; lz4 of others is not supported")
        if packed > end - at or (packed == 0) != (nbytes == 0) or (method == _RAW and packed != nbytes):
            raise CodecError(f"a block of {nbytes} bytes cannot be {packed} of the {end - at} bytes that follow")
        if not nbytes:
            break
        found.append((method, at, packed, nbytes, checksum))
        at += packed
    if at < end or checksum:
        raise CodecError(f"{end - at} bytes follow the last block, whose checksum is {checksum}")
    return found


def _decode(chunk: np.ndarray, target: np.ndarray) -> None:
    blocks = _blocks(chunk)
    sizes = np.array([nbytes for _, _, _, nbytes, _ in blocks], np.int64)
    if (declared := int(sizes.sum())) != len(target):
        raise CodecError(f"blocks of {declared} bytes together, expected {len(target)}")
    if not blocks:
        return
    starts, source, place = np.cumsum(sizes) - sizes, address(chunk), address(target)
    for (method, at, packed, nbytes, _), start in zip(blocks, starts.tolist(), strict=True):
        if method == _RAW:
            target[start : start + nbytes] = chunk[at : at + nbytes]
        else:
            decode_block(place + start, nbytes, source + at, packed)
    checksums = np.array([checksum for *_, checksum in blocks], np.uint32)
    if (bad := (xxh32(target, starts, sizes) & _CHECKED_BITS) != checksums).any():
        raise CodecError(f"the checksum of block {int(np.argmax(bad))} does not match")


def _decode_declared(chunk: np.ndarray, spec: BytesSpec) -> bytes:
    """Decode a chunk whose decoded size only its blocks declare."""
    nbytes = sum(declared for _, _, _, declared, _ in _blocks(chunk))
    chunkwise.check_declared(nbytes, len(chunk), spec)
    target = np.empty(nbytes, np.uint8)
    _decode(chunk, target)
    return target.tobytes()


def _decode_by_address(target: int, nbytes: int, stored: memoryview, source: int, first: int, last: int) -> None:
    _decode(np.frombuffer(stored, np.uint8), bytes_at(target, nbytes))


CODEC = N5Lz4
