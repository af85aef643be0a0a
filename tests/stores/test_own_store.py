"""Arrays in a store of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import gpuzarr
from tests.stores.own_store import OwnStore


@pytest.mark.parametrize("shards", [None, (8, 8)])
def test_arrays_are_written_and_read(shards: tuple[int, int] | None) -> None:
    store, values = OwnStore(), np.arange(400, dtype="f4").reshape(20, 20)
    a = gpuzarr.create_array(store, name="a", data=values, chunks=(4, 4), shards=shards, device="cpu")
    a[3:9, 5] = 7
    values[3:9, 5] = 7
    for _ in range(2):  # the second read knows the indexes of shards
        again = gpuzarr.open_array(store, path="a", device="cpu")
        np.testing.assert_array_equal(again[...], values)
        np.testing.assert_array_equal(again[2:17:3, ::-1], values[2:17:3, ::-1])
    assert store.names("") == ["a", "zarr.json"] and dict(store.objects("a"))["a/zarr.json"] > 0


def test_an_index_of_a_shard_that_was_replaced_is_read_again() -> None:
    store = OwnStore()
    made = {"shape": (8,), "dtype": "i4", "chunks": (2,), "shards": (8,), "device": "cpu"}
    a = gpuzarr.create_array(store, **made)
    for i in range(3):
        a[...] = np.arange(8) * 10**i
        assert a[5:7].tolist() == [5 * 10**i, 6 * 10**i]
