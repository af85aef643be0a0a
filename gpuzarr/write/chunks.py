"""Write chunk by chunk, on a CPU: each thread takes the next chunk, gathers, encodes and stores it.

So a chunk stays in its core's cache. An uncompressed one that lies together in the value is stored from there; codecs
read a copy in the cache sooner. What chunks share is made beforehand, so that little is done for each but to move and
encode its bytes: the chunk before has pushed the interpreter out of the cache, and other threads wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import numpy as np

from gpuzarr.cpu import turning
from gpuzarr.empty_chunk import empty_test
from gpuzarr.errors import CHUNK_FAULTS
from gpuzarr.indexing.blocks import ChunkBlock
from gpuzarr.indexing.grid import Part
from gpuzarr.write.assignment import Assignment
from gpuzarr.write.destinations import Destination
from gpuzarr.write.thresholds import MAX_LISTED_CHUNKS

# A part of the selection and the number of the chunk there; the elements of the value (None: the part gathers them);
# where the chunk is stored
Chunk = tuple[Part, int, Any, Any]


@dataclass(frozen=True)
class Chunks:
    """Write the chunks of these parts, which cover them whole."""

    assignment: Assignment
    parts: tuple[Part, ...]
    destination: Destination

    def run(self) -> None:
        """Write all of them. ChunkError for the first that cannot be encoded; then no other is begun."""
        device, trace, chunks = self.assignment.device, self.assignment.trace, sum(map(len, self.parts))
        trace.count(batches=chunks)
        threads = min(device.threads + trace.write_behind_depth + trace.waiting, chunks)
        device.share(self._write_some, self._chunks(), threads, waits=trace.waiting > 0)

    def _chunks(self) -> Iterator[Chunk]:
        for large in self.parts:
            for part in large.split(MAX_LISTED_CHUNKS):
                slots = self.destination.slots(part)
                if isinstance(part, ChunkBlock) and part.sliced:
                    for number, (values, slot) in enumerate(zip(part.cells(self.assignment.value), slots, strict=True)):
                        yield part, number, values, slot
                else:
                    single: Iterator[Part] = part.split(1)
                    for one, slot in zip(single, slots, strict=True):
                        yield one, 0, None, slot

    def _write_some(self, left: Iterator[Chunk]) -> None:
        """Do the part of one thread: all that the others leave."""
        worker = Worker(self.assignment, self.destination)
        with self.assignment.device.scratch_scope():
            for chunk in left:
                worker.write(chunk)
        worker.report()


class Worker:
    """One thread's memory for a chunk, what gathers and encodes there, and the times that this took."""

    def __init__(self, assignment: Assignment, destination: Destination) -> None:
        self._assignment, self._destination = assignment, destination
        self._part: Part | None = None
        self._shape: tuple[int, ...] | None = None
        self._gathering = self._encoding = self._storing = 0.0
        self._chunks = self._empty = self._stored = 0

    def write(self, chunk: Chunk) -> None:
        """Gather, encode and store one chunk."""
        part, number, values, slot = chunk
        begin = perf_counter()
        if part is not self._part:
            self._prepare(part)
        elements = self._gathered(part, values)
        is_empty = self._is_empty(elements)
        gathered = perf_counter()
        data = None if is_empty else self._encoded(elements, part, number)
        encoded = perf_counter()
        self._destination.put(slot, data)
        self._gathering += gathered - begin
        self._encoding += encoded - gathered
        self._storing += perf_counter() - encoded
        self._chunks += 1
        self._empty += is_empty
        self._stored += 0 if data is None else len(data)

    def report(self) -> None:
        """Add what was done to the trace."""
        trace = self._assignment.trace
        trace.count(chunks=self._chunks, empty=self._empty, stored=self._stored)
        trace.add_time("gather", 0.0, self._gathering)
        trace.add_time("encode", 0.0, self._encoding)
        trace.add_time("store", 0.0, self._storing)

    def _prepare(self, part: Part) -> None:
        """Get ready for chunks of this part, with the fill value where the value has nothing: beyond the array."""
        if part.chunk_shape != self._shape:
            self._reshape(part.chunk_shape)
        if not part.whole:
            self._memory[...] = self._fill_value
        if isinstance(part, ChunkBlock) and part.sliced:
            self._place = self._memory[(*part.inside, ...)]
        self._part = part

    def _gathered(self, part: Part, values: Any) -> np.ndarray:
        """The elements of a chunk, in its shape, in memory of this thread or of the value."""
        if values is None:
            part.gather(self._assignment.value, self._memory[None], np)
        elif self._takes_views and values.shape == self._shape and values.flags.c_contiguous:
            return cast(np.ndarray, values)
        else:
            turning.copy(self._place, values)
        return self._memory

    def _reshape(self, shape: tuple[int, ...]) -> None:
        target, device = self._assignment.target, self._assignment.device
        chain = target.layout.chain(shape)
        spec = chain.spec
        self._fill_value = spec.fill_value
        self._memory = device.empty(spec.nbytes).view(spec.dtype).reshape(shape)
        self._takes_views = chain.stores_elements and self._assignment.value.dtype == spec.dtype
        self._encode = chain.encoder()
        self._is_empty = empty_test(spec.dtype, None if target.write_empty_chunks else spec.fill_value)
        self._shape = shape

    def _encoded(self, elements: np.ndarray, part: Part, number: int) -> Any:
        try:
            return self._encode(elements)
        except CHUNK_FAULTS:
            with self._assignment.target.blamed(part.coords[number : number + 1]):
                raise
