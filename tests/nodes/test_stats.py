"""`gpuzarr.stats`: what NumPy says of the whole array, in one pass."""

import json
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import gpuzarr
from gpuzarr.devices.cpu import Cpu
from gpuzarr.errors import ArgumentError, ChunkError, NoMemoryError, SelectionError
from gpuzarr.reduce import elements, patterns, stream
from tests.conftest import examples

DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "bfloat16", "float8_e5m2", "int4"]
KINDS = [np.dtype(getattr(ml_dtypes, name, name)) for name in DTYPES]

SPACING = 1e-322  # of the smallest numbers, which have few digits


def filled(device, values, chunks, **options):
    a = gpuzarr.create_array({}, data=values, chunks=chunks, device=device, **options)
    assert a.dtype == values.dtype
    return a


def others(axes, ndim):
    """The axes that are reduced where these are kept."""
    return tuple(axis for axis in range(ndim) if axis not in axes)


def agrees(found, values, whole=False):
    """Numbers of elements, float64, whose NaNs are left out; min and max of integers are exact."""
    wide = values.astype("f8")
    some = wide[~np.isnan(wide)]
    assert (found.count, found.nan_count) == (some.size, wide.size - some.size)
    if not some.size:
        assert np.isnan([found.mean, found.std, found.min, found.max]).all()
        assert not found.histogram.sum()
        return
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found.mean, some.mean(), rtol=1e-13, atol=1e-15 * np.abs(some).max() + SPACING)
        np.testing.assert_allclose(found.std, some.std(), rtol=1e-9, atol=1e-9 * np.abs(some).max() + SPACING)
    least, most = (values.min(), values.max()) if whole else (some.min(), some.max())
    assert (found.min, found.max) == (least, most)
    finite = some[np.isfinite(some)]
    assert found.histogram.sum() == finite.size
    assert found.histogram.tolist() == np.histogram(finite, found.edges)[0].tolist()


@pytest.mark.parametrize("dtype", KINDS, ids=DTYPES)
def test_as_numpy(device, dtype):
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, (7, 10, 6)).astype("f4").astype(dtype)
    a = filled(device, values, (3, 4, 6))
    agrees(gpuzarr.stats(a), values, whole=dtype.kind in "biu")
    agrees(gpuzarr.stats(a, (slice(None, None, -2), 3)), values[::-2, 3], whole=dtype.kind in "biu")
    assert gpuzarr.stats(a).fill_count == (values.astype("f8") == 0).sum()


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_as_numpy_for_any_numbers(thresholds, data):
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "i2", "f2", "i4", "f4", "f8", "i8"])))
    floats = {"allow_subnormal": True} if dtype.kind == "f" else {}
    if dtype == "f8":
        floats |= {"min_value": -1e150, "max_value": 1e150}
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=3, max_side=7))
    values = data.draw(arrays.arrays(dtype, shape, elements=arrays.from_dtype(dtype, **floats)))
    a = filled("cpu", values, tuple(data.draw(st.integers(1, n)) for n in shape))
    thresholds("gpuzarr.reduce", BLOCK_BYTES=32, PIECE_ELEMENTS=data.draw(st.sampled_from([1, 3, 1 << 16])))
    bins = data.draw(st.integers(2, 9))
    found = gpuzarr.stats(a, bins=bins)
    agrees(found, values, whole=dtype.kind in "iu")
    assert len(found.histogram) <= bins or not np.isfinite(values.astype("f8")).any()
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    parts = gpuzarr.stats(a, axis=others(axes, len(shape)), bins=bins)
    assert parts.edges.tolist() == found.edges.tolist()
    assert parts.histogram.sum(axis=tuple(range(len(axes)))).tolist() == found.histogram.tolist()
    without = gpuzarr.stats(a, axis=others(axes, len(shape)), bins=0)
    for name in ("mean", "std", "min", "max", "count", "nan_count", "fill_count", "below"):
        np.testing.assert_array_equal(getattr(without, name), getattr(parts, name))
    for cell in np.ndindex(*parts.mean.shape):
        place = [slice(None)] * len(shape)
        for axis, i in zip(sorted(axes), cell, strict=True):
            place[axis] = slice(i, i + 1)
        one = gpuzarr.stats(a, tuple(place), bins=bins)
        assert (one.count, one.nan_count) == (parts.count[cell], parts.nan_count[cell])
        np.testing.assert_array_equal([one.min, one.max], [parts.min[cell], parts.max[cell]])
        np.testing.assert_allclose(one.mean, parts.mean[cell], rtol=1e-14, atol=1e-300)


