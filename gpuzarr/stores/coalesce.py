"""From the ranges that are wanted to the requests that are read: neighbours in one object become one request.

All of it is array arithmetic; nothing here costs Python work for each range.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpuzarr.batch import FEW
from gpuzarr.errors import RangeError
from gpuzarr.stores.contract import MISSING, Ranges, Requests, Store

LARGE = 16 << 10  # bytes of ranges of which each, where there are few, is sooner read than joined with its neighbours


def requests(store: Store, ranges: Ranges, lengths: Sequence[int], gap: int, most: int) -> Requests:
    """Resolve every range by the lengths of the objects of `ranges.keys` (MISSING if there is none); join neighbours.

    Ranges with at most `gap` bytes between are joined, so long as they begin within `most` bytes.
    RangeError for a range that reaches beyond its object.
    """
    objects = np.asarray(ranges.objects)
    length = np.array(lengths, np.int64)[objects]
    offsets, sizes = np.asarray(ranges.offsets, np.int64), np.asarray(ranges.sizes, np.int64)
    if not np.count_nonzero(offsets) and len(lengths) == len(objects) and np.count_nonzero(sizes == -1) == len(sizes):
        return Requests(objects, offsets, np.maximum(length, 0) if MISSING in lengths else length, length)  # all whole
    if _within(offsets, sizes, length):
        return _joined(objects, offsets, sizes, lengths, gap, most) or Requests(objects, offsets, sizes, sizes)
    missing = length == MISSING
    offsets = np.where(offsets < 0, offsets + length, offsets)
    wanted = np.where(sizes == -1, length - offsets, sizes)
    wrong = ((offsets < 0) | (wanted < 0) | (offsets > length - wanted)) & ~missing
    if wrong.any():
        i = int(wrong.argmax())
        size = "any" if sizes[i] == -1 else int(sizes[i])
        raise beyond(store, ranges.keys[objects[i]], int(length[i]), size, int(ranges.offsets[i]), i)
    if not missing.any():
        return _joined(objects, offsets, wanted, lengths, gap, most) or Requests(objects, offsets, wanted, wanted)
    found = np.flatnonzero(~missing)
    joined = _joined(objects[found], offsets[found], wanted[found], lengths, gap, most)
    wanted[missing] = MISSING
    if joined is None:
        return Requests(objects, offsets, np.where(missing, 0, wanted), wanted)
    within, skip = np.zeros((2, len(objects)), np.int64)
    assert joined.within is not None and joined.skip is not None
    within[found], skip[found] = joined.within, joined.skip
    return Requests(joined.objects, joined.offsets, joined.sizes, wanted, within, skip)


def beyond(store: Store, key: str, length: int, size: int | str, offset: int, number: int) -> RangeError:
    """The error of range `number`, which reaches beyond its object of `length` bytes."""
    problem = f"a range of {size} bytes at offset {offset} reaches beyond it"
    return RangeError(f"{key!r} of {store!r} has {length} bytes: {problem}", number)


def _within(offsets: np.ndarray, sizes: np.ndarray, length: np.ndarray) -> bool:
    """Whether every range says where it begins and ends, within an object that is there."""
    if len(sizes) > FEW:
        return not np.count_nonzero((offsets < 0) | (sizes < 0) | (offsets > length - sizes))
    rows = zip(offsets.tolist(), sizes.tolist(), length.tolist(), strict=True)
    return all(0 <= offset <= end - size <= end for offset, size, end in rows)


def _joined(
    objects: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, lengths: Sequence[int], gap: int, most: int
) -> Requests | None:
    """Neighbours as one; None where there are none. The objects are laid end to end, farther apart than `gap`."""
    if len(objects) < 2 or len(lengths) == len(objects) or (len(objects) <= FEW and min(sizes.tolist()) > LARGE):
        return None
    room = np.maximum(np.array(lengths, np.int64), 0) + gap + 1
    at = offsets + (room.cumsum() - room)[objects]
    order = at.argsort(kind="stable")
    at, ends = at[order], (at + sizes)[order]
    if not np.count_nonzero(at[1:] - ends[:-1] <= gap):
        return None
    first = np.ones(len(at), bool)  # of its request
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
    return Requests(objects[order[heads]], starts, extent, sizes, within, offsets - starts[within])
