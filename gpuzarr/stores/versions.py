"""Versions of objects: what stores may add to the contract for those who keep what they have read.

Every value kept from an earlier read (an index of a shard, a decoded chunk) is kept with the version of its object. It
is used again if the object has that version now. A local store tells that from the file. A remote store tells it with
the answers to reads; where nothing is to be read of an object, it has to be asked (`Looks`).

A store whose objects never change, such as a snapshot, tells the same version each time, without a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from gpuzarr.stores.contract import Objects, Store
from gpuzarr.stores.traffic import Traffic, added, traffic

MAX_TRIES = 4  # to look for versions of objects that somebody replaces meanwhile


class Settles(Protocol):
    """Addition to `Objects` of a store where a version may come again, if an object is changed twice in a moment."""

    def settled(self) -> Sequence[bool]:
        """Return, for each object, True if no later content can have the version that `versions` returned.

        It is asked after `versions`, and means: if the object was read after that.
        """
        ...


def settled(objects: Objects) -> Sequence[bool]:
    """Return, for each object, True if its version will not come again. See `Settles`."""
    if (known := getattr(objects, "settled", None)) is not None:
        found: Sequence[bool] = known()
        return found
    return [True] * len(objects.keys)


class Looks(Protocol):
    """Addition to `Objects` of a store that knows versions only by requests: `versions` has None for those of which
    nothing was read, and tells them after a read, or a look."""

    def look(self, numbers: Sequence[int]) -> None:
        """Ask for the versions of the objects with these numbers, all at once, of which nothing else may be read."""
        ...


def tells_late(objects: Objects) -> bool:
    """Whether versions may be None before a read, and known after it. See `Looks`."""
    return hasattr(objects, "look")


def looked_for(objects: Objects, numbers: Sequence[int], known: Sequence[Any]) -> Sequence[Any]:
    """Versions of all objects, those with these numbers as they are now, even if nothing else of them is read."""
    found = objects.versions(known)
    unknown = [i for i in numbers if found[i] is None]
    if unknown and (look := getattr(objects, "look", None)) is not None:
        look(unknown)
        found = objects.versions(known)
    return found


class Remembers(Protocol):
    """Addition to `Store` of one that remembers more than what `Objects.versions` compares, such as where the chunks
    of a snapshot lie."""

    def refresh(self) -> None:
        """Forget that, so that what comes next is what is there by then."""
        ...


def refresh(store: Store) -> None:
    """Have a store look again. See `Remembers`."""
    if (forget := getattr(store, "refresh", None)) is not None:
        forget()


class TellsVersions(Protocol):
    """Addition to `Store` of one that knows the versions of objects that are not open, without a request."""

    def versions(self, keys: Sequence[str]) -> Sequence[Any]:
        """Version of each object as it is now, as `Objects.versions` tells it of those that are open."""
        ...


def versions(store: Store, keys: Sequence[str]) -> Sequence[Any]:
    """Version of each object as it is now. They are opened where nothing else tells.

    None for all where somebody replaces one all the time.
    """
    return versions_told(store, keys)[0]


def versions_told(store: Store, keys: Sequence[str]) -> tuple[Sequence[Any], Traffic | None]:
    """The same, and what it took."""
    if (tell := getattr(store, "versions", None)) is not None:
        return tell(keys), Traffic()
    took: Traffic | None = Traffic()
    for _ in range(MAX_TRIES):
        with store.open(keys) as objects:
            found, is_changed = looked_for(objects, range(len(keys)), [None] * len(keys)), objects.changed()
            took = added(took, traffic(objects))
        if not is_changed:
            return found, took
    return [None] * len(keys), took
