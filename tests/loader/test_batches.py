"""Batches: the values of direct indexing, each chunk decoded once while it is held, whatever threads do; errors in
their places; and nothing is left of them."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ChunkError, ClosedError, NoMemoryError
from gpuzarr.line import _LINES
from gpuzarr.loader.batches.batches import Batches
from gpuzarr.loader.batches.feed import Feed, Terms
from gpuzarr.loader.batches.held import Held
from gpuzarr.loader.batches.making import Maker
from gpuzarr.loader.batches.needs import Planner, added
from gpuzarr.loader.batches.report import Account, EpochReport
from gpuzarr.loader.batches.sources import Sources
from gpuzarr.loader.batches.table import Seen
from gpuzarr.loader.order.epoch_order import EpochOrder
from gpuzarr.loader.order.shuffle import BlockShuffle
from gpuzarr.nodes.casting import Casting
from tests.conftest import examples
from tests.hardware import DEVICES, held, host_array
from tests.interrupting import Held as InHand
from tests.interrupting import Interrupted
from tests.loader.made import Grid, PatchView, RowsView, steps, steps_of
from tests.stub_cuda import Stream

WAIT_SECONDS = 20
SCALED = Casting(dtype="f4", scale=0.5, offset=1)
VALUES = np.random.default_rng(0).integers(0, 200, (20, 9, 7)).astype("u2")


def until(done: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + WAIT_SECONDS
    while not done() and time.monotonic() < end:
        time.sleep(0.001)
    assert done()


def at_work() -> list[Any]:
    """The lines whose threads are at work."""
    return [line for line in list(_LINES) if line._running or line._waiting]


def wanted(view: Any, store: int, origin: list[int], values: np.ndarray) -> np.ndarray:
    """A sample by direct indexing."""
    cast = view.cast[store]
    if isinstance(view, RowsView):
        found = values[[origin[0] + offset for offset in view.offsets]]
        return found if cast is None else cast.of(found)
    made = np.full(view.shape, view.pad_value, view.dtype)
    part = values[tuple(slice(at, at + n) for at, n in zip(origin, view.shape, strict=True))]
    made[tuple(map(slice, part.shape))] = part if cast is None else cast.of(part)
    return made


def comparable(values: np.ndarray) -> np.ndarray:
    """Values of which NumPy knows that NaN is NaN."""
    return values.astype("f4") if values.dtype.isbuiltin == 2 else values


def check(batches: Batches, views: list[Any], values: list[list[np.ndarray]]) -> list[list[int]]:
    """Compare all samples with direct indexing; `values`: of each view those of its stores. Returns their origins."""
    every = []
    for batch in batches:
        assert list(batch.arrays) == [view.name for view in views]
        for view, of in zip(views, values, strict=True):
            found = host_array(batch.arrays[view.name])
            assert found.dtype == view.dtype and len(found) == len(batch.origins)
            for sample, (store, *origin) in zip(found, batch.origins.tolist(), strict=True):
                pair = comparable(sample), comparable(wanted(view, store, origin, of[store]))
                same = np.array_equal(*pair)  # much faster than what tells where they differ
                same or np.testing.assert_array_equal(*pair)
        every += batch.origins.tolist()
    return every


def samples(space: Grid, epoch: int = 0) -> list[list[int]]:
    """All origins of a space, with their stores."""
    stores = space.stores(np.arange(space.blocks)).tolist()
    return sorted([store, *one] for b, store in enumerate(stores) for one in space.origins(b, epoch).tolist())


LAYOUTS: dict[str, dict[str, Any]] = {
    "v3": {"chunks": (4, 3, 7)},
    "shards": {"chunks": (4, 3, 7), "shards": (8, 9, 7)},
    "v2, big-endian, order F": {"chunks": (4, 3, 5), "zarr_format": 2, "order": "F", "dtype": ">u2"},
    "uneven": {"chunks": [[3, 7, 5, 5], [4, 5], [7]]},
    "one chunk": {"chunks": (32, 16, 8), "compressors": None},
}


@cache
def stored(layout: str, on: str, part: int) -> gpuzarr.Array:
    """Arrays in memory, made once for all examples; the last rows of which are not there."""
    given = {"dtype": "u2", **LAYOUTS[layout]}
    a = gpuzarr.create_array({}, shape=VALUES.shape, fill_value=5, device=DEVICES[on](), **given)
    a[:15] = a.device.upload(VALUES[:15] + part) if a.device.gpu else VALUES[:15] + part
    return a


def there(part: int) -> np.ndarray:
    found = VALUES + np.uint16(part)
    found[15:] = 5
    return found


@pytest.mark.parametrize("on", ["cpu", "emulated", "cuda"])
@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=examples(8), deadline=None)
@given(
    block=st.tuples(st.integers(1, 20), st.integers(2, 9), st.integers(3, 7)),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 7)),
    casting=st.sampled_from([Casting(), SCALED, Casting(dtype="bfloat16", fill_to_nan=7)]),
    batch=st.integers(1, 40),
    window=st.integers(1, 4),
    prefetch=st.integers(0, 3),
    part=st.sampled_from([1, 300, 1 << 22]),
)
def test_values_are_those_of_direct_indexing(
    layout: str, on: str, block: Any, shape: Any, casting: Casting, batch: int, window: int, prefetch: int, part: int
) -> None:
    """Of patches with padding, in two stores of one array each; each sample once. Threads copy parts of so many bytes
    of a batch, and cast them."""
    space = Grid([VALUES.shape, (11, 9, 7)], block, stride=3)
    views = [PatchView("x", [stored(layout, on, 0), stored(layout, on, 1)], shape, casting)]
    batches = Batches(steps_of(space, 0, batch, window), space, views, 0, Terms(prefetch=prefetch))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpuzarr.loader.batches.copies.CAST_BYTES", part)
        patch.setattr("gpuzarr.loader.batches.copies.MIN_PLACED_BYTES", part)
        patch.setattr("gpuzarr.loader.batches.copies.MAX_CUTTERS", 1)
        assert sorted(check(batches, views, [[there(0), there(1)]])) == samples(space)


@pytest.mark.parametrize("dtype", ["f4", "?", "c16", "S3", [("a", "u1"), ("b", "f8")]])
def test_rows_of_many_stores_and_kinds(dtype: Any, device: Device) -> None:
    """Windows of rows, whose boxes of several rows go to rows that are not neighbours; and labels without axes."""
    rng = np.random.default_rng(1)
    lengths = [30, 17, 25]
    values = [rng.integers(0, 2, (n, 6), "u1").astype(dtype) for n in lengths]
    labels = [rng.integers(0, 99, n) for n in lengths]
    x = [gpuzarr.array(one, chunks=(4, 4), device=device) for one in values]
    y = [gpuzarr.array(one, chunks=7, device=device) for one in labels]
    space = Grid([(n - 2,) for n in lengths], (8,))
    views = [RowsView("x", x, (0, 1, 2)), RowsView("y", y, casting=Casting(dtype="f8", scale=2))]
    batches = Batches(steps_of(space, 0, 11), space, views, 0, Terms())
    assert sorted(check(batches, views, [values, labels])) == samples(space)


@pytest.mark.parametrize("on", ["cpu", "emulated", "cuda"])
@settings(max_examples=examples(16), deadline=None)
@given(
    chunks=st.lists(st.sampled_from([(4,), ([3, 9, 1, 7, 10],), ([30],)]), min_size=1, max_size=3),
    window=st.lists(st.integers(-3, 3), min_size=1, max_size=4, unique=True),
    dtype=st.sampled_from([None, {"x": "f8"}]),
    batch=st.integers(1, 100),
    blocks=st.integers(1, 9),
    part=st.sampled_from([1, 30, 1 << 22]),
)
def test_windows_of_rows_of_several_stores(
    on: str, chunks: Any, window: list[int], dtype: Any, batch: int, blocks: int, part: int
) -> None:
    """Rows that follow each other in a chunk and in the batch may be of several samples."""
    values = [np.arange(30, dtype="i4") + 100 * store for store in range(len(chunks))]
    arrays = [gpuzarr.array(of, chunks=each, device=DEVICES[on]()) for of, each in zip(values, chunks, strict=True)]
    shuffle = gpuzarr.BlockShuffle(blocks, lanes=1, block=4)
    options: Any = {"window": window, "shuffle": shuffle, "dtype": dtype, "origins": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpuzarr.loader.batches.copies.CAST_BYTES", part)
        for batch_of in gpuzarr.Loader({"x": arrays}, batch, **options):
            x, origins = batch_of["x"], batch_of["origins"]
            found = x.get() if DEVICES[on]().gpu else x
            assert found.tolist() == [[values[store][row + i] for i in window] for store, row in origins.tolist()]


def test_texts(device: Device) -> None:
    values = np.array([["a", "bc", ""], ["d", "e" * 40, "f"], ["g", "", "h"]] * 3, object)
    a = gpuzarr.array(values, dtype="string", chunks=(2, 2), device=device)
    space, views = Grid([(9,), (9,)], (2,)), [RowsView("x", [a, a])]
    found = check(Batches(steps_of(space, 0, 4), space, views, 0, Terms()), views, [[values, values]])
    assert sorted(found) == samples(space)


def test_it_is_the_same_without_the_c_library(loops: str) -> None:
    space = Grid([VALUES.shape] * 2, (8, 5, 7), 3)
    x = [gpuzarr.array(VALUES, chunks=(4, 3, 7)) for _ in range(2)]
    views = [PatchView("x", x, (5, 4, 3)), PatchView("y", x, (2, 2, 2), SCALED)]
    check(Batches(steps_of(space, 0, 5), space, views, 0, Terms()), views, [[VALUES] * 2] * 2)


def test_a_chunk_is_decoded_once_while_a_block_needs_it(device: Device, tmp_path: Path) -> None:
    """Also for views that know the array by several names; and the next window finds what is still held."""
    gpuzarr.array(VALUES, store=str(tmp_path), chunks=(4, 3, 7))
    a, b = (gpuzarr.open_array(str(tmp_path), device=device) for _ in range(2))
    space, views = Grid([VALUES.shape], (4, 3, 7), 2), [PatchView("x", [a], (1, 1, 1)), PatchView("y", [b], (2, 2, 2))]
    batches = Batches(steps_of(space, 0, 4), space, views, 0, Terms())
    check(batches, views, [[VALUES], [VALUES]])
    said = batches.report.asdict()
    assert said["chunks"] == said["distinct_chunks"] + said["chunks_reread"] and said["distinct_chunks"] == 15
    views = [views[0]]  # without a halo no chunk is of two blocks
    batches = Batches(steps_of(space, 0, 4), space, views, 0, Terms())
    check(batches, views, [[VALUES]])
    assert batches.report.asdict()["chunks"] == 15
    assert batches.report.asdict()["decoded_bytes"] == 15 * 4 * 3 * 7 * 2


@pytest.mark.parametrize("window", [1, 2, 4])
def test_a_chunk_is_held_until_there_is_no_room_for_it(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a block finds what blocks beside it have left; with room for one window, it may not, and nothing is lost."""
    monkeypatch.setattr("gpuzarr.loader.batches.held.MAX_SLAB_BYTES", 1)  # a slab has one slot
    x = [gpuzarr.array(VALUES, chunks=(4, 3, 7))]
    space, views = Grid([(18, 8, 7)], (4, 3, 7), 2), [PatchView("x", x, (3, 2, 2))]
    every = list(steps_of(space, 0, 4, window))
    rereads = []
    for budget in (largest(space, views, every), 1 << 20):
        batches = Batches(iter(every), space, views, 0, Terms(2, budget))
        check(batches, views, [[VALUES]])
        said = batches.report.asdict()
        assert said["peak_held_bytes"] <= budget
        rereads.append(said["chunks_reread"])
    assert rereads[0] > 0 and rereads[1] == 0


