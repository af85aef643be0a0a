"""Large chunks on a CPU: each is gathered, encoded and stored while it lies in its core's cache.

Several threads take chunk after chunk. What chunks share is made beforehand, so that little is done for each but to
move and encode its bytes: the chunk before has pushed the interpreter out of the cache, and other threads wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.devices.trace import Trace
from gpuzarr.empty_chunk import empty_test
from gpuzarr.errors import CHUNK_FAULTS
from gpuzarr.indexing.grid import ChunkBlock
from gpuzarr.indexing.layout import Layout
from gpuzarr.write.strategy import Batch, Target

LEAST = 1 << 17  # bytes of a chunk; more of smaller ones are gathered and encoded at once
Cell = tuple[
    Batch, ChunkBlock, int, str, Any
]  # of a chunk: its batch, box, number in the batch, key, elements in the value


def fits(batch: Batch, spec: ChunkSpec) -> bool:
    """Whether a batch can be written so: large chunks, covered whole, each of them an object."""
    alone = batch.covered and batch.shards[0] is None and (spec.nbytes or 0) >= LEAST
    return alone and all(isinstance(part, ChunkBlock) and part.sliced for part in batch.parts)


def write_cached(
    target: Target, layout: Layout, batches: Sequence[Batch], value: Any, device: Any, trace: Trace
) -> None:
    """Gather, encode and store all chunks of batches that `fits`, on a thread a core and `record.behind` more.

    ChunkError for the first that cannot be encoded; then no other is begun.
    """
    trace.count(batches=len(batches))
    work = _Feed(_cells(layout, batches, value))
    threads = min(
        device.threads + trace.write_behind_depth, sum(len(part) for batch in batches for part in batch.parts)
    )
    lanes = [_Lane(target, layout, device, trace) for _ in range(threads)]
    try:
        device.each(lambda lane: lane.run(work), lanes, threads)
    except BaseException:
        work.stop()  # nobody may know of a lane that was begun when this thread was interrupted
        raise


class _Feed:
    """An iterator that several threads take from; when one of them fails, there is no more for the others."""

    def __init__(self, items: Iterator[Cell]) -> None:
        self._items, self._lock = items, threading.Lock()

    def __iter__(self) -> Iterator[Cell]:
        return self

    def __next__(self) -> Cell:
        with self._lock:
            return next(self._items)

    def stop(self) -> None:
        with self._lock:
            self._items = iter(())


def _cells(layout: Layout, batches: Sequence[Batch], value: Any) -> Iterator[Cell]:
    for batch in batches:
        keys = enumerate(layout.keys(batch.coords))
        for part in batch.parts:
            if isinstance(part, ChunkBlock):
                for cell in part.cells(value):
                    yield batch, part, *next(keys), cell


class _Lane:
    """One thread's way from the value to the store: memory for a chunk, what encodes it, and what that took."""

    def __init__(self, target: Target, layout: Layout, device: Any, trace: Trace) -> None:
        self._target, self._layout, self._device, self._trace = target, layout, device, trace
        self._part: ChunkBlock | None = None
        self._chunk = np.empty(())
        self._gathering = self._encoding = self._storing = 0.0

    def run(self, work: _Feed) -> None:
        """All that the others leave."""
        chunks = empty = stored = 0
        try:
            with self._device.scratch_scope():
                for batch, part, number, key, cell in work:
                    size = self._write(part, key, cell, batch.coords[number:])
                    chunks, empty, stored = chunks + 1, empty + (size == 0), stored + size
        except BaseException:
            work.stop()
            raise
        self._trace.count(chunks=chunks, empty=empty, stored=stored)
        for stage, seconds in (("gather", self._gathering), ("encode", self._encoding), ("store", self._storing)):
            self._trace.add_time(stage, 0.0, seconds)

    def _write(self, part: ChunkBlock, key: str, cell: Any, coords: np.ndarray) -> int:
        """One chunk; gives the bytes that are stored, 0 for one of fill values, which is deleted."""
        begin = perf_counter()
        if part is not self._part:
            self._turn(part)
        self._place[...] = cell
        nothing = self._is_empty()
        gathered = perf_counter()
        data = b"" if nothing else self._encoded(coords)
        encoded = perf_counter()
        if nothing:
            self._target.store.delete([key])
        else:
            self._target.store.set(key, data)
        self._gathering += gathered - begin
        self._encoding += encoded - gathered
        self._storing += perf_counter() - encoded
        return len(data)

    def _encoded(self, coords: np.ndarray) -> Any:
        try:
            return self._encode()
        except CHUNK_FAULTS as error:
            raise self._layout.chunk_error(error, coords, self._target.store, self._target.path) from error

    def _turn(self, part: ChunkBlock) -> None:
        """Get ready for chunks of this box. What the value has not is filled."""
        chain = self._layout.chain(part.chunk_shape)
        fill_value = chain.spec.fill_value
        if self._part is None or part.chunk_shape != self._part.chunk_shape:
            self._chunk = self._device.empty(chain.spec.nbytes).view(chain.spec.dtype).reshape(chain.spec.shape)
            self._encode = chain.encoder(self._chunk)
            self._is_empty = empty_test(self._chunk, None if self._target.write_empty_chunks else fill_value)
        if not part.whole:
            self._chunk[...] = fill_value
        self._place, self._part = self._chunk[(*part.inside, ...)], part
