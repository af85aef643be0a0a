"""Levels are the exact ones of `gpuzarr.ome.downsample`, however they are cut, and are written shard by shard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.integrations.iohub import GpuZarrConfig, GpuZarrImplementation, downsampling
from gpuzarr.pyramids.levels import reduced
from tests.conftest import examples

METHODS = ("mean", "median", "mode", "min", "max", "stride")
OURS = {"stride": "nearest"}


@st.composite
def tasks(draw):
    """A source with its chunks, factors, and the chunks and shards of a target."""
    ndim = draw(st.integers(1, 4))
    vector = lambda low, high: tuple(draw(st.lists(st.integers(low, high), min_size=ndim, max_size=ndim)))  # noqa: E731
    shape, factors = vector(1, 12), vector(1, 3)
    chunks, target_chunks, ratio = vector(1, 6), vector(1, 4), draw(st.none() | st.just(vector(1, 3)))
    shards = ratio and tuple(n * times for n, times in zip(target_chunks, ratio, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.integers(0, 9, shape).astype(draw(st.sampled_from(["uint8", "int32", "uint16", "float32"])))
    return values, chunks, factors, target_chunks, shards


def made(values, chunks, factors, target_chunks, shards, **options):
    source = gpuzarr.array(values, chunks=chunks, **options)
    shape = reduced(values.shape, factors)
    target = gpuzarr.full(shape, 99, dtype=values.dtype, chunks=target_chunks, shards=shards, **options)
    return source, target


@given(tasks(), st.sampled_from(METHODS), st.integers(1, 300))
@settings(max_examples=examples(40))
def test_levels_are_exact_however_they_are_cut(task, method, piece_bytes):
    values, factors = task[0], list(task[2])
    source, target = made(*task, device="cpu")
    ours = GpuZarrImplementation(GpuZarrConfig(device="cpu"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(downsampling, "PIECE_BYTES", piece_bytes)
        ours.downsample(source, target, factors, method)
    expected = gpuzarr.ome.downsample(values, factors, OURS.get(method, method))
    np.testing.assert_array_equal(target[...], expected)


@given(tasks(), st.sampled_from(METHODS), st.randoms())
@settings(max_examples=examples(40))
def test_regions_one_by_one_are_the_whole(task, method, random):
    values, factors = task[0], list(task[2])
    source, target = made(*task, device="cpu")
    ours = GpuZarrImplementation(GpuZarrConfig(device="cpu"))
    regions = ours.iter_work_regions(target)
    assert sum(np.zeros(target.shape, "u1")[region].size for region in regions) == target.size
    random.shuffle(regions)
    for region in regions:
        ours.downsample_region(source, target, region, factors, method)
    expected = gpuzarr.ome.downsample(values, factors, OURS.get(method, method))
    np.testing.assert_array_equal(target[...], expected)


@pytest.mark.parametrize("method", METHODS)
def test_on_every_device(device, method):
    values = np.random.default_rng(0).integers(0, 999, (3, 13, 22)).astype("uint16")
    source, target = made(values, (1, 8, 8), (1, 2, 2), (1, 4, 4), (3, 8, 8), device=device)
    GpuZarrImplementation(GpuZarrConfig(device=device)).downsample(source, target, [1, 2, 2], method)
    result = GpuZarrImplementation(GpuZarrConfig(device="cpu")).read(gpuzarr.open(target.store, device="cpu"), ...)
    np.testing.assert_array_equal(result, gpuzarr.ome.downsample(values, (1, 2, 2), OURS.get(method, method)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64"])
def test_values_are_those_of_tensorstore(method, dtype):
    ts = pytest.importorskip("tensorstore")
    values = np.random.default_rng(1).integers(0, 9, (2, 11, 14)).astype(dtype)
    source, target = made(values, (1, 8, 8), (1, 2, 3), (1, 4, 4), None, device="cpu")
    GpuZarrImplementation().downsample(source, target, [1, 2, 3], method)
    expected = ts.downsample(ts.array(values), [1, 2, 3], method).read().result()
    np.testing.assert_array_equal(target[...], expected)


def test_pieces_are_bounded_and_no_chunk_is_read_twice(monkeypatch):
    reads = []
    read = gpuzarr.Array.__getitem__
    monkeypatch.setattr(gpuzarr.Array, "__getitem__", lambda a, s: reads.append(read(a, s)) or reads[-1])
    monkeypatch.setattr(downsampling, "PIECE_BYTES", 1 << 12)
    values = np.zeros((4, 64, 64), "uint16")
    source, target = made(values, (1, 16, 16), (1, 2, 2), (1, 8, 8), (4, 32, 32), device="cpu")
    GpuZarrImplementation().downsample(source, target, [1, 2, 2])
    assert len(reads) >= values.nbytes >> 12 and max(each.nbytes for each in reads) <= 1 << 12
    assert sum(each.nbytes for each in reads) == values.nbytes


def test_shards_are_written_once(monkeypatch):
    monkeypatch.setattr(downsampling, "PIECE_BYTES", 1 << 12)
    values = np.random.default_rng(0).integers(0, 999, (4, 64, 64)).astype("uint16")
    source = gpuzarr.array(values, chunks=(1, 16, 16))

    class Counting(dict):
        sets = ()

        def __setitem__(self, key, value):
            self.sets += (key,)
            super().__setitem__(key, value)

    store = Counting()
    target = gpuzarr.create_array(store, shape=(4, 32, 32), dtype="uint16", chunks=(1, 8, 8), shards=(4, 32, 32))
    store.sets = ()
    GpuZarrImplementation().downsample(source, target, [1, 2, 2])
    assert store.sets == ("c/0/0/0",)
    np.testing.assert_array_equal(target[...], gpuzarr.ome.downsample(values, (1, 2, 2)))


def test_what_lies_outside_of_the_region_stays():
    source, target = made(np.ones((8, 8), "uint8"), (4, 4), (2, 2), (2, 2), (4, 4), device="cpu")
    GpuZarrImplementation().downsample_region(source, target, (slice(1, 3), slice(0, 1)), [2, 2])
    assert (target[...] == 1).sum() == 2 and target[1, 0] == target[2, 0] == 1


def test_a_target_may_lack_the_last_windows():
    """As levels of older versions do, which are rounded down."""
    source = gpuzarr.array(np.arange(9))
    target = gpuzarr.zeros(4, dtype="int64")
    GpuZarrImplementation().downsample(source, target, [2], "max")
    assert target[...].tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("factors", "method", "text"),
    [
        ([2, 2], "mean", "factors"),
        ([3], "mean", "factors"),
        ([0], "mean", "factors"),
        ([2.0], "mean", "factors"),
        ([2], "sum", "method"),
        ([2], None, "method"),
    ],
)
def test_what_makes_no_sense(factors, method, text):
    source, target = gpuzarr.array(np.arange(8)), gpuzarr.zeros(4, dtype="int64")
    with pytest.raises(ValueError, match=text):
        GpuZarrImplementation().downsample(source, target, factors, method)
    assert not target[...].any()


def test_regions_with_steps_are_refused():
    source, target = gpuzarr.array(np.arange(8)), gpuzarr.zeros(4, dtype="int64")
    with pytest.raises(ValueError, match="steps"):
        GpuZarrImplementation().downsample_region(source, target, (slice(0, 4, 2),), [2])
