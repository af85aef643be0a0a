"""How objects that are one chunk each are put to the store: over others, under their locks, or where unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.stores.contract import Store
from gpuzarr.stores.guards import WritesIfUnchanged
from gpuzarr.stores.overwriting import Overwrite
from gpuzarr.write.before import Before


class Puts(Protocol):
    """Used by many threads. StoreError where the store cannot be written."""

    def __call__(self, key: str, data: Any) -> None:
        """Write one object: bytes of the host, which may change after the call."""
        ...

    def many(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        """Write objects: key i gets chunk i of `encoded`."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects."""
        ...

    def must_stay(self, keys: Callable[[], Sequence[str]]) -> np.ndarray | None:
        """Which of the objects at keys() may not be deleted, bool (n,); None: all may."""
        ...


@dataclass(frozen=True)
class Plain:
    """Puts of a caller who holds the locks of the objects, or who knows that nobody else writes."""

    store: Store

    def __call__(self, key: str, data: Any) -> None:
        self.store.set(key, data)

    def many(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        self.store.write(keys, encoded)

    def delete(self, keys: Sequence[str]) -> None:
        self.store.delete(keys)

    def must_stay(self, keys: Callable[[], Sequence[str]]) -> None:
        return None


@dataclass(frozen=True)
class Over:
    """Puts over objects that nobody has looked at, which others may just change under their locks."""

    overwrite: Overwrite

    def __call__(self, key: str, data: Any) -> None:
        self.overwrite(key, data)

    def many(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        self.overwrite.many(keys, encoded)

    def delete(self, keys: Sequence[str]) -> None:
        self.overwrite.delete(keys)

    def must_stay(self, keys: Callable[[], Sequence[str]]) -> None:
        return None


@dataclass(frozen=True)
class IfUnchanged:
    """Puts of objects that were read `before`. `refused`: gets the keys of those that others have replaced since.

    No store deletes an object only if it is unchanged. So one that is empty now is written like others; where there was
    none, none is made.
    """

    store: Store
    before: Before
    refused: list[str] = field(default_factory=list)

    def __call__(self, key: str, data: Any) -> None:
        self.many([key], EncodedBatch.of_one(data))

    def many(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        store, versions = cast(WritesIfUnchanged, self.store), [self.before.version(key) for key in keys]
        self.refused.extend([keys[i] for i in store.write_if_unchanged(keys, encoded, versions)])

    def delete(self, keys: Sequence[str]) -> None:
        assert not self.before.was_there(keys).any()

    def must_stay(self, keys: Callable[[], Sequence[str]]) -> np.ndarray:
        return self.before.was_there(keys())
