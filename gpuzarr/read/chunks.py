"""A small region of local files on a CPU: each thread takes the next chunk, reads, decodes and places it.

The batches of `read` are for many chunks. Of a few large ones, what a batch reads has left the cache when it is
decoded, and the interpreter, which threads have in turns, takes as long as the codec. Here a chunk stays in its core's
cache, only as much of it is read and decoded as is wanted, where the codec can, and few words are made of it. What is
unusual, and all that goes wrong, is left to the batches: they read it again, and say what it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import CodecError, GpuZarrError
from gpuzarr.indexing.locate import Locator
from gpuzarr.indexing.region import Cell, cells
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read.strategy import ALONE, places
from gpuzarr.stores.contract import MISSING
from gpuzarr.stores.local.objects import Opened
from gpuzarr.stores.local.store import LocalStore

MOST = 64, 1 << 24  # chunks of a small region, and decoded bytes of all
LEAST = 1 << 14  # decoded bytes of a chunk; smaller ones are sooner decoded together
ODD = 1 << 16  # bytes that a chunk may be stored in beyond twice those that it is decoded to

Row = tuple[int, int, int, Cell]  # file, offset, bytes (MISSING: the chunk is not there)
Fetch = Callable[[Row, np.ndarray], float]  # what is wanted of a chunk, into its memory; the time when it was read
_BYTES = itemgetter(2)


def read_region(locator: Locator, selection: Outer | Points, out: Any, device: Any, trace: Trace) -> bool:
    """Fill `out`, as `gpuzarr.read.read` does, if this is a small region, nothing is unusual and nothing goes wrong.

    Else False: then anything may be in `out`, and `trace` is as it was.
    """
    layout, store = locator.layout, locator.store
    nbytes = layout.spec.nbytes or 0
    if nbytes < LEAST or not isinstance(store, LocalStore) or out.dtype != layout.spec.dtype or len(layout.levels) > 1:
        return False
    found = cells(selection, layout.axes, layout.per_object, min(MOST[0], MOST[1] // nbytes))
    if found is None or not _alone(chain := layout.chain(layout.spec.shape)):
        return False
    objects = list(dict.fromkeys([cell[0] for cell in found]))
    try:
        with store.opened(layout.keys(np.array(objects, np.int64))) as files:
            rows = _located(locator, objects, files, found)
            if rows is None:
                return False
            work = Work(rows, files, chain, device, out)
            work.run()
            if files.changed():
                return False
    except (GpuZarrError, OSError):
        return False
    _tell(trace, work)
    return True


def _alone(chain: Chain) -> bool:
    """Whether a chunk of this chain can be read here."""
    return chain.decodes_parts


def _located(
    locator: Locator, objects: Sequence[tuple[int, ...]], files: Opened, found: Sequence[Cell]
) -> list[Row] | None:
    """Where the chunks lie, the largest first; None where a shard's index is not known yet, or a place is odd."""
    numbers = {of: i for i, of in enumerate(objects)}
    rows: list[Row] = []
    if locator.layout.levels:
        if (indexes := locator.known(objects, files.versions)) is None:
            return None
        for cell in found:
            index = indexes[i := numbers[cell[0]]]
            offset, size = (MISSING, MISSING) if index is None else index[cell[1]].tolist()
            if offset != MISSING and offset + size > files.lengths[i]:
                return None
            rows.append((i, offset, size, cell))
    else:
        rows = [(i, 0, files.lengths[i], cell) for cell in found for i in (numbers[cell[0]],)]
    rows.sort(key=_BYTES, reverse=True)  # threads that end with small ones end at about the same time
    return rows if rows[0][2] <= 2 * (locator.layout.spec.nbytes or 0) + ODD else None


@dataclass(frozen=True)
class Work:
    """The chunks of a region. `seconds`: of each thread, in storage, decoding and placing."""

    rows: Sequence[Row]
    files: Opened
    chain: Chain
    device: Any
    out: Any
    seconds: list[tuple[float, float, float]] = field(default_factory=list)

    def run(self) -> None:
        """Read all chunks, on as many threads as it is worth. GpuZarrError or OSError for what goes wrong."""
        several = len(self.rows) * (self.chain.spec.nbytes or 0) > ALONE
        left = iter(self.rows)  # which each thread takes its next chunk from
        self.device.each(self._some, [left] * (min(self.device.threads, len(self.rows)) if several else 1))

    def _some(self, left: Iterator[Row]) -> None:
        """What one thread does: chunk after chunk, as long as there are some."""
        with self.device.scratch_scope():
            fetch = self._raw() if self.chain.is_uncompressed else self._decoded()
            try:
                self._place(left, fetch)
            except BaseException:
                list(left)  # nobody needs to begin another one
                raise

    def _place(self, left: Iterator[Row], fetch: Fetch) -> None:
        spec, now = self.chain.spec, time.perf_counter
        chunk = self.device.empty(spec.nbytes).view(spec.dtype).reshape(spec.shape)
        storage = decoding = placing = 0.0
        for row in left:
            begin, (_, _, inside, outside, _, _) = now(), row[3]
            place = self.out[outside]
            if row[2] == MISSING:
                place[...] = spec.fill_value
            elif place.shape == spec.shape and place.flags.carray:  # which an array that is read-only is not
                read = fetch(row, place)
                storage, decoding = storage + read - begin, decoding + now() - read
            else:
                read = fetch(row, chunk)
                done = now()
                place[...] = chunk[inside]
                storage, decoding, placing = storage + read - begin, decoding + done - read, placing + now() - done
        self.seconds.append((storage, decoding, placing))

    def _decoded(self) -> Fetch:
        """Reads what is stored into memory of the calling thread, and decodes it."""
        source = self.device.empty(max(self.rows[0][2], 0))
        view, fill, decode = memoryview(source), self.files.fill, self.chain.chunk_decoder()

        def fetch(row: Row, memory: np.ndarray) -> float:
            stored = view[: row[2]]
            fill(row[0], row[1], stored)
            read = time.perf_counter()
            decode(stored, memory, *row[3][4:])
            return read

        return fetch

    def _raw(self) -> Fetch:
        """Reads what is wanted."""
        fill, size, nbytes = self.files.fill, self.chain.spec.dtype.itemsize, self.chain.spec.nbytes

        def fetch(row: Row, memory: np.ndarray) -> float:
            if row[2] != nbytes:
                raise CodecError(f"a chunk of {row[2]} bytes")
            first, last = row[3][4] * size, (row[3][5] + 1) * size
            fill(row[0], row[1] + first, memoryview(memory.reshape(-1).view(np.uint8))[first:last])
            return time.perf_counter()

        return fetch


def _tell(trace: Trace, work: Work) -> None:
    """What was done."""
    trace.limit, trace.prefetch_depth, trace.io = work.device.memory_limit, 0, "POSIX: into host memory"
    trace.codecs = partial(places, work.chain, work.device)
    sizes = [row[2] for row in work.rows if row[2] != MISSING]
    trace.count(batches=1, chunks=len(sizes), stored=sum(sizes))
    for seconds in work.seconds:
        trace.times += [(stage, 0.0, s) for stage, s in zip(("storage", "decode", "place"), seconds, strict=True)]
