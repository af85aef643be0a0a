"""Reads of arrays with a cache of decoded chunks: always what is stored now, whoever has written it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
import threading
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.read.shelf import Shelf
from gpuzarr.stores.local.objects import COARSE_TICK_NS, SECOND_NS, TICK_NS, is_settled
from tests.aged import age, renew
from tests.conftest import examples
from tests.hardware import host_array
from tests.interrupting import Interrupted
from tests.stores.own_store import OwnStore

SHAPE = (96, 80)
LARGE = (320, 448)  # of a chunk of which the CPU decodes parts
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (32, 32)},
    "shards": {"chunks": (16, 16), "shards": (48, 32)},
    "shards in shards": {
        "chunks": (48, 32),
        "serializer": gpuzarr.codecs.ShardingCodec(
            chunk_shape=(16, 32), codecs=[gpuzarr.codecs.ShardingCodec(chunk_shape=(8, 16), codecs=["bytes", "zstd"])]
        ),
        "compressors": None,
    },
    "transposed": {"chunks": (32, 40), "filters": [gpuzarr.codecs.TransposeCodec(order=(1, 0))]},
    "v2": {"chunks": (32, 32), "zarr_format": 2},
}
KINDS = {
    "batch by batch": {"MAX_FEW_CHUNKS": 0},
    "chunk by chunk": {"MIN_REGION_CHUNK_BYTES": 1, "MIN_LONE_CHUNK_BYTES": 1},
}
SELECTIONS: list[Any] = [np.s_[:], np.s_[3:70, 20:50], np.s_[40, ::3], np.s_[90:10:-7, -1], np.s_[5:5]]


def values(seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).integers(0, 50, SHAPE).astype("i4")
    found[:40, :40] = 0  # chunks that are not stored
    return found


def created(path: Any, layout: str, data: np.ndarray | None = None) -> np.ndarray:
    data = values() if data is None else data
    gpuzarr.create_array(path, data=data, fill_value=0, device="cpu", overwrite=True, **LAYOUTS[layout])
    if isinstance(path, Path):
        age(path)
    return data


def counts(a: gpuzarr.Array) -> tuple[int, int]:
    said = a.last_read.asdict() if a.last_read else {}
    return said["cache_hits"], said["cache_misses"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, thresholds: Any) -> str:
    """Both kinds of work."""
    thresholds("gpuzarr.read", **KINDS[request.param])
    return str(request.param)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_chunk_is_decoded_once(layout: str, kind: str, device: Device, tmp_path: Path) -> None:
    data = created(tmp_path, layout)
    a = gpuzarr.open_array(tmp_path, device=device, cache="1MiB")
    plain = gpuzarr.open_array(tmp_path, device=device)
    assert a.cache is not None and plain.cache is None
    for selection in (*SELECTIONS, *SELECTIONS):
        assert np.array_equal(host_array(a[selection]), data[selection])
    assert (a.cache.misses, counts(a)) == (len(a.cache), (0, 0))
    a[...], plain[...]
    assert a.last_read is not None and plain.last_read is not None
    now, then = a.last_read.asdict(), plain.last_read.asdict()
    assert (now["chunks"], counts(a)) == (then["chunks"], (len(a.cache), 0))
    assert now["stored_bytes"] == 0 < then["stored_bytes"]
    assert f"chunks that the cache had: {len(a.cache)}, and had not: 0" in str(a.last_read)
    assert counts(plain) == (0, 0) and "cache" not in str(plain.last_read)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_kind_of_selection(layout: str, kind: str, device: Device, tmp_path: Path) -> None:
    data, rows, columns = created(tmp_path, layout), [70, 3, 3, 41], [79, 0, 33, 32]
    a = gpuzarr.open_array(tmp_path, device=device, cache="1MiB")
    for _ in range(2):
        assert np.array_equal(host_array(a.oindex[rows, columns]), data[np.ix_(rows, columns)])
        assert np.array_equal(host_array(a.vindex[rows, columns]), data[rows, columns])
        rows_of_block = (a.shards or a.chunks)[0]
        assert np.array_equal(host_array(a.blocks[1]), data[rows_of_block : 2 * rows_of_block])
        several = a.get_many([np.s_[i : i + 9, i : i + 20] for i in range(0, 60, 7)])
        assert np.array_equal(host_array(several), [data[i : i + 9, i : i + 20] for i in range(0, 60, 7)])
    assert a.cache is not None and a.cache.misses == len(a.cache) < a.cache.hits


@pytest.mark.parametrize("layout", LAYOUTS)
def test_casts_are_made_of_what_is_kept(layout: str, kind: str, device: Device, tmp_path: Path) -> None:
    data = created(tmp_path, layout)
    a = gpuzarr.open_array(tmp_path, device=device, cache="1MiB")
    for hits in (0, 1):
        found = host_array(a.get(np.s_[3:70, 20:50], dtype="f4", scale=0.5, offset=1, fill_to_nan=True))
        expected = np.where(data == 0, np.nan, data * 0.5 + 1).astype("f4")[3:70, 20:50]
        assert np.array_equal(found, expected, equal_nan=True) and (counts(a)[hits] == 0)
    assert np.array_equal(host_array(a[...]), data)


def test_a_cache_does_without_memory_that_is_not_there(
    kind: str, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a read refuses does not depend on it."""
    data = created(tmp_path, "chunks")
    a = gpuzarr.open_array(tmp_path, device=device, cache="1MiB")

    def keeping(*given: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Shelf, "keeping", keeping)
        for _ in range(2):
            assert np.array_equal(host_array(a[...]), data) and counts(a)[0] == 0
    a[...]
    assert np.array_equal(host_array(a[...]), data) and counts(a)[1] == 0


