"""A copy that was killed, interrupted, or had no room left is no node; continued, it is the copy that was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from errno import ENOSPC
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.tools import copy
from gpuzarr.tools.copying import work
from tests.copies import everything, files_of

OPTIONS: dict[str, dict[str, Any]] = {
    "stored bytes": {},
    "values": {"chunks": {"y": 4, "x": 5}, "compressors": "gzip"},
    "shards": {"chunks": (2, 4, 5), "shards": (2, 8, 10), "dtype": "int32"},
    "part": {"selection": {"y": slice(30, 2, -3)}, "chunks": (1, 2, 7)},
}
TINY = {"memory_limit": 1024, "workers": 1}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.zarr"
    g = gpuzarr.create_group(path, attributes={"title": "a test"})
    rng = np.random.default_rng(0)
    names = {"dimension_names": ("t", "y", "x")}
    g.create_array("a", data=rng.integers(0, 9, (4, 32, 30), "u2"), chunks=(1, 16, 16), **names)
    g.create_array("deep/b", shape=(2, 32, 9), dtype="u2", chunks=(1, 8, 8), fill_value=3, **names)[0, 3:20] = 7
    return path


def check_same(a: Path, b: Path, has_shards: bool) -> None:
    """The same files, but for what a killed process was writing. The order of chunks in a shard may differ."""
    old, new = ({k: v for k, v in files_of(path).items() if not k.endswith(".partial")} for path in (a, b))
    if has_shards:
        assert everything(a) == everything(b)
        assert {key: len(data) for key, data in old.items()} == {key: len(data) for key, data in new.items()}
    else:
        assert old == new


@pytest.fixture
def at_object(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Callable[[], object]], None]]:
    """Have something happen when the n-th object is done, whose journal is then written at once."""
    monkeypatch.setattr(work, "SECONDS", 0.0)
    note = work.Done.note

    def arrange(number: int, happens: Callable[[], object]) -> None:
        left = [number]

        def noted(self: work.Done, coords: Any) -> None:
            note(self, coords)
            left[0] -= 1
            if left[0] == 0:
                happens()

        monkeypatch.setattr(work.Done, "note", noted)

    yield arrange
    monkeypatch.undo()


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("number", [1, 5, 9])
def test_killed_at_any_moment(kind: str, number: int, source: Path, tmp_path: Path, at_object: Any) -> None:
    options = OPTIONS[kind] | TINY
    copy(source, tmp_path / "whole", **options)
    at_object(number, lambda: os._exit(9))
    if not (child := os.fork()):
        try:
            copy(source, tmp_path / "killed", **options)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    at_object(-1, lambda: None)
    with pytest.raises(gpuzarr.NotFoundError):
        gpuzarr.open(tmp_path / "killed")
    with pytest.raises(gpuzarr.ExistsError, match=r"interrupted: it is continued by resume"):
        copy(source, tmp_path / "killed", **options)
    report = copy(source, tmp_path / "killed", resume=True, verify=True, **options)
    assert report.objects_skipped >= number and report.objects_done > 0
    assert report.objects_skipped + report.objects_done == sum(node.objects for node in report.nodes)
    check_same(tmp_path / "killed", tmp_path / "whole", kind == "shards")
    assert not [key for key in files_of(tmp_path / "killed") if "journal" in key]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(ENOSPC, "No space left on device")])
@pytest.mark.parametrize("kind", OPTIONS)
def test_interrupted(kind: str, error: BaseException, source: Path, tmp_path: Path, at_object: Any) -> None:
    options = OPTIONS[kind] | {"memory_limit": 3072, "workers": 3}

    def fail() -> None:
        raise error

    at_object(3, fail)
    with pytest.raises(type(error)):
        copy(source, tmp_path / "b", **options)
    at_object(-1, fail)
    report = copy(source, tmp_path / "b", resume=True, **options)
    assert report.objects_skipped >= 2
    copy(source, tmp_path / "whole", **options)
    check_same(tmp_path / "b", tmp_path / "whole", kind == "shards")


@pytest.mark.usefixtures("python_files")
def test_a_full_disk(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, calls = gpuzarr.stores.local.new_files.os.pwrite, [0]  # type: ignore[attr-defined]

    def pwrite(*arguments: Any) -> int:
        calls[0] += 1
        if calls[0] > 12:
            raise OSError(ENOSPC, "No space left on device")
        return int(right(*arguments))

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(gpuzarr.StoreError, match="No space left"):
        copy(source, tmp_path / "b", **OPTIONS["values"] | TINY)
    monkeypatch.undo()
    copy(source, tmp_path / "b", resume=True, verify=True, **OPTIONS["values"] | TINY)


def interrupted(source: Path, dest: Any, at_object: Any, **options: Any) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    at_object(2, stop)
    with pytest.raises(KeyboardInterrupt):
        copy(source, dest, workers=1, **options)
    at_object(-1, stop)


def test_what_has_changed_is_not_continued(source: Path, tmp_path: Path, at_object: Any) -> None:
    interrupted(source, tmp_path / "b", at_object)
    with pytest.raises(gpuzarr.ExistsError, match="the options, are others"):
        copy(source, tmp_path / "b", resume=True, compressors=None)
    gpuzarr.open_array(source / "a", mode="r+").attrs["unit"] = "m"
    with pytest.raises(gpuzarr.ExistsError, match="the metadata of the source"):
        copy(source, tmp_path / "b", resume=True)
    report = copy(source, tmp_path / "b", overwrite=True, verify=True)
    assert not report.objects_skipped


def test_overwriting_leaves_nothing_of_what_was_there(source: Path, tmp_path: Path, at_object: Any) -> None:
    copy(source, tmp_path / "b")
    (tmp_path / "b/deep/b/.done.journal").write_bytes(b"an older one")
    with pytest.raises(gpuzarr.ExistsError, match=r"there is a node at .* already"):
        copy(source, tmp_path / "b")
    with pytest.raises(gpuzarr.ExistsError, match="no copy that was interrupted"):
        copy(source, tmp_path / "b", resume=True)
    copy(source, tmp_path / "b", overwrite=True, include=["a"])
    copy(source, tmp_path / "whole", include=["a"])
    assert files_of(tmp_path / "b") == files_of(tmp_path / "whole")


def test_a_journal_that_was_left_is_not_believed(source: Path, at_object: Any) -> None:
    dest: dict[str, bytes] = {}
    interrupted(source, dest, at_object)
    for key in [key for key in dest if not key.endswith(".done.journal")]:
        del dest[key]
    assert dest and not copy(source, dest, resume=True, verify=True).objects_skipped


def test_what_is_no_node_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(gpuzarr.ExistsError):
            copy(source, tmp_path / "papers", overwrite=overwrite)
    assert (tmp_path / "papers/thesis.txt").read_text() == "mine"


def test_the_same_place(source: Path, tmp_path: Path) -> None:
    before = files_of(source)
    for old, new in ((source, source), (source, source / "a"), (source / "deep", source), (source / "deep/b", source)):
        with pytest.raises(gpuzarr.ArgumentError, match="or the other way round"):
            copy(old, new, overwrite=True)
    assert files_of(source) == before
    copy(source / "a", source / "deep/c", verify=True)
    assert sorted(gpuzarr.open_group(source / "deep", consolidated=False)) == ["b", "c"]


def test_into_a_group(source: Path, tmp_path: Path) -> None:
    g = gpuzarr.create_group(tmp_path / "g", zarr_format=2)
    with pytest.raises(gpuzarr.ArgumentError, match="Zarr"):
        copy(source, tmp_path / "g", path="x")
    assert not g.names()
    copy(source, g, path="x/y", zarr_format=2, verify=True)
    assert [path for path, _ in g.members(None)] == ["x", "x/y", "x/y/a", "x/y/deep", "x/y/deep/b"]
    gpuzarr.create_array(tmp_path / "g", name="z", shape=3, dtype="i4", zarr_format=2)
    with pytest.raises(gpuzarr.ExistsError, match="is an array"):
        copy(source, g, path="z/z", zarr_format=2)


def test_archives_are_there_when_they_are_complete(source: Path, tmp_path: Path, at_object: Any) -> None:
    interrupted(source, tmp_path / "b.zip", at_object)
    assert not (tmp_path / "b.zip").exists()
    with pytest.raises(gpuzarr.ArgumentError, match="begin it again"):
        copy(source, tmp_path / "b.zip", resume=True)
    copy(source, tmp_path / "b.zip", verify=True)
    with pytest.raises(gpuzarr.ExistsError):
        copy(source, tmp_path / "b.zip")


def test_wrong_places_and_arguments(source: Path, tmp_path: Path) -> None:
    with pytest.raises(gpuzarr.NotFoundError):
        copy(tmp_path / "nothing", tmp_path / "b")
    with pytest.raises(gpuzarr.ReadOnlyError):
        copy(source, gpuzarr.storage.MemoryStore(read_only=True))
    (tmp_path / "file").write_text("a file")
    with pytest.raises(gpuzarr.StoreError):
        copy(source, tmp_path / "file/b")
    for options in (
        {"overwrite": True, "resume": True},
        {"rounding": "up"},
        {"out_of_range": "ignore"},
        {"on_error": "ignore"},
        {"workers": 0},
        {"memory_limit": "much"},
        {"include": "a"},
        {"include": ["no such"]},
        {"zarr_format": 4},
        {"chunks": {"z": 3}},
        {"selection": {"z": 3}},
        {"selection": [1, 2]},
    ):
        with pytest.raises(gpuzarr.ArgumentError):
            copy(source, tmp_path / "b", **options)
    with pytest.raises(gpuzarr.SelectionError, match="array '/a'"):
        copy(source, tmp_path / "b", selection=(1, 2, 3, 4))
    with pytest.raises(gpuzarr.MetadataError, match="array '/a' cannot be copied so: chunks"):
        copy(source, tmp_path / "b", chunks=(3, 3))
    with pytest.raises(gpuzarr.ArgumentError, match="is an array"):
        copy(source / "a", tmp_path / "b", include=["a"])
    assert not (tmp_path / "b").exists()


class Deletions(dict):
    """A store in which after some deletions, and before the next one, the process is interrupted."""

    left = -1

    def _counted(self) -> None:
        if self.left == 0:
            self.left = -1
            raise KeyboardInterrupt
        self.left -= self.left > 0

    def __delitem__(self, key: str) -> None:
        self._counted()
        super().__delitem__(key)

    def pop(self, key: str, *default: Any) -> Any:
        self._counted()
        return super().pop(key, *default)


@pytest.mark.parametrize("after", [{"resume": True}, {"overwrite": True}])
def test_interrupted_while_room_is_made(source: Path, after: Any) -> None:
    """Whatever was deleted by then, what is left is known to be no node that anybody needs."""
    whole: dict[str, bytes] = {}
    copy(source, whole)
    for number in range(500):
        store = Deletions()
        gpuzarr.save_group(store, old=np.arange(6), more=np.arange(3))
        store.left = number
        try:
            copy(source, store, overwrite=True)
        except KeyboardInterrupt:
            copy(source, store, **after)
            assert dict(store) == whole
            continue
        assert number > 3 and dict(store) == whole
        return
    raise AssertionError("it was never done")