def test_a_chunk_that_is_needed_is_no_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its last block leaves it after the sizes were counted, as the cut threads may have it."""
    monkeypatch.setattr("gpuzarr.loader.batches.held.MAX_SLAB_BYTES", 1)  # a slab has one slot
    sources = Sources([RowsView("x", [gpuzarr.array(np.arange(6), chunks=2)])])
    first, every = {0: np.array([0])}, {0: np.array([0, 1, 2])}
    for chunks, fits in ((2, False), (3, True)):
        held = Held(sources, chunks * sources.all[0].chunk_bytes, {})
        held.load(held.enter([first]))
        sizes = added({}, held.unused([every]))
        held.leave(first)
        assert sizes == {0: 2} and held.has_room(sizes, [every]) == fits


@given(st.lists(st.sets(st.integers(0, 1 << 40) | st.integers(4090, 4100)), max_size=5))
def test_what_was_seen_is_known(some: list[set[int]]) -> None:
    seen, known = Seen(), set[int]()
    for numbers in some:
        assert seen.add(np.array(sorted(numbers), np.int64)) == len(numbers - known)
        known |= numbers


def test_what_is_far_is_loaded_in_parts(device: Device) -> None:
    """Two of them at a time, each in as many plans as it takes."""
    x = [gpuzarr.array(VALUES, chunks=(4, 3, 7), device=device) for _ in range(2)]
    space, views = Grid([VALUES.shape] * 2, (4, 9, 7), 2), [PatchView("x", x, (2, 3, 4))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpuzarr.loader.batches.feed.FAR_PART_BYTES", 300)
        patch.setattr("gpuzarr.loader.batches.feed.concurrency", lambda store: 16)
        batches = Batches(steps_of(space, 0, 7), space, views, 0, Terms())
        patch.setattr("gpuzarr.read.requests.MAX_BOXES", 1)
        assert batches._feed._sizes.threads == 2
        check(batches, views, [[VALUES, VALUES]])


def test_order_and_values_do_not_depend_on_threads(monkeypatch: Any) -> None:
    """However slow any of them is, and however many batches are ahead."""
    a = gpuzarr.array(VALUES, chunks=(4, 3, 7))
    space, views = Grid([VALUES.shape], (8, 5, 7), 3), [PatchView("x", [a], (5, 4, 3))]

    def origins(prefetch: int) -> list[list[int]]:
        return check(Batches(steps_of(space, 3, 3), space, views, 3, Terms(prefetch)), views, [[VALUES]])

    first, rng = origins(0), np.random.default_rng(0)

    def slow(owner: Any, name: str) -> None:
        right = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: (time.sleep(rng.random() / 500), right(*given))[1])

    for owner, name in ((Held, "load"), (Maker, "batch"), (Feed, "walk"), (Batches, "_begin")):
        slow(owner, name)
        assert all(origins(prefetch) == first for prefetch in (0, 1, 7))
    monkeypatch.setattr("gpuzarr.loader.batches.live_blocks.MAX_TOGETHER", 1)  # the samples of each step by themselves,
    monkeypatch.setattr("gpuzarr.loader.batches.live_blocks.MIN_ROWS", 1)  # and of blocks that have left none is kept
    assert origins(2) == first


@settings(max_examples=examples(20), deadline=None)
@given(
    block=st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(1, 7)),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 7)),
    stride=st.integers(1, 3),
    layout=st.sampled_from(["v3", "uneven"]),
)
def test_chunks_of_many_samples_are_found_part_by_part(block: Any, shape: Any, stride: int, layout: str) -> None:
    """They are those of all samples, padded ones too."""
    space, view = Grid([VALUES.shape], block, stride), PatchView("x", [stored(layout, "cpu", 0)], shape)
    planner = Planner.of(space, [view], 0)
    exact = [planner.blocks([one])[0][2] for one in range(space.blocks) if len(space.origins(one, 0))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpuzarr.loader.batches.needs.MAX_LISTED_SAMPLES", 3)
        found = [planner.blocks([one])[0][2] for one in range(space.blocks) if len(space.origins(one, 0))]
    assert [each[0].tolist() for each in exact] == [each[0].tolist() for each in found]


@settings(max_examples=examples(16), deadline=None)
@given(
    world=st.integers(1, 3),
    blocks=st.sampled_from([1, 4, 6]),
    batch=st.integers(1, 9),
    done=st.integers(0, 400),
    prefetch=st.integers(0, 3),
)
def test_ranks_and_resumed_epochs(world: int, blocks: int, batch: int, done: int, prefetch: int) -> None:
    """Of the order of the library: what ranks have from any place on, each chunk once for a block."""
    space = Grid([VALUES.shape, (11, 9, 7)], (8, 5, 7), 3)
    views = [PatchView("x", [stored("v3", "cpu", 0), stored("v3", "cpu", 1)], (5, 4, 3))]
    counts, found = space.counts(0), []
    done = done // (batch * world) * batch * world
    for rank in range(world):
        order = EpochOrder(counts, 1, 0, BlockShuffle(blocks), batch, rank, world, drop_last=True)
        if done > order.samples:
            return
        batches = Batches(order.steps(done), space, views, 0, Terms(prefetch=prefetch))
        found += check(batches, views, [[there(0), there(1)]])
    left = (order.samples - done) // (batch * world) * batch * world
    assert len(found) == left and len(set(map(tuple, found))) == left


def test_batches_have_memory_of_the_caller_and_are_cut_on_a_stream_of_ours(cuda: Any, tmp_path: Path) -> None:
    """So the caller's stream may use the memory again when a batch is dropped, and a cut waits for what used it."""
    a = gpuzarr.array(VALUES, store=str(tmp_path / "a"), chunks=(4, 3, 7), device="cuda")
    space, views = Grid([VALUES.shape], (8, 9, 7), 4), [PatchView("x", [a], (3, 2, 2)), PatchView("y", [a], (1, 1, 1))]

    def batches() -> Batches:
        return Batches(steps_of(space, 0, 7), space, views, 0, Terms(1))

    count = len(list(batches()))
    mine, ours, made = Stream(cuda.stream.xp, "mine"), cuda._streams["cutting"], cuda.stream.xp.made
    ours.waited.clear()
    made.clear()
    with mine:
        check(batches(), views, [[VALUES], [VALUES]])
    assert made.count(("mine", 0)) == 2 * count == mine.recorded and not mine.waited
    cuts = [event for event in ours.waited if event.startswith("mine")]
    assert cuts == [f"mine {2 * i}" for i in range(1, count + 1)]  # behind the memory of both arrays
    assert cuda._streams["loading"].recorded


