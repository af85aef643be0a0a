"""Archives of which bytes were changed: what is read is right, or an error says what is wrong; nothing hangs."""

from __future__ import annotations

import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ChunkError, GpuZarrError
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.zip import ZipStore
from gpuzarr.stores.zip.directory import Directory
from gpuzarr.stores.zip.records import BadArchive, End
from tests.conftest import examples
from tests.laws.stores import read_by
from tests.stores.client_of_values import ClientOfValues
from tests.stores.zips import VALUES, array_in, entry_of, patched, streamed, with_zip64_end, zipped

CONTENTS = {"a": b"1" * 300, "b/c": bytes(range(256)), "d": b"", "e": b"345" * 99}
ARCHIVES = [
    zipped(CONTENTS, comment=b"a comment"),
    zipped(CONTENTS, zipfile.ZIP_DEFLATED),
    zipped(CONTENTS, force_zip64=True),
    with_zip64_end(zipped(CONTENTS)),
    streamed(CONTENTS, zipfile.ZIP_DEFLATED),
]
MAX_BYTES = 1 << 24  # that reading a damaged archive of a few KiB may allocate
NUMBERS = st.sampled_from([0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, 1 << 31, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An archive with some bytes changed, most of them in its records; or cut, or with bytes twice."""
    data = draw(st.sampled_from(ARCHIVES))
    for _ in range(draw(st.integers(1, 4))):
        records = [i for sign in (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7") for i in found(data, sign)]
        at = draw(st.sampled_from(records or [0])) + draw(st.integers(0, 60))
        at = draw(st.sampled_from([at, draw(st.integers(0, max(len(data) - 1, 0)))]))
        match draw(st.integers(0, 4)):
            case 0:
                data = patched(data, at, draw(st.binary(min_size=1, max_size=4)))
            case 1:
                data = patched(data, at, struct.pack("<Q", draw(NUMBERS))[: draw(st.sampled_from([2, 4, 8]))])
            case 2:
                data = data[:at] + data[at + draw(st.integers(0, 40)) :]
            case 3:
                data = data[:at] + draw(st.binary(max_size=40)) + data[at:]
            case _:
                data = data + data[at:]
    return data


def found(data: bytes, sign: bytes) -> list[int]:
    return [i for i in range(len(data)) if data.startswith(sign, i)]


@settings(max_examples=examples(100), deadline=None)
@given(damaged(), st.booleans())
def test_damaged_archives(data: bytes, is_remote: bool) -> None:
    from gpuzarr.stores.remote.store import RemoteStore

    store = RemoteStore(ClientOfValues({"a": data})) if is_remote else MappingStore({"a": data})
    archive = ZipStore.of(store, "a")
    with warnings.catch_warnings(), bounded():
        warnings.simplefilter("ignore")
        try:
            names = [key for key, _ in archive.objects("")]
        except GpuZarrError:
            names = list(CONTENTS)
        for key in names:
            got = tried(archive, key)
            if got is not None and key in CONTENTS:
                assert len(got) < 1 << 16


@contextmanager
def bounded() -> Iterator[None]:
    """Context in which no array of many bytes may be made."""
    empty = np.empty

    def checked(shape: Any, *arguments: Any, **options: Any) -> Any:
        assert np.prod(shape) < MAX_BYTES
        return empty(shape, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "empty", checked)
        yield


def tried(archive: ZipStore, key: str) -> bytes | None:
    try:
        value = archive.get(key)
    except GpuZarrError as error:
        assert "a" in str(error)
        return None
    try:
        with archive.open([key]) as objects:
            assert read_by(objects, [key]) == [value]
    except GpuZarrError:
        pytest.fail("what can be got can be read")
    return value


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=300), st.integers(0, 6))
def test_any_bytes_are_a_directory_or_an_error(data: bytes, entries: int) -> None:
    with suppress(BadArchive):
        Directory.parsed(data, End(0, len(data), len(data), entries, 0, b""))


def test_members_do_not_grow_without_bound(tmp_path: Path) -> None:
    """One that says that it has terabytes, or has more than it says."""
    values = b"\0" * 50_000
    data = zipped({"a": values}, zipfile.ZIP_DEFLATED)
    for size in (1 << 31, len(values) - 1, len(values) + 1, 0):
        bad = patched(data, entry_of(data, "a") + 24, struct.pack("<I", size))
        tracemalloc.start()
        with pytest.raises(GpuZarrError, match="cannot read 'a' of"):
            ZipStore.of(MappingStore({"z": bad}), "z").get("a")
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
        tracemalloc.stop()


def test_an_overlapping_archive_is_refused() -> None:
    """As of a bomb in which many members share their bytes."""
    data = zipped({f"n{i:02}": b"x" * 50 for i in range(50)})
    for i in range(1, 50):
        data = patched(data, entry_of(data, f"n{i:02}") + 42, struct.pack("<I", 0))
    archive = ZipStore.of(MappingStore({"z": data}), "z")
    for i in (0, 1, 49):
        with pytest.raises(GpuZarrError, match="overlap"):
            archive.get(f"n{i:02}")


def test_many_end_records_take_no_time() -> None:
    """Each of which would be tried, and has a directory that looks right at first."""
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)
    for data in (end * 20_000, b"PK\1\2" + bytes(42) + end * 20_000 + b"?"):
        with pytest.raises(GpuZarrError):
            ZipStore.of(MappingStore({"z": data}), "z").get("a")


def test_damaged_chunks_are_told_apart(tmp_path: Path) -> None:
    """The CRC of a member that is compressed is checked; of others the codecs of the array do that."""
    made = array_in(compressors=None)
    data = zipped(made, zipfile.ZIP_DEFLATED)
    bad = patched(data, entry_of(data, "c/1/1") + 16, b"\1\2\3\4")
    (tmp_path / "a.zip").write_bytes(bad)
    array = gpuzarr.open_array(ZipStore(tmp_path / "a.zip"), device="cpu")
    assert np.array_equal(array[:16], VALUES[:16])
    with pytest.raises(gpuzarr.errors.StoreError, match=r"'c/1/1' of .*CRC-32"):
        array[...]
    checked: Any = zipped(array_in(compressors="auto"))
    at = checked.rfind(b"c/2/2", 0, checked.find(b"PK\1\2")) + 40
    (tmp_path / "a.zip").write_bytes(patched(checked, at, b"\xff" * 8))
    with pytest.raises(ChunkError, match=r"key 'c/2/2'"):
        gpuzarr.open_array(ZipStore(tmp_path / "a.zip"), device="cpu")[...]


def test_deep_names_take_no_more_memory_than_they_have_bytes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
        for i in range(8):
            archive.writestr("/".join(str((i + j) % 10) for j in range(10_000)), b"x")
        archive.writestr("0/1/2", b"also a folder")
    store = ZipStore(tmp_path / "deep.zip")
    tracemalloc.start()
    assert store.names("") == [str(i) for i in range(8)] and store.names("0/1") == ["2"] and store.names("0/1/2/3")
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
