"""Blocks of N5: the step of the codec `n5_default` that is nearest the store. See `formats/n5_header.py`.

Where a block is smaller than the chunk that it is, the chunk has the fill value elsewhere.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import ALIGNMENT, BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Codec, Kind
from gpuzarr.codecs.contract import (
    AddressDecoder,
    DecodesByAddress,
    HasAlignedBody,
    HasStreams,
    KnowsDecodeScratch,
    KnowsEncodeScratch,
    LeavesShuffle,
)
from gpuzarr.codecs.step import Step
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.functions import Function
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError
from gpuzarr.formats import n5_header

NAME = "n5_default"
MAX_COPIED_BYTES = 1 << 17  # of a raw chunk; a view of a larger one takes less time than a copy
_ALIGNMENT = 16  # bytes, of bodies that stay where they are on a GPU


@dataclass(frozen=True)
class N5Block:
    """`shape`: of a whole block, as its header has it. `fill`: an element as it is stored, for what a block lacks.
    `compressor`: of the bytes behind the header; None if there is none."""

    names: ClassVar[tuple[str, ...]] = (NAME,)
    ids: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[Kind] = "bytes->bytes"

    shape: tuple[int, ...]
    fill: bytes
    compressor: Codec | None = None

    @cached_property
    def header(self) -> bytes:
        """That of a whole block; it has as many bytes as all."""
        return n5_header.header(self.shape)

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        """A block may have fewer bytes than a whole one."""
        body: BytesSpec = spec if self.compressor is None else self.compressor.encoded(spec)
        return BytesSpec(None, None if body.bound is None else len(self.header) + body.bound, body.allowed)

    def why_host(self, spec: BytesSpec) -> str | None:
        return None if self.compressor is None else self.compressor.why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        if not spec.nbytes:
            return "there is nothing to write"
        return None if self.compressor is None else Step(self.compressor, spec).why_host_to_encode

    @property
    def body_offset(self) -> int:
        inner = self.compressor
        return len(self.header) + (inner.body_offset if isinstance(inner, HasAlignedBody) else 0)

    def streams(self, spec: BytesSpec) -> tuple[Algorithm, int] | None:
        return self.compressor.streams(spec) if isinstance(self.compressor, HasStreams) else None

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """Those of the compressor; and smaller blocks are decoded before they are put into their chunks."""
        inner = self.compressor
        known = inner.decode_scratch_bytes(nbytes, stored) if isinstance(inner, KnowsDecodeScratch) else nbytes
        return nbytes + known

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if not len(chunks):
            return chunkwise.target_batch(chunks, spec.nbytes or 0, device, into)
        chunks = gpu.fallback.with_host(chunks, device) if device.gpu else chunks
        bodies = chunks.part(len(self.header), 0)
        if n5_header.are_whole(chunks, self.header):
            return self._decode(bodies, spec, device, into)
        return self._decode_by_shape(bodies, n5_header.shapes(chunks, self.shape, NAME), spec, device, into)

    def planes(self, chunks: EncodedBatch, spec: BytesSpec, device: Device, width: int, bits: np.ndarray) -> Any:
        chunks, inner = gpu.fallback.with_host(chunks, device), self.compressor
        if isinstance(inner, LeavesShuffle) and n5_header.are_whole(chunks, self.header):
            bodies = chunks.part(len(self.header), 0)
            if gpu.tables.are_aligned(bodies, _ALIGNMENT, device):
                return inner.planes(bodies, spec, device, width, bits)
        return self.decode(chunks, spec, device)

    def chunk_decoder(self) -> AddressDecoder | None:
        """Make a decoder of whole blocks; it refuses others."""
        inner, nbytes = self.compressor, prod(self.shape) * len(self.fill)
        decode = inner.chunk_decoder() if isinstance(inner, DecodesByAddress) else None
        if inner is None and nbytes <= MAX_COPIED_BYTES:
            decode = _copy
        return None if decode is None else _whole_block_decoder(self.header, decode)

    def decode_function(self) -> Function | None:
        return None  # of a library that knows blocks

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        made: Any = chunks if self.compressor is None else self.compressor.encode(chunks, spec, device)
        if device.gpu:
            return gpu.append.with_header(self.header, made, device)
        return chunkwise.pack([self.header + made[i].tobytes() for i in range(len(made))], device)

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        """Those of the compressor, and a copy of what it makes."""
        inner, taken, made = self.compressor, before, before
        if isinstance(inner, KnowsEncodeScratch):
            taken, made = inner.encode_scratch_bytes(nbytes, before, device)
        whole = made + len(self.header) + ALIGNMENT
        return taken + whole, whole

    def _decode(self, bodies: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None) -> EncodedBatch:
        """Decode what is behind the headers."""
        if self.compressor is not None:
            made: EncodedBatch = self.compressor.decode(bodies, spec, device, into)
            return made
        chunkwise.check_sizes(NAME, bodies, spec.nbytes or 0)
        if not device.gpu:
            return chunkwise.moved(bodies, into)
        if not gpu.tables.are_aligned(bodies, _ALIGNMENT, device):  # kernels need aligned elements
            into = chunkwise.target_batch(bodies, spec.nbytes or 0, device, into)
        return gpu.tables.moved(bodies, into, device)

    def _decode_by_shape(
        self, bodies: EncodedBatch, shapes: np.ndarray, spec: BytesSpec, device: Device, into: EncodedBatch | None
    ) -> EncodedBatch:
        """Decode blocks of several shapes, those of each together."""
        target = chunkwise.target_batch(bodies, spec.nbytes or 0, device, None)
        chunks = self._elements(target, self.shape, device)
        for shape, which in _alike(shapes):
            with _numbered(which):
                if shape == self.shape:
                    self._decode(bodies.take(which), spec, device, target.take(which))
                else:
                    self._decode_smaller(bodies.take(which), shape, chunks, which, device)
                if complete := device.checked():
                    complete()  # at once: the numbers of some blocks mean nothing outside
        return (gpu.tables.moved(target, into, device) if device.gpu else chunkwise.moved(target, into)) or target

    def _decode_smaller(
        self, bodies: EncodedBatch, shape: tuple[int, ...], chunks: Any, which: np.ndarray, device: Device
    ) -> None:
        """Decode blocks of one smaller shape into `chunks[which]`, of which the rest gets the fill value."""
        nbytes = prod(shape) * len(self.fill)
        is_copied = self.compressor is not None or len(bodies) > 1  # to evenly spaced places
        made = chunkwise.target_batch(bodies, nbytes, device, None) if is_copied else None
        made = self._decode(bodies, BytesSpec(nbytes), device, made)
        first, last = int(which[0]), int(which[-1])
        at = slice(first, last + 1) if last - first < len(which) else device.xp.asarray(which)
        fill = np.frombuffer(self.fill, self._unit)
        chunks[at] = fill[0] if not fill.view(np.uint8).any() else device.xp.asarray(fill)
        if nbytes:
            places = tuple(slice(0, side) for side in reversed(shape))
            chunks[(at, *places)] = self._elements(made, shape, device)

    @property
    def _unit(self) -> np.dtype:
        """A dtype of which an element has one or several: the larger, the sooner they are copied."""
        return np.dtype(f"u{next(n for n in (8, 4, 2, 1) if len(self.fill) % n == 0)}")

    def _elements(self, batch: EncodedBatch, shape: tuple[int, ...], device: Device) -> Any:
        """The units of each element, shape (n, *reversed(shape), units): a view of evenly spaced chunks."""
        item, unit, n = len(self.fill), self._unit, len(batch)
        step = int(batch.starts[1] - batch.starts[0]) if n > 1 else prod(shape) * item
        strides = [item * prod(shape[:axis]) for axis in range(len(shape))][::-1]
        first, last = int(batch.starts[0]), int(batch.starts[-1]) + prod(shape) * item
        units = batch.data[first:last].view(unit)
        return device.xp.lib.stride_tricks.as_strided(
            units, (n, *reversed(shape), item // unit.itemsize), (step, *strides, unit.itemsize)
        )


def _alike(shapes: np.ndarray) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Each shape, and the numbers of those that have it."""
    if len(shapes) == 1:
        yield tuple(shapes[0].tolist()), np.zeros(1, np.int64)
        return
    different, numbers = np.unique(shapes, axis=0, return_inverse=True)
    for number, shape in enumerate(different.tolist()):
        yield tuple(shape), np.flatnonzero(numbers.reshape(-1) == number)


def _copy(target: int, nbytes: int, stored: memoryview, source: int, first: int, last: int) -> None:
    if len(stored) != nbytes:
        raise CodecError(f"{NAME}: {len(stored)} bytes, expected {nbytes}")
    ctypes.memmove(target, source, nbytes)


def _whole_block_decoder(header: bytes, decode: AddressDecoder) -> AddressDecoder:
    length = len(header)

    def run(target: int, nbytes: int, stored: memoryview, source: int, first: int, last: int) -> None:
        if stored[:length] != header:
            raise CodecError(f"{NAME}: a block with another header than a whole one")
        decode(target, nbytes, stored[length:], source + length, first, last)

    return run


@contextmanager
def _numbered(which: np.ndarray) -> Iterator[None]:
    """Turn the index of block i in a CodecError into which[i]."""
    try:
        yield
    except CodecError as error:
        error.index = None if error.index is None else int(which[error.index])
        raise
