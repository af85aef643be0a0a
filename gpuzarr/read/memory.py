"""The memory of batches of a read: what a chunk takes beyond the result, and how many chunks fit the limit.

In a pipeline on a GPU one batch is decoded while another is checked and `prefetch_depth` more are loaded. Scratch is
held for one batch at a time, as the next one uses the same memory in the order of the stream. `Copies` says how many
batches hold each other kind of memory at once; `gpuzarr.write.memory` has the table of a write.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

from gpuzarr.batch import ALIGNMENT
from gpuzarr.checks import INT64_MAX, shown
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError

TABLE_BYTES = 1 << 10  # of a chunk's rows in tables, on the device and pinned
FIXED_BYTES = 128 << 10  # of a batch: the guard behind nvCOMP's scratch, flags, the smallest table
ROUNDING = 9 / 8  # a pinned buffer, and its copy on the device, may be larger than its contents by this factor
_UNITS = {"": 1, "b": 1} | {
    prefix + unit: base**power
    for power, prefix in enumerate("kmgt", 1)
    for unit, base in (("", 1000), ("b", 1000), ("ib", 1024))
}


def parse_bytes(value: int | str, name: str = "memory_limit") -> int:
    """Parse a number of bytes: an int, or a str as "256MiB". ArgumentError, with the argument's name, if it is none.

    >>> parse_bytes("256MiB")
    268435456
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", value) if isinstance(value, str) else None
    if found and found[2].lower() in _UNITS:
        value = int(min(float(found[1]) * _UNITS[found[2].lower()], INT64_MAX))
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"{name} must be a number of bytes, or as '256MiB', not {shown(value)}")
    return min(int(value), INT64_MAX)


@dataclass(frozen=True)
class Copies:
    """How many batches hold memory of one kind at once.

    `alone`: where one batch follows another. In a pipeline `base`, and `each` more for each batch of its depth: those
    that are loaded ahead of a read, or stored behind a write.
    """

    alone: int
    base: int
    each: int = 0

    def at(self, depth: int) -> int:
        """The number in a pipeline of this depth; of depth 0 batches follow each other."""
        return self.base + self.each * depth if depth else self.alone


STORED = Copies(alone=2, base=4, each=1)  # pinned: those loaded, launched, checked; on the device: the last two
TABLES = Copies(alone=1, base=2)  # pinned: those launched and checked


@dataclass(frozen=True)
class Cost:
    """Bytes that one chunk takes of a read. `gpu`: whether on a GPU; a CPU has no copies of what is stored.

    `stored`: estimated bytes of the stored chunk. `largest`: the most that an encoder makes of it. `scratch`: of the
    device, while it is decoded. `tables`: pinned until the batch is checked.
    """

    stored: int
    largest: int
    scratch: int
    tables: int
    gpu: bool = True

    def staging(self, chunks: int, prefetch_depth: int) -> int:
        """Bytes of stored chunks, of all batches that are held at once, each of so many chunks."""
        stored = max(chunks * self.stored, self.largest)
        return int(_stored_copies(prefetch_depth) * stored) if self.gpu else chunks * self.stored

    def decoding(self, chunks: int, prefetch_depth: int) -> int:
        """All other bytes: of the batch that is decoded, and of the one that is checked."""
        return (FIXED_BYTES if self.gpu else 0) + chunks * self._decoding_each(prefetch_depth)

    def batch(self, chunks: int, prefetch_depth: int) -> int:
        """Bytes that a read holds whose batches have so many chunks each."""
        return self.staging(chunks, prefetch_depth) + self.decoding(chunks, prefetch_depth)

    def fit(self, limit: int, prefetch_depth: int) -> int:
        """The most chunks of a batch, so that a read on a GPU holds no more than `limit` bytes."""
        room, each, copies = limit - FIXED_BYTES, self._decoding_each(prefetch_depth), _stored_copies(prefetch_depth)
        return int(min(room / (copies * self.stored + each), (room - copies * self.largest) / each))

    def _decoding_each(self, prefetch_depth: int) -> int:
        return self.scratch + TABLES.at(prefetch_depth) * self.tables


