"""How threads share chunks that are read one by one: each takes the next chunk of a few, or the next piece of many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast

from gpuzarr.errors import GpuZarrError
from gpuzarr.indexing.region import Chunk
from gpuzarr.read import many_arrays
from gpuzarr.read.chunks import Chunks
from gpuzarr.read.faults import TOLERATED, Fault, halved
from gpuzarr.read.thresholds import MAX_PIECE_CHUNKS, MAX_REGION_CHUNKS, MIN_PIECES


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
    value. `piece_bytes`: of a store whose requests take long, decoded bytes of a piece: its chunks are fetched
    together, and then shared by all cores; the `threads` are many, as they wait. 0: of other stores.
    """

    arrays: Sequence[Chunks]
    count: int
    threads: int
    device: Any
    faults: list[Fault] | None = None
    piece_bytes: int = 0

    def run(self) -> None:
        """Read all of them. ChunkError for one that is damaged."""
        arrays, waits = many_arrays.left_of(self.arrays, self.threads), self.piece_bytes > 0
        if not waits and len(arrays) == 1 and self.count <= MAX_REGION_CHUNKS:
            arrays = self._left_of_few(arrays[0])
        if arrays:
            self.device.share(self._read_all, self._pieces(arrays), self.threads, waits)

    def _left_of_few(self, one: Chunks) -> Sequence[Chunks]:
        """Read few chunks of one array. Returns the array if one is damaged, and that is to be noted."""
        chunks = list(one.chunks)
        try:
            one.read(chunks, self.threads, largest_first=True)
        except TOLERATED:
            if self.faults is None:
                raise
            return (replace(one, chunks=chunks),)
        return ()

    def _pieces(self, arrays: Sequence[Chunks]) -> Iterator[Piece]:
        """Pieces that do not depend on threads; so neither does which of several errors is raised."""
        most = min(MAX_PIECE_CHUNKS, -(-self.count // MIN_PIECES))
        for one in arrays:
            fetched = self.piece_bytes // (one.chain.spec.nbytes or 1)
            for some in _cut(one.chunks, max(fetched, 1) if self.piece_bytes else most):
                yield Piece(one, some)

    def _read_all(self, left: Iterator[Piece]) -> None:
        threads = self.device.threads if self.piece_bytes else 1
        for piece in left:
            if self.faults is None:
                piece.of.read(piece.chunks, threads)
            else:
                halved(piece, lambda some: some.of.read(some.chunks, threads), self._note)

    def _note(self, piece: Piece, error: GpuZarrError) -> None:
        piece.of.note(piece.chunks[0], error, cast(list[Fault], self.faults))


def _cut(chunks: Iterable[Chunk], most: int) -> Iterator[list[Chunk]]:
    """The chunks in order, in lists of at most `most`."""
    left = iter(chunks)
    while some := list(islice(left, most)):
        yield some
