"""Killed, in each other's way, or read meanwhile, processes that overwrite leave the old node or the new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from errno import EXDEV
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.creation import copy
from gpuzarr.stores.local import partial_files
from gpuzarr.stores.mapping import MappingStore
from tests.attack.rounds import FACTOR, rounds
from tests.creation.killed import killed
from tests.data import environ
from tests.small_process import FROM_A_SMALL_ONE
from tests.stores_of_tests import KINDS, objects

MOMENTS = 3  # at each kind of call of the system


def values(node: Any) -> dict[str, list[int]]:
    return {name: a[...].tolist() for name, a in node.members(max_depth=None) if isinstance(a, gpuzarr.Array)}


@pytest.mark.parametrize("function", ["rename", "unlink", "replace"])
@pytest.mark.parametrize("name", ["", "g"])
def test_killed_at_a_call_of_the_system(name: str, function: str, tmp_path: Path) -> None:
    """What a reader finds then, or after the next writer has found what is left."""
    old = {"a": [1, 2, 3], "c": [4, 5]}
    new = {"b": (-np.arange(1, 9)).tolist(), "c/d": (-np.arange(1, 9)).tolist()}
    survived = 0
    for passes in rounds("kills", range(0, 100, max(3 // FACTOR, 1))):
        path = tmp_path / str(passes)
        gpuzarr.save_group(path, path=name, a=[1, 2, 3], c=[4, 5])
        child = FROM_A_SMALL_ONE.Process(target=killed, args=(str(path), name, function, passes))
        child.start()
        child.join(60)
        partial_files._seen.clear()  # as in another process
        gpuzarr.create_array(path, name="other", shape=3, dtype="i4")
        found = values(gpuzarr.open_group(path, name))
        found.pop("other", None)
        assert found in (old, new), passes
        assert not [key for key in path.rglob(".*") if key.name.endswith(".partial")]
        assert child.exitcode in (0, -signal.SIGKILL)
        if child.exitcode == 0:
            survived += 1
            assert found == new
            break
    assert survived


def test_a_living_process_keeps_what_it_writes(tmp_path: Path) -> None:
    """Others write beside it meanwhile."""

    class Waiting:
        shape, dtype = (4, 2), np.dtype("i8")

        def __getitem__(self, selection: Any) -> Any:
            partial_files._seen.clear()
            code = f"import gpuzarr; gpuzarr.create_array({str(tmp_path)!r}, name='other', data=[1, 2], overwrite=True)"
            subprocess.run([sys.executable, "-c", code], env=environ(), check=True)
            gpuzarr.create_array(tmp_path, name="mine", data=[1, 2], overwrite=True)
            return np.ones((4, 2), int)[selection]

    gpuzarr.create_array(tmp_path, name="a", data=[1, 2])
    a = gpuzarr.from_array(tmp_path, name="a", data=Waiting(), chunks=(2, 2), overwrite=True)
    assert (a[...] == 1).all() and sorted(gpuzarr.open_group(tmp_path)) == ["a", "mine", "other"]


@pytest.mark.parametrize("name", ["", "g/a"])
def test_folders_that_cannot_be_renamed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a lower layer of a container: what is in them is moved file by file."""
    gpuzarr.create_array(tmp_path, name=name, data=np.arange(16).reshape(4, 4), chunks=(2, 2))
    rename = os.rename

    def refused(source: Any, target: Any, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if not os.path.isfile(f"/proc/self/fd/{src_dir_fd}/{source}"):
            raise OSError(EXDEV, "Invalid cross-device link")
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", refused)
    before = objects(gpuzarr.LocalStore(str(tmp_path)))
    with pytest.raises(gpuzarr.GpuZarrError):
        gpuzarr.save_group(tmp_path, path=name, x=[1, 2], y=np.array([object()]))
    assert objects(gpuzarr.LocalStore(str(tmp_path))) == before
    a = gpuzarr.from_array(tmp_path, name=name, data=gpuzarr.open(tmp_path, name), chunks=(3, 3), overwrite=True)
    assert (a[...] == np.arange(16).reshape(4, 4)).all() and len(list((tmp_path / name).rglob("c/?/?"))) == 4
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["", "g/n"])
def test_a_reader_finds_the_old_or_the_new_one(kind: str, path: str, tmp_path: Path) -> None:
    """Never a document without its chunks, or a group without its members."""
    store = KINDS[kind](tmp_path)
    gpuzarr.save_group(store, path=path, a=np.full(4, 1), b=np.full(4, 1))
    end, wrong, found = threading.Event(), list[Any](), set[int]()

    def read() -> None:
        while not end.is_set():
            try:
                document = gpuzarr.open_group(store, path)["a"].metadata.document
                found.add(document["attributes"].get("n", 0))
            except gpuzarr.NotFoundError:
                continue
            except Exception as error:
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(20 * FACTOR):
        gpuzarr.create_group(new := MappingStore({})).create_array("a", data=np.full(4, n), attributes={"n": n})
        copy(new, "", store, path, overwrite=True)
        assert gpuzarr.open(store, f"{path}/a")[0] == n
    end.set()
    reader.join()
    assert not wrong and found <= set(range(20 * FACTOR))


@pytest.mark.parametrize("kind", KINDS)
def test_two_who_overwrite(kind: str, tmp_path: Path) -> None:
    """The array of the one or of the other is there as a whole, at any time after the first."""
    store = KINDS[kind](tmp_path)
    gpuzarr.save_array(store, np.zeros(64, int), path="a", chunks=4)
    errors = list[BaseException]()

    def write(number: int) -> None:
        try:
            for _ in range(5):
                gpuzarr.create_array(store, name="a", data=np.full(64, number), chunks=4, overwrite=True)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(set(gpuzarr.open(store, "a")[...].tolist())) == 1
    assert not [key for key in objects(store) if ".partial" in key or ".lock" in key]