def largest(space: Grid, views: list[Any], every: list[Any]) -> int:
    """Bytes of the largest window of some steps."""
    planner, live, most = Planner.of(space, views, 0), set[int](), 0
    needs = cache(lambda block: planner.blocks([block])[0][2])
    for step in every:
        live |= set(step.enters.tolist())
        most = max(most, sum(planner.nbytes(list(map(needs, live))).values()))
        live -= set(step.leaves.tolist())
    return most


@pytest.mark.parametrize("prefetch", [0, 2])
def test_what_is_held_stays_within_the_least_limit(prefetch: int, device: Device, monkeypatch: Any) -> None:
    """That of the largest window; chunks of two forms are held, and of two stores."""
    x = [gpuzarr.array(VALUES[:n], chunks=(4, 3, 7), device=device) for n in (20, 16)]
    y = [gpuzarr.array(VALUES[:n].astype("f4"), chunks=(5, 9, 2), device=device) for n in (20, 16)]
    space = Grid([(20, 9, 7), (16, 9, 7)], (5, 4, 7), 2)
    views = [PatchView("x", x, (4, 4, 4)), PatchView("y", y, (2, 2, 2))]
    every = list(steps_of(space, 0, 5))
    least = largest(space, views, every)
    monkeypatch.setattr("gpuzarr.loader.batches.held.MAX_SHARED_BYTES", 1)  # a slab has one slot
    batches = Batches(iter(every), space, views, 0, Terms(prefetch, least))
    check(batches, views, [[VALUES, VALUES[:16]]] * 2)
    assert 0 < batches.report.asdict()["peak_held_bytes"] <= least
    batches = Batches(iter(every), space, views, 0, Terms(prefetch, 1))  # less is not refused here: it gets through
    check(batches, views, [[VALUES, VALUES[:16]]] * 2)
    assert batches.report.asdict()["peak_held_bytes"] <= least


