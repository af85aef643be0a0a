"""Small objects that several processes change: read with their versions, and written if nobody else has changed them.

Where the store has no conditional puts (`stores/guards.py`), what they do is guarded by locks alone, or by nothing.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.checks import MAX_DOCUMENT_BYTES
from gpuzarr.errors import StoreError
from gpuzarr.interrupts import within
from gpuzarr.stores.contract import Objects, Store, expect_at_most
from gpuzarr.stores.guards import WritesIfUnchanged, guard
from gpuzarr.stores.ranges import MISSING, Ranges


def read(store: Store, key: str) -> tuple[bytes | None, Any]:
    """A small object, None if it is missing, and its version for `write`."""
    if guard(store) != "versions":
        return store.get(key), None
    while True:
        found = within(store.open([key]), lambda objects: _read(store, key, objects))
        if found is not None:
            return found


def write(store: Store, key: str, data: bytes, version: Any) -> bool:
    """Write a small object if it is still of the version that was read; return False if it is not."""
    if guard(store) != "versions":
        store.set(key, data)
        return True
    encoded = EncodedBatch(np.frombuffer(data, np.uint8), np.zeros(1, np.int64), np.full(1, len(data), np.int64))
    return not len(cast(WritesIfUnchanged, store).write_if_unchanged([key], encoded, [version]))


def create(store: Store, key: str, data: bytes) -> bool:
    """Write a small object if there is none; return False if there is, where the store can tell.

    The caller has looked for it, and found none.
    """
    return write(store, key, data, MISSING)


def _read(store: Store, key: str, objects: Objects) -> tuple[bytes | None, Any] | None:
    """The one object, and its version; None if it was replaced meanwhile."""
    expect_at_most(objects, MAX_DOCUMENT_BYTES)
    (length,) = objects.lengths()
    if length > MAX_DOCUMENT_BYTES:
        problem = f"{length} bytes, and a document has at most {MAX_DOCUMENT_BYTES}"
        raise StoreError(f"{key!r} of {store!r} has {problem}")
    data = None
    if length != MISSING:
        requests = objects.requests(Ranges.whole([key]))
        into = EncodedBatch(np.empty(length, np.uint8), np.zeros(1, np.int64), requests.sizes)
        data = objects.read(requests, into).on_host(0).tobytes()
    (version,) = objects.versions([None])
    if objects.changed():
        return None
    if version is None:
        raise StoreError(f"{key!r} of {store!r} cannot be changed safely: it tells no version, such as an ETag")
    return data, version
