"""bitround: numbers rounded to a few leading bits. Source: numcodecs; Zarr extension `bitround`.

Decoding changes nothing. Floats keep `keepbits` bits of their mantissa, integers as many from their highest set bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import Direction
from gpuzarr.codecs.element_wise import why_host
from gpuzarr.cpu.elements import native, part
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.element_program import KEEP_BITS, KEEP_LEADING_BITS, Program, runs_on
from gpuzarr.errors import MetadataError

_MANTISSA = {"float16": 10, "float32": 23, "float64": 52, "bfloat16": 7}


@dataclass(frozen=True)
class BitRound:
    names = ("bitround", "numcodecs.bitround")
    ids = ("bitround",)
    kind: ClassVar[Kind] = "array->array"

    keepbits: int

    def __post_init__(self) -> None:
        if type(self.keepbits) is not int or self.keepbits < 0:
            raise MetadataError(f"codec 'bitround': keepbits must be a number of bits, not {self.keepbits!r}")

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        if part(spec.dtype)[0].name not in _MANTISSA and spec.dtype.kind not in "iumM":
            raise MetadataError(f"codec 'bitround' takes numbers, not {spec.dtype}")
        return spec

    def why_host(self, spec: ChunkSpec) -> str | None:
        return None

    def why_host_to_encode(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "encode")

    def program(self, spec: ChunkSpec, direction: Direction) -> Program | None:
        if not runs_on(spec.dtype):
            return None
        made, mantissa = Program.of(spec.dtype), _MANTISSA.get(spec.dtype.name)
        if direction == "decode" or self.keepbits >= (64 if mantissa is None else mantissa):
            return made
        if mantissa is None:
            return made.adding(KEEP_LEADING_BITS, first=self.keepbits)
        return made.adding(KEEP_BITS, first=mantissa - self.keepbits)

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return chunks

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "encode"))
        self.encoded(spec)
        batch = np.array(native(chunks), order="C")
        of = part(spec.dtype)[0]
        mantissa = _MANTISSA.get(of.name)
        bits = batch.reshape(-1).view(f"u{of.itemsize}")
        if mantissa is not None:
            if self.keepbits < mantissa:
                _round_alike(bits, bits.dtype.type(mantissa - self.keepbits))
        else:
            excess = _bit_length(bits) - self.keepbits
            _round(bits, np.maximum(excess, 0).astype(bits.dtype))
        return batch


def _round_alike(bits: np.ndarray, drop: Any) -> None:
    """As `_round`, for one `drop` > 0, a scalar of the dtype of `bits`, with one array of scratch."""
    one = bits.dtype.type(1)
    rounded = bits >> drop
    rounded &= one
    rounded += (one << (drop - one)) - one
    rounded += bits
    overflowed = rounded < bits
    if overflowed.any():
        rounded[overflowed] = np.iinfo(bits.dtype).max
    np.bitwise_and(rounded, ~((one << drop) - one), out=bits)


def _round(bits: np.ndarray, drop: np.ndarray) -> None:
    """Round to the nearest multiple of 2**drop, ties to even, in place; no carry beyond the highest bit."""
    one = bits.dtype.type(1)
    some = drop > 0
    half = np.where(some, (one << np.where(some, drop - one, 0).astype(bits.dtype)) - one, 0).astype(bits.dtype)
    last = np.where(some, (bits >> drop) & one, 0).astype(bits.dtype)
    rounded = bits + half + last
    rounded[rounded < bits] = np.iinfo(bits.dtype).max  # it overflowed
    bits[...] = rounded >> drop << drop


def _bit_length(bits: np.ndarray) -> np.ndarray:
    """Bits that each number needs; 0 for 0."""
    length = np.zeros(bits.shape, np.int64)
    rest = bits.copy()
    for step in (32, 16, 8, 4, 2, 1):
        if step < bits.dtype.itemsize * 8:
            high = rest >= np.array(1, bits.dtype) << np.array(step, bits.dtype)
            length += high * step
            rest[high] >>= np.array(step, bits.dtype)
    return length + (rest > 0)


CODEC = BitRound
