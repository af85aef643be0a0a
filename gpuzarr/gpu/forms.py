"""The table of forms: how each shape of box is copied by kernels/place.cu and its siblings. Vectorised over shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from gpuzarr.batch import Boxes
from gpuzarr.gpu.planes import STRIP, divisors
from gpuzarr.gpu.tables import THREADS

MAX_AXES = 8
ROWS, ELEMENTS, TILES = range(3)
PIECE = 16  # bytes
MIN_ROW_BYTES = 64  # of a row that is moved by pieces; one piece where chunks are planes
MAX_KEPT_SHAPES = 4  # of a launch whose forms are kept for the next one: batches of one array have the same few
IN_FLIGHT = 4  # pieces or elements that a thread moves at once
_TILE_SIDE = 32  # elements
_MIN_TILE_EXTENT = 8  # elements of an axis: along a shorter one a tile would be mostly empty
_EACH = [("source", "<i8"), ("target", "<i8"), ("extent", "<u4"), ("multiplier", "<u4"), ("shift", "<u4")]
_SINGLE = [("run", "<u4"), ("axes", "u1"), ("mode", "u1"), ("width", "u1"), ("listed", "u1")]
_FORM = np.dtype([*((*each, MAX_AXES) for each in _EACH), *_SINGLE])
_COLUMNS = np.arange(MAX_AXES)
_MIXERS = np.full(4 * MAX_AXES, 0x5851F42D4C957F2D).cumprod()  # odd, and so are its powers modulo 2**64


@dataclass(frozen=True)
class Axes:
    """Axes of boxes, int64 (k, MAX_AXES), of which the first `count` of each row are used: the last is innermost in the
    result.

    `extents`, `sources`, `targets`, `lists`: as in `batch.Boxes`; extents of unused axes are 1.
    """

    count: np.ndarray
    extents: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    lists: np.ndarray

    def last(self, column: np.ndarray) -> np.ndarray:
        """Of each row of a column its innermost axis."""
        found: np.ndarray = column[np.arange(len(column)), self.count - 1]
        return found

    def with_last(self, which: np.ndarray, extent: np.ndarray, step: np.ndarray) -> Axes:
        """The same, but where `which` is True with another extent of the innermost axis, and other steps."""
        extents, sources, targets = self.extents.copy(), self.sources.copy(), self.targets.copy()
        at = np.flatnonzero(which), self.count[which] - 1
        extents[at], sources[at], targets[at] = extent[which], step[which], step[which]
        return Axes(self.count, extents, sources, targets, self.lists)

    def reordered(self, order: np.ndarray) -> Axes:
        """Each row with its axes in another order, (k, MAX_AXES)."""
        rows = np.arange(len(order))[:, None]
        columns = self.extents, self.sources, self.targets, self.lists
        return Axes(self.count, *(column[rows, order] for column in columns))


def distinct(boxes: Boxes) -> Boxes:
    """The same boxes with each shape once."""
    columns = boxes.extents, boxes.sources, boxes.targets, boxes.lists
    rows = np.concatenate(columns, axis=1)
    if len(rows) < 2:
        return boxes
    _, first, which = np.unique(rows @ _MIXERS[: rows.shape[1]], return_index=True, return_inverse=True)
    if (rows[first[which]] != rows).any():  # two shapes have one sum
        return boxes
    extents, sources, targets, lists = (column[first] for column in columns)
    shape = which.reshape(-1)[boxes.shape]
    return replace(boxes, shape=shape, extents=extents, sources=sources, targets=targets, lists=lists)


def forms_of(
    boxes: Boxes, itemsize: int, sources: int, targets: int, long: int, by_element: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Forms of the shapes of boxes, and the units of work of each, as `_forms_of`. They must not be changed."""
    if len(boxes.extents) > MAX_KEPT_SHAPES:
        return _forms_of(axes_of(boxes, itemsize), itemsize, sources, targets, long, by_element)
    columns = boxes.extents, boxes.sources, boxes.targets, boxes.lists
    kept = tuple([column.tobytes() for column in columns])
    low = (sources % PIECE | PIECE, targets % PIECE | PIECE)  # no other bits matter
    return _kept_forms(kept, boxes.extents.shape, itemsize, *low, long, by_element)


