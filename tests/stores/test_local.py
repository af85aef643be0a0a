"""Laws of stores: the same contents give the same answers from a folder and from a mapping, whatever the ranges."""

import os
import pickle
import re
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.batch import EncodedBatch, packed
from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import MISSING, Ranges
from gpuzarr.stores.local import objects as local
from gpuzarr.stores.local.objects import MAX_OPEN_FILES, PERMITS
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore

rng = np.random.default_rng(7)
CONTENTS = {f"c/{i}": rng.bytes(n) for i, n in enumerate([0, 1, 17, 300, 4096, 20_000])} | {
    "zarr.json": b"{}",
    "a/b/c": b"x",
}
KEYS = [*CONTENTS, "c/none", "none", "zarr.json/under/a/file"]


class Place:
    """A `place` that remembers what it was asked for and surrounds every segment by bytes that nobody may touch."""

    def __init__(self):
        self.calls = []

    def __call__(self, sizes):
        assert sizes.dtype == np.int64 and (sizes >= 0).all()
        starts, _, total = packed(sizes + 3, 1)
        self.encoded = EncodedBatch(np.full(total + 1, 0xAA, np.uint8), starts + 1, sizes)
        self.calls.append(sizes)
        return self.encoded

    def check(self):
        assert len(self.calls) == 1
        outside = np.ones(len(self.encoded.data), bool)
        for start, size in zip(self.encoded.starts, self.encoded.sizes, strict=True):
            outside[start : start + size] = False
        assert (self.encoded.data[outside] == 0xAA).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    for key, value in CONTENTS.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(value)
    return root


@pytest.fixture(scope="module")
def stores(folder):
    kinds = [bytes, bytearray, memoryview, lambda v: np.frombuffer(v, np.uint8)]
    mixed = {key: kinds[i % 4](value) for i, (key, value) in enumerate(CONTENTS.items())}
    return [LocalStore(folder), LocalStore(folder, coalesce_gap=0, coalesce_size=100), MappingStore(mixed)]


@pytest.fixture
def no_leak():
    before = sorted(os.listdir("/proc/self/fd")) if sys.platform == "linux" else None
    yield
    if before is not None:
        assert sorted(os.listdir("/proc/self/fd")) == before
    assert PERMITS.value.free == MAX_OPEN_FILES


def read_into(store, ranges, place):
    """Read ranges into the memory that `place` gives for the sizes of the requests."""
    with store.open(ranges.keys) as objects:
        requests = objects.requests(ranges)
        return objects.read(requests, place(requests.sizes))


def read(store, ranges):
    place = Place()
    encoded = read_into(store, ranges, place)
    place.check()
    assert len(encoded) == len(ranges) and encoded.data is place.encoded.data
    return (
        [None if encoded.sizes[i] == MISSING else encoded[i].tobytes() for i in range(len(encoded))],
        place.encoded,
        encoded,
    )


def ranges_of(rows, keys=KEYS):
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return Ranges(keys, *columns)


def wanted(rows):
    """What the ranges are, by Python's slices; None for what is missing."""
    for number, offset, size in rows:
        value = CONTENTS.get(KEYS[number])
        start = offset if offset >= 0 or value is None else len(value) + offset
        yield value if value is None else value[start : len(value) if size == -1 else start + size]


@st.composite
def rows(draw):
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


@settings(max_examples=300, deadline=None)
@given(rows())
def test_ranges_are_slices(stores, rows):
    for each in stores:
        assert read(each, ranges_of(rows))[0] == list(wanted(rows))


@settings(max_examples=50, deadline=None)
@given(rows())
def test_with_few_files_open_at_once(stores, rows):
    permits = PERMITS.value.free
    PERMITS.value.free = 0
    try:
        assert read(stores[0], ranges_of(rows))[0] == list(wanted(rows))
    finally:
        PERMITS.value.free = permits


def test_whole_objects_lie_where_place_says(stores, no_leak):
    keys = [key for key in KEYS if key in CONTENTS]
    for each in stores:
        got, placed, encoded = read(each, Ranges.whole(keys))
        assert encoded is placed
        assert got == [CONTENTS[key] for key in keys]
        got, placed, encoded = read(each, Ranges.whole(KEYS))
        assert got == [CONTENTS.get(key) for key in KEYS]
        assert np.array_equal(encoded.starts, placed.starts)
        assert read(each, Ranges.whole([]))[0] == []


