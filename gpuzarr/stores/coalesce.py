"""From the ranges that are wanted to the segments that are read: neighbours in one object become one segment.

All of it is array arithmetic; nothing here costs Python work for each range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpuzarr.batch import FEW, EncodedBatch
from gpuzarr.errors import RangeError
from gpuzarr.stores.contract import MISSING, Ranges, Store

LARGE = 16 << 10  # bytes of ranges of which each, where there are few, is sooner read than joined with its neighbours


@dataclass(frozen=True)
class Segments:
    """What to read: segment j is `sizes[j]` bytes at `offsets[j]` of object `objects[j]`; 0 bytes of what is missing.

    `wanted`: the size of each range, MISSING where its object is. Range i lies `skip[i]` bytes into segment
    `within[i]`; both are None where segment i is range i.
    """

    objects: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    wanted: np.ndarray
    within: np.ndarray | None = None
    skip: np.ndarray | None = None

    def ranges(self, encoded: EncodedBatch) -> EncodedBatch:
        """The ranges, in the encoded batch that the segments were read into."""
        if self.within is not None:
            return EncodedBatch(encoded.data, encoded.starts[self.within] + self.skip, self.wanted, encoded.host)
        return (
            encoded
            if self.wanted is self.sizes
            else EncodedBatch(encoded.data, encoded.starts, self.wanted, encoded.host)
        )


def used(ranges: Ranges) -> tuple[Sequence[str], np.ndarray]:
    """The keys that are asked for, and for each range which of them it means."""
    objects = np.asarray(ranges.objects)
    if len(ranges.keys) == 1:
        return ranges.keys, objects
    if len(objects) == len(ranges.keys) and np.array_equal(objects, np.arange(len(objects))):
        return ranges.keys, objects
    numbers, objects = np.unique(objects, return_inverse=True)
    return [ranges.keys[i] for i in numbers.tolist()], objects


def segments(
    store: Store,
    ranges: Ranges,
    keys: Sequence[str],
    objects: np.ndarray,
    lengths: Sequence[int],
    gap: int,
    most: int,
) -> Segments:
    """Settle every range of `store` by the lengths of the objects (MISSING if there is none), and join neighbours.

    Ranges with at most `gap` bytes between are joined, so long as they begin within `most` bytes.
    RangeError for a range that reaches beyond its object.
    """
    length = np.array(lengths, np.int64)[objects]
    offsets, sizes = np.asarray(ranges.offsets, np.int64), np.asarray(ranges.sizes, np.int64)
    if not np.count_nonzero(offsets) and len(lengths) == len(objects) and np.count_nonzero(sizes == -1) == len(sizes):
        return Segments(objects, offsets, np.maximum(length, 0) if MISSING in lengths else length, length)  # all whole
    if _within(offsets, sizes, length):
        return _joined(objects, offsets, sizes, lengths, gap, most) or Segments(objects, offsets, sizes, sizes)
    missing = length == MISSING
    offsets = np.where(offsets < 0, offsets + length, offsets)
    wanted = np.where(sizes == -1, length - offsets, sizes)
    wrong = ((offsets < 0) | (wanted < 0) | (offsets > length - wanted)) & ~missing
    if wrong.any():
        i = int(wrong.argmax())
        raise RangeError(
            f"{keys[objects[i]]!r} of {store!r} has {length[i]} bytes: a range of "
            f"{'any' if sizes[i] == -1 else sizes[i]} bytes at offset {ranges.offsets[i]} reaches beyond it",
            i,
        )
    if not missing.any():
        return _joined(objects, offsets, wanted, lengths, gap, most) or Segments(objects, offsets, wanted, wanted)
    found = np.flatnonzero(~missing)
    joined = _joined(objects[found], offsets[found], wanted[found], lengths, gap, most)
    wanted[missing] = MISSING
    if joined is None:
        return Segments(objects, offsets, np.where(missing, 0, wanted), wanted)
    within, skip = np.zeros((2, len(objects)), np.int64)
    assert joined.within is not None and joined.skip is not None
    within[found], skip[found] = joined.within, joined.skip
    return Segments(joined.objects, joined.offsets, joined.sizes, wanted, within, skip)


def _within(offsets: np.ndarray, sizes: np.ndarray, length: np.ndarray) -> bool:
    """Whether every range says where it begins and ends, within an object that is there."""
    if len(sizes) > FEW:
        return not np.count_nonzero((offsets < 0) | (sizes < 0) | (offsets > length - sizes))
    rows = zip(offsets.tolist(), sizes.tolist(), length.tolist(), strict=True)
    return all(0 <= offset <= end - size <= end for offset, size, end in rows)


def _joined(
    objects: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, lengths: Sequence[int], gap: int, most: int
) -> Segments | None:
    """Neighbours as one; None where there are none. The objects are laid end to end, farther apart than `gap`."""
    if len(objects) < 2 or len(lengths) == len(objects) or (len(objects) <= FEW and min(sizes.tolist()) > LARGE):
        return None
    room = np.maximum(np.array(lengths, np.int64), 0) + gap + 1
    at = offsets + (room.cumsum() - room)[objects]
    order = at.argsort(kind="stable")
    at, ends = at[order], (at + sizes)[order]
    if not np.count_nonzero(at[1:] - ends[:-1] <= gap):
        return None
    first = np.ones(len(at), bool)  # of its segment
    first[1:] = at[1:] - np.maximum.accumulate(ends)[:-1] > gap
    begins = at[np.maximum.accumulate(np.where(first, np.arange(len(at)), 0))]
    part = (at - begins) // most
    first[1:] |= part[1:] != part[:-1]
    heads = np.flatnonzero(first)
    if len(heads) == len(at):
        return None
    within = np.empty_like(order)
    within[order] = np.cumsum(first) - 1
    starts = offsets[order[heads]]
    extent = np.maximum.reduceat(ends, heads) - at[heads]
    return Segments(objects[order[heads]], starts, extent, sizes, within, offsets - starts[within])
