"""PartsStore: what is not a law of all stores."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import RangeError, ReadOnlyError, StoreError
from gpuzarr.stores.in_files import open_files
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.parts import PartsStore
from gpuzarr.stores.parts.inflating import inflated
from gpuzarr.stores.ranges import MISSING, Ranges
from gpuzarr.stores.references import document
from gpuzarr.stores.references.table import ReferenceTable
from gpuzarr.stores.remote.store import RemoteStore
from tests.conftest import examples
from tests.laws.stores import fresh, read_by
from tests.stores.client_of_values import ClientOfValues
from tests.stores.parts_tables import DictTable, deflated, in_one_file

VALUES = np.arange(64 * 64, dtype="<i4").reshape(64, 64)


def chunks(**options: Any) -> dict[str, bytes]:
    """The objects of an array of VALUES."""
    made: dict[str, bytes] = {}
    gpuzarr.create_array(made, data=VALUES, **{"chunks": (16, 16), "compressors": None, **options})
    return {key: bytes(value) for key, value in made.items()}


def read_of(store: PartsStore, rows: list[tuple[str, int, int]]) -> list[bytes | None]:
    with store.open([key for key, _, _ in rows]) as objects:
        columns = np.array([(i, offset, size) for i, (_, offset, size) in enumerate(rows)], np.int64).reshape(-1, 3).T
        requests = objects.requests(Ranges(objects.keys, *columns))
        encoded = objects.read(requests, fresh(requests.sizes))
    return [None if encoded.sizes[i] == MISSING else encoded[i].tobytes() for i in range(len(encoded))]


@pytest.mark.parametrize("options", [{}, {"compressors": "auto"}, {"shards": (32, 32)}, {"filters": "auto"}])
@pytest.mark.parametrize("make", [lambda folder: LocalStore(folder), lambda _: MappingStore({})])
def test_arrays_of_parts(make: Any, options: dict[str, Any], tmp_path: Path) -> None:
    store = PartsStore(in_one_file(make(tmp_path), chunks(**options)))
    array = gpuzarr.open_array(store, device="cpu")
    assert np.array_equal(array[...], VALUES)
    assert np.array_equal(array[3:40:5, [60, 2, 2]], VALUES[3:40:5][:, [60, 2, 2]])
    assert array[17, 5] == VALUES[17, 5]


def test_files_are_read_by_the_library_where_parts_begin(tmp_path: Path) -> None:
    table = in_one_file(LocalStore(tmp_path), {"a": b"1", "b": b"22", "none/of": b"333"})
    with PartsStore(table).open(["b", "missing", "a"]) as objects:
        found = open_files(objects)
        assert found is not None
        files, begins = found
        assert files[0] == files[2] >= 0 and files[1] == MISSING
        assert begins[[0, 2]].tolist() == [table.rows["b"][1], table.rows["a"][1]]
    with PartsStore(DictTable([], {"a": b"inline"})).open(["a"]) as objects:
        assert open_files(objects) is None


def test_a_holder_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    store = PartsStore(in_one_file(LocalStore(tmp_path), {str(i): b"x" * i for i in range(1000)}))
    whole = LocalStore.open
    monkeypatch.setattr(LocalStore, "open", lambda self, keys, n=1: (opened.extend(keys), whole(self, keys, n))[1])
    with store.open([str(i) for i in range(1000)]) as objects:
        assert read_by(objects, list(objects.keys)) == [b"x" * i for i in range(1000)]
    assert opened == ["all"]


def test_neighbours_are_one_request() -> None:
    client = ClientOfValues()
    store = PartsStore(in_one_file(RemoteStore(client), contents := {str(i): bytes([i]) * 9 for i in range(200)}))
    assert read_of(store, [(key, 0, -1) for key in contents]) == list(contents.values())
    assert [len(asked) for asked in client.calls] == [1]
    with store.open(["7"]) as objects:
        assert objects.lengths() == [9] and store.has_cheap_lengths is False
    assert len(client.calls) == 1
    assert store.concurrency == 8


def test_what_is_not_there_is_no_missing_object(tmp_path: Path) -> None:
    """A table that names what is gone is wrong; a fill value would be, too."""
    for store in (LocalStore(tmp_path), MappingStore({}), RemoteStore(ClientOfValues())):
        parts = PartsStore(DictTable([(store, "gone")], {"a": (0, 5, 9), "b": (0, 5, -1)}))
        for key in "ab":
            with pytest.raises(StoreError, match=r"gone' of .*Store.*, which is not there"):
                read_of(parts, [(key, 0, -1)])
            with pytest.raises(StoreError, match="which is not there"):
                parts.get(key)


def test_parts_beyond_their_holder_are_errors(tmp_path: Path) -> None:
    for store in (LocalStore(tmp_path), MappingStore({}), RemoteStore(ClientOfValues())):
        store.set("h", b"0123456789")
        parts = PartsStore(DictTable([(store, "h")], {"good": (0, 2, 3), "bad": (0, 8, 3), "open": (0, 11, -1)}))
        assert parts.get("good") == b"234"
        for rows in ([("bad", 0, -1)], [("good", 0, 1), ("bad", 0, -1)], [("good", 0, -1), ("bad", 2, 1)]):
            with pytest.raises(RangeError, match="h' of") as caught:
                read_of(parts, rows)
            assert caught.value.index == len(rows) - 1
        with pytest.raises(StoreError, match="'bad' of"), parts.open(["bad"]) as objects:
            objects.reader([(0, 0, 3, 0, 3)])(0, memoryview(bytearray(3)))
        with pytest.raises(RangeError):
            read_of(parts, [("open", 0, -1)])


def test_a_shard_index_cannot_name_the_bytes_of_neighbours(tmp_path: Path) -> None:
    """The library reads by offsets in the file, where other bytes follow."""
    made = chunks(shards=(64, 64))
    key = next(key for key in made if key != "zarr.json")
    shard = bytearray(made[key])
    index = np.frombuffer(bytes(shard[-16 * 16 - 4 : -4]), "<u8").copy()
    index[2 * 15] = len(shard) + 10  # the last inner chunk would lie in what follows
    shard[-16 * 16 - 4 :] = index.tobytes() + gpuzarr_crc32c(index.tobytes())
    store = PartsStore(in_one_file(LocalStore(tmp_path), made | {key: bytes(shard), "z": bytes(5000)}))
    array = gpuzarr.open_array(store, device="cpu")
    assert np.array_equal(array[:16, :16], VALUES[:16, :16])
    for selection in (np.s_[...], np.s_[48:, 48:]):
        with pytest.raises(gpuzarr.ChunkError, match="beyond"):
            array[selection]


def gpuzarr_crc32c(data: bytes) -> bytes:
    import google_crc32c

    return int(google_crc32c.value(data)).to_bytes(4, "little")


def test_versions_are_of_the_holder_and_the_place(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    parts = PartsStore(in_one_file(store, {"a": b"aa", "b": b"bb"}))
    with parts.open(["a", "b", "none"]) as objects:
        before = objects.versions([None] * 3)
        assert len(set(before)) == 3 and None not in before and not objects.changed()
        store.set("all", b"another")
    with parts.open(["a", "b", "none"]) as objects:
        after = objects.versions(before)
        assert after[0] != before[0] and after[1] != before[1] and after[2] == before[2]


class Forgetful(DictTable):
    def forget(self) -> None:
        self.versions.clear()


def test_a_table_of_another_version_forgets(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.set("h", b"0123")
    parts = PartsStore(Forgetful([(store, "h")], {"a": (0, 1, 2)}, versions={0: "an older one"}))
    with parts.open(["a"]) as objects:
        assert objects.changed() and not parts.table.versions
    with parts.open(["a"]) as objects:
        assert not objects.changed()


def test_nothing_is_written() -> None:
    store = PartsStore(DictTable([], {}))
    for write in (lambda: store.set("a", b""), lambda: store.delete(["a"]), lambda: store.create("a")):
        with pytest.raises(ReadOnlyError, match="cannot write 'a' of PartsStore"):
            write()
    assert store.read_only and store.why_read_only(["a"])


VALUE = bytes(np.random.default_rng(1).integers(0, 9, 30_000, np.uint8))


def of_deflated(data: bytes, nbytes: int = len(VALUE), store: Any = None) -> PartsStore:
    store = MappingStore({}) if store is None else store
    store.set("h", b"ab" + data + b"c")
    table = DictTable([(store, "h")], {"a": (0, 2, len(data))}, {"a": VALUE[:nbytes].ljust(nbytes, b"?")})
    return PartsStore(table)


def test_deflated_parts_are_inflated(tmp_path: Path) -> None:
    for store in (LocalStore(tmp_path), MappingStore({}), RemoteStore(ClientOfValues())):
        parts = of_deflated(deflated(VALUE), store=store)
        rows = [("a", 0, -1), ("a", 100, 20), ("a", -5, 5), ("a", 0, 0)]
        assert read_of(parts, rows) == [VALUE, VALUE[100:120], VALUE[-5:], b""]
        assert parts.get("a") == VALUE
        with pytest.raises(RangeError, match=f"has {len(VALUE)} bytes"):
            read_of(parts, [("a", 1, len(VALUE))])


@pytest.mark.parametrize(
    ("data", "nbytes"),
    [
        *((deflated(VALUE)[:-5], len(VALUE)), (deflated(VALUE), len(VALUE) - 1), (deflated(VALUE), len(VALUE) + 1)),
        *((deflated(VALUE[:-1] + b"!"), len(VALUE)), (b"\xff" * 9000, len(VALUE)), (b"", 5), (b"bomb", 1 << 40)),
    ],
)
def test_damaged_streams_are_errors(data: bytes, nbytes: int) -> None:
    if nbytes > 1 << 30:  # which are never allocated
        store = MappingStore({"h": data})
        parts = PartsStore(Bomb([(store, "h")], {"a": (0, 0, len(data))}))
    else:
        parts = of_deflated(data, nbytes)
    with pytest.raises(StoreError, match="cannot read 'a' of PartsStore"):
        read_of(parts, [("a", 0, -1)])
    with pytest.raises(StoreError, match="'a' of PartsStore"):
        parts.get("a")


class Bomb(DictTable):
    def places(self, keys: Any) -> Any:
        from dataclasses import replace

        return replace(super().places(keys), inflated=np.full(len(keys), 1 << 40))


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=60), st.integers(0, 2000))
def test_any_bytes_inflate_as_by_zlib(data: bytes, nbytes: int) -> None:
    stream = zlib.decompressobj(-15)
    try:
        due = stream.decompress(data, nbytes + 1)
    except zlib.error:
        due = None
    if due is None or len(due) != nbytes or not stream.eof:
        with pytest.raises(ValueError, match="DEFLATE"):
            inflated(data, nbytes, None)
    else:
        assert inflated(data, nbytes, zlib.crc32(due)) == due
        with pytest.raises(ValueError, match="CRC-32"):
            inflated(data, nbytes, zlib.crc32(due) ^ 1)


def test_zarr_reads_the_same(tmp_path: Path) -> None:
    store = zarr.storage.LocalStore(tmp_path / "of zarr")
    zarr.create_array(store, data=VALUES, chunks=(16, 64), shards=(32, 64))
    contents = {str(path.relative_to(tmp_path / "of zarr")): path.read_bytes() for path in files(tmp_path)}
    parts = PartsStore(in_one_file(LocalStore(tmp_path), contents))
    assert np.array_equal(gpuzarr.open_array(parts, device="cpu")[...], VALUES)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("offset", [2**63 - 1, 2**63 - 8, 2**62, -1])
def test_absurd_offsets_are_refused(offset: int, tmp_path: Path) -> None:
    """Whatever the table: with its size added such an offset would be negative."""
    (tmp_path / "data").write_bytes(bytes(64))
    columns = document.parse({"a": ["data", 0, 8], "b": ["data", 1, 8]}, "")
    columns.offsets[1] = offset
    store = PartsStore(ReferenceTable(columns, [(LocalStore(tmp_path), "data")], "table"))
    with pytest.raises(StoreError, match=r"'b' of .* its offset is absurd"), store.open(["a", "b"]):
        pass
