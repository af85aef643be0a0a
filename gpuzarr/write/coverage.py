"""Boxes of elements: what of a box was written, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

Bounds = tuple[tuple[int, int], ...]  # first element, and the one behind the last, of each axis


def volume(bounds: Bounds) -> int:
    """The number of elements of a box."""
    return prod(b - a for a, b in bounds)


def common(one: Bounds, other: Bounds) -> Bounds | None:
    """The box that two boxes share; None if there is none."""
    found = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return found if all(a < b for a, b in found) else None


def without(one: Bounds, other: Bounds) -> Iterator[Bounds]:
    """Boxes that together are `one` without what it shares with `other`."""
    shared = common(one, other)
    if shared is None:
        yield one
        return
    rest = one
    for axis, (begin, end) in enumerate(shared):
        first, last = rest[axis]
        for a, b in ((first, begin), (end, last)):
            if a < b:
                yield (*rest[:axis], (a, b), *rest[axis + 1 :])
        rest = (*rest[:axis], (begin, end), *rest[axis + 1 :])


def joined(one: Bounds, other: Bounds) -> Bounds | None:
    """Two boxes that do not overlap as one; None where they do not lie side by side."""
    differ = [axis for axis, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(differ) != 1:
        return None
    axis = differ[0]
    first, last = sorted((one[axis], other[axis]))
    return (*one[:axis], (first[0], last[1]), *one[axis + 1 :]) if first[1] == last[0] else None


class Coverage:
    """What was written of a box, as boxes that do not overlap.

    `left`: elements that were not written.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.left = volume(bounds)
        self.boxes: list[Bounds] = []

    def add(self, bounds: Bounds) -> None:
        """Note that a box within was written, perhaps once more."""
        new = [bounds]
        for old in self.boxes:
            new = [piece for one in new for piece in without(one, old)]
        for piece in new:
            self.left -= volume(piece)
            self._insert(piece)

    def _insert(self, piece: Bounds) -> None:
        """Keep a box, as one with its neighbours where that is a box again."""
        at = 0
        while at < len(self.boxes):
            if (both := joined(self.boxes[at], piece)) is None:
                at += 1
            else:
                del self.boxes[at]
                piece, at = both, 0
        self.boxes.append(piece)
