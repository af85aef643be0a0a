"""Boxes of chunks and their places in an array of samples, in bytes. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import Boxes
from gpuzarr.devices.contract import Device
from gpuzarr.indexing.boxes import ChunkBoxes
from gpuzarr.loader.batches.sources import Source
from gpuzarr.loader.contract import Corners

_OF_BOXES = ("chunk", "begin", "result", "target", "shape")


@dataclass(frozen=True, eq=False)
class Piece:
    """Boxes of chunks of one source, and their places in one array, in whose bytes `target` is counted.

    `addresses`: of the chunks, int64. It is a part as `gpu.place` takes them.
    """

    source: Source
    addresses: np.ndarray
    found: Boxes

    sliced = True

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.source.chunk_shape

    def boxes(self, strides: Any, results: Any) -> Boxes:
        return self.found

    def in_parts(self, nbytes: int, step: int, count: int) -> tuple[Piece, list[int]]:
        """The same boxes for parts of `nbytes` of the array, whose rows have `step` bytes: sorted by the part, and
        counted from its first byte; with the first box of each of `count` parts, and the number of boxes."""
        found = of_one_row(self.found, step)
        part, within = np.divmod(found.target, nbytes)
        order = np.argsort(part, kind="stable")
        heads = np.searchsorted(part[order], np.arange(count + 1)).tolist()
        return replace(self, found=some_of(replace(found, target=within), order)), heads


def in_bytes(table: ChunkBoxes, source: Source, targets: Sequence[Any], out: Any, device: Device) -> Boxes:
    """The boxes, with places that are counted from the first element of `out`."""
    found = table.boxes(source.strides, [target.strides for target in targets])
    base = np.array([device.address(target) for target in targets], np.int64) - device.address(out)
    return replace(found, target=found.target + base[found.result], result=np.zeros_like(found.result))


def of_corners(source: Source, corners: Corners, item: int) -> tuple[np.ndarray, Boxes]:
    """Boxes of one shape, cut where chunks end, which are all equally large.

    Returns the coordinates of the chunk of each, and the boxes, with places in an array in which they follow each
    other, with elements of `item` bytes.
    """
    starts, shape = corners
    of, coords = source.covered(corners)
    size, extents = np.array(source.chunk_shape, np.int64), np.array(shape, np.int64)
    start = np.take(starts, of, axis=0)
    begin = coords * size
    outside = np.maximum(begin - start, 0)  # elements of the box before the chunk
    inside = start + outside - begin
    within = np.minimum(size - inside, extents - outside)
    steps = np.array([prod(shape[axis:]) for axis in range(1, len(shape) + 1)], np.int64) * item
    target = of * (prod(shape) * item) + outside @ steps
    every, sources = np.arange(len(of)), np.array(source.strides, np.int64)
    of_shape = every
    if len(of) and (within == within[0]).all():  # as rows of chunks that are no wider are
        within, of_shape = within[:1], np.zeros_like(of)
    same = partial(np.broadcast_to, shape=within.shape)
    columns = within, same(sources), same(steps), same(np.int64(-1)), np.zeros((0, 2), np.int64)
    return coords, Boxes(every, inside @ sources, np.zeros_like(of), target, of_shape, *columns)


def moved(found: Boxes, which: np.ndarray, step: int) -> Boxes:
    """The same boxes in rows `which` of an array whose rows are `step` bytes: row i goes to row which[i]."""
    found = of_one_row(found, step)
    row, within = np.divmod(found.target, step)
    return replace(found, target=which[row] * step + within)


def of_one_row(found: Boxes, step: int) -> Boxes:
    """The same boxes, cut where they are of several rows of `step` bytes: along the axis of the longest steps.

    Also where a sample, which is one of these rows, has several rows of the array: a box may begin and end in any.
    """
    spans = ((found.extents - 1) * found.targets).sum(axis=1)
    is_long = np.zeros(len(spans), bool)
    is_long[found.shape[found.target % step + spans[found.shape] >= step]] = True
    if not is_long.any():
        return found
    axis = np.where(found.extents > 1, found.targets, -1).argmax(axis=1)
    shapes = np.arange(len(axis))
    rows = np.where(is_long, found.extents[shapes, axis], 1)
    source, target = (np.where(is_long, column[shapes, axis], 0) for column in (found.sources, found.targets))
    extents = found.extents.copy()
    extents[shapes[is_long], axis[is_long]] = 1
    counts = rows[found.shape]
    of = np.repeat(np.arange(len(counts)), counts)
    number, shape = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts), found.shape[of]
    return replace(
        found,
        chunk=found.chunk[of],
        begin=found.begin[of] + number * source[shape],
        result=found.result[of],
        target=found.target[of] + number * target[shape],
        shape=shape,
        extents=extents,
    )


def rows_of(found: Boxes, which: np.ndarray, step: int) -> np.ndarray:
    """The rows of an array, of `step` bytes each, in which some boxes lie."""
    return np.unique(of_one_row(some_of(found, which), step).target // step)


def some_of(found: Boxes, which: np.ndarray) -> Boxes:
    """Some of the boxes."""
    return replace(found, **{name: getattr(found, name)[which] for name in _OF_BOXES})


def runs(which: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last + 1 of the runs of ascending neighbours."""
    heads = np.flatnonzero(np.diff(which) != 1) + 1
    return pairwise([0, *heads.tolist(), len(which)])