@cache
def in_chunks(chunks: tuple[int, ...], part: int) -> gpuzarr.Array:
    return gpuzarr.array(VALUES + np.uint16(part), chunks=chunks)


@settings(max_examples=examples(20), deadline=None)
@given(slots=st.integers(1, 5), seed=st.integers(0, 99), window=st.integers(1, 5))
def test_forms_of_chunks_make_room_for_each_other(slots: int, seed: int, window: int) -> None:
    """Stores of chunks of different shapes: what is held is the largest window, and less than a slab for each form."""
    chunks = [(4, 3, 7), (5, 2, 4), (2, 9, 3), (7, 7, 7)]
    x = [in_chunks(each, i) for i, each in enumerate(chunks)]
    space, views = Grid([VALUES.shape] * 4, (5, 9, 7), 4), [PatchView("x", x, (3, 4, 5))]
    every = list(steps_of(space, 0, 4, window, seed))
    least, slab = largest(space, views, every), slots * 84 * 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpuzarr.loader.batches.held.MAX_SHARED_BYTES", slab)
        batches = Batches(iter(every), space, views, 0, Terms(1, least))
    check(batches, views, [[VALUES + np.uint16(i) for i in range(4)]])
    assert batches.report.asdict()["peak_held_bytes"] <= least + len(chunks) * max(slab, 343 * 2)


