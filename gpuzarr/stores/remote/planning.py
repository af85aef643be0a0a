"""Requests for ranges of objects whose lengths may be unknown: the answers tell whether ranges were within them."""

from __future__ import annotations

import numpy as np

from gpuzarr.stores.ranges import Ranges, Requests, requests

UNKNOWN = -2  # length of an object of which no answer has come
MAX_SANE_BYTES = 1 << 53  # of an offset or a size; who asks for more is told the length of the object


def untold(ranges: Ranges) -> np.ndarray:
    """Which ranges an answer would not tell whether they are within their object: that takes its length first."""
    offsets, sizes = ranges.offsets, ranges.sizes
    far = (offsets > MAX_SANE_BYTES) | (offsets < -MAX_SANE_BYTES) | (sizes > MAX_SANE_BYTES)
    return far | (sizes == 0) | (sizes < -1) | ((offsets < 0) & (sizes > -offsets))


def planned(store: object, ranges: Ranges, lengths: np.ndarray, gap: int, max_bytes: int) -> Requests:
    """Requests as `gpuzarr.stores.ranges.requests` plans them, with lengths that may be UNKNOWN.

    Objects of unknown length are taken to end with what is wanted of them. A range that counts from the end of one is a
    request by itself.
    """
    objects, offsets = ranges.objects, ranges.offsets
    is_open = lengths[objects] == UNKNOWN
    from_end = is_open & (offsets < 0)
    ends = np.zeros(len(lengths), np.int64)
    np.maximum.at(ends, objects[is_open], (np.maximum(offsets, 0) + ranges.sizes)[is_open])
    lengths = np.where(lengths == UNKNOWN, ends, lengths)
    if not from_end.any():
        return requests(store, ranges, lengths, gap, max_bytes)
    return _with_suffixes(requests(store, ranges.take(~from_end), lengths, gap, max_bytes), ranges, from_end)


def _with_suffixes(some: Requests, ranges: Ranges, from_end: np.ndarray) -> Requests:
    """Requests of ranges, of which some count from the end of objects of unknown length: each is one by itself."""
    last, first = np.flatnonzero(from_end), np.flatnonzero(~from_end)
    within, skip = np.zeros((2, len(ranges)), np.int64)
    within[first] = np.arange(len(first)) if some.within is None else some.within
    skip[first] = 0 if some.skip is None else some.skip
    within[last] = len(some.objects) + np.arange(len(last))
    wanted = ranges.sizes.copy()
    wanted[first] = some.wanted
    return Requests(
        np.concatenate([some.objects, ranges.objects[last]]),
        np.concatenate([some.offsets, ranges.offsets[last]]),
        np.concatenate([some.sizes, -ranges.offsets[last]]),
        wanted,
        within,
        skip,
    )
