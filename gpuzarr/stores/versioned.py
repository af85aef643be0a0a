"""Small objects that several processes change: read with their versions, and written if nobody else has changed them.

Where the store has no conditional puts (`stores/guards.py`), what they do is guarded by locks alone, or by nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import Objects, Store
from gpuzarr.stores.documents import document
from gpuzarr.stores.guards import WritesIfUnchanged, guard
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.tries import unchanged


def read(store: Store, key: str) -> tuple[bytes | None, Any]:
    """A small object, None if it is missing, and its version for `write`."""
    if guard(store) != "versions":
        return store.get(key), None
    return unchanged(store, key, partial(_read, store, key))


def write(store: Store, key: str, data: bytes, version: Any) -> bool:
    """Write a small object if it is still of the version that was read; return False if it is not."""
    if guard(store) != "versions":
        store.set(key, data)
        return True
    return not len(cast(WritesIfUnchanged, store).write_if_unchanged([key], EncodedBatch.of_one(data), [version]))


def create(store: Store, key: str, data: bytes) -> bool:
    """Write a small object if there is none; return False if there is, where the store can tell.

    The caller has looked for it, and found none.
    """
    return write(store, key, data, MISSING)


def _read(store: Store, key: str, objects: Objects) -> tuple[bytes | None, Any] | None:
    """The one object, and its version; None if it was replaced meanwhile."""
    data = document(store, key, objects)
    (version,) = objects.versions([None])
    if objects.changed():
        return None
    if version is None:
        raise StoreError(f"{key!r} of {store!r} cannot be changed safely: it tells no version, such as an ETag")
    return data, version
