"""Account of one read or write: bytes held, counts and times. Kept while it runs, reported afterwards.

A `Trace` belongs to one read or write, a `BatchMemory` to one of its batches. A device finds the calling thread's batch
by `CurrentBatch`, so no function has to pass it on.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.overlap import Overlap


def _counts() -> dict[str, int]:
    return defaultdict(int)


@dataclass
class MemoryUse:
    """Bytes held now, and the most held at any time. Many threads may use it at once."""

    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    now: dict[str, int] = field(default_factory=_counts)  # "pinned" and "device"
    peak: dict[str, int] = field(default_factory=_counts)  # and "total"

    @property
    def total(self) -> int:
        """Bytes held now, of every kind."""
        return sum(self.now.values())

    def note_peak(self, kind: str) -> None:
        """Look at what is held now of a kind, of which it may never have been so much."""
        with self.lock:
            self.peak[kind] = max(self.peak[kind], self.now[kind])
            self.peak["total"] = max(self.peak["total"], self.total)


@dataclass
class Trace:
    """Plan and account of one read or write.

    `limit`: bytes that it may hold beyond its result (a write: beyond its value), and `pinned_limit` of them pinned;
    None: as many as its batches need.
    `times` are (stage, begin, end): timestamps of the device, or seconds of the host's clock. The names of stages are
    those of the reports.
    """

    limit: int | None = None
    pinned_limit: int | None = None
    share: int | None = None  # bytes of `limit` that one batch may take while it is decoded
    pinned_share: int | None = None  # bytes of `pinned_limit` that it may take besides its stored chunks
    pinned_bytes: int = 0  # least size of each batch's pinned buffer
    overlap: Overlap | None = None  # None: the device's default
    write_behind_depth: int = 0  # batches that complete on threads, or are stored, while later ones are launched
    waiting: int = 0  # threads of a CPU beside one for each core, because they wait for a store
    codecs: Callable[[], tuple[tuple[str, str], ...]] = tuple  # name and device of each codec, in the order they run
    io: str = ""  # way in which bytes came from the store
    guard: str = "none"  # what keeps others from objects that are changed in part
    held: MemoryUse = field(default_factory=MemoryUse)
    counts: dict[str, int] = field(default_factory=_counts)
    streams: dict[str, int] = field(default_factory=_counts)  # of a GPU, by the algorithm's name
    times: list[tuple[str, Any, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, **numbers: int) -> None:
        """Add to the counts: batches; bytes stored, sent or fetched; and others that reports name."""
        with self.lock:
            for name, number in numbers.items():
                self.counts[name] += number

    def count_streams(self, algorithm: Algorithm, number: int) -> None:
        """Add to the streams that the GPU has decoded or encoded."""
        with self.lock:
            self.streams[algorithm.name] += number

    def add_time(self, stage: str, begin: Any, end: Any) -> None:
        """Add the time of one stage of a batch."""
        self.times.append((stage, begin, end))  # atomic, so no lock is needed


_OVERLAPPING = Overlap(1)
# Kinds of memory of a batch, and how they are accounted for: chunks as read or to store; chunks that the host decoded;
# tables of addresses; copies made on another stream; scratch of decoding and encoding.
MEMORY_KINDS = {"pinned": "pinned", "decoded": "pinned", "tables": "pinned", "upload": "device", "scratch": "device"}


class BatchMemory:
    """Memory that one batch holds, accounted for in its `trace` and in the device's `total`.

    Scratch is free as soon as a later batch is launched on the same stream: its next use comes later in that order.
    Pinned buffers, and device memory that other streams use, are held until the batch is complete. `recycle` takes a
    pinned buffer for the next batch.
    """

    def __init__(self, trace: Trace, total: MemoryUse, recycle: Callable[[np.ndarray], None] | None = None) -> None:
        self.trace, self._total, self._recycle = trace, total, recycle
        self._bytes = _counts()
        self._pinned: list[tuple[np.ndarray, str]] = []
        self._held: list[Any] = []
        self.uploads: Any = None  # what a device must know to order launches behind the copies of this batch
        self._nested: list[BatchMemory] = []

    def add(self, kind: str, nbytes: int) -> None:
        """Account for bytes of one of `MEMORY_KINDS`."""
        self._change(kind, nbytes)
        for use in (self.trace.held, self._total):
            use.note_peak(MEMORY_KINDS[kind])

    def add_pinned(self, buffer: np.ndarray, kind: str = "pinned") -> None:
        """Hold a pinned buffer until the batch is complete."""
        self._pinned.append((buffer, kind))
        self.add(kind, len(buffer))

    @property
    def headroom(self) -> int | None:
        """Bytes that decoding may still take; None: no limit.

        Tables, and what the host decoded, count more than once where batches overlap: those of the batch before are
        still held.
        """
        if self.trace.share is None:
            return None
        overlap = self.trace.overlap or _OVERLAPPING
        pinned = self._bytes["tables"] + self._bytes["decoded"]
        held = -(-pinned * overlap.incomplete // overlap.decoded)
        return max(self.trace.share - self._bytes["scratch"] - held, 0)

    @property
    def pinned_headroom(self) -> int | None:
        """Bytes of pinned memory that decoding may still take; None: no limit."""
        if self.trace.pinned_share is None:
            return None
        return max(self.trace.pinned_share - self._bytes["tables"] - self._bytes["decoded"], 0)

    def nested(self) -> BatchMemory:
        """Memory for a part of the batch's work, closed before the batch's own."""
        self._nested.append(made := BatchMemory(self.trace, self._total, self._recycle))
        return made

    def pinned_kind(self, data: np.ndarray) -> str | None:
        """The kind of the pinned buffer of this batch that has `data` in it; None where none has."""
        at = data.ctypes.data
        return next(
            (kind for b, kind in self._pinned if b.ctypes.data <= at and at + data.nbytes <= b.ctypes.data + len(b)),
            None,
        )

    def hold(self, array: Any, nbytes: int) -> None:
        """Hold device memory that another stream uses too until the batch is complete."""
        self._held.append(array)
        self.add("upload", nbytes)

    def release_scratch(self) -> None:
        """Stop accounting for scratch."""
        self._release("scratch")

    def close(self, reuse: bool = True) -> None:
        """Release all memory. `reuse`: the device is known to have finished with the pinned buffers.

        It may be called again.
        """
        for nested in self._nested:
            nested.close(reuse)
        self._nested.clear()
        self._held.clear()
        self.uploads = None
        while self._pinned:
            buffer, _ = self._pinned.pop()
            if reuse and self._recycle:
                self._recycle(buffer)
        for kind in MEMORY_KINDS:
            self._release(kind)

    def _release(self, kind: str) -> None:
        self._change(kind, -self._bytes[kind])

    def _change(self, kind: str, nbytes: int) -> None:
        """Change all three accounts: nothing is called between them, so no interrupt comes there."""
        held, total, account = self.trace.held, self._total, MEMORY_KINDS[kind]
        with held.lock, total.lock:
            self._bytes[kind] += nbytes
            held.now[account] += nbytes
            total.now[account] += nbytes


class CurrentBatch(threading.local):
    """Batch that the calling thread works for, by its memory. Outside of reads and writes it is None."""

    memory: BatchMemory | None = None

    @contextmanager
    def use(self, memory: BatchMemory) -> Iterator[None]:
        """Work for a batch inside the `with` block."""
        before, self.memory = self.memory, memory
        try:
            yield
        finally:
            self.memory = before

    @property
    def headroom(self) -> int | None:
        """Bytes that the batch may still take; None: no limit."""
        return None if self.memory is None else self.memory.headroom

    @property
    def pinned_headroom(self) -> int | None:
        """Bytes of pinned memory that the batch may still take; None: no limit."""
        return None if self.memory is None else self.memory.pinned_headroom

    @property
    def overlapping_batches(self) -> int:
        """Batches of the read that are decoded at once."""
        overlap = None if self.memory is None else self.memory.trace.overlap
        return 1 if overlap is None else overlap.decoded

    def pinned_size(self, nbytes: int) -> int:
        """Bytes of a pinned buffer for `nbytes` of the batch's encoded chunks."""
        return nbytes if self.memory is None else max(nbytes, self.memory.trace.pinned_bytes)

    def completed(self) -> None:
        """Release the batch's memory: it has waited for everything that it launched."""
        if self.memory is not None:
            self.memory.close()

    def add_scratch(self, nbytes: int) -> None:
        """Account for scratch of the batch."""
        if self.memory is not None:
            self.memory.add("scratch", nbytes)

    def count(self, **numbers: int) -> None:
        """Add to the counts of the read or write. See `Trace.count`."""
        if self.memory is not None:
            self.memory.trace.count(**numbers)

    def count_streams(self, algorithm: Algorithm, number: int) -> None:
        """Add to the streams of the read or write. See `Trace.count_streams`."""
        if self.memory is not None:
            self.memory.trace.count_streams(algorithm, number)

    def add_time(self, stage: str, begin: Any, end: Any) -> None:
        """Add the time of one stage of the batch."""
        if self.memory is not None:
            self.memory.trace.add_time(stage, begin, end)


def backing_bytes(data: Any) -> int:
    """Bytes of the allocation that an array, which may be a view of a part of it, keeps alive."""
    root = data
    while isinstance(root.base, type(data)):
        root = root.base
    return int(root.nbytes)