def test_a_small_deviation_beside_a_huge_mean(device):
    values = np.random.default_rng(1).normal(0, 1, 100_000)
    found = gpuzarr.stats(filled(device, values + 1e9, 999))
    exact = (values + 1e9) - 1e9  # as rounded
    np.testing.assert_allclose(found.std, exact.std(), rtol=1e-12)
    np.testing.assert_allclose(found.mean - 1e9, exact.mean(), atol=1e-6)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_integers_beyond_floats(device, dtype):
    base = 2**62 + 1
    values = np.arange(1000, dtype=dtype) + np.array(base, dtype)
    found = gpuzarr.stats(filled(device, values, 77))
    assert (found.min, found.max) == (base, base + 999)
    np.testing.assert_allclose(found.std, np.arange(1000).std(), rtol=1e-13)
    wide = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max] * 3, dtype)
    found = gpuzarr.stats(filled(device, wide, 4))
    assert (found.min, found.max) == (np.iinfo(dtype).min, np.iinfo(dtype).max)
    np.testing.assert_allclose([found.mean, found.std], [wide.astype("f8").mean(), 2.0**63], rtol=1e-15, atol=1)


def test_integers_far_from_the_first_one(device):
    values = np.array([-8907199254740993, 100000000000001], "i8")
    assert gpuzarr.stats(filled(device, values, 1), axis=()).mean.tolist() == values.astype("f8").tolist()


def test_an_outlier_comes_first(device):
    values = np.concatenate([[-1e30], np.random.default_rng(2).normal(5, 1e-3, 10_000)])
    a = filled(device, values, 100, fill_value=-1e30)
    found = gpuzarr.stats(a, fill_to_nan=True)
    assert (found.count, found.nan_count, found.fill_count) == (10_000, 1, 1)
    np.testing.assert_allclose([found.mean, found.std], [values[1:].mean(), values[1:].std()], rtol=1e-12)


def test_a_tiny_negative_number_beside_a_large_one(device):
    values = np.array([8.8e12, -2e-311])
    agrees(gpuzarr.stats(filled(device, values, 1)), values)


def test_infinities_and_nothing(device):
    for values in ([1.0, np.inf], [-np.inf, 1, 2], [np.inf, -np.inf, np.nan], [np.inf], [np.nan] * 3, []):
        for dtype in ("f2", "f4", "f8"):
            made = np.array(values, dtype)
            found = gpuzarr.stats(filled(device, made, 2))
            agrees(found, made)
            with np.errstate(all="ignore"):
                if found.count:
                    np.testing.assert_equal(found.mean, np.nanmean(made.astype("f8")))


