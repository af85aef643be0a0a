"""`gpuzarr.config`: defaults of what is made and written, and what it says of all other settings of zarr-python."""

from __future__ import annotations

import doctest
import io
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr import config

TUNING = {
    "async.concurrency": 128,
    "async.timeout": 3,
    "threading.max_workers": 8,
    "codec_pipeline.max_workers": 8,
    "codec_pipeline.batch_size": 10,
    "codec_pipeline.path": "zarr.core.codec_pipeline.FusedCodecPipeline",
    "json_indent": 0,
    "array.sharding_coalesce_max_gap_bytes": 1,
    "codecs.bytes": "package.Codec",
}
REFUSED: dict[str, Any] = {
    "array.read_missing_chunks": False,
    "array.allow_unsafe_pickle_decode": True,
    "buffer": "zarr.buffer.gpu.Buffer",
    "ndbuffer": "zarr.buffer.gpu.NDBuffer",
}
WRONG: list[Any] = [
    {"no.such": 1},
    {"array": {"no": 1}},
    {"array.order": "K"},
    {"default_zarr_format": True},
    {"default_zarr_format": 4},
    {"array.write_empty_chunks": "yes"},
    {"array.target_shard_size_bytes": 0},
    {1: 2},
    "array.order",
]


@pytest.fixture(autouse=True)
def as_at_first() -> Iterator[None]:
    yield
    config.reset()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_default_format_is_that_of_all_that_is_made(zarr_format: int) -> None:
    with config.set({"default_zarr_format": zarr_format}):
        made = (
            gpuzarr.zeros(3),
            gpuzarr.create_array({}, shape=3, dtype="i4"),
            gpuzarr.group(),
            gpuzarr.create_group({}),
            gpuzarr.open_group({}, mode="w"),
            gpuzarr.open({}, mode="w", shape=3),
            gpuzarr.from_array({}, data=np.arange(3)),
        )
        stores: list[dict[str, Any]] = [{}, {}]
        gpuzarr.save(stores[0], np.arange(3))
        gpuzarr.save_group(stores[1], a=np.arange(3))
    assert {node.zarr_format for node in made} == {zarr_format}
    assert {gpuzarr.open(store).zarr_format for store in stores} == {zarr_format}
    assert gpuzarr.zeros(3, zarr_format=5 - zarr_format).zarr_format == 5 - zarr_format


def test_order_is_that_of_new_arrays_of_v2_and_changes_no_value() -> None:
    values = np.arange(6).reshape(2, 3)
    with config.set({"array.order": "F"}):
        a = gpuzarr.array(values, zarr_format=2)
        assert a.order == "F" and gpuzarr.array(values, zarr_format=2, order="C").order == "C"
        assert gpuzarr.array(values).order == "C" and a[...].flags.c_contiguous and np.array_equal(a[...], values)
    assert gpuzarr.array(values, zarr_format=2).order == "C"


def test_empty_chunks_are_written_if_that_is_set() -> None:
    stores: list[dict[str, Any]] = [{}, {}, {}]
    with config.set({"array.write_empty_chunks": True}):
        gpuzarr.save(stores[0], np.zeros(3))
        gpuzarr.create_array(stores[1], data=np.zeros(3), config={"write_empty_chunks": False})
    gpuzarr.save(stores[2], np.zeros(3))
    assert ["c/0" in store for store in stores] == [True, False, False]


def test_the_size_of_shards_bounds_those_that_are_chosen() -> None:
    with config.set({"array.target_shard_size_bytes": 4000}):
        a = gpuzarr.zeros((100, 100), chunks=(10, 10), shards="auto", dtype="u1")
    assert np.prod(a.shards) <= 4000 < np.prod(gpuzarr.zeros((100, 100), chunks=10, shards="auto", dtype="u1").shards)


@pytest.mark.parametrize("name", TUNING)
def test_what_only_tunes_zarr_python_is_taken_with_advice(name: str) -> None:
    with pytest.warns(gpuzarr.errors.ZarrUserWarning, match=name) as warned, config.set({name: TUNING[name]}):
        assert config.get(name) == TUNING[name]
    assert len(warned) == 1 and warned[0].filename == __file__ and config.get(name, None) != TUNING[name]


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_results_is_refused_with_advice(name: str) -> None:
    with pytest.raises(gpuzarr.UnsupportedError, match=name):
        config.set({"array.order": "F", name: REFUSED[name]})
    assert config.get("array.order") == "C"


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_wrong_is_refused(wrong: Any) -> None:
    with pytest.raises(gpuzarr.ConfigError):
        config.set(wrong)
    assert config.to_dict() == config.defaults[0]


def test_defaults_of_zarr_python_are_silent() -> None:
    """They mean what is done here anyway; but which class decodes is its own."""
    theirs = zarr.config.defaults[0]
    theirs = {name: value for name, value in theirs.items() if name not in ("codecs", "codec_pipeline")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.set(theirs)
        config.set({"array.rectilinear_chunks": True})


def test_settings_are_told_and_restored() -> None:
    assert config.get("array")["order"] == "C" and config.get("no.such", 5) == 5
    with pytest.raises(KeyError, match=r"no setting 'no\.such'"):
        config.get("no.such")
    with config.set(array__order="F"), config.set({"array": {"order": "C"}}):
        assert config.get("array.order") == "C"
    config.set({"array.order": "F"})
    with config.set({"array.order": "C"}):
        pass
    assert config.get("array.order") == "F"
    config.reset()
    assert config.get("array.order") == "C"
    config.pprint(stream=(text := io.StringIO()), width=60)
    assert "'write_empty_chunks': False" in text.getvalue()


def test_a_gpu_is_no_setting() -> None:
    with pytest.raises(gpuzarr.UnsupportedError, match='device="cuda"'):
        config.enable_gpu()


def test_threads_lose_no_change_of_each_other() -> None:
    names = ["array.order", "array.write_empty_chunks", "default_zarr_format"]
    values = dict(zip(names, ("F", True, 2), strict=True))

    def change(name: str) -> None:
        for _ in range(200):
            with config.set({name: values[name]}):
                assert config.get(name) == values[name]

    threads = [threading.Thread(target=change, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert config.to_dict() == config.defaults[0]


def test_the_examples_run() -> None:
    assert doctest.testmod(config, extraglobs={"gpuzarr": gpuzarr}) == (0, 2)
