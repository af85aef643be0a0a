"""Chunks that a cache has are placed on a CPU before anything is opened: only versions of objects are asked for.

What a read returns does not depend on it: a chunk is kept only after it was decoded, from an object of this version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gpuzarr.cpu.boxes import placement
from gpuzarr.indexing.boxes import ReadPart
from gpuzarr.indexing.grid import distinct
from gpuzarr.read.blocks import Entry
from gpuzarr.read.shelf import Shelf
from gpuzarr.read.thresholds import MIN_PLACED_BYTES

if TYPE_CHECKING:
    from gpuzarr.codecs.chain import Chain
    from gpuzarr.devices.contract import Device
    from gpuzarr.devices.trace import Trace
    from gpuzarr.indexing.region import Chunk
    from gpuzarr.read.chunks import Chunks
    from gpuzarr.read.portions import Portion


def placed(chunks: Chunks, shelf: Shelf, threads: int) -> Sequence[Chunk]:
    """Place those of a region's chunks that are kept. Returns the others."""
    every = list(chunks.chunks)
    holders = list(dict.fromkeys([chunk[0] for chunk in every]))
    keys = chunks.source.layout.keys(holders)
    numbers = {holder: i for i, holder in enumerate(holders)}
    which, coords = [numbers[chunk[0]] for chunk in every], [chunks.coords(chunk) for chunk in every]
    entries = shelf.find(chunks.source.store, keys, which, coords, chunks.trace)
    hits = [(chunk, entry.chunk) for chunk, entry in zip(every, entries, strict=True) if entry is not None]
    if not hits:
        return every
    chunks.place(hits, threads)
    _count(chunks, shelf, len(hits))
    return [chunk for chunk, entry in zip(every, entries, strict=True) if entry is None]


def parts_placed(chunks: Chunks, shelf: Shelf, parts: Iterable[ReadPart], threads: int = 1) -> Iterator[ReadPart]:
    """Place those of the parts' chunks that are kept. Returns the others."""
    for part in parts:
        entries = _entries(chunks, shelf, part.some(np.arange(len(part))))
        hit = np.array([entry is not None for entry in entries], bool)
        if not hit.any():
            yield part
            continue
        kept = [entry for entry in entries if entry is not None]
        if not _placed(chunks, part, hit, kept, threads):
            _assign(chunks, part.present(hit), kept)
        _count(chunks, shelf, len(kept))
        if not hit.all():
            yield from part.present(~hit)


def portions_left(portions: Sequence[Portion], chain: Chain, device: Device, trace: Trace) -> tuple[Portion, ...]:
    """Place those of the chunks of portions that are kept. Returns the portions of the others."""
    from gpuzarr.read.chunks import Chunks

    left = []
    for one in portions:
        shelf = None if one.source.cache is None else one.source.cache.shelf(one.source, device)
        chunks = Chunks(one.source, (), chain, one.out, device, trace, one.cast, shelf)
        parts = one.parts if shelf is None else tuple(parts_placed(chunks, shelf, one.parts))
        if parts:
            left.append(replace(one, parts=parts))
    return tuple(left)


def _placed(chunks: Chunks, part: ReadPart, hit: np.ndarray, kept: Sequence[Entry], threads: int) -> bool:
    """Place all by the C library. False where it cannot."""
    spec = chunks.chain.spec
    ways = None if chunks.cast is not None else placement(part, chunks.results, spec.dtype, spec.strides)
    if ways is not None:
        found = np.zeros(len(hit), np.int64)
        found[hit] = [entry.address for entry in kept]
        chunks.device.each(partial(ways.place_some, found), ways.runs(MIN_PLACED_BYTES), threads)
    return ways is not None


def _assign(chunks: Chunks, parts: Iterable[ReadPart], kept: Iterable[Entry]) -> None:
    """Place the chunks of parts, one by one."""
    left = iter(kept)
    for part in parts:
        for one in part.split(1):
            one.place(next(left).chunk[None], chunks.out, np, chunks.cast)


def _entries(chunks: Chunks, shelf: Shelf, coords: np.ndarray) -> list[Entry | None]:
    """What is kept of the chunks at `coords`."""
    layout = chunks.source.layout
    holders = coords // np.array(layout.per_object, np.int64)
    some, which = distinct(holders, layout.grids[0]) if layout.levels else (holders, np.arange(len(holders)))
    names = list(map(tuple, coords.tolist()))
    return shelf.find(chunks.source.store, layout.keys(some), which.tolist(), names, chunks.trace)


def _count(chunks: Chunks, shelf: Shelf, hits: int) -> None:
    chunks.trace.count(chunks=hits, cache_hits=hits)
    shelf.cache.count(hits, 0)