def test_bytes_for_a_device_go_to_its_host_side(stores):
    for each in stores:
        host = np.zeros(17, np.uint8)
        encoded = read_into(
            each,
            Ranges.whole(["c/2"]),
            lambda sizes, host=host: EncodedBatch(None, np.zeros(1, np.int64), sizes, host),
        )
        assert encoded.on_host(0).tobytes() == CONTENTS["c/2"]


def test_neighbours_are_joined(folder):
    """10 bytes, 2 apart, shuffled: one segment; farther apart than the gap: one each, in the order asked."""
    near = ranges_of([(0, i, 10) for i in rng.permutation(np.arange(0, 20_000 - 10, 12))], ["c/5"])
    _, placed, encoded = read(LocalStore(folder, coalesce_gap=2), near)
    assert len(placed) == 1
    assert placed.sizes[0] == near.offsets.max() + 10
    assert all(encoded[i].tobytes() == CONTENTS["c/5"][near.offsets[i] :][:10] for i in range(len(encoded)))
    _, placed, encoded = read(LocalStore(folder, coalesce_gap=1), near)
    assert encoded is placed
    _, placed, _ = read(LocalStore(folder, coalesce_gap=2, coalesce_size=1000), near)
    assert len(placed) == 20
    assert placed.sizes.max() <= 1000 + 10


def test_a_few_large_neighbours_are_read_one_by_one(tmp_path):
    data = rng.integers(0, 256, 100_000, np.uint8)
    (tmp_path / "large").write_bytes(data.tobytes())
    for size, count in [(30_000, 3), (1000, 3), (1000, 50)]:
        asked = ranges_of([(0, i * size, size) for i in range(count)], ["large"])
        _, placed, encoded = read(LocalStore(str(tmp_path)), asked)
        assert len(placed) == (count if size > 16384 else 1)
        assert all(encoded[i].tobytes() == data[i * size :][:size].tobytes() for i in range(count))


def test_few_and_many_chunks_are_packed_alike():
    sizes = rng.integers(0, 2000, 100)
    starts, _, total = packed(sizes)
    for n in (0, 1, 2, 32):
        few, same, end = packed(sizes[:n])
        assert few.tolist() == starts[:n].tolist()
        assert same.tolist() == sizes[:n].tolist()
        assert end == ([*starts.tolist(), total])[n]


def test_objects_are_not_joined(folder):
    """The end of one file is no neighbour of the next file's beginning."""
    two = ranges_of([(0, -1, 1), (1, 0, 1), (0, 0, 1), (1, -1, 1)], ["c/2", "c/3"])
    got, placed, _ = read(LocalStore(folder, coalesce_gap=20), two)
    first, second = CONTENTS["c/2"], CONTENTS["c/3"]
    assert got == [first[-1:], second[:1], first[:1], second[-1:]]
    assert sorted(placed.sizes.tolist()) == [1, 1, 17]


@pytest.mark.parametrize(
    "offset, size",
    [(18, 0), (0, 18), (17, 1), (-18, 1), (-1, 2), (18, -1), (0, -2), (5, 2**63 - 1), (2**63 - 1, 1), (-(2**63), -1)],
)
def test_beyond_the_object(stores, no_leak, offset, size):
    for each in stores:
        for rows in ([(2, offset, size)], [(2, 0, 1), (2, offset, size), (0, 0, 0)]):
            with pytest.raises(StoreError, match=r"'c/2' of .*Store.* has 17 bytes: a range of"):
                read_into(each, ranges_of(rows), Place())


def test_get(stores, no_leak):
    for each in stores:
        assert [each.get(key) for key in KEYS] == [CONTENTS.get(key) for key in KEYS]
        assert all(isinstance(each.get(key), bytes) for key in CONTENTS)


def test_names(stores, no_leak):
    for each in stores:
        assert each.names("") == ["a", "c", "zarr.json"]
        assert each.names("c") == [str(i) for i in range(6)]
        assert each.names("a") == ["b"]
        assert each.names("a/b") == ["c"]
        assert each.names("none") == each.names("zarr.json") == each.names("c/1/x") == []


