"""The blocks that a model is given: a regular grid of cores, each grown by a halo. Pure arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from numbers import Integral
from typing import Any

import numpy as np

from gpuzarr.checks import iterated, number, shown
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.missing import as_slices
from gpuzarr.write.coverage import Bounds, joined

MAX_BLOCKS = 1 << 32


@dataclass(frozen=True)
class BlockAxis:
    """One axis of a grid of blocks: cores of `size` elements side by side, each block `halo` longer at both ends."""

    length: int
    size: int
    halo: int

    @property
    def count(self) -> int:
        return -(-self.length // self.size)

    @property
    def reach(self) -> int:
        """By how much blocks are longer than their cores; 0 where there is one block, which is the whole axis."""
        return self.halo if self.count > 1 else 0

    def core(self, i: int) -> tuple[int, int]:
        return i * self.size, min((i + 1) * self.size, self.length)

    def bounds(self, i: int) -> tuple[int, int]:
        begin, end = self.core(i)
        return max(begin - self.reach, 0), min(end + self.reach, self.length)

    def find(self, begin: int, end: int) -> int | None:
        """The block with these bounds: no two have the same."""
        for i in ((begin + self.reach) // self.size, (end - self.reach - 1) // self.size):
            if self.bounds(max(i, 0)) == (begin, end) and i < self.count:
                return max(i, 0)
        return None

    def touching(self, begin: int, end: int, reach: int) -> range:
        """The blocks that share elements with a range, if they are `reach` longer than their cores."""
        if begin >= end:
            return range(0)
        return range(max((begin - reach) // self.size, 0), min(-(-(end + reach) // self.size), self.count))

    def same(self) -> tuple[int, int] | None:
        """Two blocks that have the same bounds, which are those of the axis; None where all blocks differ."""
        i = min(self.count - 1, self.reach // self.size)
        return (i - 1, i) if i > 0 and self.bounds(i - 1) == self.bounds(i) else None


class Blocks:
    """Blocks in C order: a sequence of selections of the array.

    Parameters
    ----------
    shape
        The shape of the array.
    block
        The shape of a core, or one length for all axes. Cores lie side by side from the array's origin; the last ones
        end with the array.
    halo
        Elements by which a block is longer than its core at both ends of each axis, or one number for all axes. Blocks
        end where the array does.
    region
        A tuple of slices, or a list of them that do not overlap: only blocks that touch them are in the sequence. None
        stands for the whole array.
    is_cut
        Whether only the cores are used: then blocks that touch `region` with their halo alone are left out.

    Raises
    ------
    ArgumentError
        An argument is none of these, or two blocks would have the same bounds.

    Examples
    --------
    >>> from gpuzarr.pyramids.blocks import Blocks
    >>> blocks = Blocks((10, 6), block=(4, 6), halo=(1, 0))
    >>> [rows for rows, columns in blocks]
    [slice(0, 5, None), slice(3, 9, None), slice(7, 10, None)]
    >>> blocks.core(1), blocks.number(((3, 9), (0, 6))), blocks.touching(((0, 4), (0, 1))).tolist()
    (((4, 8), (0, 6)), 1, [0, 1])
    """

    def __init__(
        self, shape: Sequence[int], block: Any, halo: Any = 0, region: Any = None, is_cut: bool = False
    ) -> None:
        self.shape, self.is_cut = tuple(map(int, shape)), is_cut
        self.block, self.halo = _lengths(block, "block", len(shape), 1), _lengths(halo, "halo", len(shape), 0)
        self.axes = tuple(map(BlockAxis, self.shape, self.block, self.halo))
        _check_distinct(self.axes)
        self.region = _region(region, self.shape)  # boxes that do not overlap
        spans = [self._span(box) for box in self.region]
        self._ranges = tuple(_around(along) for along in zip(*spans, strict=True)) or (range(0),) * len(self.shape)
        self._count = prod(map(len, self._ranges)) if spans else 0
        if self._count > MAX_BLOCKS:
            raise ArgumentError(f"{self._count} blocks of {self.block} in {self.shape} are too many: give larger ones")
        self._some = _distinct(spans, self._ranges) if len(spans) > 1 else None  # those of the ranges that there are

    def __repr__(self) -> str:
        return f"<{len(self)} blocks of {self.block} with a halo of {self.halo} in an array of {self.shape}>"

    def __len__(self) -> int:
        return self._count if self._some is None else len(self._some)

    def __getitem__(self, index: Any) -> Any:
        """The block with a number, a tuple of slices; for a slice of numbers the list of them."""
        if isinstance(index, slice):
            return [as_slices(self.bounds(i)) for i in range(*index.indices(len(self)))]
        i = operator.index(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"there is no block {shown(index)} among {len(self)}")
        return as_slices(self.bounds(i % len(self)))

    def __iter__(self) -> Iterator[tuple[slice, ...]]:
        return (as_slices(self.bounds(i)) for i in range(len(self)))

    def bounds(self, block: int) -> Bounds:
        """The elements of a block, with its halo."""
        return tuple(axis.bounds(i) for axis, i in zip(self.axes, self._coords(block), strict=True))

    def core(self, block: int) -> Bounds:
        """The elements of a block, without its halo."""
        return tuple(axis.core(i) for axis, i in zip(self.axes, self._coords(block), strict=True))

    def origin(self, block: int) -> tuple[int, ...]:
        """Where a block would begin if it did not end with the array: it may be negative."""
        return tuple(i * axis.size - axis.reach for axis, i in zip(self.axes, self._coords(block), strict=True))

    def number(self, bounds: Bounds) -> int | None:
        """The number of the block with these bounds, halo included; None if there is none."""
        if len(bounds) != len(self.axes):
            return None
        coords = [axis.find(*span) for axis, span in zip(self.axes, bounds, strict=True)]
        found = self._numbers([range(i, i + 1) if i is not None else range(0) for i in coords])
        return int(found[0]) if len(found) else None

    def touching(self, box: Bounds) -> np.ndarray:
        """The numbers of the blocks that share elements with a box, in order, int64."""
        return self._numbers(self._span(box))

    def count(self, box: Bounds) -> int:
        """The number of the blocks that share elements with a box."""
        return len(self.touching(box)) if self._some is not None else prod(map(len, self._inside(self._span(box))))

    def _span(self, box: Bounds) -> tuple[range, ...]:
        """The blocks of the whole grid that share elements with a box, along each axis."""
        reaches = [0 if self.is_cut else axis.reach for axis in self.axes]
        return tuple(axis.touching(*span, n) for axis, span, n in zip(self.axes, box, reaches, strict=True))

    def _inside(self, span: Sequence[range]) -> list[range]:
        pairs = zip(span, self._ranges, strict=True)
        return [range(max(one.start, whole.start), min(one.stop, whole.stop)) for one, whole in pairs]

    def _numbers(self, span: Sequence[range]) -> np.ndarray:
        """The numbers of those that there are among blocks of the grid."""
        if not self._count:
            return np.zeros(0, np.int64)
        found = np.zeros(1, np.int64)
        for one, whole in zip(self._inside(span), self._ranges, strict=True):
            along = np.arange(len(one), dtype=np.int64) + (one.start - whole.start)
            found = (found[:, None] * len(whole) + along).reshape(-1)
        if self._some is None:
            return found
        at = np.searchsorted(self._some, found)
        return at[np.take(self._some, at, mode="clip") == found]

    def _coords(self, block: int) -> tuple[int, ...]:
        """The place of a block in the grid."""
        rest = block if self._some is None else int(self._some[block])
        coords = []
        for whole in reversed(self._ranges):
            rest, i = divmod(rest, len(whole))
            coords.append(whole.start + i)
        return tuple(reversed(coords))


def told(bounds: Bounds) -> str:
    """A box, for messages."""
    return "[" + ", ".join(f"{a}:{b}" for a, b in bounds) + "]"


def _lengths(given: Any, name: str, ndim: int, low: int) -> tuple[int, ...]:
    if isinstance(given, Integral):
        return (number(given, name, low),) * ndim
    found = tuple(number(each, name, low) for each in iterated(given, f"{name} must be one integer for each axis"))
    if len(found) != ndim:
        raise ArgumentError(f"{name} must be one integer for each of {ndim} axes, not {shown(given)}")
    return found


def _check_distinct(axes: Sequence[BlockAxis]) -> None:
    for i, axis in enumerate(axes):
        if pair := axis.same():
            raise ArgumentError(
                f"blocks {pair[0]} and {pair[1]} along axis {i} would both be all of it, {axis.length} elements: give "
                f"a block of {axis.length} there, or a halo of less than {axis.halo}"
            )


def _region(given: Any, shape: tuple[int, ...]) -> tuple[Bounds, ...]:
    """The boxes of a region; neighbours are one where they can be. ArgumentError where they overlap."""
    if given is None:
        given = [(slice(None),) * len(shape)]
    found: list[Bounds] = []
    for each in [given] if _is_box(given) else iterated(given, "region must be a tuple of slices or a list of them"):
        box = _box(each, shape)
        if any(a >= b for a, b in box):
            continue
        found.append(box)
        while len(found) > 1 and (both := joined(*found[-2:])):
            found[-2:] = [both]
    _check_apart(found)
    return tuple(found)


def _is_box(given: Any) -> bool:
    return isinstance(given, tuple) and all(isinstance(each, slice) for each in given)


def _box(given: Any, shape: tuple[int, ...]) -> Bounds:
    if not _is_box(given) or len(given) != len(shape):
        raise ArgumentError(f"a region must be {len(shape)} slices, one for each axis, not {shown(given)}")
    spans = []
    for each, length in zip(given, shape, strict=True):
        try:
            begin, end, step = each.indices(length)
        except TypeError as error:
            raise ArgumentError(f"a region must be slices of integers, not {shown(given)}") from error
        if step != 1:
            raise ArgumentError(f"a region must be slices without steps, not {shown(given)}")
        spans.append((begin, max(begin, end)))
    return tuple(spans)


def _check_apart(boxes: Sequence[Bounds]) -> None:
    """ArgumentError for boxes that share elements, as found by a sweep along the axis with the most edges."""
    if len(boxes) < 2 or not boxes[0]:
        return
    ends = np.array(boxes, np.int64)
    axis = int(np.argmax([len(np.unique(ends[:, i, 0])) for i in range(ends.shape[1])]))
    ends = ends[np.argsort(ends[:, axis, 0], kind="stable")]
    behind = np.searchsorted(ends[:, axis, 0], ends[:, axis, 1])
    for i in np.flatnonzero(behind > np.arange(len(ends)) + 1).tolist():
        others = ends[i + 1 : behind[i]]
        shared = (np.maximum(others[:, :, 0], ends[i, :, 0]) < np.minimum(others[:, :, 1], ends[i, :, 1])).all(axis=1)
        if shared.any():
            one, other = (tuple(map(tuple, each.tolist())) for each in (ends[i], others[int(shared.argmax())]))
            raise ArgumentError(f"the regions {told(one)} and {told(other)} overlap")


def _around(ranges: Sequence[range]) -> range:
    return range(min(each.start for each in ranges), max(each.stop for each in ranges))


def _distinct(spans: Sequence[Sequence[range]], ranges: Sequence[range]) -> np.ndarray | None:
    """The numbers in the grid `ranges`, in C order, of blocks that are in any of the spans; None if all are."""
    first = np.array([[each.start for each in span] for span in spans], np.int64)
    counts = np.array([list(map(len, span)) for span in spans], np.int64)
    sizes = counts.prod(axis=1)
    span = np.repeat(np.arange(len(spans)), sizes)
    rest = np.arange(len(span)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found, stride = np.zeros(len(span), np.int64), 1
    for axis in reversed(range(len(ranges))):
        rest, place = np.divmod(rest, counts[span, axis])
        found += (first[span, axis] + place - ranges[axis].start) * stride
        stride *= len(ranges[axis])
    found = np.unique(found)
    return None if len(found) == stride else found
