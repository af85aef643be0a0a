"""Objects that are overwritten, by who has not looked at them, while others may just change them under their locks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gpuzarr.batch import EncodedBatch
from gpuzarr.interrupts import within
from gpuzarr.stores.contract import Store


class Overwrite(Protocol):
    """Writes objects that the caller has not looked at, on any thread. See `Overwrites`."""

    def __call__(self, key: str, data: Any) -> None:
        """Do as `set` inside of `locked([key])`."""
        ...

    def many(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        """Do as `write` inside of `locked(keys)`."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Do as `delete` inside of `locked(keys)`."""
        ...


class Overwrites(Protocol):
    """Addition to `Store` of one that knows better than to hold the lock of each object that it replaces."""

    def overwriter(self) -> Overwrite:
        """Make what overwrites objects in one write. Who changes one under its lock loses nothing of what it writes."""
        ...


def overwriter(store: Store) -> Overwrite:
    """Make what writes and deletes objects that the caller has not looked at. See `Overwrites`."""
    if (better := getattr(store, "overwriter", None)) is not None:
        made: Overwrite = better()
        return made
    return _Overwriter(store)


@dataclass(frozen=True)
class _Overwriter:
    """Holds the lock of each object that it writes."""

    store: Store

    def __call__(self, key: str, data: Any) -> None:
        within(self.store.locked([key]), lambda _: self.store.set(key, data))

    def many(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        within(self.store.locked(keys), lambda _: self.store.write(keys, encoded))

    def delete(self, keys: Sequence[str]) -> None:
        within(self.store.locked(keys), lambda _: self.store.delete(keys))
