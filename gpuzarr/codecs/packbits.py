"""packbits: elements as a few bits each, without padding between them.

Source: Zarr extension `packbits`; numcodecs, whose codec is another one: it encodes an array of bool as one of uint8,
and begins with the highest bit of a byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.cpu.chunkwise import check_sizes, pack
from gpuzarr.cpu.elements import part, rows
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.on_gpu import fits_gpu
from gpuzarr.errors import CodecError, MetadataError

_NARROW = {
    "bool": 1,
    "int2": 2,
    "uint2": 2,
    "int4": 4,
    "uint4": 4,
    "float4_e2m1fn": 4,
    "float6_e2m3fn": 6,
    "float6_e3m2fn": 6,
}
_SIGNED = ("int2", "int4", "int8", "int16", "int32", "int64")
_PADDINGS = ("none", "first_byte", "last_byte")


@dataclass(frozen=True)
class PackBits:
    """Bits `first_bit` to `last_bit` of each element, or of each part of a complex one."""

    names = ("packbits",)
    ids = ()
    kind: ClassVar[Kind] = "array->bytes"
    reads_headers: ClassVar[bool] = False

    padding_encoding: str = "none"
    first_bit: int | None = None
    last_bit: int | None = None

    def __post_init__(self) -> None:
        if self.padding_encoding not in _PADDINGS:
            raise MetadataError(
                f"codec 'packbits': padding_encoding must be one of {_PADDINGS}, not {self.padding_encoding!r}"
            )
        for bit in (self.first_bit, self.last_bit):
            if bit is not None and (type(bit) is not int or bit < 0):
                raise MetadataError(f"codec 'packbits': first_bit and last_bit must be numbers of bits, not {bit!r}")

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        first, last, parts = self._bits(spec.dtype)
        packed = -(-prod(spec.shape) * parts * (last - first + 1) // 8)
        return BytesSpec(packed + (self.padding_encoding != "none"))

    def why_host(self, spec: ChunkSpec) -> str | None:
        return None if fits_gpu(spec.dtype) else f"the GPU has no {spec.dtype}"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        nbytes = self.encoded(spec).nbytes or 0
        check_sizes("packbits", chunks, nbytes)
        if device.gpu:
            return self._decode_on_gpu(chunks, spec, device)
        first, last, parts = self._bits(spec.dtype)
        count, width = prod(spec.shape) * parts, last - first + 1
        stored = np.stack([chunks[i] for i in range(len(chunks))]) if len(chunks) else np.empty((0, nbytes), np.uint8)
        packed = self._without_padding(stored, -count * width % 8)
        narrow = np.unpackbits(packed, axis=1, count=count * width, bitorder="little").reshape(
            len(chunks), count, width
        )
        wide = np.zeros((len(chunks), count, spec.dtype.itemsize // parts * 8), np.uint8)
        wide[..., first : last + 1] = narrow
        if spec.dtype.name in _SIGNED:
            wide[..., last + 1 :] = narrow[..., -1:]
        made = np.packbits(wide.reshape(len(chunks), count * wide.shape[2]), axis=1, bitorder="little")
        return (
            made.view(spec.dtype).reshape(len(chunks), *spec.shape)
            if made.size
            else np.empty((len(chunks), *spec.shape), spec.dtype)
        )

    def _decode_on_gpu(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device) -> Any:
        bits, places = self._of_gpu(spec), gpu.tables.addresses(chunks, device)
        if self.padding_encoding != "none":
            at = np.uint64(bits.packed if self.padding_encoding == "last_byte" else 0)
            bits.check_padding(places + at, device, _wrong_padding(bits.padding))
        made = bits.unpack(places + self._skipped, device)
        return made.view(spec.dtype).reshape(len(chunks), *spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        if device.gpu:
            return self._encode_on_gpu(chunks, spec, device)
        first, last, parts = self._bits(spec.dtype)
        count = prod(spec.shape) * parts
        data = (
            np.ascontiguousarray(rows(chunks))
            .view(np.uint8)
            .reshape(len(chunks), prod(spec.shape) * spec.dtype.itemsize)
        )
        bits = np.unpackbits(data, axis=1, bitorder="little")
        bits = bits.reshape(len(chunks), count, spec.dtype.itemsize // parts * 8)[..., first : last + 1]
        packed = np.packbits(bits.reshape(len(chunks), count * bits.shape[2]), axis=1, bitorder="little")
        padding = np.full((len(chunks), 1), -count * (last - first + 1) % 8, np.uint8)
        order = {"none": [packed], "first_byte": [padding, packed], "last_byte": [packed, padding]}
        return pack(np.ascontiguousarray(np.concatenate(order[self.padding_encoding], axis=1)), device)

    def _encode_on_gpu(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        bits, nbytes = self._of_gpu(spec), self.encoded(spec).nbytes or 0
        made = device.encoded_batch(np.full(len(chunks), nbytes, np.int64))
        places = gpu.tables.addresses(made, device)
        bits.pack(chunks, places + self._skipped, device)
        if self.padding_encoding != "none":
            bits.write_padding(places + np.uint64(0 if self._skipped else bits.packed), device)
        return made

    @property
    def _skipped(self) -> np.uint64:
        """Bytes before the packed bits."""
        return np.uint64(self.padding_encoding == "first_byte")

    def _of_gpu(self, spec: ChunkSpec) -> gpu.packbits.Bits:
        first, last, parts = self._bits(spec.dtype)
        nbytes, is_signed = spec.dtype.itemsize // parts, spec.dtype.name in _SIGNED
        return gpu.packbits.Bits(prod(spec.shape) * parts, nbytes, last - first + 1, first, is_signed)

    def _without_padding(self, stored: np.ndarray, padding: int) -> np.ndarray:
        """The packed bits of each chunk, after the number of padding bits was verified."""
        if self.padding_encoding == "none":
            return stored
        at_start = self.padding_encoding == "first_byte"
        wrong = stored[:, 0 if at_start else -1] != padding
        if wrong.any():
            raise CodecError(_wrong_padding(padding), int(np.argmax(wrong)))
        return stored[:, 1:] if at_start else stored[:, :-1]

    def _bits(self, dtype: np.dtype) -> tuple[int, int, int]:
        """First and last bit of a part of an element, and the number of its parts."""
        of, parts = part(dtype)
        if of.kind not in "biufmM" and (of.kind != "V" or of.type is np.void):
            raise MetadataError(f"codec 'packbits' does not take {dtype}")
        whole = _NARROW.get(of.name, of.itemsize * 8)
        first = 0 if self.first_bit is None else self.first_bit
        last = whole - 1 if self.last_bit is None else self.last_bit
        if not first <= last < whole:
            raise MetadataError(f"codec 'packbits': {dtype} has no bits {first} to {last}")
        return first, last, parts


@dataclass(frozen=True)
class NumcodecsPackBits:
    """A bool array as uint8: the number of padding bits, then 8 elements a byte."""

    names = ("numcodecs.packbits",)
    ids = ("packbits",)
    kind: ClassVar[Kind] = "array->array"

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        if spec.dtype.kind not in "biu" or spec.dtype.itemsize != 1:
            raise MetadataError(f"codec 'numcodecs.packbits' takes bool, not {spec.dtype}")
        return ChunkSpec((1 + -(-prod(spec.shape) // 8),), np.dtype(np.uint8), np.uint8(0))

    def why_host(self, spec: ChunkSpec) -> str | None:
        return None

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        count = prod(spec.shape)
        if device.gpu:
            return self._decode_on_gpu(chunks, spec, device)
        wrong = chunks[:, 0] != -count % 8
        if wrong.any():
            raise CodecError(_wrong_padding(-count % 8), int(np.argmax(wrong)))
        bits = np.unpackbits(np.ascontiguousarray(chunks[:, 1:]), axis=1, count=count)
        return bits.view(spec.dtype).reshape(len(chunks), *spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        if device.gpu:
            return self._encode_on_gpu(chunks, spec, device)
        bits = np.packbits(rows(chunks).astype(bool, copy=False), axis=1)
        padding = np.full((len(chunks), 1), -prod(spec.shape) % 8, np.uint8)
        return np.concatenate([padding, bits], axis=1)

    def _decode_on_gpu(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        bits, given = _of_bools(spec), device.xp.ascontiguousarray(chunks)
        places = _places(given, device)
        bits.check_padding(places, device, _wrong_padding(bits.padding))
        return bits.unpack(places + np.uint64(1), device).view(spec.dtype).reshape(len(chunks), *spec.shape)

    def _encode_on_gpu(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        bits = _of_bools(spec)
        made = device.empty(len(chunks) * (1 + bits.packed)).reshape(len(chunks), 1 + bits.packed)
        places = _places(made, device)
        bits.pack(chunks, places + np.uint64(1), device)
        bits.write_padding(places, device)
        return made


def _of_bools(spec: ChunkSpec) -> gpu.packbits.Bits:
    return gpu.packbits.Bits(prod(spec.shape), 1, 1, 0, highest_first=True)


def _places(rows: Any, device: Device) -> np.ndarray:
    """The address of each row of bytes, uint64."""
    return np.uint64(device.address(rows)) + np.arange(len(rows), dtype=np.uint64) * np.uint64(rows.shape[1])


def _wrong_padding(padding: int) -> str:
    return f"packbits: the number of padding bits is not {padding}"


CODECS = (PackBits, NumcodecsPackBits)
