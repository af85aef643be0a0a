"""Which chunks blocks of samples need. Pure arithmetic: nothing is read.

An array that several views want, or that is there under several names, is one source: its chunks are held once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, starmap
from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.indexing import counts
from gpuzarr.indexing.axis import starts_of
from gpuzarr.indexing.box_rows import rows_of
from gpuzarr.loader.contract import Space, Step, View
from gpuzarr.metadata import Axis, RegularAxis
from gpuzarr.nodes.casting import result
from gpuzarr.nodes.many import same_arrays

MAX_COMPARED_BLOCKS = 8  # with the one behind each
MAX_LISTED_SAMPLES = 1024  # of a block, each with a selection; of more, the chunks between the outermost ones
MAX_COMPARED = 32  # blocks of a batch, of which each is compared with all samples

Needs = dict[int, np.ndarray]  # by the number of the source: numbers of chunks in C order, int64, ascending, each once
Block = tuple[int, np.ndarray, Needs]  # its store, the origins of its samples, and the chunks that these touch
Form = tuple[int, tuple[int, ...], np.dtype[Any]]  # of slots: id of the device, shape, dtype


@dataclass(frozen=True, eq=False)
class Source:
    """An array of which chunks are held, and the device that decodes them."""

    array: Any
    device: Device

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The grid of its innermost chunks."""
        axes: tuple[Axis, ...] = self.array.layout.axes
        return axes

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """Chunks along each axis."""
        return tuple(axis.count for axis in self.axes)

    @cached_property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of a slot, which any chunk fits."""
        return tuple(map(longest, self.axes))

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    @property
    def form(self) -> Form:
        """What is equal for arrays whose chunks may be held in each other's slots."""
        return id(self.device), self.chunk_shape, self.dtype

    @cached_property
    def chunk_bytes(self) -> int:
        """Bytes of a slot."""
        return prod(self.chunk_shape) * int(self.dtype.itemsize)

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Bytes from element to element along each axis of a slot."""
        item, shape = int(self.dtype.itemsize), self.chunk_shape
        return tuple(prod(shape[axis + 1 :]) * item for axis in range(len(shape)))

    def numbers(self, coords: np.ndarray) -> np.ndarray:
        """The numbers of chunks at `coords`, int64 (n, ndim)."""
        if not self.grid:
            return np.zeros(len(coords), np.int64)
        return np.ravel_multi_index(tuple(coords.T), self.grid).astype(np.int64, copy=False)

    def coords(self, numbers: np.ndarray) -> np.ndarray:
        """Their coordinates, int64 (n, ndim)."""
        if not self.grid:
            return np.zeros((len(numbers), 0), np.int64)
        return np.stack(np.unravel_index(numbers, self.grid), axis=1).astype(np.int64, copy=False)

    def covered(self, starts: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
        """The chunks that boxes of a shape touch which begin at these elements, int64 (n, ndim): the number of the box
        of each, (m,), ascending, and its coordinates, (m, ndim). None unless all chunks are equally large."""
        if not self.axes or not all(isinstance(axis, RegularAxis) for axis in self.axes):
            return None
        size = np.array(self.chunk_shape, np.int64)
        first = starts // size
        counts = (starts + np.array(shape, np.int64) - 1) // size - first + 1
        totals = counts.prod(axis=1)
        of = np.repeat(np.arange(len(starts)), totals)
        number = np.arange(len(of)) - (np.cumsum(totals) - totals)[of]  # of the chunk among those of the box
        inner = np.ones_like(counts)
        inner[:, :-1] = np.cumprod(counts[:, :0:-1], axis=1)[:, ::-1]
        first, inner, counts = (np.take(each, of, axis=0) for each in (first, inner, counts))
        return of, first + number[:, None] // inner % counts

    def bounds(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First element and number of elements within the array of these chunks, int64 (n, ndim) each."""
        coords = self.coords(numbers)
        starts, sizes = np.zeros_like(coords), np.zeros_like(coords)
        for i, axis in enumerate(self.axes):
            starts[:, i], size = starts_of(axis, coords[:, i])
            sizes[:, i] = np.minimum(size, axis.length - starts[:, i])
        return starts, sizes


class Sources:
    """The sources of some views. `of[view][store]`: the number in `all` of the one that a view has in a store."""

    def __init__(self, views: Sequence[View]) -> None:
        arrays = [array for view in views for array in view.arrays]
        same = same_arrays(arrays)
        numbers: dict[Any, int] = {}
        self.all: list[Source] = []
        self.of: list[list[int]] = []
        for view in views:
            self.of.append([])
            for array, cast in zip(view.arrays, view.cast, strict=True):
                first, device = same[id(array)], result(array, cast)[1]
                number = numbers.setdefault((id(first), id(device)), len(numbers))
                if number == len(self.all):
                    self.all.append(Source(first, device))
                self.of[-1].append(number)


