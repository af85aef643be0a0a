"""Where objects begin that have a head before them, which alone tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.parts.holders import Holders
from gpuzarr.stores.parts.table import Heads, Places

MAX_SLACK_BYTES = 4096  # that are fetched beyond a range, where it is not known yet where its object begins
Memory = dict[tuple[int, int, int], Any]


@dataclass(frozen=True)
class Begins:
    """Where objects begin in their holders: `at`, int64 (n,), once their heads were read.

    `fetched`: by object, offset and size, the ranges that were fetched with heads.
    """

    store: Store
    keys: Sequence[str]
    offsets: np.ndarray
    heads: Heads
    holders: Holders
    number: np.ndarray
    at: np.ndarray
    is_unknown: np.ndarray
    is_cheap: bool
    memory: Memory

    @classmethod
    def of(cls, store: Store, keys: Sequence[str], places: Places, holders: Holders, number: np.ndarray) -> Begins:
        """Those of places, in holders that are open; `number`: of the holder of each object there."""
        if (heads := places.heads) is None:
            none, at = np.zeros(0, np.int64), places.offsets
            heads, unknown = Heads(none, none, 0, lambda numbers, heads: numbers), np.zeros(len(keys), bool)
        else:
            at, unknown = places.offsets + heads.least, (heads.least != heads.most) & (number >= 0)
        cheap = all(group.store.has_cheap_lengths for group in holders.groups)
        return cls(store, keys, places.offsets, heads, holders, number, at, unknown, cheap, {})

    @property
    def are_unknown(self) -> bool:
        """Whether there are objects of which it is not known, or ranges that were fetched with heads."""
        return bool(self.memory) or bool(np.count_nonzero(self.is_unknown))

    def learn(self, objects: np.ndarray) -> None:
        """Read the heads of these objects, if that was not done."""
        if not np.count_nonzero(self.is_unknown):
            return
        if len(new := np.unique(objects[self.is_unknown[objects]])):
            nbytes = np.full(len(new), self.heads.nbytes)
            found = self.holders.fetched(self.number[new], self.offsets[new], nbytes, joins=not self.is_cheap)
            self._note(new, found.data[found.starts[:, None] + np.arange(self.heads.nbytes)])

    def fetched(
        self, objects: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, only: np.ndarray | None = None
    ) -> dict[int, Any]:
        """Learn where these objects begin. Returns the bytes of those ranges that were fetched for that, by number.

        `only`: bool, of all objects, those that are meant; None: all.

        Where a request takes long, the head of an object and a range of it are fetched at once: the range with as many
        bytes more as it may begin later.
        """
        if not self.are_unknown:
            return {}
        which = np.flatnonzero((sizes != 0) if only is None else (sizes != 0) & only[objects])
        if len(which) < len(objects):  # of no bytes nobody needs to know where they begin
            found = self.fetched(objects[which], offsets[which], sizes[which])
            return {int(which[i]): data for i, data in found.items()}
        if self.is_cheap:
            self.learn(objects)
            return {}
        is_new = self.is_unknown[objects] & (sizes > 0)
        slack = self.heads.most - self.heads.least
        wide = np.flatnonzero(is_new & (slack[objects] <= MAX_SLACK_BYTES) & (offsets >= 0))
        if len(wide):
            self._fetch_wide(objects[wide], offsets[wide], sizes[wide])
        self.learn(objects)
        rows = zip(objects.tolist(), offsets.tolist(), sizes.tolist(), strict=True)
        return {i: self.memory[row] for i, row in enumerate(rows) if row in self.memory}

    def _fetch_wide(self, objects: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> None:
        """Fetch ranges with the heads of their objects."""
        new, nbytes = np.unique(objects), self.heads.nbytes
        least, most = self.heads.least[objects], self.heads.most[objects]
        numbers = np.concatenate([self.number[new], self.number[objects]])
        at = np.concatenate([self.offsets[new], self.offsets[objects] + least + offsets])
        extents = np.concatenate([np.full(len(new), nbytes, np.int64), sizes + most - least])
        found = self.holders.fetched(numbers, at, extents)
        m = len(new)
        self._note(new, found.data[found.starts[:m, None] + np.arange(nbytes)])
        starts = found.starts[m:] + self.at[objects] - self.offsets[objects] - least
        for *row, start in zip(objects.tolist(), offsets.tolist(), sizes.tolist(), starts.tolist(), strict=True):
            self.memory[(row[0], row[1], row[2])] = found.data[start : start + row[2]]

    def _note(self, new: np.ndarray, heads: np.ndarray) -> None:
        try:
            begins = self.heads.learn(new, heads)
        except ValueError as error:
            name = f"{self.keys[int(new[0])]!r}" if len(new) == 1 else f"one of {len(new)} objects"
            raise StoreError(f"cannot read {name} of {self.store!r}: {error}") from error
        wrong = (begins < self.heads.least[new]) | (begins > self.heads.most[new])
        if np.count_nonzero(wrong):
            key = self.keys[int(new[wrong.argmax()])]
            raise StoreError(f"cannot read {key!r} of {self.store!r}: its bytes would overlap what follows them")
        self.at[new] = self.offsets[new] + begins
        self.is_unknown[new] = False