@pytest.mark.parametrize("shape", [(), (5,), (2,) * 9])
def test_arrays_of_any_number_of_axes(shape: tuple[int, ...], kind: str, device: Device, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(1, 9, shape).astype("f8")
    gpuzarr.create_array(tmp_path, data=data, chunks=(1, 2)[: len(shape)] + shape[2:], device="cpu")
    age(tmp_path)
    a = gpuzarr.open_array(tmp_path, mode="r+", device=device, cache="1MiB")
    for misses in (a.nchunks, 0, a.nchunks):
        assert np.array_equal(host_array(a[...]), data) and counts(a) == (a.nchunks - misses, misses)
        if not misses:
            data[...] = a[...] = 7
            age(tmp_path)


def test_arrays_share_a_cache(kind: str, device: Device, tmp_path: Path) -> None:
    cache = gpuzarr.ChunkCache("1MiB")
    data = {layout: created(tmp_path / layout, layout, values(i)) for i, layout in enumerate(LAYOUTS)}
    arrays = [(gpuzarr.open_array(tmp_path / layout, device=device, cache=cache), data[layout]) for layout in data]
    plain = gpuzarr.open_array(tmp_path / "v2", device=device)
    pairs = [(a, np.s_[30:60, 20:50]) for a, _ in arrays] + [(plain, np.s_[30:60, 20:50])]
    for _ in range(2):
        found = gpuzarr.read_many(pairs)
        assert np.array_equal(host_array(found)[:-1], [expected[30:60, 20:50] for _, expected in arrays])
        assert np.array_equal(host_array(found)[-1], data["v2"][30:60, 20:50])
    assert cache.hits == cache.misses == len(cache)
    again = gpuzarr.open_array(tmp_path / "chunks", device=device, cache=cache)
    assert np.array_equal(host_array(again[30:60, 20:50]), data["chunks"][30:60, 20:50])
    assert counts(again)[1] == 0, "another array of the same data"
    twin = gpuzarr.open_array(tmp_path / "chunks", device=device, cache="1MiB")
    twin[30:60, 20:50]
    assert counts(twin)[0] == 0


def test_a_result_is_the_callers_own(kind: str, device: Device, tmp_path: Path) -> None:
    data = created(tmp_path, "chunks")
    a = gpuzarr.open_array(tmp_path, device=device, cache="1MiB")
    for selection in (np.s_[:32, 32:64], np.s_[...], np.s_[:32, 32:64], np.s_[40:50]):
        found = a[selection]
        assert np.array_equal(host_array(found), data[selection])
        found[...] = -1


def test_a_small_cache_keeps_what_was_used_last(kind: str, device: Device, tmp_path: Path) -> None:
    data = created(tmp_path, "chunks")
    a = gpuzarr.open_array(tmp_path, device=device, cache=2 * (32 * 32 * 4 + 512))
    assert a.cache is not None
    for rows, hits in ((64, 0), (64, 1), (32, 0), (64, 1), (0, 0), (64, 1), (32, 0)):
        assert np.array_equal(host_array(a[rows : rows + 32, 32:64]), data[rows : rows + 32, 32:64])
        assert counts(a) == (hits, 1 - hits)
    assert np.array_equal(host_array(a[...]), data) and a.cache.nbytes <= a.cache.max_bytes
    none = gpuzarr.open_array(tmp_path, device=device, cache=100)
    for _ in range(2):
        assert np.array_equal(host_array(none[...]), data) and none.cache is not None and len(none.cache) == 0


def test_a_dict_has_no_versions_so_nothing_is_kept(kind: str, device: Device) -> None:
    store: dict[str, bytes] = {}
    data = created(store, "chunks")
    a = gpuzarr.open_array(store, device=device, cache="1MiB")
    for _ in range(2):
        assert np.array_equal(host_array(a[...]), data) and counts(a)[0] == 0
    assert a.cache is not None and len(a.cache) == 0


def test_a_store_of_ones_own(kind: str, device: Device) -> None:
    store = OwnStore()
    data = created(store, "shards")
    a = gpuzarr.open_array(store, device=device, cache="1MiB")
    assert np.array_equal(host_array(a[...]), data) and counts(a)[0] == 0
    assert np.array_equal(host_array(a[...]), data) and counts(a)[1] == 0
    data[50:, 50:] += 1
    gpuzarr.open_array(store, mode="r+", device="cpu")[50:, 50:] = data[50:, 50:]
    assert np.array_equal(host_array(a[...]), data) and min(counts(a)) > 0


def test_what_was_changed_a_moment_ago_is_not_kept(kind: str, device: Device, tmp_path: Path) -> None:
    """The time of a file may be that of a later change, too: in place, of the same length."""
    data = created(tmp_path, "chunks")
    a = gpuzarr.open_array(tmp_path, device=device, cache="1MiB")
    renew(tmp_path)
    for _ in range(2):
        assert np.array_equal(host_array(a[...]), data) and counts(a)[0] == 0
    file, other = tmp_path / "c/2/1", tmp_path / "c/2/0"
    times, data[64:, 32:64] = file.stat(), data[64:, :32]
    with open(file, "r+b") as opened:
        opened.truncate(0)
        opened.write(other.read_bytes())
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert np.array_equal(host_array(a[...]), data)
    age(tmp_path)
    a[...]
    assert np.array_equal(host_array(a[...]), data) and counts(a)[1] == 0


def test_a_file_that_is_changed_in_place_again_and_again(kind: str, device: Device, tmp_path: Path) -> None:
    """Without a pause, so many changes have the same time; and the same length."""
    created(tmp_path / "a", "chunks", np.ones(SHAPE, "i4"))
    a = gpuzarr.open_array(tmp_path / "a", device=device, cache="1MiB")
    file, contents = tmp_path / "a/c/0/0", []
    for number in range(1, 4):
        created(tmp_path / "twin", "chunks", np.full(SHAPE, 1000 + number, "i4"))
        contents.append((1000 + number, (tmp_path / "twin/c/0/0").read_bytes()))
    assert len({len(content) for _, content in contents}) == 1
    for number, content in contents * 40:
        file.write_bytes(content)
        assert (host_array(a[:32, :32]) == number).all()


def test_how_long_a_moment_is() -> None:
    now = 10**18 + 123_456_789
    assert [is_settled(now - ago, now) for ago in (-1, 0, TICK_NS, TICK_NS + 1)] == [False, False, False, True]
    whole = now // SECOND_NS * SECOND_NS  # as file systems have it that know no parts of seconds
    assert [is_settled(whole - ago, whole) for ago in (COARSE_TICK_NS, COARSE_TICK_NS + SECOND_NS)] == [False, True]


@pytest.mark.parametrize("layout", ["chunks", "shards"])
def test_a_file_that_another_changes(layout: str, kind: str, device: Device, tmp_path: Path) -> None:
    """Replaced, changed in place, deleted and made again, as other programs do it."""
    data = created(tmp_path / "a", layout)
    a = gpuzarr.open_array(tmp_path / "a", device=device, cache="1MiB")
    name = "c/1/0" if layout == "shards" else "c/2/1"
    for number in range(1, 5):
        a[...]
        twin = tmp_path / f"{number}"
        changed = created(twin, layout, (data + number * (data > 0)).astype("i4"))
        file, new = tmp_path / "a" / name, (twin / name).read_bytes()
        if number == 1:
            file.write_bytes(new)
        elif number == 2:
            os.replace(twin / name, file)
        elif number == 3:
            file.unlink()
            missing = host_array(a[...])
            assert (missing[64:96, :] == data[64:96, :]).mean() < 1
            file.write_bytes(new)
        else:
            file.write_bytes(new[: len(new) // 2])
            with pytest.raises(gpuzarr.ChunkError):
                a[...]
            file.write_bytes(new)
        age(tmp_path / "a")
        rows, columns = (slice(48, 96), slice(0, 32)) if layout == "shards" else (slice(64, 96), slice(32, 64))
        data[rows, columns] = changed[rows, columns]
        assert np.array_equal(host_array(a[...]), data), number
        assert np.array_equal(host_array(a[...]), data) and counts(a)[1] == 0


@given(st.data())
@settings(max_examples=examples(40), deadline=None)
def test_reads_and_writes_by_several_arrays(data: st.DataObject) -> None:
    layout, most = data.draw(st.sampled_from(list(LAYOUTS))), data.draw(st.integers(1, 60_000))
    with tempfile.TemporaryDirectory() as folder:
        store = OwnStore() if data.draw(st.booleans()) else Path(folder)
        expected = created(store, layout)
        cache = gpuzarr.ChunkCache(most)
        arrays = [gpuzarr.open_array(store, mode="r+", device="cpu", cache=each) for each in (cache, cache, most)]
        for _ in range(data.draw(st.integers(1, 12))):
            a = data.draw(st.sampled_from(arrays))
            a0, a1 = sorted(data.draw(st.tuples(st.integers(0, 96), st.integers(0, 96))))
            b0, b1 = sorted(data.draw(st.tuples(st.integers(0, 80), st.integers(0, 80))))
            if data.draw(st.booleans()):
                value = data.draw(st.integers(0, 3))
                a[a0:a1, b0:b1] = expected[a0:a1, b0:b1] = value
                if isinstance(store, Path) and data.draw(st.booleans()):
                    age(store)
            assert np.array_equal(a[a0:a1, b0:b1], expected[a0:a1, b0:b1])
            assert np.array_equal(a.oindex[[a0 // 2, 50], b0:b1], expected[[a0 // 2, 50], b0:b1])
            assert cache.nbytes <= most
        for a in arrays:
            assert np.array_equal(a[...], expected)


def _write(path: Path, numbers: Any, turn: Any) -> None:
    a = gpuzarr.open_array(path, mode="r+", device="cpu")
    for number in numbers:
        turn[0].acquire()
        a[...] = number
        age(path)
        turn[1].release()


@pytest.mark.parametrize("layout", ["chunks", "shards", "v2"])
def test_another_process_writes(layout: str, device: Device, tmp_path: Path) -> None:
    created(tmp_path, layout, np.ones(SHAPE, "i4"))
    a = gpuzarr.open_array(tmp_path, device=device, cache="1MiB")
    context = multiprocessing.get_context("spawn")
    turn = context.Semaphore(0), context.Semaphore(0)
    child = context.Process(target=_write, args=(tmp_path, range(2, 10), turn))
    child.start()
    for number in range(1, 10):
        assert (host_array(a[...]) == number).all() and counts(a)[0] == 0
        assert (host_array(a[...]) == number).all() and counts(a)[1] == 0
        turn[0].release()
        assert number == 9 or turn[1].acquire(timeout=60)
    child.join(60)
    assert child.exitcode == 0


def _write_on(path: Path, first: int, done: Any) -> None:
    a = gpuzarr.open_array(path, mode="r+", device="cpu")
    for number in range(first, first + 150):
        a[:32] = number
    done.set()


def test_another_process_writes_all_the_time(tmp_path: Path) -> None:
    """Numbers only grow: an old chunk would be seen after a new one."""
    created(tmp_path, "chunks", np.ones(SHAPE, "i4"))
    a = gpuzarr.open_array(tmp_path, device="cpu", cache="1MiB")
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    child = context.Process(target=_write_on, args=(tmp_path, 2, done))
    child.start()
    last = np.zeros(3, "i4")
    while True:
        is_last = done.is_set()
        found = a[:32, ::32][0]
        assert (found >= last).all()
        last = found
        if is_last:
            break
    child.join(60)
    assert child.exitcode == 0 and (last == 151).all()


def test_threads_read_and_write(device: Device, tmp_path: Path) -> None:
    """Each writes rows of its own, and finds there what it wrote last."""
    created(tmp_path, "chunks", np.zeros(SHAPE, "i4"))
    cache = gpuzarr.ChunkCache(40_000)
    errors: list[BaseException] = []

    def work(rows: slice) -> None:
        try:
            a = gpuzarr.open_array(tmp_path, mode="r+", device=device, cache=cache)
            for number in range(1, 15):
                a[rows] = number
                age(tmp_path / "c")
                for _ in range(3):
                    assert (host_array(a[rows]) == number).all()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(slice(i * 32, i * 32 + 32),)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert cache.nbytes <= cache.max_bytes


@pytest.mark.parametrize("first", [0, 5])
def test_interrupted_reads(first: int, kind: str, tmp_path: Path) -> None:
    """At many places of a read that finds some chunks, and keeps others while it drops more."""
    data = created(tmp_path, "shards")
    a = gpuzarr.open_array(tmp_path, device="cpu", cache=16 * (16 * 16 * 4 + 512))
    cache, n, interrupted = a.cache, first, True
    assert cache is not None
    while interrupted:
        n += 17
        a[:48, 32:64]
        interrupted = Interrupted(n)(lambda: a[30:80, 20:70])
        blocks = cache._blocks.value
        assert cache.nbytes == sum(block.nbytes for block in blocks.in_order) <= cache.max_bytes, n
        assert {id(e.block) for each in blocks.of.values() for e in each.values()} <= set(map(id, blocks.in_order)), n
        assert np.array_equal(a[...], data), n
    assert n > 100


def test_an_array_that_is_sent_to_another_process(tmp_path: Path) -> None:
    data = created(tmp_path, "chunks")
    a = gpuzarr.open_array(tmp_path, device="cpu", cache="1MiB")
    a[...]
    copy, twin = pickle.loads(pickle.dumps((a, a)))
    assert copy.cache is twin.cache and copy.cache.max_bytes == 1 << 20 and len(copy.cache) == 0
    assert np.array_equal(copy[...], data)


@pytest.mark.damaging
@pytest.mark.parametrize("options", [{}, {"shards": LARGE}, {"zarr_format": 2}], ids=["chunks", "shards", "v2"])
def test_damage_where_nothing_is_wanted(options: dict[str, Any], kind: str, device: Device, tmp_path: Path) -> None:
    """A read with a cache decodes whole chunks; what it refuses must not depend on that."""
    data = (np.arange(np.prod(LARGE)).reshape(LARGE) // 3).astype("i4")
    codec = gpuzarr.codecs.BloscCodec(cname="lz4", typesize=4, blocksize=2048, shuffle="shuffle")
    codec = numcodecs.Blosc("lz4", 5, 1, 2048) if "zarr_format" in options else codec
    gpuzarr.create_array(tmp_path, data=data, chunks=LARGE, compressors=codec, device="cpu", **options)
    (file,) = (f for f in tmp_path.rglob("*") if f.is_file() and f.name in ("0", "0.0"))
    good = file.read_bytes()
    end = 16 + 4 if "shards" in options else 0  # the index of one chunk, and its checksum
    half = len(good) // 2
    file.write_bytes(good[:half] + b"\xff" * (len(good) - half - end) + good[len(good) - end :])
    age(tmp_path)
    outcomes: list[Any] = []
    for cache in (None, "1MiB"):
        a = gpuzarr.open_array(tmp_path, device=device, cache=cache)
        outcomes += [_outcome(a, selection) for selection in (np.s_[:4, :8], np.s_[...], np.s_[-1], np.s_[:4, :8])]
        assert a.cache is None or len(a.cache) == 0
    assert isinstance(outcomes[1], str) and (kind != "chunk by chunk" or isinstance(outcomes[0], np.ndarray))
    assert all(map(_same, outcomes[:4], outcomes[4:])), outcomes


def _outcome(a: gpuzarr.Array, selection: Any) -> Any:
    try:
        return host_array(a[selection])
    except gpuzarr.ChunkError as error:
        return str(error)


def _same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else bool(one == other)


def test_tolerant_reads_keep_what_is_right(kind: str, device: Device, tmp_path: Path) -> None:
    data = created(tmp_path, "chunks")
    (tmp_path / "c/2/1").write_bytes(b"damaged")
    age(tmp_path)
    a = gpuzarr.open_array(tmp_path, device=device, cache="1MiB")
    data[64:, 32:64] = 0
    for _ in range(2):
        found, failures = a.get_many([..., np.s_[...]], on_error="fill")
        assert np.array_equal(host_array(found), [data, data]) and len(failures) == 1
