"""How large the batches of a write may be on a GPU: what a chunk needs beyond the value, and how many fit the limit.

nvCOMP's compressors want far more than its decompressors: slots of 2.26 times the chunk for deflate and gzip, scratch
of 17 times it for gzip at zlib's level 6, and for deflate of 17 up to 64 KiB and of 33 beyond. nvCOMP is asked; that of
zstd needs a GPU to tell, and is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from gpuzarr.batch import ALIGNMENT
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.read.memory import CLASS, decode_scratch_bytes

TABLES = 8 << 10  # bytes of tables a chunk
FIXED = 192 << 10  # bytes a batch: flags, guards, small tables in buffers of their own
WAVES = 4  # that a write has at least, so that encoding and storing overlap,
LEAST = 8  # but none that is smaller than this part of what the device likes


@dataclass(frozen=True)
class WriteCost:
    """Bytes that one chunk needs at most: from its gathering until it is encoded, beside that while it is encoded, on
    the device until it is copied, and of the copy.

    `loaded`: pinned and on the device for the old chunk, where that is read first.
    """

    gathered: int
    scratch: int
    made: int
    sent: int
    loaded: int

    @property
    def pinned(self) -> int:
        return int(CLASS * self.sent)

    def batch(self, write_behind_depth: int) -> int:
        """Of a pipeline in which `write_behind_depth` batches are stored beside the one that is encoded; then one more
        is gathered, and one more loaded."""
        early = 1 if write_behind_depth else 0
        encoding = (1 + early) * self.gathered + self.scratch
        return (
            encoding
            + (1 + write_behind_depth) * (self.made + self.pinned)
            + (1 + 2 * early + write_behind_depth) * self.loaded
        )


@dataclass(frozen=True)
class WriteBudget:
    """What `limit` allows for chunks of one kind: `chunks` a batch, of which `write_behind_depth` are stored beside
    the next one."""

    limit: int
    cost: WriteCost
    chunks: int
    write_behind_depth: int

    @property
    def scratch(self) -> int:
        """Bytes of one batch's scratch."""
        return self.chunks * (self.cost.gathered + self.cost.scratch) + FIXED

    def held(self, chunks: int) -> int:
        """Bytes beyond the value, at most, while batches of so many chunks follow each other."""
        return chunks * self.cost.batch(self.write_behind_depth) + fixed(self.write_behind_depth)


def fixed(write_behind_depth: int) -> int:
    """Bytes that batches hold whatever their chunks are; one is gathered early."""
    return (2 + write_behind_depth if write_behind_depth else 1) * FIXED


def write_cost(chain: Chain, covered: bool, device: Device) -> WriteCost:
    """What encoding a chunk takes; `covered`: nothing of the old one is read."""
    nbytes = chain.spec.nbytes or chain.spec.dtype.itemsize
    crossing = chain.host_steps_to_encode[0]
    scratch, made = nbytes, nbytes  # a copy, where some are left out
    for step in chain.steps[1 if chain.is_contiguous else 0 : crossing]:
        taken, made = step.encode_scratch_bytes(nbytes, made, device)
        scratch += taken
    sent = -(-(nbytes + crossing * (nbytes // 64 + 64)) // ALIGNMENT) * ALIGNMENT
    if covered:
        return WriteCost(nbytes, scratch + TABLES, made + ALIGNMENT, sent, 0)
    loaded = 2 * (sent + (nbytes if crossing < len(chain.steps) else 0))  # pinned, and on the device
    gathered = nbytes + decode_scratch_bytes(chain, nbytes, sent) + TABLES
    return WriteCost(gathered, scratch + TABLES, made + ALIGNMENT, sent, int(CLASS * loaded))


def write_share(chain: Chain, covered: bool, device: Device, limit: int) -> WriteBudget:
    """One chunk at a time, whatever it needs, where not even one fits."""
    need = write_cost(chain, covered, device)
    for write_behind_depth in range(device.prefetch_depth, -1, -1):
        if (chunks := (limit - fixed(write_behind_depth)) // need.batch(write_behind_depth)) >= 1:
            return WriteBudget(limit, need, chunks, write_behind_depth)
    return WriteBudget(limit, need, 1, 0)


def chunks_per_batch(share: WriteBudget, chain: Chain, total: int, device: Device) -> int:
    """Of `total` chunks that are written: as many as memory allows, and as leave enough batches to overlap."""
    chunk = max(1, chain.spec.nbytes or prod(chain.spec.shape))
    liked, least = device.batch_bytes // chunk, device.batch_bytes // LEAST // chunk
    return max(1, min(share.chunks, liked, max(least, -(-total // WAVES))))
