"""Whatever boxes come in whatever order: after `close`, each level is the one below it, reduced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.indexing.selection import Outer
from gpuzarr.pyramids.cascade import Cascade
from gpuzarr.write.coverage import Bounds
from tests.pyramids.reference import reduced_by_max


def levels_of(
    shape: Sequence[int], factors: Sequence[Sequence[int]], chunks: Sequence[int], shards: Any, device: Any
) -> list[gpuzarr.Array]:
    group, made = gpuzarr.group(device=device), []
    for i in range(len(factors) + 1):
        made.append(
            group.create_array(
                str(i), shape=tuple(shape), dtype="uint16", chunks=tuple(chunks), shards=shards, fill_value=0
            )
        )
        if i < len(factors):
            shape = [-(-n // f) for n, f in zip(shape, factors[i], strict=True)]
    return made


def by_max(values: Any, factors: Sequence[int]) -> Any:
    return np.ascontiguousarray(reduced_by_max(np.asarray(values), factors))


def write(cascade: Cascade, bounds: Bounds, values: Any) -> None:
    cascade.write(Outer(tuple(range(a, b) for a, b in bounds)), values)


def check(levels: list[gpuzarr.Array], factors: Sequence[Sequence[int]]) -> None:
    for i, window in enumerate(factors):
        np.testing.assert_array_equal(levels[i + 1][...], reduced_by_max(levels[i][...], window))


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Any]:
    ndim = draw(st.integers(1, 3))
    axis = st.integers(1, 14)
    shape = draw(st.lists(axis, min_size=ndim, max_size=ndim))
    factors = draw(st.lists(st.lists(st.integers(1, 3), min_size=ndim, max_size=ndim), max_size=3))
    chunks = draw(st.lists(st.integers(1, 5), min_size=ndim, max_size=ndim))
    shards = tuple(n * draw(st.integers(1, 3)) for n in chunks) if draw(st.booleans()) else None
    boxes = []
    for _ in range(draw(st.integers(1, 6))):
        spans = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in shape]
        boxes.append(tuple((a, b) if a < b else (0, n) for (a, b), n in zip(spans, shape, strict=True)))
    stops = draw(st.lists(st.integers(0, 6), max_size=2))
    limit = draw(st.sampled_from([1, 60, 1 << 20]))
    return {
        "shape": shape,
        "factors": factors,
        "chunks": chunks,
        "shards": shards,
        "boxes": boxes,
        "stops": stops,
        "limit": limit,
    }


@given(runs())
@settings(max_examples=150, deadline=None)
def test_levels_follow_what_is_written(run: dict[str, Any]) -> None:
    levels = levels_of(run["shape"], run["factors"], run["chunks"], run["shards"], "cpu")
    cascade = Cascade(levels, run["factors"], by_max, 1 << 20, run["limit"])
    expected = np.zeros(run["shape"], "uint16")
    for i, bounds in enumerate(run["boxes"]):
        values = np.random.default_rng(i).integers(0, 1 << 16, [b - a for a, b in bounds]).astype("uint16")
        write(cascade, bounds, values)
        expected[tuple(slice(a, b) for a, b in bounds)] = values
        if i in run["stops"]:
            cascade.close()
            check(levels, run["factors"])
    cascade.close()
    np.testing.assert_array_equal(levels[0][...], expected)
    check(levels, run["factors"])


@pytest.mark.parametrize("shards", [None, (16, 16)])
def test_nothing_is_read_back_and_each_chunk_is_written_once(shards: Any) -> None:
    factors = [(2, 2)] * 3
    store: dict[str, Any] = {}

    class Counted(dict):  # type: ignore[type-arg]
        def __setitem__(self, key: str, value: Any) -> None:
            store[key] = store.get(key, 0) + 1
            super().__setitem__(key, value)

        def __getitem__(self, key: str) -> Any:
            assert "/c/" not in key, f"{key} was read"
            return super().__getitem__(key)

    group = gpuzarr.group(Counted())
    levels = [
        group.create_array(
            str(i), shape=(64 >> i, 64 >> i), dtype="uint16", chunks=(8, 8), shards=shards if i < 2 else None
        )
        for i in range(4)
    ]
    cascade = Cascade(levels, factors, by_max, 1 << 20, 1 << 20)
    for y in range(0, 64, 8):
        for x in range(0, 64, 16):
            write(cascade, ((y, y + 8), (x, x + 16)), np.full((8, 16), x + y + 1, "uint16"))
    cascade.close()
    assert {count for key, count in store.items() if "/c/" in key} == {1}