@lru_cache(256)
def _kept_forms(
    columns: tuple[bytes, ...], shape: tuple[int, int], itemsize: int, *rest: int
) -> tuple[np.ndarray, np.ndarray]:
    extents, steps, places, lists = (np.frombuffer(column, np.int64).reshape(shape) for column in columns)
    none = np.zeros(0, np.int64)
    boxes = Boxes(none, none, none, none, none, extents, steps, places, lists, none)
    sources, targets, long, by_element = rest
    return _forms_of(axes_of(boxes, itemsize), itemsize, sources, targets, long, bool(by_element))


def axes_of(boxes: Boxes, itemsize: int) -> Axes:
    """The axes of all shapes in the order of the result, without those of one element; axes that are contiguous on both
    sides are merged."""
    of_shapes = boxes.extents, boxes.sources, boxes.targets, boxes.lists
    rows, order = np.arange(len(boxes.targets)), np.argsort(-np.abs(boxes.targets), axis=1, kind="stable").T
    columns, count = [column[rows, order] for column in of_shapes], np.zeros(len(rows), np.int64)
    made = np.zeros((4, len(rows), MAX_AXES), np.int64)
    made[0], made[3] = 1, -1
    for extent, source, target, listed in zip(*columns, strict=True):
        outer = made[:, rows, np.maximum(count - 1, 0)]
        joins = (count > 0) & (outer[3] < 0) & (outer[1] == source * extent) & (outer[2] == target * extent)
        joins &= (listed < 0) & (extent != 1)
        kept = (extent != 1) | (listed >= 0)
        some, at = rows[kept], (count - joins)[kept]
        made[0, some, at] *= extent[kept]
        made[1, some, at], made[2, some, at], made[3, some, at] = source[kept], target[kept], listed[kept]
        count += kept & ~joins
    alone = count == 0
    made[1:3, alone, 0] = itemsize
    return Axes(np.maximum(count, 1), *made)


def has_rows(axes: Axes, itemsize: int) -> np.ndarray:
    """Mask of the shapes of which rows of `STRIP` elements or more are wanted: bit shuffles of these can be left."""
    contiguous, _ = _runs(axes, itemsize)
    return contiguous & (axes.last(axes.extents) >= STRIP)


