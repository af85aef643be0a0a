"""Chunks of HDF5's filters bitshuffle and lz4 on the CPU: one call of the C library for a chunk (native/blocks.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gpuzarr import native
from gpuzarr.batch import BytesSpec, EncodedBatch, address, bytes_at
from gpuzarr.cpu import chunkwise, lz4_library, zstd_library
from gpuzarr.cpu.chunkwise import Encoder, Fill
from gpuzarr.cpu.functions import BLOCKS_DECODE, BLOCKS_ENCODE, Call, Function, One
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError

ZSTD_LEVEL = 3  # of blocks that are encoded, hdf5plugin's default
_DECLARED = 8  # bytes of the decoded size, at the beginning of a chunk with a compressor
_CHUNK_HEADER, _BLOCK_BYTES = 12, 68  # the second is more than ZSTD_COMPRESSBOUND adds to a small block, and its header


class _Compressor(NamedTuple):
    """Addresses of a function and, of libzstd, its context; `keeper` keeps that in memory."""

    function: int | None
    context: int | None = None
    keeper: Any = None


@dataclass(frozen=True)
class BlockFormat:
    """How a codec stores chunks in blocks, and how it is run on the CPU.

    `name`: in errors. `cname`: the compressor, "none", "lz4" or "zstd". `elementsize`: 0 where bits are not shuffled.
    `block`: bytes of a block, where no header says them. `fill` and `encoded` do the same in Python, where C cannot;
    `fill` raises CodecError for what is damaged.
    """

    name: str
    cname: str
    elementsize: int
    block: int
    fill: Fill
    encoded: Callable[[np.ndarray], bytes]

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        """See `codecs.contract.Codec.decode`."""
        if spec.nbytes is None:
            return chunkwise.unmeasured(self.name, chunks, device, lambda chunk: self._decode_declared(chunk, spec))
        if not spec.nbytes or (decode := self.decode_function()) is None:
            return chunkwise.filled(self.name, chunks, spec.nbytes, device, into, self.fill)
        target = chunkwise.target_batch(chunks, spec.nbytes, device, into)
        return chunkwise.by_address(self.name, chunks, target, spec.nbytes, decode)

    def encode(self, chunks: EncodedBatch, device: Device) -> EncodedBatch:
        if (encoder := self.encoder()) is not None:
            return chunkwise.encoded_by_address(self.name, chunks, device, encoder)
        return chunkwise.encoded(self.name, chunks, device, self.encoded)

    def decode_function(self) -> Function | None:
        """The decoder, for the calling thread, of a chunk to exactly as many bytes as there is room for; or None."""
        inner = _compressor(self.cname, zstd_library.decoder, lz4_library.decoder_of_blocks)
        return None if inner is None else self._function(inner, BLOCKS_DECODE, self._decode_one)

    def encoder(self) -> Encoder | None:
        """An encoder for the calling thread; None where the compressor cannot be called by address."""
        inner = _compressor(self.cname, lambda: zstd_library.encoder(ZSTD_LEVEL, False), lz4_library.encoder_of_blocks)
        if inner is None:
            return None
        return Encoder(partial(bound, block=self.block), self._function(inner, BLOCKS_ENCODE, self._encode_one))

    def _function(self, inner: _Compressor, kind: int, otherwise: One) -> Function:
        call = Call(kind=kind, function=inner.function, context=inner.context, exact=int(kind == BLOCKS_DECODE))
        call.element, call.block = self.elementsize, self.block

        def one(target: int, capacity: int, source: int, size: int, keeper: Any = inner.keeper) -> int:
            if (library := native.library()) is not None:
                made: int = library.gpuzarr_call_one(ctypes.addressof(call), target, capacity, source, size)
                if made > 0:
                    return made
            return otherwise(target, capacity, source, size)

        return Function(one, call)

    def _decode_declared(self, chunk: np.ndarray, spec: BytesSpec) -> np.ndarray:
        """Decode a chunk whose decoded size only its header declares."""
        nbytes = len(chunk) if self.cname == "none" else int.from_bytes(chunk[:_DECLARED].tobytes(), "big")
        chunkwise.check_declared(nbytes, len(chunk), spec)
        target = np.empty(nbytes, np.uint8)
        if nbytes and (decode := self.decode_function()) is not None:
            decode.one(address(target), nbytes, address(chunk), len(chunk))
        else:
            self.fill(chunk, target)
        return target

    def _decode_one(self, target: int, nbytes: int, source: int, size: int) -> int:
        self.fill(bytes_at(source, size), bytes_at(target, nbytes))
        return nbytes

    def _encode_one(self, target: int, capacity: int, source: int, nbytes: int) -> int:
        made = self.encoded(bytes_at(source, nbytes))
        if len(made) > capacity:
            raise CodecError(f"{nbytes} bytes became {len(made)}, and there is room for {capacity}")
        ctypes.memmove(target, made, len(made))
        return len(made)


def bound(nbytes: Any, block: int) -> Any:
    """The most that chunks of these sizes can become, in blocks of `block` bytes."""
    return nbytes + (nbytes >> 7) + _CHUNK_HEADER + (nbytes // block + 2) * _BLOCK_BYTES


def _compressor(cname: str, zstd: Any, lz4: Any) -> _Compressor | None:
    if cname == "none":
        return _Compressor(None)
    found = zstd() if cname == "zstd" else lz4()
    if found is None:
        return None
    return _Compressor(found.call.function, found.call.context, found) if cname == "zstd" else _Compressor(found)
