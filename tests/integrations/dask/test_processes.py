"""Which stores are in the memory of a process, and what becomes of targets that are."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import gpuzarr
from gpuzarr.integrations.dask import processes
from gpuzarr.integrations.dask.processes import Elsewhere, is_in_memory
from gpuzarr.integrations.dask.target import Target
from gpuzarr.stores.finding.resolve import store as store_of

zarr = pytest.importorskip("zarr")
IN_MEMORY: dict[str, Any] = {
    "dict": lambda folder: {},
    "name": lambda folder: "memory://test_processes",
    "store of zarr-python": lambda folder: zarr.storage.MemoryStore(),
    "fsspec": lambda folder: fsspec.get_mapper("memory://test_processes"),
    "part": lambda folder: gpuzarr.open_group({}, mode="w").create_group("a").store,
}
ELSEWHERE: dict[str, Any] = {
    "folder": lambda folder: folder,
    "store of zarr-python": lambda folder: zarr.storage.LocalStore(folder),
    "fsspec": lambda folder: fsspec.get_mapper(f"file://{folder}"),
    "mapping": lambda folder: fsspec.get_mapper(str(folder)),
}


@pytest.mark.parametrize("name", IN_MEMORY)
def test_stores_in_memory(name: str, tmp_path: Path) -> None:
    assert is_in_memory(store_of(IN_MEMORY[name](tmp_path), None, "a"))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_stores(name: str, tmp_path: Path) -> None:
    assert not is_in_memory(store_of(ELSEWHERE[name](tmp_path), None, "a"))


def test_a_target_in_memory_is_itself_in_this_process() -> None:
    target = Target(gpuzarr.zeros(4), ((0, 4),))
    assert pickle.loads(pickle.dumps(target)) is target
    first, second = pickle.dumps(target), pickle.dumps(target)
    assert first == second and len(first) < 300


def test_another_process_says_what_it_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(gpuzarr.zeros(4), ((0, 4),))
    sent = pickle.dumps(target)
    monkeypatch.setattr(processes.os, "getpid", lambda: 1)
    received = pickle.loads(sent)
    assert isinstance(received, Elsewhere)
    with pytest.raises(gpuzarr.StoreError, match=r"MappingStore\(dict.* cannot be written by process 1: give"):
        received.write(np.ones(4), (0,))


def test_a_pickled_dict_is_read_and_not_written() -> None:
    a = gpuzarr.array(np.arange(4.0), chunks=2, device="cpu")
    copy = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(a))))
    np.testing.assert_array_equal(copy[...], np.arange(4))
    for write in (lambda: copy.set(0, 7), lambda: copy.resize(2), lambda: copy.attrs.update(x=1)):
        with pytest.raises(gpuzarr.ReadOnlyError, match="a copy, by pickle"):
            write()
    other = deepcopy(a)
    other[0] = 7
    assert other[0] == 7 and a[0] == 0 == copy[0]
    gpuzarr.open_array(copy.store.mapping, mode="r+")[0] = 9  # whoever wants to write to the copy can say so
    assert copy[0] == 9 and a[0] == 0
