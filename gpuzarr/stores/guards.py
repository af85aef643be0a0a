"""Guards: what keeps writers who change parts of the same object from losing each other's changes.

Who changes a part of an object reads it, changes it and writes all of it. Another who does the same meanwhile writes
what was there before. Locks keep others out (`Store.locked`), in this process or in all; where there are none between
processes, a store may be able to refuse a write if the object is no longer what was read: a conditional put.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from gpuzarr.batch import EncodedBatch
from gpuzarr.stores.contract import Store

# "processes": the locks of `Store.locked` hold between processes, too. "versions": between threads; and an object is
# written only if it is still of the version that was read (`WritesIfUnchanged`). "threads": they hold between threads
# of this process, and other processes may have the objects, too. "alone": the same, and no other process has them.
Guard = Literal["processes", "versions", "threads", "alone"]


class HasGuard(Protocol):
    """Addition to `Store` of one that knows what guards its objects."""

    @property
    def guard(self) -> Guard: ...


def guard(store: Store) -> Guard:
    """What guards the objects of a store: "threads" where it says nothing, as that is the least. See `HasGuard`."""
    found: Guard = getattr(store, "guard", "threads")
    return found


class Transacts(Protocol):
    """Addition to `Store` of one whose changes nobody else sees until its user commits them, all together."""

    @property
    def is_transaction(self) -> bool:
        """True: then nothing is put aside before it is replaced or deleted."""
        ...


def is_transaction(store: Store) -> bool:
    """Whether nobody else sees changes until the user commits them. See `Transacts`."""
    return getattr(store, "is_transaction", False) is True


class WritesIfUnchanged(Protocol):
    """Addition to `Store` of one whose `guard` is "versions". Its sinks are `CommitsIfUnchanged`.

    Versions are what `Objects.versions` returned after the objects were read. That of a missing object is MISSING (of
    `stores/ranges.py`), and means that there must still be none.
    """

    def write_if_unchanged(self, keys: Sequence[str], encoded: EncodedBatch, versions: Sequence[Any]) -> Sequence[int]:
        """Write those of the objects that have these versions now, as `write` does. Keys differ from each other.

        Looking and writing are one step, which nobody comes between. Returns the numbers of the others, in any order:
        they stay as they are, and that is no error.
        """
        ...


class CommitsIfUnchanged(Protocol):
    """Addition to `Sink` of a store that `WritesIfUnchanged`."""

    def commit_if_unchanged(self, version: Any) -> bool:
        """Do as `commit` and return True if the object has this version now.

        Else return False, and keep what was written: the object may be completed in another way, or aborted.
        """
        ...

    def cut(self, nbytes: int) -> None:
        """Drop what was written from this offset on. It is called after `commit_if_unchanged` has returned False."""
        ...
