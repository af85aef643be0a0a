"""The memory of batches of a write on a GPU: what a chunk takes beyond the value, and how many chunks fit the limit.

In a pipeline one batch is encoded while the next one is loaded and gathered, and `write_behind_depth` others are copied
to the host and stored. nvCOMP's compressors need far more than its decompressors: slots of 2.26 times the chunk for
deflate and gzip, scratch of 17 times the chunk for gzip at zlib's level 6, and for deflate of 17 times up to 64 KiB and
of 33 times beyond. nvCOMP is asked, where it tells that without a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from gpuzarr.batch import ALIGNMENT
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.read.memory import ROUNDING, decode_scratch_bytes, decoded_sizes

TABLE_BYTES = 8 << 10  # of a chunk's rows in tables
FIXED_BYTES = 192 << 10  # of a batch: flags, guards, small tables in buffers of their own
MIN_BATCHES = 4  # of a write, so that encoding and storing overlap,
MIN_BATCH_PART = 8  # but no batch is smaller than this part of what the device prefers


@dataclass(frozen=True)
class Copies:
    """How many batches hold memory of one kind at once.

    `alone`: where one batch follows another. In a pipeline `base`, and `each` more for each batch that is stored
    behind the one that is encoded.
    """

    alone: int
    base: int
    each: int = 0

    def at(self, depth: int) -> int:
        """The number in a pipeline of this depth; of depth 0 batches follow each other."""
        return self.base + self.each * depth if depth else self.alone


GATHERED = Copies(alone=1, base=2)  # the batch that is encoded, and the next one
ENCODED = Copies(alone=1, base=1, each=1)  # the batch that is encoded, and those that are stored
OLD = Copies(alone=1, base=3, each=1)  # those, the next one, and the one that is loaded
FIXED = Copies(alone=1, base=2, each=1)  # all but the one that is loaded


@dataclass(frozen=True)
class WriteCost:
    """Bytes that one chunk takes of a write, at most.

    `gathered`: from gathering until it is encoded. `scratch`: besides, while it is encoded. `made`: encoded, on the
    device. `sent`: encoded, in host memory. `loaded`: the old chunk, pinned and on the device, where it is read first.
    """

    gathered: int
    scratch: int
    made: int
    sent: int
    loaded: int

    @property
    def pinned(self) -> int:
        """Bytes of the pinned buffer for `sent`."""
        return int(ROUNDING * self.sent)

    def batch(self, write_behind_depth: int) -> int:
        """Bytes for each chunk of the batches that are held at once."""
        copies = [copies.at(write_behind_depth) for copies in (GATHERED, ENCODED, OLD)]
        each = self.gathered, self.made + self.pinned, self.loaded
        return self.scratch + sum(n * nbytes for n, nbytes in zip(copies, each, strict=True))


@dataclass(frozen=True)
class WriteBudget:
    """The batches of chunks of one shape within `limit`: `chunks` in each, `write_behind_depth` stored behind."""

    limit: int
    cost: WriteCost
    chunks: int
    write_behind_depth: int

    @property
    def scratch(self) -> int:
        """Bytes of the scratch of one batch."""
        return self.chunks * (self.cost.gathered + self.cost.scratch) + FIXED_BYTES

    def held(self, chunks: int) -> int:
        """Bytes beyond the value, at most, while batches of so many chunks follow each other."""
        return chunks * self.cost.batch(self.write_behind_depth) + _fixed(self.write_behind_depth)


def _fixed(write_behind_depth: int) -> int:
    """Bytes that batches hold regardless of their chunks."""
    return FIXED.at(write_behind_depth) * FIXED_BYTES


def write_cost(chain: Chain, covered: bool, device: Device) -> WriteCost:
    """The bytes that a chunk of this chain takes. `covered`: it is written as a whole, so the old one is not read."""
    nbytes = chain.widest_bytes or chain.spec.dtype.itemsize
    crossing = chain.host_steps_to_encode[0]
    scratch, made, sizes = nbytes, nbytes, decoded_sizes(chain, nbytes)  # a copy without the empty chunks
    for i in range(1 if chain.is_contiguous else 0, crossing):
        taken, made = chain.steps[i].encode_scratch_bytes(sizes[i], made, device)
        scratch += taken
    last = sizes[min(crossing, len(sizes) - 1)]
    sent = -(-(last + crossing * (last // 64 + 64)) // ALIGNMENT) * ALIGNMENT
    if covered:
        return WriteCost(nbytes, scratch + TABLE_BYTES, made + ALIGNMENT, sent, 0)
    loaded = 2 * (sent + (last if crossing < len(chain.steps) else 0))  # pinned, and on the device
    gathered = nbytes + decode_scratch_bytes(chain, nbytes, sent) + TABLE_BYTES
    return WriteCost(gathered, scratch + TABLE_BYTES, made + ALIGNMENT, sent, int(ROUNDING * loaded))


def write_budget(chain: Chain, covered: bool, device: Device, limit: int) -> WriteBudget:
    """Plan batches of as many chunks as fit, in the deepest pipeline that has room; of one where not even one fits."""
    need = write_cost(chain, covered, device)
    for write_behind_depth in range(device.prefetch_depth, -1, -1):
        if (chunks := (limit - _fixed(write_behind_depth)) // need.batch(write_behind_depth)) >= 1:
            return WriteBudget(limit, need, chunks, write_behind_depth)
    return WriteBudget(limit, need, 1, 0)


def chunks_per_batch(budget: WriteBudget, chain: Chain, total: int, device: Device) -> int:
    """Chunks of each batch, of `total` to write: as many as memory allows, and the device prefers, in MIN_BATCHES."""
    chunk = max(1, chain.spec.nbytes or prod(chain.spec.shape))
    preferred, least = device.batch_bytes // chunk, device.batch_bytes // MIN_BATCH_PART // chunk
    return max(1, min(budget.chunks, preferred, max(least, -(-total // MIN_BATCHES))))
