"""Laws that every store keeps; stores/test_laws.py has a row for each store.

A law is a function of `new`, which makes a store that holds given objects. It raises AssertionError where it is broken.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.batch import EncodedBatch, packed
from gpuzarr.errors import StoreError
from gpuzarr.stores.guards import Guard, guard
from gpuzarr.stores.keys import listed_keys
from gpuzarr.stores.ranges import MISSING, Ranges
from gpuzarr.stores.versions import settled
from tests.chunks import encoded_batch
from tests.conftest import examples
from tests.laws.corpus import the_corpus_is_read

rng = np.random.default_rng(7)
CONTENTS = {f"c/{i}": rng.bytes(n) for i, n in enumerate([0, 1, 17, 300, 4096, 20_000])} | {
    "zarr.json": b"{}",
    "a/b/c": b"x",
}
KEYS = [*CONTENTS, "c/none", "none", "zarr.json/under/a/file"]
NewStore = Callable[[dict[str, bytes]], Any]


class Target:
    """Memory for what is read, in which every request is surrounded by bytes that nobody may touch."""

    def __init__(self, sizes: np.ndarray) -> None:
        assert sizes.dtype == np.int64 and (sizes >= 0).all()
        starts, _, total = packed(sizes + 3, 1)
        self.encoded = EncodedBatch(np.full(total + 1, 0xAA, np.uint8), starts + 1, sizes)

    def check(self) -> None:
        outside = np.ones(len(self.encoded.data), bool)
        for start, size in zip(self.encoded.starts, self.encoded.sizes, strict=True):
            outside[start : start + size] = False
        assert (self.encoded.data[outside] == 0xAA).all()


def fresh(sizes: np.ndarray) -> EncodedBatch:
    """Memory for chunks of such sizes."""
    return Target(sizes).encoded


def read_into(store: Any, ranges: Ranges, target: Callable[[np.ndarray], EncodedBatch]) -> EncodedBatch:
    """Read ranges into the memory that `target` gives for the sizes of the requests."""
    with store.open(ranges.keys) as objects:
        requests = objects.requests(ranges)
        return objects.read(requests, target(requests.sizes))


def read(store: Any, ranges: Ranges) -> tuple[list[bytes | None], EncodedBatch, EncodedBatch]:
    """The bytes of each range (None where its object is missing), the memory of the requests, and the ranges in it."""
    with store.open(ranges.keys) as objects:
        requests = objects.requests(ranges)
        target = Target(requests.sizes)
        encoded = objects.read(requests, target.encoded)
    target.check()
    assert len(encoded) == len(ranges) and encoded.data is target.encoded.data
    found = [None if encoded.sizes[i] == MISSING else encoded[i].tobytes() for i in range(len(encoded))]
    return found, target.encoded, encoded


def ranges_of(rows: list[tuple[int, int, int]], keys: list[str] = KEYS) -> Ranges:
    """Ranges from rows of an object's number, an offset and a size."""
    return Ranges(keys, *np.array(rows, np.int64).reshape(-1, 3).T)


