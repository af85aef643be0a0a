"""Documents: small objects, such as metadata, that are read whole."""

from __future__ import annotations

from functools import partial

from gpuzarr.checks import MAX_DOCUMENT_BYTES
from gpuzarr.errors import NoMemoryError, StoreError
from gpuzarr.stores.contract import Objects, Store, expect_at_most
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.tries import unchanged


def too_large(store: object, key: str, nbytes: int | None) -> StoreError:
    """The error for an object that is too large for a document."""
    return StoreError(f"{key!r} of {store!r} has {nbytes} bytes, and a document has at most {MAX_DOCUMENT_BYTES}")


def document(store: object, key: str, objects: Objects) -> bytes | None:
    """The only one of some objects, `key`; None if it is missing. StoreError where it is too large for a document."""
    expect_at_most(objects, MAX_DOCUMENT_BYTES)
    (length,) = objects.lengths()
    if length == MISSING:
        return None
    if length > MAX_DOCUMENT_BYTES:
        raise too_large(store, key, length)
    try:
        data = bytearray(length)
        if length:
            objects.reader([(0, 0, length, 0, length)])(0, memoryview(data))
        return bytes(data)
    except MemoryError as error:
        raise NoMemoryError(f"no memory for the {length} bytes of {key!r} of {store!r}") from error


def unchanged_document(store: Store, key: str) -> bytes | None:
    """A document that is all of one version; None if it is missing."""
    return unchanged(store, key, partial(_document, store, key))[0]


def _document(store: Store, key: str, objects: Objects) -> tuple[bytes | None] | None:
    """The document; None where it was replaced meanwhile."""
    try:
        found = document(store, key, objects)
    except StoreError:
        if objects.changed():
            return None
        raise
    return None if objects.changed() else (found,)