@pytest.mark.parametrize("dtype", ["u1", "f4", "i8"])
def test_empty_and_zero_dimensional(device, dtype):
    none = gpuzarr.stats(gpuzarr.zeros((0, 3), dtype=dtype, device=device))
    assert (none.count, none.nan_count) == (0, 0)
    assert np.isnan(none.mean)
    assert not none.histogram.sum()
    one = gpuzarr.stats(gpuzarr.full((), 7, dtype=dtype, device=device))
    assert (one.mean, one.std, one.min, one.count, one.fill_count) == (7, 0, 7, 1, 1)
    assert gpuzarr.stats(gpuzarr.zeros((2, 0), dtype=dtype, device=device), axis=1).count.tolist() == [0, 0]


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8", "i4"])
@pytest.mark.parametrize("shards", [None, (8, 8, 8)])
def test_missing_chunks_and_shards(device, dtype, shards):
    a = gpuzarr.create_array(
        {}, shape=(20, 9, 17), chunks=(4, 4, 4), shards=shards, dtype=dtype, fill_value=5, device=device
    )
    a[5:9, :3] = 1
    values = np.asarray(a)
    found = gpuzarr.stats(a)
    agrees(found, values, whole=dtype != "f4")
    assert found.fill_count == (values == 5).sum()


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", "i8"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2, 3), (0, 2), [1], (3, 1), (), (0, 1, 2, 3)], ids=str)
def test_axes_are_reduced_as_by_numpy(device, axis, dtype):
    values = np.random.default_rng(3).normal(0, 50, (20, 3, 30, 2)).astype(dtype)
    a = filled(device, values, (6, 2, 30, 2))
    numpys = tuple(axis) if isinstance(axis, list) else axis
    found = gpuzarr.stats(a, axis=axis)
    wide = values.astype("f8")
    np.testing.assert_allclose(found.mean, wide.mean(numpys), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.std, wide.std(numpys), rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(found.max, values.max(numpys))
    np.testing.assert_array_equal(found.min, values.min(numpys))
    assert np.shape(found.mean) == np.shape(found.count) == found.histogram.shape[:-1] == wide.mean(numpys).shape
    assert found.axis == tuple(np.arange(4)) if axis is None else len(found.axis) == np.size(axis)
    mean, std = found.normalize
    assert np.broadcast_shapes(np.shape(mean), np.shape(std), values.shape) == values.shape
    np.testing.assert_allclose(mean, wide.mean(numpys, keepdims=np.ndim(mean) > 0), rtol=1e-12, atol=1e-12)


def test_axes_are_those_of_what_is_selected(device):
    values = np.random.default_rng(3).normal(0, 5, (20, 3, 30)).astype("f4")
    a = filled(device, values, (6, 2, 30))
    for selection in (4, (slice(None, None, 3), 1), (slice(4, 2, -1), slice(1, 3)), (..., 5)):
        part = values[selection].astype("f8")
        for axis in range(-part.ndim, part.ndim):
            found = gpuzarr.stats(a, selection, axis=axis)
            np.testing.assert_allclose(found.mean, part.mean(axis), rtol=1e-12, atol=1e-14)
            assert found.broadcast_shape == part.mean(axis, keepdims=True).shape


@pytest.mark.parametrize("dtype", ["u1", "f4", "i8"])
@pytest.mark.parametrize("elements_of_a_piece", [7, 200, 1 << 16])
def test_many_cells_of_few_elements(device, thresholds, dtype, elements_of_a_piece):
    """However blocks are cut; the range grows from block to block."""
    values = np.random.default_rng(5).normal(0, 20, (12, 23, 31))
    values *= np.arange(1, 13)[:, None, None]
    values = np.clip(values, 0 if dtype == "u1" else -200, 250).astype(dtype)
    if dtype == "f4":
        values[:, 3, 4], values[5, 6], values[2, 7, 9] = np.nan, np.inf, -np.inf
    a = filled(device, values, (3, 10, 31))
    thresholds(
        "gpuzarr.reduce", BLOCK_BYTES=5000, GPU_BLOCK_BYTES=5000, MAX_PATTERN_COUNTS=0,
        PIECE_ELEMENTS=elements_of_a_piece, GPU_PIECE_ELEMENTS=elements_of_a_piece, GPU_PIECE_CELLS=4,
        GPU_PIECE_COUNTS=900,
    )  # fmt: skip
    found = gpuzarr.stats(a, axis=0, bins=40)
    whole = values.astype("f8")
    count, inside = (~np.isnan(whole)).sum(axis=0), np.isfinite(whole)
    with np.errstate(all="ignore"):
        mean = np.where(inside.any(axis=0), np.nansum(whole, axis=0) / count, np.nan)
    np.testing.assert_array_equal(found.count, count)
    np.testing.assert_array_equal(found.min, np.fmin.reduce(whole, axis=0))
    np.testing.assert_allclose(found.mean, mean)
    for i, j in np.ndindex(23, 31):
        some = whole[inside[:, i, j], i, j]
        assert found.histogram[i, j].tolist() == np.histogram(some, found.edges)[0].tolist()
    np.testing.assert_array_equal(found.below, (values == -np.inf).sum(axis=0) if dtype == "f4" else 0)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_quantiles_are_within_a_bin_of_those_of_numpy(data):
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "i2", "f2", "i4", "f4", "f8"])))
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=3, max_side=6))
    limits = {"min_value": -1e6, "max_value": 1e6} if dtype.kind == "f" and dtype.itemsize > 2 else {}
    finite = {"allow_infinity": False} if dtype.kind == "f" else {}
    values = data.draw(arrays.arrays(dtype, shape, elements=arrays.from_dtype(dtype, **(limits or finite))))
    axis = data.draw(st.none() | st.integers(0, len(shape) - 1))
    q = data.draw(st.lists(st.floats(0, 1), min_size=1, max_size=5))
    found = gpuzarr.stats(filled("cpu", values, shape), axis=axis, bins=data.draw(st.integers(2, 70)), quantiles=q)
    wide = values.astype("f8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of slices that are NaN
        truth = np.nanquantile(wide, q, axis=axis)
    width = np.diff(found.edges).max(initial=0)
    tolerance = width * (1 + 1e-9) + 1e-9 * np.abs(np.nan_to_num(wide)).max()
    if dtype.kind in "iu" and width == 1:
        tolerance = 1e-9 * max(np.abs(wide).max(), 1)
    np.testing.assert_allclose(found.quantile(q), truth, rtol=0, atol=tolerance)
    for one, values_of_one in found.quantiles.items():
        np.testing.assert_array_equal(values_of_one, found.quantile(one))
    np.testing.assert_array_equal(found.quantile([0, 1]), [np.float64(found.min), np.float64(found.max)])


def test_quantiles_of_infinities_and_of_a_range(device):
    values = np.array([-np.inf, -np.inf, 1, 2, 3, 4, 5, 6, 7, np.inf, np.nan], "f8")
    found = gpuzarr.stats(filled(device, values, 4))
    assert found.below == 2
    assert found.quantile([0, 1 / 9, 1]).tolist() == [-np.inf, -np.inf, np.inf]
    np.testing.assert_allclose(found.quantile([2 / 9, 5 / 9]), [1, 4], rtol=0, atol=np.diff(found.edges).max())
    for dtype in ("f4", "u1", "i8"):
        a = filled(device, np.arange(100).astype(dtype), 30)
        ranged = gpuzarr.stats(a, range=(20, 80), bins=30)
        assert ranged.below == 20 and gpuzarr.stats(a, axis=(), range=(20, 80), bins=30).below.sum() == 20
        assert np.isnan(ranged.quantile([0.1, 0.9])).all() and abs(ranged.quantile(0.5) - 49.5) <= 2
        assert ranged.quantile(0) == 0 and ranged.quantile(1) == 99


def test_no_quantiles_of_nothing():
    none = gpuzarr.stats(gpuzarr.zeros((0, 3), device="cpu"), axis=0, quantiles=0.5)
    assert np.isnan(none.quantiles[0.5]).all() and none.quantiles[0.5].shape == (3,)
    without = gpuzarr.stats(gpuzarr.zeros(3, device="cpu"), bins=0)
    assert without.histogram.shape == without.edges.shape == (0,)
    with pytest.raises(ArgumentError, match="bins=256"):
        without.quantile(0.5)
    for wrong in (-0.1, 1.5, "x", [[0.5]], np.nan, None):
        with pytest.raises(ArgumentError, match="from 0 to 1"):
            gpuzarr.stats(gpuzarr.zeros(3, device="cpu")).quantile(wrong)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "i4", "f8"])
