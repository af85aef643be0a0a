"""Archives that ZipStore writes: as others read them, and whatever interrupts it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import ArgumentError, ClosedError, ExistsError, GpuZarrWarning, ReadOnlyError, StoreError
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.zip import ZipStore, records
from tests.laws.stores import CONTENTS
from tests.stores.zips import all_of, zipped

VALUES = np.arange(60 * 60, dtype="<i4").reshape(60, 60)
ROOT = Path(gpuzarr.__file__).parents[1]


def by_zipfile(path: Path) -> dict[str, bytes]:
    """What Python's zipfile reads, checked."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def by_unzip(path: Path) -> None:
    if shutil.which("unzip"):
        done = subprocess.run(["unzip", "-tq", str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("compression", [0, 8])
def test_others_read_what_is_written(compression: int, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.zip"
    with ZipStore(path, mode="w", compression=compression) as store:
        for key, value in CONTENTS.items():
            store.set(key, value)
        store.set("größe/ж", b"1")
        store.set("c/1", b"replaced")
        store.delete(["c/2", "none"])
        assert not path.exists() and store.get("c/1") == b"replaced" and store.get("c/2") is None
    due = CONTENTS | {"größe/ж": b"1", "c/1": b"replaced"}
    del due["c/2"]
    assert by_zipfile(path) == due == all_of(ZipStore(path)) == all_of(store)
    assert next(iter(by_zipfile(path))) == "zarr.json"  # documents come first
    by_unzip(path)
    assert os.listdir(path.parent) == ["a.zip"]


def test_zarr_python_reads_what_is_written_and_writes_what_is_read(tmp_path: Path) -> None:
    for options in ({}, {"shards": (32, 32)}, {"compressors": None}, {"zarr_format": 2}):
        ours, theirs = tmp_path / "ours.zip", tmp_path / "theirs.zip"
        with ZipStore(ours, mode="w") as store:
            group = gpuzarr.create_group(store, zarr_format=options.get("zarr_format", 3), attributes={"a": 1})
            group.create_array("x/y", data=VALUES, chunks=(16, 16), **{k: v for k, v in options.items() if k[0] != "z"})
        with zarr.storage.ZipStore(ours, mode="r") as store:
            assert dict(zarr.open_group(store, mode="r").attrs) == {"a": 1}
            assert np.array_equal(zarr.open_array(store, path="x/y", mode="r")[...], VALUES)
        with zarr.storage.ZipStore(theirs, mode="w") as store, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zarr.create_array(store, name="x/y", data=VALUES, chunks=(16, 16), **options)
        assert np.array_equal(gpuzarr.open_array(ZipStore(theirs), path="x/y", device="cpu")[...], VALUES)


def test_what_is_appended_comes_to_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for data in (zipped(CONTENTS), b"#!program" * 9 + zipped(CONTENTS, comment=b"its comment"), b"", None):
        path.unlink(missing_ok=True)
        before = {} if not data else CONTENTS
        if data is not None:
            path.write_bytes(data)
        with ZipStore(path, mode="a") as store:
            assert all_of(store) == before
            store.set("new/one", b"1" * 500)
            store.set("zarr.json", b"another")
            store.delete(["c/3"])
        due = before | {"new/one": b"1" * 500, "zarr.json": b"another"}
        due.pop("c/3", None)
        assert by_zipfile(path) == due == all_of(ZipStore(path))
        assert path.read_bytes().startswith(data or b"") and ZipStore(path).comment == (
            b"its comment" if data and data[0] == 35 else b""
        )
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("by others", b"2")
        assert all_of(ZipStore(path)) == due | {"by others": b"2"}
        by_unzip(path)


def test_what_is_moved_keeps_its_bytes(tmp_path: Path) -> None:
    """And the local headers name it as the directory does, which others compare."""
    path = tmp_path / "a.zip"
    for mode in ("w", "a"):
        if mode == "a":
            path.write_bytes(zipped(CONTENTS, 8) + b"?")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GpuZarrWarning)
            store = ZipStore(path, mode=mode)
        with store:
            for key, value in CONTENTS.items() if mode == "w" else ():
                store.set(key, value)
            store.move("c", "a much longer name/c", sorted)
            assert store.get("a much longer name/c/4") == CONTENTS["c/4"] and not store.holds("c") and store.holds("a")
            store.move("a much longer name/c", "d", sorted)
            store.move("a", "e/f", sorted)
            store.move("e", "a", sorted)
            store.move("a/f/b", "a/b", sorted)
            store.set("c/9", b"9")
            store.move("c", "d", sorted)
        due = {key.replace("c/", "d/") if key[0] == "c" else key: value for key, value in CONTENTS.items()}
        assert by_zipfile(path) == due | {"d/9": b"9"} == all_of(ZipStore(path))
        by_unzip(path)


def test_what_is_replaced_is_not_copied(tmp_path: Path) -> None:
    path, values = tmp_path / "a.zip", np.zeros((256, 256), "i4") + 1
    for mode in ("w", "a"):
        with ZipStore(path, mode=mode) as store:
            gpuzarr.create_array(store, name="a", data=values, chunks=(64, 64), compressors=None, overwrite=True)
    assert path.stat().st_size < 2.1 * values.nbytes and by_zipfile(path).keys() == {
        "zarr.json",
        "a/zarr.json",
        *(f"a/c/{i}/{j}" for i in range(4) for j in range(4)),
    }
    with ZipStore(path, mode="a") as store:
        del gpuzarr.open_group(store, mode="r+")["a"]
    assert path.stat().st_size < 2.2 * values.nbytes and by_zipfile(path).keys() == {"zarr.json"}


@pytest.mark.filterwarnings("error")
def test_arrays_are_written_again_and_partly(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        array = gpuzarr.create_array(store, name="a", data=VALUES, chunks=(16, 16), device="cpu")
        array[3:20, 5:40] = 7
        array.attrs["x"] = "y"
        gpuzarr.create_array(store, name="b", shape=(8,), dtype="i4", device="cpu")[...] = 1
        gpuzarr.create_array(store, name="b", data=np.arange(9), overwrite=True, device="cpu")
        array.append(VALUES[:4])
    due = np.concatenate([VALUES, VALUES[:4]])
    due[3:20, 5:40] = 7
    again = gpuzarr.open_group(ZipStore(tmp_path / "a.zip"), device="cpu")
    assert np.array_equal(again["a"][...], due) and dict(again["a"].attrs) == {"x": "y"}
    assert np.array_equal(again["b"][...], np.arange(9)) and sorted(again) == ["a", "b"]
    by_zipfile(tmp_path / "a.zip")


def test_many_threads_write_at_once(tmp_path: Path) -> None:
    values = {f"{i % 7}/{i}": bytes([i % 251]) * (i * 37 % 5000) for i in range(800)}
    with ZipStore(tmp_path / "a.zip", mode="w") as store, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda row: (store.set(*row), store.get(row[0]) == row[1] or 1 / 0), values.items()))
        for _ in pool.map(lambda _: store.flush(), range(20)):
            pass
    assert by_zipfile(tmp_path / "a.zip") == values == all_of(ZipStore(tmp_path / "a.zip"))


def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for mode in ("r", "w", "a", "x"):
        assert ZipStore(tmp_path / f"of {mode}.zip", mode=mode).read_only is (mode == "r")
    with pytest.raises(ArgumentError, match="mode"):
        ZipStore(path, mode="r+")
    with pytest.raises(ArgumentError, match="compression is"):
        ZipStore(path, mode="w", compression=zipfile.ZIP_LZMA)
    for options in ({"mode": "r", "read_only": False}, {"mode": "w", "read_only": True}):
        with pytest.raises(ArgumentError, match="do not go together"):
            ZipStore(path, **options)
    with ZipStore(path, mode="x") as store:
        store.set("a", b"1")
    with pytest.raises(ExistsError):
        ZipStore(path, mode="x")
    with ZipStore(path, mode="w") as store:
        assert all_of(ZipStore(path)) == {"a": b"1"}  # until the new one is complete
    assert all_of(ZipStore(path)) == {}
    reader = ZipStore(path)
    for write in (lambda: reader.set("a", b""), lambda: reader.delete(["a"]), lambda: reader.create("a")):
        with pytest.raises(ReadOnlyError, match="cannot write 'a' of ZipStore"):
            write()
    with reader.with_read_only(False) as store:
        store.set("b", b"2")
        view = store.with_read_only(True)
        assert view.read_only and view.get("b") == b"2"
        with pytest.warns(GpuZarrWarning, match="an append was interrupted, or goes on"):
            assert reader.get("b") is None
    assert reader.get("b") == b"2" and view.get("b") == b"2"
    with pytest.raises(ClosedError):
        store.set("c", b"")
    assert store.why_read_only([]) == "it is closed"


def test_keys_that_are_no_names_are_refused(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        for key in ("", "/a", "a/", "../a", "a//b", ".", "a/./b", "nul\0l", "\ud800", "a" * 70_000):
            with pytest.raises(StoreError):
                store.set(key, b"")
        assert all_of(store) == {} and store.why_no_key("../a") and store.why_no_key("a") is None


def test_an_archive_is_of_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with ZipStore(path, mode="a") as store:
        store.flush()
        with pytest.raises(StoreError, match="is being written by another"):
            ZipStore(path, mode="a")
        path.unlink()
        store.set("a", b"1")
        with pytest.raises(StoreError, match="was replaced or deleted by somebody else"):
            store.flush()
        path.write_bytes(zipped({"other": b""}))
        with pytest.raises(StoreError, match="was replaced or deleted by somebody else"):
            store.close()
    assert all_of(ZipStore(path)) == {"other": b""}


def test_archives_of_other_stores_are_read_only(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="write it to a file, and copy it"):
        ZipStore.of(MappingStore({}), "a.zip", mode="w")
    with ZipStore.of(LocalStore(tmp_path), "b/a.zip", mode="w") as store:
        store.set("a", b"1")
    assert all_of(ZipStore.of(LocalStore(tmp_path), "b/a.zip")) == {"a": b"1"}


def test_an_archive_behind_a_link_is_written_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.zip").symlink_to(tmp_path / "real" / "a.zip")
    for mode, due in (("w", {"w": b"1"}), ("a", {"w": b"1", "a": b"1"}), ("w", {"w": b"1"})):
        with ZipStore(tmp_path / "link.zip", mode=mode) as store:
            store.set(mode, b"1")
            assert store.get(mode) == b"1"
        assert (tmp_path / "link.zip").is_symlink()
        assert by_zipfile(tmp_path / "real" / "a.zip") == due == all_of(ZipStore(tmp_path / "link.zip"))


def test_a_store_that_is_forgotten_completes_its_archive(tmp_path: Path) -> None:
    store = ZipStore(tmp_path / "a.zip", mode="w")
    store.set("a", b"1")
    del store
    gc.collect()
    assert by_zipfile(tmp_path / "a.zip") == {"a": b"1"}
    code = "import sys; from gpuzarr.stores.zip import ZipStore; s = ZipStore(sys.argv[1], mode='a'); s.set('b', b'2')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.zip")], check=True, cwd=ROOT)
    assert by_zipfile(tmp_path / "a.zip") == {"a": b"1", "b": b"2"}


