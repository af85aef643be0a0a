"""Blocks of decoded chunks that are kept in memory: what a `ChunkCache` has in one process.

Chunks that were decoded together, up to a 64th of the cache, are one block of memory, and go together.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import count, repeat
from typing import Any, NamedTuple

from gpuzarr.stores.identity import Identity

ENTRY_BYTES = 512  # of what a chunk takes beside its elements
Coords = tuple[int, ...]


class Key(NamedTuple):
    """A name of all arrays of the same data on a device: their place, and `Layout.signature`."""

    place: Identity
    signature: str
    device: str


class Block:
    """Decoded chunks that are kept together, `chunks` (n, *chunk_shape) of a device. Nobody changes their elements.

    `address`: that of the first. `left`: how many of them the cache still finds.
    """

    __slots__ = ("address", "chunks", "coords", "key", "left", "nbytes")

    def __init__(self, key: Key, coords: Sequence[Coords], chunks: Any, address: int) -> None:
        self.key, self.coords, self.chunks, self.address, self.left = key, coords, chunks, address, len(coords)
        self.nbytes = int(chunks.nbytes) + ENTRY_BYTES * len(coords)


class Entry(NamedTuple):
    """A chunk that is kept: `block.chunks[row]`, decoded from an object of this version."""

    version: Any
    block: Block
    row: int

    @property
    def chunk(self) -> Any:
        """The decoded chunk, which must not be changed."""
        return self.block.chunks[self.row]

    @property
    def address(self) -> int:
        """The address of the chunk."""
        return self.block.address + self.row * int(self.block.chunks.strides[0])


class Blocks:
    """All blocks of a cache in one process. Its methods are called under its lock.

    An interrupt may end each of them anywhere. So a block is counted before its chunks can be found, and as long as any
    can; and nothing is called between a change of the blocks and that of the count. What a signal handler or the
    garbage collector calls may come in between, too: hence the kind of lock.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.nbytes = self.hits = self.misses = 0
        self.of: dict[Key, dict[Coords, Entry]] = {}
        self.in_order: OrderedDict[Block, None] = OrderedDict()  # the least recently used first

    def add(self, block: Block, versions: Iterable[Any], max_bytes: int) -> None:
        """Keep a block, in the place of others."""
        while self.in_order and self.nbytes + block.nbytes > max_bytes:
            self.drop(next(iter(self.in_order)))
        self.in_order[block] = None
        self.nbytes += block.nbytes
        for coords in block.coords:
            self.forget(block.key, coords)
        rows = map(Entry, versions, repeat(block), count())
        self.of.setdefault(block.key, {}).update(zip(block.coords, rows, strict=True))

    def forget(self, key: Key, coords: Coords) -> None:
        """Drop a chunk, and its block after the last of its chunks."""
        entry = self.of.get(key, {}).pop(coords, None)
        if entry is not None:
            entry.block.left -= 1
            if not entry.block.left:
                self.drop(entry.block)

    def drop(self, block: Block) -> None:
        """Drop a block with all its chunks."""
        found = self.of.get(block.key, {})
        for coords in block.coords:
            if coords in found and found[coords].block is block:
                del found[coords]
        if not found:
            self.of.pop(block.key, None)
        if block in self.in_order:
            del self.in_order[block]
            self.nbytes -= block.nbytes
