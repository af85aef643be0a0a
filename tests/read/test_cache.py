"""The cache of decoded chunks by itself: what it keeps, what goes, and who shares it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.read.blocks import ENTRY_BYTES
from gpuzarr.read.cache import ChunkCache
from gpuzarr.read.shelf import BLOCKS, Shelf
from gpuzarr.read.strategy import Options
from tests.conftest import examples
from tests.interrupting import Interrupted
from tests.stores.own_store import OwnStore

NBYTES = 1 << 10  # of a chunk


def array(store: Any = None, **options: Any) -> gpuzarr.Array:
    store = OwnStore() if store is None else store
    given: dict[str, Any] = {"shape": (1 << 20,), "chunks": NBYTES, "dtype": "u1", "device": "cpu"}
    return gpuzarr.create_array(store, **given | options)


def shelf(cache: ChunkCache, of: gpuzarr.Array) -> Shelf:
    found = cache.shelf(of, CPU)
    assert found is not None
    return found


def keep(shelf: Shelf, first: int, count: int, version: Any = 1) -> None:
    coords = [(i,) for i in range(first, first + count)]
    chunks = np.repeat(np.arange(first, first + count, dtype="u1")[:, None], NBYTES, 1)
    shelf.keeping(coords, chunks, [version] * count)()


def found(shelf: Shelf, *numbers: int, version: Any = 1) -> list[bool]:
    entries = shelf.look([(i,) for i in numbers], [version] * len(numbers))
    for number, entry in zip(numbers, entries, strict=True):
        assert entry is None or (entry.chunk == number % 256).all()
    return [entry is not None for entry in entries]


def room(chunks: int) -> int:
    """Bytes of a cache for so many chunks."""
    return chunks * (NBYTES + ENTRY_BYTES)


def test_what_was_kept_is_found_until_it_changes() -> None:
    cache = ChunkCache("1MiB")
    here = shelf(cache, array())
    keep(here, 0, 3)
    assert found(here, 0, 1, 2, 3) == [True, True, True, False]
    assert (len(cache), cache.nbytes) == (3, room(3))
    assert found(here, 0, 1, version=2) == [False, False]
    assert found(here, 0, 1, 2) == [False, False, True], "an old chunk is dropped when it is noticed"
    cache.count(2, 3)
    cache.clear()
    assert (len(cache), cache.nbytes, cache.max_bytes, cache.hits, cache.misses) == (0, 0, 1 << 20, 2, 3)


def test_the_least_recently_used_go_first() -> None:
    cache = ChunkCache(room(3))
    here = shelf(cache, array())
    for i in range(3):
        keep(here, i, 1)
    assert found(here, 0) == [True]
    keep(here, 3, 1)
    assert found(here, 0, 1, 2, 3) == [True, False, True, True]
    keep(here, 10, 2)
    assert found(here, 0, 2, 3, 10, 11) == [False, False, True, True, True]
    assert cache.nbytes == room(3)


def test_what_is_larger_than_the_cache_is_notkept() -> None:
    cache = ChunkCache(room(2))
    here = shelf(cache, array())
    keep(here, 0, 1)
    keep(here, 5, 3)
    assert found(here, 0, 5, 6, 7) == [True, False, False, False]


def test_blocks_are_small_parts_of_the_cache() -> None:
    here = shelf(ChunkCache(room(20 * BLOCKS)), array())
    assert (here.rows(NBYTES), here.rows(1 << 20), here.rows(1 << 30)) == (20, 1, 0)


@given(
    st.lists(st.tuples(st.sampled_from("kflc"), st.integers(0, 9), st.integers(1, 4), st.integers(0, 1)), max_size=40)
)
@settings(max_examples=examples(200), deadline=None)
def test_it_is_bounded_and_finds_only_the_last_that_waskept(steps: list[tuple[str, int, int, int]]) -> None:
    cache, store = ChunkCache(room(5)), OwnStore()
    shelves = [shelf(cache, array(store, name=name)) for name in "ab"]
    versions: dict[tuple[int, int], int] = {}
    for number, (step, first, count, which) in enumerate(steps):
        here, rows = shelves[which], range(first, first + count)
        if step == "k":
            keep(here, first, count, number)
            versions |= {(which, row): number for row in rows}
        elif step == "f":
            cache.forget(here.key.place, [rows])
            versions = {at: v for at, v in versions.items() if at[0] != which or at[1] not in rows}
        elif step == "l":
            entries = here.look([(row,) for row in rows], [versions.get((which, row), -1) for row in rows])
            assert all(e is None or (e.chunk == row).all() for e, row in zip(entries, rows, strict=True))
        else:
            cache.clear()
            versions.clear()
        blocks = cache._blocks.value
        entries_left = {id(e.block) for each in blocks.of.values() for e in each.values()}
        assert cache.nbytes == sum(block.nbytes for block in blocks.in_order) <= cache.max_bytes
        assert entries_left == {id(block) for block in blocks.in_order}, "nothing is held that is not counted"
        assert len(cache) == sum(block.left for block in blocks.in_order) <= 5
        assert blocks.of.keys() <= {each.key for each in shelves}


def test_arrays_of_the_same_data_share_chunks_and_others_do_not(tmp_path: Path) -> None:
    cache, options = ChunkCache("1MiB"), {"dtype": "f4", "shape": (100, 100), "chunks": (10, 10)}
    path, link = tmp_path / "a.zarr", tmp_path / "link"
    a = array(path, **options)
    link.symlink_to(path)
    same = [gpuzarr.open_array(path, device="cpu"), gpuzarr.open_array(str(link), device="cpu")]
    same.append(gpuzarr.open_array(gpuzarr.LocalStore(path, read_only=True), device="cpu"))
    assert {shelf(cache, each).key for each in [a, *same]} == {shelf(cache, a).key}
    a.attrs["note"] = 1
    a.resize((50, 100))
    assert shelf(cache, gpuzarr.open_array(path, device="cpu")).key == shelf(cache, same[0]).key
    others: list[dict[str, Any]] = [{"dtype": "i4"}, {"chunks": (20, 10)}, {"fill_value": 3}, {"zarr_format": 2}]
    others += [{"compressors": gpuzarr.codecs.GzipCodec()}, {"filters": gpuzarr.codecs.TransposeCodec(order=(1, 0))}]
    others += [{"shards": (20, 20)}, {"chunk_key_encoding": ("v2", ".")}]
    keys = {shelf(cache, a).key}
    for other in others:
        keys.add(shelf(cache, array(path, overwrite=True, **options | other)).key)
    assert len(keys) == 1 + len(others)
    assert replace(shelf(cache, a), device=CPU).key.device == "cpu"


def test_elements_of_variable_length_and_what_is_not_encoded_are_not_kept(gpu: Device) -> None:
    cache, texts, raw = ChunkCache("1MiB"), gpuzarr.zeros(3, dtype="string", device="cpu"), array(compressors=None)
    assert [cache.shelf(texts, CPU), cache.shelf(texts, gpu), cache.shelf(raw, CPU)] == [None] * 3
    assert cache.shelf(raw, gpu) is not None


def test_stores_that_cannot_be_hashed_are_known_by_their_identity() -> None:
    cache = ChunkCache("1MiB")
    one, other = OwnStore(), OwnStore()
    a, b = array(one), array(other)
    assert shelf(cache, a).key == shelf(cache, gpuzarr.open_array(one, device="cpu")).key != shelf(cache, b).key


def options(cache: Any) -> Options:
    return Options().changed(cache=cache)


def test_it_is_given_as_bytes_or_as_a_cache() -> None:
    cache = ChunkCache(1000)
    assert options(cache).cache is cache and options(None).cache is None
    given = [options("1KiB").cache, options(1024).cache, options(np.int16(1024)).cache]
    assert [each.max_bytes for each in given if each is not None] == [1024] * 3
    for wrong in ("much", 0, -1, 1.5, True, [], {}):
        with pytest.raises(gpuzarr.ArgumentError):
            options(wrong)
    with pytest.raises(gpuzarr.ArgumentError, match="max_bytes"):
        ChunkCache("a lot")
    assert repr(cache) == "<gpuzarr.ChunkCache 0 of 1000 bytes, 0 chunks>"


def test_all_arrays_of_a_group_share_one(tmp_path: Path) -> None:
    gpuzarr.save_group(tmp_path, a=[1], b=[2])
    group = gpuzarr.open_group(tmp_path, cache="1MiB", device="cpu")
    caches = {id(array.options.cache) for _, array in group.arrays()}
    assert len(caches) == 1 and group["a"].options.cache.max_bytes == 1 << 20
    with pytest.raises(gpuzarr.ArgumentError, match="cache"):
        gpuzarr.open(tmp_path, cache="some")


def test_a_copy_by_pickle_is_empty() -> None:
    cache = ChunkCache(room(3))
    keep(shelf(cache, array()), 0, 2)
    copy = pickle.loads(pickle.dumps(cache))
    assert (len(cache), len(copy), copy.max_bytes, copy.nbytes) == (2, 0, room(3), 0)


def test_release_empties_all() -> None:
    caches = [ChunkCache(room(3)) for _ in range(2)]
    for cache in caches:
        keep(shelf(cache, array()), 0, 2)
    gpuzarr.release()
    assert [len(cache) for cache in caches] == [0, 0]


def test_a_cache_that_nobody_refers_to_goes() -> None:
    cache = ChunkCache(room(3))
    here = shelf(cache, array())
    chunks = np.zeros((2, NBYTES), "u1")
    here.keeping([(0,), (1,)], chunks, [1, 1])()
    held = gc.get_referrers(chunks)
    assert held
    del cache, here, held
    gc.collect()
    assert len(gc.get_referrers(chunks)) <= 1  # this frame


def kept(a: gpuzarr.Array) -> Any:
    """A cache with all chunks of an array, and a function that lists those that it still has."""
    cache = ChunkCache("16MiB")
    here = shelf(cache, a)
    coords = [tuple(map(int, c)) for c in np.ndindex(*a.cdata_shape)]
    here.keeping(coords, np.zeros((len(coords), *a.chunks), a.dtype), [1] * len(coords))()
    return cache, lambda: sorted(c for each in cache._blocks.value.of.values() for c in each)


def small(place: Any, **options: Any) -> gpuzarr.Array:
    return gpuzarr.create_array(place, shape=(8, 8), chunks=(2, 4), dtype="i4", device="cpu", overwrite=True, **options)


@pytest.mark.parametrize("shards", [None, (4, 8)])
def test_what_this_process_writes_is_dropped_at_once(shards: Any, tmp_path: Path) -> None:
    a = small(tmp_path, shards=shards)
    other = gpuzarr.open_array(tmp_path, mode="r+", device="cpu")
    writes: list[tuple[Any, set[tuple[int, int]]]] = [
        (lambda: other.__setitem__((slice(1, 3), 5), 1), {(0, 1), (1, 1)}),
        (lambda: other.oindex.__setitem__(([0, 7], slice(4)), 1), {(i, 0) for i in range(4)}),
        (lambda: other.vindex.__setitem__(([0, 1], [0, 7]), 1), {(0, 0), (0, 1)}),
        (lambda: other.__setitem__((slice(7, 5, -1), 0), 1), {(3, 0)}),
        (lambda: other.set(..., 1), {(i, j) for i in range(4) for j in range(2)}),
        (lambda: other.__setitem__((slice(0), 0), 1), set()),
    ]
    for write, dropped in writes:
        _, left = kept(a)
        everything = set(left())
        write()
        assert everything - set(left()) == dropped


def test_what_this_process_deletes_moves_or_replaces_is_dropped_at_once(tmp_path: Path) -> None:
    def group(path: str = "") -> gpuzarr.Group:
        return gpuzarr.open_group(tmp_path, path, mode="r+", device="cpu")

    changes: dict[str, Any] = {
        "shrink": lambda: group()["g/a"].resize((2, 8)),
        "delete": lambda: group("g").__delitem__("a"),
        "delete what is above": lambda: group().__delitem__("g"),
        "move": lambda: group("g").move("a", "b"),
        "move what is above": lambda: group().move("g", "h"),
        "overwrite": lambda: small(tmp_path, name="g/a"),
        "overwrite what is above": lambda: gpuzarr.create_group(tmp_path, path="g", overwrite=True),
        "overwrite the root": lambda: gpuzarr.open_group(tmp_path, mode="w", device="cpu"),
        "copy over": lambda: gpuzarr.copy(small({}, name="c"), group("g"), "a", if_exists="replace"),
    }
    for name, change in changes.items():
        a, beside = small(tmp_path, name="g/a"), small(tmp_path, name="ab/a")
        (_, left), (_, left_beside) = kept(a), kept(beside)
        assert len(left()) == len(left_beside()) == 8
        change()
        assert not left(), name
        assert len(left_beside()) == 8 or "root" in name, name
    a = small(tmp_path, name="g/a")
    _, left = kept(a)
    a.append(np.zeros((2, 8), "i4"))
    assert len(left()) == 8, "what only grows stays as it was"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_begins_with_an_empty_one() -> None:
    cache = ChunkCache(room(3))
    here = shelf(cache, array())
    keep(here, 0, 2)
    with cache._blocks.value.lock:
        child = multiprocessing.get_context("fork").Process(target=_in_child, args=(here,))
        child.start()
        child.join(60)
    assert child.exitcode == 0 and found(here, 0, 1) == [True, True]


def _in_child(here: Shelf) -> None:
    assert len(here.cache) == 0 and here.cache.max_bytes == room(3)
    keep(here, 4, 2)
    assert found(here, 0, 4, 5) == [False, True, True]


def test_interrupts_leave_it_bounded() -> None:
    """At every place: what can be found is counted, nothing else is held, and the lock is free."""
    cache = ChunkCache(room(5))
    here, n, interrupted = shelf(cache, array()), 0, True
    while interrupted:
        cache.clear()
        n += 1
        interrupted = Interrupted(n)(lambda: some_calls(here))
        blocks = cache._blocks.value
        assert cache.nbytes == sum(block.nbytes for block in blocks.in_order) <= cache.max_bytes, n
        assert {id(e.block) for each in blocks.of.values() for e in each.values()} <= set(map(id, blocks.in_order)), n
        with ThreadPoolExecutor(1) as thread:
            thread.submit(some_calls, here).result(60)
        assert found(here, 8, 9, version=5) == [True, True], n
    assert n > 50


def some_calls(here: Shelf) -> None:
    keep(here, 0, 3)
    found(here, 1, 2)
    keep(here, 2, 3, version=2)
    found(here, 0, 1, 2)
    here.cache.forget(here.key.place, [range(3, 4)])
    here.cache.forget(here.key.place)
    keep(here, 5, 5, version=3)
    keep(here, 8, 2, version=5)


def test_threads_share_it() -> None:
    cache = ChunkCache(room(20))
    shelves = [shelf(cache, array()) for _ in range(2)]
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(300):
                here, first = shelves[int(rng.integers(2))], int(rng.integers(40))
                keep(here, first, int(rng.integers(1, 4)))
                found(here, *rng.integers(0, 43, 5).tolist())
                if rng.random() < 0.1:
                    cache.forget(here.key.place, [range(first, first + 3)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert cache.nbytes == sum(block.nbytes for block in cache._blocks.value.in_order) <= cache.max_bytes
