"""What `explain_write` says is what a write does: the same plan, for any selection, layout and device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.stores.contract import Objects
from gpuzarr.stores.local.objects import LocalObjects
from tests.hardware import host_array

LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (4, 5)},
    "shards": {"chunks": (4, 5), "shards": (8, 10)},
    "one shard": {"chunks": (4, 5), "shards": (24, 20)},
    "F": {"chunks": (3, 20), "order": "F", "zarr_format": 2},
}
SELECTIONS: list[Any] = [
    ...,
    (slice(4, 12), slice(5)),
    slice(2, 19),
    (3, 4),
    (slice(None, None, -3), slice(2)),
    slice(0),
]


def create(path: Path, name: str, device: Device) -> gpuzarr.Array:
    return gpuzarr.create_array(path, shape=(21, 18), dtype="i4", fill_value=-1, device=device, **LAYOUTS[name])


@pytest.mark.parametrize("least", [0, 1 << 17])
@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_write_follows_its_explanation(
    name: str, safe: bool, least: int, device: Device, tmp_path: Path, thresholds: Any
) -> None:
    thresholds("gpuzarr.write", MIN_LONE_CHUNK_BYTES=least)
    create(tmp_path, name, device)
    a = gpuzarr.open_array(tmp_path, mode="r+", device=device, config={"safe": safe})
    want = np.full(a.shape, -1, "i4")
    for number, selection in enumerate([*SELECTIONS, *SELECTIONS]):
        planned = a.explain_write(selection)
        a[selection] = want[selection] = number
        said = a.last_write.asdict()
        for key in ("chunks", "batches", "whole_objects", "partial_objects", "locks", "write_behind_depth"):
            assert said[key] == getattr(planned, key), key
        assert said["codecs"] == list(planned.codecs)
        assert "chunk by chunk" not in planned.work or (least == 0 and not device.gpu)
        assert planned.work != "chunk by chunk" or planned.batches == planned.chunks
        assert "units" not in str(planned) + str(a.last_write)
    np.testing.assert_array_equal(host_array(a[...]), want)
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], want)


@pytest.mark.parametrize("times", [1, 1000])
def test_a_shard_that_is_replaced_while_it_is_copied_is_copied_again(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one who holds no lock: what stays is of one shard, the new one."""
    made: dict[str, Any] = {"chunks": (2, 3), "shards": (8, 6), "dtype": "i4", "fill_value": -1, "device": "cpu"}
    a = gpuzarr.create_array(tmp_path, shape=(8, 6), compressors=None, **made)
    other = gpuzarr.open_array(tmp_path, mode="r+", device="cpu", config={"safe": False})
    a[...] = 1
    right, calls = LocalObjects.changed, []

    def changed(objects: Objects) -> bool:
        calls.append(right(objects))  # type: ignore[arg-type]
        if len(calls) > times:
            return calls[-1]
        with monkeypatch.context() as patch:
            patch.setattr(LocalObjects, "changed", right)
            other[...] = len(calls) + 1
        return True

    with monkeypatch.context() as patch:
        patch.setattr(LocalObjects, "changed", changed)
        if times > 1:
            with pytest.raises(gpuzarr.StoreError, match="replaced faster"):
                a[2:4, 0:3] = 0
        else:
            a[2:4, 0:3] = 0
    assert not list(tmp_path.rglob("*.partial"))
    if times == 1:
        want = np.full((8, 6), 2, "i4")
        want[2:4, 0:3] = 0
        np.testing.assert_array_equal(a[...], want)
        np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], want)
