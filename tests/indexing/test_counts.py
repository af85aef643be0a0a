"""Counting the chunks of a selection says what planning it finds; an explanation that planned only a sample says it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.indexing import counts
from gpuzarr.indexing.grid import parts
from gpuzarr.indexing.selection import Outer
from gpuzarr.metadata import RectilinearAxis, RegularAxis
from tests import nasty
from tests.conftest import examples


@st.composite
def axes(draw):
    length = draw(st.integers(0, 30))
    if draw(st.booleans()):
        return RegularAxis(length, draw(st.integers(1, 35)))
    edges = [0]
    while edges[-1] < length:
        edges.append(edges[-1] + draw(st.integers(1, 9)))
    return RectilinearAxis(length, tuple(edges))


@st.composite
def selections(draw):
    grid = tuple(draw(axes()) for _ in range(draw(st.integers(1, 3))))
    indices = []
    for axis in grid:
        if draw(st.booleans()):
            bounds = st.integers(0, axis.length)
            indices.append(range(*slice(draw(bounds), draw(bounds), draw(st.integers(1, 12))).indices(axis.length)))
        else:
            some = st.lists(st.integers(0, axis.length - 1), max_size=9) if axis.length else st.just([])
            indices.append(np.array(draw(some), np.int64))
    return Outer(tuple(indices)), grid


@settings(max_examples=examples(300))
@given(selections())
def test_counts_are_those_of_the_parts(drawn):
    selection, grid = drawn
    found = list(parts(selection, grid, (0,) * len(grid)))
    chunks = sum(map(len, found))
    elements = sum(len(part) * int(np.prod(part.chunk_shape)) for part in found)
    covered = sum(len(part) for part in found if part.covers(grid))
    singly = sum(one.covers(grid) for part in found for one in part.split(1))
    said = counts.touched(selection, grid)
    assert (said.chunks, said.elements) == (chunks, elements)
    assert said.covered == singly >= covered


@pytest.mark.parametrize("kind", ["plain", "shards", "shards within", "irregular"])
@pytest.mark.parametrize("select", [..., slice(1, None), slice(1, None, 2), (slice(None), [0, 2, 3]), slice(2, 1)])
def test_an_explanation_of_a_sample_says_what_a_whole_one_says(kind, select, thresholds):
    a = gpuzarr.open(dict(nasty.STORES[kind]), device="cpu", mode="r+")
    whole = a.explain(select).asdict(), a.explain_write(select).asdict()
    thresholds("gpuzarr.indexing", MAX_SAMPLED_BLOCKS=1, MAX_SAMPLED_CHUNKS=1)
    sample = a.explain(select).asdict(), a.explain_write(select).asdict()
    for one, other in zip(whole, sample, strict=True):
        vague = {"batches", "planned_bytes", "work", "io", "prefetch_depth", "write_behind_depth"}
        assert {k: v for k, v in one.items() if k not in vague} == {k: v for k, v in other.items() if k not in vague}
