"""Byte ranges of objects, and the requests that fetch them: neighbours in one object become one request.

All of it is array arithmetic, without Python work for each range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpuzarr.batch import MAX_PYTHON_ROWS, EncodedBatch
from gpuzarr.errors import RangeError

MAX_JOINED_RANGE_BYTES = 16 << 10  # of a few ranges; larger ones are read sooner than joined with their neighbours
MISSING = -1  # length of an object that does not exist, and size of a range of it

# A range of an object, and the part of it to read: number of the object; offset and bytes of the range, which must be
# within the object; offset of the part in the range, and bytes of the part.
Read = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Ranges:
    """Byte ranges of objects: range i is `sizes[i]` bytes at `offsets[i]` of the object `keys[objects[i]]`.

    A size of -1 means up to the end of the object. A negative offset counts from its end. Arrays are int64.
    """

    keys: Sequence[str]
    objects: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, which: np.ndarray) -> Ranges:
        """Select some of the ranges; the keys stay."""
        return Ranges(self.keys, self.objects[which], self.offsets[which], self.sizes[which])

    @classmethod
    def whole(cls, keys: Sequence[str]) -> Ranges:
        """Ranges that are whole objects, one for each key."""
        n = len(keys)
        return cls(keys, *(_ONE if n == 1 else _all(n)))


def _all(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`objects`, `offsets` and `sizes` of the ranges that are `n` whole objects."""
    return np.arange(n), np.zeros(n, np.int64), np.full(n, -1, np.int64)


_ONE = _all(1)  # the most frequent case
for _array in _ONE:
    _array.flags.writeable = False


@dataclass(frozen=True)
class Requests:
    """Reads that together fetch some ranges: request j is `sizes[j]` bytes at `offsets[j]` of object `objects[j]`.

    `wanted[i]` is the size of range i, MISSING where its object is missing; a request for a missing object has 0 bytes.
    Range i is at byte `skip[i]` of request `within[i]`; both are None where request i is range i. Arrays are int64.
    `requests` makes them from ranges and lengths.
    """

    objects: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    wanted: np.ndarray
    within: np.ndarray | None = None
    skip: np.ndarray | None = None

    def ranges(self, encoded: EncodedBatch) -> EncodedBatch:
        """The ranges, in the encoded batch that the requests were read into."""
        if self.within is not None:
            return EncodedBatch(encoded.data, encoded.starts[self.within] + self.skip, self.wanted, encoded.host)
        return (
            encoded
            if self.wanted is self.sizes
            else EncodedBatch(encoded.data, encoded.starts, self.wanted, encoded.host)
        )


def requests(store: object, ranges: Ranges, lengths: Sequence[int] | np.ndarray, gap: int, max_bytes: int) -> Requests:
    """Resolve ranges by the lengths of their objects, and join neighbours. See `Objects.requests`.

    `lengths`: bytes of each object of `ranges.keys`, MISSING where there is none. Ranges with at most `gap` bytes
    between them are joined if they begin within `max_bytes` of each other. RangeError for a range beyond its object.
    """
    objects = np.asarray(ranges.objects)
    length = np.array(lengths, np.int64)[objects]
    offsets, sizes = np.asarray(ranges.offsets, np.int64), np.asarray(ranges.sizes, np.int64)
    if not np.count_nonzero(offsets) and len(lengths) == len(objects) and np.count_nonzero(sizes == -1) == len(sizes):
        return Requests(
            objects, offsets, np.maximum(length, 0) if np.count_nonzero(length < 0) else length, length
        )  # all whole
    if _within(offsets, sizes, length):
        return _joined(objects, offsets, sizes, lengths, gap, max_bytes) or Requests(objects, offsets, sizes, sizes)
    offsets, wanted = _resolved(store, ranges, offsets, sizes, length)
    missing = length == MISSING
    if not missing.any():
        return _joined(objects, offsets, wanted, lengths, gap, max_bytes) or Requests(objects, offsets, wanted, wanted)
    found = np.flatnonzero(~missing)
    joined = _joined(objects[found], offsets[found], wanted[found], lengths, gap, max_bytes)
    if joined is None:
        return Requests(objects, offsets, np.where(missing, 0, wanted), wanted)
    within, skip = np.zeros((2, len(objects)), np.int64)
    assert joined.within is not None and joined.skip is not None
    within[found], skip[found] = joined.within, joined.skip
    return Requests(joined.objects, joined.offsets, joined.sizes, wanted, within, skip)