def _forms_of(
    axes: Axes, itemsize: int, sources: int, targets: int, long: int, by_element: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Forms of the shapes, and the units of work of each: pieces, elements, or threads of its tiles.

    `sources` and `targets`: the bits that any address, or offset in a list, has. Rows of `long` bytes or more are moved
    by pieces. `by_element`: no bytes are moved as they are.
    """
    contiguous, run = _runs(axes, itemsize)
    if by_element:
        contiguous, run = np.zeros_like(contiguous), np.zeros_like(run)
    outer = (axes.count - 1)[:, None] > _COLUMNS
    source_bits = sources | np.bitwise_or.reduce(np.where(outer & (axes.lists < 0), axes.sources, 0), axis=1)
    target_bits = targets | np.bitwise_or.reduce(np.where(outer & (axes.lists < 0), axes.targets, 0), axis=1)
    bits = run | source_bits | target_bits
    width = np.where(contiguous, np.minimum(np.maximum(bits & -bits, itemsize), PIECE), itemsize)
    in_rows = contiguous & (run >= long)
    pieces = np.where((run | target_bits) % PIECE == 0, run // PIECE, (run + 30) // PIECE)
    axes = axes.with_last(contiguous, np.where(in_rows, pieces, run // width), np.where(in_rows, 0, width))
    tiled = ~contiguous
    if tiled.any():
        tiled &= _tiled(axes)
        axes = axes.reordered(_for_tiles(axes, tiled))
    mode = np.where(in_rows, ROWS, np.where(tiled, TILES, ELEMENTS))
    return _table(axes, mode, np.where(in_rows, itemsize, width), run), _units(axes, tiled)


def with_strips(forms: np.ndarray, units: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The forms, then those of chunks whose bits are shuffled, where `width` lanes take a strip of a row at once."""
    made, last = forms.copy(), (np.arange(len(forms)), forms["axes"].astype(np.int64) - 1)
    pieces = forms["extent"][last].astype(np.int64)
    strips = -(-pieces // (STRIP * width // PIECE))
    made["extent"][last] = strips
    made["multiplier"][last], made["shift"][last] = divisors(strips)
    return np.concatenate([forms, made]), np.concatenate([units, units // pieces * strips * width])


def _runs(axes: Axes, itemsize: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether the innermost axis is contiguous on both sides, and its bytes there, else 0."""
    contiguous = (axes.last(axes.sources) == itemsize) & (axes.last(axes.targets) == itemsize)
    contiguous &= axes.last(axes.lists) < 0
    return contiguous, np.where(contiguous, axes.last(axes.extents) * itemsize, 0)


def _tiled(axes: Axes) -> np.ndarray:
    """Where tiles help: another axis than the last is innermost in the chunk."""
    down, steps = _down(axes)
    rows = np.arange(len(down))
    across, is_listed = steps[rows, axes.count - 1], axes.last(axes.lists) >= 0
    worth = (steps[rows, down] < np.minimum(_TILE_SIDE, across)) & (np.abs(axes.last(axes.targets)) < _TILE_SIDE)
    least = np.minimum(axes.extents[rows, down], axes.last(axes.extents))
    found: np.ndarray = (down != axes.count - 1) & worth & (least >= _MIN_TILE_EXTENT) & ~is_listed
    return found


def _down(axes: Axes) -> tuple[np.ndarray, np.ndarray]:
    """The axis that is innermost in the chunk, and the steps of all axes there; those of lists are endless."""
    steps = np.where((axes.count[:, None] > _COLUMNS) & (axes.lists < 0), np.abs(axes.sources), np.iinfo(np.int64).max)
    return steps.argmin(axis=1), steps


def _for_tiles(axes: Axes, tiled: np.ndarray) -> np.ndarray:
    """The order in which the axis that is innermost in the chunk is the last but one, where it is `tiled`."""
    down, last = _down(axes)[0][:, None], axes.count[:, None] - 1
    moved = tiled[:, None] & (down < _COLUMNS) & (last > _COLUMNS)
    order = np.where(moved, _COLUMNS - 1, _COLUMNS)
    return np.argsort(np.where(tiled[:, None] & (down == _COLUMNS), last - 1, order), axis=1, kind="stable")


def _units(axes: Axes, tiled: np.ndarray) -> np.ndarray:
    across = tiled[:, None] & ((axes.count[:, None] - 1 == _COLUMNS) | (axes.count[:, None] - 2 == _COLUMNS))
    parts = np.where(across, -(-axes.extents // _TILE_SIDE), axes.extents).prod(axis=1)
    units: np.ndarray = np.where(tiled, parts * (THREADS * IN_FLIGHT), parts)
    return units


def _table(axes: Axes, mode: np.ndarray, width: np.ndarray, run: np.ndarray) -> np.ndarray:
    made = np.zeros(len(axes.count), _FORM)
    listed = axes.lists >= 0
    made["source"], made["target"] = np.where(listed, axes.lists * 16, axes.sources), axes.targets
    used = axes.count[:, None] > _COLUMNS
    made["extent"] = np.where(used, axes.extents, 0)
    made["multiplier"], made["shift"] = divisors(axes.extents)
    made["axes"], made["mode"], made["width"], made["run"] = axes.count, mode, width, run
    made["listed"] = (listed << _COLUMNS).sum(axis=1)
    return made