def test_numbers_are_about_what_get_returns(device, dtype):
    values = np.random.default_rng(4).integers(0, 50, (30, 40)).astype(dtype)
    a = filled(device, values, (7, 40), fill_value=3)
    for options in (
        {"scale": 0.1, "offset": 2},
        {"fill_to_nan": True, "scale": 3},
        {"dtype": "f8"},
        {"fill_to_nan": 7},
    ):
        got = a.get(..., **options)
        agrees(gpuzarr.stats(a, **options), np.asarray(a.device.download(got) if a.device.gpu else got))
    got = filled("cpu", values, (7, 40)).get(..., dtype="bfloat16", offset=0.25)
    agrees(gpuzarr.stats(a, dtype="bfloat16", offset=0.25), got)


def test_histogram_of_a_range(device):
    values = np.random.default_rng(5).normal(0, 1, (50, 50)).astype("f4")
    values[0, :4] = [2, -2, np.nan, np.inf]
    found = gpuzarr.stats(filled(device, values, 20), range=(-2, 2), bins=7)
    inside = values[np.abs(values) <= 2]
    assert found.histogram.tolist() == np.histogram(inside.astype("f8"), 7, (-2, 2))[0].tolist()
    assert found.edges.tolist() == np.linspace(-2, 2, 8).tolist()


