"""A path in a store, as a thing of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import StoreKindError
from gpuzarr.stores import memory
from gpuzarr.stores.contract import Store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.part import PartStore


@dataclass(frozen=True)
class StorePath:
    """A path in a store, which is taken wherever a store is: what lies below the path is the whole store then.

    Parameters
    ----------
    store
        Whatever `gpuzarr.open` takes as a store.
    path
        The path, with or without slashes at its ends.

    Examples
    --------
    >>> place = gpuzarr.storage.StorePath({}) / "a"
    >>> gpuzarr.save(place / "b", np.arange(3))
    >>> gpuzarr.open(place.store, "a/b").shape, place.path
    ((3,), 'a')
    """

    store: Any
    path: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.path, str):
            raise StoreKindError(f"a path in a store is text, not {shown(self.path)}")
        object.__setattr__(self, "path", memory.path(self.path))

    def __truediv__(self, other: str) -> StorePath:
        return StorePath(self.store, f"{self.path}/{other}")

    def __str__(self) -> str:
        return f"{self.store!r} {self.path!r}" if self.path else repr(self.store)


def below(store: Store, path: str) -> Store:
    """The part of a store below a path, as a store."""
    if not (path := memory.path(path)):
        return store
    if isinstance(store, LocalStore):
        return replace(store, root=os.path.join(store.folder, path))
    if isinstance(store, MappingStore):
        return replace(store, mapping=memory.below(store.mapping, path))
    if (part := getattr(store, "below", None)) is not None:
        found: Store = part(path)
        return found
    return PartStore(store, path)