def test_copies_of_a_writer_read(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        store.set("a", b"1")
        again = pickle.loads(pickle.dumps(store))
        assert again.read_only and again.get("a") == b"1" and again == store
        store.set("b", b"2")
        with pytest.warns(GpuZarrWarning, match="an append was interrupted, or goes on"):
            assert again.get("b") is None
        store.flush()
        assert again.get("b") == b"2"


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_child_writes_nothing(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        store.set("a", b"1")
        child = multiprocessing.get_context("fork").Process(target=in_child, args=(store,))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        store.set("b", b"2")
    assert by_zipfile(tmp_path / "a.zip") == {"a": b"1", "b": b"2"}


def in_child(store: ZipStore) -> None:
    assert store.get("a") == b"1"
    try:
        store.set("c", b"3")
    except StoreError as error:
        assert "before this process was forked" in str(error)
        store.close()
        return
    os._exit(3)


def test_large_archives_are_zip64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 2000 bytes were too many for the fields of old archives."""
    path = tmp_path / "a.zip"
    with ZipStore(path, mode="w", allowZip64=False) as store:
        monkeypatch.setattr(records, "IN_ZIP64", 2000)
        store.set("a", b"1" * 1000)
        with pytest.raises(StoreError, match="allowZip64 is False"):
            store.set("b", b"2" * 1000)
    monkeypatch.undo()
    assert by_zipfile(path) == {"a": b"1" * 1000}
    member = records.Member(1 << 33, (1 << 33) + 55, 1 << 34, 1 << 34, 0, 7, 0)
    entry = records.central_header(b"name", member)
    assert records.zip64_values(entry[50:], 3) == (1 << 34, 1 << 34, 1 << 33)
    assert len(records.local_header(b"name", member)) == records.header_bytes(b"name", 1 << 34)
    sparse = tmp_path / "large.zip"
    with open(sparse, "wb") as file:  # whose bytes take no room on the disk
        file.truncate(5 << 30)
        file.seek(0, os.SEEK_END)
        file.write(zipped({"a": b"1"}))
    with ZipStore(sparse, mode="a") as store:
        store.set("b", b"2")
        assert store.get("a") == b"1"
    assert all_of(ZipStore(sparse)) == {"a": b"1", "b": b"2"} == by_zipfile(sparse)
    sparse.unlink()


def test_more_members_than_old_archives_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 20 were too many."""
    monkeypatch.setattr(records, "IN_ZIP64_COUNT", 20)
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        keys = [f"{i // 10}/{i}" for i in range(1500)]
        store.write(keys, EncodedBatch(np.arange(1500, dtype=np.uint8), np.arange(1500), np.ones(1500, np.int64)))
        assert store.get("65/655") == bytes([655 % 256])
    monkeypatch.undo()
    assert by_zipfile(tmp_path / "a.zip") == all_of(ZipStore(tmp_path / "a.zip"))
    store = ZipStore(tmp_path / "a.zip")
    assert len(store.names("")) == 150 and sum(1 for _ in store.objects("7")) == 10


def test_where_the_disk_is_full_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(CONTENTS))
    with ZipStore(path, mode="a") as store:
        store.set("new", b"1" * 5000)

        def full(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "pwritev", full)
        with pytest.raises(StoreError, match=r"cannot write 'other' of .*No space left") as caught:
            store.set("other", b"2")
        assert caught.value.errno == 28
        with pytest.raises(StoreError, match="No space left"):
            store.close()
    assert by_zipfile(path) == CONTENTS
    assert path.read_bytes() == zipped(CONTENTS) or all_of(ZipStore(path)) == CONTENTS


KILLED = """
import sys, time
from gpuzarr.stores.zip import ZipStore
store = ZipStore(sys.argv[1], mode=sys.argv[2])
for i in range(10**9):
    store.set(f"new/{i}", b"%d" % i * 3000)
    if i % 50 == 49:
        store.flush()
    if i == 30:
        print("writing", flush=True)
"""


@pytest.mark.filterwarnings("ignore:.*bytes behind its end record")
@pytest.mark.parametrize("mode", ["a", "w"])
def test_killed_writers_leave_whole_archives(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for seconds in (0.0, 0.07):
        before = all_of(ZipStore(path)) if path.exists() and mode == "a" else CONTENTS
        if not path.exists() or mode == "w":
            path.write_bytes(zipped(CONTENTS))
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path), mode], cwd=ROOT, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None and child.stdout.readline() == b"writing\n"
            time.sleep(seconds)
            child.send_signal(signal.SIGKILL)
        found = all_of(ZipStore(path))
        new = {key: value for key, value in found.items() if key.startswith("new/")}
        assert all(value == key[4:].encode() * 3000 for key, value in new.items()) and len(new) % 50 == 0
        if mode == "a" or not new:
            assert before.items() <= (found | (new if mode == "w" else {})).items()
        with ZipStore(path, mode="a") as store:  # and goes on
            store.set("after", b"1")
        assert by_zipfile(path) == found | {"after": b"1"}


def test_readers_and_a_writer_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"k": b"0" * 20_000}))
    reader, is_over, wrong = ZipStore(path), threading.Event(), list[Any]()

    def look() -> None:
        while not is_over.is_set():
            try:
                value = reader.get("k")
            except StoreError as error:
                if "replaced faster" not in str(error):
                    wrong.append(error)
                continue
            if value is None or len(set(value)) != 1:
                wrong.append(value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GpuZarrWarning)
        thread = threading.Thread(target=look)
        thread.start()
        with ZipStore(path, mode="a") as store:
            for i in range(30):
                store.set("k", b"%d" % (i % 10) * 20_000)
                if i % 3 == 2:
                    store.flush()
        is_over.set()
        thread.join()
    assert not wrong and reader.get("k") == b"9" * 20_000