def test_small_integers_are_counted_exactly(device):
    values = np.random.default_rng(6).integers(0, 256, 5000).astype("u1")
    found = gpuzarr.stats(filled(device, values, 100))
    assert found.histogram.tolist() == np.bincount(values, minlength=256)[values.min() :].tolist()


def test_the_same_for_any_number_of_threads_and_limit(monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(elements, "PIECE_ELEMENTS", 777)
    monkeypatch.setattr(patterns, "PIECE_ELEMENTS", 777)
    for dtype in ("f4", "u2", "i8"):
        values = (np.random.default_rng(7).normal(0, 1e4, (100, 90))).astype(dtype)
        store = {}
        gpuzarr.create_array(store, data=values, chunks=(9, 30))
        first, *others = [
            gpuzarr.stats(gpuzarr.open(store, device=Cpu(n)), memory_limit=limit).asdict()
            for n, limit in [(1, None), (4, None), (3, "1MB")]
        ]
        assert all(other == first for other in others)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_devices_agree(axis):
    from tests import hardware

    for dtype in ("f4", "u1", "i8"):
        values = (np.random.default_rng(8).normal(0, 100, (9, 500))).astype(dtype)
        store = {}
        gpuzarr.create_array(store, data=values, chunks=(2, 99))
        one, two = (
            gpuzarr.stats(gpuzarr.open(store, device=d), axis=axis).asdict() for d in ("cpu", hardware.emulated())
        )
        for name in ("mean", "std"):
            np.testing.assert_allclose(one.pop(name), two.pop(name), rtol=1e-13, atol=1e-13)
        assert one == two


def test_with_and_without_the_library(loops):
    values = np.random.default_rng(9).normal(0, 100, (50, 60))
    values[3, 4:6] = [np.nan, np.inf]
    for dtype in ("f4", "f8", "f2"):
        agrees(gpuzarr.stats(filled("cpu", values.astype(dtype), 20)), values.astype(dtype))


def test_each_chunk_is_read_once(device):
    reads = []

    class Counted(dict):
        def __getitem__(self, key):
            reads.append(key)
            return super().__getitem__(key)

    store = Counted()
    gpuzarr.create_array(store, data=np.arange(1000.0), chunks=100)
    a = gpuzarr.open(store, device=device)
    reads.clear()
    seen = []
    gpuzarr.stats(a, progress=lambda *numbers: seen.append(numbers))
    assert sorted(key for key in reads if key.startswith("c/")) == sorted(f"c/{i}" for i in range(10))
    assert seen[-1] == (1000, 1000)


def test_a_progress_bar_is_shown_on_request(capsys, monkeypatch, tmp_path):
    a = filled("cpu", np.arange(1000.0), 100)
    gpuzarr.stats(a)
    assert not capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    gpuzarr.stats(a, progress=True)
    assert "1000 of 1000 elements" in capsys.readouterr().err
    shown = []

    class Bar:
        def __init__(self, **options):
            shown.append(options["total"])

        def update(self, steps):
            shown.append(steps)

        def close(self):
            shown.append("closed")

    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", SimpleNamespace(tqdm=Bar))
    gpuzarr.stats(a, progress=True)
    assert shown[0] == sum(shown[1:-1]) == 1000 and shown[-1] == "closed"


def test_a_damaged_chunk_is_an_error_that_names_it(device):
    store = {}
    a = gpuzarr.create_array(store, data=np.arange(1000.0), chunks=100, device=device)
    store["c/3"] = b"\0" * 7
    with pytest.raises(ChunkError, match=r"\(3,\)"):
        gpuzarr.stats(a)


def test_wrong_arguments():
    a = gpuzarr.zeros((4, 5), dtype="u2", device="cpu")
    for options in (
        {"axis": 2},
        {"axis": (0, -2)},
        {"axis": 1.5},
        {"axis": "x"},
        {"bins": 1},
        {"bins": 0, "quantiles": 0.5},
        {"quantiles": 2},
        {"progress": np.ones(2)},
        {"bins": 0, "range": (0, 1)},
        {"range": (1, 1)},
        {"range": 3},
        {"range": (0, np.inf)},
    ):
        with pytest.raises(ArgumentError):
            gpuzarr.stats(a, **options)
    with pytest.raises(ArgumentError, match="no axes"):
        gpuzarr.stats(a, (1, 1), axis=0)
    with pytest.raises(ArgumentError, match="axis"):
        gpuzarr.stats(a, 1, axis=1)
    with pytest.raises(ArgumentError):
        gpuzarr.stats(a, ([0, 1],))
    with pytest.raises(SelectionError):
        gpuzarr.stats(a, 9)
    with pytest.raises(NoMemoryError, match="memory_limit"):
        gpuzarr.stats(gpuzarr.zeros((300, 200), dtype="u2", device="cpu"), axis=(), memory_limit="1MB")
    for other in (gpuzarr.array(["x"]), gpuzarr.zeros(2, dtype="c8"), gpuzarr.zeros(2, dtype="M8[s]")):
        with pytest.raises(ArgumentError, match="stats takes"):
            gpuzarr.stats(other)


def test_as_text_and_dict():
    a = gpuzarr.array(np.arange(6, dtype="u1").reshape(2, 3))
    found = gpuzarr.stats(a)
    assert json.loads(json.dumps(found.asdict()))["histogram"] == [1] * 6
    assert str(found).splitlines()[0].split() == ["mean", "2.5"]
    assert str(gpuzarr.stats(a, axis=1)).splitlines()[2].split() == ["1", "4", "0.816497", "3", "5", "3", "0", "0"]
    asked = gpuzarr.stats(a, quantiles=(0.25, 0.5))
    assert json.loads(json.dumps(asked.asdict()))["quantiles"] == {"0.25": 1.25, "0.5": 2.5}
    assert str(asked).splitlines()[-1].split() == ["quantile", "0.5", "2.5"]
    assert gpuzarr.stats(gpuzarr.ones(3)).normalize == (1, 1)


def test_command(capsys, monkeypatch, tmp_path: Path):
    from gpuzarr.cli import main

    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    gpuzarr.save(str(tmp_path / "a.zarr"), np.arange(6, dtype="i2").reshape(2, 3))
    assert main(["stats", str(tmp_path / "a.zarr")]) == 0
    assert "2.5" in capsys.readouterr().out
    asked = ["--quantile", "0.5", "--quantile", "1", "--range", "0", "10", "--progress"]
    assert main(["stats", str(tmp_path / "a.zarr"), "--axis", "-1", "--json", "--bins", "10", *asked]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["mean"] == [1, 4] and found["quantiles"] == {"0.5": [1, 4], "1.0": [2, 5]}
    assert found["axis"] == [1] and len(found["edges"]) == 11 and "6 of 6 elements" in told.err
    assert main(["stats", str(tmp_path / "a.zarr"), "--axis", "7"]) == 1
    assert main(["stats", str(tmp_path / "a.zarr"), "--quantile", "7"]) == 1
