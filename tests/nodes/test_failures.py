"""Calls that fail in the middle leave what was there: appending, changing the shape, storing new arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, ENOSPC
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.stores.local import partial_files as files
from gpuzarr.stores.local.overwriter import Overwriter
from tests.data import partial_files
from tests.hardware import host_array

pytestmark = pytest.mark.usefixtures("python_files")
KINDS = {
    "chunks": {"chunks": (4, 3)},
    "large": {"chunks": (1024, 3)},
    "shards": {"chunks": (2, 3), "shards": (4, 6)},
    "v2": {"chunks": (4, 3), "zarr_format": 2},
}
OLD = np.arange(1, 61, dtype="i8").reshape(10, 6)


class Fault:
    """Lets some system calls pass, and then fails: always, or once."""

    def __init__(self, passes: int, name: str, error: BaseException, once: bool) -> None:
        self.passes, self.name, self.error, self.once, self.was_raised = passes, name, error, once, False
        self._right = getattr(os, name)

    def call(self, *arguments: Any) -> Any:
        self.passes -= 1
        if self.passes < 0 and not (self.once and self.was_raised):
            self.was_raised = True
            raise self.error
        return self._right(*arguments)


FAULTS: dict[str, tuple[str, BaseException, bool]] = {
    "full disk": ("pwrite", OSError(ENOSPC, "No space left on device"), False),
    "interrupt": ("pwrite", KeyboardInterrupt(), True),
    "refused": ("replace", OSError(EACCES, "Permission denied"), True),
}


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, passes: int, kind: str) -> Iterator[Fault]:
    fault = Fault(passes, *FAULTS[kind])
    with monkeypatch.context() as patch:
        patch.setattr(files.os, fault.name, fault.call)
        yield fault


def objects(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_append_leaves_the_array_as_it_was(
    kind: str, fault: str, tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it fails; and what it had written is not seen when the array grows."""
    failed = 0
    for passes in range(30):
        path = tmp_path / str(passes)
        gpuzarr.create_array(path, data=OLD, **KINDS[kind])
        a = gpuzarr.open_array(path, mode="r+", device=device)
        with failing(monkeypatch, passes, fault) as faulty:
            try:
                a.append(-np.ones((9, 6), "i8"))
            except (gpuzarr.GpuZarrError, KeyboardInterrupt):
                failed += 1
            if not faulty.was_raised:
                break
        assert not partial_files(path)
        for each in (a, gpuzarr.open_array(path, mode="r+")):
            assert each.shape == OLD.shape
            np.testing.assert_array_equal(host_array(each[...]), OLD)
        a.resize((30, 6))
        if fault != "full disk":
            assert not host_array(a[10:]).any()
        else:  # the disk stays full, and what was added to old chunks is still there
            assert not host_array(a[12 if kind != "large" else 19 :]).any()
    assert failed > 1


def test_values_that_do_not_fit_change_nothing(tmp_path: Path, device: Device) -> None:
    gpuzarr.create_array(tmp_path, data=OLD.astype("u1"), chunks=(4, 3))
    before = objects(tmp_path)
    a = gpuzarr.open_array(tmp_path, mode="r+", device=device)
    for value in ([[300] * 6], np.full((1, 6), np.nan), [["a"] * 6]):
        with pytest.raises(gpuzarr.ValueKindError):
            a.append(value)
        with pytest.raises(gpuzarr.GpuZarrError):
            gpuzarr.create_array(tmp_path, data=np.ma.masked_array(np.arange(6), [1] * 6), overwrite=True)
        assert objects(tmp_path) == before and a.shape == OLD.shape


def test_a_damaged_chunk_fails_an_append(tmp_path: Path, device: Device) -> None:
    gpuzarr.create_array(tmp_path, data=OLD, chunks=(4, 3))
    (tmp_path / "c/2/1").write_bytes(b"damaged")
    before = objects(tmp_path)
    a = gpuzarr.open_array(tmp_path, mode="r+", device=device)
    with pytest.raises(gpuzarr.ChunkError):
        a.append(np.ones((9, 6), "i8"))
    after = objects(tmp_path)
    assert after.keys() == before.keys() and after["c/2/1"] == b"damaged" and a.shape == OLD.shape
    np.testing.assert_array_equal(host_array(a[:8]), OLD[:8])


