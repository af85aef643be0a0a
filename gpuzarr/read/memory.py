"""How large the batches of a read may be: what a chunk needs beyond the result, and how many fit the limit.

Of a pipeline on a GPU, while one batch is decoded, another is checked and `prefetch_depth` more are loaded: encoded
bytes lie in pinned memory for all of these, on the device for two; scratch and decoded bytes that lie aside are there
for one batch, for the next one uses the same memory in the order of the stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gpuzarr.batch import ALIGNMENT
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device

TABLE = 1 << 10  # bytes of tables a chunk, on the device and pinned
FIXED = 128 << 10  # bytes a batch: the guard behind nvCOMP's scratch, flags, and the least that a table takes
CLASS = 9 / 8  # a pinned buffer, and its copy on the device, may be so much larger than what it holds
_UNITS = {"": 1, "b": 1} | {
    prefix + unit: base**power
    for power, prefix in enumerate("kmgt", 1)
    for unit, base in (("", 1000), ("b", 1000), ("ib", 1024))
}


def parse_bytes(value: int | str, name: str = "memory_limit") -> int:
    """A number of bytes from an int, or a str as "256MiB". ValueError, with the argument's name, if it is none."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", value) if isinstance(value, str) else None
    if found and found[2].lower() in _UNITS:
        value = int(float(found[1]) * _UNITS[found[2].lower()])
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a number of bytes, or as '256MiB', not {value!r}")
    return value


@dataclass(frozen=True)
class Cost:
    """Bytes that one chunk needs: as it is `stored`, as far as that is foreseen (`largest`: as an encoder makes it, at
    most); scratch while it is decoded; tables, which are pinned until the batch is checked."""

    stored: int
    largest: int
    scratch: int
    tables: int
    gpu: bool = True

    def staging(self, chunks: int, prefetch_depth: int) -> int:
        """Bytes that encoded chunks take, of all batches of so many chunks that are there at once."""
        stored = max(chunks * self.stored, self.largest)
        return int(_copies(prefetch_depth) * stored) if self.gpu else chunks * self.stored

    def decoding(self, chunks: int, prefetch_depth: int) -> int:
        """Bytes that one batch needs besides, while it is decoded, and the one before is checked."""
        return (FIXED if self.gpu else 0) + chunks * self._each(prefetch_depth)

    def batch(self, chunks: int, prefetch_depth: int) -> int:
        """Bytes that a read holds whose batches have so many chunks, of which `prefetch_depth` are loaded beside."""
        return self.staging(chunks, prefetch_depth) + self.decoding(chunks, prefetch_depth)

    def fit(self, limit: int, prefetch_depth: int) -> int:
        """The most chunks a batch, so that the read holds no more than `limit`."""
        room, each, copies = limit - FIXED, self._each(prefetch_depth), _copies(prefetch_depth)
        return int(min(room / (copies * self.stored + each), (room - copies * self.largest) / each))

    def _each(self, prefetch_depth: int) -> int:
        return self.scratch + (2 if prefetch_depth else 1) * self.tables


def _copies(prefetch_depth: int) -> float:
    """How often encoded chunks are held: pinned while loaded, launched and checked; on the device but while loaded."""
    return CLASS * (prefetch_depth + 4 if prefetch_depth else 2)


def cost(chain: Chain, device: Device, whole: bool = True, estimated: int | None = None) -> Cost:
    """What a chunk of this chain needs beyond the result.

    `whole`: chunks lie in one piece in the result, so they are decoded to their place if the chain can. `estimated`:
    bytes that a chunk has as it is stored, about; None: as many as an encoder makes at most. The read path meets
    batches that are larger in smaller parts.
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
    in_place = nbytes if whole and chain.decodes_in_place(device) else 0
    scratch = decode_scratch_bytes(chain, nbytes, stored, left) - in_place
    pinned = nbytes if crossing < len(chain.steps) else 0  # what the host decoded is sent from a pinned copy
    return Cost(stored, largest, scratch + TABLE, int(CLASS * pinned) + TABLE)


def decode_scratch_bytes(chain: Chain, nbytes: int, stored: int, left: int = 0) -> int:
    """Bytes of a GPU that decoding a chunk of `nbytes` takes: what comes from the host, results of steps, scratch.

    `left`: the first so many steps are not undone. `stored`: bytes of the chunk as it is stored.
    """
    crossing, _ = chain.host_steps
    sent = nbytes if crossing < len(chain.steps) else 0
    return sent + sum(step.decode_scratch_bytes(nbytes, stored) for step in chain.steps[left:crossing])


@dataclass(frozen=True)
class BatchBudget:
    """What `limit` allows for chunks of one kind: `chunks` a batch, and `prefetch_depth` batches loaded beside the one
    decoded."""

    chain: Chain
    limit: int
    cost: Cost
    chunks: int
    prefetch_depth: int

    @property
    def stored(self) -> int:
        """Bytes of encoded chunks that one batch may load."""
        return max(self.chunks * self.cost.stored, self.cost.largest)

    def decoding(self, prefetch_depth: int) -> int:
        return self.cost.decoding(self.chunks, prefetch_depth)


def share(
    chain: Chain,
    device: Device,
    limit: int,
    wanted: int,
    several: bool,
    whole: bool,
    estimated: Callable[[], int | None],
) -> BatchBudget:
    """Batches of `wanted` chunks, if they fit; smaller ones if not. `several`: whether the read has more chunks.

    `estimated`, as of `cost`, is asked for where it matters. One chunk at a time, whatever it needs, where not even one
    fits.
    """
    need = cost(chain, device, whole)
    if not device.gpu:
        each = limit // device.threads // max(need.stored + need.scratch, 1)
        return BatchBudget(chain, limit, need, max(1, min(wanted, each)), 0)
    if (several or need.fit(limit, device.prefetch_depth) < wanted) and (stored := estimated()) is not None:
        need = cost(chain, device, whole, stored)
    for prefetch_depth in range(device.prefetch_depth, -1, -1):
        if need.fit(limit, prefetch_depth) >= (wanted if prefetch_depth > 1 else 1):
            return BatchBudget(chain, limit, need, min(wanted, need.fit(limit, prefetch_depth)), prefetch_depth)
    return BatchBudget(chain, limit, need, 1, 0)
