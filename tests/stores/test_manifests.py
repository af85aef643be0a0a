"""Numbers of chunks by their keys, many at once."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.stores.parts import manifests
from tests.conftest import examples

parts = st.sampled_from(["a/", "0", "1", "2", "10", "01", ".", "/", "\n", "x", "", "a/0.0", "a/1.2", "\na/1.1"])
keys = st.lists(st.lists(parts, max_size=5).map("".join), max_size=30)


def number(key: str, start: str, separator: str, grid: tuple[int, ...]) -> int:
    """As the specification says it, key by key."""
    rest = key[len(start) :].split(separator) if key.startswith(start) else []
    if len(rest) != len(grid) or not all(re.fullmatch("0|[1-9][0-9]*", each) for each in rest):
        return -1
    place = tuple(map(int, rest))
    is_inside = all(each < size for each, size in zip(place, grid, strict=True))
    return int(np.ravel_multi_index(place, grid)) if is_inside else -1


@settings(max_examples=examples(300), deadline=None)
@given(keys, st.sampled_from([("a/", ".", (2, 3)), ("a/", "/", (11, 2)), ("", ".", (3,)), ("a/c/", "/", (2, 2, 2))]))
def test_numbers_are_those_of_each_key(keys: list[str], how: tuple[str, str, tuple[int, ...]]) -> None:
    assert manifests.numbers(keys, *how).tolist() == [number(key, *how) for key in keys]


def test_names_are_the_other_way() -> None:
    grid = (3, 4, 5)
    found = manifests.names(np.arange(60), grid)
    assert manifests.numbers([f"x/{name}" for name in found], "x/", ".", grid).tolist() == list(range(60))
    assert manifests.names(np.arange(1), ()) == ["0"]