def damage(root: Path) -> bytes:
    """Make an end of a chunk zeros; what it was."""
    right = root.read_bytes()
    root.write_bytes(right[:4] + bytes(len(right) - 4))
    return right


@pytest.fixture
def damaged(tmp_path: Path, device: Device) -> gpuzarr.Array:
    a = gpuzarr.array(np.arange(40, dtype="i4"), store=str(tmp_path / "a"), chunks=4, fill_value=-1, device=device)
    damage(tmp_path / "a" / "c" / "3")
    return a


def rows(view: RowsView, order: list[int], batch: int, **terms: Any) -> Batches:
    """Batches of rows in an order; all are one block."""
    every = np.stack([np.zeros(len(order), np.int64), order], axis=1)
    space = Grid([(40,)], (40,))
    return Batches(steps(every, batch), space, [view], 0, Terms(**terms))


def test_an_error_comes_in_the_place_of_its_batch_and_others_behind_it(damaged: gpuzarr.Array) -> None:
    batches, found = rows(RowsView("x", [damaged]), list(range(40)), 5), list[Any]()
    while len(found) < 8:
        try:
            found.append(host_array(next(batches).arrays["x"])[:, 0].tolist())
        except ChunkError as error:
            assert error.chunk == (3,) and error.key == "c/3"
            found.append(None)
    assert found == [None if k in (2, 3) else list(range(5 * k, 5 * k + 5)) for k in range(8)]
    assert list(batches) == []
    (failure,) = batches.report.failures
    assert isinstance(failure, ChunkError) and "c/3" in str(batches.report)


