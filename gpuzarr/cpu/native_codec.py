"""Codecs that the C library runs, in one call a chunk; and Python where it cannot be called."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gpuzarr import native
from gpuzarr.batch import BytesSpec, EncodedBatch, address, bytes_at
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.chunkwise import Encoder, Fill
from gpuzarr.cpu.functions import Call, Function, One
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError


class OwnedCall(NamedTuple):
    """A call of the C library, for the calling thread, and the owner of the memory that it points to."""

    call: Call
    owner: Any = None


@dataclass(frozen=True)
class NativeCodec:
    """How a codec decodes and encodes chunks on the CPU.

    `name`: in errors. `to_decode` and `to_encode` make the call of the C library; None where it cannot be called.
    `capacity(nbytes)`: the most bytes that a chunk of `nbytes` bytes is stored as. `declared(chunk)`: the decoded size
    that a stored chunk declares. `fill` and `encoded` decode and encode in Python; `fill` raises CodecError for damage.
    """

    name: str
    to_decode: Callable[[], OwnedCall | None]
    to_encode: Callable[[], OwnedCall | None]
    capacity: Callable[[Any], Any]
    declared: Callable[[np.ndarray], int]
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
        """A decoder, for the calling thread, of a chunk to exactly the bytes there is room for; None where C cannot be
        called."""
        return None if (called := self.to_decode()) is None else _function(called, self._decode_one)

    def chunk_decoder(self) -> Callable[[int, int, memoryview, int, int, int], None] | None:
        """See `codecs.contract.DecodesByAddress`. It decodes whole chunks, whatever part of them is wanted."""
        return None if (decode := self.decode_function()) is None else decode.decode_chunk

    def encoder(self) -> Encoder | None:
        """An encoder for the calling thread; None where C cannot be called."""
        called = self.to_encode()
        return None if called is None else Encoder(self.capacity, _function(called, self._encode_one))

    def _decode_declared(self, chunk: np.ndarray, spec: BytesSpec) -> np.ndarray:
        """Decode a chunk whose decoded size is not known from metadata."""
        nbytes = self.declared(chunk)
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
            raise CodecError(f"{nbytes} bytes became {len(made)}, but there is room for {capacity} only")
        ctypes.memmove(target, made, len(made))
        return len(made)


def _function(called: OwnedCall, otherwise: One) -> Function:
    def one(target: int, capacity: int, source: int, size: int) -> int:
        if (library := native.library()) is not None:
            made: int = library.gpuzarr_call_one(ctypes.addressof(called.call), target, capacity, source, size)
            if made > 0:
                return made
        return otherwise(target, capacity, source, size)

    return Function(one, called.call)
