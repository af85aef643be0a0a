"""The census of `gpuzarr.tools.check`, beside the same counts made chunk by chunk."""

from __future__ import annotations

import statistics

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.tools import check
from tests.conftest import examples


@settings(max_examples=examples(30), deadline=None)
@given(data=st.data())
def test_as_counted_one_by_one(data):
    """Chunks of random arrays: those that are there, their bytes, along each axis; in shards or without."""
    shape = tuple(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    chunks = tuple(data.draw(st.integers(1, 3)) for _ in shape)
    shards = tuple(c * data.draw(st.integers(1, 3)) for c in chunks) if data.draw(st.booleans()) else None
    store = {}
    a = gpuzarr.create_array(store, shape=shape, chunks=chunks, shards=shards, dtype="u2", compressors=["zstd"])
    grid = tuple(-(-n // c) for n, c in zip(shape, chunks, strict=True))
    present = data.draw(st.sets(st.sampled_from(list(np.ndindex(*grid)))))
    for place in present:
        spans = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(place, chunks, shape, strict=True))
        part = np.zeros([s.stop - s.start for s in spans], "u2")
        part[...] = np.arange(1, part.size + 1).reshape(part.shape) * data.draw(st.sampled_from([0, 1])) + 1
        a[spans] = part
    census = check(store, census=True).arrays[0]
    assert (census.chunks, census.present) == (int(np.prod(grid)), len(present))
    keys = [key for key in store if key != "zarr.json"]
    assert (census.objects, census.object_bytes) == (len(keys), sum(len(store[key]) for key in keys))
    assert census.decoded_bytes == len(present) * int(np.prod(chunks)) * 2
    for axis, found in enumerate(census.axes):
        assert found.present == [sum(p[axis] == i for p in present) for i in range(grid[axis])]
        assert found.chunks == int(np.prod(grid)) // grid[axis] and sum(found.stored_bytes) == census.stored_bytes
    if shards is None:
        sizes = sorted(len(store[key]) for key in keys)
        assert census.stored_bytes == sum(sizes)
        if sizes:
            ends = (sizes[0], statistics.median_low(sizes), sizes[-1])
            assert (census.min_bytes, census.median_bytes, census.max_bytes) == ends
    else:
        index = 16 * int(np.prod([s // c for s, c in zip(shards, chunks, strict=True)])) + 4
        assert census.stored_bytes <= census.object_bytes - index * len(keys)  # what was replaced may stay in a shard


def test_ratios():
    store = {}
    a = gpuzarr.create_array(store, shape=(4, 4), chunks=(2, 2), dtype="u2", compressors=None)
    a[:2, :2] = 1
    census = check(store, census=True).arrays[0]
    assert census.ratio == 1.0 and [axis.ratios() for axis in census.axes] == [[1.0, None], [1.0, None]]
    assert check({"zarr.json": store["zarr.json"]}).arrays[0].ratio is None


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=50))
def test_the_median_is_exact_to_1_in_2048(sizes):
    from gpuzarr.tools.census import Counting

    layout = gpuzarr.zeros((1000,), chunks=(1,), store={}).layout
    counting = Counting("", layout)
    for part in (sizes[:7], sizes[7:]):
        counting.add(np.zeros((len(part), 1), np.int64), np.array(part, np.int64))
    median, found = statistics.median_low(sizes), counting.result().median_bytes
    assert found <= median <= found * (1 + 1 / 2048)
