"""The memory of batches of a read: what a chunk takes beyond the result, and how many chunks fit the limit.

`Overlap` says how many batches hold each kind of memory at once. Scratch is held for those alone that are decoded, as
the next one uses the same memory in the order of the stream. (`gpuzarr.write.memory` has the same of a write.)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral

from gpuzarr.batch import ALIGNMENT
from gpuzarr.checks import INT64_MAX, shown
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.overlap import Overlap
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
        raise ArgumentError(f"{name} must be a number of bytes, or a text such as '256MiB', not {shown(value)}")
    return min(int(value), INT64_MAX)


def bytes_text(nbytes: int) -> str:
    """A number of bytes for people, with three digits.

    >>> bytes_text(3145728), bytes_text(1023), bytes_text(1288490189)
    ('3 MiB', '1023 bytes', '1.2 GiB')
    """
    if nbytes < 1024:
        return f"{nbytes} bytes"
    power = min(int(nbytes).bit_length() - 1, 49) // 10
    return f"{nbytes / 1024**power:.4g} {'KMGT'[power - 1]}iB"


@dataclass(frozen=True)
class Limits:
    """Bytes that a read may hold beyond its result, and of them in pinned memory."""

    total: int
    pinned: int

    @classmethod
    def of(cls, device: Device, total: int) -> Limits:
        """Those of a device; on a CPU nothing is pinned."""
        return cls(total, min(total, device.pinned_limit) if device.gpu else total)


@dataclass(frozen=True)
class Cost:
    """Bytes that one chunk takes of a read. `gpu`: whether on a GPU; a CPU has no copies of what is stored.

    `stored`: estimated bytes of the stored chunk. `largest`: the most that an encoder makes of it. `scratch`: of the
    device, while it is decoded. `tables`: pinned until the batch is checked. `instead`: bytes of the decoded chunk,
    where the host may decode it instead of the GPU; else 0.
    """

    stored: int
    largest: int
    scratch: int
    tables: int
    gpu: bool = True
    instead: int = 0

    def staging(self, chunks: int, overlap: Overlap) -> int:
        """Bytes of stored chunks, of all batches that are held at once, each of so many chunks."""
        if not self.gpu:
            return chunks * self.stored
        return self._staged(chunks, overlap.loaded + overlap.copied)

    def pinned_room(self, chunks: int, pinned: int, overlap: Overlap) -> int:
        """Of `pinned` bytes of pinned memory, those that a batch has besides the stored chunks of all: enough for a
        chunk that the host decodes."""
        rest = (pinned - self._staged(chunks, overlap.loaded)) // overlap.incomplete
        return max(rest, int(ROUNDING * self.instead) + self.tables + FIXED_BYTES)

    def _staged(self, chunks: int, copies: int) -> int:
        return int(ROUNDING * copies * max(chunks * self.stored, self.largest))

    def decoding(self, chunks: int, overlap: Overlap) -> int:
        """All other bytes: of the batches that are decoded, and of those that are not complete."""
        fixed = overlap.decoded * FIXED_BYTES if self.gpu else 0
        return fixed + chunks * self._decoding_each(overlap)

    def decoding_on_host(self, chunks: int, overlap: Overlap) -> int:
        """`decoding` where the host decodes all chunks instead of the GPU; it takes that only where the limit allows.

        A chunk is pinned until the batch is checked; on the device it is copied, and then put to its place.
        """
        pinned, on_device = overlap.incomplete * ROUNDING * self.instead, overlap.decoded * 2 * self.instead
        tables = (overlap.decoded + overlap.incomplete) * TABLE_BYTES
        return overlap.decoded * FIXED_BYTES + chunks * (int(pinned) + on_device + tables)

    def batch(self, chunks: int, overlap: Overlap) -> int:
        """Bytes that a read holds whose batches have so many chunks each."""
        return self.staging(chunks, overlap) + self.decoding(chunks, overlap)

    def fit(self, limits: Limits, overlap: Overlap) -> int:
        """The most chunks of a batch, so that a read on a GPU keeps within `limits`; less than 1 where none fits."""
        pinned, tables = ROUNDING * overlap.loaded, overlap.incomplete * self.tables
        stored, each = pinned + ROUNDING * overlap.copied, self._decoding_each(overlap)
        total = self._fit(limits.total - overlap.decoded * FIXED_BYTES, stored, each)
        return int(min(total, self._fit(limits.pinned, pinned, tables)))

    def _fit(self, room: int, copies: float, each: int) -> float:
        """Chunks for which `room` has so many copies of what is stored, and `each` bytes besides."""
        return min(room / (copies * self.stored + each), (room - copies * self.largest) / each)

    def _decoding_each(self, overlap: Overlap) -> int:
        return overlap.decoded * self.scratch + overlap.incomplete * self.tables


def cost(chain: Chain, device: Device, in_place: bool = True, estimated: int | None = None) -> Cost:
    """The bytes that a chunk of this chain takes beyond the result.

    `in_place`: chunks are contiguous in the result, so they are decoded there if the chain can. `estimated`: estimated
    bytes of a stored chunk; None: the most that an encoder makes. (Batches that turn out larger are read in parts.)
    """
    nbytes = chain.widest_bytes or chain.spec.dtype.itemsize
    largest = _largest(chain, nbytes)
    stored = largest if estimated is None else estimated
    if not device.gpu:
        return Cost(largest, largest, nbytes, 0, gpu=False)
    crossing, _ = chain.host_steps
    order = chain.memory_order
    left = 0 if order is None or order.steps > crossing else order.steps  # steps that placement undoes
    scratch = decode_scratch_bytes(chain, nbytes, stored, left)
    if in_place and chain.decodes_in_place(device):
        scratch -= nbytes
    pinned = _decoded_by_host(chain, nbytes)
    instead = nbytes if any(step.may_decode_on_host for step in chain.steps[:crossing]) else 0
    return Cost(stored, largest, scratch + TABLE_BYTES, int(ROUNDING * pinned) + TABLE_BYTES, instead=instead)


def decode_scratch_bytes(chain: Chain, nbytes: int, stored: int, left: int = 0) -> int:
    """Bytes of a GPU that decoding a chunk of at most `nbytes` takes: the upload of the host's part, results, scratch.

    `left`: this many steps, the first in encode order, are not undone. `stored`: bytes of the stored chunk.
    """
    crossing, _ = chain.host_steps
    steps = list(zip(chain.steps, decoded_sizes(chain, nbytes), strict=True))[left:crossing]
    return _decoded_by_host(chain, nbytes) + sum(step.decode_scratch_bytes(made, stored) for step, made in steps)


def decoded_sizes(chain: Chain, nbytes: int) -> list[int]:
    """Bytes on the decoded side of each step, for a chunk of `nbytes`; where they vary, those of the step before."""
    found, made = [], nbytes
    for step in chain.steps:
        made = step.spec.nbytes or made
        found.append(made)
    return found


def _largest(chain: Chain, nbytes: int) -> int:
    """The most that encoders make of a chunk of `nbytes`, aligned."""
    last = decoded_sizes(chain, nbytes)[-1]
    largest = last + len(chain.steps) * (last // 64 + 64)
    return -(-largest // ALIGNMENT) * ALIGNMENT


def _decoded_by_host(chain: Chain, nbytes: int) -> int:
    """Bytes that the host makes of a chunk, for the GPU to decode the rest: pinned, and on the device; 0 for none."""
    crossing, _ = chain.host_steps
    if crossing == len(chain.steps):
        return 0
    made = chain.steps[crossing].spec.nbytes
    return _largest(chain, nbytes) if made is None else -(-int(made) // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class BatchBudget:
    """The batches of chunks of one shape within `limits`: `chunks` in each, as many at once as `overlap` says."""

    chain: Chain
    limits: Limits
    cost: Cost
    chunks: int
    overlap: Overlap

    @property
    def stored(self) -> int:
        """Bytes of stored chunks that one batch may load."""
        return max(self.chunks * self.cost.stored, self.cost.largest)

    def decoding(self, overlap: Overlap) -> int:
        """`Cost.decoding` of a batch."""
        return self.cost.decoding(self.chunks, overlap)


def batch_budget(
    chain: Chain,
    device: Device,
    limits: Limits,
    wanted: int,
    several: bool,
    in_place: bool,
    estimated: Callable[[], int | None],
) -> BatchBudget:
    """Plan batches of `wanted` chunks, or of fewer, as many as fit; of one where not even one fits.

    `several`: whether the read has more batches than one. `in_place` and `estimated`: see `cost`; the estimate is asked
    for only if memory may be short.
    """
    need = cost(chain, device, in_place)
    if not device.gpu:
        each = limits.total // device.threads // max(need.stored + need.scratch, 1)
        return BatchBudget(chain, limits, need, max(1, min(wanted, each)), Overlap())
    alone, deepest = Overlap(early=True), Overlap(device.prefetch_depth, device.concurrent_batches)
    if (several or need.fit(limits, alone) < wanted) and (stored := estimated()) is not None:
        need = cost(chain, device, in_place, stored)
    if not several and need.fit(limits, alone) >= wanted:
        return BatchBudget(chain, limits, need, wanted, alone)
    for depth in range(device.prefetch_depth, -1, -1):
        late = replace(deepest, prefetch_depth=depth)
        least = wanted if depth > 1 else max(1, min(wanted, need.fit(limits, late)))
        for overlap in (replace(late, early=True), late):  # early where that makes batches no smaller
            if (fit := need.fit(limits, overlap)) >= least:
                return BatchBudget(chain, limits, need, min(wanted, fit), overlap)
    return BatchBudget(chain, limits, need, 1, Overlap())