def test_pickle_and_repr(stores, folder):
    copies = pickle.loads(pickle.dumps([stores[0], stores[1], MappingStore(dict(CONTENTS))]))
    for each in copies:
        assert read(each, Ranges.whole(KEYS))[0] == [CONTENTS.get(key) for key in KEYS]
    assert copies[:2] == stores[:2]
    assert repr(copies[0]) == f"LocalStore({str(folder)!r})"
    assert repr(copies[2]).startswith("MappingStore(dict at 0x")


def test_relative_roots_are_settled(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    each = LocalStore(folder.name)
    monkeypatch.chdir("/")
    assert each.get("zarr.json") == b"{}"


@pytest.mark.parametrize("key", ["../x", "a/../../x", "..", "/etc/passwd", "a/.."])
def test_keys_do_not_leave_the_folder(folder, no_leak, key):
    each = LocalStore(folder / "c")
    for attempt in (each.get, each.names, lambda k: read_into(each, Ranges.whole([k]), Place())):
        with pytest.raises(StoreError, match="leads out of"):
            attempt(key)
    assert each.get("..1") is each.get("a..b") is None


def test_what_is_no_file(tmp_path, no_leak):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "good").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    each = LocalStore(tmp_path)
    for key in ("folder", "loop", "nul\0", "n" * 300, "pipe", "\ud800", "", "."):
        for permits in (MAX_OPEN_FILES, 0):
            PERMITS.value.free = permits
            try:
                with pytest.raises(StoreError, match=re.escape(repr(key))):
                    read_into(each, Ranges.whole(["good", key]), Place())
            finally:
                PERMITS.value.free = MAX_OPEN_FILES
        with pytest.raises(StoreError):
            each.get(key)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everything may be read by root")
def test_no_permission(tmp_path):
    (tmp_path / "c").write_bytes(b"1")
    (tmp_path / "c").chmod(0)
    for attempt in (LocalStore(tmp_path).get, lambda k: read_into(LocalStore(tmp_path), Ranges.whole([k]), Place())):
        with pytest.raises(StoreError, match=r"cannot read 'c' .* Permission denied"):
            attempt("c")


