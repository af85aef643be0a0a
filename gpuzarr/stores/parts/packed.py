"""Parts that are stored as raw DEFLATE: fetched whole, and inflated, each once for the ranges that are wanted of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gpuzarr.errors import RangeError, StoreError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.parts.heads import Begins
from gpuzarr.stores.parts.holders import Holders
from gpuzarr.stores.parts.inflating import inflated, is_absurd
from gpuzarr.stores.parts.table import Places
from gpuzarr.stores.ranges import Requests
from gpuzarr.stores.spread import spread

MAX_KEPT_BYTES = 1 << 26  # of inflated objects of which parts were wanted, while they are open


@dataclass(frozen=True)
class Packed:
    """Those of some objects, whose holders are open, that are deflated: `which`, bool (n,)."""

    store: Store
    keys: Sequence[str]
    places: Places
    holders: Holders
    begins: Begins
    threads: int
    kept: dict[int, bytes] = field(default_factory=dict)

    @cached_property
    def which(self) -> np.ndarray:
        sizes = self.places.inflated
        return np.zeros(len(self.keys), bool) if sizes is None else (sizes >= 0) & (self.places.holders >= 0)

    def check(self) -> None:
        """Raise StoreError for one whose size cannot be right."""
        for i in np.flatnonzero(self.which).tolist():
            if is_absurd(size := int(self.places.sizes[i]), self._length(i)):
                problem = f"{self._length(i)} bytes cannot come of a DEFLATE stream of {size}"
                raise StoreError(f"cannot read {self.keys[i]!r} of {self.store!r}: {problem}")

    def read(self, requests: Requests, which: np.ndarray, put: Callable[[int, memoryview], None]) -> None:
        """Call `put(j, bytes)` for some of these requests, whose objects count from `holders.count`."""
        order = which[requests.objects[which].argsort(kind="stable")]
        objects, first = np.unique(requests.objects[order] - self.holders.count, return_index=True)
        groups = np.split(order, first[1:])
        new = [i for i in objects.tolist() if i not in self.kept]
        stored = dict(zip(new, self._stored(np.array(new, np.int64)), strict=True))

        def work(some: range) -> None:
            for k in some:
                i = int(objects[k])
                data = memoryview(self.kept[i] if i in self.kept else self._inflated(i, stored[i]))
                for j in groups[k].tolist():
                    offset, size = int(requests.offsets[j]), int(requests.sizes[j])
                    put(j, data[offset : offset + size])
                    if size < len(data):
                        self._keep(i, data.obj)

        spread(work, len(objects), self.threads)

    def inflated(self, i: int) -> bytes:
        """All bytes of an object."""
        return self.kept.get(i) or self._inflated(i, self._stored(np.array([i]))[0])

    def _length(self, i: int) -> int:
        assert self.places.inflated is not None
        return int(self.places.inflated[i])

    def _keep(self, i: int, data: Any) -> None:
        if len(data) + sum(map(len, list(self.kept.values()))) <= MAX_KEPT_BYTES:
            self.kept[i] = data

    def _stored(self, objects: np.ndarray) -> list[Any]:
        """The bytes of objects as they are stored."""
        sizes = self.places.sizes[objects]
        ready = self.begins.fetched(objects, np.zeros(len(objects), np.int64), sizes)
        left = np.array([i for i in range(len(objects)) if i not in ready], np.int64)
        if len(left):
            of = objects[left]
            try:
                found = self.holders.fetched(self.begins.number[of], self.begins.at[of], sizes[left])
            except RangeError as error:
                key = self.keys[int(of[error.index])]
                raise StoreError(f"{key!r} of {self.store!r} does not lie where it should: {error}") from error
            ready |= {number: found[i] for i, number in enumerate(left.tolist())}
        return [ready[i] for i in range(len(objects))]

    def _inflated(self, i: int, data: Any) -> bytes:
        checksum = None if self.places.checksums is None else int(self.places.checksums[i])
        try:
            return inflated(data, self._length(i), checksum)
        except ValueError as error:
            raise StoreError(f"cannot read {self.keys[i]!r} of {self.store!r}: {error}") from error