@dataclass(frozen=True)
class Planner:
    """What blocks need, of the samples of a space in one epoch."""

    space: Space
    views: Sequence[View]
    sources: Sources
    epoch: int

    @classmethod
    def of(cls, space: Space, views: Sequence[View], epoch: int) -> Planner:
        return cls(space, views, Sources(views), epoch)

    def block(self, block: int) -> Block:
        """What a block is, and needs."""
        store = int(self.space.stores(np.array([block], np.int64))[0])
        origins = self.space.origins(block, self.epoch)
        found: dict[int, list[np.ndarray]] = {}
        for view, of in zip(self.views, self.sources.of, strict=True):
            source = self.sources.all[of[store]]
            found.setdefault(of[store], []).append(touched(view, source, store, origins))
        return store, origins, {number: _union(some) for number, some in found.items()}

    def shared(self) -> set[int]:
        """Sources of which blocks that follow each other want the same chunk, as far as some of them tell."""
        counts = self.space.counts(self.epoch)
        there = np.flatnonzero(counts)
        first = np.unique(np.linspace(0, max(len(there) - 2, 0), MAX_COMPARED_BLOCKS).astype(np.int64))
        pairs = [there[i : i + 2].tolist() for i in first]
        return {n for pair in pairs if len(pair) == 2 for n in both(*(self.block(block)[2] for block in pair))}

    def samples(self, step: Step, live: Mapping[int, Block]) -> tuple[np.ndarray, np.ndarray]:
        """The store and the origin of each sample of a step, int64 (n,) and (n, axes); all blocks are `live`."""
        stores = np.empty(len(step.blocks), np.int64)
        origins = np.empty((len(step.blocks), self.space.axes), np.int64)
        for block, mine in _alike(step.blocks):
            store, of, _ = live[block]
            stores[mine], origins[mine] = store, of[step.indices[mine]]
        return stores, origins

    def step(self, step: Step, live: Mapping[int, Block]) -> Needs:
        """The chunks that the samples of a step touch."""
        stores, origins = self.samples(step, live)
        found: dict[int, list[np.ndarray]] = {}
        for store in np.unique(stores).tolist():
            mine = origins[stores == store]
            for view, of in zip(self.views, self.sources.of, strict=True):
                source = self.sources.all[of[store]]
                found.setdefault(of[store], []).append(touched(view, source, store, mine))
        return {number: _union(some) for number, some in found.items()}

    def nbytes(self, needs: Iterable[Needs]) -> dict[Form, int]:
        """Bytes that hold these needs together, of slots of each form."""
        found: dict[Form, int] = {}
        for number, chunks in union(needs).items():
            source = self.sources.all[number]
            found[source.form] = found.get(source.form, 0) + source.chunk_bytes * len(chunks)
        return found


def touched(view: View, source: Source, store: int, origins: np.ndarray) -> np.ndarray:
    """Numbers of the chunks of which a view wants some for samples with these origins, ascending, each once."""
    if len(origins) > MAX_LISTED_SAMPLES and len(view.selections(store, origins[:4])) > 3:
        return _between(view, source, store, origins)
    corners = view.corners(store, origins)
    covered = None if corners is None else source.covered(*corners)
    coords = rows_of(view.selections(store, origins), source.axes).coords if covered is None else covered[1]
    return np.unique(source.numbers(coords))


def _between(view: View, source: Source, store: int, origins: np.ndarray) -> np.ndarray:
    """The chunks between the outermost ones that samples touch: all that many samples near each other want."""
    ends = np.stack([origins.min(axis=0), origins.max(axis=0)])
    boxes = [counts.box(one, source.axes) for one in view.selections(store, ends) if 0 not in one.full_shape]
    if not boxes:
        return np.zeros(0, np.int64)
    spans = [np.arange(min(r.start for r in along), max(r.stop for r in along)) for along in zip(*boxes, strict=True)]
    mesh = np.meshgrid(*spans, indexing="ij")
    return source.numbers(np.stack([one.reshape(-1) for one in mesh], axis=1).astype(np.int64))


def _alike(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each of the values, with where it is, as an index. Sorting gives up the interpreter, which takes time to get
    back, so it is for values that are many."""
    if len(distinct := set(values.tolist())) <= MAX_COMPARED:
        for value in sorted(distinct):
            yield value, values == value
        return
    order = np.argsort(values, kind="stable")
    _, heads = np.unique(values[order], return_index=True)
    for mine in np.split(order, heads[1:]):
        yield int(values[mine[0]]), mine


def _union(some: Sequence[np.ndarray]) -> np.ndarray:
    return some[0] if len(some) == 1 else np.unique(np.concatenate(some))


def union(needs: Iterable[Needs]) -> Needs:
    """What is in any of them."""
    found: dict[int, list[np.ndarray]] = {}
    for one in needs:
        for number, chunks in one.items():
            found.setdefault(number, []).append(chunks)
    return {number: _union(some) for number, some in found.items()}


def added(sizes: Mapping[int, int], needs: Needs) -> dict[int, int]:
    """Numbers of chunks, by the number of the source, and those of needs."""
    return {number: sizes.get(number, 0) + len(needs.get(number, ())) for number in {**sizes, **needs}}


def both(first: Needs, second: Needs) -> Needs:
    """What is in both."""
    found = {n: np.intersect1d(first[n], second[n], assume_unique=True) for n in first.keys() & second.keys()}
    return {number: chunks for number, chunks in found.items() if len(chunks)}


def without(first: Needs, second: Needs) -> Needs:
    """What is in the first alone."""
    found = {n: np.setdiff1d(some, second[n], assume_unique=True) if n in second else some for n, some in first.items()}
    return {number: chunks for number, chunks in found.items() if len(chunks)}


def longest(axis: Axis) -> int:
    """Elements of the longest chunk of an axis."""
    if isinstance(axis, RegularAxis):
        return axis.size
    return max(starmap(lambda begin, end: end - begin, pairwise(axis.edges)), default=1)
