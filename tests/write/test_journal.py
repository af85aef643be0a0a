"""The journal of a writer says which shards are done; what is left after an interruption is what is missing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.stores.hidden import JOURNAL
from gpuzarr.write.coverage import Coverage, common, volume
from gpuzarr.write.journal import Journal


@st.composite
def boxes(draw: st.DrawFn) -> list[tuple[tuple[int, int], ...]]:
    ndim = draw(st.integers(0, 3))
    spans = st.tuples(st.integers(0, 8), st.integers(1, 4)).map(lambda span: (span[0], span[0] + span[1]))
    return draw(st.lists(st.tuples(*[spans] * ndim), min_size=1, max_size=12))


@given(boxes())
@settings(deadline=None)
def test_coverage_counts_elements(some: list[Any]) -> None:
    whole = ((0, 12),) * len(some[0])
    covered, mask = Coverage(whole), np.zeros((12,) * len(some[0]), bool)
    for box in some:
        covered.add(box)
        mask[tuple(slice(a, b) for a, b in box)] = True
        assert covered.left == mask.size - np.count_nonzero(mask)
        assert sum(map(volume, covered.boxes)) == np.count_nonzero(mask)
        assert not any(common(a, b) for i, a in enumerate(covered.boxes) for b in covered.boxes[:i] if a)


def made(store: Any, shards: Any = (4, 4)) -> gpuzarr.Array:
    return gpuzarr.create_array(store, shape=(10, 9), dtype="int32", chunks=(2, 2), shards=shards, fill_value=0)


@pytest.mark.parametrize("shards", [(4, 4), None])
def test_what_is_background_is_done(tmp_path: Any, shards: Any) -> None:
    a = made(tmp_path / "a", shards)
    everything = a.missing_shards()
    assert len(everything) == len(a.shard_slices(0, 1)) * a.layout.grid(0)[1]
    with a.writer(resume=True) as w:
        w[:4] = np.zeros((4, 9), "int32")
    assert [key for key, _ in a.store.objects("")] == ["zarr.json"]
    assert a.missing_shards() == [region for region in everything if region[0].start >= 4]
    with a.writer(resume=True) as w:
        for region in a.missing_shards():
            w[region] = np.ones((1, 1), "int32")
    assert a.missing_shards() == []
    assert (a[:4] == 0).all() and (a[4:] == 1).all()


def test_a_shard_counts_when_it_is_in_the_store(tmp_path: Any) -> None:
    a = made(tmp_path / "a")
    w = a.writer(resume=True)
    w[:4, :4] = np.ones((4, 4), "int32")
    w[4:6, :4] = np.ones((2, 4), "int32")  # half of a shard
    w.flush()
    left = a.missing_shards()
    assert (slice(0, 4), slice(0, 4)) not in left and (slice(4, 8), slice(0, 4)) in left
    w[6:8, :4] = np.ones((2, 4), "int32")
    w.close()
    assert (slice(4, 8), slice(0, 4)) not in a.missing_shards()


def test_regions_of_workers(tmp_path: Any) -> None:
    a = made(tmp_path / "a")
    a[:4] = 1
    parts = [a.missing_shards(rank, 3) for rank in range(3)]
    assert sorted((region for part in parts for region in part), key=str) == sorted(a.missing_shards(), key=str)
    with pytest.raises(gpuzarr.errors.ArgumentError):
        a.missing_shards(3, 3)


def test_journals_of_several_processes_are_one(tmp_path: Any) -> None:
    a = made(tmp_path / "a")
    one, other = (Journal(a.store, a.path, a.layout) for _ in range(2))
    one.note((0, 0))
    other.note((2, 1))
    one.save()
    other.save()
    found = Journal(a.store, a.path, a.layout).done
    assert np.argwhere(found).tolist() == [[0, 0], [2, 1]]
    one.forget()
    assert not Journal(a.store, a.path, a.layout).exists


def test_nobody_lists_it(tmp_path: Any) -> None:
    group = gpuzarr.open_group(tmp_path / "g", mode="w")
    a = group.create_array("a", shape=(4,), chunks=(2,), dtype="int8")
    with a.writer(resume=True) as w:
        w[:] = np.ones(4, "int8")
    assert (tmp_path / "g" / "a" / JOURNAL).exists()
    assert list(group) == ["a"] and len(list(a.store.objects("a"))) == 3 and a.nchunks_initialized == 2
    b = group.create_array("a", shape=(4,), chunks=(2,), dtype="int8", overwrite=True)
    assert len(b.missing_shards()) == 2
    del group["a"]
    assert not (tmp_path / "g" / "a").exists()


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b"{" * 2000, b'{"journal_format": 1, "shape": [10, 9], "grid": 3, "layout": "", "done": "x"}'],
)
def test_a_damaged_journal_counts_as_none(tmp_path: Any, text: bytes) -> None:
    a = made(tmp_path / "a")
    a.store.set(JOURNAL, text)
    assert not Journal(a.store, a.path, a.layout).exists


def test_a_journal_of_another_shape_counts_as_none(tmp_path: Any) -> None:
    a = made(tmp_path / "a")
    with a.writer(resume=True) as w:
        w[...] = np.ones((10, 9), "int32")
    said = json.loads(a.store.get(JOURNAL))
    assert said["grid"] == [3, 3]
    a.resize(20, 9)
    assert not Journal(a.store, a.path, a.layout).exists