def slices_of(rows: list[tuple[int, int, int]]) -> Iterator[bytes | None]:
    """What the ranges are, by Python's slices; None for what is missing."""
    for number, offset, size in rows:
        value = CONTENTS.get(KEYS[number])
        start = offset if offset >= 0 or value is None else len(value) + offset
        yield value if value is None else value[start : len(value) if size == -1 else start + size]


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Ranges, legal ones where the object exists."""
    some = []
    for _ in range(draw(st.integers(0, 30))):
        number = draw(st.integers(0, len(KEYS) - 1))
        length = len(CONTENTS.get(KEYS[number], b"12345"))
        start = draw(st.integers(0, length))
        size = draw(st.sampled_from([-1, 0, 1, 7]) | st.integers(0, length - start))
        start = draw(st.sampled_from([start, start - length or start]))
        begins = start if start >= 0 else start + length
        some.append((number, start, min(size, length - begins)))
    return draw(st.permutations(some)) if draw(st.booleans()) else sorted(some)


def ranges_are_slices(new: NewStore) -> None:
    store = new(CONTENTS)

    @settings(max_examples=examples(30), deadline=None)  # of up to 30 ranges each, of each of some 25 stores
    @given(rows())
    def law(rows: list[tuple[int, int, int]]) -> None:
        assert read(store, ranges_of(rows))[0] == list(slices_of(rows))

    law()


def whole_objects_lie_where_they_are_wanted(new: NewStore) -> None:
    store, keys = new(CONTENTS), [key for key in KEYS if key in CONTENTS]
    got, target, encoded = read(store, Ranges.whole(keys))
    assert encoded is target
    assert got == [CONTENTS[key] for key in keys]
    got, target, encoded = read(store, Ranges.whole(KEYS))
    assert got == [CONTENTS.get(key) for key in KEYS]
    assert np.array_equal(encoded.starts, target.starts)
    assert read(store, Ranges.whole([]))[0] == []


def bytes_for_a_device_go_to_its_host_side(new: NewStore) -> None:
    host = np.zeros(17, np.uint8)
    to_device = EncodedBatch(None, np.zeros(1, np.int64), np.full(1, 17), host)
    encoded = read_into(new(CONTENTS), Ranges.whole(["c/2"]), lambda sizes: to_device)
    assert encoded.on_host(0).tobytes() == CONTENTS["c/2"]


END = 2**63 - 1
BEYOND = [(18, 0), (0, 18), (17, 1), (-18, 1), (-1, 2), (18, -1), (0, -2), (5, END), (END, 1), (-END - 1, -1)]


def ranges_beyond_an_object_are_errors(new: NewStore) -> None:
    store = new(CONTENTS)
    for offset, size in BEYOND:
        for rows in ([(2, offset, size)], [(2, 0, 1), (2, offset, size), (0, 0, 0)]):
            with pytest.raises(StoreError, match=r"'c/2' of .*Store.* has 17 bytes: a range of"):
                read(store, ranges_of(rows))


def single_reads_are_slices(new: NewStore) -> None:
    """In any order, by several threads; of each range a part is wanted; an error names the read's number."""
    with new(CONTENTS).open(["c/3", "c/5", "none"]) as objects:
        assert list(objects.lengths()) == [300, 20_000, MISSING]
        reads = [(0, 5, 90, 10, 70), (1, 0, 20_000, 0, 20_000), (1, 19_990, 10, 3, 7), (0, 0, 300, 299, 1)]
        fill = objects.reader(reads)

        def is_right(i: int) -> bool:
            number, offset, _, skip, size = reads[i]
            into = bytearray(size)
            fill(i, memoryview(into))
            return bytes(into) == CONTENTS[("c/3", "c/5")[number]][offset + skip :][:size]

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(is_right, [3, 2, 1, 0] * 20))
        with pytest.raises(StoreError, match="c/3' of") as caught:
            objects.reader([reads[0], (0, 290, 11, 0, 11)])
        assert caught.value.index == 1


def small_objects_are_got_whole(new: NewStore) -> None:
    store = new(CONTENTS)
    assert [store.get(key) for key in KEYS] == [CONTENTS.get(key) for key in KEYS]
    assert all(isinstance(store.get(key), bytes) for key in CONTENTS)


def names_and_objects_are_listed(new: NewStore) -> None:
    store = new(CONTENTS)
    assert store.names("") == ["a", "c", "zarr.json"]
    assert store.names("c") == [str(i) for i in range(6)]
    assert store.names("a") == ["b"] and store.names("a/b") == ["c"]
    assert store.names("none") == store.names("zarr.json") == store.names("c/1/x") == []
    sizes = {key: len(value) for key, value in CONTENTS.items()}
    assert dict(store.objects("")) == sizes
    assert sorted(listed_keys(store, "")) == sorted(sizes)
    assert dict(store.objects("c")) == {key: size for key, size in sizes.items() if key.startswith("c/")}
    assert list(store.objects("none")) == []


def copies_by_pickle_read_the_same(new: NewStore) -> None:
    store = new(CONTENTS)
    again = pickle.loads(pickle.dumps(store))
    assert type(again) is type(store) and type(store).__name__ in repr(store)
    assert read(again, Ranges.whole(KEYS))[0] == [CONTENTS.get(key) for key in KEYS]


def many_threads_read_at_once(new: NewStore) -> None:
    store, wanted = new(CONTENTS), [CONTENTS.get(key) for key in KEYS * 12]
    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(lambda _: read(store, Ranges.whole(KEYS * 12))[0] == wanted, range(60)))


NO_KEYS = ("", "..", "../x", "a/../x", "a/..", ".", "a/./b", "/a", "a/", "a//b", "a\0b", "\0", None, 7)


