"""Read chunk by chunk, on a CPU: each thread takes the next chunk, reads, decodes and places it.

Batches are for many small chunks. Of large ones, what a batch reads has left the cache when it is decoded, and the
interpreter, which threads have in turns, takes as long as the codec. Here a chunk stays in its core's cache, and only
as much of it is decoded as is wanted, where the codec can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from operator import itemgetter
from time import perf_counter
from typing import Any

import numpy as np

from gpuzarr.codecs.chain import Chain
from gpuzarr.cpu import turning
from gpuzarr.cpu.jobs import OPEN
from gpuzarr.devices.trace import Trace
from gpuzarr.dtypes.cast import Cast
from gpuzarr.errors import CHUNK_FAULTS, ChunkError, CodecError, GpuZarrError, LengthError, RangeError
from gpuzarr.indexing.boxes import Targets
from gpuzarr.indexing.region import Chunk
from gpuzarr.indexing.shard_indexes import Indexes, Shards
from gpuzarr.read.by_library import ByLibrary, can_read, in_files, place_of
from gpuzarr.read.faults import Fault
from gpuzarr.read.fetch import blamed
from gpuzarr.read.foretell import foretell
from gpuzarr.read.known import Keeper
from gpuzarr.read.shelf import Shelf
from gpuzarr.read.source import Source
from gpuzarr.read.thresholds import MIN_PLACED_BYTES, MIN_THREAD_BYTES
from gpuzarr.read.unchanged import unchanged
from gpuzarr.stores.contract import Fill, Objects, assume_length
from gpuzarr.stores.in_files import file_paths, open_files
from gpuzarr.stores.ranges import MISSING, Ranges

Row = tuple[int, int, int, Chunk]  # number of the object, offset and bytes there (MISSING: there is no chunk), chunk
Fetch = Callable[[int, Chunk, np.ndarray], tuple[float, np.ndarray | None]]
Keep = Sequence[Callable[[], None]]
_BYTES = itemgetter(2)


@dataclass(frozen=True)
class Chunks:
    """Chunks of one array, all of the same shape, that the threads of the CPU `device` read into `out`, cast if they
    are to be."""

    source: Source
    chunks: Iterable[Chunk]
    chain: Chain
    out: Any
    device: Any
    trace: Trace
    cast: Cast | None = None
    shelf: Shelf | None = None  # of a cache of decoded chunks
    indexes: Indexes = field(default_factory=dict)  # of shards that this read has met

    def read(self, group: Sequence[Chunk], threads: int = 1, largest_first: bool = False) -> None:
        """Read chunks of a few objects. ChunkError for the first one that is damaged.

        `largest_first`: so threads end at about the same time.
        """
        self.trace.count(batches=1)
        if not (group := self._left_of_files(group, threads)):
            return
        begin = perf_counter()
        holders = list(dict.fromkeys([chunk[0] for chunk in group]))
        keys = self.source.layout.keys(holders)

        def read(objects: Objects) -> Keep:
            rows = self._located(group, holders, objects)
            if largest_first:
                rows.sort(key=_BYTES, reverse=True)
            return self._decode(rows, objects, begin, threads)

        for keep in unchanged(self.source, keys, read, trace=self.trace):
            keep()

    def note(self, chunk: Chunk, error: GpuZarrError, faults: list[Fault]) -> None:
        """Note that a chunk cannot be read, and put the fill value in its place."""
        faults.append(Fault(self.source, self.coords(chunk), error))
        self._fill_missing(chunk)

    def paths(self, group: Sequence[Chunk]) -> Sequence[str] | None:
        """The files that are these chunks; None where they are not, or may have to be kept."""
        layout = self.source.layout
        if self.shelf is not None or layout.levels:
            return None
        return file_paths(self.source.store, layout.keys([chunk[0] for chunk in group]))

    def _left_of_files(self, group: Sequence[Chunk], threads: int) -> Sequence[Chunk]:
        """Let the library read chunks that are files of their own. Returns those that are left."""
        if self._is_little(group) or self.library is None or (paths := self.paths(group)) is None:
            return group
        _held, where = in_files(paths)
        return [group[i] for i in self.library.read(group, where, threads)]

    def _is_little(self, chunks: Sequence[Any]) -> bool:
        """Whether Python is as fast: preparing a call of the library takes longer than it saves."""
        is_small = (self.chain.spec.nbytes or 0) <= MIN_THREAD_BYTES
        return len(chunks) == 1 and (is_small or not self.chain.is_uncompressed)

    @cached_property
    def library(self) -> ByLibrary | None:
        """The C library, if it can read the chunks."""
        can = self.cast is None and can_read(self.chain, self.results)
        return ByLibrary(self.chain, self.out, self.device, self.trace) if can else None

    def _located(self, group: Sequence[Chunk], holders: Sequence[tuple[int, ...]], objects: Objects) -> list[Row]:
        """Where the chunks lie."""
        numbers = {of: i for i, of in enumerate(holders)}
        if not self.source.store.has_cheap_lengths:
            foretell(objects, self.source, self.chain, [numbers[chunk[0]] for chunk in group])
            if self._wants_parts(group):
                assume_length(objects, self.chain.stored_size.most)
        rows: list[Row] = []
        if self.source.layout.levels:
            shards = Shards(0, holders, Ranges.whole(objects.keys))
            try:
                entries = self.source.locator.indexes.entries(shards, objects, self.indexes)
            except CodecError as error:
                first = next((c for c in group if error.index in (None, numbers[c[0]])), group[0])
                raise self._blamed(error, first) from error
            for chunk in group:
                offset, size = entries[i := numbers[chunk[0]]][chunk[1]].tolist()
                rows.append((i, offset, size, chunk))
        else:
            lengths = objects.lengths()
            rows = [(i, 0, lengths[i], chunk) for chunk in group for i in (numbers[chunk[0]],)]
        return rows

    def _decode(self, rows: Sequence[Row], objects: Objects, begin: float, threads: int) -> Keep:
        """Do the work. Returns the calls that keep chunks, once it is known that no object was replaced meanwhile."""
        present, keeper = [row for row in rows if row[2] != MISSING], None
        self._check_sizes(present)
        if self.shelf is not None:
            keeper = self._keeper(self.shelf, present, objects)
        reads = [(i, offset, size, *self._wanted(size, chunk)) for i, offset, size, chunk in present]
        try:
            fill = objects.reader(reads)
        except RangeError as error:
            raise self._blamed(error, present[error.index][3]) from error
        self.trace.add_time("storage", begin, perf_counter())
        chunks, left = [row[3] for row in present], self._left_of_open(present, objects, keeper, threads)
        run = partial(self._decode_some, chunks, [read[4] for read in reads], fill, keeper)
        if left:
            self.trace.count(chunks=len(left), stored=sum([present[i][2] for i in left]))
            self.device.share(run, left, min(threads, len(left)))
        for row in rows if len(present) < len(rows) else ():
            if row[2] == MISSING:
                self._fill_missing(row[3])
        return () if keeper is None else keeper.calls(objects)

    def _left_of_open(
        self, present: Sequence[Row], objects: Objects, keeper: Keeper | None, threads: int
    ) -> Sequence[int]:
        """Let the library read chunks of open files, if none is to be kept. Returns the numbers of those left."""
        if not present or keeper is not None or self._is_little(present) or self.library is None:
            return range(len(present))
        if (files := open_files(objects)) is None:
            return range(len(present))
        numbers, begins = (each.tolist() for each in files)
        where = [(OPEN, numbers[i], begins[i] + offset, size) for i, offset, size, _ in present]
        return self.library.read([row[3] for row in present], where, threads)

    def _keeper(self, shelf: Shelf, present: Sequence[Row], objects: Objects) -> Keeper:
        """What keeps the chunks, which the cache has not."""
        shelf.cache.count(0, len(present))
        self.trace.count(cache_misses=len(present))
        return Keeper.of(shelf, [self.coords(row[3]) for row in present], objects, [row[0] for row in present])

    def _check_sizes(self, present: Sequence[Row]) -> None:
        """Raise ChunkError, before anything is read, for a chunk that is stored in more bytes than can be right."""
        sizes, due = list(map(_BYTES, present)), self.chain.stored_size
        if sizes and (min(sizes) < due.least or max(sizes) > due.most):
            wrong = due.wrong(np.array(sizes))
            assert wrong is not None and wrong.index is not None
            raise self._blamed(wrong, present[wrong.index][3]) from wrong

    def _decode_some(
        self, chunks: Sequence[Chunk], sizes: Sequence[int], fill: Fill, keeper: Keeper | None, left: Iterator[int]
    ) -> None:
        """Do the part of one thread: read, decode and place the chunks whose numbers `left` gives."""
        spec, i = self.chain.spec, 0
        storage = decoding = placing = 0.0
        with self.device.scratch_scope():
            fetch = self._fetcher(sizes, fill)
            memory = self.device.empty(spec.nbytes).view(spec.dtype).reshape(spec.shape)
            try:
                for i in left:
                    begin, chunk = perf_counter(), chunks[i]
                    read, made = self._decoded(i, chunk, fetch, memory, keeper)
                    decoded = perf_counter()
                    if made is not None:
                        self._assign(chunk, made)
                    storage += read - begin
                    decoding += decoded - read
                    placing += perf_counter() - decoded
            except CHUNK_FAULTS as error:
                raise self._blamed(error, chunks[i]) from error
        for stage, seconds in (("storage", storage), ("decode", decoding), ("place", placing)):
            self.trace.add_time(stage, 0.0, seconds)

    def _decoded(
        self, i: int, chunk: Chunk, fetch: Fetch, memory: np.ndarray, keeper: Keeper | None
    ) -> tuple[float, np.ndarray | None]:
        """Decode a chunk to its place, or to memory from which it must be assigned. Returns when it was read, and that
        memory."""
        if keeper is not None and (whole := keeper.memory(i, self.chain.spec)) is not None:
            try:
                read, elsewhere = fetch(i, (*chunk[:4], 0, whole.size - 1), whole)
            except CHUNK_FAULTS:  # where nothing is wanted, maybe
                pass
            else:
                if elsewhere is not None:
                    whole[...] = elsewhere
                keeper.keep(i, whole)
                return read, whole
        place = self._place(chunk)
        read, elsewhere = fetch(i, chunk, memory if place is None else place)
        if elsewhere is not None:
            return read, elsewhere
        return read, memory if place is None else None

    def _wants_parts(self, group: Sequence[Chunk]) -> bool:
        """Whether of some objects, of which metadata tell the length, less is read than from the first to the last
        element of a chunk."""
        if not self.chain.is_uncompressed or self.shelf is not None or self.source.layout.levels:
            return False
        return any(chunk[5] + 1 - chunk[4] < prod(self.chain.spec.shape) for chunk in group)

    def _fetcher(self, sizes: Sequence[int], fill: Fill) -> Fetch:
        """What fetches a chunk, decoded, into an array of the chunk's shape; the time when it was read, and the array
        that the chunk is instead, if its elements are in another order."""
        if self.chain.is_uncompressed:
            return self._uncompressed_fetcher(fill)
        decode, stored = self.chain.chunk_decoder(), memoryview(self.device.empty(max(sizes)))

        def fetch(i: int, chunk: Chunk, target: np.ndarray) -> tuple[float, np.ndarray | None]:
            data = stored[: sizes[i]]
            fill(i, data)
            return perf_counter(), decode(data, target, chunk[4], chunk[5])

        return fetch

    def _uncompressed_fetcher(self, fill: Fill) -> Fetch:
        itemsize = self.chain.spec.dtype.itemsize

        def fetch(i: int, chunk: Chunk, target: np.ndarray) -> tuple[float, None]:
            part = memoryview(target.reshape(-1).view(np.uint8))[chunk[4] * itemsize : (chunk[5] + 1) * itemsize]
            try:
                is_there = fill(i, part)
            except LengthError as error:
                raise self.chain.stored_size.wrong(np.array([error.length])) or error from error
            if is_there is False:
                target[...] = self.chain.spec.fill_value
            return perf_counter(), None

        return fetch

    def _place(self, chunk: Chunk) -> np.ndarray | None:
        """The part of `out` that is the whole chunk, if it lies there as a chunk does."""
        return None if self.cast is not None else place_of(chunk, self.out, self.chain.spec.shape)

    def _assign(self, chunk: Chunk, decoded: np.ndarray) -> None:
        if chunk[2] is None:
            chunk[3].place(decoded[None], self.out, np, self.cast)
        elif self.cast is None:
            turning.copy(self.out[(*chunk[3], ...)], decoded[chunk[2]])
        else:
            self.cast.put(self.out[(*chunk[3], ...)], decoded[chunk[2]])

    def _wanted(self, size: int, chunk: Chunk) -> tuple[int, int]:
        """Offset in the stored chunk and bytes that are read: of an uncompressed one only what is wanted."""
        if not self.chain.is_uncompressed:
            return 0, size
        itemsize = self.chain.spec.dtype.itemsize
        return chunk[4] * itemsize, (chunk[5] + 1 - chunk[4]) * itemsize

    def place(self, chunks: Sequence[tuple[Chunk, np.ndarray]], threads: int) -> None:
        """Place decoded chunks."""
        few = len(chunks) * (self.chain.spec.nbytes or 0) <= MIN_PLACED_BYTES
        self.device.each(lambda each: self._assign(*each), chunks, 1 if few else threads)

    @property
    def results(self) -> Sequence[Any]:
        """The arrays that are the result."""
        return self.out.results if isinstance(self.out, Targets) else (self.out,)

    def _fill_missing(self, chunk: Chunk) -> None:
        if chunk[2] is None:
            chunk[3].fill(self.out, self._fill_value, np)
        else:
            self.out[chunk[3]] = self._fill_value

    @cached_property
    def _fill_value(self) -> Any:
        fill_value = self.chain.spec.fill_value
        return fill_value if self.cast is None else self.cast.one(fill_value)

    def coords(self, chunk: Chunk) -> tuple[int, ...]:
        """The coordinates of a chunk."""
        if not self.source.layout.levels:
            return chunk[0]
        number, found = chunk[1], []
        for of, count in zip(reversed(chunk[0]), reversed(self.source.layout.per_object), strict=True):
            number, within = divmod(number, count)
            found.append(of * count + within)
        return tuple(reversed(found))

    def _blamed(self, error: CodecError | RangeError, chunk: Chunk) -> ChunkError:
        error.index = None if isinstance(error, CodecError) else 0
        return blamed(error, self.source, np.array([self.coords(chunk)], np.int64).reshape(1, -1))
