"""What one read or write holds, moves and takes: the engine's own account, kept while it works and looked at later.

A `Trace` belongs to one read or write, a `BatchMemory` to one batch of it. The device finds the batch's memory of the
calling thread by `CurrentBatch`, so that nothing on the way has to pass it on.
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


def _counts() -> dict[str, int]:
    return defaultdict(int)


@dataclass
class MemoryUse:
    """Bytes held now, and the most that were held at once. Used by many threads."""

    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    now: dict[str, int] = field(default_factory=_counts)  # "pinned" and "device"
    peak: dict[str, int] = field(default_factory=_counts)  # and "total"

    @property
    def total(self) -> int:
        return sum(self.now.values())

    def add(self, kind: str, nbytes: int) -> None:
        with self.lock:
            self.now[kind] += nbytes
            self.peak[kind] = max(self.peak[kind], self.now[kind])
            self.peak["total"] = max(self.peak["total"], self.total)


@dataclass
class Trace:
    """One read or write. `limit`: bytes that it may hold beyond its result (value); None: as much as its batches need.

    `marks` are (stage, begin, end), points in time of the device or of the host's clock; stages are those of `report`.
    """

    limit: int | None = None
    share: int | None = None  # bytes of `limit` that are meant for one batch while it is decoded
    pinned_bytes: int = 0  # bytes that each batch's pinned buffer should have at least
    prefetch_depth: int | None = (
        None  # batches that may be loaded beside the one that is decoded; None: as the device likes
    )
    write_behind_depth: int = 0  # batches that are settled on threads, or stored, while others are finished
    codecs: Callable[[], tuple[tuple[str, str], ...]] = tuple  # name and place, in the order in which they run
    io: str = ""  # how bytes came from the store
    held: MemoryUse = field(default_factory=MemoryUse)
    counts: dict[str, int] = field(default_factory=_counts)
    streams: dict[str, int] = field(default_factory=_counts)  # of nvCOMP, by the algorithm's name
    times: list[tuple[str, Any, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, **numbers: int) -> None:
        """Add to what is counted: batches, bytes that were stored, sent or fetched."""
        with self.lock:
            for name, number in numbers.items():
                self.counts[name] += number

    def count_streams(self, algorithm: Algorithm, number: int) -> None:
        with self.lock:
            self.streams[algorithm.name] += number

    def add_time(self, stage: str, begin: Any, end: Any) -> None:
        self.times.append((stage, begin, end))  # which is atomic


KINDS = {"pinned": "pinned", "tables": "pinned", "upload": "device", "scratch": "device"}


class BatchMemory:
    """What one batch holds: of `trace`, and of all reads of the device (`total`).

    Scratch goes back when the batch's launches are done, for the next ones come later in the order of the stream;
    pinned memory and what other streams copy to or from only when the batch is settled.
    """

    def __init__(self, trace: Trace, total: MemoryUse, give: Callable[[np.ndarray], None] | None = None) -> None:
        self.trace, self._total, self._give = trace, total, give
        self._held = _counts()
        self._pinned: list[np.ndarray] = []
        self._kept: list[Any] = []

    def add(self, kind: str, nbytes: int) -> None:
        """`kind`: one of `KINDS`."""
        self._held[kind] += nbytes
        for held in (self.trace.held, self._total):
            held.add(KINDS[kind], nbytes)

    def pin(self, buffer: np.ndarray, kind: str = "pinned") -> None:
        """A pinned buffer, which goes back when the batch is settled; `kind` "tables": what decoding needs of it."""
        self._pinned.append(buffer)
        self.add(kind, len(buffer))

    @property
    def room(self) -> int | None:
        """Bytes that decoding may still take; None: as many as it likes. Pinned ones wait for the batch before, too."""
        if self.trace.share is None:
            return None
        batches = 1 if self.trace.prefetch_depth == 0 else 2
        return max(self.trace.share - self._held["scratch"] - batches * self._held["tables"], 0)

    def inner(self) -> BatchMemory:
        """A tab for some of the batch's work, which is closed before the batch's own."""
        return BatchMemory(self.trace, self._total, self._give)

    def pinned(self, data: np.ndarray) -> bool:
        """Whether `data` lies in a buffer of this batch."""
        at = data.ctypes.data
        return any(b.ctypes.data <= at and at + data.nbytes <= b.ctypes.data + len(b) for b in self._pinned)

    def keep(self, memory: Any, nbytes: int) -> None:
        """Memory of the device that another stream uses too, which must not be let go before the batch is settled."""
        self._kept.append(memory)
        self.add("upload", nbytes)

    def launched(self) -> None:
        self._back("scratch")

    def close(self, reuse: bool = True) -> None:
        """All of it back; `reuse`: the device is known to be done with the pinned buffers."""
        self._kept.clear()
        while self._pinned:
            buffer = self._pinned.pop()
            if reuse and self._give:
                self._give(buffer)
        for kind in KINDS:
            self._back(kind)

    def _back(self, kind: str) -> None:
        nbytes, self._held[kind] = self._held[kind], 0
        for held in (self.trace.held, self._total):
            held.add(KINDS[kind], -nbytes)


class CurrentBatch(threading.local):
    """The tab of each thread: of the batch that it works for, None outside of reads."""

    batch_memory: BatchMemory | None = None

    @contextmanager
    def of(self, batch_memory: BatchMemory) -> Iterator[None]:
        before, self.batch_memory = self.batch_memory, batch_memory
        try:
            yield
        finally:
            self.batch_memory = before

    @property
    def room(self) -> int | None:
        """Bytes that the thread's batch may still take; None: as many as it likes."""
        return None if self.batch_memory is None else self.batch_memory.room

    def staged(self, nbytes: int) -> int:
        """The size of a pinned buffer for the encoded chunks of the thread's batch."""
        return nbytes if self.batch_memory is None else max(nbytes, self.batch_memory.trace.pinned_bytes)

    def completed(self) -> None:
        """The thread's batch has waited for all that it launched, and goes on with nothing held."""
        if self.batch_memory is not None:
            self.batch_memory.close()

    def scratch(self, nbytes: int) -> None:
        if self.batch_memory is not None:
            self.batch_memory.add("scratch", nbytes)

    def count(self, **numbers: int) -> None:
        if self.batch_memory is not None:
            self.batch_memory.trace.count(**numbers)

    def count_streams(self, algorithm: Algorithm, number: int) -> None:
        """Streams of a batch of nvCOMP's."""
        if self.batch_memory is not None:
            self.batch_memory.trace.count_streams(algorithm, number)

    def add_time(self, stage: str, begin: Any, end: Any) -> None:
        if self.batch_memory is not None:
            self.batch_memory.trace.add_time(stage, begin, end)


def behind_view(data: Any) -> int:
    """Bytes of the memory that a view of an array keeps from being used again."""
    root = data
    while isinstance(root.base, type(data)):
        root = root.base
    return int(root.nbytes)
