"""The loops over files: what they open, read and close is what Python's own functions do, with the same errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from errno import EBADF, EISDIR
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr import native
from gpuzarr.errors import StoreError
from gpuzarr.stores.local import open_files
from gpuzarr.stores.local.open_files import NO_VERSION, OpenFiles, version_of
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.ranges import MISSING
from tests import open_files as opened

SIZES = (0, 1, 4096, 70_000)
MANY = 600  # files: more than one call opens


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    for i, size in enumerate(SIZES):
        (made / f"{i}").write_bytes(np.random.default_rng(i).bytes(size))
    return made


@pytest.fixture(scope="module", autouse=True)
def together() -> Iterator[None]:
    """Also a few files are for the library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_files, "MIN_TOGETHER", 1)
        yield


def open_now() -> set[str]:
    return set(opened.open_files())


@settings(deadline=None)
@given(st.data())
def test_ranges_of_files(folder: Path, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(["0", "1", "2", "3", "none", "1/below"]), min_size=1, max_size=9))
    contents = [(folder / name).read_bytes() if name.isdecimal() else None for name in names]
    there = [i for i, content in enumerate(contents) if content is not None]
    rows = []
    for i in data.draw(st.lists(st.sampled_from(there), max_size=6) if there else st.just([])):
        begin = data.draw(st.integers(0, len(contents[i] or b"")))
        rows.append((i, begin, data.draw(st.integers(0, len(contents[i] or b"") - begin))))
    files = OpenFiles(LocalStore(folder), names)
    try:
        files.open(range(len(names)))
        assert files.lengths.tolist() == [MISSING if content is None else len(content) for content in contents]
        assert files.versions() == [version_of(str(folder / name)) for name in names]
        objects, offsets, sizes = np.array(rows, np.int64).reshape(-1, 3).T
        into = np.zeros(int(sizes.sum()), np.uint8)
        files.read((objects, np.cumsum(sizes) - sizes, offsets, sizes), range(len(rows)), into)
        assert into.tobytes() == b"".join((contents[i] or b"")[at : at + size] for i, at, size in rows)
    finally:
        files.close()


def test_many_files_are_opened_and_closed(tmp_path: Path, loops: str) -> None:
    """Also those before one that cannot be opened, and twice."""
    names = [f"{i}" for i in range(MANY)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    os.mkfifo(tmp_path / "pipe")
    before = open_now()
    files = OpenFiles(LocalStore(tmp_path), [*names, "none", "pipe"])
    with pytest.raises(StoreError, match=r"cannot read 'pipe' of LocalStore.*Illegal seek"):
        files.open(range(MANY + 2))
    assert len(open_now() - before) == MANY + 1
    assert files.lengths.tolist()[:-1] == [*(len(name) for name in names), MISSING]
    assert files.versions()[-2] == NO_VERSION
    for _ in range(2):
        files.close()
        assert open_now() == before


def test_a_folder_and_a_name_that_cannot_be(tmp_path: Path, loops: str) -> None:
    for key, why in [
        ("", "is not a file"),
        ("n" * 300, "File name too long"),
        ("n/" * 3000 + "n", "File name too long"),
        ("a\0b", "it has a null character"),
        ("\ud800", "surrogates not allowed"),
    ]:
        files = OpenFiles(LocalStore(tmp_path), ["none", key])
        with pytest.raises(StoreError, match=why) as caught:
            files.open(range(2))
        assert repr(key) in str(caught.value)
        files.close()


def test_a_folder_in_memory_is_no_file(tmp_path_factory: pytest.TempPathFactory, loops: str) -> None:
    """Where such file systems have no end of it, as others have."""
    with pytest.raises(StoreError, match="is not a file"):
        OpenFiles(LocalStore(tmp_path_factory.mktemp("folder")), [""]).open(range(1))


def test_a_folder_with_a_zero_in_its_name(tmp_path: Path, loops: str) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(StoreError, match="embedded null byte"):
        OpenFiles(LocalStore(f"{tmp_path}\0/b"), ["a"]).open(range(1))


@pytest.mark.usefixtures("compiled")
def test_no_more_than_the_memory_is_written(folder: Path) -> None:
    files = OpenFiles(LocalStore(folder), ["2"])
    files.open(range(1))
    column = np.zeros(1, np.int64)
    try:
        with pytest.raises(ValueError, match="larger than their memory"):
            files.read((column, column + 1, column, column + 4096), range(1), np.zeros(4096, np.uint8))
    finally:
        files.close()


@pytest.mark.parametrize("loops", ["compiled"], indirect=True)
def test_errors_of_the_system(folder: Path, loops: str) -> None:
    """A range behind others of which nothing can be read: the number of those before it, and why."""
    file, held = os.open(folder / "3", os.O_RDONLY), os.open(folder, os.O_RDONLY)
    try:
        for bad, error in ((held, EISDIR), (-1, EBADF)):
            assert _read([file, file, bad, file], 16) == (2, error, 0)
        assert _read([file, file], 50_000, offset=30_000) == (0, -2, 40_000)  # the end comes too soon
        assert _read([file, file], 1000) == (2, 0, 0)
    finally:
        os.close(file)
        os.close(held)


def test_a_call_reads_a_part_of_what_is_very_large(tmp_path: Path, loops: str) -> None:
    """A sparse file of more than a call reads."""
    size = (1 << 26) + 5000
    with open(tmp_path / "c", "wb") as file:
        file.seek(size - 3)
        file.write(b"end")
    files, into = OpenFiles(LocalStore(tmp_path), ["c"]), np.ones(size + 3, np.uint8)
    files.open(range(1))
    try:
        files.read(
            (np.zeros(2, np.int64), np.array([0, size]), np.array([0, size - 3]), np.array([size, 3])), range(2), into
        )
        assert bytes(into[-6:]) == b"endend" and not into[:-6].any()
    finally:
        files.close()


def _read(files: list[int], size: int, offset: int = 0) -> tuple[int, int, int]:
    """What the loop returns for a range of each of these files: how many were read, the error, bytes of the next."""
    progress, into = np.zeros(3, np.int64), np.zeros(len(files) * size, np.uint8)
    n = len(files)
    address = into.ctypes.data + size * np.arange(n)
    columns: list[Any] = [np.array(files), np.arange(n), address, np.full(n, offset), np.full(n, size)]
    arrays = [np.ascontiguousarray(column, np.int64) for column in columns]
    done = native.library().gpuzarr_read_ranges(n, *(each.ctypes.data for each in (*arrays, progress)))
    return int(done), int(progress[1]), int(progress[2])
