"""Encoders of single chunks, for the calling thread of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.batch import address
from gpuzarr.codecs.contract import ElementsEncoder
from gpuzarr.codecs.step import Step
from gpuzarr.cpu.chunkwise import Encoder
from gpuzarr.cpu.programs import Loop
from gpuzarr.devices.cpu import CPU
from gpuzarr.dtypes.element_program import Program
from gpuzarr.errors import BAD_DATA_ERRORS

MAX_ADDRESSED_BYTES = 1 << 30  # of a chunk that a codec encodes by address

# encode(chunk): a bytes-like object of a C-contiguous chunk, valid until the next call or until the chunk changes.
ChunkEncoder = Callable[[np.ndarray], Any]


def chunk_encoder(steps: tuple[Step, ...], otherwise: ChunkEncoder) -> ChunkEncoder:
    """Make an encoder of single chunks, by addresses where the steps are programs of elements, native bytes, and at
    most one codec of a library. Else it is `otherwise`, which also encodes what these refuse, and raises the error."""
    if len(steps) == 1 and (alone := steps[0].takes_elements) is not None:
        return _alone(alone.elements_encoder(steps[0].spec), otherwise)
    first = next(i for i, step in enumerate(steps) if step.codec.kind == "array->bytes")
    spec = steps[first].spec
    rest, nbytes = steps[first + 1 :], spec.nbytes or 0
    if not steps[first].is_native or not 0 < nbytes <= MAX_ADDRESSED_BYTES or len(rest) > 1:
        return otherwise
    codec = rest[0].encodes_by_address if rest else None
    encoder = codec.chunk_encoder() if codec else None
    if rest and encoder is None:
        return otherwise
    if not first:
        return otherwise if encoder is None else _addressed(encoder, nbytes, otherwise)
    loop = Loop.of(_program(steps[:first]))
    return otherwise if loop is None else _looped(loop, spec.shape, nbytes, encoder, otherwise)


def _alone(encode: ElementsEncoder, otherwise: ChunkEncoder) -> ChunkEncoder:
    def encoded(chunk: np.ndarray) -> Any:
        try:
            return encode(chunk)
        except Exception:
            return otherwise(chunk)  # which raises the error in its own words

    return encoded


def _program(steps: tuple[Step, ...]) -> Program | None:
    """The programs of all steps, as one; None if a step has none."""
    found = [step.encode_program for step in steps]
    made = found[0]
    for each in found[1:]:
        made = None if made is None or each is None else made.then(each)
    return made


def _addressed(encoder: Encoder, nbytes: int, otherwise: ChunkEncoder) -> ChunkEncoder:
    """Make an encoder by a library, which reads the memory of the chunk."""
    encode, capacity = encoder.encode.one, encoder.capacity(nbytes)
    memory = CPU.empty(capacity)
    target, view = address(memory), memoryview(memory)

    def encoded(chunk: np.ndarray) -> Any:
        try:
            return view[: encode(target, capacity, address(chunk), nbytes)]
        except BAD_DATA_ERRORS:
            return otherwise(chunk)  # which raises the error in its own words

    return encoded


def _looped(
    loop: Loop, shape: tuple[int, ...], nbytes: int, encoder: Encoder | None, otherwise: ChunkEncoder
) -> ChunkEncoder:
    """Make an encoder that runs `loop`, to `nbytes` bytes, then `encoder` if there is one."""
    made = CPU.empty(nbytes)
    source, count, view = address(made), nbytes // loop.program.dtype.itemsize, memoryview(made)
    last = None if encoder is None else _addressed(encoder, nbytes, lambda _: None)

    def encoded(chunk: np.ndarray) -> Any:
        if chunk.dtype != loop.program.source or not chunk.flags.c_contiguous:
            return otherwise(chunk)
        if not loop.at(source, address(chunk), count):
            return otherwise(chunk)
        if last is None:
            return view
        stored = last(made)
        return otherwise(chunk) if stored is None else stored

    return encoded