def test_refused_by_the_system_names_the_key(folder, no_leak, monkeypatch):
    """As PermissionError, also where tests run as root; and an error of the disk in the middle of a read."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    for function in ("open", "preadv"):
        with monkeypatch.context() as patch:
            patch.setattr(local.os, function, refuse)
            with pytest.raises(StoreError, match=r"cannot read 'c/3' of LocalStore.*Permission denied"):
                read_into(LocalStore(folder), Ranges.whole(["c/3"]), Place())


@pytest.mark.parametrize("permits", [MAX_OPEN_FILES, 0])
def test_a_file_that_shrinks(tmp_path, no_leak, monkeypatch, permits):
    (tmp_path / "c").write_bytes(bytes(1000))
    monkeypatch.setattr(PERMITS.value, "free", permits)

    def place(sizes):
        os.truncate(tmp_path / "c", 500)
        return Place()(sizes)

    with pytest.raises(StoreError, match=r"'c' of LocalStore.* while it was read"):
        read_into(LocalStore(tmp_path), Ranges.whole(["c"]), place)
    monkeypatch.setattr(PERMITS.value, "free", MAX_OPEN_FILES)


def test_a_file_that_comes_or_goes(tmp_path, monkeypatch):
    """Between finding the lengths and reading, when not all files can be open."""
    monkeypatch.setattr(PERMITS.value, "free", 0)
    (tmp_path / "c").write_bytes(bytes(10))
    for change in (lambda: (tmp_path / "c").unlink(), lambda: (tmp_path / "c").write_bytes(bytes(10))):

        def place(sizes, change=change):
            change()
            return Place()(sizes)

        with pytest.raises(StoreError, match="was changed while it was read"):
            read_into(LocalStore(tmp_path), Ranges.whole(["c"]), place)
    monkeypatch.setattr(PERMITS.value, "free", MAX_OPEN_FILES)


def test_short_reads_go_on(folder, monkeypatch):
    whole = os.preadv
    monkeypatch.setattr(local.os, "preadv", lambda file, into, at: whole(file, (into[0][:1000],), at))
    assert read(LocalStore(folder), Ranges.whole(["c/5", "c/4"]))[0] == [CONTENTS["c/5"], CONTENTS["c/4"]]


def test_beyond_two_gib(tmp_path):
    """A sparse file: ranges at its end, and more than 2 GiB in one range are possible; only the first is read here."""
    with open(tmp_path / "c", "wb") as file:
        file.seek(5 << 30)
        file.write(b"end")
    got, _, _ = read(LocalStore(tmp_path), ranges_of([(0, -3, -1), (0, 5 << 30, 2), (0, (5 << 30) - 1, 2)], ["c"]))
    assert got == [b"end", b"en", b"\0e"]


def test_more_files_than_may_be_open(tmp_path, no_leak):
    keys = [f"{i:04}" for i in range(MAX_OPEN_FILES + 50)]
    for key in keys:
        (tmp_path / key).write_bytes(key.encode())
    most = 0

    def place(sizes):
        nonlocal most
        most = max(most, MAX_OPEN_FILES - PERMITS.value.free)
        return Place()(sizes)

    order = rng.permutation(2 * len(keys)) % len(keys)
    for ranges in (Ranges.whole(keys), Ranges(keys, order, np.full(len(order), 1), np.full(len(order), 3))):
        encoded = read_into(LocalStore(tmp_path), ranges, place)
        assert all(
            encoded[i].tobytes() == keys[ranges.objects[i]].encode()[ranges.offsets[i] :] for i in range(len(encoded))
        )
    assert most == 0
    read_into(LocalStore(tmp_path), Ranges.whole(keys[:200]), place)
    assert most == 200


def test_many_threads(folder, no_leak):
    errors = []

    def work():
        try:
            for _ in range(30):
                assert read(LocalStore(folder), Ranges.whole(KEYS * 12))[0] == [CONTENTS.get(key) for key in KEYS * 12]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_values_of_a_mapping():
    block = np.arange(12, dtype=">u2").reshape(3, 4)
    each = MappingStore(
        {"a": block, "t": block.T, "m": memoryview(block.astype("u2")), "z": np.empty((0, 3)), "": b"e"}
    )
    assert each.get("a") == block.tobytes()
    assert each.get("t") == block.T.tobytes()
    assert each.get("m") == block.astype("u2").tobytes()
    assert read(each, ranges_of([(0, 2, 2), (1, 2, 2), (2, 0, -1)], ["a", "t", "z"]))[0] == [b"\0\1", b"\0\4", b""]
    assert each.names("") == ["a", "m", "t", "z"]


def test_bad_mappings():
    for value in ("text", None, 3, np.array([None])):
        with pytest.raises(StoreError, match="value of 'k'"):
            MappingStore({"k": value}).get("k")

    class Broken(dict):
        def __getitem__(self, key):
            raise PermissionError("not for you")

    with pytest.raises(StoreError, match=r"'k' of MappingStore.*not for you"):
        read_into(MappingStore(Broken(k=b"")), Ranges.whole(["k"]), Place())


def test_timing(tmp_path):
    """Prints what a read costs; asserts nothing."""
    keys = [str(i) for i in range(256)]
    for key in keys:
        (tmp_path / key).write_bytes(bytes(1 << 16))
    (tmp_path / "shard").write_bytes(bytes(1 << 24))
    each, room = LocalStore(tmp_path), np.zeros(1 << 24, np.uint8)

    def place(sizes):
        return EncodedBatch(room, packed(sizes)[0], sizes)

    offsets = np.arange(0, 1 << 24, 1 << 10)
    shard = Ranges(["shard"], np.zeros(len(offsets), int), offsets, np.full(len(offsets), 1 << 10))
    for what, ranges in (("a 64 KiB file", Ranges.whole(keys)), ("1 KiB of a shard", shard)):
        times = []
        for _ in range(3):
            began = time.perf_counter()
            read_into(each, ranges, place)
            times.append(time.perf_counter() - began)
        print(f"\n{what}: {min(times) / len(ranges) * 1e6:.2f} us", end="")
