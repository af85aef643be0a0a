"""How much lies in each block of what balances patches: the voxels of each class, or weights. One pass over arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import blake2b
from itertools import pairwise, product
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import ArgumentError

BOX_ELEMENTS = 1 << 22  # that are counted at once, unless a chunk has more
READ_AHEAD = "128MiB"
MAX_CLASSES = 4096  # that are found, not given
MAX_ENTRIES = 1 << 26  # of classes in blocks, 16 bytes each, or more than 1 GiB
MERGED_ENTRIES = 1 << 21  # that wait until those of one class and block become one
Box = tuple[slice, ...]
Entries = tuple[np.ndarray, np.ndarray, np.ndarray]  # blocks int64, labels, masses float64; (n,) each


@dataclass(frozen=True, eq=False)
class Cells:
    """The blocks of one store, as boxes of elements of its balance array.

    `array`: a gpuzarr.Array that is read on a CPU. `edges`: for each of its axes where blocks begin, and where the last
    one ends, int64 (blocks + 1,); some may be empty. `first`: the number of the first block, the others follow in C
    order.
    """

    array: Any
    edges: tuple[np.ndarray, ...]
    first: int = 0

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of blocks along each axis."""
        return tuple(len(edges) - 1 for edges in self.edges)

    def box(self, block: int) -> Box:
        """The elements of a block."""
        at = np.unravel_index(block - self.first, self.counts)
        return tuple(slice(int(edges[i]), int(edges[i + 1])) for edges, i in zip(self.edges, at, strict=True))