def _stored_copies(prefetch_depth: int) -> float:
    return ROUNDING * STORED.at(prefetch_depth)


def cost(chain: Chain, device: Device, in_place: bool = True, estimated: int | None = None) -> Cost:
    """The bytes that a chunk of this chain takes beyond the result.

    `in_place`: chunks are contiguous in the result, so they are decoded there if the chain can. `estimated`: estimated
    bytes of a stored chunk; None: the most that an encoder makes. (Batches that turn out larger are read in parts.)
    """
    nbytes = chain.spec.nbytes or chain.spec.dtype.itemsize
    largest = nbytes + len(chain.steps) * (nbytes // 64 + 64)
    largest = -(-largest // ALIGNMENT) * ALIGNMENT
    stored = largest if estimated is None else estimated
    if not device.gpu:
        return Cost(largest, largest, nbytes, 0, gpu=False)
    crossing, _ = chain.host_steps
    order = chain.memory_order
    left = 0 if order is None or order.steps > crossing else order.steps  # steps that placement undoes
    scratch = decode_scratch_bytes(chain, nbytes, stored, left)
    if in_place and chain.decodes_in_place(device):
        scratch -= nbytes
    pinned = nbytes if crossing < len(chain.steps) else 0  # chunks that the host decoded are uploaded from there
    return Cost(stored, largest, scratch + TABLE_BYTES, int(ROUNDING * pinned) + TABLE_BYTES)


def decode_scratch_bytes(chain: Chain, nbytes: int, stored: int, left: int = 0) -> int:
    """Bytes of a GPU that decoding a chunk of `nbytes` takes: the upload of the host's part, results, scratch.

    `left`: this many steps, the first in encode order, are not undone. `stored`: bytes of the stored chunk.
    """
    crossing, _ = chain.host_steps
    uploaded = nbytes if crossing < len(chain.steps) else 0
    return uploaded + sum(step.decode_scratch_bytes(nbytes, stored) for step in chain.steps[left:crossing])


@dataclass(frozen=True)
class BatchBudget:
    """The batches of chunks of one shape within `limit`: `chunks` in each, `prefetch_depth` loaded ahead."""

    chain: Chain
    limit: int
    cost: Cost
    chunks: int
    prefetch_depth: int

    @property
    def stored(self) -> int:
        """Bytes of stored chunks that one batch may load."""
        return max(self.chunks * self.cost.stored, self.cost.largest)

    def decoding(self, prefetch_depth: int) -> int:
        """`Cost.decoding` of a batch."""
        return self.cost.decoding(self.chunks, prefetch_depth)


def batch_budget(
    chain: Chain,
    device: Device,
    limit: int,
    wanted: int,
    several: bool,
    in_place: bool,
    estimated: Callable[[], int | None],
) -> BatchBudget:
    """Plan batches of `wanted` chunks, or of fewer, as many as fit; of one where not even one fits.

    `several`: whether the read has more chunks than `wanted`. `in_place` and `estimated`: see `cost`; the estimate is
    asked for only if memory may be short.
    """
    need = cost(chain, device, in_place)
    if not device.gpu:
        each = limit // device.threads // max(need.stored + need.scratch, 1)
        return BatchBudget(chain, limit, need, max(1, min(wanted, each)), 0)
    if (several or need.fit(limit, device.prefetch_depth) < wanted) and (stored := estimated()) is not None:
        need = cost(chain, device, in_place, stored)
    for prefetch_depth in range(device.prefetch_depth, -1, -1):
        if need.fit(limit, prefetch_depth) >= (wanted if prefetch_depth > 1 else 1):
            return BatchBudget(chain, limit, need, min(wanted, need.fit(limit, prefetch_depth)), prefetch_depth)
    return BatchBudget(chain, limit, need, 1, 0)