def resolved(store: object, ranges: Ranges, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets >= 0 and sizes of ranges of objects of `length` bytes each; MISSING as size where there is no object.

    RangeError for a range beyond its object.
    """
    offsets, sizes = np.asarray(ranges.offsets, np.int64), np.asarray(ranges.sizes, np.int64)
    if _within(offsets, sizes, length):
        return offsets, sizes
    return _resolved(store, ranges, offsets, sizes, length)


def _resolved(
    store: object, ranges: Ranges, offsets: np.ndarray, sizes: np.ndarray, length: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    missing = length == MISSING
    offsets = np.where(offsets < 0, offsets + length, offsets)
    wanted = np.where(sizes == -1, length - offsets, sizes)
    wrong = ((offsets < 0) | (wanted < 0) | (offsets > length - wanted)) & ~missing
    if wrong.any():
        i = int(wrong.argmax())
        size = "any" if sizes[i] == -1 else int(sizes[i])
        raise beyond(store, ranges.keys[ranges.objects[i]], int(length[i]), size, int(ranges.offsets[i]), i)
    wanted[missing] = MISSING
    return offsets, wanted


def beyond(store: object, key: str, length: int, size: int | str, offset: int, number: int) -> RangeError:
    """RangeError for range `number`, which reaches beyond its object of `length` bytes."""
    problem = f"a range of {size} bytes at offset {offset} reaches beyond it"
    return RangeError(f"{key!r} of {store!r} has {length} bytes: {problem}", number)


def _within(offsets: np.ndarray, sizes: np.ndarray, length: np.ndarray) -> bool:
    """Return True if every range has an offset and a size >= 0 and is within its object."""
    if len(sizes) > MAX_PYTHON_ROWS:
        return not np.count_nonzero((offsets < 0) | (sizes < 0) | (offsets > length - sizes))
    rows = zip(offsets.tolist(), sizes.tolist(), length.tolist(), strict=True)
    return all(0 <= offset <= end - size <= end for offset, size, end in rows)


def _joined(
    objects: np.ndarray,
    offsets: np.ndarray,
    sizes: np.ndarray,
    lengths: Sequence[int] | np.ndarray,
    gap: int,
    max_bytes: int,
) -> Requests | None:
    """Requests for ranges with neighbours joined; None where there are none."""
    if len(objects) < 2 or len(lengths) == len(objects):
        return None
    if len(objects) <= MAX_PYTHON_ROWS and min(sizes.tolist()) > MAX_JOINED_RANGE_BYTES:
        return None
    extents = np.maximum(np.array(lengths, np.int64), 0) + gap + 1  # of objects end to end, too far apart to be joined
    at = offsets + (extents.cumsum() - extents)[objects]
    order = at.argsort(kind="stable")
    at, ends = at[order], (at + sizes)[order]
    if not np.count_nonzero(at[1:] - ends[:-1] <= gap):
        return None
    first = np.ones(len(at), bool)  # of the ranges of a request
    first[1:] = at[1:] - np.maximum.accumulate(ends)[:-1] > gap
    begins = at[np.maximum.accumulate(np.where(first, np.arange(len(at)), 0))]
    part = (at - begins) // max_bytes
    first[1:] |= part[1:] != part[:-1]
    heads = np.flatnonzero(first)
    if len(heads) == len(at):
        return None
    within = np.empty_like(order)
    within[order] = np.cumsum(first) - 1
    starts = offsets[order[heads]]
    extent = np.maximum.reduceat(ends, heads) - at[heads]
    return Requests(objects[order[heads]], starts, extent, sizes, within, offsets - starts[within])
