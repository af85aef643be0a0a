"""Compact streams that nvCOMP made in slots of fixed size, so that one copy to the host fetches all of them.

The device computes the place of each (kernels/compact.cu), and nothing here waits: the host asks for the sizes later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import PACKED, Unmeasured
from gpuzarr.devices.contract import Device
from gpuzarr.gpu.checksums import LITTLE
from gpuzarr.gpu.tables import THREADS, grid, threads_for


@dataclass(frozen=True)
class Ends:
    """Bytes before and behind each stream in a format: from uint32 arrays of the device, one word a stream.

    Or `prefix`, uint8 on the device, the same bytes before each.
    """

    heads: Any = None
    head_bytes: int = 0
    tails: Any = None
    tail_bytes: int = 0
    order: int = LITTLE  # byte order of the tails
    prefix: Any = None

    @property
    def before(self) -> int:
        """Bytes before each stream."""
        return self.head_bytes if self.prefix is None else len(self.prefix)

    @property
    def nbytes(self) -> int:
        return self.before + self.tail_bytes

    def write(self, device: Device, sizes: Any, starts: Any, target: Any, count: int) -> None:
        """Write the ends of streams of `sizes` bytes to `target`, where each begins at `starts`."""
        if self.prefix is not None:
            header = self.prefix, np.uint32(len(self.prefix)), target, np.uint64(len(target)), np.uint32(count)
            device.kernel("compact.cu", "prefix")(threads_for(count), (THREADS,), (sizes, starts, *header))
        if not self.head_bytes + self.tail_bytes:
            return
        heads = self.tails if self.heads is None else self.heads
        words = (heads, np.uint32(self.head_bytes), heads if self.tails is None else self.tails)
        arguments = (sizes, starts, *words, np.uint32(self.tail_bytes), np.uint32(self.order), target)
        more = (np.uint64(len(target)), np.uint32(count))
        device.kernel("compact.cu", "ends")(threads_for(count), (THREADS,), (*arguments, *more))


def aligned(nbytes: int) -> int:
    return -(-nbytes // PACKED) * PACKED


def in_slots(count: int, slot_bytes: int, device: Device) -> tuple[Any, np.ndarray]:
    """Allocate slots of `slot_bytes` bytes for `count` streams; the memory, and the address of each slot."""
    slots = device.empty(count * slot_bytes)
    return slots, np.uint64(device.address(slots)) + np.arange(count, dtype=np.uint64) * np.uint64(slot_bytes)


def places(device: Device, sizes: Any, extra: int) -> tuple[Any, Any]:
    """Start and size of each stream with its ends, when packed; uint64 arrays of the device, as `sizes`."""
    count = len(sizes)
    starts, totals = device.empty(8 * count).view(np.uint64), device.empty(8 * count).view(np.uint64)
    arguments = (sizes, np.uint64(extra), starts, totals, np.uint32(count))
    device.kernel("compact.cu", "place")((1,), (THREADS,), arguments)
    return starts, totals


def ranges_of(device: Device, chunks: Unmeasured) -> Any:
    """Table of the chunks on the device, uint64: their addresses, then their sizes."""
    count = len(chunks.sizes)
    made = device.empty(16 * count).view(np.uint64)
    arguments = (chunks.data, chunks.starts, chunks.sizes, made, np.uint32(count))
    device.kernel("compact.cu", "ranges")(threads_for(count), (THREADS,), arguments)
    return made


def compacted(device: Device, slots: Any, sizes: Any, most: int, ends: Ends) -> Unmeasured:
    """Pack the streams at addresses `slots`, with their ends. `slots` and `sizes`: uint64 arrays of the device.

    A stream has at most `most` bytes; streams of 0 bytes take no space.
    """
    count, largest = len(sizes), most + ends.nbytes
    (starts, totals), target = places(device, sizes, ends.nbytes), device.empty(count * aligned(largest))
    arguments = (slots, sizes, starts, np.uint64(ends.before), target, np.uint64(len(target)), np.uint32(count))
    device.kernel("compact.cu", "compact")(grid(np.full(count, most)), (THREADS,), arguments)
    ends.write(device, sizes, starts, target, count)
    return Unmeasured(target, starts, totals, largest)
