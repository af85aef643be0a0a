"""A wave on a GPU: decoded chunks, and fill values for those that are missing, go to their place in one launch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from gpuzarr.batch import Slab
from gpuzarr.codecs.chain import Chain, Plain
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError
from gpuzarr.gpu.place import Chunks, fits, in_rows
from gpuzarr.gpu.planes import Planes
from gpuzarr.gpu.tables import addresses
from gpuzarr.indexing.grid import Box, Part


def placeable(parts: Sequence[Part], chain: Chain, out: Any, device: Device) -> bool:
    """Whether one launch can place these parts of a wave; index arrays and odd elements are for array assignments."""
    if not device.gpu or out.dtype != chain.spec.dtype:
        return False
    return all(isinstance(part, Box) and part.sliced for part in parts) and fits(chain.spec.shape, out, device)


def decoded(slab: Slab, chain: Chain, device: Device, parts: Sequence[Part], there: np.ndarray, out: Any) -> Chunks:
    """The chunks of a wave on the device, as far decoded as the kernel needs them: those of `parts` that are `there`.

    CodecError with the index in `slab`.
    """
    plain = chain.plain
    if plain is not None and chain.host_steps[0] >= plain.steps:
        strides = tuple(step * chain.spec.dtype.itemsize for step in plain.strides)

        def rows() -> np.ndarray:
            return in_rows(cast(Any, parts), strides, out)[there]

        return _as_stored(slab, chain, plain, device, strides, rows)
    batch = chain.decode(slab, device)
    first, *strides = batch.strides
    places = np.uint64(device.address(batch)) + (np.arange(len(batch)) * first).astype(np.uint64)
    return Chunks(places, tuple(strides), 1, batch)


def _as_stored(
    slab: Slab, chain: Chain, plain: Plain, device: Device, strides: tuple[int, ...], rows: Callable[[], np.ndarray]
) -> Chunks:
    """`rows` says of which chunks a bit shuffle may be left; only a codec that may leave one has to know."""
    leaves = plain.steps < len(chain.steps) and hasattr(chain.steps[plain.steps].codec, "planes")
    shuffled = (chain.spec.dtype.itemsize, rows()) if leaves else None
    stored = chain.decode(slab, device, stop=plain.steps, shuffled=shuffled)
    if isinstance(stored, Planes):
        left = stored if stored.blocks.any() else None
        return Chunks(stored.addresses, strides, plain.swap, stored.held, left)
    if (bad := stored.sizes != chain.spec.nbytes).any():
        index, codec = int(np.argmax(bad)), chain.steps[plain.steps - 1].name
        problem = f"{codec}: a chunk of {stored.sizes[index]} bytes, where {chain.spec.nbytes} are due"
        raise CodecError(problem, index, codec)
    return Chunks(addresses(stored, device), strides, plain.swap, stored.data)
