"""Documents: read whole, of one version, and only if they are small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gpuzarr import StoreError
from gpuzarr.stores import documents, versioned
from gpuzarr.stores.remote.store import RemoteStore
from tests.stores.counting_client import CountingClient
from tests.stores.own_store import OwnObjects, OwnStore


@pytest.mark.parametrize("read", [versioned.read, documents.unchanged_document])
def test_what_is_replaced_all_the_time_is_not_read_for_ever(
    read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OwnStore()
    store.set("a", b"1")
    assert read(store, "a") in ((b"1", store.values["a"][0]), b"1")
    monkeypatch.setattr(OwnObjects, "changed", lambda self: True)
    with pytest.raises(StoreError, match=r"'a' of .* is replaced faster than it can be read"):
        read(store, "a")


def test_what_is_too_large_for_a_document_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("documents", "remote.store"):
        monkeypatch.setattr(f"gpuzarr.stores.{module}.MAX_DOCUMENT_BYTES", 10)
    for store in (OwnStore(), RemoteStore(CountingClient())):
        store.set("a", bytes(11))
        store.set("b", bytes(10))
        assert documents.unchanged_document(store, "b") == bytes(10)
        reads: list[Callable[..., Any]] = [documents.unchanged_document, versioned.read]
        for read in [*reads, RemoteStore.get][: 3 if isinstance(store, RemoteStore) else 2]:
            with pytest.raises(StoreError, match=r"'a' of .* has 11 bytes, and a document has at most 10"):
                read(store, "a")