def keys_that_are_none_are_refused(new: NewStore) -> None:
    """One that leads out of the store, or could be another name of an object: alike in every store."""
    store = new(CONTENTS)
    for key in NO_KEYS:
        for attempt in (store.get, lambda key: store.open(["c/1", key]).__enter__()):
            with pytest.raises(StoreError, match=r"is not the key of an object of .*Store"):
                attempt(key)
        for listed in (store.names, store.objects, lambda prefix: listed_keys(store, prefix)) if key != "" else ():
            with pytest.raises(StoreError, match=r"is not the key of an object of .*Store"):
                list(listed(key))


def keys_that_are_none_are_not_written(new: NewStore) -> None:
    store = new(CONTENTS)
    for key in NO_KEYS:
        attempts: list[Callable[[Any], Any]] = [lambda key: store.set(key, b"x"), store.create]
        attempts += [lambda key: store.delete(["c/1", key]), lambda key: store.locked([key]).__enter__()]
        attempts += [lambda key: store.write(["c/1", key], encoded_batch(b"x", b"y"))]
        for attempt in [*attempts, *([store.delete_prefix] if key != "" else [])]:
            with pytest.raises(StoreError, match=r"is not the key of an object of .*Store"):
                attempt(key)
    assert {key for key in listed_keys(store, "") if key != "c/1"} == {*CONTENTS} - {"c/1"}


def what_is_written_is_read(new: NewStore) -> None:
    store = new(CONTENTS)
    for value in (b"", b"new", np.arange(9, dtype=np.uint8), memoryview(b"a view of many bytes" * 99)):
        for key in ("zarr.json", "new/key"):
            store.set(key, value)
            assert store.get(key) == bytes(value)
    chunks = [b"one", b"", b"three" * 1000]
    store.write(["c/0", "c/9", "c/x/y"], encoded_batch(*chunks, gap=5))
    assert [store.get(key) for key in ("c/0", "c/9", "c/x/y")] == chunks and store.get("c/1") == CONTENTS["c/1"]


def what_is_written_in_pieces_is_seen_when_it_is_complete(new: NewStore) -> None:
    store = new(CONTENTS)
    for key in ("c/3", "c/new", "new/one"):
        before, names = store.get(key), store.names("c")
        for end in ("abort", "commit"):
            sink = store.create(key)
            sink.write(np.full(1000, 3, np.uint8), 500)
            sink.write(b"\1" * 500, 0)
            assert store.get(key) == before and store.names("c") == names
            getattr(sink, end)()
            assert store.get(key) == (before if end == "abort" else b"\1" * 500 + b"\3" * 1000)


def what_is_deleted_is_missing(new: NewStore) -> None:
    store = new(CONTENTS | {"a/bc": b"beside", "c/50": b"beside"})
    store.delete(["c/1", "none", "c/5"])
    assert store.get("c/1") is store.get("c/5") is None and store.get("c/50") == b"beside"
    store.delete_prefix("a/b")
    assert store.get("a/b/c") is None and store.get("a/bc") == b"beside"
    store.delete_prefix("none")
    store.delete_prefix("")
    assert list(store.objects("")) == []


def versions_tell_objects_apart(new: NewStore) -> None:
    store, keys = new(CONTENTS), ["c/3", "c/4", "none"]
    with store.open(keys) as objects:
        before = list(objects.versions([None] * 3))
        assert not objects.changed() and [type(each) for each in settled(objects)] == [bool] * 3
    store.set("c/3", b"of another length")
    with store.open(keys) as objects:
        after = list(objects.versions(before))
        read_by(objects, keys)
        is_told = objects.changed() or after[0] != before[0]
    assert before[1:] == after[1:] and (is_told or before == [None] * 3)


def read_by(objects: Any, keys: list[str]) -> list[bytes | None]:
    requests = objects.requests(Ranges.whole(keys))
    encoded = objects.read(requests, fresh(requests.sizes))
    return [None if encoded.sizes[i] == MISSING else encoded[i].tobytes() for i in range(len(encoded))]


def what_is_open_is_of_one_version(new: NewStore) -> None:
    """The old one or the new one whole; or `changed` tells, or there is an error."""
    old, other = b"old" * 999, b"new" * 999
    store = new({"k": old})
    with store.open(["k"]) as objects:
        objects.versions([None])
        store.set("k", other)
        try:
            found = read_by(objects, ["k"])
            assert found in ([old], [other]) or objects.changed()
        except StoreError as error:
            assert "'k' of" in str(error)


