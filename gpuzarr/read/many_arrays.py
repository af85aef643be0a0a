"""Many arrays of which few chunks are wanted, each a file that is decoded to its place: read together by the C library.

Each array by itself would cost as much time in Python as a small chunk takes to be read and decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

import numpy as np

from gpuzarr.batch import address
from gpuzarr.cpu.jobs import Jobs
from gpuzarr.indexing.region import Chunk
from gpuzarr.read.by_library import in_files, place_of
from gpuzarr.read.chunks import Chunks

MAX_CHUNKS = 4  # of an array


@dataclass
class _Kind:
    """Chunks of arrays that are decoded alike, and what keeps their jobs valid."""

    jobs: Jobs
    chunks: list[tuple[Chunks, Chunk]] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)


def left_of(arrays: Sequence[Chunks], threads: int) -> Sequence[Chunks]:
    """Read the arrays for which that is possible. Returns the others, and those of which chunks are left."""
    if len(arrays) < 2:
        return arrays
    kinds: dict[Any, _Kind] = {}
    left: list[Chunks] = []
    for one in arrays:
        every = iter(one.chunks)
        some = list(islice(every, MAX_CHUNKS + 1))
        if len(some) > MAX_CHUNKS or not _has_added(one, some, kinds):
            left.append(replace(one, chunks=chain(some, every)))
    for kind in kinds.values():
        left += _read(kind, threads)
    return left


def _has_added(one: Chunks, some: Sequence[Chunk], kinds: dict[Any, _Kind]) -> bool:
    """Add the chunks of an array to those of its kind. False where they are not for this."""
    library, spec = one.library, one.chain.spec
    if library is None or (paths := one.paths(some)) is None:
        return False
    places = [place_of(chunk, one.out, spec.shape) for chunk in some]
    held, where = in_files(paths)
    if None in where or any(place is None for place in places):
        return False
    decode = one.chain.decode_function()
    name = spec.nbytes, None if decode is None else bytes(decode.call)
    kind = kinds.setdefault(name, _Kind(Jobs(())))
    kind.held.append((held, places))
    for chunk, place, at in zip(some, places, where, strict=True):
        if at is not None:
            kind.jobs.add(at, (0, spec.nbytes or 0), address(place))
            kind.chunks.append((one, chunk))
    return True


def _read(kind: _Kind, threads: int) -> Iterable[Chunks]:
    """Do the jobs. Returns the arrays of which chunks are left, with these."""
    first, _ = kind.chunks[0]
    assert first.library is not None
    failed = np.flatnonzero(first.library.run(kind.jobs.table(), threads)).tolist()
    first.trace.count(batches=1, chunks=len(kind.chunks) - len(failed))
    left: dict[int, tuple[Chunks, list[Chunk]]] = {}
    for one, chunk in (kind.chunks[i] for i in failed):
        left.setdefault(id(one), (one, []))[1].append(chunk)
    return [replace(one, chunks=chunks) for one, chunks in left.values()]