def test_a_failed_append_beside_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has appended meanwhile keeps the place; what failed is the fill value."""
    a = gpuzarr.create_array(tmp_path, data=OLD, chunks=(4, 6), config={"write_empty_chunks": True})
    right, calls = files.os.pwrite, []

    def pwrite(*arguments: Any) -> int:
        calls.append(1)
        if len(calls) == 3:
            gpuzarr.open_array(tmp_path, mode="r+").append(np.full((5, 6), 7))
            raise OSError(ENOSPC, "No space left on device")
        return right(*arguments)

    monkeypatch.setattr(files.os, "pwrite", pwrite)
    with pytest.raises(gpuzarr.StoreError, match="No space left"):
        a.append(-np.ones((9, 6), "i8"))
    b = gpuzarr.open_array(tmp_path)
    np.testing.assert_array_equal(b[...], np.concatenate([OLD, np.zeros((9, 6)), np.full((5, 6), 7)]))


def test_a_failed_change_of_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpuzarr.create_array(tmp_path / "a", data=OLD, chunks=(4, 3))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a/c").rename(tmp_path / "elsewhere/c")
    (tmp_path / "a/c").symlink_to("../elsewhere/c")
    before = objects(tmp_path)
    a = gpuzarr.open_array(tmp_path / "a", mode="r+")
    with pytest.raises(gpuzarr.StoreError, match=r"a/c' is a symbolic link"):
        a.resize((3, 3))
    assert objects(tmp_path) == before and a.shape == OLD.shape
    np.testing.assert_array_equal(gpuzarr.open(tmp_path / "a")[...], OLD)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", [None, "x/y"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_half_made_is_left(
    kind: str, name: str | None, fault: str, tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    for passes in range(0, 30, 2):
        path = tmp_path / str(passes)
        with failing(monkeypatch, passes, fault) as faulty:
            try:
                gpuzarr.create_array(path, name=name, data=OLD, device=device, **KINDS[kind])
            except (gpuzarr.StoreError, KeyboardInterrupt):
                assert faulty.was_raised
            if not faulty.was_raised:
                break
        with pytest.raises(gpuzarr.NotFoundError):
            gpuzarr.open(path, name)
        names = {file.name for file in path.rglob("*") if file.is_file()}
        assert names <= {"zarr.json", ".zgroup", ".zattrs"} and (name or not names)
    assert passes


@pytest.mark.parametrize("fault", FAULTS)
def test_a_group_is_saved_whole_or_not_at_all(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for passes in range(0, 30, 3):
        path = tmp_path / str(passes)
        with failing(monkeypatch, passes, fault) as faulty:
            try:
                gpuzarr.save(path, path="g", a=OLD, b=OLD)
            except (gpuzarr.StoreError, KeyboardInterrupt):
                assert faulty.was_raised
            if not faulty.was_raised:
                break
        with pytest.raises(gpuzarr.NotFoundError):
            gpuzarr.open(path, "g")
    assert passes


def test_a_change_of_shape_that_fails_half_way_loses_nothing_within(tmp_path: Path) -> None:
    values = np.arange(1, 64 * 64 + 1, dtype="i4").reshape(64, 64)
    a = gpuzarr.create_array(tmp_path, data=values, chunks=(8, 8), device="cpu")
    (tmp_path / "c/7/7").unlink()
    (tmp_path / "c/7/7").mkdir()
    with pytest.raises(gpuzarr.StoreError):
        a.resize((32, 32))
    assert a.shape == (32, 32)
    np.testing.assert_array_equal(gpuzarr.open(tmp_path, device="cpu")[...], values[:32, :32])
    (tmp_path / "c/7/7").rmdir()
    a.resize((64, 64))
    assert not a[32:].any() and not a[:, 32:].any()


@pytest.mark.parametrize("number", [1, 2, 5])
def test_an_interrupted_change_of_shape_is_done(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(1, 64 * 64 + 1, dtype="i4").reshape(64, 64)
    a = gpuzarr.create_array(tmp_path, data=values, chunks=(8, 8), device="cpu")
    right, calls = Overwriter.delete, []

    def overwrite(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        right(*arguments)

    monkeypatch.setattr(Overwriter, "delete", overwrite)
    with pytest.raises(KeyboardInterrupt):
        a.resize((32, 32))
    for each in (a, gpuzarr.open(tmp_path, mode="r+", device="cpu")):
        np.testing.assert_array_equal(each[...], values[:32, :32])
    a.resize((64, 64))
    assert not a[32:].any() and not a[:, 32:].any()


def test_a_shape_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = gpuzarr.create_array(tmp_path, data=OLD, chunks=(4, 3), device="cpu")
    before = objects(tmp_path)

    def full(*arguments: Any) -> int:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "pwrite", full)
    with pytest.raises(gpuzarr.StoreError, match="No space left"):
        a.resize((3, 3))
    assert objects(tmp_path) == before and a.shape == OLD.shape
