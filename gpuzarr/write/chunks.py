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
from gpuzarr.devices.trace import Record
from gpuzarr.empty_chunk import blank_test
from gpuzarr.errors import BAD
from gpuzarr.indexing.grid import Box
from gpuzarr.indexing.layout import Layout
from gpuzarr.write.strategy import Target, Wave

LEAST = 1 << 17  # bytes of a chunk; more of smaller ones are gathered and encoded at once
Cell = tuple[Wave, Box, int, str, Any]  # of a chunk: its wave, box, number in the wave, key, elements in the value


def fits(wave: Wave, spec: ChunkSpec) -> bool:
    """Whether a wave can be written so: large chunks, covered whole, each of them an object."""
    alone = wave.covered and wave.shards[0] is None and (spec.nbytes or 0) >= LEAST
    return alone and all(isinstance(part, Box) and part.sliced for part in wave.parts)


def write_cached(
    target: Target, layout: Layout, waves: Sequence[Wave], value: Any, device: Any, record: Record
) -> None:
    """Gather, encode and store all chunks of waves that `fits`, on a thread a core and `record.behind` more.

    ChunkError for the first that cannot be encoded; then no other is begun.
    """
    record.count(waves=len(waves))
    work = _Feed(_cells(layout, waves, value))
    threads = min(device.threads + record.behind, sum(len(part) for wave in waves for part in wave.parts))
    lanes = [_Lane(target, layout, device, record) for _ in range(threads)]
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


def _cells(layout: Layout, waves: Sequence[Wave], value: Any) -> Iterator[Cell]:
    for wave in waves:
        keys = enumerate(layout.keys(wave.coords))
        for part in wave.parts:
            if isinstance(part, Box):
                for cell in part.cells(value):
                    yield wave, part, *next(keys), cell


class _Lane:
    """One thread's way from the value to the store: memory for a chunk, what encodes it, and what that took."""

    def __init__(self, target: Target, layout: Layout, device: Any, record: Record) -> None:
        self._target, self._layout, self._device, self._record = target, layout, device, record
        self._part: Box | None = None
        self._chunk = np.empty(())
        self._gathering = self._encoding = self._storing = 0.0

    def run(self, work: _Feed) -> None:
        """All that the others leave."""
        chunks = blank = stored = 0
        try:
            with self._device.held():
                for wave, part, number, key, cell in work:
                    size = self._write(part, key, cell, wave.coords[number:])
                    chunks, blank, stored = chunks + 1, blank + (size == 0), stored + size
        except BaseException:
            work.stop()
            raise
        self._record.count(chunks=chunks, blank=blank, stored=stored)
        for stage, seconds in (("gather", self._gathering), ("encode", self._encoding), ("store", self._storing)):
            self._record.mark(stage, 0.0, seconds)

    def _write(self, part: Box, key: str, cell: Any, coords: np.ndarray) -> int:
        """One chunk; gives the bytes that are stored, 0 for one of fill values, which is deleted."""
        begin = perf_counter()
        if part is not self._part:
            self._turn(part)
        self._place[...] = cell
        nothing = self._is_blank()
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
        except BAD as error:
            raise self._layout.chunk_error(error, coords, self._target.store, self._target.path) from error

    def _turn(self, part: Box) -> None:
        """Get ready for chunks of this box. What the value has not is filled."""
        chain = self._layout.chain(part.chunk_shape)
        fill_value = chain.spec.fill_value
        if self._part is None or part.chunk_shape != self._part.chunk_shape:
            self._chunk = self._device.empty(chain.spec.nbytes).view(chain.spec.dtype).reshape(chain.spec.shape)
            self._encode = chain.encoder(self._chunk)
            self._is_blank = blank_test(self._chunk, None if self._target.empty else fill_value)
        if not part.whole:
            self._chunk[...] = fill_value
        self._place, self._part = self._chunk[(*part.inside, ...)], part
