"""Copy the chunks of one array: as they are stored, or block by block as values."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from gpuzarr.interrupts import ensured
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.sizes import read_sizes
from gpuzarr.stores import kept
from gpuzarr.stores.contract import concurrency
from gpuzarr.stores.keys import joined
from gpuzarr.stores.moving import copy_if_there
from gpuzarr.stores.spread import each
from gpuzarr.tools.copying.blocks import Block, blocks, pieces, span_of
from gpuzarr.tools.copying.plan import ArrayPlan
from gpuzarr.tools.copying.values import Values
from gpuzarr.write.journal import SECONDS, Journal

OBJECTS_TOGETHER = 16  # that are copied as they are stored, by one thread
SHARES = (
    4  # of the memory of a worker: values that are read, those that are written, and what reading and writing takes
)
VARIABLE_BYTES = 64  # of an element that has no fixed size, as it is taken to have

Coords = tuple[int, ...]
Advance = Callable[[int], None]


class Done:
    """Which objects of a copy are done: a journal that threads share, or, without one, only how many."""

    def __init__(self, journal: Journal | None) -> None:
        self._journal, self._lock, self._saved = journal, threading.Lock(), time.monotonic()
        self.copied = self.skipped = 0

    def has(self, coords: Iterable[Coords]) -> bool:
        """Whether all of these objects were done before."""
        if self._journal is None:
            return False
        places = list(coords)
        done = all(self._journal.done[place] for place in places)
        with self._lock:
            self.skipped += len(places) if done else 0
        return done

    def note(self, coords: Iterable[Coords]) -> None:
        """Note objects that are in the store now."""
        with self._lock:
            for place in coords:
                self.copied += 1
                if self._journal is not None:
                    self._journal.note(place)
            if time.monotonic() - self._saved >= SECONDS:
                self._save()

    def save(self) -> None:
        """Write the journal."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        if self._journal is not None:
            self._journal.save()
        self._saved = time.monotonic()


@dataclass(frozen=True)
class Job:
    """The copy of one array: from `values`, to `target`, by `workers` threads with `memory` bytes each."""

    plan: ArrayPlan
    values: Values
    target: Array
    workers: int
    memory: int
    done: Done
    advance: Advance  # called with the number of elements that are copied

    @property
    def itemsize(self) -> int:
        """Bytes of an element, in the source or in the copy."""
        dtypes = (self.values.array.metadata.data_type, self.plan.metadata.data_type)
        return max(VARIABLE_BYTES if one.variable else one.dtype.itemsize for one in dtypes) or 1

    def run(self) -> None:
        """Copy what is not done. The journal is written also where that fails or is interrupted."""
        ensured(self._copy_stored if self.plan.is_stored else self._copy_values, self.done.save)
        kept.changed(self.target.store, self.target.path)

    # chunks as they are stored

    def _copy_stored(self) -> None:
        threads = max(self.workers, concurrency(self.values.array.store), concurrency(self.target.store))
        each(self._copy_objects, _runs(np.ndindex(*self.target.layout.grid(0)), OBJECTS_TOGETHER), threads)

    def _copy_objects(self, coords: list[Coords]) -> None:
        source, target, left = self.values.array, self.target, [c for c in coords if not self.done.has([c])]
        old, new = source.metadata.chunk_keys.encode(left), target.metadata.chunk_keys.encode(left)
        for i, place in enumerate(left):
            copy_if_there(source.store, joined(source.path, old[i]), target.store, joined(target.path, new[i]))
            self.done.note([place])
        self.advance(sum(_size(self.target, place) for place in coords))

    # values

    def blocks(self) -> Iterator[Block]:
        """The blocks in which values are copied."""
        layout = self.target.layout
        sizes = read_sizes(self.values.array.metadata)
        steps = [abs(self.values.part.axes[axis].step) for axis in self.values.part.kept]
        longest = [max(sizes[axis], default=1) for axis in self.values.part.kept]
        sources = [max(size // step, 1) for size, step in zip(longest, steps, strict=True)]
        yield from blocks(layout, span_of(layout.outer.axes, sources, self.itemsize, self.memory // SHARES))

    def _copy_values(self) -> None:
        if 0 not in self.target.shape:
            each(self._copy_block, self.blocks(), self.workers)

    def _copy_block(self, block: Block) -> None:
        layout = self.target.layout
        region = block.region(layout)
        size = prod(part.stop - part.start for part in region)
        if not self.done.has(block.objects()):
            if layout.levels and size * self.itemsize > self.memory // SHARES:
                self._copy_in_pieces(region)
            else:
                self.target.set(region, self.values.read(region), memory_limit=max(self.memory // SHARES, 1))
            self.done.note(block.objects())
        self.advance(size)

    def _copy_in_pieces(self, region: tuple[slice, ...]) -> None:
        """Copy a shard that memory does not hold, which a writer keeps open meanwhile."""
        most = max(self.memory // SHARES, 1)
        with self.target.writer(max_inflight=most) as writer:
            for piece in pieces(self.target.layout, region, self.itemsize, most):
                writer[piece] = self.values.read(piece)


def _size(array: Array, place: Coords) -> int:
    region = Block(place, tuple(i + 1 for i in place)).region(array.layout)
    return prod(part.stop - part.start for part in region)


def _runs(items: Iterable[Any], count: int) -> Iterator[list[Any]]:
    """The items in lists of at most `count`."""
    iterator = iter(items)
    while run := list(islice(iterator, count)):
        yield run
