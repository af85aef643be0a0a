"""Chunks that were fetched: bytes as they are stored, and what caches know already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.read.known import Known
from gpuzarr.stores.ranges import MISSING


@dataclass(frozen=True)
class Fetched:
    """Chunks as they are stored: `encoded` has those that are `present`, a bool for each chunk that was asked for.

    `is_in_place`: they were read to where `Memory.into` says. `known`: what caches know of those that are present;
    then `encoded` has the others, and these are `stored`.
    """

    encoded: EncodedBatch
    present: np.ndarray
    is_in_place: bool = False
    known: Known | None = None

    @cached_property
    def stored(self) -> np.ndarray:
        """Those that `encoded` has, a bool for each chunk that was asked for."""
        return self.present if self.known is None else without(self.present, ~self.known.hit)

    def part(self, chunks: slice, present: slice, stored: slice) -> Fetched:
        """The same for a run of the chunks, given by its numbers among all, those present, and those stored."""
        known = None if self.known is None else self.known.part(present)
        return replace(self, encoded=self.encoded.take(stored), present=self.present[chunks], known=known)


def present_only(fetched: Fetched) -> Fetched:
    """Leave out the chunks whose objects turned out to be missing."""
    if not np.count_nonzero(missing := fetched.encoded.sizes == MISSING):
        return fetched
    present = fetched.present.copy()
    present[np.flatnonzero(fetched.stored)[missing]] = False
    known = None if fetched.known is None else fetched.known.without(missing)
    return Fetched(fetched.encoded.take(~missing), present, fetched.is_in_place, known)


def without(mask: np.ndarray, some: np.ndarray) -> np.ndarray:
    """`mask` without those, of where it is True, for which `some` is False."""
    found = mask.copy()
    found[np.flatnonzero(mask)[~some]] = False
    return found
