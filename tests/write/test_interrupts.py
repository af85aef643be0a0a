"""Interrupts, forks, stores that write arrays themselves, leftovers of nobody: what was there stays, work goes on."""

from __future__ import annotations

import errno
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.devices.threads import uninterrupted
from gpuzarr.errors import ChunkError, StoreError
from gpuzarr.stores.local import locks
from gpuzarr.stores.local import partial_files as files
from gpuzarr.stores.local.store import LocalStore
from tests.hardware import host_array

VALUES = (np.arange(1 << 17, dtype="u4") // 7).reshape(4, -1)  # chunks that go one by one


def stored(store: Any, level: int, checksum: bool) -> dict[str, bytes]:
    zstd = {"name": "zstd", "configuration": {"level": level, "checksum": checksum}}
    made = {"shape": VALUES.shape, "chunks": (1, VALUES.shape[1]), "dtype": "u4", "compressors": [zstd]}
    gpuzarr.create_array(store, device="cpu", **made)[...] = VALUES
    return {key: value for key, value in store.items() if key.startswith("c/")}


def test_a_store_that_writes_another_array() -> None:
    """On the same thread, between two chunks: each array has its own level and checksum."""
    inner, outer = stored({}, 9, True), stored({}, 1, False)

    class Store(dict[str, bytes]):
        def __setitem__(self, key: str, value: bytes) -> None:
            assert not key.startswith("c/") or stored({}, 9, True) == inner
            super().__setitem__(key, value)

    assert stored(Store(), 1, False) == outer


def test_a_mapping_whose_disk_is_full() -> None:
    class Store(dict[str, bytes]):
        def __setitem__(self, key: str, value: bytes) -> None:
            if key.startswith("c/2"):
                raise OSError(errno.ENOSPC, "no space")
            super().__setitem__(key, value)

    with pytest.raises(StoreError, match="'c/2/0'") as caught:
        stored(Store(), 1, False)
    assert caught.value.errno == errno.ENOSPC


def test_strings_without_axes(device: Device, tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=(), chunks=(), dtype="string", fill_value="x", device=device)
    for text in ("y", "x"):
        a[...] = text
        assert str(a[...]) == text and (tmp_path / "c").exists() == (text == "y")


def test_what_a_shard_within_codecs_cannot_encode_is_the_fault_of_its_chunk(device: Device, tmp_path: Path) -> None:
    uneven = {"name": "numcodecs.shuffle", "configuration": {"elementsize": 8}}
    little: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}
    inner = {"codecs": [little, {"name": "zstd"}, uneven], "index_codecs": [little], "index_location": "end"}
    shard = {"name": "sharding_indexed", "configuration": {"chunk_shape": [1], **inner}}
    made = {"shape": (12,), "chunks": (4,), "dtype": "u4", "serializer": shard, "compressors": ["zstd"]}
    a = gpuzarr.create_array(tmp_path, fill_value=0, device=device, **made)
    with pytest.raises(ChunkError) as caught:
        a[...] = np.arange(12) // 11
    assert caught.value.chunk == (2,)
    assert (host_array(a[...]) == 0).all()


def test_an_interrupt_waits_for_what_is_at_work() -> None:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(time.sleep, 0.2)
        old = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(KeyboardInterrupt):
                uninterrupted(lambda: wait([future]))
        finally:
            signal.signal(signal.SIGALRM, old)
        assert future.done()


def test_an_interrupt_leaves_no_lock_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even while somebody keeps the traceback, as interactive shells do."""
    store, right, calls = LocalStore(str(tmp_path)), locks._acquired, []

    def acquired(lock: str) -> Any:
        if calls:
            raise KeyboardInterrupt
        calls.append(lock)
        return right(lock)

    monkeypatch.setattr(locks, "_acquired", acquired)
    with pytest.raises(KeyboardInterrupt) as kept, store.locked(["a", "b"]):
        raise AssertionError("both locks were had")
    monkeypatch.undo()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: store.locked(["a", "b"]).__enter__()).result(10) is None
    assert kept.traceback


def test_a_child_forked_meanwhile_holds_no_lock(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    lock = tmp_path / ".a.lock"
    with store.locked(["a"]):
        os.link(lock, tmp_path / "same")  # where one waits who opened it before it was removed
        if not (child := os.fork()):
            time.sleep(30)
            os._exit(0)
    try:
        with open(tmp_path / "same", "ab") as file:
            locks.fcntl.flock(file, locks.fcntl.LOCK_EX | locks.fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_leftovers_of_a_process_with_the_same_id(tmp_path: Path) -> None:
    """As in a container that is started again. What cannot be removed is left."""
    mine = files.PartialFile(str(tmp_path / "x"))
    [path] = tmp_path.iterdir()
    before = path.with_name(
        path.name.replace(f"-{next(files.PROCESS.value.numbers) - 1}.", f"-{files.PROCESS.value.first - 1}.")
    )
    assert before != path
    before.write_bytes(b"half")
    folder = tmp_path / before.name.replace(".x.", ".y.")
    folder.mkdir()
    files._seen.discard(str(tmp_path))
    files.write(str(tmp_path / "z"), b"new")
    assert path.exists() and not before.exists() and folder.exists()
    mine.abort()
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([folder.name, "z"])
