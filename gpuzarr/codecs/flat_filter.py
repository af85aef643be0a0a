"""An array filter of Zarr v2 behind a filter that makes bytes: it takes these bytes as a flat array.

numcodecs lets any filter follow any other, and views its input as its own `dtype`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import Codec, Kind
from gpuzarr.cpu.chunkwise import check_declared
from gpuzarr.devices.contract import Device
from gpuzarr.errors import BAD_DATA_ERRORS, CodecError, MetadataError


@dataclass(frozen=True)
class FlatFilter:
    """`codec`: array->array. `before`, `after`: dtypes, with byte order, of its decoded and encoded bytes."""

    names: ClassVar[tuple[str, ...]] = ()  # of an instance: those of the filter
    ids: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[Kind] = "bytes->bytes"

    codec: Codec
    before: np.dtype[Any]
    after: np.dtype[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", self.codec.names or self.codec.ids)

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        if spec.nbytes is not None and spec.nbytes % self.before.itemsize:
            raise MetadataError(
                f"a filter takes elements of {self.before}, and {spec.nbytes} bytes are not a multiple of these"
            )
        return spec.resized(lambda nbytes: self.codec.encoded(self._flat(nbytes)).nbytes)

    def why_host(self, spec: BytesSpec) -> str | None:
        return "a filter that takes bytes as an array is not written for the GPU"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return _filled([self._decode_one(chunks, i, spec, device) for i in range(len(chunks))], device, into)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return _filled([self._encode_one(chunks, i, device) for i in range(len(chunks))], device, None)

    def _flat(self, nbytes: int) -> ChunkSpec:
        return ChunkSpec((-(-nbytes // self.before.itemsize),), self.before.newbyteorder("="))

    def _decode_one(self, chunks: EncodedBatch, i: int, spec: BytesSpec, device: Device) -> np.ndarray[Any, Any]:
        elements = _elements(chunks, i, self.after)
        nbytes = elements.size * self.before.itemsize if spec.nbytes is None else spec.nbytes
        check_declared(nbytes, int(chunks.sizes[i]), spec)
        flat = self._flat(nbytes)
        if spec.nbytes is not None and elements.size != self.codec.encoded(flat).shape[0]:
            raise CodecError(f"{elements.nbytes} bytes do not become {nbytes}", i)
        try:
            decoded = self.codec.decode(elements[None], flat, device)
        except BAD_DATA_ERRORS as error:
            raise CodecError(str(error), i) from error
        return _raw(decoded[0], self.before)

    def _encode_one(self, chunks: EncodedBatch, i: int, device: Device) -> np.ndarray[Any, Any]:
        elements = _elements(chunks, i, self.before)
        return _raw(self.codec.encode(elements[None], self._flat(elements.nbytes), device)[0], self.after)


def _elements(chunks: EncodedBatch, i: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """View or copy chunk i as a 1-d array in native byte order."""
    raw = np.ascontiguousarray(chunks.on_host(i))
    if raw.size % dtype.itemsize:
        raise CodecError(f"{raw.size} bytes are no multiple of {dtype}", i)
    return raw.view(dtype).astype(dtype.newbyteorder("="), copy=False)


def _raw(elements: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(elements.astype(dtype, copy=False)).reshape(-1).view(np.uint8)


def _filled(pieces: list[np.ndarray[Any, Any]], device: Device, into: EncodedBatch | None) -> EncodedBatch:
    encoded_batch = device.encoded_batch(np.array([piece.size for piece in pieces], np.int64)) if into is None else into
    for i, piece in enumerate(pieces):
        encoded_batch.on_host(i)[:] = piece
    return encoded_batch
