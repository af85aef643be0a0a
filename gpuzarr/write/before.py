"""Objects that a write changes in part, as they were before: they are read, changed and written.

Where each request takes long they are fetched whole, all at once, if that is less than their indexes first and then
the parts that are needed. Where the store can refuse to write (`stores/guards.py`), the versions that were read are
noted: what somebody else has replaced meanwhile is refused, read again, changed and written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, cast

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import ChangedError, StoreError
from gpuzarr.indexing.locate import Locator
from gpuzarr.read.source import ArraySource
from gpuzarr.read.unchanged import unchanged
from gpuzarr.stores.contract import Objects, Store, concurrency, expect_at_most
from gpuzarr.stores.guards import guard
from gpuzarr.stores.mapping import MappingObjects
from gpuzarr.stores.ranges import MISSING, Ranges
from gpuzarr.write.target import Target
from gpuzarr.write.thresholds import MAX_FETCHED_BYTES


class Before:
    """What one try to change objects reads of them. Many threads may use it at once."""

    concurrency = 1  # of copies

    def __init__(self, target: Target, trace: Trace | None = None) -> None:
        self._target, self._store, self._trace = target, target.store, trace
        self.notes_versions = target.safe and guard(target.store) == "versions"
        self._versions: dict[str, Any] = {}
        self._copies: dict[str, memoryview | None] = {}

    def __repr__(self) -> str:
        return repr(self._store)

    @property
    def has_cheap_lengths(self) -> bool:
        """See `Store`."""
        return self._store.has_cheap_lengths

    @cached_property
    def source(self) -> ArraySource:
        """The array as it was. An index of a shard is read once: a shard is replaced after its chunks were located."""
        target = self._target
        store = cast(Store, self) if self.notes_versions or concurrency(self._store) > 1 else self._store
        return ArraySource(store, target.path, target.layout, Locator(target.layout))

    def open(self, keys: Sequence[str], threads: int = 1) -> Objects:
        """See `Store`. Copies are opened where all objects were fetched."""
        if self._has_copies(keys):
            return MappingObjects(cast(Any, self), keys)
        found = self._store.open(keys, threads)
        return cast(Objects, Noted(found, self)) if self.notes_versions else found

    def value(self, key: str) -> memoryview | None:
        """A copy of an object; None if there was none."""
        return self._copies[key]

    def fetch(self, keys: Sequence[str], most: int) -> None:
        """Fetch objects whole, all at once, but for those of more than `most` bytes."""
        if keys:
            found = unchanged(self.source, keys, partial(_whole, most), trace=self._trace)
            self._copies.update({key: data for key, data in zip(keys, found, strict=True) if data is not Ellipsis})

    def trace_of(self, coords: np.ndarray) -> Trace | None:
        """The trace in which it is counted what is read for inner chunks; of copies nothing is counted again."""
        return None if self._copies and self._has_copies(self.source.locator.route(coords).keys) else self._trace

    def _has_copies(self, keys: Sequence[str]) -> bool:
        return bool(self._copies) and all(key in self._copies for key in keys)

    def note(self, keys: Sequence[str], versions: Sequence[Any]) -> None:
        """Note which versions were read. ChangedError if another one was read before."""
        for key, version in zip(keys, versions, strict=True):
            if version is None:
                raise StoreError(f"{key!r} of {self!r} cannot be changed safely: it tells no version, such as an ETag")
            if self._versions.setdefault(key, version) != version:
                raise ChangedError(f"{key!r} of {self!r} was replaced while it was changed")

    def version(self, key: str) -> Any:
        """The version that was read of an object; None if nothing was read of it, or versions are not noted."""
        return self._versions.get(key)

    def was_there(self, keys: Sequence[str]) -> np.ndarray:
        """Which objects were there, bool (n,), as far as versions tell."""
        return np.array([self._versions.get(key, MISSING) != MISSING for key in keys], bool)


class Noted:
    """Objects whose versions are noted when they were read. See `Objects`."""

    def __init__(self, objects: Objects, before: Before) -> None:
        self._objects, self._before = objects, before

    def __enter__(self) -> Noted:
        self._objects.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._objects.__exit__(*exception)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def changed(self) -> bool:
        """See `Objects`. ChangedError if they are of other versions than another read has noted."""
        if self._objects.changed():
            return True
        keys = self._objects.keys
        self._before.note(keys, self._objects.versions([None] * len(keys)))
        return False


def _whole(most: int, objects: Objects) -> list[Any]:
    """The bytes of objects; None for a missing one, Ellipsis for one that is too large."""
    expect_at_most(objects, most)
    lengths = np.array(objects.lengths(), np.int64)
    some = np.flatnonzero(lengths <= most)
    requests = objects.requests(Ranges.whole(objects.keys).take(some))
    sizes = requests.sizes
    into = EncodedBatch(np.empty(int(sizes.sum()), np.uint8), np.cumsum(sizes) - sizes, sizes)
    encoded = objects.read(requests, into)
    found: list[Any] = [...] * len(lengths)
    for i, number in enumerate(some.tolist()):
        found[number] = None if encoded.sizes[i] == MISSING else memoryview(encoded.on_host(i))
    return found


def may_fetch(store: Store, nbytes: int) -> bool:
    """Whether objects of so many bytes are better fetched whole, all at once."""
    return concurrency(store) > 1 and nbytes <= MAX_FETCHED_BYTES
