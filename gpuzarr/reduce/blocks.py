"""Boxes of an array: blocks of whole chunks, which are read at once, and pieces of them, which are reduced at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import numpy as np

from gpuzarr.indexing.layout import Layout
from gpuzarr.metadata import Axis, RectilinearAxis

Box = tuple[slice, ...]


def blocks(plan: Layout, axes: Sequence[range], most: int) -> Iterator[tuple[Box, Box]]:
    """A selection in parts: of the array, and the same of the result.

    A part has about `most` elements of whole objects (shards, or chunks); where one has more, of whole chunks; or it is
    one chunk. Each chunk is of one part alone.
    """
    ascending = [indices if indices.step > 0 else indices[::-1] for indices in axes]
    whole = _cuts(plan.outer.axes, ascending)
    if prod(map(_longest, whole)) > most:
        whole = _cuts(plan.axes, ascending)
    for part in product(*_merged(whole, most)):
        yield tuple(_slice(indices, *ends) for indices, ends in zip(ascending, part, strict=True)), _box(part)


def pieces(shape: Sequence[int], most: int) -> list[Box]:
    """An array in parts of at most `most` elements, each of whole rows of the last axes where these are short."""
    inner = most
    steps = []
    for length in reversed(shape):
        step = max(min(length, inner), 1)
        inner = inner // step if step == length else 1
        steps.append(step)
    cuts = [range(0, length, step) for length, step in zip(shape, reversed(steps), strict=True)]
    ends = [[(i, min(i + cut.step, length)) for i in cut] for cut, length in zip(cuts, shape, strict=True)]
    return [_box(part) for part in product(*ends)]


def cell_boxes(shape: Sequence[int], most: int) -> list[Box]:
    """The axes that are kept, in runs of at most `most` cells along the last of them."""
    if not shape:
        return [()]
    runs = [(first, min(first + most, shape[-1])) for first in range(0, shape[-1], most)]
    return [_box([*[(i, i + 1) for i in place], run]) for place in np.ndindex(*shape[:-1]) for run in runs]


def _cuts(axes: Sequence[Axis], selected: Sequence[range]) -> list[list[tuple[int, int]]]:
    """For each axis the runs of positions in its range that lie in one chunk each."""
    return [_runs(axis, indices) for axis, indices in zip(axes, selected, strict=True)]


def _runs(axis: Axis, indices: range) -> list[tuple[int, int]]:
    if not indices:
        return []
    edges = np.array(axis.edges[1:]) if isinstance(axis, RectilinearAxis) else _regular(axis.size, indices)
    ends = np.unique(np.clip(-(-(edges - indices.start) // indices.step), 0, len(indices)))
    ends = ends[ends > 0].tolist()
    return list(zip([0, *ends], ends, strict=False))


def _regular(size: int, indices: range) -> np.ndarray:
    """The ends of the chunks that have some of the indices."""
    first = np.arange(indices[0] // size, indices[-1] // size + 1, dtype=np.int64)
    return (first + 1) * size


def _longest(runs: list[tuple[int, int]]) -> int:
    return max((end - first for first, end in runs), default=0)


def _merged(whole: list[list[tuple[int, int]]], most: int) -> list[list[tuple[int, int]]]:
    """The same runs, joined from the last axis on as long as a box of them has at most `most` elements."""
    room = most
    longest = [*map(_longest, whole)]
    found = []
    for axis in reversed(range(len(whole))):
        others = max(prod(longest[:axis]), 1)  # of the axes before, of which one run is taken at least
        joined = _joined(whole[axis], max(room // others, 1))
        room = max(room // max(_longest(joined), 1), 1)
        found.append(joined)
    return found[::-1]


def _joined(runs: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, end in runs:
        if found and end - found[-1][0] <= most:
            found[-1] = (found[-1][0], end)
        else:
            found.append((first, end))
    return found


def _slice(indices: range, first: int, end: int) -> slice:
    return slice(indices[first], indices[end - 1] + 1, indices.step)


def _box(part: Sequence[tuple[int, int]]) -> Box:
    return tuple([slice(first, end) for first, end in part])
