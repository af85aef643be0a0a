"""The three ways of chunks into the result: decoded straight to their place, by assignment, or by a kernel.

The kernel puts the decoded chunks of a batch to their places, and fill values where chunks are missing, in one launch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import EncodedBatch, address
from gpuzarr.codecs.chain import Chain
from gpuzarr.codecs.memory_order import MemoryOrder
from gpuzarr.cpu.boxes import Placement, placement
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast
from gpuzarr.dtypes.element_program import Program
from gpuzarr.errors import CodecError
from gpuzarr.indexing.blocks import together
from gpuzarr.indexing.boxes import ChunkBoxes, ReadPart
from gpuzarr.read.portions import Batch, Portion


def placeable(outs: Sequence[Any], chain: Chain, device: Device, cast: Cast | None = None) -> bool:
    """Whether one launch can place chunks in these results; odd elements are for array assignments."""
    shape, dtype = chain.spec.shape, chain.spec.dtype if cast is None else cast.dtype
    order = chain.memory_order
    stored = 0 if order is None or order.program is None else order.program.source.itemsize
    return device.gpu and all(out.dtype == dtype and gpu.place.fits(shape, out, device, stored) for out in outs)


def decoded(encoded: EncodedBatch, chain: Chain, device: Device, batch: Batch, present: np.ndarray) -> gpu.place.Chunks:
    """The chunks of a batch on the device, as far decoded as the kernel needs them: those that are `present`.

    CodecError with the index in `encoded`.
    """
    plain, cast = chain.memory_order, None if batch.cast is None else gpu.programs.program_of(batch.cast)
    if plain is not None and chain.host_steps[0] >= plain.steps:
        program = cast if plain.program is None or cast is None else plain.program.then(cast)
        program = program or plain.program
        strides = tuple(step * plain.dtype.itemsize for step in plain.strides)

        def rows() -> np.ndarray:
            return gpu.place.in_rows(batch.placements, strides)[present]

        is_sliced = all(part.sliced for portion in batch.portions for part in portion.parts)
        return _as_stored(
            encoded, chain, plain, device, strides, rows if is_sliced and program is None else None, program
        )
    chunks = chain.decode(encoded, device)
    first, *strides_of_chunk = chunks.strides
    places = np.uint64(device.address(chunks)) + (np.arange(len(chunks)) * first).astype(np.uint64)
    return gpu.place.Chunks(places, tuple(strides_of_chunk), 1, chunks, program=cast)


def _as_stored(
    encoded: EncodedBatch,
    chain: Chain,
    plain: MemoryOrder,
    device: Device,
    strides: tuple[int, ...],
    rows: Callable[[], np.ndarray] | None,
    program: Program | None,
) -> gpu.place.Chunks:
    """`rows` says of which chunks a bit shuffle may be left; only a codec that may leave one has to know. None: no
    shuffle may be left."""
    leaves = plain.steps < len(chain.steps) and chain.steps[plain.steps].leaves_shuffle
    shuffled = (chain.spec.dtype.itemsize, rows()) if leaves and rows else None
    stored = chain.decode(encoded, device, stop=plain.steps, shuffled=shuffled)
    if isinstance(stored, gpu.planes.Planes):
        left = stored if stored.blocks.any() else None
        return gpu.place.Chunks(stored.addresses, strides, plain.swap, stored.held, left)
    step = chain.steps[plain.steps - 1]
    if (bad := stored.sizes != step.spec.nbytes).any():
        index, codec = int(np.argmax(bad)), step.name
        problem = f"{codec}: a chunk of {stored.sizes[index]} bytes, expected {step.spec.nbytes}"
        raise CodecError(problem, index, codec)
    return gpu.place.Chunks(gpu.tables.addresses(stored, device), strides, plain.swap, stored.data, program=program)


def assign(batch: Batch, chunks: Any, device: Device) -> None:
    """Place decoded chunks, (n, *chunk_shape), in the order of the portions and their parts."""
    first, cast = 0, batch.cast
    if device.gpu and cast is not None:
        chunks, cast = gpu.cast.cast_all(device, chunks, cast), None
    for portion in batch.portions:
        some = chunks[first : first + len(portion)]
        first += len(portion)
        if device.gpu or cast is not None or not _placed(portion, some):
            _assign(portion, some, device, cast)


def _assign(portion: Portion, chunks: Any, device: Device, cast: Cast | None) -> None:
    first = 0
    for part in portion.parts:
        part.place(chunks[first : first + len(part)], portion.out, device.xp, cast)
        first += len(part)


def _placed(portion: Portion, chunks: np.ndarray) -> bool:
    """Place chunks of a CPU by the C library, where that is worth a table. False where it cannot, or is not."""
    parts = portion.parts
    if len(parts) == 1 and (parts[0].sliced or isinstance(parts[0], ChunkBoxes)):
        return False  # one assignment, or a table of its own
    if (found := placements_of(portion, chunks.dtype, chunks.strides[1:])) is None:
        return False
    addresses, first = address(chunks) + chunks.strides[0] * np.arange(len(chunks)), 0
    for one, count in found:
        one.place(addresses[first : first + count])
        first += count
    return True


def placements_of(
    portion: Portion, dtype: np.dtype[Any], strides: tuple[int, ...]
) -> list[tuple[Placement, int]] | None:
    """How the C library places chunks of a portion, with the number of those placed alike; None where it cannot."""
    found = []
    for part in together(portion.parts):
        if (one := placement(part, portion.results, dtype, strides)) is None:
            return None
        found.append((one, len(part)))
    return found


def fill_missing(batch: Batch, present: np.ndarray, xp: Any, in_place: bool = False) -> Batch:
    """Put the fill value where chunks are missing; the batch of the other chunks, which are still to be placed.

    `in_place`: they are in the result already, and stay.
    """
    first, found, fill_value = 0, [], batch.fill_value
    for portion in batch.portions:
        parts: list[ReadPart] = []
        for part in portion.parts:
            some = present[first : first + len(part)]
            first += len(part)
            if some.all():
                parts.append(part)
            elif in_place:
                for missing in part.present(~some):
                    missing.fill(portion.out, fill_value, xp)
            else:
                part.fill(portion.out, fill_value, xp)
                parts += part.present(some)
        found.append(replace(portion, parts=tuple(parts)))
    return replace(batch, portions=tuple(found))
