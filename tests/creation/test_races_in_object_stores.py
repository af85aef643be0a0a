"""Several who make and change nodes in a store without locks, but with conditional puts: nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

import gpuzarr
from tests.write.many_writers import Unlocked


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What calls return that threads make at the same time, or the errors of gpuzarr that they raise."""

    def result(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except gpuzarr.GpuZarrError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(result, calls))


def create(store: Unlocked, name: str, zarr_format: int = 3, dtype: str = "i4", **options: Any) -> gpuzarr.Array:
    return gpuzarr.create_array(store, name=name, shape=4, chunks=2, dtype=dtype, zarr_format=zarr_format, **options)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_of_creators_of_different_arrays_one_wins(zarr_format: int) -> None:
    for _ in range(10):
        store = Unlocked()
        kinds = ["i4", "f8"] * 2
        made = at_once([partial(create, store, "a/b", zarr_format, kind) for kind in kinds])
        winner = gpuzarr.open(store)["a/b"].dtype
        for kind, result in zip(kinds, made, strict=True):
            if kind == winner:
                assert isinstance(result, gpuzarr.Array)
            else:
                assert isinstance(result, gpuzarr.ExistsError)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_members_made_at_once_are_all_there(zarr_format: int) -> None:
    for _ in range(5):
        store = Unlocked()
        gpuzarr.create_group(store, zarr_format=zarr_format)
        gpuzarr.consolidate_metadata(store, zarr_format=zarr_format)
        made = at_once([partial(create, store, f"g/a{i}", zarr_format) for i in range(6)])
        assert all(isinstance(one, gpuzarr.Array) for one in made), made
        names = [f"a{i}" for i in range(6)]
        for group in (gpuzarr.open_group(store, mode="r"), gpuzarr.open_consolidated(store)):
            assert sorted(group["g"].array_keys()) == names


def test_attributes_changed_at_once_are_all_there() -> None:
    store = Unlocked()
    create(store, "a")
    each = [gpuzarr.open_array(store, path="a", mode="r+") for _ in range(8)]
    results = at_once([lambda i=i, a=a: a.attrs.update({str(i): i}) for i, a in enumerate(each)])
    assert results == [None] * 8
    assert dict(gpuzarr.open(store, "a").attrs) == {str(i): i for i in range(8)}


def test_appended_at_once_is_all_there() -> None:
    """Each gets a place of its own, also in the chunk that two of them share."""
    store = Unlocked()
    gpuzarr.create_array(store, shape=1, chunks=4, dtype="i4")
    each = [gpuzarr.open_array(store, mode="r+") for _ in range(6)]
    results = at_once([lambda i=i, a=a: a.append(np.full(3, i + 1, "i4")) for i, a in enumerate(each)])
    assert sorted(results) == [(4 + 3 * i,) for i in range(6)], results
    assert sorted(gpuzarr.open(store)[...]) == [0, *np.repeat(np.arange(1, 7), 3)]
