"""Blocks of chunks of which the same part is wanted: what an outer product of indices wants of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import Boxes
from gpuzarr.dtypes.cast import Cast
from gpuzarr.empty_chunk import element
from gpuzarr.indexing.axis import AxisRun, listed
from gpuzarr.indexing.outer import Index, assign, taken
from gpuzarr.metadata import Axis

MAX_SPLIT_AXES = 32  # each becomes two of NumPy's 64: the chunk, and the elements in it
_ALL = slice(None)
_NO_ENTRIES = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class ChunkBlock:
    """A block of chunks of which the same part is wanted. Chunks are numbered in C order."""

    runs: tuple[AxisRun, ...]  # of each axis

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple([s.count for s in self.runs])

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape that each chunk decodes to."""
        return tuple([s.size for s in self.runs])

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return prod([s.count for s in self.runs])

    @cached_property
    def coords(self) -> np.ndarray:
        """Coordinates of the chunks, int64 (n, ndim)."""
        ndim = len(self.runs)
        if len(self) == 1:
            return np.array([[s.first for s in self.runs]], np.int64)
        grid = np.empty((*self.counts, ndim), np.int64)
        for axis, s in enumerate(self.runs):
            grid[..., axis] = np.arange(s.first, s.first + s.count).reshape([-1] + [1] * (ndim - 1 - axis))
        return grid.reshape(-1, ndim)

    def split(self, most: int) -> Iterator[ChunkBlock]:
        """Blocks of at most `most` chunks each, cut along the first axes, in C order."""
        inner, axis = 1, len(self.runs)
        if len(self) <= most:
            yield self
            return
        while inner * self.counts[axis - 1] <= most:
            axis -= 1
            inner *= self.counts[axis]
        cut = self.runs[axis - 1]
        step = -(-cut.count // -(-cut.count // max(1, most // inner)))  # parts of nearly equal length
        parts = [cut.part(i, min(i + step, cut.count)) for i in range(0, cut.count, step)]
        for outer in product(*([s.part(i, i + 1) for i in range(s.count)] for s in self.runs[: axis - 1])):
            for part in parts:
                yield ChunkBlock((*outer, part, *self.runs[axis:]))

    def destination(self, out: Any) -> np.ndarray | None:
        """Byte offset of each chunk in `out`, if every chunk is wanted whole and is contiguous there; else None."""
        return self.begins(out.strides) if out.flags.c_contiguous and self.in_one_piece(out.shape) else None

    def in_one_piece(self, shape: tuple[int, ...]) -> bool:
        """Return True if every chunk is wanted whole and is contiguous in a C-contiguous result of this shape."""
        one_piece = True  # the chunk spans the result along all axes seen so far, from the last
        for s, n in zip(reversed(self.runs), reversed(shape), strict=True):
            if s.each != s.size or not s.sliced or not (one_piece or s.size == 1):
                return False
            one_piece = one_piece and s.size == n
        return True

    def some(self, numbers: np.ndarray) -> np.ndarray:
        """Coordinates of the chunks with these numbers, int64 (n, ndim)."""
        first = np.array([s.first for s in self.runs], np.int64)
        return first + np.stack(np.unravel_index(numbers, self.counts), axis=1) if len(first) else self.coords[numbers]

    def boxes(self, strides: tuple[int, ...], results: Sequence[tuple[int, ...]]) -> Boxes:
        """A box of each chunk, all of one shape; see `ChunkBlocks`."""
        return ChunkBlocks((self,)).boxes(strides, results)

    def begins(self, strides: tuple[int, ...]) -> np.ndarray:
        """Byte offset of each chunk's wanted part in a result with these strides; without that along axes of lists."""
        sliced = zip(self.runs, strides, strict=True)
        starts = np.array([sum([s.outside.start * step for s, step in sliced if s.sliced])])
        for s, step in zip(self.runs, strides, strict=True):
            if s.count > 1:
                starts = (starts[:, None] + np.arange(s.count) * (s.each * step)).ravel()
        return starts

    @property
    def sliced(self) -> bool:
        """Return True if slices alone select the elements, in the chunks and in the result."""
        return all(s.sliced for s in self.runs)

    @property
    def each(self) -> tuple[int, ...]:
        """Shape of the wanted part of one chunk."""
        return tuple([s.each for s in self.runs])

    @property
    def inside(self) -> tuple[Any, ...]:
        """Index of the wanted part of each chunk."""
        return tuple([s.inside for s in self.runs])

    @property
    def outside(self) -> tuple[Any, ...]:
        """Index of the block's part of the result."""
        return tuple([s.outside for s in self.runs])

    def place(self, batch: Any, out: Any, xp: Any, cast: Cast | None = None) -> None:
        """Copy the wanted part of the chunks, a batch (n, *chunk_shape), to its place in `out`; cast, on a CPU."""
        if len(batch) == 1:
            assign(out, self.outside, taken(batch[(0, ...)], self.inside, xp), xp, cast)
        elif len(self.runs) > MAX_SPLIT_AXES:
            for block, chunk in zip(self.split(1), batch, strict=True):
                block.place(chunk[None], out, xp, cast)
        else:
            assign(*self._cells(out), taken(*self._chunks(batch), xp), xp, cast)

    def covers(self, axes: tuple[Axis, ...]) -> bool:
        """Return True if every element that the array uses of the chunks is wanted."""
        return all(s.covers(axis) for s, axis in zip(self.runs, axes, strict=True))

    @property
    def whole(self) -> bool:
        """Return True if every element of the chunks is wanted once, also those that the array does not use."""
        return all(s.each == s.size and isinstance(s.inside, slice) for s in self.runs)

    def gather(self, value: Any, batch: Any, xp: Any) -> None:
        """Copy the chunks' part of `value` into a batch (n, *chunk_shape): the reverse of `place`."""
        if len(batch) == 1:
            assign(batch[(0, ...)], self.inside, taken(value, self.outside, xp), xp)
        elif len(self.runs) > MAX_SPLIT_AXES:
            for block, chunk in zip(self.split(1), batch, strict=True):
                block.gather(value, chunk[None], xp)
        else:
            assign(*self._chunks(batch), taken(*self._cells(value), xp), xp)

    def cells(self, value: Any) -> Iterator[Any]:
        """View of each chunk's part of `value`. Only for a `sliced` block."""
        if len(self.runs) > MAX_SPLIT_AXES:
            yield from (value[(*block.outside, ...)] for block in self.split(1))
            return
        cells, _ = self._cells(value)
        for index in product(*map(range, self.counts)):
            yield cells[(*index, ...)]

    def _chunks(self, batch: Any) -> tuple[Any, Index]:
        """View (*counts, *chunk_shape) of a batch, and the index of the wanted parts there."""
        return batch.reshape((*self.counts, *batch.shape[1:])), (*[_ALL] * len(self.runs), *self.inside)

    def as_batch(self, value: Any) -> Any:
        """View (n, *chunk_shape) of `value` where the chunks are wanted whole and lie one after another; else None."""
        if not (self.whole and self.sliced and 0 < len(self.runs) <= MAX_SPLIT_AXES):
            return None
        cells, _ = self._cells(value)
        return cells.reshape(len(self), *self.chunk_shape) if cells.flags.c_contiguous else None

    def _cells(self, value: Any) -> tuple[Any, Index]:
        """View (*counts, *each) of the block's part of the result, and its index there; along the axis of a list, which
        has one chunk, the view is of the whole result."""
        ndim, index = len(self.runs), [_ALL if isinstance(i, slice) else i for i in self.outside]
        region = value[(*[s.outside if i is _ALL else _ALL for s, i in zip(self.runs, index, strict=True)], ...)]
        each = [s.each if i is _ALL else n for s, i, n in zip(self.runs, index, region.shape, strict=True)]
        cells = region.reshape([n for pair in zip(self.counts, each, strict=True) for n in pair])
        return cells.transpose([*range(0, 2 * ndim, 2), *range(1, 2 * ndim, 2)]), (*[_ALL] * ndim, *index)

    def present(self, present: np.ndarray) -> list[ChunkBlock]:
        """Blocks of one chunk each, for the chunks where `present` is True."""
        return [block for block, is_present in zip(self.split(1), present, strict=True) if is_present]

    def fill(self, out: Any, value: Any, xp: Any) -> None:
        """Set the block's part of `out` to one value."""
        assign(out, self.outside, element(value, out.dtype), xp)


@dataclass(frozen=True)
class ChunkBlocks:
    """Blocks of chunks of one shape, whose boxes are made together."""

    blocks: tuple[ChunkBlock, ...]

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.blocks[0].chunk_shape

    @property
    def sliced(self) -> bool:
        """Return True if slices alone select the elements, in the chunks and in the result."""
        return all(block.sliced for block in self.blocks)

    def boxes(self, strides: tuple[int, ...], results: Sequence[tuple[int, ...]]) -> Boxes:
        """A box of each chunk, those of a block of one shape. `strides`: bytes from element to element along each axis
        of a chunk; and, in `results`, of the only result."""
        (targets,) = results
        count, lengths = len(self.blocks), np.array(list(map(len, self.blocks)))
        rows = [[_row(s) for s in block.runs] for block in self.blocks]
        begin, step, place, each = np.moveaxis(np.array(rows, np.int64).reshape(count, len(strides), 4), 2, 0)
        sources, sides = np.array(strides, np.int64), np.array(targets, np.int64)
        number = np.repeat(np.arange(count), lengths)
        if len(number) == count:
            starts = place @ sides
        else:
            starts = np.concatenate([block.begins(targets) for block in self.blocks])
        made = np.arange(len(number)), (begin @ sources)[number], np.zeros_like(number), starts, number
        return Boxes(*made, each, step * sources, np.broadcast_to(sides, each.shape), *self._lists(sources, sides))

    def _lists(self, sources: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first entry of the list of each block along each axis, -1 where there is none; and all entries."""
        firsts = np.full((len(self.blocks), len(sources)), -1)
        runs = [
            (i, axis, s) for i, block in enumerate(self.blocks) for axis, s in enumerate(block.runs) if not s.sliced
        ]
        if not runs:
            return firsts, _NO_ENTRIES
        numbers, axes = np.array([run[:2] for run in runs]).T
        sizes = np.array([s.each for _, _, s in runs])
        firsts[numbers, axes] = np.cumsum(sizes) - sizes
        inside = np.concatenate([listed(s.inside) for _, _, s in runs])
        outside = np.concatenate([listed(s.outside) for _, _, s in runs])
        axis = np.repeat(axes, sizes)
        return firsts, np.stack([inside * sources[axis], outside * targets[axis]], axis=1)


def _row(run: AxisRun) -> tuple[int, int, int, int]:
    """First element and step in a chunk, first element in the result, and elements; of a list the last alone."""
    return (run.inside.start, run.inside.step, run.outside.start, run.each) if run.sliced else (0, 1, 0, run.each)


def together(parts: Sequence[Any]) -> Sequence[Any]:
    """Parts with all blocks as one, if all of them are blocks."""
    if len(parts) > 1 and all(isinstance(part, ChunkBlock) for part in parts):
        return (ChunkBlocks(tuple(parts)),)
    return parts
