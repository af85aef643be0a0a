"""Folders of files beyond the laws of stores: how ranges are joined, what is no file, what changes; and mappings."""

import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

from gpuzarr.batch import packed
from gpuzarr.errors import StoreError
from gpuzarr.stores.local import open_files as local
from gpuzarr.stores.local import permits
from gpuzarr.stores.local.permits import PERMITS, allowed
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.ranges import Ranges
from tests.laws.stores import CONTENTS, fresh, ranges_of, read, read_into
from tests.open_files import open_files

rng = np.random.default_rng(7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    for key, value in CONTENTS.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(value)
    return root


@pytest.fixture
def no_leak():
    before = open_files()
    yield
    assert open_files() == before
    assert PERMITS.value.free == allowed()


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


def test_relative_roots_are_settled(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    each = LocalStore(folder.name)
    monkeypatch.chdir("/")
    assert each.get("zarr.json") == b"{}"


def test_stores_are_named_and_compared_by_what_they_hold(folder):
    each = LocalStore(folder)
    assert pickle.loads(pickle.dumps(each)) == each != LocalStore(folder, coalesce_gap=0)
    assert repr(each) == f"LocalStore({str(folder)!r})"
    assert repr(MappingStore(dict(CONTENTS))).startswith("MappingStore(dict at 0x")


@pytest.mark.parametrize("key", ["../x", "a/../../x", "..", "/etc/passwd", "a/.."])
def test_keys_do_not_leave_the_folder(folder, no_leak, key):
    each = LocalStore(folder / "c")
    for attempt in (each.get, each.names, lambda k: read_into(each, Ranges.whole([k]), fresh)):
        with pytest.raises(StoreError, match=r"is not the key of an object of LocalStore.* leads out of"):
            attempt(key)
    assert each.get("..1") is each.get("a..b") is None


def test_what_is_no_file(tmp_path, no_leak, loops, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "good").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    each = LocalStore(tmp_path)
    for key in ("folder", "loop", "nul\0", "n" * 300, "pipe", "\ud800", "", "."):
        for most in (allowed(), 0):
            with monkeypatch.context() as patch:
                patch.setattr(permits, "allowed", lambda most=most: most)
                with pytest.raises(StoreError, match=re.escape(repr(key))):
                    read_into(each, Ranges.whole(["good", key]), fresh)
        if key in ("loop", "pipe", "nul\0", "", "."):
            with pytest.raises(StoreError):
                each.get(key)
        else:  # no file is there, or can be
            assert each.get(key) is None


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everything may be read by root")
def test_no_permission(tmp_path):
    (tmp_path / "c").write_bytes(b"1")
    (tmp_path / "c").chmod(0)
    for attempt in (LocalStore(tmp_path).get, lambda k: read_into(LocalStore(tmp_path), Ranges.whole([k]), fresh)):
        with pytest.raises(StoreError, match=r"cannot read 'c' .* Permission denied"):
            attempt("c")


@pytest.mark.parametrize("loops", ["interpreted"], indirect=True)
def test_refused_by_the_system_names_the_key(folder, no_leak, loops, monkeypatch):
    """As PermissionError, also where tests run as root; and an error of the disk in the middle of a read."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    for function in ("open", "preadv"):
        with monkeypatch.context() as patch:
            patch.setattr(local.os, function, refuse)
            with pytest.raises(StoreError, match=r"cannot read 'c/3' of LocalStore.*Permission denied"):
                read_into(LocalStore(folder), Ranges.whole(["c/3"]), fresh)


@pytest.mark.parametrize("most", [allowed(), 0])
def test_a_file_that_shrinks(tmp_path, no_leak, loops, monkeypatch, most):
    (tmp_path / "c").write_bytes(bytes(1000))
    monkeypatch.setattr(permits, "allowed", lambda: most)

    def place(sizes):
        os.truncate(tmp_path / "c", 500)
        return fresh(sizes)

    with pytest.raises(StoreError, match=r"'c' of LocalStore.* while it was read"):
        read_into(LocalStore(tmp_path), Ranges.whole(["c"]), place)


def test_a_file_that_comes_or_goes(tmp_path, monkeypatch):
    """Between finding the lengths and reading, when not all files can be open."""
    monkeypatch.setattr(permits, "allowed", lambda: 0)
    (tmp_path / "c").write_bytes(bytes(10))
    for change in (lambda: (tmp_path / "c").unlink(), lambda: (tmp_path / "c").write_bytes(bytes(10))):

        def place(sizes, change=change):
            change()
            return fresh(sizes)

        with pytest.raises(StoreError, match="was changed while it was read"):
            read_into(LocalStore(tmp_path), Ranges.whole(["c"]), place)


@pytest.mark.parametrize("loops", ["interpreted"], indirect=True)
def test_short_reads_go_on(folder, loops, monkeypatch):
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


@pytest.mark.parametrize(("limit", "most"), [(1024, 256), (2000, 500), (40, 10)])
def test_a_quarter_of_what_a_process_may_open_is_held(limit, most):
    code = (
        f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, ({limit}, r.getrlimit(r.RLIMIT_NOFILE)[1]))\n"
        "from gpuzarr.stores.local.permits import PERMITS; print(PERMITS.value.free)"
    )
    assert int(subprocess.check_output([sys.executable, "-c", code])) == most


def test_more_files_than_may_be_open(tmp_path, no_leak, loops):
    keys = [f"{i:04}" for i in range(allowed() + 50)]
    for key in keys:
        (tmp_path / key).write_bytes(key.encode())
    most = 0

    def place(sizes):
        nonlocal most
        most = max(most, allowed() - PERMITS.value.free)
        return fresh(sizes)

    order = rng.permutation(2 * len(keys)) % len(keys)
    for ranges in (Ranges.whole(keys), Ranges(keys, order, np.full(len(order), 1), np.full(len(order), 3))):
        encoded = read_into(LocalStore(tmp_path), ranges, place)
        assert all(
            encoded[i].tobytes() == keys[ranges.objects[i]].encode()[ranges.offsets[i] :] for i in range(len(encoded))
        )
    assert most == 0
    read_into(LocalStore(tmp_path), Ranges.whole(keys[:200]), place)
    assert most == 200


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
        read_into(MappingStore(Broken(k=b"")), Ranges.whole(["k"]), fresh)
