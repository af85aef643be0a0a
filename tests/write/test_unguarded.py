"""Warnings of changes that another process could make to be lost, and what explanations say of it."""

from __future__ import annotations

import warnings
from collections import UserDict
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import gpuzarr
from gpuzarr.errors import UnguardedWriteWarning
from tests.stores.own_store import OwnStore
from tests.write.many_writers import Unguarded


class Shared(UserDict):  # type: ignore[type-arg]
    """A mapping that says nothing of who else has its objects."""


SHARDED = {"chunks": 4, "shards": 8}


def made(store: Any, **options: Any) -> gpuzarr.Array:
    return gpuzarr.create_array(store, shape=16, dtype="i4", **{"chunks": 4, **options})


@pytest.mark.parametrize("options", [{}, SHARDED])
def test_the_first_change_of_a_part_warns(options: Any) -> None:
    store = Shared()
    a = made(store, name="one", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a[...] = 1
        a[:8] = 2
    with pytest.warns(UnguardedWriteWarning, match=r"'one/c/0' of MappingStore\(Shared at .*safe") as caught:
        a[1] = 3
    assert caught[0].filename == __file__ and len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a[2] = 3
        gpuzarr.open(store, "one", mode="r+")[9] = 3
    with pytest.warns(UnguardedWriteWarning):
        made(store, name="other", **options)[1] = 3


def test_shards_that_a_writer_leaves_open_warn() -> None:
    a = made(Shared(), **SHARDED)
    with pytest.warns(UnguardedWriteWarning), a.writer() as w:
        w[:4] = 1


def quiet(tmp_path: Path) -> list[Any]:
    return [{}, "memory://quiet", tmp_path, OwnStore(), Unguarded(), fsspec.get_mapper("memory://quiet")]


@pytest.mark.parametrize("number", range(6))
def test_where_nothing_can_be_lost_nobody_is_warned(number: int, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnguardedWriteWarning)
        a = made(quiet(tmp_path)[number], overwrite=True)
        a[1:7] = 3
        np.testing.assert_array_equal(a[:8], [0, 3, 3, 3, 3, 3, 3, 0])


def test_who_says_that_nobody_else_writes_is_not_warned() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnguardedWriteWarning)
        a = made(Shared(), config={"safe": False})
        a[1] = 3
    assert a.explain_write(1).guard == a.last_write.asdict()["guard"] == "none"


@pytest.mark.parametrize(
    ("store", "guard", "text"),
    [
        ({}, "alone", "under 2 locks"),
        (None, "processes", "under 2 locks, between processes"),
        (OwnStore(), "versions", "once more where another process has replaced one"),
        (Shared(), "threads", "what other processes change meanwhile is lost"),
    ],
)
def test_what_guards_is_told(store: Any, guard: str, text: str, tmp_path: Path) -> None:
    a = made(tmp_path if store is None else store)
    found = a.explain_write(slice(1, 7))
    assert found.guard == found.asdict()["guard"] == guard and found.locks == 2
    assert text in str(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnguardedWriteWarning)
        a[1:7] = 5
    assert a.last_write.asdict()["guard"] == guard and text.partition(",")[0].strip() in str(a.last_write)
