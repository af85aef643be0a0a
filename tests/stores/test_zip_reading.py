"""Archives of all kinds, read by ZipStore, by ranges."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.errors import GpuZarrWarning, NotFoundError, StoreError
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.remote.store import RemoteStore
from gpuzarr.stores.zip import ZipStore, loading
from tests import corpus
from tests.laws.stores import CONTENTS, KEYS, read_by
from tests.stores.client_of_values import ClientOfValues
from tests.stores.zips import KINDS, VALUES, all_of, array_in, entry_of, patched, zipped


def in_file(folder: Path, data: bytes) -> ZipStore:
    (folder / "a.zip").write_bytes(data)
    return ZipStore(folder / "a.zip")


def behind_requests(data: bytes) -> tuple[ZipStore, ClientOfValues]:
    client = ClientOfValues({"a.zip": data})
    return ZipStore.of(RemoteStore(client), "a.zip"), client


@pytest.mark.filterwarnings("ignore:.*bytes behind its end record", "ignore:Duplicate name")
@pytest.mark.parametrize("kind", KINDS)
def test_archives_of_all_kinds(kind: str, tmp_path: Path) -> None:
    """As Python's zipfile reads them."""
    data = KINDS[kind](CONTENTS, tmp_path)
    for store in (in_file(tmp_path, data), ZipStore.of(MappingStore({"b": data}), "b"), behind_requests(data)[0]):
        assert all_of(store) == CONTENTS
        assert [store.get(key) for key in KEYS] == [CONTENTS.get(key) for key in KEYS]
        assert dict(store.objects("c")) == {key: len(CONTENTS[key]) for key in CONTENTS if key.startswith("c/")}
        assert store.names("") == ["a", "c", "zarr.json"] and store.names("a") == ["b"]
        with store.open(KEYS[::-1]) as objects:
            assert read_by(objects, KEYS[::-1]) == [CONTENTS.get(key) for key in KEYS[::-1]]


