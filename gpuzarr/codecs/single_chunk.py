"""Decoders of single chunks, for the calling thread of the CPU, into memory of the caller."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec, EncodedBatch, address
from gpuzarr.codecs.contract import AddressDecoder, ElementsDecoder
from gpuzarr.cpu.programs import Loop
from gpuzarr.devices.cpu import CPU, Cpu
from gpuzarr.errors import CodecError

# decode(stored, target, first, last): the bytes `stored` become a chunk in `target`, a C-contiguous array of its shape
# and dtype, of which elements `first` to `last` (inclusive, in C order) are wanted; others may be left as they were.
# What cannot be decoded there, such as elements in another order, leaves `target` as it was, and the chunk is returned:
# an array of its shape, of any strides and byte order, valid until the next call. `stored` may be changed, unless it is
# read-only. CodecError for bad bytes.
ChunkDecoder = Callable[[memoryview, np.ndarray, int, int], np.ndarray | None]
BatchDecoder = Callable[[EncodedBatch, Any, EncodedBatch | None], Any]  # of a Chain: encoded, device, into


def whole_decoder(spec: ChunkSpec, in_place: bool, decode: BatchDecoder) -> ChunkDecoder:
    """Make a decoder that decodes whole chunks as batches of one, whatever part is wanted.

    `in_place`: whether `decode` takes `into`. Scratch is kept between calls.
    """
    start = np.zeros(1, np.int64)
    device: Any = None

    def run(stored: memoryview, target: np.ndarray, first: int, last: int) -> np.ndarray | None:
        nonlocal device  # its scratch is not used up by the chunks of the scope that the caller is in
        device = device or Cpu(CPU.threads)
        encoded = EncodedBatch(np.frombuffer(stored, np.uint8), start, np.array([len(stored)], np.int64))
        with device.scratch_scope():
            if in_place:
                memory = target.reshape(-1).view(np.uint8)
                decode(encoded, device, EncodedBatch(memory, start, np.array([len(memory)], np.int64)))
                return None
            made: np.ndarray = decode(encoded, device, None)
            return made[0]

    return run


def copier(spec: ChunkSpec, nbytes: int, otherwise: ChunkDecoder) -> ChunkDecoder:
    """Make a decoder of uncompressed chunks, which copies only what is wanted.

    `otherwise` is called for a chunk that has not `nbytes` bytes, and raises the error.
    """
    item = spec.dtype.itemsize

    def run(stored: memoryview, target: np.ndarray, first: int, last: int) -> np.ndarray | None:
        if len(stored) != nbytes:
            return otherwise(stored, target, first, last)
        wanted = slice(first * item, (last + 1) * item)
        memoryview(target.reshape(-1).view(np.uint8))[wanted] = stored[wanted]
        return None

    return run


def filler(fill: ElementsDecoder, otherwise: ChunkDecoder) -> ChunkDecoder:
    """Make a decoder from `fill` of the only codec. `otherwise` decodes what it refuses, and raises the error."""

    def run(stored: memoryview, target: np.ndarray, first: int, last: int) -> np.ndarray | None:
        try:
            fill(np.frombuffer(stored, np.uint8), target)
        except Exception:
            return otherwise(stored, target, first, last)
        return None

    return run


def address_decoder(spec: ChunkSpec, nbytes: int, decode: AddressDecoder, otherwise: ChunkDecoder) -> ChunkDecoder:
    """Make a decoder from `decode` of the only codec between the stored bytes and the elements.

    `otherwise` is called for chunks that `decode` refuses: it decodes unusual ones, and raises the error for damaged
    ones.
    """
    item = spec.dtype.itemsize

    def run(stored: memoryview, target: np.ndarray, first: int, last: int) -> np.ndarray | None:
        try:
            decode(_address(target), nbytes, stored, _address(stored), first * item, (last + 1) * item)
        except CodecError:
            return otherwise(stored, target, first, last)
        return None

    return run


def ordered_decoder(
    spec: ChunkSpec, nbytes: int, strides: tuple[int, ...], swap: int, decode: AddressDecoder, otherwise: ChunkDecoder
) -> ChunkDecoder | None:
    """Make a decoder from `decode` of the only codec between the stored bytes and elements in another order.

    `strides`, `swap`: as of `MemoryOrder`. None where NumPy has no array of such elements. `otherwise`: as of
    `address_decoder`.
    """
    if spec.dtype.isbuiltin != 1 or spec.dtype.kind not in "biufc":
        return None
    dtype = spec.dtype if swap == 1 else spec.dtype.newbyteorder("S")
    memory = np.empty(nbytes, np.uint8)
    target_address, chunk = memory.ctypes.data, np.ndarray(spec.shape, dtype, memory, 0, _in_bytes(strides, dtype))

    def run(stored: memoryview, target: np.ndarray, first: int, last: int) -> np.ndarray | None:
        try:
            decode(target_address, nbytes, stored, _address(stored), 0, nbytes)
        except CodecError:
            return otherwise(stored, target, first, last)
        return chunk

    return run


def looped_decoder(spec: ChunkSpec, loop: Loop, decode: AddressDecoder | None, otherwise: ChunkDecoder) -> ChunkDecoder:
    """Make a decoder that runs `loop` on what `decode` makes of the stored bytes; if it is None, on the stored bytes.

    `otherwise`: as of `address_decoder`.
    """
    before, after = loop.program.source.itemsize, spec.dtype.itemsize
    nbytes = prod(spec.shape) * before
    memory = None if decode is None else np.empty(nbytes, np.uint8)

    def run(stored: memoryview, target: np.ndarray, first: int, last: int) -> np.ndarray | None:
        source = _address(stored) if memory is None else address(memory)
        if decode is not None:
            try:
                decode(source, nbytes, stored, _address(stored), first * before, (last + 1) * before)
            except CodecError:
                return otherwise(stored, target, first, last)
        elif len(stored) != nbytes:
            return otherwise(stored, target, first, last)
        loop.at(_address(target) + first * after, source + first * before, last + 1 - first)
        return None

    return run


def _in_bytes(strides: tuple[int, ...], dtype: np.dtype) -> tuple[int, ...]:
    return tuple([step * dtype.itemsize for step in strides])


def _address(data: Any) -> int:
    """The address of the first byte of a buffer or an array; six times as fast as NumPy's."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(data))
    except (TypeError, ValueError):  # read-only, empty, or of a dtype without buffer protocol
        return np.asarray(data).ctypes.data
