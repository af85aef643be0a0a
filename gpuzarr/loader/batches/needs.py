"""Which chunks blocks of samples need. Pure arithmetic: nothing is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gpuzarr.indexing.box_rows import rows_of
from gpuzarr.loader.batches.sources import Form, Source, Sources
from gpuzarr.loader.contract import Space, View

MAX_COMPARED_BLOCKS = 3  # with the one behind each
MAX_LISTED_SAMPLES = 1024  # whose chunks are found together, with a selection for each where that needs to be

Needs = dict[int, np.ndarray]  # by the number of the source: numbers of chunks in C order, int64, ascending, each once
Block = tuple[int, np.ndarray, Needs]  # its store, the origins of its samples, and the chunks that these touch


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

    @cached_property
    def counts(self) -> np.ndarray:
        """Samples of each block, int64 (blocks,)."""
        return self.space.counts(self.epoch)

    def blocks(self, blocks: Sequence[int]) -> list[Block]:
        """What some blocks are, and need."""
        stores = self.space.stores(np.array(blocks, np.int64)).tolist()
        origins = [self.space.origins(block, self.epoch) for block in blocks]
        found: list[dict[int, list[np.ndarray]]] = [{} for _ in blocks]
        for store in dict.fromkeys(stores):
            mine = [i for i, of in enumerate(stores) if of == store]
            for view, of in zip(self.views, self.sources.of, strict=True):
                each = touched(view, self.sources.all[of[store]], store, [origins[i] for i in mine])
                for i, chunks in zip(mine, each, strict=True):
                    found[i].setdefault(of[store], []).append(chunks)
        needs = [{number: _union(some) for number, some in each.items()} for each in found]
        return list(zip(stores, origins, needs, strict=True))

    def shared(self) -> set[int]:
        """Sources of which blocks that follow each other want the same chunk, as far as some of them tell."""
        there = np.flatnonzero(self.counts)
        first = np.unique(np.linspace(0, max(len(there) - 2, 0), MAX_COMPARED_BLOCKS).astype(np.int64))
        pairs = [there[i : i + 2].tolist() for i in first if len(there) > 1]
        needs = [needs for _, _, needs in self.blocks([block for pair in pairs for block in pair])]
        return {n for pair in zip(needs[::2], needs[1::2], strict=True) for n in both(*pair)}

    def nbytes(self, needs: Iterable[Needs]) -> dict[Form, int]:
        """Bytes that hold these needs together, of slots of each form."""
        found: dict[Form, int] = {}
        for number, chunks in union(needs).items():
            source = self.sources.all[number]
            found[source.form] = found.get(source.form, 0) + source.chunk_bytes * len(chunks)
        return found


def touched(view: View, source: Source, store: int, groups: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Numbers of the chunks of which a view wants some for samples with these origins, of each group of samples,
    ascending, each once."""
    if source.is_regular and max(map(len, groups)) <= MAX_LISTED_SAMPLES:
        origins = np.concatenate(groups)
        if (corners := view.corners(store, origins)) is not None:
            edges = np.cumsum([0, *map(len, groups)]) * (len(corners[0]) // max(len(origins), 1))
            return source.touched(corners, edges)
    return [_touched(view, source, store, origins) for origins in groups]


def _touched(view: View, source: Source, store: int, origins: np.ndarray) -> np.ndarray:
    parts = range(0, len(origins), MAX_LISTED_SAMPLES) or range(1)
    return _union([_listed(view, source, store, origins[i : i + MAX_LISTED_SAMPLES]) for i in parts])


def _listed(view: View, source: Source, store: int, origins: np.ndarray) -> np.ndarray:
    corners = view.corners(store, origins) if source.is_regular else None
    if corners is None:
        return np.unique(source.numbers(rows_of(view.selections(store, origins), source.axes).coords))
    return source.touched(corners, np.array([0, len(corners[0])]))[0]


def _union(some: Sequence[np.ndarray]) -> np.ndarray:
    if len(some) == 1:
        return some[0]
    found = np.concatenate(some)
    found.sort()
    is_new = np.ones(len(found), bool)
    np.not_equal(found[1:], found[:-1], out=is_new[1:])
    return found[is_new]  # in a third of the time of `np.unique`, for some hundred numbers


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
