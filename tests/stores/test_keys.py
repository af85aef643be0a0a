"""Keys of objects: what is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ArgumentError, StoreError
from gpuzarr.stores.keys import check, is_key, listed_keys, only_keys
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.remote.obstore_client import of_url
from gpuzarr.stores.remote.store import RemoteStore
from tests.stores.counting_client import remote

names = st.text(st.sampled_from("a./\0c"), max_size=5)


def is_plain(key: str) -> bool:
    return "\0" not in key and all(part not in ("", ".", "..") for part in key.split("/"))


@given(st.lists(names, max_size=4))
def test_many_keys_are_checked_as_one_by_one(keys: list[str]) -> None:
    assert [is_key(key) for key in keys] == [is_plain(key) for key in keys]
    assert only_keys([*keys, None, 3]) == [key for key in keys if is_plain(key)]
    if all(map(is_plain, keys)):
        check("a store", keys)
    else:
        with pytest.raises(StoreError, match="is not the key of an object of 'a store'"):
            check("a store", keys)


ODD = {"./zarr.json": b"{}", "a//c": b"x", "/abs": b"x", "folder/": b"", "..": b"x", "a\0b/zarr.json": b"{}", "": b"x"}


@pytest.mark.parametrize("kind", ["mapping", "remote"])
def test_what_lies_under_odd_keys_is_not_listed_and_goes_with_the_rest(kind: str) -> None:
    values: dict[str, bytes] = {}
    gpuzarr.save_group(values, a=[1, 2])
    given: Any = {**values, **ODD}
    store: Any = MappingStore(given)
    if kind == "remote":
        store, client = remote(values={key: (1, value) for key, value in given.items()})
        given = client.values
    assert sorted(listed_keys(store, "")) == sorted(key for key, _ in store.objects("")) == sorted(values)
    g = gpuzarr.open_group(store, mode="r+")
    assert g.keys() == ["a"] and g["a"][1] == 2
    store.delete_prefix("")
    assert not given or set(given) == {""}


@pytest.mark.parametrize("path", ["a\0b", "\0", "a/../b", ".", "a/./b", 7, None, b"a"])
def test_no_paths_of_nodes(path: Any) -> None:
    g = gpuzarr.group()
    for attempt in (g.__getitem__, g.get, g.create_group, lambda path: gpuzarr.open(g.store, path=path or 0)):
        with pytest.raises(ArgumentError):
            attempt(path)


def test_what_has_no_bytes_is_no_key_of_a_server() -> None:
    """Before a request is made: obstore has errors of other kinds for it."""
    pytest.importorskip("obstore")
    store = RemoteStore(of_url("s3://b", {"region": "x", "skip_signature": True}))
    calls: list[Callable[[str], Any]] = [store.get, store.names, store.delete_prefix]
    for call in (*calls, lambda key: list(store.objects(key))):
        with pytest.raises(StoreError, match="no bytes in UTF-8"):
            call("a/\ud800")
    with pytest.raises(StoreError, match="no bytes in UTF-8"):
        store.delete(["\udc80"])
