"""Arrays that zarr-python wrote read back with the values that were written, by every kind of selection."""

from __future__ import annotations

import os
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import Cpu
from gpuzarr.indexing.locate import Locator
from tests.hardware import host_array

V3 = {
    "raw": {"compressors": None},
    "zstd": {"compressors": [zarr.codecs.ZstdCodec(level=1)]},
    "gzip": {"compressors": [zarr.codecs.GzipCodec(level=1)]},
    "blosc": {"compressors": [zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle")]},
    "crc32c": {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    "big-endian": {"compressors": None, "serializer": zarr.codecs.BytesCodec(endian="big")},
    "transpose": {"filters": [zarr.codecs.TransposeCodec(order=(2, 0, 1))]},
    "sharded": {"shards": (8, 6, 12), "compressors": [zarr.codecs.ZstdCodec()]},
    "sharded-raw": {"shards": (4, 12, 6), "compressors": None},
}
SHAPE, CHUNKS = (13, 11, 17), (4, 3, 6)


def values(dtype: str = "<f4") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, SHAPE).astype(dtype)


@pytest.fixture(params=[*V3, "v2-C", "v2-F", "v2-big"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, np.ndarray]:
    array = values(">i4" if request.param == "v2-big" else "<f4")
    options: dict[str, Any] = V3.get(request.param, {})
    if request.param not in V3:
        options = {"zarr_format": 2, "order": "F" if request.param == "v2-F" else "C"}
    z = zarr.create_array(tmp_path / "a", shape=SHAPE, dtype=array.dtype, chunks=CHUNKS, fill_value=7, **options)
    z[:9] = array[:9]
    array[9:] = 7  # these chunks are missing, or partly fill
    return tmp_path / "a", array


def test_selections(stored: tuple[Path, np.ndarray], device: Device) -> None:
    path, want = stored
    a = gpuzarr.open_array(path, device=device)
    assert (a.shape, a.chunks, a.dtype, a.fill_value) == (SHAPE, CHUNKS, want.dtype.newbyteorder("="), 7)
    every, some = slice(None), slice(1, 16, 5)
    for key in [..., 3, (slice(2, 9), every, -1), (slice(None, None, -2), 3, some), (slice(5, 5),), (12, 10, 16)]:
        np.testing.assert_array_equal(host_array(a[key]), want[key])
    rows = np.array([0, 12, 5, 5])
    np.testing.assert_array_equal(host_array(a.oindex[rows, :, [1, 0]]), want[np.ix_(rows, range(11), [1, 0])])
    np.testing.assert_array_equal(host_array(a.vindex[rows, 2, rows]), want[rows, 2, rows])
    np.testing.assert_array_equal(host_array(a[want > 50]), want[want > 50])
    outer = a.shards or a.chunks
    np.testing.assert_array_equal(host_array(a.blocks[1, 0]), want[outer[0] : 2 * outer[0], : outer[1]])


def test_many_batches(stored: tuple[Path, np.ndarray], device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    path, want = stored
    monkeypatch.setattr(device, "batch_bytes", 600, raising=False)
    np.testing.assert_array_equal(host_array(gpuzarr.open_array(path, device=device)[...]), want)


def test_out(stored: tuple[Path, np.ndarray], device: Device) -> None:
    path, want = stored
    a = gpuzarr.open_array(path, device=device)
    out = device.xp.zeros(SHAPE, a.dtype)
    assert a.get(..., out=out) is out
    np.testing.assert_array_equal(host_array(out), want)
    strided = device.xp.zeros((11, 17, 13), a.dtype).transpose(2, 0, 1)
    np.testing.assert_array_equal(host_array(a.get(..., out=strided)), want)
    with pytest.raises(gpuzarr.SelectionError):
        a.get(..., out=device.xp.zeros((1, 2), a.dtype))
    with pytest.raises(gpuzarr.SelectionError):
        a.get(..., out=device.xp.zeros(SHAPE, "f8"))


def test_out_for_strings() -> None:
    a = gpuzarr.array(np.array(["a", "bc", ""], np.dtypes.StringDType()), chunks=2)
    out = np.empty(2, a.dtype)
    assert a.get(slice(1, 3), out=out) is out and out.tolist() == ["bc", ""]


def test_points_into_strided_memory(stored: tuple[Path, np.ndarray], device: Device) -> None:
    path, want = stored
    a = gpuzarr.open_array(path, device=device)
    mask = want > 100
    out = device.xp.zeros((int(mask.sum()), 2), a.dtype)[:, 1]
    a.get(mask, out=out)
    np.testing.assert_array_equal(host_array(out), want[mask])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_selection_of_any_layout(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    ndim = data.draw(st.integers(0, 3))
    shape = tuple(data.draw(st.integers(0, 9)) for _ in range(ndim))
    chunks = tuple(data.draw(st.integers(1, 10)) for _ in range(ndim))
    per_shard = data.draw(st.one_of(st.none(), st.tuples(*[st.integers(1, 3)] * ndim))) if ndim else None
    shards = None if per_shard is None else tuple(c * n for c, n in zip(chunks, per_shard, strict=True))
    path = tmp_path_factory.mktemp("any") / "a"
    zstd = data.draw(st.sampled_from([None, "auto"]))
    options = {"chunks": chunks or "auto", "shards": shards, "compressors": zstd}
    z = zarr.create_array(path, shape=shape, dtype="i2", fill_value=-1, **options)
    want = np.arange(np.prod(shape, dtype=int), dtype="i2").reshape(shape)
    z[...] = want
    key = tuple(data.draw(st.one_of(st.slices(n), st.integers(-n, n - 1)) if n else st.slices(n)) for n in shape)
    np.testing.assert_array_equal(gpuzarr.open_array(path, device="cpu")[key], want[key])


def test_the_array_protocols(stored: tuple[Path, np.ndarray]) -> None:
    path, want = stored
    a = gpuzarr.open_array(path, device="cpu")
    np.testing.assert_array_equal(np.asarray(a), want)
    assert np.asarray(a, "f8").dtype == np.float64
    again = pickle.loads(pickle.dumps(a))
    np.testing.assert_array_equal(again[2:5], want[2:5])
    assert str(SHAPE) in repr(a) and len(a) == SHAPE[0]
    np.testing.assert_array_equal(next(iter(a)), want[0])
    assert a[0, 0, 0] == want[0, 0, 0] and np.isscalar(a[0, 0, 0])


def test_threads_share_an_array(stored: tuple[Path, np.ndarray]) -> None:
    path, want = stored
    a = gpuzarr.open_array(path, device="cpu")
    results: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: results.append(a[...])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for got in results:
        np.testing.assert_array_equal(got, want)


def test_errors_are_those_that_users_expect(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        gpuzarr.open(tmp_path / "nothing")
    zarr.create_array(tmp_path / "a", shape=(4,), dtype="i4")[...] = 1
    a = gpuzarr.open_array(tmp_path / "a", device="cpu")
    for wrong in (4, (0, 0), 1.5, None, "x", slice(None, None, 0)):
        with pytest.raises(IndexError):
            a[wrong]
    with pytest.raises(ValueError, match="mode"):
        gpuzarr.open(tmp_path / "a", mode="x")  # type: ignore[arg-type]
    group = zarr.create_group(tmp_path / "g")
    group.create_array("x/y", shape=(2,), dtype="u1")
    g = gpuzarr.open_group(tmp_path / "g", device="cpu")
    assert list(g) == ["x"] and g["x/y"].shape == (2,) and "x/y" in g and "z" not in g
    with pytest.raises(KeyError):
        g["z"]
    assert "y (2,) uint8" in str(g.tree())


def test_consolidated_metadata_is_used(tmp_path: Path) -> None:
    for zarr_format in (2, 3):
        path = tmp_path / str(zarr_format)
        root = zarr.create_group(path, zarr_format=zarr_format)
        root.create_array("a/b/c", shape=(3,), dtype="i4", attributes={"unit": "m"})
        zarr.consolidate_metadata(path)
        (path / "a" / "b" / "c" / ("zarr.json" if zarr_format == 3 else ".zarray")).unlink()
        g = gpuzarr.open(path, device="cpu")
        assert g["a"]["b"]["c"].attrs["unit"] == "m" and list(g["a"]) == ["b"]
        with pytest.raises(gpuzarr.NotFoundError):
            gpuzarr.open(path, "a/b/c", device="cpu")
        with pytest.raises(gpuzarr.NotFoundError):
            gpuzarr.open_group(path, consolidated=False, device="cpu")["a/b/c"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_reads(stored: tuple[Path, np.ndarray]) -> None:
    path, want = stored
    a = gpuzarr.open_array(path, device=Cpu(4))
    a.device.batch_bytes = 600
    np.testing.assert_array_equal(a[...], want)  # the threads of the pool run
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if np.array_equal(a[...], want) else 3)
        finally:
            os._exit(4)
    for _ in range(200):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done and os.waitstatus_to_exitcode(status) == 0


def test_a_shard_that_is_replaced_is_read_as_it_is_now(tmp_path: Path) -> None:
    z = zarr.create_array(tmp_path / "a", shape=(64,), dtype="i4", chunks=(4,), shards=(64,), fill_value=0)
    a = gpuzarr.open_array(tmp_path / "a", device="cpu")
    for value in (3, 100000, 7):  # every time the inner chunks lie elsewhere
        z[...] = np.arange(64) * value
        np.testing.assert_array_equal(a[...], np.arange(64) * value)
    z[:] = 0  # the shard is deleted
    np.testing.assert_array_equal(a[...], 0)


def test_a_shard_replaced_between_index_and_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    z = zarr.create_array(tmp_path / "a", shape=(64,), dtype="i4", chunks=(4,), shards=(64,), fill_value=0)
    z[...] = 1
    a = gpuzarr.open_array(tmp_path / "a", device="cpu")
    locate = Locator.locate
    replaced = []

    def slow(self: Locator, *arguments: Any) -> Any:
        located = locate(self, *arguments)
        if not replaced:
            z[...] = np.random.default_rng(0).integers(0, 9, 64)
            replaced.append(z[...])
        return located

    monkeypatch.setattr(Locator, "locate", slow)
    got = a[...]
    assert np.array_equal(got, np.ones(64)) or np.array_equal(got, replaced[0])  # one shard or the other, no mixture
    np.testing.assert_array_equal(a[...], z[...])


def test_an_error_stops_the_read_and_leaves_all_in_order(stored: tuple[Path, np.ndarray], device: Device) -> None:
    path, want = stored
    a = gpuzarr.open_array(path, device=device)

    class InterruptedStore:
        def __getattr__(self, name: str) -> Any:
            return getattr(a.store, name)

        def open(self, *arguments: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gpuzarr.Array(InterruptedStore(), a.path, a.metadata, device)[...]
    np.testing.assert_array_equal(host_array(a[...]), want)


def test_fields(tmp_path: Path) -> None:
    kind = np.dtype([("a", "<i4"), ("b", "<f8"), ("c", "<u2")])
    want = np.zeros(7, kind)
    want["a"], want["b"] = range(7), np.linspace(0, 1, 7)
    z = zarr.create_array(tmp_path / "a", shape=7, chunks=3, dtype=kind, zarr_format=2)
    z[...] = want
    a = gpuzarr.open_array(tmp_path / "a", device="cpu", mode="r+")
    np.testing.assert_array_equal(a["b"], want["b"])
    np.testing.assert_array_equal(a["a", "b", 2:5], want[["a", "b"]][2:5])
    a["c", 1:3] = 9
    want["c"][1:3] = 9
    np.testing.assert_array_equal(a[...], want)
    with pytest.raises(gpuzarr.SelectionError, match="no field 'd'"):
        a["d"]


@pytest.mark.parametrize("shards", [None, (4, 4)])
def test_raw_chunks_beside_missing_ones(shards: tuple[int, ...] | None, device: Device, tmp_path: Path) -> None:
    """Chunks that are read straight to their place stay there when others are filled."""
    want = np.full((8, 4), 7, "f4")
    options = {"shards": shards, "compressors": None, "fill_value": 7, "device": device}
    a = gpuzarr.create_array(tmp_path / "a", shape=want.shape, dtype="f4", chunks=(1, 4), **options)
    a[::3] = want[::3] = np.arange(12).reshape(3, 4)
    for n in range(9):
        np.testing.assert_array_equal(host_array(a[:n]), want[:n])
