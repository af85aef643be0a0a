"""Batches that a GPU is sent slice by slice: the same values and errors whatever the slices, each sent as it comes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.errors import RangeError
from gpuzarr.read.slices import read_in_slices, sliced
from gpuzarr.stores.local.objects import LocalObjects
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.ranges import Ranges
from tests.hardware import emulated, host_array
from tests.stores.own_store import OwnStore

VALUES = np.random.default_rng(0).integers(0, 1000, (64, 96)).astype("i4")
LAYOUTS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {"compressors": [zarr.codecs.ZstdCodec()]},
    "checksums": {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    "v2 blosc": {"compressors": [numcodecs.Blosc("lz4")], "zarr_format": 2},
    "host codec": {"compressors": [zarr.codecs.numcodecs.BZ2(level=1)]},
    "shards": {"compressors": [zarr.codecs.ZstdCodec()], "shards": (16, 48)},
}


def stored(path: Path, layout: str) -> Path:
    z = zarr.create_array(path, shape=VALUES.shape, dtype="i4", chunks=(8, 16), fill_value=7, **LAYOUTS[layout])
    z[:48] = VALUES[:48]  # the last chunks are missing
    return path


def whole() -> np.ndarray:
    wanted = VALUES.copy()
    wanted[48:] = 7
    return wanted


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("nbytes", [1, 700, 3000])
def test_the_same_values(layout: str, nbytes: int, tmp_path: Path, gpu: Device, thresholds: Any) -> None:
    path, wanted = stored(tmp_path / "a", layout), whole()
    thresholds("gpuzarr.read", UPLOAD_SLICE_BYTES=nbytes)
    sources: list[Any] = [path]
    if "v2" not in layout:
        files = {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}
        sources += [files, OwnStore({key: (0, data) for key, data in files.items()})]
    for source in sources:
        a = gpuzarr.open_array(source, device=gpu)
        for key in (np.s_[...], np.s_[5:60:3, ::-1], np.s_[::9, [3, 90, 4]]):
            got = a.oindex[key] if isinstance(key, tuple) and isinstance(key[1], list) else a[key]
            np.testing.assert_array_equal(host_array(got), wanted[key])
        report = a.last_read.asdict()
        assert report["sent_bytes"] >= report["stored_bytes"] and gpu.held.total == 0  # type: ignore[attr-defined]


@pytest.mark.damaging
@pytest.mark.parametrize("layout", ["zstd", "checksums", "shards"])
def test_the_same_damage(layout: str, tmp_path: Path, gpu: Device, thresholds: Any) -> None:
    path = stored(tmp_path / "a", layout)
    thresholds("gpuzarr.read", UPLOAD_SLICE_BYTES=700)
    damaged = sorted(file for file in (path / "c").rglob("*") if file.is_file())[3]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    said = []
    for device in (gpu, "cpu"):
        with pytest.raises(gpuzarr.ChunkError) as caught:
            gpuzarr.open_array(path, device=device)[...]
        said.append((caught.value.chunk, caught.value.codec))
    assert said[0] == said[1]


def test_slices_are_sent_as_they_come(tmp_path: Path, thresholds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path, device = stored(tmp_path / "a", "raw"), emulated()
    thresholds("gpuzarr.read", UPLOAD_SLICE_BYTES=5 * 512)
    order = []
    read, send = LocalObjects.read, device.upload_part
    monkeypatch.setattr(LocalObjects, "read", lambda *args: (order.append("read"), read(*args))[1])
    monkeypatch.setattr(device, "upload_part", lambda *args: (order.append("sent"), send(*args))[1])
    np.testing.assert_array_equal(host_array(gpuzarr.open_array(path, device=device)[...]), whole())
    assert order == ["read", "sent"] * (len(order) // 2) and len(order) > 8


SIZES = st.lists(st.one_of(st.none(), st.integers(0, 40)), min_size=1, max_size=30)


@given(SIZES, st.integers(1, 100))
def test_every_range_is_in_one_slice_in_order(sizes: list[int | None], nbytes: int) -> None:
    keys = [str(i) for i in range(len(sizes))]
    mapping = {key: bytes([i + 1]) * n for i, (key, n) in enumerate(zip(keys, sizes, strict=True)) if n is not None}
    with pytest.MonkeyPatch.context() as patch, MappingStore(mapping).open(keys) as objects:
        patch.setattr("gpuzarr.read.thresholds.UPLOAD_SLICE_BYTES", nbytes)
        ranges = Ranges.whole(keys)
        slices = sliced(objects, ranges, objects.requests(ranges))
        wanted = [-1 if n is None else n for n in sizes]
        assert np.concatenate([each.wanted for each in slices]).tolist() == wanted
        assert all(max(each.wanted.clip(0).sum() - max(each.wanted), 0) <= 2 * nbytes for each in slices)


def test_a_range_beyond_its_object_is_named(thresholds: Any) -> None:
    """By its number among all ranges, also where the store notices it only when it reads."""
    thresholds("gpuzarr.read", UPLOAD_SLICE_BYTES=10)
    device: Any = emulated()
    keys = [str(i) for i in range(8)]
    with OwnStore({key: (0, bytes(10)) for key in keys}).open(keys) as objects:
        ranges = Ranges.whole(keys)
        slices = sliced(objects, ranges, objects.requests(ranges))
        right = objects.read

        def read(requests: Any, into: Any) -> Any:
            if 5 in requests.objects.tolist():
                raise RangeError("beyond", requests.objects.tolist().index(5))
            return right(requests, into)

        refusing: Any = SimpleNamespace(read=read)
        seen: list[int] = []

        def load(batch: Any) -> None:
            target = device.pinned_buffer(np.concatenate([each.sizes for each in slices]))
            try:
                read_in_slices([(refusing, some) for some in slices], target, device)
            except RangeError as error:
                seen.append(error.index)

        device.run(load, lambda loaded: None, [None])
    assert len(slices) > 3 and seen == [5]
