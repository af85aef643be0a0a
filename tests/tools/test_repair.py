"""Repairs by `gpuzarr.tools.check`: what was damaged reads as the fill value, and nothing else has changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.stores.hidden import beside, host, owner
from gpuzarr.tools import check
from tests.conftest import examples
from tests.tools import damage

SAFE_KINDS = (damage.out_of_date, damage.stray, damage.outside, damage.both, damage.inside, damage.of_zarr_python)
DAMAGES = (damage.cut, damage.longer, damage.flipped, damage.flipped_in_shard, damage.cut_shard, damage.flipped_index)
DAMAGES += (damage.beyond, damage.overlapping)
NAMES = ("raw", "zstd", "gzip", "blosc", "crc", "deep/shards")


def picked(data):
    return lambda choices: data.draw(st.sampled_from(choices))


def values_of(store):
    return {name: np.asarray(gpuzarr.open_array(store, f"a/{name}", device="cpu")[...]) for name in NAMES}


@pytest.mark.parametrize("kind", DAMAGES, ids=lambda kind: kind.__name__)
@settings(max_examples=examples(3), deadline=None)
@given(data=st.data())
def test_damaged_chunks_read_as_the_fill_value(kind, data):
    store = damage.made({})
    before = values_of(store)
    said = kind(store, picked(data))
    found = dict(store)
    safe = check(store, repair="safe")
    assert safe and not safe.repairs and store == found
    dry = check(store, repair="delete-damaged", dry_run=True)
    assert [repair.is_done for repair in dry.repairs] == [False] and store == found
    told = []
    report = check(store, repair="delete-damaged", on_repair=told.append)
    (repair,) = report.repairs
    assert told == report.repairs
    assert repair.is_done and not repair.problem and repair.key == said.key
    assert repair.action == dry.repairs[0].action and repr(said.key) in repair.action
    assert not check(store).findings
    changed = {key for key in {*found, *store} if found.get(key) != store.get(key)}
    assert changed == {said.key}
    for name, values in values_of(store).items():
        if f"a/{name}" != said.path:
            assert (values == before[name]).all()
    _assert_filled(values_of(store)[said.path[2:]], before[said.path[2:]], said)


def _assert_filled(after, before, said):
    """Only elements of the damaged chunk (of a whole shard, whose key it is) have become zeros."""
    size = (3, 2) if said.path.endswith("shards") else (3, 4)
    if said.chunk is None:
        shard = said.key.split("/")[-2:]
        first, size = [int(n) * s for n, s in zip(shard, (6, 4), strict=True)], (6, 4)
    else:
        first = [n * s for n, s in zip(said.chunk, size, strict=True)]
    expected = before.copy()
    expected[first[0] : first[0] + size[0], first[1] : first[1] + size[1]] = 0
    assert (after == expected).all()


@pytest.mark.parametrize("kind", SAFE_KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=examples(4), deadline=None)
@given(data=st.data())
def test_nothing_else_is_changed(kind, data):
    store = damage.made({})
    kind(store, picked(data))
    found = dict(store)
    report = check(store, repair="delete-damaged")
    assert report.findings
    if kind is damage.out_of_date:
        assert [repair.is_done for repair in report.repairs] == [True] and not check(store).findings
        assert {key for key in found if found[key] != store[key]} == {"zarr.json"} and found.keys() == store.keys()
    else:
        assert store == found and not report.repairs


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidated_metadata_are_made_anew(zarr_format, tmp_path):
    root = gpuzarr.create_group(str(tmp_path), zarr_format=zarr_format)
    root.create_array("g/x", data=np.arange(3))
    gpuzarr.consolidate_metadata(str(tmp_path))
    document = tmp_path / "g/x" / ("zarr.json" if zarr_format == 3 else ".zarray")
    document.write_text(document.read_text().replace('"int64"', '"int32"').replace("<i8", "<i4"))
    assert check(tmp_path, repair="safe", fast=True).repairs[0].is_done
    assert "consolidated" not in {f.kind for f in check(tmp_path, fast=True).findings}
    assert gpuzarr.open_group(str(tmp_path))["g/x"].dtype == "int32"


def test_a_broken_summary_is_made_anew():
    store = {}
    gpuzarr.create_group(store, zarr_format=2).create_array("x", data=np.arange(3))
    store[".zmetadata"] = b"{"
    assert [f.kind for f in check(store).findings] == ["consolidated"]
    assert check(store, repair="safe").repairs[0].is_done and not check(store).findings


def dead_name(folder: Path, name: str, end: str = "") -> Path:
    """A name as a process makes it that has ended."""
    pid = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True).stdout
    return folder / f".{name}.{host()}-{pid.strip()}-1{end}.partial"


def test_what_killed_processes_have_left(tmp_path):
    gpuzarr.create_group(str(tmp_path)).create_array("a", data=np.arange(8), chunks=4)
    mine = Path(beside(str(tmp_path / "a" / "c" / "0"), owner()))
    mine.write_bytes(b"half")
    dead = dead_name(tmp_path / "a" / "c", "1")
    dead.write_bytes(b"half")
    folder = dead_name(tmp_path, "b")
    folder.mkdir()
    (folder / "zarr.json").write_text("{}")
    aside = dead_name(tmp_path, "old", "-out")
    aside.mkdir()
    (aside / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    keys = {str(path.relative_to(tmp_path)) for path in (dead, folder, aside)}
    report = check(tmp_path)
    assert {f.key for f in report.findings} == keys and {f.kind for f in report.findings} == {"partial-file"}
    dry = check(tmp_path, repair="safe", dry_run=True)
    assert len(dry.repairs) == 3 and dead.exists() and folder.exists() and aside.exists()
    done = check(tmp_path, repair="safe")
    assert all(repair.is_done for repair in done.repairs) and len(done.repairs) == 3
    assert not dead.exists() and not folder.exists() and not aside.exists() and mine.exists()
    assert (tmp_path / "old" / "zarr.json").exists()  # put back: nothing had taken its place
    assert not check(tmp_path).findings


def test_a_place_that_cannot_be_written(tmp_path):
    root = gpuzarr.create_group(str(tmp_path / "s"))
    root.create_array("a", data=np.arange(8), chunks=4, compressors=["gzip"])
    (tmp_path / "s" / "a" / "c" / "1").write_bytes(b"")
    store = gpuzarr.LocalStore(tmp_path / "s", read_only=True)
    (repair,) = check(store, repair="delete-damaged").repairs
    assert not repair.is_done and "read_only" in repair.problem and str(repair).startswith("not repaired")


def test_what_was_written_meanwhile_is_not_deleted(monkeypatch):
    """A chunk that somebody has written since it was found damaged."""
    store = {}
    a = gpuzarr.create_array(store, data=np.arange(8), chunks=4)
    store["c/1"] = b""
    report = check(store, repair="delete-damaged", on_finding=lambda finding: a.__setitem__(slice(4, 8), 7))
    assert report and not report.repairs and (a[4:] == 7).all()


def test_what_cannot_be_read_is_not_deleted():
    class Failing(dict):
        fails = False

        def __getitem__(self, key):
            if self.fails and key == "c/1":
                raise OSError(5, "the disk is broken")
            return super().__getitem__(key)

        def items(self):
            return [(key, b"") for key in self]

    store = Failing()
    gpuzarr.create_array(store, data=np.arange(8), chunks=4)
    store.fails = True
    report = check(store, repair="delete-damaged")
    assert report and not report.repairs and dict.__contains__(store, "c/1")
