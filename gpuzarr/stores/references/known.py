"""Tables that are in use, so that what is opened twice, or copied by pickle, is read and kept once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from gpuzarr.per_process import PerProcess
from gpuzarr.stores.contract import Store
from gpuzarr.stores.identity import hashable
from gpuzarr.stores.versions import versions

T = TypeVar("T")


class Tables:
    """Tables by what they were made of."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[Any, Any] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, key: Any) -> Any:
        with self._lock:
            return self._known.get(key)

    def add(self, key: Any, table: Any) -> Any:
        with self._lock:
            return self._known.setdefault(key, table)


_TABLES = PerProcess(Tables)


def version_of(store: Store, key: str) -> Any:
    """The version of an object as it is now; None where the store cannot tell."""
    return versions(store, [key])[0]


def once(kind: str, store: Store, key: str, options: Any, make: Callable[[Any], T]) -> T:
    """The table of what is at `key` of a store: `make(version)`, or the one that was made of the same version before.

    `kind` names what makes it; `options`: what it depends on beside that.
    """
    version = version_of(store, key)
    if version is None:  # the store cannot tell
        return make(None)
    place = kind, hashable(store), key, repr((options, version))
    known = _TABLES.value.get(place)
    return _TABLES.value.add(place, make(version)) if known is None else known
