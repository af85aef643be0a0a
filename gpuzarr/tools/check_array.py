"""Check the chunks of one array: the keys of its objects, their sizes, indexes of shards, and every chunk, decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from gpuzarr.errors import ChunkError, StoreError, UnsupportedError
from gpuzarr.nodes.array import Array
from gpuzarr.read.memory import bytes_text
from gpuzarr.tools.census import ArrayCensus, Counting
from gpuzarr.tools.check_chunks import Fault, damaged, too_large
from gpuzarr.tools.check_indexes import Inner, Objs, inner_chunks
from gpuzarr.tools.check_keys import Note, objects_of
from gpuzarr.tools.check_report import Finding

OBJECTS_BETWEEN_REPORTS = 64  # of progress
CHUNKS_BETWEEN_REPORTS, MAX_CHUNKS_BETWEEN_REPORTS = 1 << 10, 1 << 16
GPU_BATCHES = 8


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a check. `limit`: bytes that it may hold. `fast`: nothing is decoded. `by_axis`: a census along
    each axis."""

    limit: int
    fast: bool = False
    by_axis: bool = False


def check_array(array: Array, wanted: Wanted, note: Note, report: Callable[[int], object]) -> ArrayCensus:
    """Check an array, and count what is there. `report` is called with the numbers of objects that are done."""
    counting = Counting(array.path, array.layout, wanted.by_axis)
    checking = _Checking(array, wanted, note, counting, not wanted.fast and _may_decode(array, wanted.limit, note))
    together = _objects_together(array)
    for objects in objects_of(array, note):
        for some in objects.split(together):
            checking.objects(some)
            report(len(some))
    return counting.result()


def _objects_together(array: Array) -> int:
    """The objects that are checked together: on a GPU as many as make some batches, which overlap."""
    chunks, device = CHUNKS_BETWEEN_REPORTS, array.device
    if device.gpu:
        nbytes = array.layout.spec.nbytes or 0
        chunks = min(max(GPU_BATCHES * device.batch_bytes // max(nbytes, 1), chunks), MAX_CHUNKS_BETWEEN_REPORTS)
    return max(chunks // max(prod(array.layout.per_object), 1), OBJECTS_BETWEEN_REPORTS)


def _may_decode(array: Array, limit: int, note: Note) -> bool:
    if (nbytes := too_large(array, limit)) is None:
        return True
    text = f"a chunk has {bytes_text(nbytes)} when it is decoded, more than the limit of {bytes_text(limit)}: no chunk"
    note(Finding("note", "not-checked", array.path, f"{text} was decoded (memory_limit=)"))
    return False


@dataclass
class _Checking:
    """The check of an array, some objects at a time. `decodes`: until a chunk cannot be decoded here at all."""

    array: Array
    wanted: Wanted
    note: Note
    counting: Counting
    decodes: bool

    def objects(self, some: Objs) -> None:
        self.counting.add_objects(some.sizes)
        if not self.array.layout.levels:
            self.chunks(Inner(some.coords, some.sizes))
            return
        for inner in inner_chunks(self.array, some, self.note):
            self.chunks(inner)

    def chunks(self, inner: Inner) -> None:
        self.counting.add(inner.coords, inner.sizes)
        if self.decodes and len(inner.coords):
            self._decode(inner)
        elif len(inner.coords):
            _check_sizes(self.array, inner, self.note)

    def _decode(self, inner: Inner) -> None:
        try:
            faults = damaged(self.array, inner.coords, self.wanted.limit)
        except UnsupportedError as error:  # such as a codec whose package is not installed
            text = f"its chunks cannot be decoded here: {error}"
            self.note(Finding("warning", "not-checked", self.array.path, text))
            self.decodes = False
            return
        self.counting.checked += len(inner.coords)
        for fault in faults:
            self.note(_finding(self.array, fault))


def _finding(array: Array, fault: Fault) -> Finding:
    error, key = fault.error, array.layout.key(fault.chunk)
    if isinstance(error, ChunkError):
        repair = "fill-chunk" if array.layout.levels else "delete-chunk"
        at = error.key, fault.chunk, error.codec
        return Finding("error", "damaged-chunk", array.path, error.problem, *at, repair=repair)
    kind = "unreadable" if isinstance(error, StoreError) else "damaged-chunk"
    return Finding("error", kind, array.path, str(error), key, fault.chunk)


def _check_sizes(array: Array, inner: Inner, note: Note) -> None:
    """Without decoding: a chunk that is not compressed has a certain size, and none has no bytes at all."""
    layout = array.layout
    if not layout.is_regular:
        return
    chain = layout.chain(layout.first_chunk_shape)
    repair = "fill-chunk" if layout.levels else "delete-chunk"
    wrong = (inner.sizes < chain.stored_size.least) | (inner.sizes > chain.stored_size.most)
    is_empty = (inner.sizes == 0) & bool(chain.spec.nbytes)
    for i in np.flatnonzero(wrong | is_empty).tolist():
        chunk = tuple(inner.coords[i].tolist())
        problem = chain.stored_size.wrong(inner.sizes[i : i + 1])
        kind, text = ("damaged-chunk", str(problem)) if problem else ("empty-object", "a chunk without any bytes")
        at = layout.key(chunk), chunk, chain.stored_size.codec
        note(Finding("error", kind, array.path, text, *at, repair=repair))
