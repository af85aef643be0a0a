"""How threads share chunks that are read one by one: each takes the next chunk of a few, or the next piece of many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, cast

from gpuzarr.errors import GpuZarrError
from gpuzarr.indexing.region import Chunk
from gpuzarr.read import many_arrays
from gpuzarr.read.chunks import Chunks
from gpuzarr.read.faults import Fault, halved
from gpuzarr.read.thresholds import MAX_PIECE_BYTES, MAX_PIECE_CHUNKS, MAX_REGION_CHUNKS, MIN_PIECES


@dataclass(frozen=True)
class Piece:
    """Some chunks of one array, of a few objects, that one thread reads together."""

    of: Chunks
    chunks: Sequence[Chunk]

    def __len__(self) -> int:
        return len(self.chunks)

    def split(self, most: int) -> Iterator[Piece]:
        """The same chunks in pieces of at most `most`."""
        return (replace(self, chunks=self.chunks[i : i + most]) for i in range(0, len(self), most))


@dataclass(frozen=True)
class ChunkWork:
    """Read the chunks of one or several arrays, `count` in all, on so many threads of the CPU `device`.

    Of one array with few chunks all objects are opened at once, and each thread takes the next chunk. Else each takes
    the next piece, and opens the objects itself. `faults`: if given, what is damaged is noted there and has the fill
    value. `waits`: the threads, more than cores, wait for a store.
    """

    arrays: Sequence[Chunks]
    count: int
    threads: int
    device: Any
    faults: list[Fault] | None = None
    waits: bool = False

    def run(self) -> None:
        """Read all of them. ChunkError for one that is damaged."""
        arrays = many_arrays.left_of(self.arrays, self.threads)
        if self.faults is None and self.count <= MAX_REGION_CHUNKS and self._begins_at_once(arrays):
            threads = min(self.threads, self.device.threads)
            arrays[0].read(list(arrays[0].chunks), threads, largest_first=True)
        elif self.waits:
            arrays = [one.with_indexes() for one in arrays]
            self.device.share(self._read_all, self._requests(arrays), self.threads, waits=True)
        elif arrays:
            self.device.share(self._read_all, self._pieces(arrays), self.threads)

    def _begins_at_once(self, arrays: Sequence[Chunks]) -> bool:
        """Whether chunks are decoded while others are fetched, if all are opened together: those of one array, unless
        an object must have come before its length is known."""
        return len(arrays) == 1 and (not self.waits or bool(arrays[0].source.layout.levels))

    def _pieces(self, arrays: Sequence[Chunks]) -> Iterator[Piece]:
        """Pieces that do not depend on threads; so neither does which of several errors is raised."""
        most = min(MAX_PIECE_CHUNKS, -(-self.count // MIN_PIECES))
        return (Piece(one, some) for one in arrays for some in _cut(one.chunks, most))

    def _requests(self, arrays: Sequence[Chunks]) -> Iterator[Piece]:
        """Pieces each of which is one request, about: an object, or neighbours in a shard."""
        for one in arrays:
            for _, some in groupby(one.chunks, key=itemgetter(0)):
                for chunks in _cut(some, max(1, MAX_PIECE_BYTES // (one.chain.spec.nbytes or MAX_PIECE_BYTES))):
                    yield Piece(one, chunks)

    def _read_all(self, left: Iterator[Piece]) -> None:
        for piece in left:
            if self.faults is None:
                piece.of.read(piece.chunks)
            else:
                halved(piece, lambda some: some.of.read(some.chunks), self._note)

    def _note(self, piece: Piece, error: GpuZarrError) -> None:
        piece.of.note(piece.chunks[0], error, cast(list[Fault], self.faults))


def _cut(chunks: Iterable[Chunk], most: int) -> Iterator[list[Chunk]]:
    """The chunks in order, in lists of at most `most`."""
    left = iter(chunks)
    while some := list(islice(left, most)):
        yield some
