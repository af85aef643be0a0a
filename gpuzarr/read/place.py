"""The three ways of chunks into the result: decoded straight to their place, by assignment, or by a kernel.

The kernel puts the decoded chunks of a batch to their places, and fill values where chunks are missing, in one launch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import ChunkSpec, EncodedBatch
from gpuzarr.codecs.chain import Chain, MemoryOrder
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError
from gpuzarr.indexing.grid import Part


def placeable(chain: Chain, out: Any, device: Device) -> bool:
    """Whether one launch can place chunks of a batch in `out`; odd elements are for array assignments."""
    return device.gpu and out.dtype == chain.spec.dtype and gpu.place.fits(chain.spec.shape, out, device)


def decoded(
    encoded: EncodedBatch, chain: Chain, device: Device, parts: Sequence[Part], present: np.ndarray, out: Any
) -> gpu.place.Chunks:
    """The chunks of a batch on the device, as far decoded as the kernel needs them: those of `parts` that are
    `present`.

    CodecError with the index in `encoded`.
    """
    plain = chain.memory_order
    if plain is not None and chain.host_steps[0] >= plain.steps:
        strides = tuple(step * chain.spec.dtype.itemsize for step in plain.strides)

        def rows() -> np.ndarray:
            return gpu.place.in_rows(parts, strides, (out,))[present]

        return _as_stored(encoded, chain, plain, device, strides, rows if all(part.sliced for part in parts) else None)
    batch = chain.decode(encoded, device)
    first, *strides = batch.strides
    places = np.uint64(device.address(batch)) + (np.arange(len(batch)) * first).astype(np.uint64)
    return gpu.place.Chunks(places, tuple(strides), 1, batch)


def _as_stored(
    encoded: EncodedBatch,
    chain: Chain,
    plain: MemoryOrder,
    device: Device,
    strides: tuple[int, ...],
    rows: Callable[[], np.ndarray] | None,
) -> gpu.place.Chunks:
    """`rows` says of which chunks a bit shuffle may be left; only a codec that may leave one has to know. None: no
    shuffle may be left."""
    leaves = plain.steps < len(chain.steps) and chain.steps[plain.steps].leaves_shuffle
    shuffled = (chain.spec.dtype.itemsize, rows()) if leaves and rows else None
    stored = chain.decode(encoded, device, stop=plain.steps, shuffled=shuffled)
    if isinstance(stored, gpu.planes.Planes):
        left = stored if stored.blocks.any() else None
        return gpu.place.Chunks(stored.addresses, strides, plain.swap, stored.held, left)
    if (bad := stored.sizes != chain.spec.nbytes).any():
        index, codec = int(np.argmax(bad)), chain.steps[plain.steps - 1].name
        problem = f"{codec}: a chunk of {stored.sizes[index]} bytes, expected {chain.spec.nbytes}"
        raise CodecError(problem, index, codec)
    return gpu.place.Chunks(gpu.tables.addresses(stored, device), strides, plain.swap, stored.data)


def bytes_of(out: Any, spec: ChunkSpec) -> Any:
    """The bytes of `out`, if chunks may be decoded straight to where they belong; else None."""
    fits = out.flags.c_contiguous and out.dtype == spec.dtype and spec.nbytes is not None
    return out.reshape(-1).view(np.uint8) if fits else None


def destinations(parts: Sequence[Part], out: Any) -> np.ndarray | None:
    """Where in the bytes of `out` each chunk of the parts begins; None if one does not lie there in one piece."""
    starts: list[np.ndarray] = []
    for part in parts:
        if (begins := part.destination(out)) is None:
            return None
        starts.append(begins)
    return starts[0] if len(starts) == 1 else np.concatenate(starts)


def assign(parts: Sequence[Part], chunks: Any, out: Any, xp: Any) -> None:
    """Place decoded chunks, (n, *chunk_shape), in the order of the parts."""
    first = 0
    for part in parts:
        part.place(chunks[first : first + len(part)], out, xp)
        first += len(part)


def fill_missing(
    parts: Sequence[Part], present: np.ndarray, out: Any, fill_value: Any, xp: Any, in_place: bool = False
) -> tuple[Part, ...]:
    """Put the fill value where chunks are missing; the parts of the other chunks, which are still to be placed.

    `in_place`: they are in `out` already, and stay.
    """
    found: list[Part] = []
    first = 0
    for part in parts:
        some = present[first : first + len(part)]
        first += len(part)
        if some.all():
            found.append(part)
        elif in_place:
            for missing in part.present(~some):
                missing.fill(out, fill_value, xp)
        else:
            part.fill(out, fill_value, xp)
            found += part.present(some)
    return tuple(found)