@dataclass(frozen=True, eq=False)
class Masses:
    """What each block has of each class: a number of voxels, or a sum of weights, which are a single class.

    `labels`: of the classes, ascending (K,). Entries are sorted by class, then by block, and none is 0: `classes`, the
    numbers of classes, and `blocks`, int64 (n,); `masses`, float64 (n,).
    """

    labels: np.ndarray
    classes: np.ndarray
    blocks: np.ndarray
    masses: np.ndarray

    @property
    def digest(self) -> str:
        """A short text that differs where anything does."""
        found = blake2b(digest_size=8)
        for column in (self.labels, self.classes, self.blocks, self.masses):
            found.update(np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<")).tobytes())
        return found.hexdigest()


def voxels(cells: Sequence[Cells], dtype: np.dtype[Any], wanted: np.ndarray | None) -> Masses:
    """Count the voxels of each class. `dtype`: of labels of all arrays. `wanted`: labels, ascending; None: all of them.

    ArgumentError where all are too many to be classes.
    """
    entries, known = _Entries(dtype), np.zeros(0, dtype) if wanted is None else wanted.astype(dtype)
    for cell in cells:
        for start, values in _pieces(cell):
            blocks, labels, counts = _runs(cell, start, values.astype(dtype, copy=False))
            if wanted is None:
                known = _joined(known, labels, cell.array)
            else:
                is_wanted = np.isin(labels, known)
                blocks, labels, counts = blocks[is_wanted], labels[is_wanted], counts[is_wanted]
            entries.add(blocks, labels, counts)
    return entries.masses(known)


def weights(cells: Sequence[Cells]) -> Masses:
    """Add up the weights of each block. ArgumentError for one that is negative or not finite."""
    entries, known = _Entries(np.dtype(np.uint8)), np.zeros(1, np.uint8)
    for cell in cells:
        for start, values in _pieces(cell):
            checked = as_weights(cell.array, start, values)
            blocks, sums = _sums(cell, start, checked)
            blocks, sums = blocks[sums > 0], sums[sums > 0]
            entries.add(blocks, np.zeros(len(blocks), np.uint8), sums)
    return entries.masses(known)


def as_weights(array: Any, start: Sequence[int], values: np.ndarray) -> np.ndarray:
    """Weights as float64. ArgumentError, which has the place of the first that is negative or not finite."""
    values = values.astype(np.float64, copy=False)
    is_good = (values >= 0) & (values < np.inf)  # False for NaN
    if not is_good.all():
        at = np.unravel_index(int(np.argmin(is_good)), values.shape)
        place = tuple(int(i) + first for i, first in zip(at, start, strict=True))
        raise ArgumentError(
            f"balance: the weight {values[at]} at {place} of array {'/' + array.path!r} in {array.store!r} (chunk "
            f"{_chunk_of(array, place)}) must be a finite number that is not negative"
        )
    return values


def _chunk_of(array: Any, place: Sequence[int]) -> tuple[int, ...]:
    return tuple(
        i // size if isinstance(size, int) else int(np.searchsorted(np.cumsum(size), i, "right"))
        for size, i in zip(array.chunks, place, strict=True)
    )


def _chunk_edges(size: int | tuple[int, ...], start: int, stop: int) -> np.ndarray:
    """Where chunks of an axis begin, between two elements."""
    if isinstance(size, int):
        return np.arange(start // size + 1, -(-stop // size)) * size
    ends = np.cumsum(size, dtype=np.int64)
    return ends[(ends > start) & (ends < stop)]


# what is read


def _pieces(cells: Cells) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """All elements of the blocks, in pieces: the first element of each, and its values. Each chunk is decoded once."""
    with cells.array.reader(_boxes(cells), memory_limit=READ_AHEAD) as reader:
        for box, values in zip(_boxes(cells), reader, strict=True):
            start = tuple(part.start for part in box)
            step = max(1, BOX_ELEMENTS * len(values) // values.size)
            for row in range(0, len(values), step):
                yield (start[0] + row, *start[1:]), values[row : row + step]


def _boxes(cells: Cells) -> Iterator[Box]:
    """Boxes of whole chunks that hold all blocks."""
    if not all(edges[0] < edges[-1] for edges in cells.edges):
        return
    yield from product(*[[slice(*ends) for ends in pairwise(cuts)] for cuts in _cuts(cells)])


def _cuts(cells: Cells) -> list[list[int]]:
    """For each axis where boxes begin and end: first those along the last axis become larger."""
    inner = []
    for size, edges in zip(cells.array.chunks, cells.edges, strict=True):
        between = _chunk_edges(size, int(edges[0]), int(edges[-1]))
        inner.append(np.concatenate([edges[:1], between, edges[-1:]]))
    elements, found = prod(int(np.diff(cuts).max()) for cuts in inner), []
    for cuts in reversed(inner):
        together = max(1, min(len(cuts) - 1, BOX_ELEMENTS // elements))
        elements *= together
        found.append([*cuts[:-1:together].tolist(), int(cuts[-1])])
    return found[::-1]


# what is counted


def _runs(cells: Cells, start: Sequence[int], values: np.ndarray) -> Entries:
    """Elements of each label in each block, from runs of equal labels along the last axis."""
    numbers = _numbers(cells, start, values.shape)
    rows = reduce(np.add.outer, numbers[:-1], np.zeros((), np.int64)).reshape(-1)
    values, columns = values.reshape(len(rows), -1), numbers[-1]
    begins = np.empty(values.shape, bool)
    begins[:, 0] = True
    np.not_equal(values[:, 1:], values[:, :-1], out=begins[:, 1:])
    begins[:, np.flatnonzero(np.diff(columns)) + 1] = True
    at = np.flatnonzero(begins)
    lengths = np.diff(at, append=values.size)
    blocks = rows[at // values.shape[1]] + columns[at % values.shape[1]]
    return _together(blocks, values.reshape(-1)[at], lengths.astype(np.float64))


def _sums(cells: Cells, start: Sequence[int], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The blocks that have elements of a piece, and the sum of these elements for each."""
    numbers = _numbers(cells, start, values.shape)
    for axis, along in enumerate(numbers):
        begins = np.flatnonzero(np.diff(along, prepend=-1))
        with np.errstate(over="ignore"):  # infinity is refused at the end
            values, numbers[axis] = np.add.reduceat(values, begins, axis), along[begins]
    return reduce(np.add.outer, numbers).reshape(-1), values.reshape(-1)


def _numbers(cells: Cells, start: Sequence[int], shape: Sequence[int]) -> list[np.ndarray]:
    """For each axis what its elements add to the number of the block."""
    steps = [prod(cells.counts[axis + 1 :]) for axis in range(len(shape))]
    found = [
        (np.searchsorted(edges, np.arange(first, first + n), "right") - 1) * step
        for edges, first, n, step in zip(cells.edges, start, shape, steps, strict=True)
    ]
    found[0] = found[0] + cells.first
    return found


def _joined(known: np.ndarray, labels: np.ndarray, array: Any) -> np.ndarray:
    """Labels that are known, with those of entries. ArgumentError for too many."""
    known = np.union1d(known, labels)
    if len(known) > MAX_CLASSES:
        raise ArgumentError(
            f"balance: array {'/' + array.path!r} in {array.store!r} has more than {MAX_CLASSES} labels; give "
            "`classes`, a dict of labels and weights, or an array of bools or of weights"
        )
    return known


def _together(blocks: np.ndarray, labels: np.ndarray, masses: np.ndarray) -> Entries:
    """Entries in which no block has a label twice; their order is that of blocks, then of labels."""
    some, which = _ranked(labels)
    first = blocks.min(initial=blocks[0]) if len(blocks) else 0
    keys = (blocks - first) * max(len(some), 1) + which
    if len(keys) and int(keys.max()) < 4 * len(keys):
        sums = np.bincount(keys, masses)
        found = np.flatnonzero(np.bincount(keys))
        sums = sums[found]
    else:
        found, which = np.unique(keys, return_inverse=True)
        sums = np.bincount(which, masses, len(found))
    return found // max(len(some), 1) + first, some[found % max(len(some), 1)], sums


def _ranked(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ones, ascending, and the number of each among them; of few possible ones without sorting."""
    if not len(labels) or int(labels.max()) - int(labels.min()) >= 1 << 16:
        return np.unique(labels, return_inverse=True)
    low = labels.min()
    offsets = labels.astype(np.int64) - int(low) if labels.dtype.kind == "i" else (labels - low).astype(np.int64)
    is_there = np.bincount(offsets) > 0
    some = np.flatnonzero(is_there).astype(labels.dtype) + low  # of signed ones it wraps twice, if at all
    return some, (np.cumsum(is_there) - 1)[offsets]


class _Entries:
    """Collects entries, and makes one of those of the same block and label, so that they stay few."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._parts: list[Entries] = [(np.zeros(0, np.int64), np.zeros(0, dtype), np.zeros(0))]
        self._waiting = 0

    def add(self, blocks: np.ndarray, labels: np.ndarray, masses: np.ndarray) -> None:
        self._parts.append((blocks, labels, masses))
        self._waiting += len(blocks)
        if self._waiting > max(MERGED_ENTRIES, len(self._parts[0][0])):
            self._merge()

    def _merge(self) -> Entries:
        columns = zip(*self._parts, strict=True)
        self._parts, self._waiting = [_together(*(np.concatenate(column) for column in columns))], 0
        if len(self._parts[0][0]) > MAX_ENTRIES:
            raise ArgumentError(
                f"balance: more than {MAX_ENTRIES} pairs of a block and a class; give fewer `classes`, or larger "
                "blocks (`BlockShuffle(block=...)`)"
            )
        return self._parts[0]

    def masses(self, known: np.ndarray) -> Masses:
        """All entries. `known`: the labels of all classes, ascending."""
        blocks, labels, masses = self._merge()
        classes = np.searchsorted(known, labels)
        order = np.argsort(classes, kind="stable")
        return Masses(known, classes[order], blocks[order], masses[order])
