"""The writer of an image: blocks in any order, of several workers, interrupted and resumed, give the same levels."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from contextlib import suppress
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ArgumentError, ClosedError, ReadOnlyError, StoreError, ValueKindError
from gpuzarr.nodes.missing import as_slices, done_shards
from gpuzarr.pyramids.writing import write_all
from gpuzarr.write.journal import Journal
from gpuzarr.write.objects import bounds_of_object
from tests import hardware
from tests.pyramids.images import Plain, image, noise

FORK = multiprocessing.get_context("fork")
SHAPE, HALF = (40, 37, 33), [(2, 2, 2), (2, 2, 2), (1, 2, 2)]
LAYOUTS = [((8, 8, 8), None), ((8, 8, 8), (16, 16, 16)), ((5, 7, 9), (10, 14, 18))]


def tiles(shape: Any, step: Any) -> list[tuple[slice, ...]]:
    spans = [[slice(a, min(a + n, length)) for a in range(0, length, n)] for length, n in zip(shape, step, strict=True)]
    return list(product(*spans))


@pytest.mark.parametrize("chunks, shards", LAYOUTS)
def test_blocks_in_any_order(device: Any, chunks: Any, shards: Any) -> None:
    made = image({}, SHAPE, HALF, chunks, shards, device=device)
    values = noise(SHAPE)
    blocks = tiles(SHAPE, (16, 11, 33))
    random.Random(0).shuffle(blocks)
    with made.writer() as w:
        for block in blocks:
            w[block] = values[block]
    made.check(values)


def test_selections(device: Any) -> None:
    made = image({}, (6, 8), [(1, 2)], (2, 4), device=device)
    expected = np.zeros((6, 8), "uint16")
    with made.writer() as w:
        for selection, value in [
            ((2, slice(1, 5)), np.arange(4)),
            (slice(3, 5), 7),
            ((..., slice(None, None, -1)), np.arange(8)),
            ((slice(0), 1), np.zeros(0)),
            (-1, [9] * 8),
        ]:
            w[selection] = expected[selection] = value
    made.check(expected)
    with made.writer() as w, pytest.raises(ArgumentError, match="boxes"):
        w[::2] = 1
    with pytest.raises(ClosedError):
        w[0] = 1
    with pytest.raises(ValueKindError), made.writer() as w:
        w[0] = np.zeros(5)


def test_sources(device: Any, tmp_path: Path) -> None:
    values = noise(SHAPE)
    stored = gpuzarr.create_array(tmp_path, data=values, chunks=(13, 40, 40))
    da = pytest.importorskip("dask.array")
    seen: list[tuple[int, int]] = []
    for source in (values, stored, da.from_array(values, chunks=(20, 20, 20)), device.xp.asarray(values)):
        made = image({}, SHAPE, HALF, (8, 8, 8), device=device)
        write_all(made, source, progress=lambda *told: seen.append(told), max_inflight="64KiB")
        made.check(values)
    assert seen[-1] == (values.size, values.size) and len(seen) > 8
    with pytest.raises(ValueKindError, match="shape"):
        write_all(made, values[1:])


def test_read_only(tmp_path: Path) -> None:
    made = image(tmp_path, (4, 4), [(2, 2)], (2, 2))
    levels = tuple(gpuzarr.open_array(tmp_path, path=str(i), mode="r") for i in range(2))
    with pytest.raises(ReadOnlyError):
        Plain(levels, made.factors).writer()


# several workers


@given(st.integers(1, 9), st.sampled_from(LAYOUTS), st.tuples(*[st.integers(1, 50)] * 3))
@settings(max_examples=25, deadline=None)
def test_workers_own_whole_shards_and_windows(world_size: int, layout: Any, shape: Any) -> None:
    made = image({}, shape, HALF, *layout)
    owner = np.full(shape, -1)
    for rank in range(world_size):
        for region in made.shard_slices(rank, world_size):
            assert (owner[region] == -1).all()
            owner[region] = rank
    assert (owner >= 0).all()
    for i, (level, scale) in enumerate(zip(made.levels, [(1, 1, 1), (2, 2, 2), (4, 4, 4), (4, 8, 8)], strict=True)):
        for window in tiles(shape, scale):
            assert len(np.unique(owner[window])) == 1
        shard = [axis.size * f for axis, f in zip(level.layout.outer.axes, scale, strict=True)]
        shared = [block for block in tiles(shape, shard) if len(np.unique(owner[block])) > 1]
        assert i > 0 or not shared


def write_part(path: Path, rank: int, world_size: int, layout: Any, resume: bool) -> None:
    made = image(path, SHAPE, HALF, *layout)
    values = noise(SHAPE)
    with made.writer(rank=rank, world_size=world_size, resume=resume) as w:
        for region in made.missing(rank, world_size) if resume else made.shard_slices(rank, world_size):
            for z in range(region[0].start, region[0].stop, 4):
                block = (slice(z, min(z + 4, region[0].stop)), *region[1:])
                w[block] = values[block]


@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_four_processes(layout: Any, tmp_path: Path) -> None:
    made = image(tmp_path, SHAPE, HALF, *layout)
    children = [FORK.Process(target=write_part, args=(tmp_path, rank, 4, layout, False)) for rank in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    made.check(noise(SHAPE))


def test_a_block_of_another_worker_is_refused() -> None:
    made = image({}, SHAPE, HALF, (8, 8, 8))
    other = made.shard_slices(1, 2)[0]
    with made.writer(rank=0, world_size=2) as w, pytest.raises(ArgumentError, match="regions of this worker"):
        w[other] = 1


def test_a_shared_block_that_nothing_guards_is_named(tmp_path: Path) -> None:
    made = image(tmp_path, SHAPE, HALF, (8, 8, 8), config={"safe": False})
    with pytest.raises(ArgumentError, match=r"3/c/\d/\d/\d.*level 3.*shared"):
        made.writer(rank=0, world_size=4)
    made.writer().close()


# interrupted


@pytest.mark.parametrize("layout", LAYOUTS)
def test_resumed_after_kills(layout: Any, tmp_path: Path) -> None:
    made = image(tmp_path, SHAPE, HALF, *layout)
    moments = random.Random(str(layout))
    for _ in range(8):
        child = FORK.Process(target=write_part, args=(tmp_path, 0, 1, layout, True))
        child.start()
        time.sleep(moments.uniform(0.01, 0.15))
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join(60)
    write_part(tmp_path, 0, 1, layout, True)
    assert made.missing() == []
    made.check(noise(SHAPE))


class Failing(dict[str, Any]):
    """A store that takes so many chunks, and then no more."""

    left: int | None = None

    def __setitem__(self, key: str, value: Any) -> None:
        if self.left is not None and "/c/" in key:
            self.left -= 1
            if self.left < 0:
                raise OSError("full")
        super().__setitem__(key, value)


def pieces(chosen: random.Random, region: tuple[slice, ...]) -> list[tuple[slice, ...]]:
    """A region cut anywhere, in any order."""
    spans = []
    for each in region:
        cuts = sorted({each.start, each.stop, *(chosen.randint(each.start, each.stop) for _ in range(2))})
        spans.append([slice(a, b) for a, b in pairwise(cuts)])
    found = list(product(*spans))
    chosen.shuffle(found)
    return found


def resumed(made: Plain, values: Any, chosen: random.Random, rank: int, world_size: int, inflight: Any) -> None:
    if chosen.random() < 0.5:
        write_all(made, values, resume=True, rank=rank, world_size=world_size, max_inflight=inflight)
        return
    with made.writer(resume=True, rank=rank, world_size=world_size, max_inflight=inflight) as w:
        for region in made.missing(rank, world_size):
            for piece in pieces(chosen, region):
                w[piece] = values[piece]
                if chosen.random() < 0.05:
                    w.flush()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_fails_what_is_done_is_stored(seed: int) -> None:
    chosen, store = random.Random(seed), Failing()
    shape = [chosen.randint(1, 24) for _ in range(chosen.randint(1, 3))]
    factors = [[chosen.choice([1, 2, 2, 3]) for _ in shape] for _ in range(chosen.randint(0, 3))]
    chunks = [chosen.randint(1, 8) for _ in shape]
    shards = [n * chosen.randint(1, 3) for n in chunks] if chosen.random() < 0.5 else None
    made, values = image(store, shape, factors, chunks, shards), noise(shape, seed)
    values[tuple(slice(0, chosen.randint(0, n)) for n in shape)] = 0
    world_size, inflight = chosen.choice([1, 2, 3]), chosen.choice(["1GiB", 64, 2000])
    for _ in range(10):
        store.left = chosen.randint(0, 12)
        with suppress(StoreError):
            resumed(made, values, chosen, chosen.randrange(world_size), world_size, inflight)
        level = made.levels[0]
        for coords in np.argwhere(done_shards(level)).tolist():
            shard = as_slices(bounds_of_object(level.layout, tuple(coords)))
            np.testing.assert_array_equal(level[shard], values[shard])
    store.left = None
    for rank in range(world_size):
        resumed(made, values, chosen, rank, world_size, inflight)
    assert made.missing() == []
    made.check(values)


def test_what_is_stored_and_what_is_not_make_one_window() -> None:
    """Of the three chunks of a window of level 1 two are done; the third is only at level 0."""
    made, values = image({}, (6,), [(1,), (3,)], (1,)), noise((6,))
    made.levels[0][:], made.levels[1][:2] = values, values[:2]
    for level, count in zip(made.levels, (6, 2, 0), strict=True):
        journal = Journal(level.store, level.path, level.layout)
        for i in range(count):
            journal.note((i,))
        journal.save()
    made.writer(resume=True).close()
    made.check(values)


def test_background_counts_as_done(device: Any) -> None:
    made = image({}, SHAPE, HALF, (8, 8, 8), (16, 16, 16), device=device)
    with made.writer(resume=True) as w:
        w[:16] = 0
        w[16:32, :16, :16] = 5
        w[33:] = 5  # a part of the last shards
    left = made.missing()
    assert all(region[0].start >= 16 for region in left)
    assert not any(region[0].start < 32 and region[1].start < 16 and region[2].start < 16 for region in left)
    made.check()
    with made.writer(resume=True) as w:
        for region in made.missing():
            w[region] = 6
    assert made.missing() == []
    made.check()


def test_progress(device: Any) -> None:
    seen: list[tuple[int, int]] = []
    made = image({}, (8, 8), [(2, 2)], (4, 4), device=device)
    with made.writer(progress=lambda *told: seen.append(told)) as w:
        w[:4] = 1
        w[4:] = 1
    assert seen == [(32, 64), (64, 64)]


# overlapping blocks


@pytest.mark.parametrize("blend", [None, "gaussian"])
def test_blocks_with_a_halo(device: Any, blend: Any) -> None:
    made = image({}, SHAPE, HALF, (8, 8, 8), (16, 16, 16), device=device)
    values = noise(SHAPE)
    with made.writer(block=(16, 16, 16), halo=(3, 0, 4), blend=blend) as w:
        for block in w.blocks:
            w[block] = values[block]
    made.check(values)


@pytest.mark.parametrize("classes", [None, 5])
def test_sums_that_take_too_much(device: Any, classes: int | None) -> None:
    """They are refused before anything is summed; what is allowed then is enough."""
    made = image({}, (40, 32, 32), [(2, 2, 2)], (8, 8, 8), device=device)
    options: dict[str, Any] = {"block": (16, 16, 16), "halo": 2, "blend": "constant"}
    options |= {} if classes is None else {"argmax": 0, "to": "uint16"}
    extra = () if classes is None else (classes,)

    def write(max_inflight: int) -> None:
        with made.writer(max_inflight=max_inflight, **options) as w:
            for block in w.blocks:
                w[block] = np.ones((*extra, *(s.stop - s.start for s in block)), np.float32)

    rows = 16 + 2 * 2 + 2 * (8 - 1)
    with pytest.raises(ArgumentError, match="the sums of these blocks take up to"):
        write(rows * 32 * 32 * 4 * (classes or 1) - 1)
    write((rows * 32 * 32 + 20**3) * 4 * (classes or 1))
    assert (np.asarray(made.levels[0][...].get() if device.gpu else made.levels[0][...]) == (classes is None)).all()


def test_argmax_of_blended_probabilities(device: Any) -> None:
    made = image({}, SHAPE, HALF, (8, 8, 8), dtype="uint8", method="mode", device=device)
    chances = np.random.default_rng(0).random((4, *SHAPE), "f4")
    with made.writer(block=(20, 20, 20), halo=2, blend="constant", argmax=0, to="uint8") as w:
        for block in w.blocks:
            w[block] = np.moveaxis(chances[(slice(None), *block)], 0, 0)
    made.check(chances.argmax(0))


def test_blocks_of_no_plan_and_missing_ones(device: Any) -> None:
    made = image({}, SHAPE, HALF, (8, 8, 8), device=device)
    with made.writer(block=(16, 16, 16), halo=2) as w, pytest.raises(ArgumentError, match="not a block"):
        w[:3] = np.zeros((3, *SHAPE[1:]))
    w = made.writer(block=(16, 16, 16), halo=2, blend="linear")
    w[w.blocks[0]] = noise([s.stop - s.start for s in w.blocks[0]])
    with pytest.raises(ArgumentError, match="block"):
        w.close()
    with pytest.raises(ArgumentError, match="block="):
        made.writer(halo=2)


@pytest.mark.parametrize("resume", [False, True])
def test_workers_blend_like_one(resume: bool) -> None:
    values = np.random.default_rng(0).random(SHAPE, "f4")
    shift = np.random.default_rng(1).random(1000, "f4")

    def written(world_size: int) -> Plain:
        made = image({}, SHAPE, HALF, (8, 8, 8), dtype="float32")
        for rank in range(world_size):
            options = {"block": (16, 16, 16), "halo": 3, "blend": "gaussian", "rank": rank, "world_size": world_size}
            with made.writer(**options, resume=resume) as w:
                for block in w.blocks:
                    w[block] = values[block] + shift[sum(s.start * (i + 1) for i, s in enumerate(block))]
        made.check()
        return made

    np.testing.assert_array_equal(written(1).levels[0][...], written(3).levels[0][...])


def test_resumed_with_blending() -> None:
    store: dict[str, Any] = {}
    values = np.random.default_rng(0).random(SHAPE, "f4")
    whole = image({}, SHAPE, HALF, (8, 8, 8), (16, 16, 16), dtype="float32")
    options: dict[str, Any] = {"block": (16, 16, 16), "halo": 3, "blend": "gaussian", "resume": True}
    with whole.writer(**options) as w:
        for i, block in enumerate(w.blocks):
            w[block] = values[block] * (1 + i % 2)
        every = list(w.blocks)
    parts = image(store, SHAPE, HALF, (8, 8, 8), (16, 16, 16), dtype="float32")
    for count in (5, 9, 30, 100):
        with parts.writer(**options) as w:
            for block in list(w.blocks)[:count]:
                w[block] = values[block] * (1 + every.index(block) % 2)
    assert parts.missing() == []
    parts.check(whole.levels[0][...])


def test_devices_agree() -> None:
    values = noise(SHAPE)
    found = []
    for name in ("cpu", "emulated"):
        made = image({}, SHAPE, HALF, (8, 8, 8), device=hardware.DEVICES[name]())
        write_all(made, values)
        found.append([np.asarray(level[...]) for level in made.levels])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