@pytest.mark.filterwarnings("ignore:.*bytes behind its end record", "ignore:Duplicate name")
@pytest.mark.parametrize("options", [{}, {"shards": (32, 32)}, {"compressors": "auto"}])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_in_archives(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    data = KINDS[kind](array_in(**options), tmp_path)
    for store in (in_file(tmp_path, data), behind_requests(data)[0]):
        array = gpuzarr.open_array(store, device="cpu")
        assert array[17, 5] == VALUES[17, 5]
        for _ in range(2):
            assert np.array_equal(array[...], VALUES)
        assert np.array_equal(array[3:40:5, [59, 2, 2]], VALUES[3:40:5][:, [59, 2, 2]])


@corpus.needed
@pytest.mark.parametrize("archive", sorted({row["path"].partition(".zip/")[0] for row in corpus.zarr_rows("zip")}))
def test_corpus(archive: str) -> None:
    store = ZipStore(corpus.ROOT / f"{archive}.zip")
    rows = [row for row in corpus.zarr_rows("zip") if row["path"].startswith(f"{archive}.zip/") and "sha256" in row]
    for row in rows:
        values = gpuzarr.open_array(store, path=row["path"].partition(".zip/")[2], device="cpu")[...]
        assert corpus.digest(values) == row["sha256"], row["path"]


@corpus.needed
def test_containers_of_the_corpus() -> None:
    """Those that Python's zipfile reads, too; other methods are refused by name."""
    refused = {"bzip2": "bzip2", "xz": "xz", "zstd": "Zstandard"}
    for path in sorted((corpus.ROOT / "tensorstore_zip").glob("*.zip")):
        store, name = ZipStore(path), path.stem.removeprefix("zip_")
        if name in refused:
            with pytest.raises(StoreError, match=f"'abac-repeat.txt' of .*: it is compressed by {refused[name]}"):
                all_of(store)
            continue
        with zipfile.ZipFile(path) as archive:
            due = {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
        assert all_of(store) == due


def test_few_requests_are_made() -> None:
    """One for the directory; and none more where the local headers have other lengths than the directory says."""
    for options in ({}, {"force_zip64": True}):
        store, client = behind_requests(zipped(array_in(chunks=(4, 60)) | {"more": bytes(1 << 18)}, **options))
        array = gpuzarr.open_array(store, device="cpu")
        assert [len(asked) for asked in client.calls] == [1, 1]
        client.calls.clear()
        for _ in range(2):
            assert np.array_equal(array[...], VALUES)
            assert [len(asked) for asked in client.calls] == [1]  # all chunks are neighbours
            client.calls.clear()
        assert array[0, 0] == 0 and sum(asked.size for [asked] in client.calls) <= 960


def test_a_large_directory_takes_a_second_request() -> None:
    contents = {f"c/{i}": str(i).encode() for i in range(4000)}
    store, client = behind_requests(zipped(contents))
    assert store.get("c/77") == b"77" and len(client.calls) == 3
    assert all_of(store) == contents
    assert sum(asked.size for call in client.calls for asked in call) < 3 * len(client.values["a.zip"])


def test_a_whole_array_behind_requests_is_read_with_its_headers() -> None:
    """The header of each shard comes with its index, at once."""
    made = array_in(shards=(32, 32))
    store, client = behind_requests(zipped(made | {"more": bytes(1 << 18)}, force_zip64=True))
    array = gpuzarr.open_array(store, device="cpu")
    client.calls.clear()
    assert np.array_equal(array[:2, :2], VALUES[:2, :2])
    assert len(client.calls) == 2 and sum(asked.size for call in client.calls for asked in call) < 1500


def test_an_archive_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    contents = array_in()
    store, (remote, client) = in_file(tmp_path, zipped(contents)), behind_requests(zipped(contents))
    arrays = [gpuzarr.open_array(each, device="cpu") for each in (store, remote)]
    assert all(np.array_equal(array[...], VALUES) for array in arrays)
    other = {key: value if key == "zarr.json" else value[::-1] for key, value in contents.items()}
    data = zipped({"before": b"x" * 1000} | other)
    (tmp_path / "a.zip").write_bytes(data)
    client.values["a.zip"] = data
    due = gpuzarr.open_array(other, device="cpu")[...]
    for array in arrays:
        assert np.array_equal(array[...], due) and not np.array_equal(due, VALUES)


def test_copies_read_the_same(tmp_path: Path) -> None:
    store = in_file(tmp_path, zipped(CONTENTS))
    for each in (store, behind_requests(zipped(CONTENTS))[0]):
        again = pickle.loads(pickle.dumps(each)) if each is store else each
        assert again == each and hash(again) == hash(each) and all_of(again) == CONTENTS
    assert len(pickle.dumps(store)) < 500


def test_names_that_lead_out_are_no_objects(tmp_path: Path) -> None:
    bad = ("/etc/passwd", "../out", "a/../../out", "a//b", "./a", "..", "a/.", "nul\0l")
    made = zipped({"fine": b"1", **dict.fromkeys((name.replace("\0", "?") for name in bad), b"2")})
    store = in_file(tmp_path, made.replace(b"nul?l", b"nul\0l"))
    assert all_of(store) == {"fine": b"1"} and store.names("") == ["fine"]
    for name in bad:
        with pytest.raises(StoreError, match="is not the key of an object of ZipStore"):
            store.get(name)


def test_names_in_other_characters(tmp_path: Path) -> None:
    contents = {"größe/ж": b"1", "\N{SNOWMAN}": b"2", "plain": b"3"}
    store = in_file(tmp_path, zipped(contents))
    assert all_of(store) == contents
    data = zipped({"a123b": b"1"})
    assert all_of(in_file(tmp_path, data.replace(b"a123b", b"a\x87\x80 b"))) == {"açÇ b": b"1"}  # in code page 437


@pytest.mark.parametrize(
    ("at", "new", "problem"),
    [
        (8, b"\1\0", "it is encrypted"),
        (10, b"\x0e\0", "it is compressed by LZMA"),
        (10, b"\x63\0", "encrypted by AES"),
        (20, struct.pack("<I", 17), "in another number of bytes than it has"),
        (20, struct.pack("<II", 150, 150), "overlap those of another member"),
        (42, struct.pack("<I", 1 << 30), "where the directory is, or behind it"),
        (42, struct.pack("<I", 1), "overlap|local header is damaged"),
    ],
)
def test_members_that_cannot_be_read_are_refused(at: int, new: bytes, problem: str, tmp_path: Path) -> None:
    """And others are read."""
    data = zipped({"a": b"1" * 100, "b": b"2" * 20, "c": b"3" * 200, "d": b"4"})
    store = in_file(tmp_path, patched(data, entry_of(data, "b") + at, new))
    with pytest.raises(StoreError, match=rf"cannot read 'b' of .*a\.zip.*({problem})"):
        store.get("b")
    assert store.get("d") == b"4" and dict(store.objects("")).keys() == {"a", "b", "c", "d"}


def test_local_headers_are_looked_at_where_they_are_needed(tmp_path: Path) -> None:
    data = zipped({"a": b"1" * 100, "b": b"2"}, force_zip64=True)
    for at, new in ((0, b"PK\1\2"), (8, b"\x08\0"), (26, b"\2\0"), (28, b"\xff\xff")):
        store = in_file(tmp_path, patched(data, at, new))
        with pytest.raises(StoreError, match="cannot read 'a' of"):
            store.get("a")
        assert store.get("b") == b"2"


def test_what_is_no_archive_is_an_error(tmp_path: Path) -> None:
    for data in (b"", b"PK", b"not a zip" * 99, zipped(CONTENTS)[:-30], zipped(CONTENTS)[30:]):
        for store in (in_file(tmp_path, data), behind_requests(data)[0]):
            with pytest.raises(StoreError, match=r"a\.zip' of .* cannot be read as a zip archive"):
                store.get("zarr.json")
    with pytest.raises(NotFoundError, match=r"no archive 'none\.zip'"):
        gpuzarr.open(ZipStore(tmp_path / "none.zip"))
    with pytest.raises(FileNotFoundError):
        ZipStore.of(RemoteStore(ClientOfValues()), "none.zip").get("a")


def test_parts_of_archives_of_several_files_are_refused(tmp_path: Path) -> None:
    data = zipped(CONTENTS)
    store = in_file(tmp_path, patched(data, len(data) - 18, b"\1\0"))
    with pytest.raises(StoreError, match="a part of an archive of several files"):
        store.names("")


def test_an_append_that_was_interrupted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much was written, also an archive as a member."""
    monkeypatch.setattr(loading, "WINDOW_BYTES", 1 << 17)
    for more in (
        b"x",
        bytes(1 << 20),
        b"PK\3\4" + bytes(100) + zipped({"wrong": b"?"})[:-1],
        zipped({"wrong": b"?"})[:-5],
    ):
        with pytest.warns(GpuZarrWarning, match=f"has {len(more)} bytes behind its end record"):
            assert all_of(in_file(tmp_path, zipped(CONTENTS) + more)) == CONTENTS


def test_the_comment_is_there(tmp_path: Path) -> None:
    text = b'{"ome": {"version": "0.5", "zipFile": {"centralDirectory": {"jsonFirst": true}}}}'
    store = in_file(tmp_path, zipped(array_in(), comment=text))
    assert store.comment == text and np.array_equal(gpuzarr.open_array(store, device="cpu")[...], VALUES)


def test_missing_members_are_missing(tmp_path: Path) -> None:
    store = in_file(tmp_path, zipped({"a/b": b"1", "a.b/": b""}))
    with store.open(["a", "a/b", "c", "a.b"]) as objects:
        assert objects.lengths() == [MISSING, 1, MISSING, MISSING]
        assert len(set(objects.versions([None] * 4))) == 2
