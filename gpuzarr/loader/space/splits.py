"""Split a data set for training and validation: contiguous parts along an axis, with gaps between. Pure arithmetic.

The stores lie one after the other on a line, so that a part has whole stores but for its first and its last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import isfinite
from numbers import Real
from typing import Any

from gpuzarr.checks import iterated, shown
from gpuzarr.errors import ArgumentError

ROUNDING = 1e-9  # by which fractions may add up to more than 1
Interval = tuple[int, int]  # the first element, and the one behind the last


@dataclass(frozen=True)
class Line:
    """What is split: elements of stores along the axis, one store after the other.

    `stores`: the interval of each, which has a sample as a whole. `extent`: elements of a sample, at least 1. `blocks`:
    where cuts may be in a store (beside its ends): at the multiples of the first of these sizes that are nearest to
    what fractions say; where that
    leaves a part without a sample, of the next. The last one is 1: where also that does, cuts are moved.
    """

    stores: Sequence[Interval]
    extent: int
    blocks: Sequence[int]

    @property
    def edges(self) -> list[int]:
        """Where stores begin on the line, and where the last one ends."""
        return list(accumulate((stop - start for start, stop in self.stores), initial=0))

    def first_end(self, begin: int) -> int | None:
        """The least end of a part with a sample that begins here; None if there is none."""
        ends = (
            min(max(begin, a) + self.extent, b)
            for a, b in pairwise(self.edges)
            if begin <= a < b or max(begin, a) + self.extent <= b  # a whole store has a sample, however small it is
        )
        return min(ends, default=None)

    def last_begin(self, end: int) -> int | None:
        """The last begin of a part with a sample that ends here; None if there is none."""
        begins = (
            max(min(end, b) - self.extent, a)
            for a, b in pairwise(self.edges)
            if a < b <= end or min(end, b) - self.extent >= a
        )
        return max(begins, default=None)

    def around(self, place: int, block: int) -> Interval:
        """The last place of a cut up to here, and the first one from here."""
        for (start, _), (a, b) in zip(self.stores, pairwise(self.edges), strict=True):
            if a <= place < b:
                inside = place - a + start
                return max(a, place - inside % block), min(b, place + -inside % block)
        return place, place

    def intervals(self, begin: int, end: int) -> list[Interval]:
        """The elements of each store in a part of the line; nothing where its end is its begin."""
        found = []
        for (start, _), (a, b) in zip(self.stores, pairwise(self.edges), strict=True):
            first = min(max(begin, a), b)
            found.append((first - a + start, max(min(end, b), first) - a + start))
        return found


def split(line: Line, fractions: Any, gap: int) -> list[list[Interval]]:
    """Cut a line into parts with about these fractions of it.

    `gap`: elements between two neighbouring parts that belong to neither, also where another store begins; the part
    behind them has fewer. What the fractions leave over at the end belongs to no part.

    Returns for each part the interval of each store. ArgumentError for fractions that mean nothing, or where a part
    would have no sample.
    """
    shares = _fractions(fractions)
    for block in line.blocks:
        if (cuts := _cuts(line, shares, gap, block)) is not None:
            begins = [0, *(cut + gap for cut in cuts[:-1])]
            return [line.intervals(begin, end) for begin, end in zip(begins, cuts, strict=True)]
    raise ArgumentError(
        f"split: a part would have no sample: {len(shares)} parts of {line.edges[-1]} elements, with gaps of {gap}, "
        f"where a sample takes {line.extent}; give fewer or larger fractions, or a smaller gap"
    )


def _fractions(given: Any) -> list[float]:
    expected = "split takes a list of fractions, such as [0.8, 0.2]"
    shares = list(iterated(given, expected))
    for share in shares:
        if not isinstance(share, Real) or isinstance(share, bool) or not isfinite(share) or share <= 0:
            raise ArgumentError(f"{expected}, each above 0; not {shown(share)}")
    if not shares or sum(shares) > 1 + ROUNDING:
        raise ArgumentError(f"{expected}, which add up to 1 or less, not {shown(given)}")
    return [float(share) for share in shares]


def _cuts(line: Line, shares: Sequence[float], gap: int, block: int) -> list[int] | None:
    """The end of each part: what is nearest to its fraction. None if a part would have no sample; where any element may
    be the end of a part, only if there are no cuts that leave a sample to each."""
    if (latest := _latest(line, len(shares), gap)) is None:
        return None
    cuts: list[int] = []
    begin, length = 0, line.edges[-1]
    for sum_of_shares, last in zip(accumulate(shares), latest, strict=True):
        if (first := line.first_end(begin)) is None or first > last:
            return None
        wanted = length if sum_of_shares >= 1 - ROUNDING else round(length * sum_of_shares)
        nearest = min(line.around(wanted, block), key=lambda cut: abs(cut - wanted))
        if block > 1 and not first <= nearest <= last:
            return None
        cuts.append(min(max(nearest, first), last))
        begin = cuts[-1] + gap
    return cuts


def _latest(line: Line, parts: int, gap: int) -> list[int] | None:
    """The last end of each part that leaves a sample to those behind it; None if there is none."""
    ends = [line.edges[-1]]
    while len(ends) < parts:
        begin = line.last_begin(ends[0])
        if begin is None or begin < gap:
            return None
        ends.insert(0, begin - gap)
    return ends
