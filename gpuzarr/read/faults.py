"""Reads that go on where chunks are damaged: these chunks are found, one by one, and noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gpuzarr.errors import ChunkError, GpuZarrError, StoreError
from gpuzarr.read.source import Source

TOLERATED = ChunkError, StoreError


@dataclass(frozen=True)
class Fault:
    """A chunk, by its coordinates, that could not be read, and why."""

    source: Source
    chunk: tuple[int, ...]
    error: GpuZarrError


class Chunks(Protocol):
    """Chunks that can be read in halves."""

    def __len__(self) -> int: ...
    def split(self: T, most: int) -> Iterator[T]: ...


T = TypeVar("T", bound=Chunks)


def halved(chunks: T, read: Callable[[T], object], note: Callable[[T, GpuZarrError], object]) -> None:
    """Call read(chunks); after an error do so with the halves, and note(chunk, error) where it is one chunk alone."""
    try:
        read(chunks)
    except TOLERATED as error:
        if len(chunks) == 1:
            note(chunks, error)
            return
        for half in chunks.split(-(-len(chunks) // 2)):
            halved(half, read, note)