def readers_see_whole_objects(new: NewStore) -> None:
    """Whatever is replaced meanwhile, at once or in pieces; or an error that says so."""
    values = [bytes([i]) * (50_000 - 9_000 * i) for i in range(4)]
    store, is_over = new({"k": values[0]}), threading.Event()

    def look() -> int:
        number = 0
        while not is_over.is_set() or number < 20:
            try:
                assert store.get("k") in values
            except StoreError as error:
                assert "'k' of" in str(error) and "changed while it was read" in str(error)
            number += 1
        return number

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(look) for _ in range(3)]
        try:
            for i in range(60):
                value = values[i % 4]
                if i % 3:
                    store.set("k", value)
                    continue
                sink = store.create("k")
                for at in range(0, len(value), 16_384):
                    sink.write(value[at : at + 16_384], at)
                sink.commit()
        finally:
            is_over.set()
        assert all(reader.result() >= 20 for reader in readers)


def locks_let_one_in_at_a_time(new: NewStore) -> None:
    store = new({"x": b"0", "y": b"0"})

    def count(keys: list[str]) -> None:
        for _ in range(15):
            with store.locked(keys):
                for key in keys:
                    store.set(key, str(int(store.get(key)) + 1).encode())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, [["x", "y"], ["y", "x"], ["x"], ["y"]]))
    assert store.get("x") == store.get("y") == b"45"


def what_has_changed_is_not_written(new: NewStore) -> None:
    """Of a store with conditional puts: neither at once nor in pieces. A store tells what guards its objects."""
    store, keys = new(CONTENTS), ["c/3", "c/4", "none", "c/none"]
    assert guard(store) in get_args(Guard)
    if guard(store) != "versions":
        return
    before = read_with_versions(store, keys)
    assert before[2:] == [MISSING, MISSING]
    store.set("c/3", b"another")
    store.set("none", b"new")
    assert sorted(store.write_if_unchanged(keys, encoded_batch(*[b"mine"] * 4), before)) == [0, 2]
    assert [store.get(key) for key in keys] == [b"another", b"mine", b"new", b"mine"]
    now = read_with_versions(store, keys)
    assert now[1] != before[1] and now[3] != before[3]
    store.delete(["c/4"])
    for key, version in zip(keys, now, strict=True):
        sink = store.create(key)
        sink.write(b"by piece", 6)
        sink.write(b"piece ", 0)
        assert sink.commit_if_unchanged(version) == (key != "c/4")
        if key == "c/4":
            assert store.get(key) is None
            sink.cut(6)
            sink.write(b"new", 6)
            assert sink.commit_if_unchanged(*read_with_versions(store, [key]))
    assert [store.get(key) for key in keys] == [b"piece by piece", b"piece new", b"piece by piece", b"piece by piece"]


def read_with_versions(store: Any, keys: list[str]) -> list[Any]:
    """Read objects, and tell which versions were read."""
    with store.open(keys) as objects:
        read_by(objects, keys)
        versions = list(objects.versions([None] * len(keys)))
        assert not objects.changed() and None not in versions
    return versions


def nothing_is_lost_where_versions_guard(new: NewStore) -> None:
    """Many threads count in two objects, of which one is missing at first, without locks."""
    store = new({"x": b"0"})
    if guard(store) != "versions":
        return

    def count(key: str) -> None:
        for _ in range(10):
            while True:
                (version,), found = read_with_versions(store, [key]), store.get(key)
                if (version,) != tuple(read_with_versions(store, [key])):
                    continue
                new = encoded_batch(str(int(found or b"0") + 1).encode())
                if not len(store.write_if_unchanged([key], new, [version])):
                    break

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, ["x", "y", "x", "y"]))
    assert store.get("x") == store.get("y") == b"20"


READING = [
    *(ranges_are_slices, whole_objects_lie_where_they_are_wanted, bytes_for_a_device_go_to_its_host_side),
    *(ranges_beyond_an_object_are_errors, single_reads_are_slices, small_objects_are_got_whole),
    *(names_and_objects_are_listed, copies_by_pickle_read_the_same, many_threads_read_at_once, the_corpus_is_read),
    keys_that_are_none_are_refused,
]
WRITING = [
    *(what_is_written_is_read, what_is_written_in_pieces_is_seen_when_it_is_complete, what_is_deleted_is_missing),
    *(versions_tell_objects_apart, what_is_open_is_of_one_version, readers_see_whole_objects),
    *(locks_let_one_in_at_a_time, what_has_changed_is_not_written, nothing_is_lost_where_versions_guard),
    *(keys_that_are_none_are_not_written,),
]


def store_laws(is_writable: bool = True) -> list[Callable[[NewStore], None]]:
    """The laws of stores: of reading, and of writing."""
    return [*READING, *(WRITING if is_writable else ())]
