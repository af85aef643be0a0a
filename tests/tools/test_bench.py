"""`gpuzarr.tools.bench`: who reads what, that values are compared, and what is advised. No test depends on time."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

import gpuzarr
from gpuzarr.errors import ArgumentError, ChunkError
from gpuzarr.tools import bench, bench_readers, bench_run
from gpuzarr.tools.bench_advice import LIMITS
from gpuzarr.tools.bench_readers import Reader

PEERS = ("zarr-python", "zarr-python fused", "zarrs", "tensorstore")


@pytest.fixture
def array(tmp_path):
    """Of a folder: (64, 50), int32, in chunks of (16, 50)."""
    values = np.random.default_rng(0).integers(0, 99, (64, 50)).astype("i4")
    return gpuzarr.create_array(str(tmp_path / "a"), data=values, chunks=(16, 50), device="cpu")


def by_name(report):
    return {timing.name: timing for timing in report.timings}


def test_all_read_the_same(array):
    found = by_name(bench(array, seconds=0.01))
    assert tuple(found)[-4:] == PEERS and next(iter(found)).startswith("gpuzarr")
    assert found["gpuzarr cpu"].limited_by in LIMITS
    for name in PEERS:
        package = name.partition(" ")[0].removesuffix("-python")
        pytest.importorskip(package)
        timing = found[name]
        assert timing.problem is None or (name.endswith("fused") and "does not have it" in timing.problem)
        assert timing.problem or (timing.repeats >= 1 and timing.seconds > 0 and timing.ratio > 0)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_selection(tmp_path, zarr_format):
    root = gpuzarr.create_group(str(tmp_path), zarr_format=zarr_format)
    a = root.create_array("b/c", data=np.arange(600).reshape(20, 30), chunks=(5, 10), fill_value=0)
    found = bench(gpuzarr.open_array(str(tmp_path), "b/c"), (3, slice(2, 25, 4)), seconds=0.01)
    assert (found.selection, found.result_bytes) == (((3, 4, 1), (2, 25, 4)), 6 * 8)
    assert not [timing.problem for timing in found.timings if timing.problem and "values" in timing.problem]
    assert by_name(found)["gpuzarr cpu"].decoded_rate == pytest.approx(48 / by_name(found)["gpuzarr cpu"].seconds)
    assert a.shape == found.shape


def test_the_first_chunks_of_what_is_large(array, monkeypatch):
    monkeypatch.setattr(bench_run, "DEFAULT_BYTES", 2 * 16 * 50 * 4)
    assert bench_run.selected(array, None) == (slice(0, 32, 1), slice(0, 50, 1))


def test_only_folders_are_compared():
    found = by_name(bench(gpuzarr.array([1, 2, 3]), seconds=0.01))
    assert {found[name].problem for name in PEERS} == {"only folders of this machine are compared"}
    assert set(by_name(bench(gpuzarr.array([1, 2, 3]), seconds=0.01, peers=False))).isdisjoint(PEERS)


def test_what_is_not_installed(array, monkeypatch):
    monkeypatch.setattr(bench_readers, "find_spec", lambda name: None)
    assert {timing.problem for timing in bench(array, seconds=0.01).timings[1:]} >= {"not installed"}


def test_other_values_and_errors_are_told(array, monkeypatch):
    def failing(opened, selection):
        raise RuntimeError("no\nidea")

    values = array[...]
    wrong = values.copy()
    wrong[3, 4] += 1
    others = [
        Reader("right", read=lambda opened, selection: values),
        Reader("wrong", read=lambda opened, selection: wrong),
        Reader("short", read=lambda opened, selection: values[1:]),
        Reader("failing", read=failing),
    ]
    monkeypatch.setattr(bench_readers, "peers", lambda array: others)
    found = by_name(bench(array, seconds=0.01))
    assert found["right"].problem is None and found["right"].seconds is not None
    assert found["wrong"].problem == "other values: 1 of 3200 differ".replace("3200", "3,200")
    assert found["short"].problem == "other values: of shape (63, 50), not (64, 50)"
    assert found["failing"].problem == "RuntimeError: no idea" and found["failing"].seconds is None


def test_settings_of_zarr_python_are_left_as_they_were(array):
    zarr = pytest.importorskip("zarr")
    before = zarr.config.get("codec_pipeline")
    bench(array, seconds=0.01)
    assert zarr.config.get("codec_pipeline") == before


def advice_for(monkeypatch, **options):
    monkeypatch.setattr(bench_readers, "peers", lambda array: [])
    values = options.pop("values", np.zeros(100_000, "u1"))
    return " ".join(
        bench(gpuzarr.create_array({}, data=values, **options), options.pop("select", None), seconds=0.001).advice
    )


def test_advice(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, 200_000).astype("u1")
    assert "chunks of 100 bytes are small" in advice_for(monkeypatch, chunks=100)
    assert "are small" not in advice_for(monkeypatch, chunks=100_000)
    assert "zstd saves 0% of the bytes" in advice_for(monkeypatch, values=noise, chunks=100_000, compressors="zstd")
    assert "saves" not in advice_for(monkeypatch, values=noise, chunks=100_000, compressors=None)
    assert "a GPU decodes these chunks" in advice_for(monkeypatch, chunks=100_000, compressors="bz2")
    wide = gpuzarr.create_array({}, data=np.zeros((400, 400), "u1"), chunks=(400, 400))
    assert any("as much is decoded as is wanted" in text for text in bench(wide, 0, seconds=0.001, peers=False).advice)


def test_a_faster_one_is_told(array, monkeypatch):
    monkeypatch.setattr(
        bench_run, "_timed", lambda everyone, *rest: {each.name: [1 / (i + 1)] for i, each in enumerate(everyone)}
    )
    monkeypatch.setattr(
        bench_readers, "peers", lambda a: [replace(bench_readers.ours(a, a.device), name="other", is_ours=False)]
    )
    assert any(text.startswith("other is ") for text in bench(array).advice)


def test_of_a_gpu(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_readers, "device_of", lambda name: gpu)
    a = gpuzarr.create_array(str(tmp_path / "a"), data=np.arange(4000, dtype="u2"), chunks=1000, device=gpu)
    found = by_name(bench(a, seconds=0.001, peers=False))
    assert list(found) == [f"gpuzarr {gpu.name}", "gpuzarr cpu"]
    assert all(timing.seconds and not timing.problem for timing in found.values())


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": "2"}, {"selection": slice(0, 0)}, {"selection": [0]}])
def test_wrong_arguments(wrong):
    with pytest.raises(ArgumentError):
        bench(gpuzarr.array([1, 2, 3]), **wrong)
    with pytest.raises(ArgumentError):
        bench(np.zeros(3))


def test_an_array_without_elements():
    with pytest.raises(ArgumentError, match="has no elements"):
        bench(gpuzarr.zeros((0, 3)))


def test_our_own_errors_are_raised(array):
    (array.store.root / "c/0/0").write_bytes(b"half")
    with pytest.raises(ChunkError):
        bench(array)


def test_nothing_of_others_is_loaded_without_need(monkeypatch):
    for name in ("zarr", "zarrs", "tensorstore"):
        monkeypatch.setitem(sys.modules, name, None)
    assert bench(gpuzarr.array([1, 2, 3]), seconds=0.001).timings[0].seconds is not None
