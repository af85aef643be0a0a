"""Count the chunks that a selection touches, without making anything for them. Pure arithmetic in Python ints.

A few bytes of JSON make an array as large as they like. So what a selection would take is counted before it is planned:
a plan that would not fit the memory is refused, and an explanation plans only a sample of a large selection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from gpuzarr.errors import NoMemoryError
from gpuzarr.indexing.axis import chunk_of, decoded_of, starts_of
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis, RectilinearAxis, RegularAxis

MAX_PLANNED_BLOCKS = 1 << 24  # of one read or write; each takes some hundred bytes
MAX_PLANNED_CHUNKS = 1 << 28  # of one write, whose value may take no memory
MAX_SAMPLED_BLOCKS = 1 << 11  # of a selection that is explained
MAX_SAMPLED_CHUNKS = 1 << 14
_BLOCKS_OF_RUN = 3  # the first chunk, all full ones, the last

Index = range | np.ndarray


@dataclass(frozen=True)
class Touched:
    """The chunks that a selection touches: their number, the elements that all of them decode to, and how many are
    covered.

    Every element of a covered chunk is selected (by a range: that is within the array). Of a whole selection, or along
    one axis.
    """

    chunks: int
    elements: int
    covered: int


def touched(selection: Outer, axes: Sequence[Axis]) -> Touched:
    """Count the chunks of a selection whose ranges ascend."""
    found = [along(axis, index) for axis, index in zip(axes, selection.axes, strict=True)]
    return Touched(prod(t.chunks for t in found), prod(t.elements for t in found), prod(t.covered for t in found))


def box(selection: Outer | Points, axes: Sequence[Axis]) -> list[range]:
    """The ranges of chunks, along each axis, between the first and the last that a selection touches."""
    found = []
    for axis, index in zip(axes, selection.indices if isinstance(selection, Points) else selection.axes, strict=True):
        ends = np.array([index[0], index[-1]]) if isinstance(index, range) and index else np.asarray(index, np.int64)
        first, last = chunk_of(axis, np.array([ends.min(), ends.max()])).tolist() if len(ends) else (0, -1)
        found.append(range(first, last + 1))
    return found


def along(axis: Axis, index: Index) -> Touched:
    """Count the chunks along one axis. `index`: a range of positive step, or an int64 array."""
    if not len(index):
        return Touched(0, 0, 0)
    if not isinstance(index, range):
        return _of_array(axis, index)
    return _of_edges(axis, index) if isinstance(axis, RectilinearAxis) else _of_range(axis, index)


def _of_range(axis: RegularAxis, index: range) -> Touched:
    size, first, last = axis.size, index[0], index[-1]
    chunks = len(index) if index.step >= size else last // size - first // size + 1
    if index.step == 1 or len(index) == 1 or size == 1:
        end = last // size + 1 if last == axis.length - 1 else (last + 1) // size
        covered = chunks if size == 1 else max(0, end - -(-first // size))
    else:  # of the chunks, only a last one of a single element can be covered
        covered = int(last == axis.length - 1 and last % size == 0)
    return Touched(chunks, chunks * size, covered)


def _of_edges(axis: RectilinearAxis, index: range) -> Touched:
    edges = np.asarray(axis.edges, np.int64)
    first = np.clip(-((index.start - np.minimum(edges, axis.length)) // index.step), 0, len(index))
    wanted, decoded = np.diff(first), np.asarray(axis.decoded_sizes, np.int64)
    within = np.minimum(edges[1:], axis.length) - edges[:-1]
    elements = int(decoded[wanted > 0].sum())
    return Touched(int(np.count_nonzero(wanted)), elements, int(np.count_nonzero((wanted == within) & (wanted > 0))))


def _of_array(axis: Axis, index: np.ndarray) -> Touched:
    chunks, wanted = np.unique(chunk_of(axis, np.unique(index)), return_counts=True)
    _, sizes = starts_of(axis, chunks)
    elements = sum(decoded_of(axis, chunks).tolist())
    return Touched(len(chunks), elements, int(np.count_nonzero(wanted == sizes)))


def touches(selection: Outer | Points, axes: Sequence[Axis], chunk: Sequence[int]) -> bool:
    """Whether a selection has elements of the chunk at these coordinates."""
    bounds = [(begin, begin + n) for begin, n in (_bounds(axis, at) for axis, at in zip(axes, chunk, strict=True))]
    if isinstance(selection, Points):
        inside = [(i >= a) & (i < b) for i, (a, b) in zip(selection.indices, bounds, strict=True)]
        return bool(np.logical_and.reduce(inside).any())
    return all(_has(index, a, b) for index, (a, b) in zip(selection.axes, bounds, strict=True))


def _bounds(axis: Axis, chunk: int) -> tuple[int, int]:
    begin, size = starts_of(axis, np.array([chunk]))
    return int(begin[0]), int(size[0])


def _has(index: Index, begin: int, end: int) -> bool:
    """Whether some of the indices are in begin <= i < end."""
    if not isinstance(index, range):
        return bool(((index >= begin) & (index < end)).any())
    index = index if index.step > 0 else index[::-1]
    first = max(0, -((index.start - begin) // index.step))
    return first < len(index) and index[first] < end


def _most_blocks(axis: Axis, index: Index, shard_chunks: int) -> int:
    """The most blocks of chunks (`indexing.axis`) along one axis."""
    if not isinstance(index, range):
        return len(index)
    chunks = along(axis, index).chunks
    if index.step != 1 or isinstance(axis, RectilinearAxis):
        return chunks
    return min(chunks, _BLOCKS_OF_RUN + (chunks // shard_chunks if shard_chunks else 0))


def check_plannable(selection: Outer | Points, axes: Sequence[Axis], shard_chunks: Sequence[int]) -> None:
    """Raise NoMemoryError for a selection of more blocks than a plan can have."""
    if isinstance(selection, Points) or prod(map(len, selection.axes)) <= MAX_PLANNED_BLOCKS:  # no more blocks
        return
    blocks = prod(map(_most_blocks, axes, selection.axes, shard_chunks))
    if blocks > MAX_PLANNED_BLOCKS:
        raise NoMemoryError(f"no memory for the plan of {blocks} blocks of chunks: select less at once")


def check_writable(selection: Outer | Points, axes: Sequence[Axis]) -> None:
    """Raise NoMemoryError for a selection of more chunks than one write can have."""
    if isinstance(selection, Points) or prod(map(len, selection.axes)) <= MAX_PLANNED_CHUNKS:  # no more chunks
        return
    if (chunks := touched(selection, axes).chunks) > MAX_PLANNED_CHUNKS:
        raise NoMemoryError(f"no memory for the plan of {chunks} chunks: write less at once")


def sample(selection: Outer | Points, axes: Sequence[Axis], shard_chunks: Sequence[int]) -> Outer | None:
    """A part of a selection that is planned at once; None where all of it is."""
    if isinstance(selection, Points) or not all(map(len, selection.axes)):
        return None
    indices = list(selection.axes)
    blocks = list(map(_most_blocks, axes, indices, shard_chunks))
    chunks = [along(axis, index).chunks for axis, index in zip(axes, indices, strict=True)]
    is_whole = True
    while prod(blocks) > MAX_SAMPLED_BLOCKS or prod(chunks) > MAX_SAMPLED_CHUNKS:
        counts = blocks if prod(blocks) > MAX_SAMPLED_BLOCKS else chunks
        i = max(range(len(axes)), key=counts.__getitem__)
        indices[i], is_whole = indices[i][: -(-len(indices[i]) // 2)], False
        blocks[i] = _most_blocks(axes[i], indices[i], shard_chunks[i])
        chunks[i] = along(axes[i], indices[i]).chunks
    return None if is_whole else Outer(tuple(indices), selection.squeeze)
