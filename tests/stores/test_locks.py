"""Locks of a folder's keys: an interrupt and a fork leave none held."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gpuzarr.stores.local import locks
from gpuzarr.stores.local.store import LocalStore


def test_an_interrupt_leaves_no_lock_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even while somebody keeps the traceback, as interactive shells do."""
    store, calls = LocalStore(str(tmp_path)), list[str]()

    right = os.open

    def opened(lock: str, *options: int) -> int:
        if calls:
            raise KeyboardInterrupt
        calls.append(lock)
        return right(lock, *options)

    monkeypatch.setattr(locks.os, "open", opened)
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
