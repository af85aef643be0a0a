"""Streams that nvCOMP made in slots of their own, put together: so that one copy to the host fetches them all.

The device itself says where each goes (kernels/compact.cu), so nothing waits before all is launched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import Slab, packed
from gpuzarr.devices import Device
from gpuzarr.gpu.checksums import LITTLE
from gpuzarr.gpu.tables import THREADS, addresses, copy, grid, table, threads_for

ALIGNED = 16  # bytes; what every packed stream begins at a multiple of


@dataclass(frozen=True)
class Ends:
    """What a format has before and behind each stream: bytes of uint32 arrays of the device, one word a stream."""

    heads: Any = None
    head_bytes: int = 0
    tails: Any = None
    tail_bytes: int = 0
    order: int = LITTLE  # of the tails

    @property
    def nbytes(self) -> int:
        return self.head_bytes + self.tail_bytes

    def write(self, device: Device, sizes: Any, starts: Any, target: Any, count: int) -> None:
        """Around streams of `sizes` bytes, whose ends begin at `starts` in `target`."""
        if not self.nbytes:
            return
        heads = self.tails if self.heads is None else self.heads
        words = (heads, np.uint32(self.head_bytes), heads if self.tails is None else self.tails)
        arguments = (sizes, starts, *words, np.uint32(self.tail_bytes), np.uint32(self.order), target)
        more = (np.uint64(len(target)), np.uint32(count))
        device.kernel("compact.cu", "ends")(threads_for(count), (THREADS,), (*arguments, *more))


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNED) * ALIGNED


def places(device: Device, sizes: Any, extra: int) -> Any:
    """Where each stream and its ends begin, uint64 of the device. `sizes`: uint64 of the device."""
    count = len(sizes)
    starts = device.empty(8 * count).view(np.uint64)
    device.kernel("compact.cu", "place")((1,), (THREADS,), (sizes, np.uint64(extra), starts, np.uint32(count)))
    return starts


def compacted(device: Device, slots: np.ndarray, sizes: Any, room: int, ends: Ends) -> Slab | None:
    """The streams at addresses `slots` with their ends. None if one failed (its size is 0).

    `sizes`: uint64 of the device; none is more than `room`. Waits for the device.
    """
    count = len(slots)
    starts, target = places(device, sizes, ends.nbytes), device.empty(count * aligned(room + ends.nbytes))
    where, capacity = table(device, slots), np.uint64(len(target))
    arguments = (where, sizes, starts, np.uint64(ends.head_bytes), target, capacity, np.uint32(count))
    device.kernel("compact.cu", "compact")(grid(np.full(count, room)), (THREADS,), arguments)
    ends.write(device, sizes, starts, target, count)
    found = device.download(sizes).astype(np.int64)
    return slab_of(target, found + ends.nbytes) if found.all() else None


def slab_of(target: Any, sizes: np.ndarray) -> Slab:
    """What `place` put to `target`, after the host knows the sizes."""
    starts, sizes, total = packed(sizes, ALIGNED)
    return Slab(target[:total], starts, sizes)


def joined(device: Device, slabs: list[Slab]) -> Slab:
    """Several slabs as one."""
    if len(slabs) == 1:
        return slabs[0]
    starts, sizes, total = packed(np.concatenate([slab.sizes for slab in slabs]), ALIGNED)
    whole = Slab(device.empty(total), starts, sizes)
    copy(device, np.concatenate([addresses(slab, device) for slab in slabs]), addresses(whole, device), sizes)
    return whole