def test_a_chunk_that_failed_is_tried_again(damaged: gpuzarr.Array, tmp_path: Path) -> None:
    """By later batches that need it."""
    batches = rows(RowsView("x", [damaged]), [*range(12, 16), *range(40)], 4, prefetch=0)
    with pytest.raises(ChunkError):
        next(batches)
    damaged[12:16] = damaged.device.upload(np.arange(4, dtype="i4")) if damaged.device.gpu else np.arange(4)
    found = [host_array(batch.arrays["x"])[:, 0].tolist() for batch in batches]
    assert found[3] == [0, 1, 2, 3] and found[4] == [16, 17, 18, 19] and len(found) == 10


@pytest.mark.parametrize("on_error", ["raise", "skip", "fill"])
def test_batches_that_meet_a_damaged_chunk_at_once_tell_of_it_once(
    on_error: Any, damaged: gpuzarr.Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both know that it could not be read before either has told of it."""
    cut, cuts = Maker._cut, list[int]()

    def cut_together(self: Maker, groups: Any, room: Any) -> Any:
        failed = cut(self, groups, room)
        cuts.append(len(cuts))
        for _ in range(20):  # on a GPU one thread cuts, and none comes
            time.sleep(0.01 if len(cuts) == 1 else 0)
        return failed

    monkeypatch.setattr(Maker, "_cut", cut_together)
    batches, errors = rows(RowsView("x", [damaged]), [12, 13], 1, on_error=on_error), 0
    for _ in range(2):
        try:
            next(batches)
        except ChunkError:
            errors += 1
    said = batches.report.asdict()
    assert errors == (2 if on_error == "raise" else 0) and said["failures"] == 1
    assert said["chunks_reread"] == (1 if on_error == "raise" else 0)


def test_a_chunk_that_fails_again_is_known_as_such_all_the_time(damaged: gpuzarr.Array) -> None:
    """A thread that cuts beside the read would take the fill value for what is stored."""
    planner = Planner.of(Grid([(40,)], (40,)), [RowsView("x", [damaged])], 0)
    held = Held(planner.sources, 1 << 20, {})
    held.load(held.enter([planner.blocks([0])[0][2]]))

    class Watched(dict[Any, Any]):
        def pop(self, *arguments: Any) -> Any:
            raise AssertionError(f"{arguments[0]} is taken out")

    assert list(held.failed) == [(0, 3)]
    held.failed = Watched(held.failed)
    held.load({0: np.array([3])})
    assert list(held.failed) == [(0, 3)] and held.tables[0].read.tolist() == [i != 3 for i in range(10)]


@pytest.mark.parametrize("on_error", ["skip", "fill"])
def test_what_cannot_be_read_is_left_out_or_filled(on_error: Any, damaged: gpuzarr.Array) -> None:
    """In all arrays of the batch."""
    view, others = RowsView("x", [damaged], (0, 1)), gpuzarr.array(np.arange(41), chunks=6, device=damaged.device)
    every = np.stack([np.zeros(39, np.int64), np.arange(39)], axis=1)
    views = [view, RowsView("y", [others])]
    batches = Batches(steps(every, 13), Grid([(39,)], (39,)), views, 0, Terms(on_error=on_error))
    right = np.where(np.arange(40) // 4 == 3, -1, np.arange(40))
    found = list(batches)
    x, y = (np.concatenate([host_array(one.arrays[name]) for one in found]) for name in "xy")
    kept = [i for i in range(39) if on_error == "fill" or not 11 <= i < 16]
    assert y[:, 0].tolist() == kept and x.tolist() == [[right[i], right[i + 1]] for i in kept]
    assert np.concatenate([one.origins for one in found])[:, 1].tolist() == kept
    said = batches.report.asdict()
    assert (
        said["failures"] == 1 and said["samples"] + said["skipped_samples"] == 39 == len(kept) + said["skipped_samples"]
    )


def test_the_wait_for_the_first_batch_does_not_hide_that_the_consumer_limits() -> None:
    """In a short epoch it is a large part; unless it is longer than all that the consumer did."""

    def limit(first: float, waited: float) -> str:
        account = Account(waited=waited, waited_first=first, seconds=10, loading=1)
        account.stages.update(decode=1, cut=0.5)
        return EpochReport(DEVICES["cpu"](), account).limited_by

    assert [limit(0.3, 0.4), limit(2, 2.3), limit(6, 6.3), limit(2, 3), limit(0, 1)] == [
        "consumer", "consumer", "decode", "decode", "decode"
    ]  # fmt: skip


def test_other_errors_end_it(device: Device, monkeypatch: Any) -> None:
    """Of what makes steps, in its place; and of memory."""
    a = gpuzarr.array(np.arange(40), chunks=4, device=device)
    space = Grid([(40,)], (8,))

    def fails() -> Iterator[Any]:
        yield from list(steps_of(space, 0, 5))[:5]
        raise ZeroDivisionError

    batches = Batches(fails(), space, [RowsView("x", [a])], 0, Terms())
    with pytest.raises(ZeroDivisionError):
        list(batches)
    with pytest.raises(ClosedError):
        next(batches)
    monkeypatch.setattr(type(device), "array", lambda *given: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(NoMemoryError, match="no memory"):
        next(Batches(steps_of(space, 0, 5), space, [RowsView("x", [a])], 0, Terms()))
    until(lambda: not at_work())


def test_where_memory_is_short_fewer_batches_are_ahead(device: Device, monkeypatch: Any) -> None:
    left, right = [0], Batches._room

    def room(self: Batches, step: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise NoMemoryError("no memory")
        return right(self, step)

    monkeypatch.setattr(Batches, "_room", room)
    batches = many(device)
    for ahead in (1, 2, 1, 3):
        left[0] = ahead
        next(batches)
    left[0] = 0
    assert len([next(batches) for _ in range(len(batches._coming))]) == 2
    with pytest.raises(NoMemoryError):
        next(batches)


def many(device: Device, prefetch: int = 2) -> Batches:
    a = gpuzarr.array(VALUES, chunks=(4, 3, 7), device=device)
    space = Grid([VALUES.shape], (4, 9, 7))
    return Batches(steps_of(space, 0, 7), space, [PatchView("x", [a], (2, 2, 2), SCALED)], 0, Terms(prefetch))


def test_nothing_is_left_of_batches_that_are_closed_or_dropped(device: Device) -> None:
    alive = list[Any]()
    for i in range(12):
        batches = many(device, i % 3)
        feed = batches._feed
        alive.append(weakref.ref(feed.held))
        for _ in zip(range(i), batches, strict=False):
            pass
        if i % 2:
            batches.close()
            batches.close()
            with pytest.raises(ClosedError):
                next(batches)
        del batches, feed
    until(lambda: not at_work())
    gc.collect()  # the tracebacks of pytest
    until(lambda: not any(one() for one in alive))
    assert not device.gpu or held(device) == 0


def test_the_end_stays_the_end(device: Device) -> None:
    batches = many(device)
    assert len(list(batches)) == -(-20 * 9 * 7 // 7) and list(batches) == []
    until(lambda: not at_work())
    assert batches.report.asdict()["batches"] == 180


def test_what_nobody_waits_for_is_not_loaded(monkeypatch: Any) -> None:
    may_go, loads, right = threading.Event(), list[int](), Held.load

    def load(self: Held, *given: Any) -> Any:
        loads.append(1)
        assert len(loads) == 1 or may_go.wait(WAIT_SECONDS)
        return right(self, *given)

    monkeypatch.setattr(Held, "load", load)
    a, space = gpuzarr.array(np.arange(4000), chunks=4), Grid([(4000,)], (4,))
    batches = Batches(steps_of(space, 0, 4), space, [RowsView("x", [a])], 0, Terms())
    next(batches)
    until(lambda: len(loads) == 2)
    del batches
    gc.collect()
    may_go.set()
    until(lambda: not at_work())
    assert len(loads) == 2


def test_a_forked_child_is_told_what_to_do() -> None:
    device = DEVICES["cpu"]()
    with many(device) as batches:
        next(batches)
        if not (child := os.fork()):
            try:
                with pytest.raises(ClosedError, match=r"num_workers=0.*spawn"):
                    next(batches)
                batches.close()
                del batches
                gc.collect()
                assert len(list(many(device))) == 180
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(list(batches)) == 179


@pytest.mark.parametrize("on", ["cpu", "emulated"])
def test_interrupts_at_any_line(on: str) -> None:
    """They arrive, nothing is held afterwards, and what was taken before is right."""
    device = DEVICES[on]()
    a = gpuzarr.array(VALUES, chunks=(4, 3, 7), device=device)
    space, views = Grid([VALUES.shape], (8, 9, 7), 4), [PatchView("x", [a], (3, 2, 2))]

    def call() -> None:
        with Batches(steps_of(space, 0, 7), space, views, 0, Terms()) as batches:
            check(batches, views, [[VALUES]])

    call()
    counted, in_hand = Interrupted(0), InHand(device)
    assert not counted(call)
    step = max(counted.lines // examples(60), 1)
    for n in range(1, counted.lines, step):
        interrupt = Interrupted(n)
        assert interrupt(call) or interrupt.is_swallowed or interrupt.lines < n
        in_hand.check()
    until(lambda: not at_work())
