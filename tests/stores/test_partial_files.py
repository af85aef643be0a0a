"""Files that are being written: how they take their place, and what becomes of those that nobody writes any more."""

from __future__ import annotations

import os
import subprocess
import sys
from errno import EACCES
from pathlib import Path
from typing import Any

import pytest

from gpuzarr.stores.local import leftovers
from gpuzarr.stores.local import partial_files as files
from gpuzarr.stores.local.store import LocalStore
from tests.data import environ, partial_files


def refused(*_: Any, **__: Any) -> None:
    raise PermissionError(EACCES, "Permission denied")


@pytest.mark.parametrize("is_removable", [True, False])
def test_leftovers_of_a_process_with_the_same_id(
    is_removable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that is started again; files and folders. What cannot be removed is left."""
    mine = files.PartialFile(str(tmp_path / "x"))
    mine.open()
    [path] = tmp_path.iterdir()
    before = path.with_name(
        path.name.replace(f"-{next(files.PROCESS.value.numbers) - 1}.", f"-{files.PROCESS.value.first - 1}.")
    )
    assert before != path
    before.write_bytes(b"half")
    folder = tmp_path / before.name.replace(".x.", ".y.")
    (folder / "c").mkdir(parents=True)
    for name in (".0.lock", "0"):
        (folder / "c" / name).write_bytes(b"half")
    files._seen.discard(str(tmp_path))
    if not is_removable:
        monkeypatch.setattr(leftovers, "remove_tree", refused)
    files.write(str(tmp_path / "z"), b"new")
    assert path.exists() and not before.exists() and folder.exists() != is_removable
    mine.abort()
    assert {each.name for each in tmp_path.iterdir()} == {"z"} | (set() if is_removable else {folder.name})


def test_leftovers_of_the_dead_alone_are_removed(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.set("a/x", b"1")
    sink = store.create("b/x")
    sink.write(b"3", 0)
    [mine] = partial_files(tmp_path)
    pid = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True).stdout
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{pid.strip()}-"))
    dead.write_bytes(b"half")
    assert store.names("b") == []
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"from gpuzarr.stores.local.store import LocalStore as S; S({str(tmp_path)!r}).set('b/y', b'2')",
        ],
        check=True,
        env=environ(),
    )
    assert partial_files(tmp_path) == [mine]
    sink.commit()
    assert store.get("b/x") == b"3" and not partial_files(tmp_path)


def test_files_of_users_are_no_leftovers(tmp_path: Path) -> None:
    """However old they are, and whatever they are called, but for the names that this package makes."""
    names = [".notes.partial", ".my-file.partial", ".data.tar.partial", "..partial", ".partial", "a.partial"]
    names += [
        ".x.0-1-1.partial",
        ".x.nothexad-1-1.partial",
        ".x.12345678-1.partial",
        "x.12345678-1-1.partial",
        ".a.lock",
    ]
    (tmp_path / ".work.partial").mkdir()
    for path in [*(tmp_path / name for name in names), tmp_path / ".work.partial/thesis", tmp_path / ".work.partial"]:
        if not path.is_dir():
            path.write_bytes(b"of a user")
        os.utime(path, (0, 0))
    before = sorted(tmp_path.rglob("*"))
    files._seen.discard(str(tmp_path))
    files.write(str(tmp_path / "z"), b"new")
    leftovers.clean(str(tmp_path))
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "z"])


@pytest.mark.parametrize("fsync", [True, False])
def test_how_files_take_their_place(fsync: bool, tmp_path: Path) -> None:
    """New ones, over old ones, never over a folder."""
    for text in (b"one", b"two"):
        files.write(str(tmp_path / "file"), text, fsync)
        assert (tmp_path / "file").read_bytes() == text
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        files.write(str(tmp_path / "folder"), b"three", fsync)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
