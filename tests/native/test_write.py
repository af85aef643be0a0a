"""The loop that writes files: what it writes and refuses is what Python's own functions do, and nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gpuzarr import native
from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import LinkedError, ReadOnlyError, StoreError
from gpuzarr.stores.local import new_files
from gpuzarr.stores.local import partial_files as files
from gpuzarr.stores.local.locks import lock_of
from gpuzarr.stores.local.overwriter import Overwriter
from gpuzarr.stores.local.store import LocalStore
from tests.data import partial_files
from tests.open_files import open_files

MANY = 600  # files: more than one call writes


def batch(n: int) -> EncodedBatch:
    """Chunks of 0 to n - 1 bytes."""
    sizes = np.arange(n)
    return EncodedBatch(
        np.random.default_rng(1).integers(0, 256, sizes.sum(), np.uint8), np.cumsum(sizes) - sizes, sizes
    )


def one_by_one(store: LocalStore, keys: Sequence[str], data: EncodedBatch) -> None:
    put = Overwriter(store)
    for i, key in enumerate(keys):
        put(key, data.on_host(i))


WAYS: dict[str, Callable[[LocalStore, Sequence[str], EncodedBatch], None]] = {
    "written": lambda store, keys, data: store.write(keys, data),
    "overwritten": lambda store, keys, data: Overwriter(store).many(keys, data),
    "one by one": one_by_one,
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("write", WAYS)
def test_many_files(write: str, tmp_path: Path, loops: str) -> None:
    """In several folders that are missing, twice; long names, too, and those that no file system has bytes for."""
    store, data = LocalStore(tmp_path), batch(MANY)
    keys = [f"{i % 3}/{i}" for i in range(MANY - 3)] + [f"0/{'long' * n}" for n in (11, 12, 60)]
    for _ in range(2):
        WAYS[write](store, keys, data)
        assert contents(tmp_path) == {key: data.on_host(i).tobytes() for i, key in enumerate(keys)}
    assert (tmp_path / keys[0]).stat().st_mode == (tmp_path / keys[1]).stat().st_mode
    assert not partial_files(tmp_path)


@pytest.mark.parametrize("key", ["x/\ud800", "x/\0", "x/full"])
@pytest.mark.parametrize("write", WAYS)
def test_what_cannot_be_written_is_named(key: str, write: str, tmp_path: Path, loops: str) -> None:
    """A folder is in its place, or it is no path."""
    store, opened = LocalStore(tmp_path), open_files()
    (tmp_path / "x/full/of").mkdir(parents=True)
    keys = ["x/a", "x/b", key, "x/c"]
    with pytest.raises(StoreError) as caught:
        WAYS[write](store, keys, batch(4))
    assert repr(key) in str(caught.value)
    assert not partial_files(tmp_path) and "x/c" not in contents(tmp_path)
    assert open_files() == opened


@pytest.mark.parametrize("write", WAYS)
def test_links_and_permissions(write: str, tmp_path: Path, loops: str) -> None:
    store = LocalStore(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for refuses, error in ((store, LinkedError), (store.with_read_only(True), ReadOnlyError)):
        with pytest.raises(error):
            keys = ["link/a", "link/b", "link/c"]
            WAYS[write](refuses, keys, batch(3))
    assert not contents(tmp_path)


def test_a_lock_that_somebody_has_is_waited_for(tmp_path: Path, loops: str) -> None:
    """Each file that is locked is left to Python, and no other."""
    if loops == "interpreted":
        pytest.skip("all files are left to Python")
    paths, left = [str(tmp_path / str(i)) for i in range(5)], list[int]()
    files.prepare(str(tmp_path))
    for i in (1, 4):
        Path(lock_of(paths[i])).touch()
    new_files.write(paths, batch(5), left.append, fsync=False, looks_for_locks=True)
    assert left == [1, 4]
    new_files.write(paths, batch(5), left.append, fsync=True, looks_for_locks=True)
    assert left[2:] == [0, 1, 2, 3, 4]
    assert not any(new_files.write_one(paths[i], b"x", False, looks_for_locks=True) for i in (1, 4))
    assert new_files.write_one(paths[2], b"x", False, looks_for_locks=True)
    assert not new_files.write_one(paths[2], b"x", True, looks_for_locks=True)
    assert not new_files.write_one(str(tmp_path / "unsearched/x"), b"x", False, looks_for_locks=True)


def test_a_file_that_is_replaced_at_once_is_written_again(tmp_path: Path, loops: str) -> None:
    """The lock is free again, but its holder may have replaced the file: then it is written by the rules for one."""
    store, held = LocalStore(tmp_path), LocalStore(tmp_path).locked(["b"])
    store.set("a", b"")
    with held:
        seen: list[int] = []
        new_files.write([store.path(key) for key in "ab"], batch(2), seen.append, fsync=False, looks_for_locks=True)
    assert seen == ([1] if native.library() else [0, 1])
    Overwriter(store).many(["a", "b"], batch(2))
    assert contents(tmp_path) == {"a": b"", "b": batch(2).on_host(1).tobytes()}
