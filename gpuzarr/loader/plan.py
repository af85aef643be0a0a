"""What an epoch will take, told before anything is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import ArgumentError, GpuZarrWarning, warn
from gpuzarr.loader.batches.batches import batch_bytes, scratch_bytes
from gpuzarr.loader.batches.needs import Planner
from gpuzarr.loader.contract import Order, Space, View
from gpuzarr.loader.order.quality import quality
from gpuzarr.loader.settings import Settings
from gpuzarr.read.memory import bytes_text

MAX_SAMPLED_BLOCKS = 16  # from which the expectation for all blocks is made
MIN_HELD_BYTES = 1 << 30  # of chunks, and
AHEAD = 3  # windows are held where the caller says no limit, so that the next ones are read ahead
IN_HAND = 2  # batches beside those that are prefetched: the caller's, and the one that is being cut


@dataclass(frozen=True, repr=False)
class LoaderPlan:
    """A plan of an epoch, made by `Loader.plan`. Bytes are of decoded elements.

    Attributes
    ----------
    samples, batches
        Samples of all ranks, and batches of this one.
    blocks, live_blocks
        Blocks of samples in the data, and those that this rank samples at a time: a window.
    window_chunks, window_bytes
        What is held for a window, at most.
    batch_bytes, batches_bytes
        Of a batch, and of all that are there at a time.
    memory_limit
        Bytes for both; what is left is for reading ahead.
    held_limit
        Bytes for chunks that are held.
    decoded_per_delivered
        Expected bytes that are decoded for each byte of the arrays that a batch needs (before it is cast).
    shuffle_quality
        1 where a batch has samples from as many blocks as in a shuffle of everything; less where it has fewer.

    Examples
    --------
    >>> loader = gpuzarr.Loader({"x": gpuzarr.array(np.zeros((8, 2)), chunks=(2, 2))}, batch_size=4)
    >>> plan = loader.plan()
    >>> plan.samples, plan.blocks, plan.batch_bytes
    (8, 4, 64)
    """

    samples: int
    batches: int
    blocks: int
    live_blocks: int
    window_chunks: int
    window_bytes: int
    batch_bytes: int
    batches_bytes: int
    memory_limit: int
    held_limit: int
    decoded_per_delivered: float
    shuffle_quality: float

    def asdict(self) -> dict[str, Any]:
        """All numbers by their names."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.samples} samples in {self.blocks} blocks; "
                f"{self.batches} batches of {bytes_text(self.batch_bytes)} each",
                f"memory: a window of {self.live_blocks} blocks has at most {self.window_chunks} chunks, "
                f"{bytes_text(self.window_bytes)}; batches in flight take {bytes_text(self.batches_bytes)}; "
                f"the limit is {bytes_text(self.memory_limit)}",
                f"bytes decoded for each byte delivered: {self.decoded_per_delivered:.3g}",
                f"shuffle quality: {self.shuffle_quality:.3g} of 1, a shuffle of everything; "
                "more blocks in BlockShuffle raise it",
            ]
        )

    __repr__ = __str__


def planned(settings: Settings, space: Space, views: Sequence[View], order: Order, epoch: int) -> LoaderPlan:
    """The plan of an epoch. ArgumentError where there are no samples."""
    if not order.samples:
        raise ArgumentError("there is no sample: no patch or window fits the arrays, or they are empty")
    counts = space.counts(epoch)
    live, planner = order.live_blocks(), Planner.of(space, views, epoch)
    some = _sampled(counts)
    each = [needs for _, _, needs in planner.blocks(some)]
    nbytes = [sum(planner.nbytes([one]).values()) for one in each]
    delivered = sum(int(counts[block]) for block in some) * sum(_sample_bytes(view) for view in views)
    window = live * max(nbytes)
    size = settings.batch_size
    flight = batch_bytes(views, size) * (settings.prefetch + IN_HAND) + scratch_bytes(views, size)
    limit = settings.memory_limit or min(_free_bytes(views) // 2, flight + max(MIN_HELD_BYTES, AHEAD * window))
    return LoaderPlan(
        samples=order.samples,
        batches=order.count(),
        blocks=len(counts),
        live_blocks=live,
        window_chunks=live * max(sum(map(len, one.values())) for one in each),
        window_bytes=window,
        batch_bytes=batch_bytes(views, settings.batch_size),
        batches_bytes=flight,
        memory_limit=limit,
        held_limit=limit - flight,
        decoded_per_delivered=sum(nbytes) / max(delivered, 1),
        shuffle_quality=quality(counts, settings.shuffle, settings.batch_size * settings.world_size),
    )


def fitting(plan: LoaderPlan) -> LoaderPlan:
    """A plan of which a window fits the limit; else ArgumentError."""
    if plan.window_bytes + plan.batches_bytes > plan.memory_limit:
        raise ArgumentError(
            f"memory_limit={plan.memory_limit} ({bytes_text(plan.memory_limit)}) is too small: a window of "
            f"{plan.live_blocks} blocks takes {bytes_text(plan.window_bytes)}, and batches in flight take "
            f"{bytes_text(plan.batches_bytes)}. Give at least {plan.window_bytes + plan.batches_bytes}, or "
            "BlockShuffle with fewer or smaller blocks, or a smaller batch_size or prefetch"
        )
    return plan


def warn_of_none(plan: LoaderPlan, loader: object) -> None:
    """Warn of a loader that has samples, but no batch."""
    if not plan.batches:
        left = "the samples do not fill one batch of all ranks; give a smaller batch_size, or drop_last=False"
        warn(f"{loader!r} has no batches: with drop_last=True {left}", GpuZarrWarning)


def _free_bytes(views: Sequence[View]) -> int:
    """Memory that is free: of the GPU on which arrays are, or of the host."""
    gpus = {array.device.name: array.device for view in views for array in view.arrays if array.device.gpu}
    free = [int(device.free_bytes) for device in gpus.values()]
    return min(free or [os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")])


def _sampled(counts: np.ndarray) -> list[int]:
    """Some blocks that have samples, evenly among all, and the one that has most."""
    there = np.flatnonzero(counts)
    chosen = there[np.linspace(0, len(there) - 1, min(len(there), MAX_SAMPLED_BLOCKS)).astype(np.int64)]
    return list(dict.fromkeys([int(there[np.argmax(counts[there])]), *chosen.tolist()]))


def _sample_bytes(view: View) -> int:
    return prod(view.shape) * int(view.arrays[0].dtype.itemsize)
